// The follower's rules, one by one, in values.

#include "core/replica/follower.h"

#include <catch2/catch.hpp>

namespace {

using namespace klamm;
using namespace klamm::replica;

const TopicPartition id{uuid_from_halves(1, 2), PartitionIndex(0)};

metadata::PartitionImage image(int leader, int leader_epoch, int partition_epoch) {
    metadata::PartitionImage state;
    state.leader = BrokerId(leader);
    state.leader_epoch = LeaderEpoch(leader_epoch);
    state.partition_epoch = PartitionEpoch(partition_epoch);
    return state;
}

LogEnds log_of(std::int64_t start, std::int64_t end) {
    return {Offset(start), Offset(end), Offset(end)};
}

FetchAnswer answer(int epoch, std::int64_t offset) {
    FetchAnswer given;
    given.asked = {LeaderEpoch(epoch), Offset(offset), LeaderEpoch(2), Offset(0)};
    given.high_watermark = Offset(offset);
    given.log_start = Offset(0);
    return given;
}

struct Following {
    Plants plants;
    FollowerState state{BrokerId(2), id, image(1, 5, 9), Offset(7)};
    [[nodiscard]] Turn turn() { return {Instant{}, Timestamp(0), Draws(0), &plants, nullptr}; }

    FollowerAction diverge(EpochEnd leader, EpochEnd local, LogEnds log) {
        FetchAnswer given = answer(5, log.end.value);
        given.diverging = leader;
        return state.on_fetch_answer(turn(), given, log, local);
    }
};

}  // namespace

TEST_CASE(
    "follower: nothing is cut on becoming one, with R2 planted the log is cut at the watermark") {
    Following right;
    CHECK_FALSE(right.state.begin(right.turn(), log_of(0, 10)));
    Following wrong;
    wrong.plants.plant(Bug::truncate_to_hw);
    CHECK(wrong.state.begin(wrong.turn(), log_of(0, 10)) == Offset(7));
    CHECK(wrong.plants.taken(Bug::truncate_to_hw) == 1);
    CHECK_FALSE(wrong.state.begin(wrong.turn(), log_of(0, 7)));
    CHECK(wrong.state.on_metadata(wrong.turn(), image(3, 6, 10), log_of(0, 10)) == Offset(7));
    CHECK_FALSE(wrong.state.on_metadata(wrong.turn(), image(3, 6, 11), log_of(0, 10)));
}

TEST_CASE("follower: it fetches from its end with its last epoch, and not from nobody") {
    Following all;
    const auto fetch = all.state.next_fetch(all.turn(), log_of(2, 10), LeaderEpoch(4), false);
    CHECK(fetch == FetchPosition{LeaderEpoch(5), Offset(10), LeaderEpoch(4), Offset(2)});
    all.state.on_metadata(all.turn(), image(-1, 6, 10), log_of(2, 10));
    CHECK_FALSE(all.state.next_fetch(all.turn(), log_of(2, 10), LeaderEpoch(4), false));
}

TEST_CASE("follower: with flush.messages=1 it waits for its sync before it claims the records") {
    Following all;
    LogEnds log = log_of(0, 10);
    log.flushed = Offset(9);
    CHECK_FALSE(all.state.next_fetch(all.turn(), log, LeaderEpoch(4), true));
    CHECK(all.state.next_fetch(all.turn(), log, LeaderEpoch(4), false));
    all.plants.plant(Bug::ack_before_flush);
    CHECK(all.state.next_fetch(all.turn(), log, LeaderEpoch(4), true));
    CHECK(all.plants.taken(Bug::ack_before_flush) == 1);
}

TEST_CASE("follower: where to cut is found by comparing epochs") {
    Following all;
    const LogEnds log = log_of(0, 20);
    const auto to = [&](EpochEnd leader, EpochEnd local) {
        const FollowerAction action = all.diverge(leader, local, log);
        REQUIRE(action.step == FollowerStep::truncate);
        return action.offset;
    };
    // Both have the epoch: the shorter one.
    CHECK(to({LeaderEpoch(3), Offset(12)}, {LeaderEpoch(3), Offset(15)}) == Offset(12));
    CHECK(to({LeaderEpoch(3), Offset(15)}, {LeaderEpoch(3), Offset(12)}) == Offset(12));
    // The leader's epoch is not ours: to the end of our next lower one, and another round (R3).
    CHECK(to({LeaderEpoch(3), Offset(12)}, {LeaderEpoch(2), Offset(8)}) == Offset(8));
    CHECK(to({LeaderEpoch(3), Offset(6)}, {LeaderEpoch(2), Offset(8)}) == Offset(8));
    // We know no epoch that old: what the leader says.
    CHECK(to({LeaderEpoch(3), Offset(12)}, {}) == Offset(12));
    CHECK(to({LeaderEpoch(3), Offset(99)}, {}) == Offset(20));
    // The leader cannot say: the watermark.
    CHECK(to({}, {}) == Offset(7));
}

TEST_CASE("follower: answers of another epoch or position are ignored") {
    Following all;
    const LogEnds log = log_of(0, 10);
    CHECK(all.state.on_fetch_answer(all.turn(), answer(4, 10), log, {}).step ==
          FollowerStep::ignore);
    CHECK(all.state.on_fetch_answer(all.turn(), answer(5, 9), log, {}).step ==
          FollowerStep::ignore);
    CHECK(all.state.on_fetch_answer(all.turn(), answer(5, 10), log, {}) ==
          FollowerAction{FollowerStep::append, Offset(10)});
}

TEST_CASE("follower: each error has its step") {
    Following all;
    FetchAnswer given = answer(5, 10);
    const auto step = [&](ErrorCode error) {
        given.error = error;
        return all.state.on_fetch_answer(all.turn(), given, log_of(0, 10), {}).step;
    };
    CHECK(step(ErrorCode::offset_out_of_range) == FollowerStep::ask_ends);
    CHECK(step(ErrorCode::fenced_leader_epoch) == FollowerStep::await_metadata);
    CHECK(step(ErrorCode::unknown_leader_epoch) == FollowerStep::retry);
    CHECK(step(ErrorCode::not_leader_or_follower) == FollowerStep::retry);
}

TEST_CASE("follower: out of range it starts anew, is cut, or tries again") {
    Following all;
    const LogEnds log = log_of(5, 10);
    CHECK(all.state.on_leader_ends(Offset(20), Offset(30), log) ==
          FollowerAction{FollowerStep::restart_at, Offset(20)});
    CHECK(all.state.on_leader_ends(Offset(0), Offset(8), log) ==
          FollowerAction{FollowerStep::truncate, Offset(8)});
    CHECK(all.state.on_leader_ends(Offset(0), Offset(3), log) ==
          FollowerAction{FollowerStep::truncate, Offset(5)});
    CHECK(all.state.on_leader_ends(Offset(0), Offset(12), log).step == FollowerStep::retry);
    all.state.on_restarted(Offset(20));
    CHECK(all.state.high_watermark() == Offset(20));
}

TEST_CASE("follower: its watermark is the leader's, but never beyond its own end") {
    Following all;
    FetchAnswer given = answer(5, 10);
    given.high_watermark = Offset(50);
    CHECK_FALSE(all.state.on_appended(given, log_of(0, 14)));
    CHECK(all.state.high_watermark() == Offset(14));
    all.state.on_truncated(Offset(11));
    CHECK(all.state.high_watermark() == Offset(11));
    given.high_watermark = Offset(12);
    given.log_start = Offset(6);
    CHECK(all.state.on_appended(given, log_of(0, 14)) == Offset(6));
    CHECK(all.state.high_watermark() == Offset(12));
}
