#pragma once
// What a partition's log is told about itself, by value; the names are those of Kafka's topic
// configuration.

#include <cstdint>
#include <limits>

namespace klamm::storage {

constexpr std::int64_t flush_never = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t keep_for_ever = -1;

struct LogConfig {
    std::uint64_t segment_bytes = 1U << 30;       // segment.bytes
    std::int64_t segment_ms = 604'800'000;        // segment.ms, by the records' own timestamps
    std::uint64_t index_interval_bytes = 4096;    // index.interval.bytes
    std::uint64_t index_bytes_max = 10U << 20;    // segment.index.bytes: a full index rolls
    std::int64_t flush_messages = flush_never;    // flush.messages
    std::uint64_t max_message_bytes = 1'048'588;  // max.message.bytes, of a batch
    std::uint64_t tail_cache_bytes = 4U << 20;    // fresh batches kept for tail fetches
    std::uint64_t scan_bytes = 256U << 10;        // read at once while recovering or cleaning

    bool deletes = true;    // cleanup.policy has delete: old segments go
    bool compacts = false;  // cleanup.policy has compact: overridden keys go
    /// Offsets may be missing between batches, as after a compaction. Where they may not, a gap is
    /// damage.
    bool gaps = false;
    std::int64_t retention_ms = keep_for_ever;     // retention.ms; -1: no limit
    std::int64_t retention_bytes = keep_for_ever;  // retention.bytes; -1: no limit
    std::int64_t file_delete_delay_ms = 60'000;    // file.delete.delay.ms
    std::int64_t delete_retention_ms = 86'400'000;
    std::int64_t min_compaction_lag_ms = 0;
    std::int64_t max_compaction_lag_ms = std::numeric_limits<std::int64_t>::max();
    std::int64_t dirty_millionths_min = 500'000;  // min.cleanable.dirty.ratio
    std::uint64_t dedupe_bytes_max = 128U << 20;  // log.cleaner.dedupe.buffer.size
};

}  // namespace klamm::storage
