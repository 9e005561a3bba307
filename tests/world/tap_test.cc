// The tap on the network and the perturbation of draws: what a tap sees is what was sent and what
// came, it changes nothing, and new luck leaves the past as it was.
#include <catch2/catch.hpp>
#include <map>

#include "sim/world/tap.h"
#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

struct Seen final : NetworkTap {
    struct Way {
        Bytes bytes;
        std::uint64_t arrived = 0;
        std::uint64_t packets = 0;
        std::uint64_t held = 0;
        int fins = 0;
        int over = 0;
        Instant last_arrival;
    };
    int connects = 0;
    int accepts = 0;
    int established = 0;
    int resets = 0;
    Way ways[2];

    void on_connect(Instant, const TappedConnection& made) override {
        ++connects;
        REQUIRE(made.number == 0);
        REQUIRE(made.port == 1000);
    }
    void on_accept(Instant, std::uint32_t) override { ++accepts; }
    void on_established(Instant, std::uint32_t) override { ++established; }
    void on_packet_left(Instant, std::uint32_t, std::uint32_t way, ByteView bytes) override {
        ++ways[way].packets;
        ways[way].bytes.insert(ways[way].bytes.end(), bytes.begin(), bytes.end());
    }
    void on_packet_held(Instant, std::uint32_t, std::uint32_t way) override { ++ways[way].held; }
    void on_packet_arrived(Instant at, std::uint32_t, std::uint32_t way,
                           std::uint64_t size) override {
        ways[way].arrived += size;
        ways[way].last_arrival = at;
    }
    void on_fin_left(Instant, std::uint32_t, std::uint32_t way) override { ++ways[way].fins; }
    void on_reset_left(Instant, std::uint32_t, std::uint32_t) override { ++resets; }
    void on_over(Instant, std::uint32_t, std::uint32_t way) override { ++ways[way].over; }
};

/// "client" sends `sent` to "server" in one call; the server takes all of it.
struct TappedPair {
    explicit TappedPair(std::uint64_t seed) : world(options(seed)) {
        for (std::size_t i = 0; i < 20'000; ++i) sent.push_back(static_cast<std::uint8_t>(i * 7));
        server = world.add_node(script("server", [this](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                env.network().listen({"server", 1000}, env::ListenerId{1});
            } else if (auto* in = std::get_if<env::Accepted>(&event)) {
                connection = in->connection;
                lend(env);
            } else if (std::holds_alternative<env::Received>(event)) {
                lend(env);
            }
        }));
        client = world.add_node(script("client", [this](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                (void)env.network().connect({"server", 1000});
            } else if (auto* made = std::get_if<env::Connected>(&event)) {
                env.network().send(made->connection, {Buffer::copy_of(sent)}, 9);
            }
        }));
    }
    static WorldOptions options(std::uint64_t seed) {
        WorldOptions made;
        made.seed = seed;
        made.network.packet_bytes_max = 700;
        made.network.split_rate = 500'000;
        return made;
    }
    void lend(env::Env& env) {
        buffer = MutableBuffer(512);
        env.network().receive(connection, buffer);
    }
    void start() {
        world.start(server);
        world.run_for(milliseconds(5));
        world.start(client);
    }

    World world;
    Bytes sent;
    NodeId server;
    NodeId client;
    env::ConnectionId connection{};
    MutableBuffer buffer;
};

}  // namespace

TEST_CASE("tap: sees every byte leave and arrive, in packets as they were cut") {
    TappedPair pair(3);
    Seen seen;
    pair.world.set_tap(&seen);
    pair.start();
    pair.world.run_for(seconds(2));
    REQUIRE(seen.connects == 1);
    REQUIRE(seen.accepts == 1);
    REQUIRE(seen.established == 1);
    REQUIRE(seen.ways[0].bytes == pair.sent);
    REQUIRE(seen.ways[0].arrived == pair.sent.size());
    REQUIRE(seen.ways[0].packets > pair.sent.size() / 700);
    REQUIRE(seen.ways[1].bytes.empty());
    REQUIRE(seen.ways[0].over == 0);
}

TEST_CASE("tap: a run with a tap has the hash of one without") {
    for (const std::uint64_t seed : {1, 2, 3}) {
        TappedPair plain(seed);
        plain.start();
        plain.world.run_for(seconds(1));
        TappedPair tapped(seed);
        Seen seen;
        tapped.world.set_tap(&seen);
        tapped.start();
        tapped.world.run_for(seconds(1));
        REQUIRE(plain.world.hash() == tapped.world.hash());
        REQUIRE(plain.world.events() == tapped.world.events());
    }
}

TEST_CASE("tap: a cut link holds packets, which arrive once it heals") {
    TappedPair pair(4);
    Seen seen;
    pair.world.set_tap(&seen);
    pair.start();
    REQUIRE(pair.world.run_until([&] { return seen.ways[0].packets > 3; }, seconds(2)));
    pair.world.cut(pair.client, pair.server);
    pair.world.run_for(milliseconds(100));
    REQUIRE(seen.ways[0].held > 0);
    REQUIRE(seen.ways[0].arrived < pair.sent.size());
    const Instant healed = pair.world.now();
    pair.world.heal_all();
    pair.world.run_for(seconds(4));
    REQUIRE(seen.ways[0].arrived == pair.sent.size());
    REQUIRE(seen.ways[0].last_arrival > healed);
}

TEST_CASE("tap: a process that dies, and a connection that is reset, are seen to end") {
    TappedPair killed(5);
    Seen first;
    killed.world.set_tap(&first);
    killed.start();
    killed.world.run_for(seconds(1));
    killed.world.kill(killed.client);
    REQUIRE(first.ways[0].over == 1);
    REQUIRE(first.ways[0].fins + first.resets == 1);

    TappedPair reset(6);
    Seen second;
    reset.world.set_tap(&second);
    reset.start();
    reset.world.run_for(seconds(1));
    reset.world.reset_connection(reset.world.connections().front().key);
    REQUIRE(second.resets == 2);
    REQUIRE(second.ways[0].over == 1);
    REQUIRE(second.ways[1].over == 1);
}

TEST_CASE("perturb: the past is the same, the future is another one by each salt") {
    std::map<std::uint64_t, std::uint64_t> hashes;
    std::uint64_t before = 0;
    for (const std::uint64_t salt : {0, 1, 2, 1}) {
        TappedPair pair(7);
        pair.start();
        pair.world.run_for(milliseconds(2));
        if (before == 0) before = pair.world.hash();
        REQUIRE(pair.world.hash() == before);
        if (salt != 0) pair.world.perturb(salt);
        pair.world.run_for(seconds(1));
        const auto [place, fresh] = hashes.emplace(salt, pair.world.hash());
        REQUIRE((fresh || place->second == pair.world.hash()));
    }
    REQUIRE(hashes.size() == 3);
    REQUIRE(hashes[1] != hashes[2]);
    REQUIRE(hashes[0] != hashes[1]);
    REQUIRE(hashes[0] != hashes[2]);
}
