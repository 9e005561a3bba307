#pragma once
// One call of the command line inside a test: what it printed where, and its status.

#include <string>
#include <string_view>
#include <vector>

#include "bindings/command/commands.h"

namespace klamm::tests {

struct Outcome {
    int status = -1;
    std::string out;
    std::string err;
};

/// Runs `klamm WORDS...` in this process, at a terminal or not.
inline Outcome klamm_command(const std::vector<std::string_view>& words, bool terminal = false) {
    Outcome outcome;
    command::Console console;
    console.out = [&](std::string_view text) { outcome.out += text; };
    console.err = [&](std::string_view text) { outcome.err += text; };
    console.progress = console.colour = terminal;
    outcome.status = command::run_command(words, console);
    return outcome;
}

}  // namespace klamm::tests
