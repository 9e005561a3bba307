#pragma once
// The counts of a run by the names under which reports show them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/judge/counts.h"

namespace klamm::sim {

/// Nothing when there is no such count.
std::optional<std::int64_t> count_by_name(const RunCounts& counts, std::string_view name);

/// The sentence about a name that is none, with those that are.
std::string unknown_count(std::string_view name);

}  // namespace klamm::sim
