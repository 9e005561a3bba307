#pragma once
// The command `klamm broker`: the same brokers and the same metadata node that the simulator runs,
// on real sockets and files, in one process. Ctrl-C or SIGTERM stops them cleanly.

#include <span>
#include <string_view>

#include "bindings/command/commands.h"

namespace klamm::command {

/// Runs until stopped, or until no broker is left. Returns the exit status: 0 after a clean stop, 2
/// for wrong words or a wrong file (one sentence on stderr), else that of the node that failed.
int run_broker(std::span<const std::string_view> arguments, const Console& console);

}  // namespace klamm::command
