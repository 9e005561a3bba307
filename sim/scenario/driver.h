#pragma once
// Lets a scenario happen: waits for the moments of its steps, decides whom they hit, does what they
// say through the same storm that drawn faults use, and in the end holds the run against what the
// scenario expects.
//
// Always: what happens is a function of scenario, seed and profile. A step that never came, a step
// that was aimed at nobody and a goal that was not reached are errors of the harness: a run that
// did not do what it was written for proves nothing.

#include <cstdint>
#include <string>

#include "sim/run/plan.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

struct ScenarioRun {
    std::uint64_t seed = 1;
    /// calm: the story alone. Else what the profile draws falls too, and what the scenario expects
    /// is told but not demanded: only the contract is.
    Profile profile = Profile::calm;
    std::optional<Bug> plant = {};
    std::string path = {};     // of the file, for the token
    std::uint64_t digest = 0;  // of the file
    PlanEdits edits = {};      // of what is drawn and of the clients; the story stays as it is
};

/// A plan that run_plan() takes; the scenario lives in it.
RunPlan plan_of(const Scenario& scenario, const ScenarioRun& run);

}  // namespace klamm::sim
