// Tokens survive change that has nothing to do with them: draws are keyed by what they mean, so one
// more of them, one more fault or one operation less leaves the rest of a run as it was.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <iterator>
#include <map>
#include <tuple>

#include "core/base/draws.h"
#include "sim/run/run.h"
#include "sim/run/swarm.h"
#include "sim/world/world.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

constexpr DrawDomain elsewhere_domain = draw_domain("test.elsewhere");

PlanOptions short_run(Profile profile) {
    PlanOptions options;
    options.profile = profile;
    options.length = seconds(12);
    return options;
}

RunHooks to_first_violation() {
    RunHooks hooks;
    hooks.stop_at_first_violation = true;
    return hooks;
}

/// Plans whose runs are red by a planted bug, of five bugs in turn.
std::vector<RunPlan> failing_plans(std::size_t count) {
    std::vector<RunPlan> plans;
    const std::array bugs{Bug::acks_all_like_one, Bug::truncate_to_hw, Bug::ack_before_flush,
                          Bug::recovery_trusts_length, Bug::isr_join_below_epoch_start};
    for (std::uint64_t seed = 1; plans.size() < count; ++seed) {
        REQUIRE(seed < 40 * count);
        SwarmOptions options;
        options.plant = bugs[seed % bugs.size()];
        options.profile = seed % 2 == 0 ? Profile::power : Profile::storm;
        options.length = seconds(12);
        RunPlan plan = swarm_plan(options, seed);
        if (run_plan(plan, to_first_violation()).verdict == Verdict::safety)
            plans.push_back(std::move(plan));
    }
    return plans;
}

/// One fault more than was planned: what a change of the generator would bring.
RunPlan with_one_more_fault(RunPlan plan) {
    const Draws draws(plan.seed);
    FaultEvent more;
    more.kind = FaultKind::connection_reset;
    more.id = fault_id(more.kind, 9'999);
    more.at =
        Instant{} + nanoseconds(draws.between(0, plan.safety.nanoseconds, elsewhere_domain, 0, 0));
    more.targets = {static_cast<std::uint32_t>(
        draws.below(plan.cluster.shards.size(), elsewhere_domain, 0, 1))};
    more.draw = draws.word(elsewhere_domain, 0, 2);
    plan.faults.push_back(more);
    return plan;
}

using Sent = std::tuple<std::string, std::int64_t, std::uint64_t>;

/// What clients sent to a partition: who, when, which value.
std::map<std::int32_t, std::vector<Sent>> sends_of(const RunPlan& plan) {
    std::map<std::int32_t, std::vector<Sent>> sends;
    RunHooks hooks;
    hooks.fact_sink = [&](Instant at, const std::string& node, const facts::Fact& fact) {
        if (const auto* sent = std::get_if<facts::SendInvoked>(&fact))
            sends[sent->partition].emplace_back(node, at.nanoseconds, sent->value);
    };
    (void)run_plan(plan, hooks);
    for (auto& [partition, all] : sends) std::sort(all.begin(), all.end());
    return sends;
}

}  // namespace

TEST_CASE("survival: a draw more at every event changes nothing") {
    for (const std::uint64_t seed : {3, 4}) {
        const RunPlan plan = make_plan(seed, short_run(Profile::storm));
        RunHooks hooks;
        std::uint64_t drawn = 0;
        hooks.after_event = [&](World& world) {
            drawn ^= world.draws().word(elsewhere_domain, world.events(), 0);
        };
        CHECK(run_plan(plan, hooks).hash == run_plan(plan).hash);
        CHECK(drawn != 0);
    }
}

TEST_CASE("survival: of a hundred failing tokens ninety fail with one fault more") {
    constexpr std::size_t count = 100;
    std::size_t failing = 0;
    for (const RunPlan& plan : failing_plans(count)) {
        const RunResult again = run_plan(with_one_more_fault(plan), to_first_violation());
        failing += again.verdict == Verdict::safety ? 1 : 0;
    }
    INFO(failing);
    CHECK(10 * failing >= 9 * count);
}

TEST_CASE("survival: an operation less leaves what is drawn for other partitions as it was") {
    std::size_t others = 0;
    std::size_t same = 0;
    for (std::uint64_t seed = 1; others < 2'000; ++seed) {
        REQUIRE(seed < 200);
        RunPlan plan = make_plan(seed, short_run(Profile::calm));
        if (plan.cluster.partitions < 2 || plan.workload.producers.empty()) continue;
        const auto before = sends_of(plan);
        // The partition of the operation that goes: whose sends are fewer then.
        plan.workload.producers.front().pacing.skip.insert(5);
        const auto after = sends_of(plan);
        for (const auto& [partition, sent] : before) {
            const auto there = after.find(partition);
            if (there == after.end() || there->second.size() < sent.size()) continue;
            others += sent.size();
            std::vector<Sent> kept;
            std::set_intersection(sent.begin(), sent.end(), there->second.begin(),
                                  there->second.end(), std::back_inserter(kept));
            same += kept.size();
        }
    }
    INFO(same << " of " << others);
    CHECK(100 * same >= 99 * others);
}
