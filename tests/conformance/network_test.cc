// What connections promise, in both worlds: order, pieces, pauses, the ends of both sides.

#include <catch2/catch.hpp>
#include <variant>

#include "tests/conformance/harness.h"

using namespace klamm;
using namespace klamm::conformance;
using env::ConnectionId;
using env::Env;
using env::FileRange;
using env::ListenerId;
using env::OpenMode;
using env::Piece;
using Lines = std::vector<std::string>;

namespace {

constexpr ListenerId listener{1};

/// A node's own state: a copy for each of its shards, shared by the handlers of that copy.
struct Reader {
    MutableBuffer lent;
    void lend(Env& env, ConnectionId connection, std::size_t size) {
        lent = MutableBuffer(size);
        env.network().receive(connection, lent);
    }
};

/// Listens on any free port, keeps it as "port", and reads what comes into the text "received",
/// lending `lend` bytes at a time; notes "closed".
Script sink(std::string host, std::size_t lend) {
    auto reader = std::make_shared<Reader>();
    Script script;
    script.started = [host](Env& env, env::Started&, Recorder&) {
        env.network().listen({host, 0}, listener);
    };
    script.listening = [](Env&, env::Listening& e, Recorder& record) {
        if (e.port.ok()) record.keep("port", *e.port);
    };
    script.accepted = [reader, lend](Env& env, env::Accepted& e, Recorder&) {
        reader->lend(env, e.connection, lend);
    };
    script.received = [reader, lend](Env& env, env::Received& e, Recorder& record) {
        if (e.count == 0 || e.count > lend) record.note("a count out of range");
        record.append("received", reader->lent.span().first(e.count));
        reader->lend(env, e.connection, lend);
    };
    script.closed = [](Env&, env::Closed&, Recorder& record) { record.note("closed"); };
    return script;
}

/// Connects, and does `when_connected`; notes what it is told.
Script source(env::Endpoint to, Script::Handler<env::Connected> when_connected) {
    Script script;
    script.started = [to](Env& env, env::Started&, Recorder&) { (void)env.network().connect(to); };
    script.connected = std::move(when_connected);
    script.drained = [](Env&, env::Drained& e, Recorder& record) {
        record.note("drained " + std::to_string(e.token));
    };
    script.closed = [](Env&, env::Closed&, Recorder& record) { record.note("closed"); };
    return script;
}

/// Starts `script` as "server" and gives where it listens.
env::Endpoint start_server(TestWorld& world, Script script, env::ShardIndex shards = 1) {
    Recorder& record = world.start("server", std::move(script), shards);
    const bool listens = world.run_until([&] { return record.number("port").has_value(); });
    REQUIRE(listens);
    return {world.host("server"), static_cast<std::uint16_t>(*record.number("port"))};
}

std::vector<Piece> pieces(std::initializer_list<std::string_view> texts) {
    std::vector<Piece> made;
    for (const std::string_view text : texts) made.emplace_back(buffer(text));
    return made;
}

}  // namespace

TEST_CASE("network: bytes arrive in the order sent, whatever the pieces") {
    IN_EACH_WORLD;
    const std::size_t lend = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{100'000});
    const Script server_script = sink(world->host("server"), lend);
    Recorder& server = world->start("server", server_script);
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    std::string expected = "first second third";
    const Bytes bulk = pattern(5'000);
    expected += as_text(bulk);
    expected += "last";
    world->start("client", source(at, [bulk](Env& env, env::Connected& e, Recorder&) {
                     env.network().send(e.connection, pieces({"first ", "", "second "}), 0);
                     env.network().send(e.connection, pieces({"third"}), 0);
                     env.network().send(e.connection, {Piece(Buffer::copy_of(bulk))}, 0);
                     env.network().send(e.connection, pieces({"last"}), 0);
                 }));
    REQUIRE(world->run_until([&] { return server.text("received").size() >= expected.size(); }));
    CHECK(server.text("received") == expected);
}

TEST_CASE("network: what was asked while connecting is done when connected") {
    IN_EACH_WORLD;
    Script echo;
    auto reader = std::make_shared<Reader>();
    echo.started = [host = world->host("server")](Env& env, env::Started&, Recorder&) {
        env.network().listen({host, 0}, listener);
    };
    echo.listening = [](Env&, env::Listening& e, Recorder& r) { r.keep("port", *e.port); };
    echo.accepted = [reader](Env& env, env::Accepted& e, Recorder&) {
        reader->lend(env, e.connection, 100);
    };
    echo.received = [reader](Env& env, env::Received& e, Recorder&) {
        env.network().send(e.connection, {Piece(reader->lent.freeze(e.count))}, 0);
        reader->lend(env, e.connection, 100);
    };
    const env::Endpoint at = start_server(*world, echo);

    Script client;
    auto answers = std::make_shared<Reader>();
    client.started = [at, answers](Env& env, env::Started&, Recorder&) {
        const ConnectionId connection = env.network().connect(at);
        env.network().send(connection, pieces({"early bird"}), 0);
        answers->lend(env, connection, 4);
    };
    client.received = [answers](Env& env, env::Received& e, Recorder& record) {
        record.append("answer", answers->lent.span().first(e.count));
        answers->lend(env, e.connection, 4);
    };
    Recorder& record = world->start("client", client);
    REQUIRE(world->run_until([&] { return record.text("answer").size() >= 10; }));
    CHECK(record.text("answer") == "early bird");
}

TEST_CASE("network: a connection that nobody accepts is closed") {
    IN_EACH_WORLD;
    // A port that was free a moment ago: its listener is gone.
    const env::Endpoint at = start_server(*world, sink(world->host("server"), 10));
    Script quiet;
    quiet.started = [](Env&, env::Started&, Recorder& record) { record.keep("quiet", 1); };
    Recorder& server = world->start("server", quiet);
    REQUIRE(world->run_until([&] { return server.number("quiet").has_value(); }));
    Recorder& client = world->start(
        "client",
        source(at, [](Env&, env::Connected&, Recorder& record) { record.note("connected"); }));
    REQUIRE(world->run_until([&] { return !client.lines().empty(); }));
    CHECK(client.lines() == Lines{"closed"});
}

TEST_CASE("network: a port that is taken cannot be listened at") {
    IN_EACH_WORLD;
    Script script;
    script.started = [host = world->host("node")](Env& env, env::Started&, Recorder&) {
        env.network().listen({host, 0}, listener);
    };
    script.listening = [host = world->host("node")](Env& env, env::Listening& e, Recorder& r) {
        r.note(e.port.ok() ? "listening" : "refused");
        if (e.listener == listener) env.network().listen({host, *e.port}, ListenerId{2});
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.lines().size() == 2; }));
    CHECK(record.lines() == Lines{"listening", "refused"});
}

TEST_CASE("network: closing tells the other side after the bytes, and this side nothing") {
    IN_EACH_WORLD;
    Recorder& server = world->start("server", sink(world->host("server"), 16));
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    Script client = source(at, [](Env& env, env::Connected& e, Recorder&) {
        env.network().send(e.connection, pieces({"goodbye"}), 5);
    });
    client.drained = [](Env& env, env::Drained& e, Recorder& record) {
        record.note("drained " + std::to_string(e.token));
        env.network().close(e.connection);
    };
    Recorder& record = world->start("client", client);
    REQUIRE(world->run_until([&] { return server.has("closed"); }));
    CHECK(server.lines() == Lines{"closed"});
    // Where the last bytes had left and nothing came the other way, they arrive; a reset may lose
    // them, so that only order is promised.
    const std::string received = server.text("received");
    CHECK(std::string("goodbye").substr(0, received.size()) == received);
    CHECK(record.lines() == Lines{"drained 5"});
}

TEST_CASE("network: closing in the turn of a lend brings back neither bytes nor an end") {
    IN_EACH_WORLD;
    // The server sends at once; the client closes while bytes are under way, then asks for a
    // second connection, whose answer shows that the first has stayed silent.
    Script server;
    server.started = [host = world->host("server")](Env& env, env::Started&, Recorder&) {
        env.network().listen({host, 0}, listener);
    };
    server.listening = [](Env&, env::Listening& e, Recorder& r) { r.keep("port", *e.port); };
    server.accepted = [](Env& env, env::Accepted& e, Recorder&) {
        env.network().send(e.connection, pieces({"hello"}), 0);
    };
    const env::Endpoint at = start_server(*world, server);

    Script client;
    auto reader = std::make_shared<Reader>();
    client.started = [at](Env& env, env::Started&, Recorder& record) {
        record.keep("first", static_cast<std::int64_t>(env.network().connect(at)));
    };
    client.connected = [reader, at](Env& env, env::Connected& e, Recorder& record) {
        reader->lend(env, e.connection, 5);
        if (static_cast<std::int64_t>(e.connection) != record.number("first")) return;
        env.network().close(e.connection);
        (void)env.network().connect(at);
    };
    const auto from = [](Recorder& record, ConnectionId connection) {
        return static_cast<std::int64_t>(connection) == record.number("first") ? "first" : "second";
    };
    client.received = [from](Env&, env::Received& e, Recorder& record) {
        record.note(std::string("received on the ") + from(record, e.connection));
    };
    client.closed = [from](Env&, env::Closed& e, Recorder& record) {
        record.note(std::string("closed: the ") + from(record, e.connection));
    };
    Recorder& record = world->start("client", client);
    REQUIRE(world->run_until([&] { return !record.lines().empty(); }));
    CHECK(record.lines() == Lines{"received on the second"});
}

TEST_CASE("network: while nothing is lent nothing is received, and the sender feels it") {
    IN_EACH_WORLD;
    // More than any window between the two: it cannot drain before the server reads.
    constexpr std::size_t size = 32U << 20;
    if (kind == Kind::simulated_in_pieces) return;  // byte by byte this is no test but a wait
    Script server;
    auto reader = std::make_shared<Reader>();
    server.started = [host = world->host("server")](Env& env, env::Started&, Recorder&) {
        env.network().listen({host, 0}, listener);
    };
    server.listening = [](Env&, env::Listening& e, Recorder& r) { r.keep("port", *e.port); };
    server.accepted = [reader](Env& env, env::Accepted& e, Recorder& record) {
        record.keep("connection", static_cast<std::int64_t>(e.connection));
        reader->lend(env, e.connection, 1);
    };
    server.received = [reader](Env& env, env::Received& e, Recorder& record) {
        const std::int64_t total =
            record.number("total").value_or(0) + static_cast<std::int64_t>(e.count);
        record.keep("total", total);
        if (total == 1) {
            env.wake_at(env.turn().now + milliseconds(100));  // nothing is lent until then
            record.note("paused");
        } else {
            reader->lend(env, e.connection, 1U << 20);
        }
    };
    server.alarm = [reader](Env& env, env::Alarm&, Recorder& record) {
        record.note("total " + std::to_string(*record.number("total")));
        const auto connection = static_cast<ConnectionId>(*record.number("connection"));
        reader->lend(env, connection, 1U << 20);
    };
    Recorder& record = world->start("server", server);
    REQUIRE(world->run_until([&] { return record.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*record.number("port"))};
    Script client = source(at, [](Env& env, env::Connected& e, Recorder&) {
        env.network().send(e.connection, {Piece(Buffer::from(pattern(size)))}, 9);
    });
    client.drained = [&record](Env&, env::Drained& e, Recorder& own) {
        own.keep("read before drained", record.number("total").value_or(0));
        own.note("drained " + std::to_string(e.token));
    };
    Recorder& sender = world->start("client", client);
    REQUIRE(world->run_until([&] {
        return record.number("total") == static_cast<std::int64_t>(size) && sender.has("drained 9");
    }));
    CHECK(record.lines() == Lines{"paused", "total 1"});
    CHECK(sender.lines() == Lines{"drained 9"});
    CHECK(*sender.number("read before drained") > 1);
}

TEST_CASE("network: drained comes in the order of the sends, for those that asked") {
    IN_EACH_WORLD;
    const env::Endpoint at = start_server(*world, sink(world->host("server"), 1000));
    Recorder& client =
        world->start("client", source(at, [](Env& env, env::Connected& e, Recorder&) {
                         env.network().send(e.connection, pieces({"one"}), 1);
                         env.network().send(e.connection, pieces({"silent"}), 0);
                         env.network().send(e.connection, pieces({"two", "more"}), 2);
                         env.network().send(e.connection, pieces({"three"}), 3);
                     }));
    REQUIRE(world->run_until([&] { return client.lines().size() == 3; }));
    CHECK(client.lines() == Lines{"drained 1", "drained 2", "drained 3"});
}

TEST_CASE("network: a process that ends closes its connections") {
    IN_EACH_WORLD;
    Recorder& server = world->start("server", sink(world->host("server"), 16));
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    world->start("client", source(at, [](Env& env, env::Connected&, Recorder&) { env.stop(0); }));
    REQUIRE(world->run_until([&] { return server.has("closed"); }));
    CHECK(world->run_until([&] { return world->status("client") == 0; }));
}

TEST_CASE("file range: its bytes leave in order between buffers") {
    IN_EACH_WORLD;
    Recorder& server = world->start("server", sink(world->host("server"), 1000));
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    const Bytes bytes = pattern(20'000);
    Recorder& client = world->start(
        "client", source(at, [bytes](Env& env, env::Connected& e, Recorder&) {
            const auto file = env.disk().open("log", OpenMode::create);
            KLAMM_ASSERT(env.disk().write(*file, 0, bytes).ok());
            env.network().send(e.connection,
                               {Piece(buffer("head ")), Piece(FileRange{*file, 100, 10'000}),
                                Piece(buffer(" middle ")), Piece(FileRange{*file, 0, 0}),
                                Piece(FileRange{*file, 19'990, 10})},
                               4);
        }));
    std::string expected = "head ";
    expected += as_text(ByteView(bytes).subspan(100, 10'000));
    expected += " middle ";
    expected += as_text(ByteView(bytes).subspan(19'990, 10));
    REQUIRE(world->run_until([&] { return server.text("received").size() >= expected.size(); }));
    CHECK(server.text("received") == expected);
    REQUIRE(world->run_until([&] { return client.has("drained 4"); }));
}

TEST_CASE("file range: it survives close() and remove() of its file") {
    IN_EACH_WORLD;
    Recorder& server = world->start("server", sink(world->host("server"), 1000));
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    world->start("client", source(at, [](Env& env, env::Connected& e, Recorder&) {
                     const auto file = env.disk().open("log", OpenMode::create);
                     KLAMM_ASSERT(env.disk().write(*file, 0, as_bytes("kept until it left")).ok());
                     env.network().send(e.connection, {Piece(FileRange{*file, 0, 18})}, 0);
                     env.disk().close(*file);
                     KLAMM_ASSERT(env.disk().remove("log").ok());
                 }));
    REQUIRE(world->run_until([&] { return server.text("received").size() >= 18; }));
    CHECK(server.text("received") == "kept until it left");
}

TEST_CASE("file range: one that is longer than its file breaks the connection") {
    IN_EACH_WORLD;
    Recorder& server = world->start("server", sink(world->host("server"), 1000));
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    Recorder& client =
        world->start("client", source(at, [](Env& env, env::Connected& e, Recorder&) {
                         const auto file = env.disk().open("log", OpenMode::create);
                         KLAMM_ASSERT(env.disk().write(*file, 0, as_bytes("0123456789")).ok());
                         env.network().send(e.connection, {Piece(FileRange{*file, 0, 10})}, 1);
                         env.network().send(e.connection, {Piece(FileRange{*file, 5, 10})}, 2);
                         env.network().send(e.connection, pieces({"never"}), 3);
                     }));
    REQUIRE(world->run_until([&] { return server.has("closed") && client.has("closed"); }));
    CHECK_FALSE(client.has("drained 2"));
    CHECK_FALSE(client.has("drained 3"));
    const std::string received = server.text("received");
    CHECK(std::string("012345678956789").substr(0, received.size()) == received);
}

TEST_CASE("file range: truncated before it leaves, the connection breaks") {
    IN_EACH_WORLD;
    // The disk call acts within the turn; the range is read only after it.
    Recorder& server = world->start("server", sink(world->host("server"), 1000));
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    Recorder& client =
        world->start("client", source(at, [](Env& env, env::Connected& e, Recorder&) {
                         const auto file = env.disk().open("log", OpenMode::create);
                         KLAMM_ASSERT(env.disk().write(*file, 0, as_bytes("0123456789")).ok());
                         env.network().send(e.connection, {Piece(FileRange{*file, 0, 10})}, 1);
                         KLAMM_ASSERT(env.disk().truncate(*file, 4).ok());
                     }));
    REQUIRE(world->run_until([&] { return server.has("closed") && client.has("closed"); }));
    CHECK_FALSE(client.has("drained 1"));
    const std::string received = server.text("received");
    CHECK(std::string("0123").substr(0, received.size()) == received);
}

TEST_CASE("file range: changed before it leaves, the new bytes leave") {
    IN_EACH_WORLD;
    Recorder& server = world->start("server", sink(world->host("server"), 1000));
    REQUIRE(world->run_until([&] { return server.number("port").has_value(); }));
    const env::Endpoint at{world->host("server"),
                           static_cast<std::uint16_t>(*server.number("port"))};
    world->start("client", source(at, [](Env& env, env::Connected& e, Recorder&) {
                     const auto file = env.disk().open("log", OpenMode::create);
                     KLAMM_ASSERT(env.disk().write(*file, 0, as_bytes("old bytes")).ok());
                     env.network().send(e.connection, {Piece(FileRange{*file, 0, 9})}, 0);
                     KLAMM_ASSERT(env.disk().write(*file, 0, as_bytes("new")).ok());
                 }));
    REQUIRE(world->run_until([&] { return server.text("received").size() >= 9; }));
    CHECK(server.text("received") == "new bytes");
}
