#pragma once
// One partition's follower in one epoch (Kafka's AbstractFetcherThread and ReplicaFetcherThread for
// one partition): whom it fetches from, up to where the log is known to be committed, and what to
// do with an answer.
//
// What always holds: where to cut the log is decided by comparing leader epochs with the leader
// (truncation on fetch, KIP-595 and KIP-279), never by the local high watermark; an answer to a
// fetch of another epoch is ignored; the high watermark is at most the log's end.
//
// It does not fetch or write: it says what to do, and is told the log's ends when that is done.

#include <optional>
#include <string>

#include "core/base/turn.h"
#include "core/metadata/image.h"
#include "core/protocol/error_code.h"
#include "core/replica/log_facts.h"

namespace klamm::replica {

using protocol::ErrorCode;

/// What a Fetch for this partition carries.
struct FetchPosition {
    LeaderEpoch current_leader_epoch;
    Offset fetch_offset;
    LeaderEpoch last_fetched_epoch = no_leader_epoch;  // of the log's last record; -1 when empty
    Offset log_start;
    friend bool operator==(const FetchPosition&, const FetchPosition&) = default;
};

/// The leader's answer for this partition.
struct FetchAnswer {
    ErrorCode error = ErrorCode::none;
    FetchPosition asked;                // what it answers
    std::optional<EpochEnd> diverging;  // then there are no records
    Offset high_watermark = no_offset;
    Offset log_start = no_offset;
};

enum class FollowerStep : std::uint8_t {
    append,          // append the records (there may be none), then call on_appended
    truncate,        // cut the log to `offset`, then call on_truncated, then fetch again. The epoch
                     // cache loses every epoch that starts there or later, even if no record goes.
    restart_at,      // drop the log and start it anew at `offset`, then call on_restarted
    ask_ends,        // ask the leader for EARLIEST and LATEST, then call on_leader_ends
    retry,           // fetch again after a back-off
    await_metadata,  // this epoch is over; newer metadata will come
    ignore,          // an answer of another epoch or position
};

struct FollowerAction {
    FollowerStep step = FollowerStep::ignore;
    Offset offset = no_offset;
    friend bool operator==(const FollowerAction&, const FollowerAction&) = default;
};

class FollowerState {
  public:
    /// Follows `state.leader` (no_broker: nobody, for now) in `state.leader_epoch`.
    FollowerState(BrokerId self, TopicPartition partition, const metadata::PartitionImage& state,
                  Offset high_watermark);
    /// States the fact; the offset to cut the log to before the first fetch, which is none unless a
    /// mistake is planted.
    std::optional<Offset> begin(const Turn& turn, const LogEnds& log);

    /// Newer metadata of this partition that does not name this broker leader. As begin() when the
    /// leader epoch is new; metadata that is not newer is ignored.
    std::optional<Offset> on_metadata(const Turn& turn, const metadata::PartitionImage& state,
                                      const LogEnds& log);

    /// The next fetch; nothing while there is no leader, or while records wait for their sync (with
    /// `flush_each`).
    [[nodiscard]] std::optional<FetchPosition> next_fetch(const Turn& turn, const LogEnds& log,
                                                          LeaderEpoch last_epoch,
                                                          bool flush_each) const;

    /// What to do with an answer. `local` is this log's own epoch cache asked for
    /// answer.diverging->epoch (not looked at without a divergence).
    [[nodiscard]] FollowerAction on_fetch_answer(const Turn& turn, const FetchAnswer& answer,
                                                 const LogEnds& log, const EpochEnd& local) const;
    /// The leader's EARLIEST and LATEST (its log end), asked for by ask_ends.
    [[nodiscard]] FollowerAction on_leader_ends(Offset leader_start, Offset leader_end,
                                                const LogEnds& log) const;

    /// The records of `answer` are in the log: takes over min(leader's watermark, own end). Returns
    /// the offset to which the log start is to be raised, if the leader's is higher.
    std::optional<Offset> on_appended(const FetchAnswer& answer, const LogEnds& log);
    /// The log now ends at `end`.
    void on_truncated(Offset end);
    /// The log is empty and starts at `start`.
    void on_restarted(Offset start);

    [[nodiscard]] BrokerId leader() const { return leader_; }
    [[nodiscard]] LeaderEpoch epoch() const { return epoch_; }
    [[nodiscard]] PartitionEpoch partition_epoch() const { return partition_epoch_; }
    [[nodiscard]] Offset high_watermark() const { return high_watermark_; }

    friend bool operator==(const FollowerState&, const FollowerState&) = default;
    [[nodiscard]] std::string print() const;

  private:
    BrokerId self_;
    TopicPartition partition_;
    BrokerId leader_;
    LeaderEpoch epoch_;
    PartitionEpoch partition_epoch_;
    Offset high_watermark_;
};

}  // namespace klamm::replica
