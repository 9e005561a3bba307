// Runs whose controllers are a quorum: plans, faults that fall on controllers, and facts of what
// one controller has decided and another commits.

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "sim/run/listener.h"
#include "sim/run/report.h"
#include "sim/run/run.h"
#include "sim/run/token.h"

namespace klamm::sim {
namespace {

PlanOptions quorum_options(Duration length = seconds(12)) {
    PlanOptions options;
    options.profile = Profile::quorum;
    options.length = length;
    return options;
}

bool hits_controller(const FaultEvent& fault) {
    return std::any_of(fault.targets.begin(), fault.targets.end(),
                       [](std::uint32_t target) { return target >= first_controller; });
}

TEST_CASE("quorum plans: one to five controllers, and faults that fall on them") {
    std::set<std::uint32_t> sizes;
    std::set<FaultKind> kinds;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        const RunPlan plan = make_plan(seed, quorum_options());
        sizes.insert(plan.cluster.controllers);
        for (const FaultEvent& fault : plan.faults) {
            if (hits_controller(fault)) kinds.insert(fault.kind);
            for (const std::uint32_t target : fault.targets)
                CHECK((target < 3 || (target >= first_controller &&
                                      target < first_controller + plan.cluster.controllers)));
        }
        std::size_t down = 0;
        for (const std::uint32_t target : plan.left_down) down += target >= first_controller;
        CHECK(2 * down < plan.cluster.controllers);
    }
    CHECK(sizes == std::set<std::uint32_t>{1, 2, 3, 4, 5});
    for (const FaultKind kind :
         {FaultKind::kill, FaultKind::kill_in_turn, FaultKind::power_loss_one,
          FaultKind::power_loss_some, FaultKind::power_loss_all, FaultKind::pause,
          FaultKind::partition_two_way, FaultKind::isolate_from_controller,
          FaultKind::clean_restart, FaultKind::disk_error_syncs}) {
        INFO(to_string(kind));
        CHECK(kinds.contains(kind));
    }
    // A voter that has lost its disk may cost what was committed: no drawn fault does that.
    CHECK_FALSE(kinds.contains(FaultKind::wipe));
    for (const Profile other : {Profile::weather, Profile::storm, Profile::power, Profile::disk}) {
        PlanOptions options = quorum_options();
        options.profile = other;
        const RunPlan plan = make_plan(3, options);
        CHECK(plan.cluster.controllers == 0);
        CHECK(std::none_of(plan.faults.begin(), plan.faults.end(), hits_controller));
    }
    CHECK(target_name(1) == "broker-2");
    CHECK(target_name(first_controller + 1) == "controller-2");
    const RunPlan plan = make_plan(3, quorum_options());
    CHECK(to_token(*from_token(to_token(plan))) == to_token(plan));
}

TEST_CASE("quorum runs: they pass, are the same each time, and controllers come and go") {
    std::uint64_t elections = 0;
    std::set<FaultKind> fired;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const RunPlan plan = make_plan(seed, quorum_options());
        RunHooks hooks;
        hooks.fault_sink = [&](Instant, const FaultEvent& fault) {
            if (hits_controller(fault)) fired.insert(fault.kind);
        };
        const RunResult result = run_plan(plan, hooks);
        INFO(to_text(plan, result));
        CHECK(result.verdict == Verdict::passed);
        elections += result.counts.quorum_elections;
        if (seed == 1) CHECK(run_plan(plan).hash == result.hash);
    }
    CHECK(elections > 12);
    CHECK(fired.contains(FaultKind::kill));
    CHECK(fired.contains(FaultKind::isolate_from_controller));
    CHECK(fired.size() > 6);
}

TEST_CASE("quorum runs: what is committed is told once, in order, whoever commits it") {
    std::uint64_t inherited = 0;
    std::uint64_t dropped = 0;
    // Twenty, and more until somebody has committed what another decided, which is rare.
    for (std::uint64_t seed = 1; seed <= 20 || (seed <= 200 && inherited == 0); ++seed) {
        std::map<std::string, std::string> deciders;  // by what was decided, in words
        std::set<std::string> told;
        std::uint64_t decisions = 0;
        std::int64_t last = -1;
        RunHooks hooks;
        hooks.fact_sink = [&](Instant, const std::string& node, const facts::Fact& fact) {
            if (const auto* decided = std::get_if<facts::MetadataDecided>(&fact)) {
                ++decisions;
                std::visit([&](const auto& what) { deciders[describe(what)] = node; },
                           decided->what);
                return;
            }
            const auto* what = std::get_if<facts::PartitionCommitted>(&fact);
            if (what != nullptr) {
                CHECK(what->metadata_offset > last);
                last = what->metadata_offset;
            }
            if (what == nullptr && !std::holds_alternative<facts::BrokerRegistered>(fact) &&
                !std::holds_alternative<facts::BrokerFencing>(fact))
                return;
            told.insert(describe(fact));
            const auto decider = deciders.find(describe(fact));
            REQUIRE(decider != deciders.end());
            inherited += decider->second != node ? 1 : 0;
        };
        const RunResult result = run_plan(make_plan(seed, quorum_options(seconds(30))), hooks);
        CHECK(result.verdict == Verdict::passed);
        CHECK(told.size() > 3);
        CHECK(told.size() <= decisions);
        dropped += deciders.size() - told.size();
    }
    CHECK(inherited > 0);
    CHECK(dropped > 0);
}

}  // namespace
}  // namespace klamm::sim
