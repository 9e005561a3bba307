// Streams of the world: what a peer sees of what was sent, under splits, stalls, cuts, resets and
// ends of every kind; file ranges that change before they leave.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

/// Accepts on port 1000 and reads everything into `got`, `room` bytes at a time while `reading`.
struct Sink {
    Bytes got;
    std::size_t room = 1000;
    bool reading = true;
    int accepted = 0;
    int closed = 0;
    std::vector<std::size_t> counts;
    env::ConnectionId connection{};
    MutableBuffer buffer;

    NodeSpec spec(std::string name) {
        return script(name, [this, name](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                env.network().listen({name, 1000}, env::ListenerId{1});
            } else if (auto* in = std::get_if<env::Accepted>(&event)) {
                ++accepted;
                connection = in->connection;
                if (reading) lend(env);
            } else if (auto* received = std::get_if<env::Received>(&event)) {
                counts.push_back(received->count);
                const auto bytes = buffer.span().first(received->count);
                got.insert(got.end(), bytes.begin(), bytes.end());
                lend(env);
            } else if (std::holds_alternative<env::Closed>(event)) {
                ++closed;
            } else if (std::holds_alternative<env::StopAsked>(event)) {
                lend(env);
            }
        });
    }
    void lend(env::Env& env) {
        buffer = MutableBuffer(room);
        env.network().receive(connection, buffer);
    }
};

/// Connects to `to`, port 1000, and sends `bytes` in one call; Drained and Closed are counted.
/// StopAsked runs `then`.
struct Source {
    Bytes bytes;
    std::function<void(env::Env&)> then = [](env::Env&) {};
    int connected = 0;
    int drained = 0;
    int closed = 0;
    env::ConnectionId connection{};

    NodeSpec spec(std::string name, std::string to) {
        return script(name, [this, to](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                connection = env.network().connect({to, 1000});
            } else if (std::holds_alternative<env::Connected>(event)) {
                ++connected;
                if (!bytes.empty()) env.network().send(connection, {Buffer::copy_of(bytes)}, 9);
            } else if (std::holds_alternative<env::Drained>(event)) {
                ++drained;
            } else if (std::holds_alternative<env::Closed>(event)) {
                ++closed;
            } else if (std::holds_alternative<env::StopAsked>(event)) {
                then(env);
            }
        });
    }
};

struct Pair {
    World world;
    Sink sink;
    Source source;
    NodeId a{};
    NodeId b{};
    explicit Pair(std::uint64_t seed, NetworkOptions network = {})
        : world({.seed = seed, .network = network}) {}
    void start() {
        b = world.add_node(sink.spec("b"));
        a = world.add_node(source.spec("a", "b"));
        world.start(b);
        REQUIRE(world.run_for(milliseconds(100)));
        world.start(a);
    }
};

}  // namespace

TEST_CASE("streams: every byte arrives once and in order, whatever the pieces") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        NetworkOptions network;
        network.split_rate = seed % 3 == 0 ? 900'000 : 10'000;
        network.short_receive_rate = seed % 2 == 0 ? 700'000 : 0;
        network.packet_bytes_max = seed % 5 == 0 ? 1 : 10'000;
        network.window_bytes_min = network.window_bytes_max = 5000;
        network.link.tail_rate = 100'000;
        Pair pair(seed, network);
        pair.source.bytes = pattern(20'000, seed);
        pair.start();
        REQUIRE(pair.world.run_for(milliseconds(200)));
        for (const ConnectionView& one : pair.world.connections())
            pair.world.stall_connection(one.key, milliseconds(500));
        pair.world.stall_link(pair.a, pair.b, seconds(1));
        REQUIRE(pair.world.run_for(seconds(300)));
        CHECK(pair.sink.got == pair.source.bytes);
        CHECK(pair.source.drained == 1);
        CHECK(pair.sink.accepted == 1);
    }
}

TEST_CASE("streams: hostile packets deliver every byte by itself") {
    Pair pair(1, {.packet_bytes_max = 1});
    pair.source.bytes = pattern(200, 1);
    pair.sink.room = 1;
    pair.start();
    REQUIRE(pair.world.run_for(seconds(10)));
    CHECK(pair.sink.counts == std::vector<std::size_t>(200, 1));
    CHECK(pair.sink.got == pair.source.bytes);
}

TEST_CASE("streams: a reader that pauses stops the sender at the window") {
    Pair pair(2);
    pair.source.bytes = pattern(1'000'000, 1);
    pair.sink.reading = false;
    pair.start();
    REQUIRE(pair.world.run_for(seconds(60)));
    CHECK(pair.source.drained == 0);
    CHECK(pair.sink.got.empty());
    pair.world.ask_stop(pair.b);
    REQUIRE(pair.world.run_for(seconds(60)));
    CHECK(pair.source.drained == 1);
    CHECK(pair.sink.got == pair.source.bytes);
}

TEST_CASE("streams: a close lets the peer read what left, then tells it") {
    bool all = false;
    bool less = false;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Pair pair(seed, {.window_bytes_min = 1000, .window_bytes_max = 1000});
        pair.source.bytes = pattern(50'000, 1);
        pair.sink.room = 100;
        pair.start();
        REQUIRE(pair.world.run_until([&] { return pair.sink.got.size() > 2000; }, seconds(60)));
        pair.source.then = [&](env::Env& env) { env.network().close(pair.source.connection); };
        pair.world.ask_stop(pair.a);
        REQUIRE(pair.world.run_for(seconds(60)));
        CHECK(pair.sink.closed == 1);
        CHECK(pair.source.closed == 0);
        REQUIRE(pair.sink.got.size() <= pair.source.bytes.size());
        CHECK(std::equal(pair.sink.got.begin(), pair.sink.got.end(), pair.source.bytes.begin()));
        (pair.sink.got.size() == 50'000 ? all : less) = true;
    }
    CHECK(all);
    CHECK(less);
}

TEST_CASE("streams: nobody listens, nobody of that name: refused, no power: a timeout") {
    World world({.seed = 3});
    Source refused;
    Source unknown;
    Source dark;
    const NodeId b = world.add_node(script_at_start("b", [](env::Env&) {}));
    const NodeId c = world.add_node(script_at_start("c", [](env::Env&) {}));
    const NodeId r = world.add_node(refused.spec("r", "b"));
    const NodeId u = world.add_node(unknown.spec("u", "nowhere"));
    const NodeId d = world.add_node(dark.spec("d", "c"));
    world.start(b);
    world.power_loss(c);
    for (const NodeId node : {r, u, d}) world.start(node);
    REQUIRE(world.run_for(seconds(1)));
    CHECK(refused.closed == 1);
    CHECK(unknown.closed == 1);
    CHECK(dark.closed == 0);
    REQUIRE(world.run_for(seconds(40)));
    CHECK(dark.closed == 1);
    CHECK(refused.connected + unknown.connected + dark.connected == 0);
}

TEST_CASE("cut: packets are held and go on when the link heals in time") {
    Pair pair(4, {.break_timeout_min = seconds(60), .break_timeout_max = seconds(60)});
    pair.source.bytes = pattern(5000, 1);
    pair.start();
    REQUIRE(pair.world.run_for(seconds(1)));
    CHECK(pair.sink.got == pair.source.bytes);
    pair.world.cut(pair.a, pair.b);
    CHECK(pair.world.is_cut(pair.a, pair.b));
    CHECK_FALSE(pair.world.is_cut(pair.b, pair.a));
    pair.source.then = [&](env::Env& env) {
        env.network().send(pair.source.connection, {Buffer::copy_of(pattern(3000, 2))}, 0);
    };
    pair.world.ask_stop(pair.a);
    REQUIRE(pair.world.run_for(seconds(30)));
    CHECK(pair.sink.got.size() == 5000);
    pair.world.heal_all();
    REQUIRE(pair.world.run_for(seconds(30)));
    CHECK(pair.sink.got.size() == 8000);
    CHECK(pair.source.closed + pair.sink.closed == 0);
}

TEST_CASE("cut: the side with unanswered bytes breaks after its timeout, the other is not told") {
    Pair pair(5, {.break_timeout_min = seconds(5), .break_timeout_max = seconds(10)});
    pair.source.bytes = pattern(10, 1);
    pair.start();
    REQUIRE(pair.world.run_for(seconds(1)));
    const NodeId one[] = {pair.a};
    const NodeId other[] = {pair.b};
    pair.world.partition(one, other);
    pair.source.then = [&](env::Env& env) {
        env.network().send(pair.source.connection, {Buffer::copy_of(pattern(10, 2))}, 0);
    };
    pair.world.ask_stop(pair.a);
    REQUIRE(pair.world.run_for(seconds(4)));
    CHECK(pair.source.closed == 0);
    REQUIRE(pair.world.run_for(seconds(10)));
    CHECK(pair.source.closed == 1);
    CHECK(pair.sink.closed == 0);
    pair.world.heal_all();
    REQUIRE(pair.world.run_for(seconds(100)));
    CHECK(pair.sink.closed == 0);
    CHECK(pair.sink.got.size() == 10);
}

TEST_CASE("half-open: one side is gone, the other learns it when it sends") {
    Pair pair(6);
    pair.source.bytes = pattern(10, 1);
    pair.start();
    REQUIRE(pair.world.run_for(seconds(1)));
    REQUIRE(pair.world.connections(pair.b, pair.a).size() == 1);
    pair.world.half_open(pair.world.connections(pair.a, pair.b)[0].key, pair.b);
    REQUIRE(pair.world.run_for(seconds(600)));
    CHECK(pair.sink.closed == 1);
    CHECK(pair.source.closed == 0);
    pair.source.then = [&](env::Env& env) {
        env.network().send(pair.source.connection, {Buffer::copy_of(pattern(10, 2))}, 0);
    };
    pair.world.ask_stop(pair.a);
    REQUIRE(pair.world.run_for(seconds(5)));
    CHECK(pair.source.closed == 1);
    CHECK(pair.sink.got.size() == 10);
    CHECK(pair.world.connections().empty());
}

TEST_CASE("reset: both sides are told, what was in flight is gone") {
    Pair pair(7, {.link = {.delay_base = milliseconds(50)}});
    pair.source.bytes = pattern(1000, 1);
    pair.start();
    REQUIRE(pair.world.run_until([&] { return pair.source.drained == 1; }, seconds(5)));
    CHECK(pair.sink.got.empty());
    pair.world.reset_connection(pair.world.connections()[0].key);
    REQUIRE(pair.world.run_for(seconds(5)));
    CHECK(pair.sink.got.empty());
    CHECK(pair.sink.closed == 1);
    CHECK(pair.source.closed == 1);
}

TEST_CASE("kill: peers see what left and an end, after a loss of power they see nothing") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Pair pair(seed);
        pair.source.bytes = pattern(1000, 1);
        pair.start();
        REQUIRE(pair.world.run_until([&] { return pair.source.connected == 1; }, seconds(5)));
        REQUIRE(pair.world.run_for(seconds(1)));
        if (seed % 2 == 0)
            pair.world.kill(pair.a);
        else
            pair.world.power_loss(pair.a);
        REQUIRE(pair.world.run_for(seconds(30)));
        CHECK(pair.sink.got == pair.source.bytes);
        CHECK(pair.sink.closed == (seed % 2 == 0 ? 1 : 0));
    }
}

namespace {
/// Sends a file range of 8000 bytes into a full window, then does `change` to the file.
struct RangeRun {
    Pair pair;
    struct Cuts : WorldObserver {
        void on_range_cut(NodeId, const FileDamage& file) override { told.push_back(file); }
        std::vector<FileDamage> told;
    } cuts;
    RangeRun(std::uint64_t seed, std::function<void(env::Env&, env::FileId)> change)
        : pair(seed, {.window_bytes_min = 2000, .window_bytes_max = 2000}) {
        pair.world.set_observer(&cuts);
        pair.sink.reading = false;
        Source& source = pair.source;
        source.bytes = pattern(2000, 1);
        source.then = [&source, change](env::Env& env) {
            const env::FileId file = *env.disk().open("f", env::OpenMode::write);
            env.network().send(source.connection, {env::FileRange{file, 1000, 8000}}, 7);
            change(env, file);
            env.disk().close(file);
        };
        pair.start();
        pair.world.put_file(pair.a, "f", pattern(10'000, 5));
        REQUIRE(pair.world.run_for(seconds(1)));
        REQUIRE(source.drained == 1);
        pair.world.ask_stop(pair.a);
        REQUIRE(pair.world.run_for(seconds(1)));
        pair.world.ask_stop(pair.b);  // begins to read
        REQUIRE(pair.world.run_for(seconds(60)));
    }
};
}  // namespace

TEST_CASE("file range: its bytes leave, also after the handle is closed") {
    RangeRun run(8, [](env::Env&, env::FileId) {});
    Bytes expected = pattern(2000, 1);
    const Bytes file = pattern(10'000, 5);
    expected.insert(expected.end(), file.begin() + 1000, file.begin() + 9000);
    CHECK(run.pair.sink.got == expected);
    CHECK(run.pair.source.drained == 2);
}

TEST_CASE("file range: bytes that are rewritten before they leave, leave as rewritten") {
    RangeRun run(9, [](env::Env& env, env::FileId file) {
        KLAMM_ASSERT(env.disk().write(file, 5000, pattern(100, 77)).ok());
    });
    REQUIRE(run.pair.sink.got.size() == 10'000);
    const Bytes fresh = pattern(100, 77);
    CHECK(std::equal(fresh.begin(), fresh.end(), run.pair.sink.got.begin() + 6000));
}

TEST_CASE("file range: a file that is too short when it leaves breaks the connection") {
    RangeRun run(10, [](env::Env& env, env::FileId file) {
        KLAMM_ASSERT(env.disk().truncate(file, 8999).ok());
    });
    CHECK(run.pair.sink.got == pattern(2000, 1));
    CHECK(run.pair.source.closed == 1);
    CHECK(run.pair.sink.closed == 1);
    CHECK(run.pair.source.drained == 1);
    REQUIRE(run.cuts.told.size() == 1);
    CHECK(run.cuts.told[0].path == "f");
    CHECK(run.cuts.told[0].changed == std::vector<ByteRange>{{8999, 9000}});
}

TEST_CASE(
    "file range: a cut below its end is told while it waits, unless its connection is closed") {
    struct Case {
        std::uint64_t length;
        bool close_first;
        std::size_t told;
    };
    for (const Case one : {Case{8999, false, 1}, Case{9000, false, 0}, Case{8999, true, 0}}) {
        Pair pair(12, {.window_bytes_min = 2000, .window_bytes_max = 2000});
        RangeRun::Cuts cuts;
        pair.world.set_observer(&cuts);
        pair.sink.reading = false;
        Source& source = pair.source;
        source.bytes = pattern(2000, 1);
        pair.start();
        pair.world.put_file(pair.a, "f", pattern(10'000, 5));
        REQUIRE(pair.world.run_for(seconds(1)));
        const auto act = [&](std::function<void(env::Env&)> what) {
            source.then = std::move(what);
            pair.world.ask_stop(pair.a);
            REQUIRE(pair.world.run_for(seconds(1)));
        };
        act([&](env::Env& env) {
            const env::FileId file = *env.disk().open("f", env::OpenMode::read);
            env.network().send(source.connection, {env::FileRange{file, 1000, 8000}}, 7);
            env.disk().close(file);
        });
        if (one.close_first) act([&](env::Env& env) { env.network().close(source.connection); });
        act([&](env::Env& env) {
            const env::FileId file = *env.disk().open("f", env::OpenMode::write);
            KLAMM_ASSERT(env.disk().truncate(file, one.length).ok());
            env.disk().close(file);
        });
        CHECK(cuts.told.size() == one.told);
    }
}

TEST_CASE("accept: each of several listening shards gets connections") {
    World world({.seed = 11});
    std::set<env::ShardIndex> accepted_by;
    NodeSpec spec = script("b", [&](env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event))
            env.network().listen({"b", 1000}, env::ListenerId{1});
        else if (std::holds_alternative<env::Accepted>(event))
            accepted_by.insert(env.shard());
    });
    spec.shards = 3;
    const NodeId b = world.add_node(spec);
    const NodeId a = world.add_node(script_at_start("a", [](env::Env& env) {
        for (int i = 0; i < 40; ++i) (void)env.network().connect({"b", 1000});
    }));
    world.start(b);
    REQUIRE(world.run_for(milliseconds(100)));
    world.start(a);
    REQUIRE(world.run_for(seconds(1)));
    CHECK(accepted_by == std::set<env::ShardIndex>{0, 1, 2});
    CHECK(world.connections(a, b).size() == 40);
}
