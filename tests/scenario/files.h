#pragma once
// The tree's own scenario files.

#include <catch2/catch.hpp>
#include <string>

#include "sim/scenario/parse.h"

namespace klamm::tests {

inline const std::string root = KLAMM_SOURCE_DIR;

/// The text of a file that must be there.
inline std::string text_of(const std::string& path) {
    const auto text = sim::read_scenario_file(path);
    REQUIRE(text.ok());
    return *text;
}

}  // namespace klamm::tests
