// Shrinking: its search on made-up failures, and on what the swarm finds of every planted bug.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/run/shrink.h"
#include "sim/run/token.h"
#include "sim/run/zoo.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

bool holds_all(const Kept& kept, const Kept& wanted) {
    return std::includes(kept.begin(), kept.end(), wanted.begin(), wanted.end());
}

/// A made-up run: it fails iff these faults are in the plan.
Trial made_up_trial(const RunPlan& plan, const std::vector<FaultId>& wanted) {
    Trial trial;
    trial.verdict = Verdict::passed;
    std::size_t found = 0;
    for (const FaultEvent& fault : plan.faults) {
        trial.fired_ids.push_back(fault.id);
        found += static_cast<std::size_t>(std::count(wanted.begin(), wanted.end(), fault.id));
    }
    if (found == wanted.size()) {
        trial.verdict = Verdict::safety;
        trial.findings.push_back({"O5", "made up"});
    }
    return trial;
}

}  // namespace

TEST_CASE("shrink: the search keeps what is needed and nothing else") {
    for (const Kept& wanted : {Kept{}, Kept{0}, Kept{99}, Kept{3, 50, 98}, Kept{10, 11, 12, 13}}) {
        std::uint64_t asked = 0;
        const Fails fails = [&](const Kept& kept) {
            ++asked;
            REQUIRE(std::is_sorted(kept.begin(), kept.end()));
            return holds_all(kept, wanted);
        };
        REQUIRE(leave_out(failing_suffix(100, fails), fails) == wanted);
        REQUIRE(asked < 120);
    }
}

TEST_CASE("shrink: two faults of many are found, and each is needed") {
    PlanOptions asked;
    asked.length = seconds(60);
    const RunPlan plan = make_plan(0x77, asked);
    REQUIRE(plan.faults.size() > 6);
    const std::vector<FaultId> wanted{plan.faults[1].id, plan.faults[plan.faults.size() - 2].id};
    ShrinkOptions options;
    options.run = [&](const RunPlan& one) { return made_up_trial(one, wanted); };
    const ShrinkResult result = shrink(plan, options);
    REQUIRE(result.reproduced);
    REQUIRE(result.one_minimal());
    REQUIRE(result.plan.faults.size() == 2);
    REQUIRE(result.replays <= options.replays_max);
    REQUIRE(from_token(to_token(result.plan))->faults == result.plan.faults);
}

TEST_CASE("shrink: at the bound of replays the best so far is given, and no claim is made") {
    PlanOptions asked;
    asked.length = seconds(60);
    const RunPlan plan = make_plan(0x77, asked);
    const std::vector<FaultId> wanted{plan.faults[0].id, plan.faults[1].id};
    ShrinkOptions options;
    options.replays_max = 3;
    options.run = [&](const RunPlan& one) { return made_up_trial(one, wanted); };
    const ShrinkResult result = shrink(plan, options);
    REQUIRE(result.replays <= 3);
    REQUIRE_FALSE(result.one_minimal());
    REQUIRE(made_up_trial(result.plan, wanted).red());
}

TEST_CASE("shrink: a run that passes is not shrunk") {
    ShrinkOptions options;
    options.run = [](const RunPlan& one) { return made_up_trial(one, {fault_none}); };
    const ShrinkResult result = shrink(make_plan(1, {}), options);
    REQUIRE_FALSE(result.reproduced);
    REQUIRE(result.replays == 1);
}

namespace {

/// Finds the plant by the swarm from a first seed on, shrinks the find, and holds it to the bounds.
void find_and_shrink(Bug bug, std::uint64_t first_seed) {
    ZooOptions zoo;
    zoo.bug = bug;
    zoo.swarm.first_seed = first_seed;
    const ZooResult found = visit(zoo);
    REQUIRE(found.as_expected());
    const auto plan = from_token(found.trial.token);
    REQUIRE(plan);
    const ShrinkResult result = shrink(*plan);
    REQUIRE(result.reproduced);
    CAPTURE(to_text(result));
    REQUIRE(counted_finding(result.trial, bug) != nullptr);
    // What breaks an invariant in fair weather needs no fault for that.
    const bool fair_weather = need_of(bug).for_harm && !need_of(bug).found_by_harm;
    REQUIRE(result.plan.faults.empty() == fair_weather);
    REQUIRE(result.plan.faults.size() <= 10);
    REQUIRE(result.operations.size() <= 20);
    REQUIRE(result.replays <= 300);
    REQUIRE(result.one_minimal());
    const auto again = from_token(to_token(result.plan));
    REQUIRE(again);
    REQUIRE(run_forked_trial(*again).hash == result.trial.hash);
    for (const FaultEvent& fault : result.plan.faults) {
        PlanEdits edits = result.plan.edits;
        edits.removed.insert(fault.id);
        REQUIRE(counted_finding(run_forked_trial(with_edits(*plan, edits)), bug) == nullptr);
    }
}

}  // namespace

TEST_CASE("shrink: R1 comes down to few faults and operations, each fault needed") {
    find_and_shrink(Bug::acks_all_like_one, 1);
}
TEST_CASE("shrink: R2 comes down to few faults and operations, each fault needed") {
    find_and_shrink(Bug::truncate_to_hw, 1);
}
TEST_CASE("shrink: R4 comes down to few faults and operations, each fault needed") {
    find_and_shrink(Bug::isr_join_below_epoch_start, 1);
}
TEST_CASE("shrink: R7 comes down to few faults and operations, each fault needed") {
    find_and_shrink(Bug::diverging_fetch_advances_hw, 2);  // of 1: tests/known_red.md
}
TEST_CASE("shrink: S1 comes down to few faults and operations, each fault needed") {
    find_and_shrink(Bug::ack_before_flush, 1);
}
TEST_CASE("shrink: S7 comes down to few faults and operations, each fault needed") {
    find_and_shrink(Bug::recovery_trusts_length, 1);
}
TEST_CASE("shrink: F1 comes down to few faults and operations, each fault needed") {
    find_and_shrink(Bug::truncate_under_file_range, 1);
}
