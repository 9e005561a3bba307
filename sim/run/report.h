#pragma once
// The report of a run for a person. Its last two lines are
//   hash <16 hex digits>
//   replay klamm replay <token>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/run/plan.h"
#include "sim/run/run.h"

namespace klamm::sim {

std::string to_text(const RunPlan& plan, const RunResult& result);

/// The same as one JSON document.
nlohmann::json to_json(const RunPlan& plan, const RunResult& result);

/// The exit status of the command.
int exit_status(const RunResult& result);

/// "7f3a storm 61.2 s: passed, 231 elections, ..." in one line.
std::string summary_line(const RunPlan& plan, const RunResult& result);

}  // namespace klamm::sim
