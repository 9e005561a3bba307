#pragma once
// What a run may leave behind besides its report, each a file or directory of its own: the trace,
// the network's capture, the page, the machines' files, the clients' history. One object attaches
// all that are asked for to a run's hooks and finishes them after it.
//
// Always: the run is the same with and without them.

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "sim/picture/capture.h"
#include "sim/picture/story.h"
#include "sim/picture/taps.h"
#include "sim/run/plan.h"
#include "sim/run/run.h"

namespace klamm::sim {

struct OutputPaths {
    std::optional<std::string> history;  // JSON lines, see checkers/jsonl.h
    std::optional<std::string> trace;    // JSON lines, see sim/run/trace_json.h
    std::optional<std::string> capture;  // pcapng, see capture.h
    std::optional<std::string> page;     // HTML, see page.h
    std::optional<std::string> disks;    // a directory, see disks.h

    [[nodiscard]] bool any() const { return history || trace || capture || page || disks; }
};

/// Whether all of them can be written, said before the run and not after it. Files are made or
/// emptied. One sentence that names the path otherwise.
Status prepare(const OutputPaths& paths);

class Outputs {
  public:
    explicit Outputs(OutputPaths paths) : paths_(std::move(paths)) {}
    Outputs(const Outputs&) = delete;
    Outputs& operator=(const Outputs&) = delete;

    /// Takes the sinks of `hooks` that it needs; they refer to this object.
    void attach(RunHooks& hooks);
    /// For the page; before finish().
    void set_likelihood(std::vector<Likelihood> likelihood) { likelihood_ = std::move(likelihood); }
    /// The run is over. `io` with a sentence when something could not be written in full.
    Status finish(const RunPlan& plan, const RunResult& result);

  private:
    OutputPaths paths_;
    std::ofstream trace_;
    std::ofstream capture_file_;
    std::optional<Capture> capture_;
    std::optional<Story> story_;
    Taps taps_;
    std::vector<Likelihood> likelihood_;
    Status disks_;
};

}  // namespace klamm::sim
