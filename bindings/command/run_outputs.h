#pragma once
// A run with all that it may leave behind, as several commands offer it: --trace, --pcap, --html,
// --export-disks, --export-history.

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "sim/picture/outputs.h"

namespace klamm::command {

struct RunOutputs {
    sim::OutputPaths files;
    bool log = false;  // the nodes' log lines before the report
};

sim::OutputPaths output_paths_of(const Options& options);

/// Runs the plan in a process of its own and prints its report; the exit status. The files are
/// prepared.
int run_and_print(const sim::RunPlan& plan, const RunOutputs& outputs, const Console& console);

}  // namespace klamm::command
