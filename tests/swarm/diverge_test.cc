// Where two runs part: made-up sides, and two plans of which one has a fault less.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "sim/run/diverge.h"
#include "sim/run/run.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

/// A run of `events` events that is like all others before event `parts`.
DivergeSide made_up(std::uint64_t events, std::uint64_t parts, std::uint64_t own) {
    const auto hash = [=](std::uint64_t event) { return event < parts ? event : event + own; };
    DivergeSide side;
    side.name = "made up";
    side.checkpoints = [=]() -> Result<std::vector<Checkpoint>> {
        std::vector<Checkpoint> checkpoints;
        for (std::uint64_t event = 10; event < events; event += 10) {
            checkpoints.push_back({event, hash(event)});
        }
        checkpoints.push_back({events, hash(events)});
        return checkpoints;
    };
    side.events = [=](std::uint64_t from, std::uint64_t to) -> Result<std::vector<std::string>> {
        std::vector<std::string> lines;
        for (std::uint64_t event = from; event <= std::min(to, events); ++event) {
            lines.push_back(fmt::format("#{} {:x}", event, hash(event)));
        }
        return lines;
    };
    return side;
}

}  // namespace

TEST_CASE("diverge: the first event that differs is named, wherever it lies") {
    for (const std::uint64_t parts : {1, 9, 10, 11, 47, 95, 100}) {
        const auto answer = diverge(made_up(100, 1000, 1), made_up(100, parts, 500));
        REQUIRE(answer);
        REQUIRE_FALSE(answer->equal);
        REQUIRE(answer->event == parts);
        REQUIRE(answer->one == fmt::format("#{} {:x}", parts, parts));
        REQUIRE(answer->other == fmt::format("#{} {:x}", parts, parts + 500));
    }
}

TEST_CASE("diverge: a run that is shorter differs where it ends") {
    const auto answer = diverge(made_up(93, 1000, 1), made_up(100, 1000, 1));
    REQUIRE(answer);
    REQUIRE(answer->event == 94);
    REQUIRE(answer->one == "(the run has ended)");
}

TEST_CASE("diverge: a side that differs from itself is told of") {
    DivergeSide fickle = made_up(100, 1000, 1);
    fickle.checkpoints = made_up(100, 50, 7).checkpoints;
    const auto answer = diverge(made_up(100, 1000, 1), fickle);
    REQUIRE_FALSE(answer);
    REQUIRE(answer.error().text.find("differs from itself") != std::string::npos);
}

TEST_CASE("diverge: checkpoints survive as text") {
    const std::vector<Checkpoint> checkpoints{{4096, 0x1}, {8192, ~std::uint64_t{0}}, {9000, 7}};
    const auto back = checkpoints_from_text("noise\n" + checkpoints_text(checkpoints));
    REQUIRE(back);
    REQUIRE(*back == checkpoints);
    REQUIRE_FALSE(checkpoints_from_text("checkpoint 1 2\n"));
    REQUIRE_FALSE(checkpoints_from_text("checkpoint x 2\nend 1 2\n"));
}

TEST_CASE("diverge: a run equals itself, with a fault less it parts no later than that fault") {
    PlanOptions asked;
    asked.length = seconds(8);
    const RunPlan plan = make_plan(0x33, asked);
    REQUIRE_FALSE(plan.faults.empty());
    const auto same = diverge(side_of_plan("one", plan), side_of_plan("other", plan));
    REQUIRE(same);
    REQUIRE(same->equal);
    REQUIRE(same->hash == run_plan(plan).hash);

    PlanEdits edits;
    edits.removed.insert(plan.faults.front().id);
    const RunPlan other = with_edits(plan, edits);
    const auto parted = diverge(side_of_plan("one", plan), side_of_plan("other", other));
    REQUIRE(parted);
    REQUIRE_FALSE(parted->equal);
    std::vector<EventRecord> one;
    std::vector<EventRecord> two;
    RunHooks hooks;
    hooks.event_sink = [&](const EventRecord& record) { one.push_back(record); };
    (void)run_plan(plan, hooks);
    hooks.event_sink = [&](const EventRecord& record) { two.push_back(record); };
    (void)run_plan(other, hooks);
    std::size_t at = 0;
    while (to_string(one[at]) == to_string(two[at])) ++at;
    REQUIRE(parted->event == at + 1);
    REQUIRE(parted->one == to_string(one[at]));
    REQUIRE(parted->other == to_string(two[at]));
    REQUIRE(one[at].time <= plan.faults.front().at);
}
