#pragma once
// Which faults fall how often under a profile, and the drawing of them (internal to sim/run).

#include <vector>

#include "sim/run/plan.h"

namespace klamm::sim {

/// Events in a virtual hour, on average, when the kind is on.
std::int64_t faults_an_hour(Profile profile, FaultKind kind);

/// All faults of the plan's seed, profile and length, by (at, id).
std::vector<FaultEvent> draw_faults(const RunPlan& plan);

}  // namespace klamm::sim
