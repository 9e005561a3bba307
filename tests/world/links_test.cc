// Links that are not well and not cut: narrow ones, ones that swallow what is large, ports that
// turn away who connects.
#include <catch2/catch.hpp>

#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

/// `b` counts what arrives at port 1000; `a` has a connection there, and ask_stop(a) runs `then`.
struct Link {
    explicit Link(NetworkOptions network = {}) : world({.seed = 5, .network = network}) {
        b = world.add_node(script("b", [this](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                env.network().listen({"b", 1000}, env::ListenerId{1});
            } else if (const auto* in = std::get_if<env::Accepted>(&event)) {
                env.network().receive(in->connection, MutableBuffer(100'000));
            } else if (const auto* received = std::get_if<env::Received>(&event)) {
                got += received->count;
                last = world.now();
                env.network().receive(received->connection, MutableBuffer(100'000));
            }
        }));
        a = world.add_node(script("a", [this](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) connect(env);
            if (std::holds_alternative<env::Connected>(event)) ++connected;
            if (std::holds_alternative<env::Closed>(event)) ++closed;
            if (std::holds_alternative<env::StopAsked>(event)) then(env);
        }));
        world.start(b);
        run(milliseconds(100));
    }
    void connect(env::Env& env) { connections.push_back(env.network().connect({"b", 1000})); }
    void run(Duration time) { REQUIRE(world.run_for(time)); }
    void send(std::size_t which, std::size_t size) {
        then = [this, which, size](env::Env& env) {
            env.network().send(connections[which], {Buffer::copy_of(pattern(size, 1))}, 0);
        };
        world.ask_stop(a);
        run(milliseconds(10));
    }
    void connect_again() {
        then = [this](env::Env& env) { connect(env); };
        world.ask_stop(a);
        run(milliseconds(500));
    }

    World world;
    NodeId a{};
    NodeId b{};
    std::uint64_t got = 0;
    Instant last;
    int connected = 0;
    int closed = 0;
    std::vector<env::ConnectionId> connections;
    std::function<void(env::Env&)> then;
};

constexpr NetworkOptions patient{.window_bytes_min = 1'000'000,
                                 .window_bytes_max = 1'000'000,
                                 .break_timeout_min = seconds(60),
                                 .break_timeout_max = seconds(60)};

}  // namespace

TEST_CASE("link: what all connections send shares what the link lets through") {
    Link link(patient);
    link.world.start(link.a);
    link.run(milliseconds(500));
    link.connect_again();
    link.world.set_link(link.a, link.b, {.bytes_per_second = 10'000});
    const Instant begin = link.world.now();
    link.send(0, 20'000);
    link.send(1, 10'000);
    link.run(seconds(10));
    CHECK(link.got == 30'000);
    const std::int64_t took = (link.last - begin).nanoseconds;
    CHECK(took >= 3'000'000'000);
    CHECK(took <= 3'200'000'000);
}

TEST_CASE("link: a black hole swallows what is large, and what follows it on that connection") {
    Link link(patient);
    link.world.start(link.a);
    link.run(milliseconds(500));
    link.connect_again();
    link.world.set_link(link.a, link.b, {.swallows_above = 1000});
    link.send(0, 900);
    link.send(0, 1001);
    link.send(0, 100);
    link.run(seconds(5));
    CHECK(link.got == 900);
    link.send(1, 500);  // another connection
    link.run(seconds(5));
    CHECK(link.got == 1400);
    CHECK(link.closed == 0);
    link.world.set_link(link.a, link.b, {});
    link.run(seconds(5));
    CHECK(link.got == 2501);
}

TEST_CASE("link: in a black hole a connection breaks after its timeout") {
    Link link({.break_timeout_min = seconds(3), .break_timeout_max = seconds(3)});
    link.world.start(link.a);
    link.run(milliseconds(500));
    link.world.set_link(link.a, link.b, {.swallows_above = 1000});
    link.send(0, 5000);
    link.run(seconds(2));
    CHECK(link.closed == 0);
    link.run(seconds(2));
    CHECK(link.closed == 1);
    CHECK(link.got == 0);
}

TEST_CASE("link: who is refused is told so at once, and may come back later") {
    Link link;
    link.world.refuse(link.a, link.b, true);
    link.world.start(link.a);
    link.run(milliseconds(500));
    CHECK(link.closed == 1);
    CHECK(link.connected == 0);
    link.world.refuse(link.a, link.b, false);
    link.connect_again();
    CHECK(link.connected == 1);
    CHECK(link.closed == 1);
}
