#pragma once
// Where two runs part: both sides tell the hash at their checkpoints; between the last equal pair
// and the first different one they tell every event; the first that differs is the answer.
//
// A side is asked at least twice, so a side that is not even equal to itself shows too: if the
// events asked for turn out equal, the comparison begins anew, a bounded number of times.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "sim/run/plan.h"
#include "sim/world/trace.h"

namespace klamm::sim {

/// One side of the comparison.
struct DivergeSide {
    std::string name;
    /// Checkpoints in order; the last one is the end of the run.
    std::function<Result<std::vector<Checkpoint>>()> checkpoints;
    /// Events `from` to `to`, both included, one line each; fewer where the run ends before.
    std::function<Result<std::vector<std::string>>(std::uint64_t from, std::uint64_t to)> events;
};

struct Divergence {
    bool equal = false;
    std::uint64_t events = 0;  // equal: of the whole run
    std::uint64_t hash = 0;    // equal: at the end
    std::uint64_t event = 0;   // different: the number of the first event that differs
    std::string one;           // that event on each side; "(the run has ended)" past the end
    std::string other;
    std::string before;  // the last equal event; empty if there is none
};

/// Compares two sides. `io` or `invalid` when one does not answer as it should, or when no single
/// event can be named because the sides differ from themselves.
Result<Divergence> diverge(const DivergeSide& one, const DivergeSide& other);

/// A plan, run in a process of its own each time it is asked.
DivergeSide side_of_plan(std::string name, const RunPlan& plan);

/// A klamm executable, asked by `BINARY replay TOKEN --checkpoints` and `--events FROM-TO`.
DivergeSide side_of_binary(const std::string& binary, const std::string& token);

/// "checkpoint <event> <16 hex digits>", the last one "end ..." instead: what `--checkpoints`
/// prints.
std::string checkpoints_text(const std::vector<Checkpoint>& checkpoints);
/// The reverse; other lines are passed over. `invalid` without an end.
Result<std::vector<Checkpoint>> checkpoints_from_text(std::string_view text);

/// Checkpoints of a run of this plan in this process, the end included.
std::vector<Checkpoint> checkpoints_of(const RunPlan& plan);
/// Its events `from` to `to`, one line each.
std::vector<std::string> events_of(const RunPlan& plan, std::uint64_t from, std::uint64_t to);

}  // namespace klamm::sim
