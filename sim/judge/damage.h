#pragma once
// Physical truths that the world tells the judge: what a crash did to the bytes of segment files.
// They are about `.log` files only; other files hold nothing that was promised.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"

namespace klamm::sim {

/// The entry of the fault schedule that did it; fault_none when it was none of them.
using FaultId = std::int64_t;
constexpr FaultId fault_none = -1;

struct DamagedBytes {
    std::uint64_t from = 0;
    std::uint64_t to = 0;  // exclusive
};

/// What became of one segment file.
struct Damage {
    TopicPartition partition;
    Offset segment_base;
    std::vector<DamagedBytes> ranges;  // bytes that are no longer what was written
    std::uint64_t synced_length = 0;   // a sync that succeeded covered the bytes below it
    std::uint64_t length_before = 0;
    std::uint64_t length_after = 0;  // 0 when the name was lost; shorter: the rest is damaged too
};

/// A truncate that was never synced and is undone: old bytes lie in [cut_to, length_now) again.
struct UndoneTruncate {
    TopicPartition partition;
    Offset segment_base;
    std::uint64_t cut_to = 0;
    std::uint64_t length_now = 0;
};

struct SegmentPath {
    std::string topic;
    PartitionIndex partition;
    Offset base;
};

/// Reads ".../<topic>-<partition>/<20 digits>.log"; nothing for any other path.
std::optional<SegmentPath> segment_path(std::string_view path);

}  // namespace klamm::sim
