// Golden reports: what `klamm sim` says of a lost record, word for word. Numbers are blotted out:
// when and where it happens changes with every change of a timer, what is said of it does not.
// KLAMM_GOLDEN=write writes them anew.
#include <catch2/catch.hpp>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "bindings/command/commands.h"

using namespace klamm;
using namespace klamm::command;

namespace {

std::string blotted(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool digit = std::isdigit(static_cast<unsigned char>(text[i])) != 0;
        const bool goes_on = !out.empty() && out.back() == '#' &&
                             (digit || (text[i] == '.' && i + 1 < text.size() &&
                                        std::isdigit(static_cast<unsigned char>(text[i + 1]))));
        if (goes_on) continue;
        out += digit ? '#' : text[i];
    }
    return out;
}

/// The first violation, and what became of the record.
std::string told(const std::string& report) {
    std::istringstream lines(report);
    std::string out;
    std::string line;
    bool violations = false;
    bool story = false;
    while (std::getline(lines, line)) {
        if (violations) out += blotted(line) + "\n";
        violations = line.starts_with("violations: ");
        story = story || line.starts_with("what became of ");
        if (story && line.starts_with("  see also "))
            line = "  see also      (shrink, why, replay)";
        if (story && line.starts_with("hash ")) break;
        if (story) out += blotted(line) + "\n";
    }
    return out;
}

}  // namespace

TEST_CASE("reports: what is said of a lost record, of one that must not be there, word for word") {
    const std::string root = KLAMM_SOURCE_DIR;
    const std::vector<std::pair<std::string, std::string>> reports = {
        {"smoke/leader_killed", "R1"},
        {"failover/double", "R2"},
        {"power/leader_flushed", "S1"},
    };
    for (const auto& [scenario, plant] : reports) {
        std::string out;
        Console console;
        console.out = [&](std::string_view text) { out += text; };
        console.err = [](std::string_view) {};
        const std::string file = root + "/scenarios/" + scenario + ".json";
        const std::vector<std::string_view> words{"sim", file, "--seed", "1", "--plant", plant};
        CHECK(run_command(words, console) == 1);
        const std::string golden = root + "/tests/golden/reports/" + plant + ".txt";
        if (std::getenv("KLAMM_GOLDEN") != nullptr) std::ofstream(golden) << told(out);
        std::stringstream expected;
        expected << std::ifstream(golden).rdbuf();
        INFO(golden);
        CHECK(told(out) == expected.str());
        CHECK(expected.str().find("what became of offset #") != std::string::npos);
    }
}
