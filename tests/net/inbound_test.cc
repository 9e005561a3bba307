// Accepted connections: order, bounds, pins, hostile peers.
#include <catch2/catch.hpp>

#include "tests/net/harness.h"

using namespace klamm;
using namespace klamm::net;
using namespace klamm::net::test;

namespace {
using Texts = std::vector<std::string>;

InboundLimits limits(std::size_t in_flight, std::size_t unsent, std::size_t queued) {
    return {.frame_bytes_max = 1 << 21,
            .requests_in_flight_max = in_flight,
            .unsent_bytes_max = unsent,
            .queued_bytes_max = queued};
}

struct InboundStage {
    explicit InboundStage(InboundLimits bounds = {}) : server(world, bounds) {
        world.run_for(milliseconds(10));
    }
    void settle() { world.run_for(milliseconds(50)); }
    sim::World world{{.seed = 3, .network = {}}};
    Server server;
};

}  // namespace

TEST_CASE("inbound: answers leave in the order of their requests, whichever is ready first") {
    InboundStage stage;
    Peer peer(stage.world, "peer");
    for (const char* text : {"a", "b", "c", "d"}) peer.send(text);
    stage.settle();
    REQUIRE(stage.server.requests.size() == 4);
    stage.server.answer(2, "C");
    stage.server.answer(1, "B");
    stage.settle();
    CHECK(peer.texts().empty());
    stage.server.answer(0, "A");
    stage.settle();
    CHECK(peer.texts() == Texts{"A", "B", "C"});
    // One without an answer holds nobody up.
    peer.send("e");
    stage.settle();
    stage.server.answer(4, "E");
    stage.server.run([&](env::Env& env) {
        stage.server.inbound.respond_nothing(env, stage.server.requests[3].key);
    });
    stage.settle();
    CHECK(peer.texts() == Texts{"A", "B", "C", "E"});
    CHECK(stage.server.inbound.queued_bytes() == 0);
}

TEST_CASE(
    "inbound: at the bound of requests in flight nothing more is read until one is answered") {
    InboundStage stage(limits(2, 1 << 20, 1 << 20));
    Peer peer(stage.world, "peer");
    for (const char* text : {"a", "b", "c", "d"}) peer.send(text);
    stage.settle();
    CHECK(stage.server.requests.size() == 2);
    // The second alone frees nothing: its answer waits for the first.
    stage.server.answer(1, "B");
    stage.settle();
    CHECK(stage.server.requests.size() == 2);
    stage.server.answer(0, "A");
    stage.settle();
    CHECK(stage.server.requests.size() == 4);
    CHECK(stage.server.text(3) == "d");
    CHECK(peer.texts() == Texts{"A", "B"});
}

TEST_CASE("inbound: a peer that does not read its answers is not read from, until it does") {
    InboundStage stage(limits(64, 1 << 20, 1 << 20));
    Peer peer(stage.world, "peer");
    peer.run([&](env::Env&) { peer.reading = false; });
    const std::string large(1 << 20, 'x');
    for (int i = 0; i < 6; ++i) {
        peer.send("ask");
        stage.settle();
        if (stage.server.requests.size() == static_cast<std::size_t>(i) + 1)
            stage.server.answer(stage.server.requests.size() - 1, large, {static_cast<Pin>(i + 1)});
    }
    const std::size_t taken = stage.server.requests.size();
    CHECK(taken >= 1);
    CHECK(taken < 6);
    peer.run([&](env::Env& env) {
        peer.reading = true;
        peer.lend(env);
    });
    stage.world.run_for(seconds(2));
    CHECK(stage.server.requests.size() == 6);
    CHECK(peer.texts().size() == taken);
    // The pins have come back in the order of the answers.
    REQUIRE(stage.server.released.size() == taken);
    for (std::size_t i = 0; i < taken; ++i) CHECK(stage.server.released[i] == i + 1);
}

TEST_CASE("inbound: at the shard's bound clients are paused and brokers are not") {
    InboundStage stage(limits(64, 1 << 20, 1000));
    Peer greedy(stage.world, "greedy");
    Peer client(stage.world, "client");
    Peer broker(stage.world, "broker", port + 1);
    // The bound is looked at before a frame is begun: one may go past it.
    client.send("first");
    greedy.send(std::string(1500, 'g'));
    stage.settle();
    greedy.send("more");
    client.send("second");
    client.send("third");
    broker.send("replicate");
    broker.send("replicate");
    stage.settle();
    Texts seen;
    for (std::size_t i = 0; i < stage.server.requests.size(); ++i)
        seen.push_back(stage.server.text(i).substr(0, 9));
    CHECK(std::count(seen.begin(), seen.end(), "replicate") == 2);
    CHECK(std::count(seen.begin(), seen.end(), "third") == 0);
    CHECK(std::count(seen.begin(), seen.end(), "more") == 0);
    CHECK(stage.server.inbound.queued_bytes() >= 1500);
    SECTION("an answer lets them go on") {
        for (std::size_t i = 0; i < seen.size(); ++i)
            if (seen[i] == "ggggggggg") stage.server.answer(i, "done");
        stage.settle();
        CHECK(stage.server.requests.size() == 7);
    }
    SECTION("so does the end of the connection that had asked so much") {
        const auto broken = stage.world.connections(greedy.node, stage.server.node);
        REQUIRE(broken.size() == 1);
        stage.world.reset_connection(broken[0].key);
        stage.settle();
        CHECK(stage.server.requests.size() == 6);
        CHECK(stage.server.inbound.queued_bytes() < 1000);
    }
    SECTION("and when this side ends it") {
        for (std::size_t i = 0; i < seen.size(); ++i)
            if (seen[i] == "ggggggggg")
                stage.server.run([&](env::Env& env) {
                    stage.server.inbound.close(env, stage.server.requests[i].key.connection);
                });
        stage.settle();
        CHECK(greedy.closed);
        CHECK(stage.server.requests.size() == 6);
    }
}

TEST_CASE("inbound: pins come back when the last byte has left, or the connection goes") {
    InboundStage stage;
    Peer peer(stage.world, "peer");
    peer.send("a");
    peer.send("b");
    peer.send("c");
    stage.settle();
    stage.server.answer(0, "A", {7});
    stage.settle();
    CHECK(stage.server.released == std::vector<Pin>{7});
    stage.server.answer(2, "C", {9, 10});  // waits for b
    stage.settle();
    CHECK(stage.server.released.size() == 1);
    SECTION("closed by the peer") {
        peer.close();
        stage.settle();
    }
    SECTION("closed because of a pin") {
        stage.server.run([&](env::Env& env) { stage.server.inbound.close_holding(env, 10); });
        stage.settle();
        CHECK(peer.closed);
    }
    CHECK(stage.server.released == std::vector<Pin>{7, 9, 10});
    CHECK(stage.server.inbound.size() == 0);
    // An answer to who has gone gives its pins back at once.
    stage.server.answer(1, "B", {11});
    CHECK(stage.server.released.back() == 11);
}

TEST_CASE("inbound: a pin that nobody holds closes nobody") {
    InboundStage stage;
    Peer peer(stage.world, "peer");
    stage.server.run([&](env::Env& env) { stage.server.inbound.close_holding(env, 10); });
    stage.settle();
    CHECK_FALSE(peer.closed);
}

TEST_CASE("inbound: a hostile length closes this connection and no other") {
    InboundStage stage;
    Peer good(stage.world, "good");
    Peer bad(stage.world, "bad");
    Bytes bytes(8, 0);
    store_big_endian(bytes.data(), GENERATE(0, -1, INT32_MIN, INT32_MAX));
    bad.send(bytes);
    good.send("fine");
    stage.settle();
    CHECK(bad.closed);
    CHECK(stage.server.inbound.size() == 1);
    CHECK(stage.server.requests.size() == 1);
    CHECK(stage.server.inbound.queued_bytes() == 4);
}

TEST_CASE("inbound: a network that delivers every byte by itself changes nothing") {
    sim::NetworkOptions network;
    network.packet_bytes_max = 1;
    sim::World world({.seed = 5, .network = network});
    Server server(world, {});
    world.run_for(milliseconds(10));
    Peer peer(world, "peer");
    for (const char* text : {"one", "two", "three"}) peer.send(text);
    world.run_for(milliseconds(200));
    REQUIRE(server.requests.size() == 3);
    for (std::size_t i = 3; i-- > 0;) server.answer(i, server.text(i) + "!");
    world.run_for(milliseconds(200));
    CHECK(peer.texts() == Texts{"one!", "two!", "three!"});
}
