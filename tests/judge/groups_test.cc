// I8: what members of consumer groups state, altered in the one thing that makes it red.

#include <catch2/catch.hpp>

#include "sim/judge/groups.h"

namespace klamm::sim {

namespace {

constexpr BrokerId one{101};
constexpr BrokerId two{102};
const GroupMonitor::Lead home{BrokerId(1), LeaderEpoch(4)};
using facts::Outcome;

std::vector<facts::GroupOffset> part(std::int64_t offset, std::int32_t partition = 0) {
    return {{"trial", partition, Offset(offset)}};
}

/// A group as its members tell of it.
struct Told {
    Findings findings{100};
    GroupMonitor monitor{findings};
    std::uint64_t operation = 0;
    std::int64_t time = 0;

    Instant now() { return Instant{++time}; }
    void assigned(std::int32_t generation, BrokerId node, std::int32_t partition = 0) {
        monitor.assigned({"g", generation, "m", part(-1, partition)}, now(), node);
    }
    std::uint64_t begin(std::int32_t generation, std::int64_t offset, BrokerId node = one) {
        monitor.commit_invoked({++operation, "g", generation, "m", part(offset)}, now(), node);
        return operation;
    }
    void end(std::uint64_t which, Outcome outcome, bool doubtful = false, BrokerId node = one) {
        monitor.commit_returned({which, "g", outcome, 0, doubtful}, now(), node);
    }
    void commit(std::int32_t generation, std::int64_t offset, BrokerId node = one) {
        end(begin(generation, offset, node), Outcome::ok, false, node);
    }
    std::uint64_t ask(GroupMonitor::Lead lead = home) {
        monitor.asked({++operation, "g"}, lead, two);
        return operation;
    }
    /// -1: none.
    void answer(std::uint64_t which, std::int64_t offset, GroupMonitor::Lead lead = home,
                BrokerId from = home.broker) {
        monitor.told({which, "g", Outcome::ok, 0, from, part(offset)}, lead, now(), two);
    }
    void shows(std::int64_t offset) { answer(ask(), offset); }
    [[nodiscard]] std::uint64_t red() const {
        for (const Violation& found : findings.kept()) CHECK(found.rule == "I8");
        return findings.total();
    }
};

}  // namespace

TEST_CASE("I8: a partition has one owner in a generation, and another in the next") {
    Told told;
    told.assigned(1, one, 0);
    told.assigned(1, two, 1);
    told.assigned(1, one, 0);  // a static member that came back
    told.assigned(2, two, 0);
    CHECK(told.red() == 0);
    told.assigned(2, one, 0);
    CHECK(told.red() == 1);
}

TEST_CASE("I8: no commit is accepted of a generation that is over when it is asked for") {
    for (const Outcome outcome : {Outcome::failed, Outcome::unknown, Outcome::ok}) {
        Told told;
        told.assigned(1, one);
        const auto early = told.begin(1, 5);
        told.assigned(2, two);
        told.end(early, Outcome::ok);  // it was asked for before
        CHECK(told.red() == 0);
        told.end(told.begin(1, 7), outcome);
        CHECK(told.red() == (outcome == Outcome::ok ? 1 : 0));
    }
}

TEST_CASE("I8: what was acknowledged is told, not what it has replaced, and not nothing") {
    for (const std::int64_t shown : {20, 10, 30, -1}) {
        Told told;
        told.assigned(1, one);
        told.shows(-1);
        told.commit(1, 10);
        told.shows(10);
        told.commit(1, 20);
        CHECK(told.red() == 0);
        told.shows(shown);
        CHECK(told.red() == (shown == 20 ? 0 : 1));
    }
}

TEST_CASE("I8: a commit may go back in offsets, when it is one that does") {
    Told told;
    told.commit(1, 20);
    told.commit(1, 10);
    told.shows(10);
    CHECK(told.red() == 0);
    told.shows(20);
    CHECK(told.red() == 1);
}

TEST_CASE("I8: who asks while a commit is under way may see it or what was before") {
    Told told;
    told.commit(1, 10);
    const auto first = told.ask();
    const auto second = told.ask();
    const auto commit = told.begin(1, 20);
    told.answer(first, 20);
    told.answer(second, 10);
    told.end(commit, Outcome::ok);
    CHECK(told.red() == 0);
    // It has been seen: from then on it is there.
    told.shows(10);
    CHECK(told.red() == 1);
}

TEST_CASE("I8: a commit that failed is never told, one in doubt as long as its generation lasts") {
    Told told;
    told.assigned(1, one);
    told.commit(1, 10);
    told.end(told.begin(1, 15), Outcome::failed);
    const auto doubtful = told.begin(1, 17);
    told.end(doubtful, Outcome::unknown, true);
    told.commit(1, 20);
    told.shows(17);
    told.shows(20);
    told.shows(17);  // an attempt that was late
    CHECK(told.red() == 0);
    told.shows(15);
    CHECK(told.red() == 1);
    told.assigned(2, two);
    told.commit(2, 30, two);
    told.shows(17);
    CHECK(told.red() == 2);
}

TEST_CASE("I8: who is deposed and does not know it may tell the past, and is counted") {
    Told told;
    told.commit(1, 10);
    told.commit(1, 20);
    const GroupMonitor::Lead next{BrokerId(2), LeaderEpoch(5)};
    told.answer(told.ask(next), 10, next);           // broker 1 answers, broker 2 leads
    told.answer(told.ask(), 10, next, BrokerId(2));  // leadership moved in between
    CHECK(told.red() == 0);
    CHECK(told.monitor.passed_over() == 2);
    told.answer(told.ask(next), 10, next, BrokerId(2));
    CHECK(told.red() == 1);
}

TEST_CASE("I8: after a lawful loss anything before may be told, and generations begin anew") {
    for (const bool excused : {true, false}) {
        Told told;
        told.assigned(5, one);
        told.commit(5, 10);
        told.commit(5, 20);
        if (excused) told.monitor.excused("g");
        told.shows(-1);
        told.shows(10);
        told.assigned(5, two);
        told.assigned(6, one);
        told.commit(5, 12, two);
        CHECK(told.red() == (excused ? 0 : 4));
        if (!excused) continue;
        told.shows(10);
        CHECK(told.red() == 1);
        told.assigned(7, one);
        told.assigned(7, two);
        CHECK(told.red() == 2);
    }
}

}  // namespace klamm::sim
