#pragma once
// What the command line explains and searches, for Python: when a failure became likely, where two
// runs part, whether planted bugs are found, how far settings are from a loss, and the files that a
// run leaves. Sources of runs are the documents of runs.h. Throws Trouble (trouble.h); what `pulse`
// throws ends what goes on.

#include <functional>
#include <map>
#include <string>

namespace klamm::python {

using Progress = std::function<void(const std::string&)>;
using Pulse = std::function<void()>;

/// sim/picture/why.h: "reproduced", "finding", "failure_ns", "safety", "moments", "rise" (null:
/// none rises), "between", "text".
std::string explain_why(const std::string& source, std::uint32_t branches, std::uint32_t moments,
                        std::size_t jobs, const Progress& progress, const Pulse& pulse);

/// Runs a source twice, or here and in another klamm executable (then it must be a token): "equal",
/// "events", "hash", else "event", "one", "other", "before".
std::string compare_runs(const std::string& source, const std::string& against);

/// What a zoo is to look for: {"bug": "R2", "budget_ms": 60000, "jobs": 1, "first_seed": 1,
/// "profile": "storm", "off": [], "without_needed": false}. Without a bug: the kill matrix, its
/// rows one after another to `row`; gives all as "rows", and "document".
std::string visit_zoo(const std::string& options, const Progress& row, const Progress& progress,
                      const Pulse& pulse);

/// sim/scenario/distance.h of a configuration file's text: "faults" (null: none found), "searched",
/// "schedule", "loss", "scenario", "runs", "settings"; and of remedies "setting", "costs",
/// "faults", "searched", up to the first that raises it.
std::string search_distance(const std::string& config, std::uint32_t faults_max, std::size_t jobs,
                            bool remedies, const Progress& progress, const Pulse& pulse);

/// Runs it again and writes what a run may leave behind: "history", "trace", "pcap", "html",
/// "disks" (a directory), each with its path.
void export_run(const std::string& source, const std::map<std::string, std::string>& paths);

}  // namespace klamm::python
