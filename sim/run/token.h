#pragma once
// A plan as short text, to be typed: what was asked and what was edited, never what was drawn, so
// that a token of an older binary still means something.
//
//   1.<seed, hex>.<profile>[.p<bug>][.o<kinds>][.l<length, ms>][.x<fault ids>]
//     [.s<client>_<operations>]...[.c<cut, ns>]
//
// Kinds, ids and operations are lists such as 3,7-9.

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "sim/run/plan.h"

namespace klamm::sim {

std::string to_token(const RunPlan& plan);

/// The fields of a token that say what was edited, without their points; and the reverse, false
/// when a field says nothing of that kind.
std::vector<std::string> print_edits(const PlanEdits& edits);
bool read_edit(std::string_view field, PlanEdits& edits);

/// `invalid` with one sentence when the text is no token of this version.
Result<RunPlan> from_token(std::string_view token);

}  // namespace klamm::sim
