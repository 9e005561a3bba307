#pragma once
// Whole runs for Python, each in a process of its own: storms and scenarios over many seeds, and
// what one run leaves behind (report, history, trace). What to run is a document:
//
//   {"seed": 7, "profile": "storm", "plant": "R2", "length_ms": 20000, "off": ["kill"]}
//   {"seed": 7, "profile": "calm", "scenario": TEXT, "path": "scenarios/a.json"}
//   {"token": "1.7.storm"}
//
// Throws Trouble (trouble.h); whatever a callback throws ends the runs that go on and passes
// through.

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "checkers/log_checker.h"
#include "sim/run/trial.h"

namespace klamm::python {

/// The plan of such a document, and what came of a run as run_seeds() gives it.
sim::RunPlan plan_of_source(const std::string& source);
nlohmann::json trial_document(const sim::Trial& trial, const sim::RunPlan& plan);

/// Runs `source` with each seed instead of its own, at most `jobs` at a time, and gives each run as
/// JSON to `take`, in the order in which they end, with its index among the seeds. `pulse` is asked
/// now and then.
void run_seeds(const std::string& source, const std::vector<std::uint64_t>& seeds, std::size_t jobs,
               const std::function<void(std::size_t, const std::string&)>& take,
               const std::function<void()>& pulse);

/// Of one run: "trial" (as run_seeds() gives it), "report" (a person's text), "document" (the
/// report as JSON), "history", "trace" (JSON lines).
std::string output_of(const std::string& source, const std::string& what);

/// Shrinks a red run. A document: "text", "source" (of the shrunk run), "replays", "reproduced",
/// "one_minimal", "operations", "faults", "rule", "run". `progress` takes a line a step.
std::string shrink_run(const std::string& source, std::uint64_t replays_max,
                       const std::function<void(const std::string&)>& progress,
                       const std::function<void()>& pulse);

/// A scenario file's text held against the form; gives nothing, or refuses with the sentence.
void check_scenario(const std::string& text, const std::string& path);

/// What `klamm why` and friends know by name: profiles, fault kinds, bugs, as JSON.
std::string catalogue();

/// A job in a process of its own: what `job` returns there. Trouble ("Died") when it does not end
/// well.
std::string in_child(const std::function<std::string()>& job, double cpu_seconds,
                     const std::function<void()>& before, const std::function<void(bool)>& after);

/// Compares two sides that answer by text (sim/run/diverge.h); empty when they are equal, else a
/// sentence with the first event that differs.
struct Side {
    std::string name;
    std::function<std::string()> checkpoints;
    std::function<std::vector<std::string>(std::uint64_t, std::uint64_t)> events;
};
std::string first_difference(const Side& one, const Side& other);

/// What the log checker found: "violations", "totals".
nlohmann::json judgement_document(const std::vector<checkers::Violation>& found,
                                  const checkers::Totals& totals);

/// Judges a history in JSON lines (checkers/FORMAT.md). Gives such a document.
std::string judge_log(const std::string& lines, bool idempotent, bool strict);

/// Judges operations on named objects (JSON lines) by "register", "kv", "queue" or "set".
std::string judge_operations(const std::string& lines, const std::string& model);

}  // namespace klamm::python
