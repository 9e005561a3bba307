// A cluster without clients: who leads, who is in sync, what a crash changes.
#include <catch2/catch.hpp>

#include "tests/server/cluster.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;

TEST_CASE("cluster: three brokers register, make the topic, and all are in sync") {
    Cluster cluster;
    cluster.start();
    REQUIRE(cluster.world.run_until([&] { return cluster.leader() == BrokerId(1); }, seconds(5)));
    CHECK(cluster.isr_size() == 3);
    // A follower takes the leader's epoch and fetches from it.
    cluster.world.run_for(seconds(2));
    for (const sim::NodeId node : cluster.brokers) {
        const auto& broker = static_cast<const Broker&>(*cluster.world.shard_object(node));
        REQUIRE(broker.hosts().size() == 1);
        CHECK(broker.image().partition(trial)->leader == BrokerId(1));
    }
}

TEST_CASE("cluster: a killed leader is replaced, comes back as a follower and rejoins the ISR") {
    Cluster cluster;
    cluster.start();
    REQUIRE(cluster.world.run_until([&] { return cluster.leader() == BrokerId(1); }, seconds(5)));
    cluster.world.kill(cluster.brokers[0]);
    REQUIRE(cluster.world.run_until([&] { return cluster.leader() == BrokerId(2); }, seconds(10)));
    CHECK(cluster.isr_size() == 2);
    cluster.world.start(cluster.brokers[0]);
    REQUIRE(cluster.world.run_until([&] { return cluster.isr_size() == 3; }, seconds(10)));
    CHECK(cluster.leader() == BrokerId(2));
}

TEST_CASE("cluster: power lost everywhere, the partition has a leader again when all are back") {
    Cluster cluster({.shards = 2, .topic = {{"flush.messages", "1"}}, .script = {}});
    cluster.start();
    REQUIRE(cluster.world.run_until([&] { return cluster.isr_size() == 3; }, seconds(5)));
    cluster.world.power_loss(cluster.brokers);
    cluster.world.run_for(seconds(1));
    for (const sim::NodeId broker : cluster.brokers) cluster.world.start(broker);
    REQUIRE(cluster.world.run_until(
        [&] { return cluster.leader() != no_broker && cluster.isr_size() == 3; }, seconds(20)));
}

TEST_CASE("cluster: a clean stop is proven at the next registration and keeps the log") {
    Cluster cluster;
    cluster.start();
    REQUIRE(cluster.world.run_until([&] { return cluster.isr_size() == 3; }, seconds(5)));
    cluster.world.ask_stop(cluster.brokers[0]);
    REQUIRE(cluster.world.run_until([&] { return !cluster.world.alive(cluster.brokers[0]); },
                                    seconds(10)));
    CHECK(cluster.world.stop_status(cluster.brokers[0]) == 0);
    CHECK(cluster.leader() == BrokerId(2));
    cluster.world.start(cluster.brokers[0]);
    REQUIRE(cluster.world.run_until([&] { return cluster.isr_size() == 3; }, seconds(10)));
}

TEST_CASE("cluster: a script moves the leadership between live replicas") {
    Cluster cluster({.topic = {}, .script = {{seconds(6), MoveLeader{trial, BrokerId(3)}}}});
    cluster.start();
    REQUIRE(cluster.world.run_until([&] { return cluster.leader() == BrokerId(1); }, seconds(5)));
    REQUIRE(cluster.world.run_until([&] { return cluster.leader() == BrokerId(3); }, seconds(10)));
    CHECK(cluster.isr_size() == 3);
}

TEST_CASE("cluster: an administrator's unclean election waits for its need while patience lasts") {
    for (const Duration patience : {seconds(60), Duration{}}) {
        Cluster cluster({.topic = {}, .script = {{seconds(6), ElectUnclean{trial, patience}}}});
        REQUIRE(cluster.ready());
        const auto kill = [&](int id) { cluster.world.kill(cluster.node_of(BrokerId(id))); };
        kill(2);
        kill(3);
        REQUIRE(cluster.world.run_until([&] { return cluster.isr_size() == 1; }, seconds(20)));
        REQUIRE(cluster.world.run_for(seconds(6)));
        CHECK(cluster.leader() == BrokerId(1));  // not needed
        kill(1);
        REQUIRE(cluster.world.run_until([&] { return cluster.leader() == no_broker; },
                                        cluster.world.now() + seconds(10)));
        cluster.world.start(cluster.node_of(BrokerId(2)));
        const bool elected = cluster.world.run_until(
            [&] { return cluster.leader() == BrokerId(2); }, cluster.world.now() + seconds(10));
        CHECK(elected == (patience > Duration{}));
    }
}

TEST_CASE(
    "cluster: what is set for a topic is told of its partitions, the ELR that goes included") {
    struct Watch final : sim::WorldObserver {
        void on_fact(sim::NodeId, env::ShardIndex, Instant, const facts::Fact& fact) override {
            if (const auto* one = std::get_if<facts::PartitionCommitted>(&fact)) last = *one;
        }
        facts::PartitionCommitted last;
    } watch;
    Cluster cluster({.topic = {{"min.insync.replicas", "2"}}, .script = {}});
    cluster.world.set_observer(&watch);
    REQUIRE(cluster.ready());
    cluster.world.kill(cluster.node_of(BrokerId(2)));
    cluster.world.kill(cluster.node_of(BrokerId(3)));
    REQUIRE(cluster.world.run_until([&] { return cluster.isr_size() == 1; }, seconds(20)));
    REQUIRE(cluster.world.run_for(milliseconds(100)));
    CHECK(watch.last.elr.size() == 1);
    CHECK(watch.last.min_isr == 2);
    cluster.world.post(cluster.controller, std::make_unique<Administration>(
                                               ChangeConfig{"trial", "min.insync.replicas", "1"}));
    REQUIRE(cluster.world.run_for(milliseconds(100)));
    CHECK(watch.last.cause == facts::PartitionChangeCause::configuration);
    CHECK(watch.last.elr.empty());
    CHECK(watch.last.min_isr == 1);
    CHECK(cluster.partition()->elr.empty());
}

TEST_CASE("cluster: a wiped broker loses its places, and copies the log anew") {
    Cluster cluster({.topic = {{"min.insync.replicas", "2"}}, .script = {}});
    REQUIRE(cluster.ready());
    for (const int id : {2, 3}) {
        cluster.world.cut(cluster.node_of(BrokerId(id)), cluster.controller);
        cluster.world.cut(cluster.controller, cluster.node_of(BrokerId(id)));
    }
    REQUIRE(cluster.world.run_until([&] { return cluster.partition()->elr.size() == 1; },
                                    cluster.world.now() + seconds(20)));
    cluster.world.wipe(cluster.node_of(BrokerId(1)));
    cluster.world.start(cluster.node_of(BrokerId(1)));
    // It was the leader, and may not be it again while others hold what it has lost.
    REQUIRE(cluster.world.run_for(seconds(10)));
    CHECK(cluster.leader() == no_broker);
    CHECK_FALSE(metadata::contains(cluster.partition()->isr, BrokerId(1)));
    CHECK_FALSE(metadata::contains(cluster.partition()->elr, BrokerId(1)));
    cluster.world.heal_all();
    REQUIRE(cluster.world.run_until([&] { return cluster.in_sync(); },
                                    cluster.world.now() + seconds(20)));
    CHECK(cluster.leader() != BrokerId(1));
}
