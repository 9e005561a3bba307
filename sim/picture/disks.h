#pragma once
// The files of a run's machines as real directories: DIR/<node>/<path as the node knows it>. What
// is written is what the machine's page cache holds, which is what a process that starts on it
// would read.

#include <string>

#include "core/base/result.h"
#include "sim/world/world.h"

namespace klamm::sim {

/// `directory` must not exist, or be empty; it is made, with those above it. `exists` when it holds
/// something, `io` when something could not be made or written: then what came before is there.
Status make_room_for_disks(const std::string& directory);

/// Writes every file of every node below `directory`. Nodes without files are left out.
Status export_disks(const World& world, const std::string& directory);

}  // namespace klamm::sim
