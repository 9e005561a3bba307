// What only the real world has: foreign programs at the other end, SO_REUSEPORT, the counter of
// starts, the operator's log, requests to stop from anywhere.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "core/runtime/runtime.h"
#include "tests/conformance/harness.h"
#include "tests/conformance/temporary_directory.h"

using namespace klamm;
using namespace klamm::conformance;
using env::Env;
using Lines = std::vector<std::string>;

namespace {

/// A plain blocking socket, as any other program has it.
class Foreign {
  public:
    explicit Foreign(std::int64_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(static_cast<std::uint16_t>(port));
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    }
    ~Foreign() { ::close(descriptor_); }
    Foreign(const Foreign&) = delete;
    Foreign& operator=(const Foreign&) = delete;

    [[nodiscard]] bool connected() const { return connected_; }
    void send(std::string_view text) {
        const ssize_t n = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
        KLAMM_ASSERT(n == static_cast<ssize_t>(text.size()));
    }
    void end_of_sending() { ::shutdown(descriptor_, SHUT_WR); }
    ssize_t receive_some(char* into, std::size_t size) {
        return ::recv(descriptor_, into, size, 0);
    }
    /// Everything up to the end of the stream.
    std::string receive_all() {
        std::string all;
        std::array<char, 4096> part;
        for (;;) {
            const ssize_t n = ::recv(descriptor_, part.data(), part.size(), 0);
            if (n <= 0) return all;
            all.append(part.data(), static_cast<std::size_t>(n));
        }
    }

  private:
    int descriptor_;
    bool connected_ = false;
};

/// Listens at any port of the loopback, in every shard; keeps it as "port", notes who accepts.
Script listening() {
    Script script;
    script.started = [](Env& env, env::Started&, Recorder&) {
        env.network().listen({"127.0.0.1", 0}, env::ListenerId{1});
    };
    script.listening = [](Env& env, env::Listening& e, Recorder& record) {
        record.note("port " + std::to_string(*e.port));
        record.keep("port", *e.port);
        record.keep("listening " + std::to_string(env.shard()), 1);
    };
    return script;
}

}  // namespace

TEST_CASE("real: a peer that ends its sending is heard to the last byte, then closed") {
    const auto world = make_real_world();
    Script script = listening();
    auto lent = std::make_shared<MutableBuffer>(MutableBuffer(3));
    script.accepted = [lent](Env& env, env::Accepted& e, Recorder&) {
        env.network().receive(e.connection, *lent);
    };
    script.received = [lent](Env& env, env::Received& e, Recorder& record) {
        record.append("received", lent->span().first(e.count));
        env.network().receive(e.connection, *lent);
    };
    script.closed = [](Env&, env::Closed&, Recorder& record) { record.note("closed"); };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.number("port").has_value(); }));
    Foreign peer(*record.number("port"));
    REQUIRE(peer.connected());
    peer.send("ten bytes.");
    peer.end_of_sending();
    CHECK(peer.receive_all().empty());  // the node's side ends too
    REQUIRE(world->run_until([&] { return record.has("closed"); }));
    CHECK(record.text("received") == "ten bytes.");
}

TEST_CASE("real: frames behind small lends arrive whole, in whatever sizes they are lent") {
    const auto world = make_real_world();
    // Lends go through the staging buffer, across its end, and around it.
    const std::vector<std::size_t> sizes = {4, 60'000, 4, 1, 16'384, 16'383, 4, 200'000, 2, 40'000};
    std::size_t total = 0;
    for (const std::size_t size : sizes) total += size;
    struct State {
        std::size_t index = 0;
        std::size_t got = 0;
        MutableBuffer lent;
    };
    auto state = std::make_shared<State>();
    Script script = listening();
    script.accepted = [state, sizes](Env& env, env::Accepted& e, Recorder&) {
        state->lent = MutableBuffer(sizes[0]);
        env.network().receive(e.connection, state->lent);
    };
    script.received = [state, sizes](Env& env, env::Received& e, Recorder& record) {
        record.append("received", state->lent.span().subspan(state->got, e.count));
        state->got += e.count;
        if (state->got == state->lent.size()) {
            if (++state->index == sizes.size()) return record.note("complete");
            state->lent = MutableBuffer(sizes[state->index]);
            state->got = 0;
        }
        env.network().receive(e.connection,
                              state->lent.slice(state->got, state->lent.size() - state->got));
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.number("port").has_value(); }));
    Foreign peer(*record.number("port"));
    const Bytes bytes = pattern(total);
    peer.send(as_text(bytes));
    REQUIRE(world->run_until([&] { return record.has("complete"); }));
    CHECK(record.text("received") == as_text(bytes));
}

TEST_CASE("real: the shards of a node share a port and each accepts for itself") {
    const auto world = make_real_world();
    Script script = listening();
    script.accepted = [](Env& env, env::Accepted& e, Recorder& record) {
        record.keep("accepted by " + std::to_string(env.shard()), 1);
        env.network().send(e.connection, {env::Piece(buffer(std::to_string(env.shard())))}, 1);
    };
    script.drained = [](Env& env, env::Drained& e, Recorder&) {
        env.network().close(e.connection);
    };
    Recorder& record = world->start("node", script, 2);
    REQUIRE(world->run_until([&] {
        return record.number("listening 0").has_value() && record.number("listening 1").has_value();
    }));
    const Lines lines = record.lines();
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == lines[1]);
    // The system spreads connections by their addresses: two hundred do not all meet one shard.
    std::set<std::string> answers;
    for (int n = 0; n < 200; ++n) {
        Foreign peer(*record.number("port"));
        REQUIRE(peer.connected());
        answers.insert(peer.receive_all());
    }
    CHECK(answers == std::set<std::string>{"0", "1"});
}

TEST_CASE("real: many connections over many shards, each echoed in order") {
    const auto world = make_real_world();
    constexpr std::size_t connections = 16;
    constexpr std::size_t bytes_each = 300'000;
    Script server = listening();
    auto make_echo = [](Script& script) {
        // A map a script: the copies of a script for other shards share it, so it is guarded.
        struct Shared {
            std::mutex mutex;
            std::map<std::pair<env::ShardIndex, std::uint64_t>, MutableBuffer> lent;
        };
        auto shared = std::make_shared<Shared>();
        const auto lend = [shared](Env& env, env::ConnectionId connection) {
            MutableBuffer fresh(5'000);
            {
                const std::lock_guard lock(shared->mutex);
                shared->lent[{env.shard(), static_cast<std::uint64_t>(connection)}] = fresh;
            }
            env.network().receive(connection, fresh);
        };
        script.accepted = [lend](Env& env, env::Accepted& e, Recorder&) {
            lend(env, e.connection);
        };
        script.received = [lend, shared](Env& env, env::Received& e, Recorder&) {
            MutableBuffer filled;
            {
                const std::lock_guard lock(shared->mutex);
                filled = shared->lent[{env.shard(), static_cast<std::uint64_t>(e.connection)}];
            }
            env.network().send(e.connection, {env::Piece(filled.freeze(e.count))}, 0);
            lend(env, e.connection);
        };
    };
    make_echo(server);
    Recorder& record = world->start("node", server, 3);
    REQUIRE(world->run_until([&] {
        return record.number("listening 0").has_value() &&
               record.number("listening 1").has_value() && record.number("listening 2").has_value();
    }));
    std::vector<std::string> answers(connections);
    std::vector<std::thread> peers;
    for (std::size_t n = 0; n < connections; ++n) {
        peers.emplace_back([n, &answers, port = *record.number("port")] {
            Foreign peer(port);
            const Bytes bytes = pattern(bytes_each, n);
            std::string answer;
            std::thread writer([&] { peer.send(as_text(bytes)); });
            while (answer.size() < bytes_each) {
                std::array<char, 8192> part;
                const ssize_t got = peer.receive_some(part.data(), part.size());
                if (got <= 0) break;
                answer.append(part.data(), static_cast<std::size_t>(got));
            }
            writer.join();
            answers[n] = std::move(answer);
        });
    }
    for (std::thread& peer : peers) peer.join();
    for (std::size_t n = 0; n < connections; ++n) {
        CHECK(answers[n] == as_text(pattern(bytes_each, n)));
    }
}

TEST_CASE("real: the counter of starts is kept, hidden, and checked") {
    TemporaryDirectory directory;
    const auto start_once = [&]() -> std::int64_t {
        Recorder record([] {});
        runtime::Runtime runtime;
        runtime::NodeSpec spec;
        spec.name = "node";
        spec.root = directory.path() + "/deep/place";
        Script script;
        script.started = [](Env& env, env::Started& e, Recorder& r) {
            r.keep("incarnation", static_cast<std::int64_t>(e.incarnation));
            env.disk().list("", 1);
        };
        script.listed = [](Env& env, env::Listed& e, Recorder& r) {
            r.keep("entries", static_cast<std::int64_t>(e.entries->size()));
            env.stop(0);
        };
        spec.factory = [&record, script](env::ShardIndex, env::ShardIndex) {
            return std::make_unique<ScriptedNode>(script, record);
        };
        runtime.add_node(std::move(spec));
        if (!runtime.start().ok()) return -1;
        CHECK(runtime.run() == 0);
        CHECK(record.number("entries") == 0);
        return *record.number("incarnation");
    };
    CHECK(start_once() == 1);
    CHECK(start_once() == 2);
    CHECK(start_once() == 3);
    std::ofstream(directory.path() + "/deep/place/.incarnation") << "scratched";
    CHECK(start_once() == -1);
}

TEST_CASE("real: run() gives the first status that is not 0, and every node its own") {
    runtime::Runtime runtime;
    Recorder record([] {});
    std::vector<runtime::NodeHandle> nodes;
    for (const int status : {0, 7, 9}) {
        runtime::NodeSpec spec;
        spec.name = "node";
        spec.log = [&record](std::string_view node, env::ShardIndex shard, std::string_view line) {
            record.note(std::string(node) + "/" + std::to_string(shard) + " " + std::string(line));
        };
        Script script;
        script.stop_asked = [status](Env& env, env::StopAsked&, Recorder&) {
            env.log("bye");
            env.stop(status);
        };
        spec.factory = [&record, script](env::ShardIndex, env::ShardIndex) {
            return std::make_unique<ScriptedNode>(script, record);
        };
        nodes.push_back(runtime.add_node(std::move(spec)));
    }
    // Asked before the start, and twice: it is heard once, after Started.
    runtime.ask_stop();
    REQUIRE(runtime.start().ok());
    runtime.ask_stop();
    CHECK(runtime.run() == 7);
    CHECK(runtime.status(nodes[0]) == 0);
    CHECK(runtime.status(nodes[1]) == 7);
    CHECK(runtime.status(nodes[2]) == 9);
    CHECK(record.lines() == Lines{"node/0 bye", "node/0 bye", "node/0 bye"});
}

TEST_CASE("real: a node that attends stops when nobody else is left, or stops all by failing") {
    for (const bool attendant_fails : {false, true}) {
        runtime::Runtime runtime;
        Recorder record([] {});
        for (const bool attends : {true, false, false}) {
            runtime::NodeSpec spec;
            spec.attends = attends;
            spec.log = nullptr;
            Script script;
            script.started = [=](Env& env, env::Started&, Recorder&) {
                if (attends == attendant_fails) env.stop(attendant_fails ? 7 : 9);
            };
            script.stop_asked = [](Env& env, env::StopAsked&, Recorder&) { env.stop(0); };
            spec.factory = [&record, script](env::ShardIndex, env::ShardIndex) {
                return std::make_unique<ScriptedNode>(script, record);
            };
            runtime.add_node(std::move(spec));
        }
        REQUIRE(runtime.start().ok());
        CHECK(runtime.run() == (attendant_fails ? 7 : 9));
    }
}

TEST_CASE("real: a node without a root has no disk, and paths do not leave a root") {
    const auto world = make_real_world();
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        for (const char* path : {"../a", "/etc/passwd", "a//b", ".", "", "a/../../b", "a/"}) {
            record.note(word(env.disk().open(path, env::OpenMode::create)));
        }
        record.keep("done", 1);
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.number("done").has_value(); }));
    CHECK(record.lines() == Lines(7, "invalid"));

    runtime::Runtime runtime;
    Recorder bare([] {});
    runtime::NodeSpec spec;
    Script diskless;
    diskless.started = [](Env& env, env::Started& e, Recorder& r) {
        r.note(word(env.disk().open("a", env::OpenMode::create)));
        r.note("incarnation " + std::to_string(e.incarnation));
        env.disk().list("", 1);
    };
    diskless.listed = [](Env& env, env::Listed& e, Recorder& r) {
        r.note(word(e.entries));
        env.stop(0);
    };
    spec.factory = [&bare, diskless](env::ShardIndex, env::ShardIndex) {
        return std::make_unique<ScriptedNode>(diskless, bare);
    };
    runtime.add_node(std::move(spec));
    REQUIRE(runtime.start().ok());
    CHECK(runtime.run() == 0);
    CHECK(bare.lines() == Lines{"unsupported", "incarnation 1", "unsupported"});
}

TEST_CASE("real: two processes cannot hold one lock") {
    TemporaryDirectory directory;
    const auto start = [&](runtime::Runtime& runtime, Recorder& record) {
        runtime::NodeSpec spec;
        spec.root = directory.path();
        Script script;
        script.started = [](Env& env, env::Started&, Recorder& r) {
            const auto file = env.disk().open(".lock", env::OpenMode::create);
            r.note(word(env.disk().lock(*file)));
            env.disk().sync_directory("", 1);
        };
        script.synced = [](Env&, env::Synced&, Recorder& r) { r.note("turn over"); };
        spec.factory = [&record, script](env::ShardIndex, env::ShardIndex) {
            return std::make_unique<ScriptedNode>(script, record);
        };
        runtime.add_node(std::move(spec));
        REQUIRE(runtime.start().ok());
        while (!record.has("turn over")) std::this_thread::yield();
    };
    Recorder one([] {});
    Recorder two([] {});
    Recorder three([] {});
    {
        runtime::Runtime holder;
        start(holder, one);
        runtime::Runtime other;
        start(other, two);
    }
    runtime::Runtime later;
    start(later, three);
    CHECK(one.lines() == Lines{"ok", "turn over"});
    CHECK(two.lines() == Lines{"locked", "turn over"});
    CHECK(three.lines() == Lines{"ok", "turn over"});
}

TEST_CASE("real: what is posted from outside arrives in order, and not once the node has stopped") {
    struct Word final : env::Parcel {
        explicit Word(std::string given) : text(std::move(given)) {}
        std::string text;
        [[nodiscard]] std::uint64_t digest() const override { return 0; }
    };
    Script script;
    script.mail = [](Env& env, env::MailArrived& mail, Recorder& r) {
        const std::string& text = static_cast<const Word&>(*mail.mail).text;
        r.note(text);
        if (text == "stop") env.stop(3);
    };
    Recorder record([] {});
    runtime::Runtime runtime;
    runtime::NodeSpec spec;
    spec.factory = [&record, script](env::ShardIndex, env::ShardIndex) {
        return std::make_unique<ScriptedNode>(script, record);
    };
    const runtime::NodeHandle node = runtime.add_node(std::move(spec));
    REQUIRE(runtime.start().ok());
    Lines posted;
    for (int i = 0; i < 100; ++i) posted.push_back(std::to_string(i));
    posted.push_back("stop");
    for (const std::string& text : posted) runtime.post(node, std::make_unique<Word>(text));
    CHECK(runtime.run() == 3);
    runtime.post(node, std::make_unique<Word>("too late"));
    CHECK(record.lines() == posted);
}
