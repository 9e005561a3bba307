#pragma once
// Shrinking: from a plan that fails to one that fails in the same way with few faults and few
// operations. Whatever is tried is a replay of an edited plan, since edits leave all other draws as
// they were.
//
//   1. the run is cut at its first violation;
//   2. faults that hit nothing go; then as many faults as can, those far from the violation first;
//   3. the same for the clients' operations (a client without operations is no client). Where it
//      matters which packet comes first or which bytes are unsynced, leaving out any operation
//      changes that; then whole clients go, and small groups at the violation and about the last
//      faults are tried under one luck after another (PlanEdits::luck), a bounded number of times,
//      and once more when large pieces have gone;
//   4. faults again, and then each remaining one is taken away once more: the run must pass.
//
// Always: the result shows the rule that the original broke, unless a bug is planted: then any red
// that counts as that bug being found (zoo.h) may take its place, because it is the same bug; and
// what does not count is not held against a run without a fault. The number of replays is bounded;
// at the bound the best plan so far is given.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/run/plan.h"
#include "sim/run/trial.h"

namespace klamm::sim {

struct ShrinkOptions {
    std::uint64_t replays_max = 300;
    /// Runs one plan; by default in a process of its own, with operations.
    std::function<Trial(const RunPlan&)> run;
    std::function<void(const std::string&)> progress;  // a line about each step taken
    std::function<bool()> stopped;                     // true: as if the bound were reached
};

struct ShrinkResult {
    bool reproduced = false;  // else nothing was shrunk, and `trial` is the run of the plan given
    RunPlan plan;
    Trial trial;  // of `plan`
    std::string rule;
    std::uint64_t replays = 0;
    std::size_t faults_before = 0;
    std::size_t operations_before = 0;
    /// Operations of `plan` that begin.
    std::vector<TrialOperation> operations;
    bool verified = false;  // every remaining fault was taken away once more
    /// Faults without which something red of another kind remains.
    std::vector<FaultId> leaves_other_red;

    /// Without any one of its faults the run passes.
    [[nodiscard]] bool one_minimal() const { return verified && leaves_other_red.empty(); }
};

ShrinkResult shrink(const RunPlan& plan, const ShrinkOptions& options = {});

using Kept = std::vector<std::size_t>;  // ascending indices
using Fails = std::function<bool(const Kept&)>;

/// The shortest of the suffixes of 0, 1, 2, 4, … items that still fails; all of them if none does.
Kept failing_suffix(std::size_t count, const Fails& fails);

inline constexpr std::size_t no_bound = static_cast<std::size_t>(-1);

/// A part of `kept` of which no single item can be left out, given that `fails` holds for `kept`:
/// leaves out ever smaller pieces, down to the last that make at most `pieces_max` of what is left.
/// `fails` is asked about proper parts only.
Kept leave_out(Kept kept, const Fails& fails, std::size_t pieces_max = no_bound);

/// The remaining faults as a timeline, the operations, the sentence and the token.
std::string to_text(const ShrinkResult& result);

}  // namespace klamm::sim
