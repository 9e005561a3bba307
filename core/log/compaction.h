#pragma once
// What a compaction keeps, as functions of values (Kafka 4.1's LogCleanerManager and Cleaner,
// KIP-58, KIP-354, KIP-534): which part of a log is to be cleaned, which segments become one, what
// becomes of a batch.
//
// What always holds: of the records below the cleaned end, the last one of each key stays, unless
// it is a tombstone whose horizon has passed; offsets, epochs, producers and sequences of what
// stays do not change; records of aborted transactions neither stay nor override anything; nothing
// at or above the high watermark, or the first undecided transaction, is looked at.
//
// Reads and writes nothing: core/storage/cleaning.h does.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/ids.h"
#include "core/log/producer_state.h"
#include "core/record/batch.h"

namespace klamm::log {

/// One segment of a log, for planning.
struct SegmentFacts {
    Offset base;
    Offset end;
    std::uint64_t size = 0;
    std::uint64_t index_entries = 0;
    Timestamp first = no_timestamp;   // of its first batch, as far as known
    Timestamp newest = no_timestamp;  // the greatest of its batches
};

/// When a log is cleaned, and how far.
struct CompactionRules {
    std::int64_t min_lag_ms = 0;
    std::int64_t max_lag_ms = 0;
    std::int64_t dirty_millionths_min = 500'000;
};

struct CleanRange {
    Offset first_dirty;
    Offset end;  // the first offset that must not be looked at
    std::uint64_t clean_bytes = 0;
    std::uint64_t dirty_bytes = 0;
    bool overdue = false;  // a record has waited for max.compaction.lag.ms
    /// In millionths.
    [[nodiscard]] std::int64_t dirty_ratio() const;
    [[nodiscard]] bool due(const CompactionRules& rules) const;
};

/// `segments` ascend and are not empty; the last is active and never cleaned. `cleaned_to` is where
/// the last cleaning ended. `stable_end` is the least of the high watermark and the first undecided
/// transaction. Nothing when there is nothing between.
std::optional<CleanRange> clean_range(std::span<const SegmentFacts> segments, Offset log_start,
                                      Offset cleaned_to, Offset stable_end, Timestamp wall,
                                      const CompactionRules& rules);

/// Neighbours among [from, to) of `segments` that fit into one segment, ascending.
struct SegmentGroup {
    Offset base;
    Offset end;
    std::size_t first = 0;
    std::size_t count = 0;
};
std::vector<SegmentGroup> group_segments(std::span<const SegmentFacts> segments, Offset end,
                                         std::uint64_t segment_bytes,
                                         std::uint64_t index_entries_max);

/// The last offset of each key, within a bound of memory.
class LastOffsets {
  public:
    explicit LastOffsets(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
    /// False when there is no more room: then nothing was noted.
    bool note(ByteView key, Offset offset);
    /// no_offset for a key that was not noted.
    [[nodiscard]] Offset find(ByteView key) const;
    void clear();

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view key) const {
            return std::hash<std::string_view>{}(key);
        }
    };
    std::unordered_map<std::string, Offset, Hash, std::equal_to<>> last_;
    std::uint64_t bytes_ = 0;
    std::uint64_t bytes_max_;
};

/// Which transactional batches belong to aborted transactions: learned from one walk over a log,
/// asked in the next.
class AbortedBatches {
  public:
    /// To be called for each batch in order.
    void walk(const record::BatchView& batch);
    [[nodiscard]] bool aborted(const record::BatchView& batch) const;
    friend bool operator==(const AbortedBatches&, const AbortedBatches&) = default;

  private:
    struct Range {
        Offset from;
        Offset to;
        friend bool operator==(const Range&, const Range&) = default;
    };
    std::map<ProducerId, Offset> open_;
    std::map<ProducerId, std::vector<Range>> aborted_;
};

/// Notes the keys of one batch that lie at or above `from`; false when the map is full, and then
/// the batch must not count as cleaned. Records that cannot be read override nothing.
bool note_keys(const record::BatchView& batch, Offset from, const AbortedBatches& transactions,
               LastOffsets& keys);

/// What becomes of the batches of one log, in order from its start.
class BatchCleaner {
  public:
    struct Surroundings {
        const LastOffsets& keys;
        const AbortedBatches& transactions;
        const std::map<ProducerId, ProducerEntry>& producers;
        Offset cleaned_end;  // keys are known below
        Timestamp wall;
        std::int64_t delete_retention_ms = 0;
    };
    enum class Fate : std::uint8_t { keep, replace, drop };
    struct Cleaned {
        Fate fate = Fate::keep;
        Bytes bytes;  // when replaced
    };

    explicit BatchCleaner(const Surroundings& surroundings) : now_(surroundings) {}
    /// With `last_of_group` a batch of which nothing is left stays as an empty one, so that the
    /// segment ends where it did.
    Cleaned clean(const record::BatchView& batch, bool last_of_group);

  private:
    [[nodiscard]] bool last_of_producer(const record::BatchView& batch) const;
    [[nodiscard]] bool retains(const record::BatchView& batch, Offset offset,
                               std::optional<ByteView> key, bool tombstone) const;

    Surroundings now_;
    std::set<ProducerId> data_seen_;  // transactions that have data before their marker
};

}  // namespace klamm::log
