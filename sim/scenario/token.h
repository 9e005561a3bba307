#pragma once
// Tokens of scenario runs. They name the file and its digest: whoever replays one needs that file.
//
//   2.<seed, hex>.<profile>.<digest, hex>[.p<bug>][edits, as sim/run/token.h has them].f<path>

#include <string_view>

#include "core/base/result.h"
#include "sim/run/plan.h"

namespace klamm::sim {

/// Whether the text is a token of this kind, right or wrong.
bool is_scenario_token(std::string_view token);

/// Reads the file that the token names. `invalid` with one sentence when the token or the file is
/// none, or the file is another than it was.
Result<RunPlan> plan_from_scenario_token(std::string_view token);

}  // namespace klamm::sim
