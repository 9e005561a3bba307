// Whole runs: calm ones pass, equal plans run equally, faults hit, what is broken is found.

#include <array>
#include <catch2/catch.hpp>

#include "sim/run/report.h"
#include "sim/run/run.h"
#include "sim/run/token.h"

namespace klamm::sim {
namespace {

PlanOptions plan_options(Profile profile, Duration length) {
    PlanOptions options;
    options.profile = profile;
    options.length = length;
    return options;
}

TEST_CASE("run: calm ones pass, acknowledge records and read them back") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const RunPlan plan = make_plan(seed, plan_options(Profile::calm, seconds(10)));
        const RunResult result = run_plan(plan);
        INFO(to_text(plan, result));
        CHECK(result.verdict == Verdict::passed);
        CHECK(result.counts.batches_acked > 50);
        CHECK(result.counts.records_read > 100);
        CHECK(result.bill.records_promised > 100);
        CHECK(result.bill.losses.empty());
        CHECK(result.fired_ids.empty());
    }
}

TEST_CASE("run: the same plan has the same hash, bill and counts, watched or not") {
    const RunPlan plan = make_plan(21, plan_options(Profile::storm, seconds(15)));
    const RunResult one = run_plan(plan);
    std::uint64_t events = 0;
    std::uint64_t facts = 0;
    RunHooks hooks;
    hooks.event_sink = [&](const EventRecord&) { ++events; };
    hooks.fact_sink = [&](Instant, const std::string&, const facts::Fact&) { ++facts; };
    hooks.keep_history = true;
    const RunResult two = run_plan(plan, hooks);
    CHECK(one.hash == two.hash);
    CHECK(one.checkpoints == two.checkpoints);
    CHECK(one.events == two.events);
    CHECK(to_text(plan, one) == to_text(plan, two));
    CHECK(events == two.events);
    CHECK(facts == two.counts.facts);
    CHECK_FALSE(two.history.empty());
    CHECK(run_plan(make_plan(22, plan.options)).hash != one.hash);
}

TEST_CASE("run: every fault kind hits something in some storm, or on some bad disk") {
    std::array<std::uint64_t, fault_kind_count> fired{};
    std::uint64_t red = 0;
    const auto run = [&](std::uint64_t seed, Profile profile) {
        const RunResult result = run_plan(make_plan(seed, plan_options(profile, seconds(30))));
        for (std::size_t i = 0; i < fault_kind_count; ++i) {
            fired[i] += result.fired[i];
            CHECK(result.fired[i] <= result.planned[i]);
        }
        return result.violations_total;
    };
    for (std::uint64_t seed = 1; seed <= 60; ++seed) red += run(seed, Profile::storm);
    for (std::uint64_t seed = 1; seed <= 30; ++seed) run(seed, Profile::disk);
    for (std::uint64_t seed = 1; seed <= 20; ++seed) red += run(seed, Profile::edge);
    for (std::uint64_t seed = 1; seed <= 10; ++seed) red += run(seed, Profile::groups);
    for (std::size_t i = 0; i < fault_kind_count; ++i) {
        const auto kind = static_cast<FaultKind>(i);
        INFO(to_string(kind));
        CHECK(fired[i] > 0);
    }
    CHECK(red == 0);
}

TEST_CASE("run: a core that is kept broken is a liveness failure") {
    const RunPlan plan = make_plan(2, plan_options(Profile::calm, seconds(5)));
    RunHooks hooks;
    hooks.keep_down = {0, 1, 2};
    const RunResult result = run_plan(plan, hooks);
    INFO(to_text(plan, result));
    CHECK(result.verdict == Verdict::liveness);
    CHECK(result.liveness_failures.size() == 1);
    CHECK(exit_status(result) == 2);
}

TEST_CASE("run: a log that is always being written to is no want of liveness") {
    RunPlan plan = make_plan(2, plan_options(Profile::calm, seconds(5)));
    plan.workload.producers.resize(1);
    plan.workload.consumers.clear();
    workload::ProducerWorkload& producer = plan.workload.producers[0];
    producer.options.acks = 1;
    producer.options.enable_idempotence = false;
    producer.options.batch_size = 0;
    producer.options.linger_ms = 0;
    producer.options.max_in_flight_requests_per_connection = 5;
    // Faster than a follower's fetch goes there and back.
    producer.pacing.operations = 30'000;
    producer.pacing.gap = {microseconds(300), microseconds(100)};
    plan.cluster.broker.replica_fetch_min_bytes = 4096;
    producer.pacing.stop_after = {};
    plan.liveness_bound = seconds(5);
    const RunResult result = run_plan(plan);
    INFO(to_text(plan, result));
    CHECK(result.verdict == Verdict::passed);
}

TEST_CASE("run: acks=all answered after the local append is found within a few seeds") {
    PlanOptions options = plan_options(Profile::storm, seconds(20));
    options.plant = Bug::acks_all_like_one;
    bool found = false;
    for (std::uint64_t seed = 1; seed <= 5 && !found; ++seed) {
        const RunPlan plan = make_plan(seed, options);
        RunHooks hooks;
        hooks.stop_at_first_violation = true;
        const RunResult result = run_plan(plan, hooks);
        found = result.verdict == Verdict::safety;
        if (!found) continue;
        CHECK(result.plants_taken[static_cast<std::size_t>(Bug::acks_all_like_one)] > 0);
        CHECK(result.first_violation != instant_never);
        // Cut there, it is still found.
        PlanEdits edits;
        edits.cut = result.first_violation;
        CHECK(run_plan(with_edits(plan, edits)).verdict == Verdict::safety);
    }
    CHECK(found);
}

TEST_CASE("run: other luck is another run of the same plan, and the same each time") {
    PlanEdits edits;
    edits.luck = 3;
    const RunPlan plan = make_plan(2, plan_options(Profile::storm, seconds(6)));
    const RunPlan lucky = with_edits(plan, edits);
    CHECK(lucky.faults == plan.faults);
    const RunResult one = run_plan(lucky);
    CHECK(one.hash == run_plan(lucky).hash);
    CHECK(one.hash != run_plan(plan).hash);
    CHECK(one.planned == run_plan(plan).planned);
}

TEST_CASE("run: one that does nothing is a harness error") {
    RunHooks hooks;
    hooks.events_max = 1'000;
    const RunPlan plan = make_plan(1, plan_options(Profile::calm, seconds(10)));
    const RunResult result = run_plan(plan, hooks);
    CHECK(result.verdict == Verdict::harness_error);
    CHECK_FALSE(result.complaint.empty());
}

TEST_CASE("report: it ends in the hash and the replay line") {
    const RunPlan plan = make_plan(6, plan_options(Profile::weather, seconds(5)));
    const RunResult result = run_plan(plan);
    const std::string text = to_text(plan, result);
    const std::string end = "\nreplay klamm replay " + to_token(plan) + "\n";
    REQUIRE(text.ends_with(end));
    const std::size_t line = text.rfind("\nhash ");
    REQUIRE(line != std::string::npos);
    CHECK(text.size() - end.size() - line == 1 + 5 + 16);
}

}  // namespace
}  // namespace klamm::sim
