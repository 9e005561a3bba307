// A run is a function of its seed: equal hashes twice, different ones for different seeds; and
// draws are keyed, so that a node or a fault more leaves the draws of others as they were.
#include <catch2/catch.hpp>

#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

/// Pings around: each node writes and syncs, then connects to the next and sends what it wrote.
struct Ring {
    struct Log {
        std::vector<Instant> times;
    };
    World world;
    std::vector<NodeId> nodes;
    std::vector<Log> logs;
    std::vector<MutableBuffer> buffers;

    Ring(std::uint64_t seed, std::size_t count, bool bystander) : world({.seed = seed}) {
        logs.resize(count);
        buffers.resize(count, MutableBuffer(64));
        if (bystander) world.start(world.add_node(script("bystander", [](auto&, auto&) {})));
        for (std::size_t i = 0; i < count; ++i) {
            const std::string name = "node" + std::to_string(i);
            const std::string next = "node" + std::to_string((i + 1) % count);
            nodes.push_back(world.add_node(
                script(name, [this, i, name, next](env::Env& env, env::Event& event) {
                    logs[i].times.push_back(world.now());
                    handle(i, name, next, env, event);
                })));
        }
        for (const NodeId node : nodes) world.start(node);
    }

    void handle(std::size_t i, const std::string& name, const std::string& next, env::Env& env,
                env::Event& event) {
        if (std::holds_alternative<env::Started>(event)) {
            env.network().listen({name, 1000}, env::ListenerId{1});
            env.wake_at(env.turn().now + milliseconds(50));
        } else if (std::holds_alternative<env::Alarm>(event)) {
            const auto file = env.disk().open("log", env::OpenMode::create);
            const auto at = env.disk().length(*file);
            const auto status = env.disk().write(
                *file, *at, pattern(100, env.turn().draws.word(draw_domain("t"), *at, i)));
            KLAMM_ASSERT(status.ok());
            env.disk().sync(*file, 1);
            env.disk().close(*file);
            env.wake_at(env.turn().now + milliseconds(20));
        } else if (std::holds_alternative<env::Synced>(event)) {
            (void)env.network().connect({next, 1000});
        } else if (auto* up = std::get_if<env::Connected>(&event)) {
            env.network().send(up->connection, {Buffer::copy_of(pattern(64, i))}, 1);
        } else if (auto* drained = std::get_if<env::Drained>(&event)) {
            env.network().close(drained->connection);
        } else if (auto* in = std::get_if<env::Accepted>(&event)) {
            (void)in;
            env.network().receive(in->connection, MutableBuffer(64));
        }
    }
};

}  // namespace

TEST_CASE("determinism: the same seed gives the same hash and checkpoints, another does not") {
    auto run = [](std::uint64_t seed) {
        Ring ring(seed, 3, false);
        REQUIRE(ring.world.run_for(seconds(2)));
        ring.world.power_loss(ring.nodes[1]);
        ring.world.kill(ring.nodes[2], {.when = KillRule::When::in_turn});
        REQUIRE(ring.world.run_for(seconds(1)));
        ring.world.start(ring.nodes[1]);
        ring.world.start(ring.nodes[2]);
        REQUIRE(ring.world.run_for(seconds(20)));
        return std::tuple(ring.world.hash(), ring.world.events(), ring.world.checkpoints());
    };
    const auto once = run(7);
    CHECK(once == run(7));
    CHECK(std::get<1>(once) > 4096);
    CHECK_FALSE(std::get<2>(once).empty());
    CHECK(std::get<0>(once) != std::get<0>(run(8)));
}

TEST_CASE("determinism: a node that does nothing leaves the others' draws as they were") {
    Ring plain(9, 3, false);
    Ring crowded(9, 3, true);
    REQUIRE(plain.world.run_for(seconds(5)));
    REQUIRE(crowded.world.run_for(seconds(5)));
    for (std::size_t i = 0; i < 3; ++i) {
        REQUIRE(plain.logs[i].times.size() > 100);
        CHECK(plain.logs[i].times == crowded.logs[i].times);
        CHECK(*plain.world.file_bytes(plain.nodes[i], "log") ==
              *crowded.world.file_bytes(crowded.nodes[i], "log"));
    }
    CHECK(plain.world.hash() != crowded.world.hash());
}

TEST_CASE("determinism: the sink sees every event, and the hash is that of the last") {
    Ring ring(10, 2, false);
    std::vector<EventRecord> records;
    ring.world.set_event_sink([&](const EventRecord& record) { records.push_back(record); });
    REQUIRE(ring.world.run_for(milliseconds(200)));
    REQUIRE_FALSE(records.empty());
    CHECK(records.size() == ring.world.events());
    CHECK(records.back().number == ring.world.events());
    CHECK(records.back().hash == ring.world.hash());
    CHECK(to_string(records.front()).find("#1 ") == 0);
}
