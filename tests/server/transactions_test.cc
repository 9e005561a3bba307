// Transactions over brokers in the simulated world: what readers of each isolation level see,
// parked or not, verification, timeouts, and coordinators that are killed.
#include <catch2/catch.hpp>

#include "tests/server/transaction_world.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {
using Values = std::vector<std::string>;
}

TEST_CASE(
    "transactions: readers of what is committed see no more and no less, in one shard or three") {
    for (const env::ShardIndex shards : {1, 3}) {
        TransactionWorld world(with_transactions(3, shards));
        REQUIRE(world.ready);
        const Identity one = world.init("one");
        const Identity two = world.init("two");
        REQUIRE(world.add("one", one) == ErrorCode::none);
        REQUIRE(world.add("two", two) == ErrorCode::none);
        CHECK(world.produce("one", one, 0, "a") == ErrorCode::none);
        CHECK(world.produce("two", two, 0, "b") == ErrorCode::none);
        CHECK(world.produce("one", one, 1, "c") == ErrorCode::none);
        CHECK(world.read(false).values == Values{"a", "b", "c"});
        CHECK(world.read(true).values.empty());
        CHECK(world.latest(false) == Offset(3));
        CHECK(world.latest(true) == Offset(0));
        CHECK(world.end("two", two, true) == ErrorCode::none);
        REQUIRE(world.comes_to("two", "CompleteCommit"));
        // What is committed behind something open waits for it.
        CHECK(world.read(true).values.empty());
        CHECK(world.end("one", one, false) == ErrorCode::none);
        REQUIRE(world.comes_to("one", "CompleteAbort"));
        const auto seen = world.read(true);
        CHECK(seen.values == Values{"b"});
        CHECK(seen.stable == Offset(5));
        REQUIRE(seen.aborted.size() == 1);
        CHECK(seen.aborted[0] == std::pair(one.producer, Offset(0)));
        CHECK(world.latest(true) == Offset(5));
        CHECK(world.markers().at(one.producer) == "a");
        CHECK(world.markers().at(two.producer) == "c");
    }
}

TEST_CASE(
    "transactions: a parked fetch of what is committed is answered by the commit, not before") {
    TransactionWorld world(with_transactions());
    REQUIRE(world.ready);
    const Identity who = world.init("one");
    REQUIRE(world.add("one", who) == ErrorCode::none);
    const std::size_t reader = world.client.connect("broker-1");
    auto request = fetch_of(Offset(0), false, 20'000);
    request.isolation_level = 1;
    const std::size_t parked = world.client.send(reader, request, 11);
    REQUIRE(world.produce("one", who, 0, "a") == ErrorCode::none);
    world.cluster.world.run_for(seconds(2));
    CHECK_FALSE(world.client.has(reader, parked));
    REQUIRE(world.end("one", who, true) == ErrorCode::none);
    const Instant before = world.cluster.world.now();
    const auto answer = world.client.take<protocol::FetchRequest>(reader, parked, 11);
    REQUIRE(answer);
    CHECK(world.cluster.world.now() < before + seconds(1));
    CHECK(records_in(only(answer->body).records).at(0).second == "a");
}

TEST_CASE(
    "transactions: a batch that its coordinator knows nothing of is refused, in each version's "
    "words") {
    TransactionWorld world(with_transactions());
    REQUIRE(world.ready);
    const Identity who = world.init("one");
    CHECK(world.produce("one", who, 0, "early", 10) == ErrorCode::invalid_txn_state);
    CHECK(world.produce("one", who, 0, "early", 11) == ErrorCode::transaction_abortable);
    REQUIRE(world.add("one", who) == ErrorCode::none);
    CHECK(world.produce("one", who, 0, "a") == ErrorCode::none);
    REQUIRE(world.end("one", who, false) == ErrorCode::none);
    REQUIRE(world.comes_to("one", "CompleteAbort"));
    // A batch of then that comes only now opens nothing (plant T1 is this check left out).
    CHECK(world.produce("one", who, 1, "late", 11) == ErrorCode::transaction_abortable);
    CHECK(world.latest(true) == world.latest(false));
    // Who is not told whose it is may not write it.
    const Bytes bytes = world.batch(who, 1, "nobody");
    const auto answer = world.once(trial.topic, produce_of(bytes), 9);
    REQUIRE(answer);
    CHECK(only(answer->body).error_code == ErrorCode::transactional_id_authorization_failed);
    // By Produce 12 the partition joins at once (KIP-890), and each end brings an epoch.
    CHECK(world.produce("one", who, 1, "b", 12) == ErrorCode::none);
    CHECK(world.state_of("one") == "Ongoing");
    const auto end = world.served(state_id, TransactionWorld::end_of("one", who, true), 5,
                                  [](const auto& body) { return body.error_code; });
    REQUIRE(end->error_code == ErrorCode::none);
    CHECK(end->producer_epoch.value == who.epoch.value + 1);
    REQUIRE(world.comes_to("one", "CompleteCommit"));
    CHECK(world.produce("one", who, 2, "old", 12) == ErrorCode::invalid_producer_epoch);
    CHECK(world.read(true).values == Values{"b"});
}

TEST_CASE(
    "transactions: one that is left alone is aborted in time, and its producer writes no more") {
    TransactionWorld world(with_transactions());
    REQUIRE(world.ready);
    const Identity who = world.init("one", 3'000);
    REQUIRE(world.add("one", who) == ErrorCode::none);
    REQUIRE(world.produce("one", who, 0, "a") == ErrorCode::none);
    REQUIRE(world.comes_to("one", "CompleteAbort"));
    CHECK(world.latest(true) == world.latest(false));
    CHECK(world.read(true).values.empty());
    CHECK(world.produce("one", who, 1, "b") == ErrorCode::invalid_producer_epoch);
    const auto end = world.once(state_id, TransactionWorld::end_of("one", who, true), 3);
    REQUIRE(end);
    CHECK(end->body.error_code == ErrorCode::producer_fenced);
    const auto old = world.once(state_id, TransactionWorld::end_of("one", who, true), 1);
    CHECK(old->body.error_code == ErrorCode::invalid_producer_epoch);
}

TEST_CASE(
    "transactions: a coordinator that is killed at any moment of an end changes nothing of it") {
    for (int moment = 0; moment < 14; ++moment) {
        TransactionWorld world(with_transactions(3, 1, 40 + static_cast<std::uint64_t>(moment)));
        REQUIRE(world.ready);
        const Identity who = world.init("one");
        REQUIRE(world.add("one", who) == ErrorCode::none);
        REQUIRE(world.produce("one", who, 0, "a") == ErrorCode::none);
        const bool commit = moment % 2 == 0;
        const BrokerId coordinator = world.leader_of(state_id);
        const std::size_t line = world.client.connect(fmt::format("broker-{}", coordinator.value));
        world.cluster.world.run_for(milliseconds(20));
        world.client.send(line, TransactionWorld::end_of("one", who, commit), 3);
        world.cluster.world.run_for(milliseconds(moment));
        world.cluster.world.kill(world.cluster.node_of(coordinator));
        REQUIRE(world.cluster.world.run_until(
            [&] { return world.leader_of(state_id) != coordinator; }, seconds(20)));
        // The client asks again, as it would.
        CHECK(world.end("one", who, commit) == ErrorCode::none);
        REQUIRE(world.comes_to("one", commit ? "CompleteCommit" : "CompleteAbort"));
        CHECK(world.read(true).values == (commit ? Values{"a"} : Values{}));
        CHECK(world.latest(true) == world.latest(false));
        const std::string kinds = world.markers().at(who.producer);
        CHECK(kinds.find(commit ? 'a' : 'c') == std::string::npos);
        world.cluster.world.start(world.cluster.node_of(coordinator));
    }
}
