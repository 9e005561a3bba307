// The command line: what is refused and how, exit statuses, and the last lines of a run.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "tests/command/outcome.h"

using namespace klamm;
using namespace klamm::command;
using namespace klamm::tests;

namespace {

/// The last word of the last line that begins so.
std::string told(const std::string& text, const std::string& beginning) {
    const auto at = text.rfind("\n" + beginning);
    if (at == std::string::npos) return {};
    std::istringstream line(text.substr(at + 1, text.find('\n', at + 1) - at - 1));
    std::string word;
    while (line >> word) {
    }
    return word;
}

std::string scratch(const std::string& name) { return std::string(KLAMM_BINARY_DIR) + "/" + name; }

}  // namespace

TEST_CASE("command: wrong usage is one sentence and status 5") {
    const std::vector<std::vector<std::string_view>> wrong = {
        {},
        {"nonsense"},
        {"sim", "--lenght", "60s"},
        {"sim", "--length", "60"},
        {"sim", "--length", "0s"},
        {"sim", "--length", "99999999999h"},
        {"sim", "--seed"},
        {"sim", "--seed", "xyz"},
        {"sim", "--seed", "12345678901234567"},
        {"sim", "--seed", "1", "--seed", "2"},
        {"sim", "--profile", "sunny"},
        {"sim", "--plant", "R99"},
        {"sim", "--off", "kill,nonsense"},
        {"sim", "extra"},
        {"sim", "--trace", "/nonexistent/trace"},
        {"replay"},
        {"replay", "not a token"},
        {"replay", "1.1.storm", "another"},
        {"replay", "1.1.storm", "--events", "9-3"},
        {"replay", "1.1.storm", "--log=yes"},
        {"swarm", "--seeds", "0"},
        {"swarm", "--jobs", "1000000"},
        {"zoo", "--bug", "Z1"},
        {"zoo", "--budget", "soon"},
        {"shrink"},
        {"diverge", "1.2.3"},
        {"check", "/nonexistent/history"},
        {"contract", "extra"},
        {"distance"},
        {"distance", "/nonexistent/config"},
        {"zoo", "--out", "/nonexistent/README.md"},
        {"broker", "--nonsense"},
        {"broker", "--topic"},
        {"broker", "--topic", ""},
        {"broker", "--topic", "a/b"},
        {"broker", "--topic", ".."},
        {"broker", "--brokers", "0"},
        {"broker", "--controllers", "0"},
        {"broker", "--listen", "127.0.0.1"},
        {"broker", "--set", "log.dirs"},
        {"broker", "--set", "min.insync.replicas=0"},
        {"broker", "--set", "colour=red"},
        {"broker", "--set", "num.io.threads=8"},
        {"broker", "--set", "process.roles=king"},
        {"broker", "--set", "process.roles=broker"},
        {"broker", "--set", "listeners=nowhere"},
        {"broker", "/nonexistent/server.properties"},
    };
    for (const auto& words : wrong) {
        const Outcome outcome = klamm_command(words);
        CAPTURE(outcome.err, words.size(), words.empty() ? "" : std::string(words.back()));
        const bool broker = !words.empty() && words.front() == "broker";
        REQUIRE(outcome.status == (broker ? 2 : 5));
        REQUIRE(outcome.out.empty());
        REQUIRE(outcome.err.starts_with("klamm"));
        REQUIRE(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
    }
}

TEST_CASE("command: help names every command, and the version is told") {
    const Outcome help = klamm_command({"--help"});
    REQUIRE(help.status == 0);
    for (const char* name :
         {"sim ", "replay ", "shrink ", "diverge ", "swarm ", "zoo ", "check ", "broker "}) {
        REQUIRE(help.out.find(name) != std::string::npos);
    }
    REQUIRE(klamm_command({"--version"}).out.starts_with("klamm "));
}

TEST_CASE("command: durations, seeds and kinds") {
    REQUIRE(parse_duration("500ms").value() == milliseconds(500));
    REQUIRE(parse_duration("60s").value() == seconds(60));
    REQUIRE(parse_duration("2m").value() == seconds(120));
    REQUIRE(parse_duration("1h").value() == seconds(3600));
    for (const char* text : {"", "s", "-1s", "1.5s", "1 s", "1d"})
        REQUIRE_FALSE(parse_duration(text));
    REQUIRE(parse_seed("7f3a").value() == 0x7f3a);
    REQUIRE(parse_seed("ffffffffffffffff").value() == ~std::uint64_t{0});
    REQUIRE(parse_kinds("kill,power-loss-all").value().size() == 2);
    REQUIRE_FALSE(parse_kinds("kill,"));
    REQUIRE(parse_bug("R2").value() == parse_bug("truncate-to-hw").value());
}

TEST_CASE("command: a run ends with its hash and a line that replays it") {
    const Outcome run = klamm_command({"sim", "--seed", "5", "--profile=calm", "--length", "5s"});
    REQUIRE(run.err.empty());
    const std::string hash = told(run.out, "hash ");
    const std::string token = told(run.out, "replay klamm replay ");
    REQUIRE(hash.size() == 16);
    REQUIRE(run.out.ends_with("\nhash " + hash + "\nreplay klamm replay " + token + "\n"));
    const Outcome again = klamm_command({"replay", token});
    REQUIRE(again.status == run.status);
    REQUIRE(again.out == run.out);
    const Outcome checkpoints = klamm_command({"replay", token, "--checkpoints"});
    REQUIRE(told("\n" + checkpoints.out, "end ") == hash);
    const Outcome events = klamm_command({"replay", token, "--events", "3-5"});
    REQUIRE(events.out.starts_with("#3 "));
    REQUIRE(std::count(events.out.begin(), events.out.end(), '\n') == 3);
}

TEST_CASE("command: a planted bug is a safety violation, status 1") {
    const Outcome run = klamm_command({"sim", "--seed", "1", "--plant", "R1", "--length", "10s"});
    REQUIRE(run.status == 1);
    REQUIRE(run.out.find("verdict safety") != std::string::npos);
}

TEST_CASE("command: an exported history can be checked, and a trace is written") {
    const std::string history = scratch("command_test.history.jsonl");
    const std::string trace = scratch("command_test.trace.jsonl");
    const Outcome run = klamm_command({"sim", "--seed", "5", "--profile", "calm", "--length", "5s",
                                       "--export-history", history, "--trace", trace});
    REQUIRE(run.status == 0);
    const Outcome check = klamm_command({"check", history});
    REQUIRE(check.status == 0);
    REQUIRE(check.out.ends_with("passed\n"));
    std::ifstream lines(trace);
    std::string line;
    REQUIRE(std::getline(lines, line));
    REQUIRE(line.starts_with("{\""));
    std::ofstream(history, std::ios::app) << "{\"kind\":\"nonsense\"}\n";
    REQUIRE(klamm_command({"check", history}).status == 4);
}

TEST_CASE("command: CONTRACT.md is what klamm contract writes") {
    std::ifstream file(std::string(KLAMM_SOURCE_DIR) + "/CONTRACT.md");
    std::stringstream text;
    text << file.rdbuf();
    const Outcome written = klamm_command({"contract"});
    REQUIRE(written.status == 0);
    REQUIRE(written.out == text.str());
}

TEST_CASE("command: a shrink of a run that passes says so") {
    const Outcome run =
        klamm_command({"sim", "--seed", "5", "--profile", "calm", "--length", "5s"});
    REQUIRE(run.status == 0);
    const Outcome outcome = klamm_command({"shrink", told(run.out, "replay klamm replay ")});
    REQUIRE(outcome.status == 4);
    REQUIRE(outcome.out == "the run is not red: passed\n");
}

TEST_CASE("command: swarm and zoo print their figures") {
    const Outcome swarm = klamm_command(
        {"swarm", "--seeds", "3", "--first-seed", "1", "--length", "5s", "--profile", "calm"});
    REQUIRE(swarm.out.starts_with("3 runs from seed 1:"));
    REQUIRE(swarm.out.find("medians:") != std::string::npos);
    const Outcome zoo = klamm_command({"zoo", "--bug", "R1", "--length", "8s"});
    REQUIRE(zoo.status == 0);
    REQUIRE(zoo.out.starts_with("R1 acks-all-like-one: found in "));
}
