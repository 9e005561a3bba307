// Runs with consumer groups: plans, faults that fall on members, contract I8, and the two plants.

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "sim/run/run.h"
#include "sim/run/token.h"

namespace klamm::sim {
namespace {

PlanOptions groups_options(Duration length = seconds(12)) {
    PlanOptions options;
    options.profile = Profile::groups;
    options.length = length;
    return options;
}

bool of_member(FaultKind kind) {
    return kind == FaultKind::member_kill || kind == FaultKind::member_pause ||
           kind == FaultKind::member_restart;
}

/// The first of some seeds in which the plant is found by I8, or nothing.
std::optional<std::uint64_t> found_by_i8(Bug bug, std::uint64_t seeds) {
    PlanOptions options = groups_options(seconds(15));
    options.plant = bug;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        RunHooks hooks;
        hooks.stop_at_first_violation = true;
        const RunResult result = run_plan(make_plan(seed, options), hooks);
        if (std::any_of(result.violations.begin(), result.violations.end(),
                        [](const Violation& one) { return one.rule == "I8"; }))
            return seed;
    }
    return std::nullopt;
}

}  // namespace

TEST_CASE("groups plans: members of one group or two, and faults that fall on them alone") {
    std::set<std::size_t> sizes;
    std::set<FaultKind> kinds;
    bool some_static = false;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const RunPlan plan = make_plan(seed, groups_options());
        const auto members = plan.workload.members.size();
        sizes.insert(members);
        CHECK(plan.cluster.offsets_partitions > 0);
        for (const auto& member : plan.workload.members)
            some_static = some_static || !member.options.group_instance_id.empty();
        for (const FaultEvent& fault : plan.faults) {
            if (of_member(fault.kind)) kinds.insert(fault.kind);
            for (const std::uint32_t target : fault.targets)
                CHECK((of_member(fault.kind)
                           ? target >= first_member && target < first_member + members
                           : target < 3));
        }
    }
    CHECK(sizes.size() > 3);
    CHECK(kinds.size() == 3);
    CHECK(some_static);
    PlanOptions storm;
    const RunPlan other = make_plan(3, storm);
    CHECK(other.workload.members.empty());
    CHECK(other.cluster.offsets_partitions == 0);
    CHECK(std::none_of(other.faults.begin(), other.faults.end(),
                       [](const FaultEvent& fault) { return of_member(fault.kind); }));
    CHECK(target_name(first_member + 1) == "member-2");
    const RunPlan plan = make_plan(3, groups_options());
    CHECK(to_token(*from_token(to_token(plan))) == to_token(plan));
}

TEST_CASE("groups runs: they pass, are the same each time, and generations come and go") {
    std::uint64_t generations = 0;
    std::uint64_t commits = 0;
    std::uint64_t reads = 0;
    std::set<FaultKind> fired;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        const RunPlan plan = make_plan(seed, groups_options());
        const RunResult result = run_plan(plan);
        INFO(to_token(plan));
        INFO((result.violations.empty() ? result.complaint : result.violations[0].sentence));
        CHECK_FALSE(result.red());
        CHECK(result.complaint.empty());
        generations += result.counts.group_assignments;
        commits += result.counts.group_commits;
        reads += result.counts.group_reads;
        for (std::size_t i = 0; i < fault_kind_count; ++i)
            if (result.fired[i] > 0) fired.insert(static_cast<FaultKind>(i));
        if (seed == 1) CHECK(run_plan(plan).hash == result.hash);
    }
    CHECK(generations > 40);
    CHECK(commits > 300);
    CHECK(reads > 50);
    CHECK(std::count_if(fired.begin(), fired.end(), of_member) == 3);
}

TEST_CASE("groups runs: G1 and G2 are found by I8, and not without what they need") {
    CHECK(found_by_i8(Bug::zombie_commit_accepted, 8).has_value());
    CHECK(found_by_i8(Bug::offset_commit_acked_early, 8).has_value());
    for (const Bug bug : {Bug::zombie_commit_accepted, Bug::offset_commit_acked_early}) {
        PlanOptions options = groups_options(seconds(6));
        options.plant = bug;
        for (std::size_t i = 0; i < fault_kind_count; ++i)
            options.off.insert(static_cast<FaultKind>(i));
        for (std::uint64_t seed = 1; seed <= 4; ++seed) {
            const RunResult result = run_plan(make_plan(seed, options));
            CHECK_FALSE(result.red());
            // An early answer does no harm while its coordinator leads on; nobody is a zombie.
            const bool taken = result.plants_taken[static_cast<std::size_t>(bug)] > 0;
            CHECK(taken == (bug == Bug::offset_commit_acked_early));
        }
    }
}

}  // namespace klamm::sim
