// Moves of replicas: begun, finished when all of the target are in sync, changed on the way, taken
// back, refused.

#include "core/controller/reassignment.h"

#include <catch2/catch.hpp>

#include "tests/controller/cluster.h"

namespace {

using namespace klamm;
using namespace klamm::controller;
using protocol::ErrorCode;

/// Brokers 1 to 6, and topic "t" on 1, 2 and 3.
Cluster six(bool elr = true) {
    Cluster cluster(elr);
    for (int i = 4; i <= 6; ++i) {
        metadata::BrokerRegistered registered;
        registered.broker = BrokerId(i);
        registered.epoch = BrokerEpoch(cluster.image.offset() + 1);
        registered.fenced = false;
        cluster.put(registered);
    }
    return cluster;
}

ErrorCode ask(Cluster& cluster, std::optional<BrokerIds> target, bool factor_may_change = true) {
    AdminOutcome outcome =
        reassign(cluster.image, {"t", PartitionIndex(0), std::move(target)}, factor_may_change);
    cluster.put(outcome.decisions);
    return outcome.answer.error;
}

/// The leader proposes this ISR.
ErrorCode in_sync(Cluster& cluster, std::initializer_list<int> isr) {
    const auto& partition = cluster.partition();
    AlterPartition request{
        test_partition, partition.leader, partition.leader_epoch, partition.partition_epoch, {}};
    for (const BrokerId member : ids(isr)) request.isr.push_back({member, no_broker_epoch});
    const auto outcome =
        alter_partition(cluster.image, request, cluster.image.broker(partition.leader)->epoch);
    cluster.put(outcome.decisions);
    return outcome.error;
}

}  // namespace

TEST_CASE(
    "reassignment: replicas are added, and those that go leave when the new ones are in sync") {
    Cluster cluster = six();
    const LeaderEpoch before = cluster.partition().leader_epoch;
    CHECK(ask(cluster, ids({4, 5, 2})) == ErrorCode::none);
    CHECK(cluster.partition().replicas == ids({4, 5, 2, 1, 3}));
    CHECK(cluster.partition().adding == ids({4, 5}));
    CHECK(cluster.partition().removing == ids({1, 3}));
    CHECK(cluster.partition().isr == ids({1, 2, 3}));
    CHECK(cluster.partition().leader == BrokerId(1));
    CHECK(cluster.partition().leader_epoch == before);
    CHECK(in_sync(cluster, {1, 2, 3, 4}) == ErrorCode::none);
    CHECK(cluster.partition().reassigning());
    // The last of them arrives: broker 1 led, and is a replica no more.
    CHECK(in_sync(cluster, {1, 2, 3, 4, 5}) == ErrorCode::new_leader_elected);
    CHECK_FALSE(cluster.partition().reassigning());
    CHECK(cluster.partition().replicas == ids({4, 5, 2}));
    CHECK(metadata::sorted(cluster.partition().isr) == ids({2, 4, 5}));
    CHECK(cluster.partition().leader == BrokerId(4));
    CHECK(cluster.partition().leader_epoch == before + 1);
    CHECK(cluster.partition().elr.empty());
}

TEST_CASE("reassignment: to fewer or in another order it is over at once, and the rest are told") {
    Cluster cluster = six();
    const LeaderEpoch before = cluster.partition().leader_epoch;
    CHECK(ask(cluster, ids({3, 1, 2})) == ErrorCode::none);
    CHECK(cluster.partition().replicas == ids({3, 1, 2}));
    CHECK_FALSE(cluster.partition().reassigning());
    CHECK(cluster.partition().leader == BrokerId(1));
    CHECK(cluster.partition().leader_epoch == before);
    CHECK(ask(cluster, ids({1, 2})) == ErrorCode::none);
    CHECK(cluster.partition().replicas == ids({1, 2}));
    CHECK(cluster.partition().isr == ids({1, 2}));
    CHECK(cluster.partition().leader == BrokerId(1));
    // The same leader in a new epoch: broker 3 follows nobody by the old one.
    CHECK(cluster.partition().leader_epoch == before + 1);
    CHECK(ask(cluster, ids({1, 2})) == ErrorCode::none);
    CHECK(cluster.partition().leader_epoch == before + 1);
}

TEST_CASE("reassignment: one under way is taken back, or given another target") {
    Cluster cluster = six();
    CHECK(ask(cluster, std::nullopt) == ErrorCode::no_reassignment_in_progress);
    CHECK(ask(cluster, ids({2, 3, 4})) == ErrorCode::none);
    CHECK(ask(cluster, std::nullopt) == ErrorCode::none);
    CHECK_FALSE(cluster.partition().reassigning());
    CHECK(metadata::sorted(cluster.partition().replicas) == ids({1, 2, 3}));
    CHECK(cluster.partition().isr == ids({1, 2, 3}));

    CHECK(ask(cluster, ids({2, 3, 4})) == ErrorCode::none);
    CHECK(ask(cluster, ids({2, 3, 5})) == ErrorCode::none);
    CHECK(cluster.partition().removing == ids({1, 4}));
    CHECK(cluster.partition().adding == ids({5}));
    CHECK(in_sync(cluster, {1, 2, 3, 5}) == ErrorCode::new_leader_elected);
    CHECK(cluster.partition().replicas == ids({2, 3, 5}));
    CHECK(cluster.partition().leader == BrokerId(2));
    CHECK_FALSE(cluster.partition().reassigning());
}

TEST_CASE(
    "reassignment: those that are added may be all that is left, and then nothing goes back") {
    Cluster cluster = six(false);
    CHECK(ask(cluster, ids({4, 5, 6})) == ErrorCode::none);
    CHECK(in_sync(cluster, {1, 4}) == ErrorCode::none);
    cluster.fence(1);
    CHECK(cluster.partition().leader == BrokerId(4));
    CHECK(cluster.partition().isr == ids({4}));
    CHECK(ask(cluster, std::nullopt) == ErrorCode::invalid_replica_assignment);
    CHECK(cluster.partition().reassigning());
    cluster.config("unclean.leader.election.enable", "true");
    CHECK(ask(cluster, std::nullopt) == ErrorCode::none);
    CHECK_FALSE(cluster.partition().reassigning());
    CHECK(metadata::sorted(cluster.partition().replicas) == ids({1, 2, 3}));
}

TEST_CASE("reassignment: what is refused, and in which words") {
    Cluster cluster = six();
    const auto text = [&](const Reassignment& request, bool may_change = true) {
        const AdminOutcome outcome = reassign(cluster.image, request, may_change);
        CHECK(outcome.decisions.empty());
        return *outcome.answer.text;
    };
    CHECK(text({"absent", PartitionIndex(0), ids({1})}) == "Unable to find a topic named absent.");
    CHECK(text({"t", PartitionIndex(7), ids({1})}) == "Unable to find partition t:7.");
    CHECK(text({"t", PartitionIndex(0), ids({1, 9})}) ==
          "The manual partition assignment includes broker 9, but no such broker is registered.");
    CHECK(text({"t", PartitionIndex(0), ids({1, 1})}) ==
          "The manual partition assignment includes the broker 1 more than once.");
    CHECK(text({"t", PartitionIndex(0), ids({})}) ==
          "The manual partition assignment includes an empty replica list.");
    CHECK(text({"t", PartitionIndex(0), ids({1, 2})}, false) ==
          "The replication factor is changed from 3 to 2");
    CHECK(ask(cluster, ids({4, 5, 6}), false) == ErrorCode::none);
    CHECK(cluster.partition().adding == ids({4, 5, 6}));
}
