// When a failure became likely: where the share rises, and a run with a planted bug that says so.
#include <catch2/catch.hpp>

#include "sim/picture/why.h"
#include "tests/picture/room.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;

namespace {

std::vector<WhyMoment> shares(const std::vector<std::uint32_t>& failed) {
    std::vector<WhyMoment> moments;
    for (const std::uint32_t one : failed)
        moments.push_back(
            {Instant{} + seconds(static_cast<std::int64_t>(moments.size())), 10, 16, one, 0});
    return moments;
}

/// The red ones among the plans of these seeds.
std::vector<RunPlan> red_plans(Bug bug, std::uint64_t seeds) {
    PlanOptions options;
    options.plant = bug;
    options.length = seconds(15);
    std::vector<RunPlan> red;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        RunPlan plan = make_plan(seed, options);
        RunHooks hooks;
        hooks.stop_at_first_violation = true;
        if (run_plan(plan, hooks).red()) red.push_back(std::move(plan));
    }
    return red;
}

}  // namespace

TEST_CASE("why: the greatest rise is the later of equals, and none when nothing rises") {
    REQUIRE(greatest_rise(shares({0, 1, 9, 10, 16})) == 1);
    REQUIRE(greatest_rise(shares({0, 8, 8, 16})) == 2);
    REQUIRE(greatest_rise(shares({16, 3, 9, 10})) == 1);
    REQUIRE(greatest_rise(shares({16, 16, 16})) == 3);
    REQUIRE(greatest_rise(shares({})) == 0);
}

TEST_CASE("why: a run that is not red has nothing to explain") {
    const WhyResult result = why(small_plan(1, Profile::calm));
    REQUIRE(!result.reproduced);
    REQUIRE(to_text(result).find("nothing to explain") != std::string::npos);
}

TEST_CASE("why: branches share the past, and near the failure nearly all of them fail") {
    const std::vector<RunPlan> plans = red_plans(*bug_from_name("R2"), 30);
    REQUIRE(!plans.empty());
    WhyOptions options;
    options.branches = 6;
    options.moments_max = 12;
    // Where it could not be avoided from the start, nothing rises.
    std::size_t one = 0;
    WhyResult result = why(plans[one], options);
    while (!result.rises() && ++one < plans.size()) result = why(plans[one], options);
    REQUIRE(result.reproduced);
    REQUIRE(result.moments.size() >= 5);
    for (std::size_t i = 0; i + 1 < result.moments.size(); ++i) {
        REQUIRE(result.moments[i].at < result.moments[i + 1].at);
        REQUIRE(result.moments[i].event <= result.moments[i + 1].event);
        REQUIRE(result.moments[i].at < result.failure);
    }
    // One nanosecond before, what is about to fail has been decided.
    REQUIRE(result.moments.back().share() >= 800'000);
    const std::string text = to_text(result);
    REQUIRE(text.find("failed at") != std::string::npos);
    REQUIRE(result.rises());
    REQUIRE(result.moments[result.rise].share() < result.moments[result.rise + 1].share());
    for (const TimelineEntry& entry : result.between) {
        REQUIRE(entry.time >= result.moments[result.rise].at);
        REQUIRE(entry.time <= result.moments[result.rise + 1].at);
    }
    // The same again: it is a function of the plan.
    const WhyResult again = why(plans[one], options);
    REQUIRE(to_text(again) == text);
}
