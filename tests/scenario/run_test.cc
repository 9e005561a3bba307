// Scenarios that run: the same each time, judged like any run, and an error when they did not do
// what they were written for.
#include <catch2/catch.hpp>

#include <string>

#include "sim/run/report.h"
#include "sim/run/run.h"
#include "sim/run/token.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/token.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

std::string scenario_with(const std::string& story, const std::string& goal = "\"leads\"",
                          const std::string& more = "") {
    return "{\"says\": \"x\", \"length\": \"6s\", \"turned_red_by\": \"R1\","
           "\"goal\": {\"name\": \"g\", \"reached_by\": {\"fact\": " +
           goal + "}}, \"story\": [" + story + "]" + more + "}";
}

RunResult run(const std::string& text, ScenarioRun how = {}) {
    const auto scenario = parse_scenario(text, "f.json");
    if (!scenario.ok()) FAIL(scenario.error().text);
    return run_plan(plan_of(*scenario, how));
}

}  // namespace

TEST_CASE("story: the same seed gives the same hash, another gives another") {
    const std::string text =
        scenario_with("{\"at\": \"2s\", \"kill\": \"leader\", \"for\": \"1s\"}");
    const RunResult one = run(text);
    CHECK(one.verdict == Verdict::passed);
    CHECK(one.counts.kills == 1);
    CHECK(run(text).hash == one.hash);
    CHECK(run(text, {.seed = 2}).hash != one.hash);
}

TEST_CASE("story: before a moment is before it") {
    // The leader is dead before it judges the fetch that it would have judged next.
    const std::string text = scenario_with(
        "{\"at\": \"2s\", \"name\": {\"old\": \"leader\"}},"
        "{\"before\": {\"fact\": \"fetched\", \"by\": \"old\"}, \"kill\": \"old\"}");
    const auto scenario = parse_scenario(text, "f.json");
    REQUIRE(scenario.ok());
    RunHooks hooks;
    Instant killed = instant_never;
    std::uint64_t after = 0;
    hooks.fault_sink = [&](Instant time, const FaultEvent&) { killed = time; };
    hooks.fact_sink = [&](Instant time, const std::string& node, const facts::Fact& fact) {
        if (killed == instant_never || time > killed + milliseconds(500)) return;
        after += node == "broker-1" && std::holds_alternative<facts::FollowerFetched>(fact) ? 1 : 0;
    };
    const RunResult result = run_plan(plan_of(*scenario, {}), hooks);
    CHECK(result.verdict == Verdict::passed);
    CHECK(killed > Instant{} + seconds(2));
    CHECK(after == 0);
    CHECK(run_plan(plan_of(*scenario, {})).hash == result.hash);
}

TEST_CASE("story: a step that never came is an error of the harness") {
    const RunResult result =
        run(scenario_with("{\"at\": \"2s\", \"kill\": \"leader\", \"for\": \"1s\"},"
                          "{\"when\": {\"fact\": \"log_offline\"}, \"kill\": \"leader\"}"));
    CHECK(result.verdict == Verdict::harness_error);
    CHECK(result.complaint.find("step 2 of the story (line 1) never came") != std::string::npos);
}

TEST_CASE("story: a step that was aimed at nobody is an error of the harness") {
    const RunResult result = run(scenario_with("{\"at\": \"2s\", \"kill\": \"ELR member\"}"));
    CHECK(result.verdict == Verdict::harness_error);
    CHECK(result.complaint.find("line 1: nobody is who it is aimed at") != std::string::npos);
}

TEST_CASE("story: a goal that was not reached, and what was expected in vain, are errors") {
    const std::string story = "{\"at\": \"2s\", \"kill\": \"leader\", \"for\": \"1s\"}";
    CHECK(run(scenario_with(story, "\"log_offline\"")).verdict == Verdict::harness_error);
    const auto with = [&](const std::string& expected) {
        return run(scenario_with(story, "\"leads\"", ", \"expect\": {" + expected + "}")).complaint;
    };
    CHECK(with("\"counts\": {\"elections\": {\"at_least\": 2, \"at_most\": 9}}").empty());
    CHECK(with("\"counts\": {\"elections\": {\"at_least\": 100}}").find("expected at least 100") !=
          std::string::npos);
    CHECK(with("\"lost\": {\"O2\": \"some\"}").find("no records lost by O2") != std::string::npos);
    CHECK(with("\"never\": [{\"fact\": \"leads\", \"nth\": 2}]").find("came at") !=
          std::string::npos);
    CHECK(with("\"unavailable_at_most\": \"100ms\"").find("nothing was acknowledged for") !=
          std::string::npos);
    CHECK(with("\"unavailable_at_most\": \"5s\"").empty());
}

TEST_CASE("story: a token names file, digest, seed, profile and plant, and replays") {
    const std::string path = std::string(KLAMM_SOURCE_DIR) + "/scenarios/smoke/leader_killed.json";
    const auto text = read_scenario_file(path);
    REQUIRE(text.ok());
    const auto scenario = parse_scenario(*text, path);
    REQUIRE(scenario.ok());
    const RunPlan plan = plan_of(
        *scenario, {0x7f3a, Profile::calm, Bug::acks_all_like_one, path, scenario_digest(*text)});
    const std::string token = to_token(plan);
    CHECK(is_scenario_token(token));
    const auto again = plan_from_scenario_token(token);
    if (!again.ok()) FAIL(again.error().text);
    CHECK(to_token(*again) == token);
    const RunResult result = run_plan(plan);
    CHECK(result.red());
    CHECK(run_plan(*again).hash == result.hash);
    const std::string report = to_text(plan, result);
    CHECK(report.ends_with("replay klamm replay " + token + "\n"));

    std::string other = token;
    other[other.find(".calm.") + 6] ^= 1;
    CHECK_FALSE(plan_from_scenario_token(other).ok());
    for (const char* wrong : {"2", "2.1", "2.x.calm.0.ff", "2.1.none.0.ff", "2.1.calm.0",
                              "2.1.calm.0.pR0.ff", "2.1.calm.0.f", "2.1.calm.0.f/nowhere"})
        CHECK_FALSE(plan_from_scenario_token(wrong).ok());
}

TEST_CASE("story: a profile lets its storm fall upon the story") {
    const std::string text =
        scenario_with("{\"at\": \"2s\", \"kill\": \"leader\", \"for\": \"1s\"}");
    const auto scenario = parse_scenario(text, "f.json");
    REQUIRE(scenario.ok());
    const RunPlan plan = plan_of(*scenario, {.seed = 3, .profile = Profile::storm});
    CHECK(plan.faults.size() > 3);
    const RunResult result = run_plan(plan);
    CHECK_FALSE(result.red());
    CHECK(result.fired_ids.size() > 3);
}

TEST_CASE("story: keys have their partition, and the first are the most frequent") {
    const auto scenario = parse_scenario(
        scenario_with("{\"at\": \"2s\", \"kill\": \"leader\", \"for\": \"1s\"}", "\"leads\"",
                      ", \"cluster\": {\"partitions\": 4}, \"producers\": [{\"every\": \"2ms\", "
                      "\"keys\": 1000, \"skew\": \"first\"}]"),
        "f.json");
    REQUIRE(scenario.ok());
    std::map<std::int32_t, int> sent;
    RunHooks hooks;
    hooks.fact_sink = [&](Instant, const std::string&, const facts::Fact& fact) {
        if (const auto* send = std::get_if<facts::SendInvoked>(&fact)) ++sent[send->partition];
    };
    CHECK(run_plan(plan_of(*scenario, {}), hooks).verdict == Verdict::passed);
    int most = 0;
    int all = 0;
    for (const auto& [partition, count] : sent) {
        most = std::max(most, count);
        all += count;
    }
    CHECK(all > 500);
    // A tenth of all go to key 0 alone: its partition has more than an even share.
    CHECK(most * 10 > all * 3);
}
