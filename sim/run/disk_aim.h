#pragma once
// From an aim at a disk to bytes of it: which files of a node there are of a kind, which batches of
// a log, and which of them a fault takes. The choice is by what the places are called, so that one
// more file or batch moves few faults.

#include <optional>
#include <string>
#include <string_view>

#include "sim/run/cluster.h"
#include "sim/run/plan.h"

namespace klamm::sim {

/// "log", "leader-epoch-checkpoint"
const char* to_string(DiskAim::File file);
/// "any", "idempotent"
const char* to_string(DiskAim::Batch batch);
/// What the aim says beyond "any": " log of trial-0, control batches"; empty if nothing.
std::string to_string(const DiskAim& aim);

/// Bytes of one file; never empty.
struct DiskPlace {
    std::string path;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
};

/// The kind of file that a path names; nothing for files that hold nothing or are no broker's.
std::optional<DiskAim::File> file_kind(std::string_view path);
/// Whether a topic is the cluster's own: nothing is promised of it.
inline bool is_internal(std::string_view topic) { return topic.starts_with("__"); }
/// The partition of the topic that the file belongs to.
std::optional<std::int32_t> partition_of(std::string_view path);

/// A whole file or, of a log, one of its batches; nothing when nothing is as the aim says.
std::optional<DiskPlace> aimed(const World& world, NodeId node, const DiskAim& aim,
                               std::uint64_t draw);
/// The same among files that may still be written, whole: of logs, the newest of each partition.
/// `dirty`: only those that nobody has synced to their end.
std::optional<DiskPlace> aimed_at_written(const World& world, NodeId node, const DiskAim& aim,
                                          std::uint64_t draw, bool dirty);
/// One of the node's log directories; nothing when it has none.
std::optional<std::string> aimed_directory(const World& world, NodeId node, std::uint64_t draw);

}  // namespace klamm::sim
