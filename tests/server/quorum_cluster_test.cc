// Brokers under controllers that are a quorum: the active one is found, replaced, and what it had
// committed is kept.
#include <catch2/catch.hpp>

#include "tests/server/cluster.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;

namespace {

ClusterOptions options(std::uint64_t seed, int controllers = 3) {
    ClusterOptions options;
    options.seed = seed;
    options.controllers = controllers;
    return options;
}

std::size_t active(Cluster& cluster) {
    REQUIRE(cluster.active() >= 0);
    return static_cast<std::size_t>(cluster.active());
}

/// Every broker has the image that the active controller has.
bool agree(Cluster& cluster) {
    if (cluster.active() < 0) return false;
    const metadata::ClusterImage& image = cluster.controller_at(active(cluster))->image();
    for (std::size_t i = 1; i <= cluster.brokers.size(); ++i) {
        const Broker* broker = cluster.broker(BrokerId(static_cast<std::int32_t>(i)));
        if (broker == nullptr || !(broker->image() == image)) return false;
    }
    return true;
}

/// Another controller than `before` is active.
bool replaced(Cluster& cluster, std::size_t before, Duration limit) {
    return cluster.world.run_until(
        [&] {
            return cluster.active() >= 0 && static_cast<std::size_t>(cluster.active()) != before;
        },
        limit);
}

}  // namespace

TEST_CASE("quorum cluster: one or three controllers, brokers register and make the topic") {
    for (const int controllers : {1, 3}) {
        Cluster cluster(options(21, controllers));
        REQUIRE(cluster.ready());
        CHECK(cluster.world.run_until([&] { return agree(cluster); }, seconds(5)));
        CHECK(cluster.partition()->isr.size() == 3);
        for (std::size_t i = 0; i < cluster.controllers.size(); ++i)
            CHECK(cluster.controller_at(i)->active() == (i == active(cluster)));
    }
}

TEST_CASE("quorum cluster: the active controller is killed, its successor has all and goes on") {
    Cluster cluster(options(22));
    REQUIRE(cluster.ready());
    const std::size_t first = active(cluster);
    const metadata::ClusterImage before = cluster.controller_at(first)->image();
    cluster.world.kill(cluster.controllers[first]);
    REQUIRE(replaced(cluster, first, seconds(10)));
    // Nobody was fenced for it, and the epochs are those of before.
    CHECK(cluster.controller_at(active(cluster))->image() == before);
    // It notices who dies, and elects.
    cluster.world.kill(cluster.brokers[0]);
    CHECK(cluster.world.run_until([&] { return cluster.leader() == BrokerId(2); }, seconds(10)));
    cluster.world.start(cluster.brokers[0]);
    cluster.world.start(cluster.controllers[first]);
    CHECK(cluster.world.run_until([&] { return cluster.isr_size() == 3 && agree(cluster); },
                                  seconds(20)));
    CHECK_FALSE(cluster.controller_at(first)->active());
}

TEST_CASE("quorum cluster: an isolated controller decides nothing that counts, and is found out") {
    Cluster cluster(options(23));
    REQUIRE(cluster.ready());
    const std::size_t first = active(cluster);
    const std::int64_t committed = cluster.controller_at(first)->image().offset();
    const sim::NodeId alone = cluster.controllers[first];
    for (const auto* side : {&cluster.controllers, &cluster.brokers})
        for (const sim::NodeId other : *side)
            if (other != alone) cluster.world.partition({&alone, 1}, {&other, 1});
    // Its sessions run out when it has long resigned: it drops what it may have decided alone.
    REQUIRE(replaced(cluster, first, seconds(15)));
    CHECK(cluster.world.run_until([&] { return !cluster.controller_at(first)->active(); },
                                  seconds(5)));
    cluster.world.run_for(seconds(10));
    CHECK(cluster.isr_size() == 3);
    CHECK(cluster.leader() == BrokerId(1));
    CHECK(cluster.controller_at(first)->image().offset() <= committed);
    cluster.world.heal_all();
    CHECK(cluster.world.run_until([&] { return agree(cluster); }, seconds(20)));
    const Offset end = cluster.controller_at(active(cluster))->quorum()->log().end();
    CHECK(cluster.world.run_until(
        [&] { return cluster.controller_at(first)->quorum()->log().end() == end; }, seconds(20)));
}

TEST_CASE("quorum cluster: a rolling restart of controllers and brokers, all stop cleanly") {
    Cluster cluster(options(24));
    REQUIRE(cluster.ready());
    std::vector<sim::NodeId> all = cluster.controllers;
    all.insert(all.end(), cluster.brokers.begin(), cluster.brokers.end());
    for (const sim::NodeId node : all) {
        cluster.world.ask_stop(node);
        REQUIRE(cluster.world.run_until([&] { return !cluster.world.alive(node); }, seconds(40)));
        CHECK(cluster.world.stop_status(node) == 0);
        cluster.world.start(node);
        REQUIRE(cluster.world.run_until([&] { return cluster.isr_size() == 3 && agree(cluster); },
                                        seconds(20)));
    }
}

TEST_CASE("quorum cluster: controllers and brokers lose their power, one image comes back") {
    for (std::uint64_t seed = 31; seed <= 40; ++seed) {
        Cluster cluster(options(seed));
        REQUIRE(cluster.ready());
        cluster.world.kill(cluster.brokers[0]);
        cluster.world.run_for(milliseconds(static_cast<std::int64_t>(2'900 + 30 * (seed - 30))));
        std::vector<sim::NodeId> all = cluster.controllers;
        all.insert(all.end(), cluster.brokers.begin(), cluster.brokers.end());
        cluster.world.power_loss(all);
        cluster.world.run_for(milliseconds(100));
        cluster.start();
        INFO("seed " << seed);
        CHECK(cluster.world.run_until([&] { return cluster.isr_size() == 3 && agree(cluster); },
                                      seconds(40)));
    }
}

TEST_CASE("quorum cluster: all are asked to stop at once, and the brokers are let go first") {
    ClusterOptions all = options(26);
    all.controllers_stay = true;
    Cluster cluster(all);
    REQUIRE(cluster.ready());
    for (const auto* side : {&cluster.controllers, &cluster.brokers})
        for (const sim::NodeId node : *side) cluster.world.ask_stop(node);
    const auto gone = [&](const std::vector<sim::NodeId>& nodes) {
        return std::none_of(nodes.begin(), nodes.end(),
                            [&](sim::NodeId node) { return cluster.world.alive(node); });
    };
    CHECK(cluster.world.run_until([&] { return gone(cluster.brokers); }, seconds(5)));
    CHECK(cluster.world.run_until([&] { return gone(cluster.controllers); }, seconds(30)));
    for (const auto* side : {&cluster.controllers, &cluster.brokers})
        for (const sim::NodeId node : *side) CHECK(cluster.world.stop_status(node) == 0);
}

TEST_CASE("quorum cluster: storms over controllers and brokers end in one image") {
    constexpr auto domain = draw_domain("test.quorum_cluster");
    std::uint64_t epochs = 0;
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
        Cluster cluster(options(seed));
        cluster.start();
        std::vector<sim::NodeId> all = cluster.controllers;
        all.insert(all.end(), cluster.brokers.begin(), cluster.brokers.end());
        const Draws draws(seed);
        for (std::uint64_t n = 0; n < 24; ++n) {
            const sim::NodeId one = all[draws.below(all.size(), domain, 1, n)];
            const sim::NodeId other = all[draws.below(all.size(), domain, 2, n)];
            switch (draws.below(8, domain, 3, n)) {
                case 0: cluster.world.kill(one); break;
                case 1: cluster.world.power_loss(one); break;
                case 2: cluster.world.power_loss(all); break;
                case 3: cluster.world.cut(one, other); break;
                case 4: cluster.world.partition({&one, 1}, cluster.controllers); break;
                case 5: cluster.world.heal_all(); break;
                default:
                    for (const sim::NodeId node : all) cluster.world.start(node);
            }
            cluster.world.run_for(milliseconds(draws.between(10, 1'200, domain, 4, n)));
        }
        cluster.world.heal_all();
        INFO("seed " << seed);
        const Instant until = cluster.world.now() + seconds(120);
        bool settled = false;
        while (!settled && cluster.world.now() < until && !cluster.world.ended()) {
            for (const sim::NodeId node : all) cluster.world.start(node);
            settled = cluster.world.run_until(
                [&] { return cluster.isr_size() == 3 && agree(cluster); }, seconds(5));
        }
        CHECK_FALSE(cluster.world.ended().has_value());
        CHECK(settled);
        for (const sim::NodeId node : all) CHECK_FALSE(cluster.world.stop_status(node) == 1);
        if (cluster.active() >= 0)
            epochs += static_cast<std::uint64_t>(
                cluster.controller_at(active(cluster))->quorum()->raft()->epoch().value);
    }
    CHECK(epochs > 50);
}
