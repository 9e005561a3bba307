// The command with scenario files: runs, replays, and what it says about files that are none.
#include <catch2/catch.hpp>

#include <fstream>
#include <string>
#include <vector>

#include "bindings/command/commands.h"

using namespace klamm;
using namespace klamm::command;

namespace {

struct Said {
    int status = 0;
    std::string out;
    std::string err;
};

Said say(const std::vector<std::string>& words) {
    Said said;
    Console console;
    console.out = [&](std::string_view text) { said.out += text; };
    console.err = [&](std::string_view text) { said.err += text; };
    const std::vector<std::string_view> views(words.begin(), words.end());
    said.status = run_command(views, console);
    return said;
}

const std::string file = std::string(KLAMM_SOURCE_DIR) + "/scenarios/smoke/leader_killed.json";

std::string last_line(const std::string& text) {
    const std::size_t at = text.rfind('\n', text.size() - 2);
    return text.substr(at + 1, text.size() - at - 2);
}

}  // namespace

TEST_CASE("command: a scenario runs, ends in hash and replay line, and replays the same") {
    const Said one = say({"sim", file, "--seed", "7f3a"});
    CHECK(one.status == 0);
    CHECK(one.out.find("story: 5 of 5 steps\n") != std::string::npos);
    CHECK(one.out.find("goal reached at ") != std::string::npos);
    const std::string replay = last_line(one.out);
    REQUIRE(replay.starts_with("replay klamm replay 2.7f3a.calm."));
    const Said again = say({"replay", replay.substr(20)});
    CHECK(again.status == 0);
    CHECK(again.out == one.out);
    CHECK(say({"sim", file, "--seed", "7f3a", "--plant", "R1"}).status == 1);
}

TEST_CASE("command: a scenario file that is none is wrong usage, with its place") {
    const Said nowhere = say({"sim", "nowhere.json"});
    CHECK(nowhere.status == 5);
    CHECK(nowhere.err == "klamm sim: nowhere.json: cannot be read\n");
    const Said wrong = say({"sim", std::string(KLAMM_SOURCE_DIR) + "/CMakePresets.json"});
    CHECK(wrong.status == 5);
    CHECK(wrong.err.find("CMakePresets.json:2: \"version\" is no key of a scenario") !=
          std::string::npos);
    CHECK(say({"sim", file, "--length", "9s"}).status == 5);
    CHECK(say({"scenario"}).status == 5);
    CHECK(say({"scenario", "nowhere.json"}).status == 5);
    CHECK(say({"replay", "2.1.calm.0.fnowhere.json"}).status == 5);
    CHECK(say({"shrink", "2.1.calm.0.fnowhere.json"}).status == 5);
}

TEST_CASE("command: a scenario holds both ways") {
    const Said both = say({"scenario", file});
    CHECK(both.status == 0);
    CHECK(both.out.find("1 of 1 seeds hold, both ways\n") != std::string::npos);
    CHECK(say({"scenario", "--schema"}).out.starts_with("{\n"));
}

TEST_CASE("command: a swarm is held against a catalogue of goals") {
    const std::string path = std::string(KLAMM_BINARY_DIR) + "/goals_of_command.json";
    const auto swarm = [&](const std::string& moment, const std::string& after_runs) {
        std::ofstream(path)
            << R"({"says": "s", "after_runs": )" + after_runs +
                   R"(, "goals": [{"name": "g", "says": "s", "kind": "reachable",)" +
                   "\n\"moment\": " + moment + "}]}";
        return say({"swarm", "--seeds", "2", "--first-seed", "1", "--profile", "calm", "--length",
                    "3s", "--goals", path});
    };
    const Said reached = swarm(R"({"fact": "leads"})", "2");
    CHECK(reached.status == 0);
    CHECK(reached.out.find("goals: 1 of 1 reached") != std::string::npos);
    const Said overdue = swarm(R"({"fact": "log_offline"})", "2");
    CHECK(overdue.status == 4);
    CHECK(overdue.out.find("never reached:\n") != std::string::npos);
    CHECK(swarm(R"({"fact": "log_offline"})", "3").status == 0);
    const Said wrong = swarm(R"({"fact": "leeds"})", "3");
    CHECK(wrong.status == 5);
    CHECK(wrong.err.find("goals_of_command.json:2: \"fact\": expected one of") !=
          std::string::npos);
}
