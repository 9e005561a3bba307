// The contract's table against the runs that it names: each rule has its scenario, and where a
// plant is said to break it, the scenario with that plant is red by this very rule.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "checkers/violation.h"
#include "sim/judge/contract.h"
#include "sim/run/trial.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

Scenario scenario_of(const ContractRule& rule) {
    const std::string path = fmt::format("{}/scenarios/{}.json", KLAMM_SOURCE_DIR, rule.scenario);
    const auto text = read_scenario_file(path);
    INFO(path);
    REQUIRE(text.ok());
    auto scenario = parse_scenario(*text, path);
    REQUIRE(scenario.ok());
    return *std::move(scenario);
}

}  // namespace

TEST_CASE("contract: every rule has a scenario, and every code of the checkers is a rule") {
    std::set<std::string_view> ids;
    for (const ContractRule& rule : contract()) {
        CHECK(ids.insert(rule.id).second);
        CHECK(rule.sentence.ends_with("."));
        (void)scenario_of(rule);
    }
    for (int code = 0; code < static_cast<int>(checkers::Code::malformed); ++code)
        CHECK(contract_knows(checkers::to_string(static_cast<checkers::Code>(code))));
    CHECK_FALSE(contract_knows("I99"));
}

TEST_CASE("contract: the plant that breaks a rule turns its scenario red by that rule") {
    std::map<std::pair<std::string_view, std::string_view>, Trial> trials;
    for (const ContractRule& rule : contract()) {
        if (!rule.by_plant()) continue;
        const auto [at, fresh] = trials.try_emplace({rule.scenario, rule.broken_by});
        if (fresh) {
            ScenarioRun run;
            run.plant = bug_from_name(rule.broken_by);
            REQUIRE(run.plant.has_value());
            at->second = run_forked_trial(plan_of(scenario_of(rule), run));
        }
        std::string shown;
        for (const TrialFinding& finding : at->second.findings) shown += finding.rule + " ";
        INFO(rule.id << " by " << rule.broken_by << " in " << rule.scenario << ": " << shown);
        CHECK(at->second.shows(std::string(rule.id)));
    }
    CHECK(trials.size() > 5);
}
