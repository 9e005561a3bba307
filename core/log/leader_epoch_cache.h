#pragma once
// Which leader epoch began where in one log: entries (epoch, start offset), both strictly rising.
// It answers where a replica must cut when it follows another leader (KIP-101, KIP-279). A value:
// the log keeps it in step with its batches and stores it as Kafka's leader-epoch-checkpoint file.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"

namespace klamm::log {

struct EpochEntry {
    LeaderEpoch epoch;
    Offset start;
    friend auto operator<=>(const EpochEntry&, const EpochEntry&) = default;
};

/// The answer to "where does this epoch end": the largest epoch known at or below the one asked
/// for, and the offset after its last record. Both are -1 when there is no answer.
struct EpochEnd {
    LeaderEpoch epoch = no_leader_epoch;
    Offset end = no_offset;
    friend auto operator<=>(const EpochEnd&, const EpochEnd&) = default;
};

class LeaderEpochCache {
  public:
    /// `epoch` begins at `start`. Entries at the end that contradict it (an epoch or a start not
    /// below the new one) are dropped. True when anything changed. Both are not negative.
    bool assign(LeaderEpoch epoch, Offset start);
    /// Drops the entries that start at or after `end`; true when anything changed.
    bool truncate_from_end(Offset end);
    /// Drops what lies wholly below `start`; the epoch that covers `start` now begins there.
    bool truncate_from_start(Offset start);
    void clear() {
        entries_.clear();
        changed();
    }

    [[nodiscard]] std::optional<EpochEntry> latest() const;
    [[nodiscard]] std::optional<EpochEntry> earliest() const;
    /// The latest epoch, or -1.
    [[nodiscard]] LeaderEpoch latest_epoch() const;
    /// The epoch of the record at `offset`; -1 below the first entry.
    [[nodiscard]] LeaderEpoch epoch_for(Offset offset) const;
    /// As OffsetForLeaderEpoch answers: the latest epoch ends at `log_end`, an older one where the
    /// next begins; an epoch above all known ones, or -1, has no answer; one below all known ones
    /// ends where the first of them begins.
    [[nodiscard]] EpochEnd end_offset_for(LeaderEpoch requested, Offset log_end) const;
    [[nodiscard]] const std::vector<EpochEntry>& entries() const { return entries_; }
    /// Of the entries; kept, since it is asked for far more often than they change.
    [[nodiscard]] std::uint64_t digest() const { return digest_; }

    /// The file's text: version 0, the number of entries, one "epoch start" a line.
    [[nodiscard]] std::string to_text() const;
    /// Failure::invalid when the text is not of that form or the entries do not rise.
    static Result<LeaderEpochCache> from_text(std::string_view text);

    friend bool operator==(const LeaderEpochCache&, const LeaderEpochCache&) = default;

  private:
    void changed();

    std::vector<EpochEntry> entries_;
    std::uint64_t digest_ = 0;
};

}  // namespace klamm::log
