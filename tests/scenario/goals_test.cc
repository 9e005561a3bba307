// The catalogue of goals: its form, what it says of runs, and when a swarm has to fail by it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "sim/run/fault_rates.h"
#include "sim/run/trial.h"
#include "sim/scenario/goals.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/spec.h"
#include "tests/scenario/files.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;

namespace {

/// A catalogue with these goals, one a line from line 4 on.
std::string with_goals(const std::string& goals) {
    return "{\n\"says\": \"x\", \"after_runs\": 3,\n\"goals\": [\n" + goals + "\n]}\n";
}

GoalCatalogue goals_of(const std::string& goals) {
    const auto read = parse_goals(with_goals(goals), "f");
    INFO((read.ok() ? "" : read.error().text));
    REQUIRE(read.ok());
    return *read;
}

std::string goals_error(const std::string& goals) {
    const auto read = parse_goals(with_goals(goals), "f");
    return read.ok() ? "no error" : read.error().text;
}

const std::string leads =
    R"({"name": "a", "says": "s", "kind": "reachable", "moment": {"fact": "leads"}})";

std::string of_counts(const std::string& name, const std::string& kind, const std::string& counts,
                      const std::string& more = "") {
    return R"({"name": ")" + name + R"(", "says": "s", "kind": ")" + kind + R"(", "counts": )" +
           counts + more + "}";
}

RunPlan calm_plan() {
    PlanOptions options;
    options.profile = Profile::calm;
    options.length = seconds(4);
    return make_plan(3, options);
}

SwarmReport swarm_of(std::uint64_t runs, const GoalCatalogue& goals) {
    SwarmOptions options;
    options.seeds = runs;
    options.profile = Profile::calm;
    options.length = seconds(3);
    options.watch = watch_goals(goals);
    return run_swarm(options);
}

}  // namespace

TEST_CASE("goals: the catalogues of the tree are read, and each fault that is drawn has a goal") {
    std::set<std::string> counts;
    for (const std::string name :
         {"goals.json", "goals.disk.json", "goals.edge.json", "goals.groups.json"}) {
        const auto goals = parse_goals(text_of(root + "/scenarios/" + name), name);
        INFO((goals.ok() ? "" : goals.error().text));
        REQUIRE(goals.ok());
        for (const GoalKind kind : {GoalKind::always, GoalKind::sometimes, GoalKind::reachable})
            CHECK(std::any_of(goals->begin(), goals->end(),
                              [&](const Goal& goal) { return goal.kind == kind; }));
        for (const Goal& goal : *goals)
            for (const auto& [count, bounds] : goal.counts)
                if (bounds.at_least.value_or(0) > 0) counts.insert(count);
    }
    for (std::size_t i = 0; i < fault_kind_count; ++i) {
        const auto kind = static_cast<FaultKind>(i);
        bool drawn = false;
        for (std::size_t p = 0; p < static_cast<std::size_t>(Profile::count_); ++p)
            drawn = drawn || faults_an_hour(static_cast<Profile>(p), kind) > 0;
        INFO(to_string(kind));
        CHECK((!drawn || counts.contains(std::string("fired.") + to_string(kind))));
    }
}

TEST_CASE("goals: the published schema and its document are those of the tables") {
    CHECK(text_of(root + "/scenarios/goals.schema.json") == goals_schema_json());
    CHECK(text_of(root + "/scenarios/GOALS.md") == goals_document());
}

TEST_CASE("goals: errors name file, line, key and what was expected") {
    CHECK(goals_error(leads) == "no error");
    CHECK(goals_error(R"({"name": "a", "says": "s", "kind": "rarely"})") ==
          "f:4: \"kind\": expected one of \"always\", \"sometimes\", \"reachable\", found "
          "\"rarely\"");
    CHECK(goals_error(R"({"name": "a", "kind": "reachable"})") ==
          "f:4: \"says\" is missing from a goal of runs: expected text");
    CHECK(goals_error(R"({"name": "a", "says": "s", "kind": "reachable", "momment": {}})") ==
          "f:4: \"momment\" is no key of a goal of runs; did you mean \"moment\"?");
    CHECK(goals_error(R"({"name": "a", "says": "s", "kind": "reachable"})") ==
          "f:4: \"moment\" is missing: a goal that is reachable has one");
    CHECK(goals_error(R"({"name": "a", "says": "s", "kind": "sometimes"})") ==
          "f:4: \"counts\" is missing: a goal that is sometimes has some");
    CHECK(goals_error(leads + ",\n" + leads) == "f:5: \"name\": there are two goals \"a\"");
    CHECK(goals_error(leads + ",\n" +
                      of_counts("b", "always", "{\"electons\": {\"at_least\": 1}}")) ==
          "f:5: \"electons\" is no count of a run; did you mean \"elections\"?");
    CHECK(goals_error(of_counts("b", "always", R"({"lost.O9": {"at_most": 0}})"))
              .starts_with("f:4: \"lost.O9\" is no count of a run; "));
    CHECK(goals_error(R"({"name": "a", "says": "s", "kind": "reachable",
        "moment": {"fact": "leads", "by": "broker-2"}})") ==
          "f:5: \"broker-2\": expected a role such as \"leader\", drawn clusters are of any size");
    CHECK(goals_error(R"({"name": "a", "says": "s", "kind": "reachable",
        "moment": {"fact": "leads", "reason": "reset"}})")
              .starts_with("f:5: \"reason\" says nothing about \"leads\""));
    CHECK(goals_error("").find("expected at least one") != std::string::npos);
}

TEST_CASE("goals: a run says what came of each, and watching does not change it") {
    const GoalCatalogue goals = goals_of(
        leads + ",\n" +
        R"({"name": "b", "says": "s", "kind": "reachable", "moment": {"fact": "log_offline"}},)" +
        R"({"name": "c", "says": "s", "kind": "reachable",
            "moment": {"fact": "started", "nth": 1000}},)" +
        of_counts("d", "sometimes",
                  R"({"kills": {"at_most": 0}, "batches_acked": {"at_least": 1}})") +
        "," + of_counts("e", "sometimes", R"({"fired.kill": {"at_least": 1}})") + "," +
        of_counts("f", "always", R"({"lost.O5": {"at_most": 0}, "promised": {"at_least": 1}})") +
        "," + of_counts("g", "always", R"({"elections": {"at_most": 0}})") + "," +
        of_counts("h", "always", R"({"elections": {"at_most": 0}})",
                  R"(, "moment": {"fact": "log_offline"})"));
    const RunPlan plan = calm_plan();
    RunPlan watched = plan;
    watched.director = watch_goals(goals);
    const Trial trial = trial_from_bytes(to_bytes(run_trial(watched)));
    using O = GoalOutcome;
    const std::vector<O> expected{O::reached, O::none,    O::none,   O::reached,
                                  O::none,    O::reached, O::broken, O::none};
    CHECK(trial.goals == expected);
    const Trial alone = run_trial(plan);
    CHECK(alone.goals.empty());
    CHECK(alone.hash == trial.hash);
    CHECK(alone.token == trial.token);
    CHECK(alone.verdict == trial.verdict);
}

TEST_CASE("goals: a swarm counts them and fails when one is overdue or broken") {
    const std::string never = of_counts("n", "sometimes", R"({"kills": {"at_least": 1}})");
    const GoalCatalogue due = goals_of(leads + ",\n" + never);
    const SwarmReport young = swarm_of(2, due);
    REQUIRE(young.goals.size() == 2);
    CHECK(young.goals[0].reached == 2);
    CHECK(young.goals[0].first == 1);
    CHECK(young.discoveries[static_cast<std::size_t>(Profile::calm)] == 1);
    CHECK(goals_verdict(due, young) == Verdict::passed);
    CHECK(goals_text(due, young).find("goals: 1 of 2 reached") == 0);
    const SwarmReport grown = swarm_of(3, due);
    CHECK(grown.verdict() == Verdict::passed);
    CHECK(goals_verdict(due, grown) == Verdict::harness_error);
    CHECK(goals_text(due, grown).find("overdue since run 3") != std::string::npos);
    CHECK(to_text(grown).find("discoveries: 1, ") != std::string::npos);

    const GoalCatalogue broken =
        goals_of(of_counts("b", "always", R"({"elections": {"at_most": 0}})"));
    const SwarmReport one = swarm_of(1, broken);
    CHECK(goals_verdict(broken, one) == Verdict::safety);
    CHECK(goals_text(broken, one).find(one.goals[0].broken_token) != std::string::npos);
    // Nobody has watched, or each run has died: nothing is reached.
    CHECK(goals_verdict(broken, SwarmReport{}) == Verdict::passed);
    SwarmReport dead;
    dead.runs = 3;
    CHECK(goals_verdict(broken, dead) == Verdict::harness_error);
}

TEST_CASE("goals: a catalogue with any byte changed is read or refused with its line") {
    const std::string whole = text_of(root + "/scenarios/goals.json");
    for (std::size_t at = 0; at < whole.size(); at += 41) {
        for (const char byte : {'}', '"', '7', ',', 'x'}) {
            std::string text = whole;
            text[at] = byte;
            const auto goals = parse_goals(text, "f");
            if (!goals.ok()) CHECK(goals.error().text.starts_with("f:"));
        }
    }
}
