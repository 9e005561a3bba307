// The leader's rules, one by one, in values.

#include "core/replica/leader.h"

#include <catch2/catch.hpp>

#include "core/replica/waiters.h"
#include "tests/controller/cluster.h"

namespace {

using namespace klamm;
using namespace klamm::replica;
using controller::Cluster;
using controller::ids;
using controller::test_partition;

struct Leader {
    Cluster cluster;
    Plants plants;
    Instant now{};
    LogEnds log;
    LeaderSettings settings;
    std::optional<LeaderState> state;

    explicit Leader(int min_isr = 2, std::int64_t log_end = 0, std::int64_t high_watermark = 0,
                    std::initializer_list<int> isr = {1, 2, 3}, bool flush_each = false)
        : cluster(true, min_isr) {
        metadata::PartitionChanged change;
        change.partition = test_partition;
        change.isr = ids(isr);
        cluster.put(change);
        log = {Offset(0), Offset(log_end), Offset(log_end)};
        settings = {seconds(10), min_isr, flush_each};
        state.emplace(BrokerId(1), test_partition, cluster.partition(), settings, log,
                      Offset(high_watermark), now);
        state->begin(turn(), cluster.image);
    }
    [[nodiscard]] Turn turn() { return {now, Timestamp(0), Draws(0), &plants, nullptr}; }

    FollowerFetch request(int replica, std::int64_t offset) {
        FollowerFetch fetch;
        fetch.replica = BrokerId(replica);
        fetch.broker_epoch = cluster.epoch_of(BrokerId(replica));
        fetch.current_leader_epoch = state->epoch();
        fetch.fetch_offset = Offset(offset);
        return fetch;
    }
    FetchDecision fetch(int replica, std::int64_t offset) {
        return state->on_follower_fetch(turn(), cluster.image, request(replica, offset));
    }
    LeaderEffects append(std::int64_t count, bool flushed = true) {
        log.end = log.end + count;
        if (flushed) log.flushed = log.end;
        return state->on_log(turn(), cluster.image, log);
    }
    AlterPartitionAnswer accept(const IsrProposal& proposal) {
        BrokerIds isr;
        for (const IsrMember& member : proposal.isr) isr.push_back(member.broker);
        return {ErrorCode::none, BrokerId(1), state->epoch(), proposal.partition_epoch + 1, isr};
    }
    LeaderEffects answer(const IsrProposal& proposal, const AlterPartitionAnswer& given) {
        return state->on_alter_partition_answer(turn(), cluster.image, proposal, given);
    }
    LeaderEffects refuse(const IsrProposal& proposal, ErrorCode error) {
        return answer(proposal, {error, no_broker, no_leader_epoch, PartitionEpoch(0), {}});
    }
};

}  // namespace

TEST_CASE("leader: the watermark is the least end of the ISR") {
    Leader all;
    CHECK_FALSE(all.append(10).moved);
    CHECK_FALSE(all.fetch(2, 7).effects.moved);
    CHECK(all.fetch(3, 4).effects.moved == HighWatermarkMove{Offset(0), Offset(4)});
    CHECK(all.fetch(3, 10).effects.moved == HighWatermarkMove{Offset(4), Offset(7)});
    // A fetch that goes back does not take the watermark with it.
    CHECK_FALSE(all.fetch(2, 5).effects.moved);
    CHECK(all.state->high_watermark() == Offset(7));
}

TEST_CASE("leader: under min.insync.replicas the watermark stands and acks=all is refused") {
    Leader all(2, 0, 0, {1});
    CHECK_FALSE(all.append(5).moved);
    CHECK(all.state->high_watermark() == Offset(0));
    CHECK(all.state->admit_produce(-1) == ErrorCode::not_enough_replicas);
    CHECK(all.state->admit_produce(1) == ErrorCode::none);
    CHECK_FALSE(all.state->acks_all_answer(all.turn(), Offset(5)).has_value());
}

TEST_CASE("leader: min.insync.replicas above the replication factor counts as all") {
    Leader all(7);
    CHECK(all.state->effective_min_isr() == 3);
    CHECK(all.state->admit_produce(-1) == ErrorCode::none);
}

TEST_CASE("leader: alone in sync it commits by itself when one is enough") {
    Leader all(1, 0, 0, {1});
    CHECK(all.append(5).moved == HighWatermarkMove{Offset(0), Offset(5)});
    CHECK(all.state->acks_all_answer(all.turn(), Offset(5)) == ErrorCode::none);
}

TEST_CASE("leader: who keeps up is waited for before it is in the ISR") {
    Leader all(1, 0, 0, {1});
    // It joins at the end of the log; the controller has not answered, and then refuses.
    const auto joining = all.fetch(2, 0).effects.propose;
    REQUIRE(joining);
    all.refuse(*joining, ErrorCode::ineligible_replica);
    CHECK_FALSE(all.append(5).moved);
    all.now = all.now + seconds(11);
    CHECK(all.append(1).moved == HighWatermarkMove{Offset(0), Offset(6)});
}

TEST_CASE("leader: an addition in flight counts for the watermark, a removal does not uncount") {
    Leader all(1, 4, 4, {1, 2});
    const auto joining = all.fetch(3, 4).effects.propose;
    REQUIRE(joining);
    CHECK(all.state->maximal_isr() == ids({1, 2, 3}));
    all.append(2);
    all.now = all.now + seconds(60);
    CHECK_FALSE(all.fetch(2, 6).effects.moved);
    CHECK(all.answer(*joining, all.accept(*joining)).moved == std::nullopt);
    CHECK(all.state->committed_isr() == ids({1, 2, 3}));
    const auto leaving = all.state->check_lag(all.turn(), all.cluster.image).propose;
    REQUIRE(leaving);
    CHECK(leaving->joining == no_broker);
    CHECK(all.state->maximal_isr() == ids({1, 2, 3}));
    CHECK_FALSE(all.state->check_lag(all.turn(), all.cluster.image).propose);
    CHECK(all.answer(*leaving, all.accept(*leaving)).moved ==
          HighWatermarkMove{Offset(4), Offset(6)});
}

TEST_CASE("leader: nobody joins below the watermark or below the epoch's start") {
    Leader all(2, 10, 5, {1, 2});
    CHECK_FALSE(all.fetch(3, 4).effects.propose);
    CHECK_FALSE(all.fetch(3, 5).effects.propose);
    CHECK_FALSE(all.fetch(3, 9).effects.propose);
    CHECK(all.fetch(3, 10).effects.propose);

    Leader planted(2, 10, 5, {1, 2});
    planted.plants.plant(Bug::isr_join_below_epoch_start);
    CHECK_FALSE(planted.fetch(3, 4).effects.propose);
    CHECK(planted.plants.taken(Bug::isr_join_below_epoch_start) == 0);
    CHECK(planted.fetch(3, 5).effects.propose);
    CHECK(planted.plants.taken(Bug::isr_join_below_epoch_start) == 1);
}

TEST_CASE("leader: a fenced, leaving or reborn replica does not join") {
    Leader fenced(2, 0, 0, {1, 2});
    fenced.cluster.fence(3);
    CHECK_FALSE(fenced.fetch(3, 0).effects.propose);

    Leader leaving(2, 0, 0, {1, 2});
    leaving.cluster.put(controller::begin_controlled_shutdown(leaving.cluster.image, BrokerId(3)));
    CHECK_FALSE(leaving.fetch(3, 0).effects.propose);

    // It fetched in an epoch that the leader has not heard of yet.
    Leader reborn(2, 0, 0, {1, 2});
    FollowerFetch fetch = reborn.request(3, 0);
    ++fetch.broker_epoch;
    CHECK_FALSE(reborn.state->on_follower_fetch(reborn.turn(), reborn.cluster.image, fetch)
                    .effects.propose);
    // It fetched before it was registered anew: the fetch is a ghost.
    fetch.broker_epoch = BrokerEpoch(0);
    CHECK(reborn.state->on_follower_fetch(reborn.turn(), reborn.cluster.image, fetch).error ==
          ErrorCode::not_leader_or_follower);
}

TEST_CASE("leader: fetches are refused for each reason by its own code") {
    Leader all(2, 10, 0);
    FollowerFetch fetch = all.request(2, 11);
    const auto error = [&] {
        return all.state->on_follower_fetch(all.turn(), all.cluster.image, fetch).error;
    };
    CHECK(error() == ErrorCode::offset_out_of_range);
    fetch = all.request(2, 3);
    ++fetch.current_leader_epoch;
    CHECK(error() == ErrorCode::unknown_leader_epoch);
    fetch.current_leader_epoch = all.state->epoch() - 1;
    CHECK(error() == (fetch.current_leader_epoch == no_leader_epoch
                          ? ErrorCode::none
                          : ErrorCode::fenced_leader_epoch));
    fetch = all.request(2, 3);
    fetch.replica = BrokerId(8);
    CHECK(error() == ErrorCode::unknown_leader_epoch);
    fetch = all.request(2, 3);
    fetch.last_fetched_epoch = LeaderEpoch(4);
    CHECK(error() == ErrorCode::offset_out_of_range);
}

TEST_CASE("leader: a diverging fetch is answered and leaves no trace") {
    Leader all(2, 10, 5);
    all.fetch(3, 10);
    FollowerFetch fetch = all.request(2, 9);
    fetch.last_fetched_epoch = LeaderEpoch(3);
    fetch.epoch_end = {LeaderEpoch(2), Offset(7)};
    const LeaderState before = *all.state;
    auto decision = all.state->on_follower_fetch(all.turn(), all.cluster.image, fetch);
    CHECK(decision.diverging == EpochEnd{LeaderEpoch(2), Offset(7)});
    CHECK(*all.state == before);
    fetch.epoch_end = {LeaderEpoch(3), Offset(8)};
    decision = all.state->on_follower_fetch(all.turn(), all.cluster.image, fetch);
    CHECK(decision.diverging == EpochEnd{LeaderEpoch(3), Offset(8)});
    CHECK(*all.state == before);
    all.plants.plant(Bug::diverging_fetch_advances_hw);
    decision = all.state->on_follower_fetch(all.turn(), all.cluster.image, fetch);
    CHECK(decision.diverging);
    CHECK(decision.effects.moved == HighWatermarkMove{Offset(5), Offset(9)});
}

TEST_CASE("leader: with flush.messages=1 only what is flushed counts") {
    Leader all(1, 0, 0, {1}, true);
    CHECK_FALSE(all.append(3, false).moved);
    CHECK_FALSE(all.state->acks_one_satisfied(all.turn(), Offset(3)));
    CHECK(all.append(0, true).moved == HighWatermarkMove{Offset(0), Offset(3)});
    CHECK(all.state->acks_one_satisfied(all.turn(), Offset(3)));
    all.plants.plant(Bug::ack_before_flush);
    CHECK(all.append(1, false).moved == HighWatermarkMove{Offset(3), Offset(4)});
    CHECK(all.plants.taken(Bug::ack_before_flush) == 1);
    CHECK(follower_fetch_offset(all.turn(), Offset(9), Offset(8), true) == Offset(9));
    all.plants = Plants();
    CHECK(follower_fetch_offset(all.turn(), Offset(9), Offset(8), true) == Offset(8));
    CHECK(follower_fetch_offset(all.turn(), Offset(9), Offset(8), false) == Offset(9));
}

TEST_CASE("leader: who lags longer than allowed is proposed to leave, who is at the end is not") {
    Leader all(2, 5, 0);
    all.fetch(2, 5);
    all.now = all.now + seconds(10);
    CHECK_FALSE(all.state->check_lag(all.turn(), all.cluster.image).propose);
    all.now = all.now + milliseconds(1);
    const auto leaving = all.state->check_lag(all.turn(), all.cluster.image).propose;
    REQUIRE(leaving);
    REQUIRE(leaving->isr.size() == 2);
    CHECK(leaving->isr[1].broker == BrokerId(2));
    CHECK(leaving->isr[1].epoch == all.cluster.epoch_of(BrokerId(2)));
}

TEST_CASE("leader: always a little behind is in sync") {
    Leader all(2, 0, 0);
    all.append(1);
    for (int i = 1; i < 30; ++i) {
        all.now = all.now + seconds(1);
        all.append(1);
        all.fetch(2, i);
        all.fetch(3, i);
    }
    CHECK_FALSE(all.state->check_lag(all.turn(), all.cluster.image).propose);
}

TEST_CASE("leader: answers to AlterPartition are retried, dropped or waited for by their code") {
    const auto joining_of = [](Leader& all) { return *all.fetch(3, 4).effects.propose; };
    for (const ErrorCode error :
         {ErrorCode::operation_not_attempted, ErrorCode::ineligible_replica}) {
        Leader all(1, 4, 4, {1, 2});
        CHECK_FALSE(all.refuse(joining_of(all), error).propose);
        CHECK_FALSE(all.state->in_flight());
        CHECK(all.state->maximal_isr() == ids({1, 2}));
    }
    for (const ErrorCode error : {ErrorCode::unknown_topic_id, ErrorCode::fenced_leader_epoch,
                                  ErrorCode::invalid_update_version, ErrorCode::invalid_request,
                                  ErrorCode::new_leader_elected}) {
        Leader all(1, 4, 4, {1, 2});
        CHECK_FALSE(all.refuse(joining_of(all), error).propose);
        CHECK(all.state->maximal_isr() == ids({1, 2, 3}));
    }
    Leader all(1, 4, 4, {1, 2});
    const IsrProposal joining = joining_of(all);
    for (const ErrorCode error : {ErrorCode::unknown_server_error, ErrorCode::not_controller,
                                  ErrorCode::stale_broker_epoch})
        CHECK(all.refuse(joining, error).propose == joining);
    // Newer metadata overtakes the answer, which then means nothing.
    metadata::PartitionChanged change;
    change.partition = test_partition;
    change.isr = ids({1});
    all.cluster.put(change);
    all.state->on_metadata(all.turn(), all.cluster.image, all.cluster.partition(), all.log);
    CHECK(all.state->committed_isr() == ids({1}));
    all.answer(joining, all.accept(joining));
    CHECK(all.state->committed_isr() == ids({1}));
}

TEST_CASE("leader: metadata that only repeats an answer does not forget what is in flight") {
    Leader all(1, 4, 4, {1});
    const auto first = all.fetch(2, 4).effects.propose;
    REQUIRE(first);
    all.answer(*first, all.accept(*first));
    const auto second = all.fetch(3, 4).effects.propose;
    REQUIRE(second);
    metadata::PartitionChanged change;
    change.partition = test_partition;
    change.isr = ids({1, 2});
    all.cluster.put(change);
    CHECK(all.cluster.partition().partition_epoch == all.state->partition_epoch());
    all.state->on_metadata(all.turn(), all.cluster.image, all.cluster.partition(), all.log);
    CHECK(all.state->maximal_isr() == ids({1, 2, 3}));
}

TEST_CASE("leader: a new epoch starts at the log's end and knows nothing of the others") {
    Leader all(2, 4, 0);
    all.fetch(2, 4);
    all.append(3);
    metadata::PartitionChanged change;
    change.partition = test_partition;
    change.leader = BrokerId(1);
    all.cluster.put(change);
    all.state->on_metadata(all.turn(), all.cluster.image, all.cluster.partition(), all.log);
    CHECK(all.state->epoch_start() == Offset(7));
    CHECK(all.state->remotes().at(BrokerId(2)).log_end == no_offset);
    CHECK_FALSE(all.fetch(3, 7).effects.moved);
}

TEST_CASE("leader: LATEST waits until the watermark has reached the epoch's start") {
    Leader all(2, 10, 7);
    CHECK(all.state->latest(all.turn()).error == ErrorCode::offset_not_available);
    all.fetch(2, 10);
    all.fetch(3, 9);
    CHECK(all.state->latest(all.turn()).error == ErrorCode::offset_not_available);
    all.fetch(3, 10);
    CHECK(all.state->latest(all.turn()).error == ErrorCode::none);
    CHECK(all.state->latest(all.turn()).offset == Offset(10));
}

TEST_CASE("waiters: a produce request is answered when the watermark passes it, in order") {
    Leader all(2, 0, 0);
    ProduceWaiters waiters;
    all.append(10);
    const LeaderEpoch epoch = all.state->epoch();
    waiters.add({3, Offset(10), epoch, Instant{} + seconds(3)});
    waiters.add({1, Offset(4), epoch, Instant{} + seconds(5)});
    waiters.add({2, Offset(4), epoch, Instant{} + seconds(4)});
    CHECK(waiters.deadline_min() == Instant{} + seconds(3));
    CHECK(waiters.settle(all.turn(), *all.state).empty());
    all.fetch(2, 10);
    all.fetch(3, 4);
    CHECK(waiters.settle(all.turn(), *all.state) ==
          std::vector<ProduceSettled>{{1, ErrorCode::none}, {2, ErrorCode::none}});
    CHECK(waiters.expire(Instant{} + seconds(2)).empty());
    CHECK(waiters.expire(Instant{} + seconds(3)) ==
          std::vector<ProduceSettled>{{3, ErrorCode::request_timed_out}});
    CHECK(waiters.size() == 0);
    CHECK(waiters.deadline_min() == instant_never);
}

TEST_CASE("waiters: with R1 planted acks=all is answered at once") {
    Leader all(2, 0, 0);
    ProduceWaiters waiters;
    all.append(1);
    waiters.add({1, Offset(1), all.state->epoch(), Instant{} + seconds(3)});
    all.plants.plant(Bug::acks_all_like_one);
    CHECK(waiters.settle(all.turn(), *all.state).size() == 1);
    CHECK(all.plants.taken(Bug::acks_all_like_one) == 1);
}

TEST_CASE("waiters: a row of an older epoch is never completed by a newer one") {
    Leader all(1, 0, 0, {1});
    ProduceWaiters waiters;
    all.append(5);
    waiters.add({1, Offset(9), all.state->epoch() - 1, Instant{} + seconds(3)});
    waiters.add({2, Offset(2), all.state->epoch() - 1, Instant{} + seconds(3)});
    waiters.add({3, Offset(5), all.state->epoch(), Instant{} + seconds(3)});
    CHECK(waiters.settle(all.turn(), *all.state) ==
          std::vector<ProduceSettled>{{2, ErrorCode::not_leader_or_follower},
                                      {1, ErrorCode::not_leader_or_follower},
                                      {3, ErrorCode::none}});
    waiters.add({4, Offset(9), all.state->epoch(), Instant{} + seconds(3)});
    CHECK(waiters.fail_all() ==
          std::vector<ProduceSettled>{{4, ErrorCode::not_leader_or_follower}});
}

TEST_CASE("waiters: the ISR shrinks after the append, and that is said") {
    Leader all(2, 0, 0, {1, 2});
    all.append(1);
    all.fetch(2, 1);
    CHECK(all.state->acks_all_answer(all.turn(), Offset(1)) == ErrorCode::none);
    metadata::PartitionChanged change;
    change.partition = test_partition;
    change.isr = ids({1});
    all.cluster.put(change);
    all.state->on_metadata(all.turn(), all.cluster.image, all.cluster.partition(), all.log);
    CHECK(all.state->acks_all_answer(all.turn(), Offset(1)) ==
          ErrorCode::not_enough_replicas_after_append);
}

TEST_CASE("waiters: fetches wake by their own bound, by time, or all together") {
    FetchWaiters waiters;
    const Instant later = Instant{} + seconds(1);
    waiters.add({1, FetchBound::high_watermark, Offset(5), later});
    waiters.add({2, FetchBound::log_end, Offset(5), later});
    waiters.add({3, FetchBound::high_watermark, Offset(7), later + seconds(1)});
    CHECK(waiters.take_ready(Offset(5), Offset(5), Offset(5)).empty());
    CHECK(waiters.take_ready(Offset(5), Offset(6), Offset(5)) == std::vector<ReplyToken>{2});
    CHECK(waiters.take_ready(Offset(7), Offset(9), Offset(7)) == std::vector<ReplyToken>{1});
    CHECK(waiters.deadline_min() == later + seconds(1));
    CHECK(waiters.take_expired(later).empty());
    waiters.add({4, FetchBound::log_end, Offset(9), later});
    CHECK(waiters.take_expired(later) == std::vector<ReplyToken>{4});
    CHECK_FALSE(waiters.remove(4));
    waiters.add({5, FetchBound::log_end, Offset(9), later});
    CHECK(waiters.remove(5));
    CHECK(waiters.take_all() == std::vector<ReplyToken>{3});
    CHECK(waiters.size() == 0);
}
