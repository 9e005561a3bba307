#pragma once
// What tests of pictures share: a directory that is gone afterwards, files as text, small plans.

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "sim/picture/outputs.h"
#include "sim/run/plan.h"
#include "sim/run/run.h"
#include "tests/conformance/temporary_directory.h"

namespace klamm::tests {

inline std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// Seed `seed`, a few seconds of faults of every kind of the profile.
inline sim::RunPlan small_plan(std::uint64_t seed, sim::Profile profile = sim::Profile::storm) {
    sim::PlanOptions options;
    options.profile = profile;
    options.length = seconds(4);
    return sim::make_plan(seed, options);
}

/// Runs the plan with these outputs and expects that they could be written.
inline sim::RunResult run_with(const sim::RunPlan& plan, const sim::OutputPaths& paths) {
    KLAMM_ASSERT(sim::prepare(paths).ok());
    sim::Outputs outputs(paths);
    sim::RunHooks hooks;
    outputs.attach(hooks);
    sim::RunResult result = sim::run_plan(plan, hooks);
    KLAMM_ASSERT(outputs.finish(plan, result).ok());
    return result;
}

}  // namespace klamm::tests
