// Plans and tokens: determinism, stability under edits, round trips.

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/run/plan.h"
#include "sim/run/token.h"

namespace klamm::sim {
namespace {

PlanOptions storm(Duration length = seconds(60)) {
    PlanOptions options;
    options.length = length;
    return options;
}

TEST_CASE("plan: the same seed gives the same plan, another one another") {
    CHECK(to_json(make_plan(7, storm())) == to_json(make_plan(7, storm())));
    CHECK(to_json(make_plan(7, storm())) != to_json(make_plan(8, storm())));
}

TEST_CASE("plan: removing one fault leaves all others as they were") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const RunPlan plan = make_plan(seed, storm());
        REQUIRE(plan.faults.size() > 3);
        const FaultEvent gone = plan.faults[plan.faults.size() / 2];
        PlanEdits edits;
        edits.removed.insert(gone.id);
        const RunPlan edited = with_edits(plan, edits);
        std::vector<FaultEvent> expected = plan.faults;
        std::erase(expected, gone);
        CHECK(edited.faults == expected);
        CHECK(edited.faults_drawn == plan.faults.size());
        CHECK(to_json(edited)["cluster"] == to_json(plan)["cluster"]);
        CHECK(to_json(edited)["producers"] == to_json(plan)["producers"]);
    }
}

TEST_CASE("plan: switching a kind off leaves the faults of other kinds as they were") {
    const RunPlan plan = make_plan(3, storm());
    for (std::size_t i = 0; i < fault_kind_count; ++i) {
        PlanOptions options = storm();
        options.off.insert(static_cast<FaultKind>(i));
        std::vector<FaultEvent> expected = plan.faults;
        std::erase_if(expected,
                      [&](const auto& fault) { return options.off.contains(fault.kind); });
        CHECK(make_plan(3, options).faults == expected);
    }
}

TEST_CASE("plan: at the edge brokers stand in racks, and what befalls a rack befalls all of it") {
    std::set<std::size_t> sizes;
    std::set<std::uint32_t> racks;
    int faults = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        PlanOptions options = storm();
        options.profile = Profile::edge;
        const RunPlan plan = make_plan(seed, options);
        const auto& rack = plan.cluster.racks;
        sizes.insert(plan.cluster.shards.size());
        racks.insert(rack.empty() ? 0 : *std::max_element(rack.begin(), rack.end()));
        for (const FaultEvent& fault : plan.faults) {
            if (fault.kind != FaultKind::power_loss_rack && fault.kind != FaultKind::rack_cut)
                continue;
            ++faults;
            REQUIRE_FALSE(rack.empty());
            std::vector<std::uint32_t> expected;
            for (std::uint32_t i = 0; i < rack.size(); ++i)
                if (rack[i] == rack[fault.targets.front()]) expected.push_back(i);
            CHECK(fault.targets == expected);
        }
    }
    CHECK(sizes == std::set<std::size_t>{3, 4, 5});
    CHECK(racks == std::set<std::uint32_t>{0, 2, 3});
    CHECK(faults > 20);
}

TEST_CASE("plan: without slow links no packet takes as long as a missed heartbeat") {
    bool tails = false;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        PlanOptions options = storm();
        tails = tails || make_plan(seed, options).cluster.network.link.tail_rate > 0;
        options.off.insert(FaultKind::slow_link);
        CHECK(make_plan(seed, options).cluster.network.link.tail_rate == 0);
    }
    CHECK(tails);
}

TEST_CASE("plan: who asks for faults gets one that needs nothing to hit but a broker that is up") {
    PlanOptions options = storm();
    for (std::size_t i = 0; i < fault_kind_count; ++i)
        options.off.insert(static_cast<FaultKind>(i));
    // A leader may be moved to where it is, and an unclean election may find one.
    for (const FaultKind on : {FaultKind::kill, FaultKind::move_leader, FaultKind::elect_unclean})
        options.off.erase(on);
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const RunPlan plan = make_plan(seed, options);
        CHECK(std::any_of(plan.faults.begin(), plan.faults.end(),
                          [](const auto& f) { return f.kind == FaultKind::kill; }));
    }
}

TEST_CASE("plan: a longer run begins with the same faults") {
    const RunPlan brief = make_plan(5, storm(seconds(30)));
    const RunPlan longer = make_plan(5, storm(seconds(60)));
    std::vector<FaultEvent> begin = longer.faults;
    std::erase_if(begin, [](const auto& f) { return f.at >= Instant{} + seconds(30); });
    CHECK(begin == brief.faults);
}

TEST_CASE("plan: skipped operations are in their client's pacing and nowhere else") {
    PlanEdits edits;
    edits.skipped[1] = {0, 1, 5};
    const RunPlan plan = make_plan(4, storm(), edits);
    for (const auto& producer : plan.workload.producers)
        CHECK(producer.pacing.skip.size() == (producer.client == 1 ? 3 : 0));
    CHECK(plan.faults == make_plan(4, storm()).faults);
}

TEST_CASE("plan: a cut takes away what would fall later") {
    PlanEdits edits;
    edits.cut = Instant{} + seconds(20);
    const RunPlan plan = make_plan(4, storm(), edits);
    REQUIRE_FALSE(plan.faults.empty());
    for (const FaultEvent& fault : plan.faults) CHECK(fault.at <= *edits.cut);
}

TEST_CASE("plan: calm has no faults, and names are read as they are written") {
    PlanOptions options;
    options.profile = Profile::calm;
    CHECK(make_plan(1, options).faults.empty());
    for (std::size_t i = 0; i < fault_kind_count; ++i) {
        const auto kind = static_cast<FaultKind>(i);
        CHECK(fault_kind_from_name(to_string(kind)) == kind);
    }
    CHECK_FALSE(fault_kind_from_name("storms").has_value());
    CHECK(profile_from_name("power") == Profile::power);
    CHECK_FALSE(profile_from_name("").has_value());
}

TEST_CASE("token: reading it gives the plan back") {
    for (std::uint64_t seed : {1ULL, 0x7f3aULL, 0xffffffffffffffffULL}) {
        PlanOptions options = storm(milliseconds(30'500));
        options.profile = Profile::power;
        options.plant = Bug::truncate_to_hw;
        options.explore = ExploreOptions::How::pos;
        options.off = {FaultKind::pause, FaultKind::kill, FaultKind::kill_in_turn};
        PlanEdits edits;
        edits.removed = {fault_id(FaultKind::move_leader, 0), fault_id(FaultKind::move_leader, 1),
                         fault_id(FaultKind::disk_full, 3)};
        edits.skipped[1] = {0, 1, 2, 9};
        edits.skipped[50] = {4};
        edits.cut = Instant{12'345'678'901};
        edits.luck = 7;
        const RunPlan plan = make_plan(seed, options, edits);
        const Result<RunPlan> again = from_token(to_token(plan));
        REQUIRE(again.ok());
        CHECK(again->options == plan.options);
        CHECK(again->edits == plan.edits);
        CHECK(to_json(*again) == to_json(plan));
    }
    CHECK(to_token(make_plan(0x7f3a, {})) == "1.7f3a.storm");
}

TEST_CASE("token: what is none is refused with a sentence") {
    for (const char* text :
         {"", "1", "1.7", "2.7.storm", "1.xyz.storm", "1.7.gale", "1.7.storm.q1", "1.7.storm.pZ9",
          "1.7.storm.x5-3", "1.7.storm.s1", "1.7.storm.o99", "1.7.storm.", "1.7.storm.c-4",
          "1.7.storm.u0", "1.7.storm.x0-99999999999"}) {
        const Result<RunPlan> plan = from_token(text);
        INFO(text);
        REQUIRE_FALSE(plan.ok());
        CHECK(plan.failure() == Failure::invalid);
        CHECK_FALSE(plan.error().text.empty());
    }
}

}  // namespace
}  // namespace klamm::sim
