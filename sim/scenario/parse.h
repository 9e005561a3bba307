#pragma once
// Scenario files: from text to a Scenario. The form is held against spec.h; here is what goes
// beyond it: one moment and one deed a step, names that were given before, options of Kafka's
// table.

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

/// `invalid` with one sentence, "FILE:LINE: ...", that names the key and what was expected.
Result<Scenario> parse_scenario(std::string_view text, std::string_view file);

/// The text of a file; `not_found` when it cannot be read.
Result<std::string> read_scenario_file(const std::string& path);

/// The digest that a token carries: of the tree, not of white space and order.
std::uint64_t scenario_digest(std::string_view text);

}  // namespace klamm::sim
