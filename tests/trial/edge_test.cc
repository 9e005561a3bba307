// Faults of several steps, and sites: each is made to happen by itself in a run that is calm
// otherwise.
#include <catch2/catch.hpp>

#include "sim/run/run.h"
#include "sim/run/storm.h"

namespace klamm::sim {
namespace {

RunPlan calm_plan(std::uint64_t seed, Profile profile = Profile::calm) {
    PlanOptions options;
    options.profile = profile;
    options.length = seconds(8);
    if (profile != Profile::calm)
        for (std::size_t i = 0; i < fault_kind_count; ++i)
            options.off.insert(static_cast<FaultKind>(i));
    RunPlan plan = make_plan(seed, options);
    plan.left_down.clear();
    REQUIRE(plan.faults.empty());
    return plan;
}

FaultEvent fault_of(FaultKind kind, std::vector<std::uint32_t> targets) {
    FaultEvent fault;
    fault.id = fault_id(kind, 0);
    fault.kind = kind;
    fault.at = Instant{} + seconds(2);
    fault.duration = seconds(1);
    fault.targets = std::move(targets);
    fault.draw = 5;
    return fault;
}

TEST_CASE("edge: every site is taken where it is on, lawfully, and none where it is not") {
    for (const bool on : {true, false}) {
        RunPlan plan = calm_plan(4, Profile::quorum);
        plan.cluster.quorum_snapshot_bytes = 20U << 20;
        for (std::uint32_t n = 0; on && n < site_count; ++n) {
            FaultEvent fault = fault_of(FaultKind::maybe_site, {});
            fault.id = fault_id(FaultKind::maybe_site, n);
            fault.at = Instant{} + milliseconds(1);
            fault.duration = plan.safety;
            fault.amount = static_cast<Site>(n) == Site::election_hasty ? 700'000 : 200'000;
            fault.draw = n;
            plan.faults.push_back(fault);
        }
        for (const std::uint32_t target : {0U, 1U, 2U, first_controller}) {
            FaultEvent stop = fault_of(FaultKind::clean_restart, {target});
            stop.id = fault_id(FaultKind::clean_restart, target);
            stop.at = Instant{} + milliseconds(3'000 + 1'000 * (target % 4));
            stop.duration = milliseconds(300);
            plan.faults.push_back(stop);
        }
        std::array<std::uint64_t, site_count> taken{};
        RunHooks hooks;
        hooks.end_sink = [&](const World& world) {
            for (std::size_t site = 0; site < site_count; ++site)
                for (std::uint32_t node = 0; node < world.nodes(); ++node)
                    taken[site] += world.maybes(NodeId(node)).taken(static_cast<Site>(site));
        };
        const RunResult result = run_plan(plan, hooks);
        CHECK(result.verdict == Verdict::passed);
        std::uint64_t sites = 0;
        for (std::size_t site = 0; site < site_count; ++site) {
            INFO(to_string(static_cast<Site>(site)));
            CHECK((taken[site] > 0) == on);
            sites += taken[site] > 0 ? 1 : 0;
        }
        CHECK(result.fired[static_cast<std::size_t>(FaultKind::maybe_site)] == sites);
    }
}

TEST_CASE("edge: a broker comes back with other options than those it was stopped with") {
    const auto hash_of = [](FaultKind kind, std::uint64_t seed) {
        RunPlan plan = calm_plan(seed);
        FaultEvent fault = fault_of(kind, {1});
        fault.id = fault_id(FaultKind::restart_changed, 0);  // drawn alike
        plan.faults.push_back(fault);
        const RunResult result = run_plan(plan);
        CHECK(result.verdict == Verdict::passed);
        CHECK(result.fired[static_cast<std::size_t>(kind)] == 1);
        return result.hash;
    };
    int differ = 0;  // the drawn options may be those that it had
    for (std::uint64_t seed = 1; seed <= 4; ++seed)
        differ +=
            hash_of(FaultKind::restart_changed, seed) != hash_of(FaultKind::clean_restart, seed)
                ? 1
                : 0;
    CHECK(differ > 0);
}

TEST_CASE("edge: of the good copies one is left, and only its broker is attacked") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        RunPlan plan = calm_plan(seed);
        FaultEvent fault = fault_of(FaultKind::last_copy, {});
        fault.amount = 3;
        fault.draw = seed;
        plan.faults.push_back(fault);
        std::vector<FaultEvent> fell;
        RunHooks hooks;
        hooks.fault_sink = [&](Instant, const FaultEvent& one) { fell.push_back(one); };
        const RunResult result = run_plan(plan, hooks);
        CHECK(result.verdict == Verdict::passed);
        CHECK(result.counts.wipes == plan.cluster.shards.size() - 1);
        REQUIRE(fell.size() >= 2);
        CHECK(fell.front().kind == FaultKind::last_copy);
        for (const FaultEvent& one : fell) {
            if (one.kind == FaultKind::last_copy) continue;
            CHECK(one.targets == fell.back().targets);
        }
    }
}

TEST_CASE("edge: a request is answered with an error, and sent again") {
    std::uint64_t refused = 0;
    for (std::uint32_t draw = 0; draw < 6; ++draw) {
        RunPlan plan = calm_plan(9);
        FaultEvent fault = fault_of(FaultKind::request_refused, {});
        fault.draw = draw;
        plan.faults.push_back(fault);
        const RunResult result = run_plan(plan);
        const auto fired = result.fired[static_cast<std::size_t>(FaultKind::request_refused)];
        // A run in which nothing fell proves nothing.
        CHECK(result.verdict == (fired > 0 ? Verdict::passed : Verdict::harness_error));
        refused += fired;
    }
    CHECK(refused >= 3);  // ListOffsets and AlterPartition may not be asked any more
}

}  // namespace
}  // namespace klamm::sim
