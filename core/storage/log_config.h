#pragma once
// What a partition's log is told about itself, by value; the names are those of Kafka's topic
// configuration.

#include <cstdint>
#include <limits>

namespace klamm::storage {

constexpr std::int64_t flush_never = std::numeric_limits<std::int64_t>::max();

struct LogConfig {
    std::uint64_t segment_bytes = 1U << 30;       // segment.bytes
    std::int64_t segment_ms = 604'800'000;        // segment.ms, by the records' own timestamps
    std::uint64_t index_interval_bytes = 4096;    // index.interval.bytes
    std::uint64_t index_bytes_max = 10U << 20;    // segment.index.bytes: a full index rolls
    std::int64_t flush_messages = flush_never;    // flush.messages
    std::uint64_t max_message_bytes = 1'048'588;  // max.message.bytes, of a batch
    std::uint64_t tail_cache_bytes = 4U << 20;    // fresh batches kept for tail fetches
    std::uint64_t scan_bytes = 256U << 10;        // read at once while recovering
};

}  // namespace klamm::storage
