// An outbound connection: order, time, back-off.
#include <catch2/catch.hpp>

#include "core/protocol/messages/api_versions.h"
#include "tests/net/harness.h"

using namespace klamm;
using namespace klamm::net;
using namespace klamm::net::test;

namespace {

/// Owns a channel to "server" and wants it open, as the parts of a broker do.
class Caller {
  public:
    Caller(sim::World& world, ChannelOptions options)
        : channel({"server", port}, options, 7), world_(world) {
        node = add(world, "caller", this);
    }
    void on(env::Env& env, env::Event& event) {
        if (auto* connected = std::get_if<env::Connected>(&event))
            opened += channel.connected(env, *connected) ? 1 : 0;
        if (auto* received = std::get_if<env::Received>(&event))
            channel.received(env, *received, answers, failed);
        if (auto* closed = std::get_if<env::Closed>(&event)) channel.closed(env, *closed, failed);
        if (env.turn().now >= channel.deadline()) channel.tick(env, failed);
        const env::ConnectionId before = channel.connection();
        if (wanted) channel.ensure(env);
        if (channel.connection() != before) attempts.push_back(env.turn().now);
    }
    void ask(std::uint64_t tag, bool answered = true) {
        orders.push_back([this, tag, answered](env::Env& env) {
            channel.send(env, protocol::ApiVersionsRequest{}, 0, "caller", tag, answered);
        });
        world_.run_until([&] { return orders.empty(); }, seconds(1));
    }

    Channel channel;
    bool wanted = true;
    int opened = 0;
    std::vector<Answer> answers;
    std::vector<Sent> failed;
    std::vector<Instant> attempts;
    std::deque<std::function<void(env::Env&)>> orders;
    sim::NodeId node;

  private:
    sim::World& world_;
};

ChannelOptions options() {
    ChannelOptions channel;
    channel.connect_timeout = seconds(1);
    channel.request_timeout = seconds(2);
    channel.backoff_min = milliseconds(100);
    channel.backoff_max = milliseconds(800);
    channel.in_flight_max = 3;
    return channel;
}

/// The frame of an answer that carries a request's correlation id, plus `off`.
Bytes answer_to(const Request& request, std::int32_t off = 0) {
    Bytes body(8, 0);
    store_big_endian(body.data(), load_big_endian<std::int32_t>(request.frame.data() + 4) + off);
    return frame_of(as_text(body));
}

struct Stage {
    explicit Stage(ChannelOptions channel = options())
        : server(world, {}), caller((world.run_for(milliseconds(10)), world), channel) {
        world.run_until([&] { return caller.channel.open(); }, seconds(1));
    }
    void settle() { world.run_for(milliseconds(50)); }
    void answer(std::size_t index, std::int32_t off = 0) {
        server.run([&, index, off](env::Env& env) {
            server.inbound.respond(env, server.requests.at(index).key,
                                   {Buffer::from(answer_to(server.requests[index], off))});
        });
        settle();
    }
    sim::World world{{.seed = 11, .network = {}}};
    Server server;
    Caller caller;
};

}  // namespace

TEST_CASE("channel: requests go in order and answers find theirs") {
    Stage stage;
    REQUIRE(stage.caller.channel.open());
    for (const std::uint64_t tag : {10U, 20U, 30U}) {
        CHECK(stage.caller.channel.can_send());
        stage.caller.ask(tag);
    }
    CHECK_FALSE(stage.caller.channel.can_send());
    stage.settle();
    REQUIRE(stage.server.requests.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) stage.answer(i);
    REQUIRE(stage.caller.answers.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(stage.caller.answers[i].request.tag == 10 * (i + 1));
        CHECK(load_big_endian<std::int32_t>(stage.caller.answers[i].frame.data()) ==
              stage.caller.answers[i].request.correlation);
    }
    CHECK(stage.caller.failed.empty());
    CHECK(stage.caller.channel.deadline() == instant_never);
}

TEST_CASE("channel: a request that has no answer is not waited for") {
    Stage stage;
    stage.caller.ask(1, false);
    CHECK(stage.caller.channel.in_flight() == 0);
    stage.caller.ask(2);
    stage.settle();
    REQUIRE(stage.server.requests.size() == 2);
    stage.server.run([&](env::Env& env) {
        stage.server.inbound.respond_nothing(env, stage.server.requests[0].key);
    });
    stage.answer(1);
    REQUIRE(stage.caller.answers.size() == 1);
    CHECK(stage.caller.answers[0].request.tag == 2);
}

TEST_CASE("channel: an answer that does not fit its request closes and fails all in flight") {
    Stage stage;
    stage.caller.ask(1);
    stage.caller.ask(2);
    stage.settle();
    stage.answer(0, 1);  // that of the second
    CHECK(stage.caller.answers.empty());
    REQUIRE(stage.caller.failed.size() == 2);
    CHECK(stage.caller.failed[0].tag == 1);
    CHECK(stage.caller.failed[1].tag == 2);
    stage.world.run_for(seconds(1));
    CHECK(stage.caller.opened == 2);
}

TEST_CASE("channel: an answer that nobody asked for closes") {
    Stage stage;
    stage.caller.ask(1);
    stage.settle();
    stage.server.run([&](env::Env& env) {
        Bytes twice = answer_to(stage.server.requests[0]);
        const Bytes again = twice;
        twice.insert(twice.end(), again.begin(), again.end());
        stage.server.inbound.respond(env, stage.server.requests[0].key,
                                     {Buffer::from(std::move(twice))});
    });
    stage.world.run_for(seconds(1));
    CHECK(stage.caller.answers.size() == 1);
    CHECK(stage.caller.failed.empty());
    CHECK(stage.caller.opened == 2);
}

TEST_CASE("channel: one answer that is late fails all in flight, then a new connection is made") {
    Stage stage;
    stage.caller.ask(1);
    stage.world.run_for(seconds(1));
    stage.caller.ask(2);
    stage.world.run_for(milliseconds(900));
    CHECK(stage.caller.failed.empty());
    stage.world.run_for(milliseconds(200));
    REQUIRE(stage.caller.failed.size() == 2);
    CHECK(stage.caller.channel.in_flight() == 0);
    stage.world.run_for(milliseconds(200));
    CHECK(stage.caller.channel.open());
    CHECK(stage.caller.opened == 2);
    // Late answers go to a connection that is not there any more.
    stage.answer(0);
    CHECK(stage.caller.answers.empty());
}

TEST_CASE(
    "channel: the pause between attempts doubles, with a fifth taken off at most, to a bound") {
    Stage stage;
    stage.world.kill(stage.server.node);
    stage.settle();
    CHECK_FALSE(stage.caller.channel.open());
    stage.caller.attempts.clear();
    stage.world.run_for(seconds(10));
    const auto& attempts = stage.caller.attempts;
    REQUIRE(attempts.size() >= 8);
    std::vector<Duration> pauses;
    for (std::size_t i = 1; i < attempts.size(); ++i)
        pauses.push_back(attempts[i] - attempts[i - 1]);
    bool bounded = true;
    bool spread = false;
    for (std::size_t i = 3; i < pauses.size(); ++i) {
        bounded = bounded && pauses[i] >= milliseconds(640) && pauses[i] <= milliseconds(805);
        spread = spread || pauses[i] != pauses[3];
    }
    CHECK(bounded);
    CHECK(spread);
    CHECK(pauses[0] >= milliseconds(80));
    CHECK(pauses[0] < milliseconds(410));
    CHECK(pauses[1] > pauses[0]);
    // When the server is back and has answered, it begins anew.
    stage.world.start(stage.server.node);
    stage.server.inbound = Inbound({});
    stage.server.requests.clear();
    REQUIRE(stage.world.run_until([&] { return stage.caller.channel.open(); }, seconds(3)));
    stage.caller.ask(5);
    stage.settle();
    stage.answer(0);
    REQUIRE(stage.caller.answers.size() == 1);
    stage.caller.attempts.clear();
    stage.server.run([&](env::Env& env) {
        stage.server.inbound.close(env, stage.server.requests[0].key.connection);
    });
    const Instant lost = stage.world.now();
    stage.world.run_for(milliseconds(120));
    REQUIRE(stage.caller.attempts.size() == 1);
    CHECK(stage.caller.attempts[0] - lost >= milliseconds(75));
}

TEST_CASE("channel: a connection that cannot be made is given up in time") {
    sim::World world({.seed = 12, .network = {}});
    Server server(world, {});
    world.run_for(milliseconds(10));
    Caller caller(world, options());
    world.cut(caller.node, server.node);
    world.run_for(milliseconds(900));
    CHECK(caller.attempts.size() == 1);
    world.run_for(milliseconds(400));
    CHECK(caller.attempts.size() == 2);
    CHECK(caller.opened == 0);
    world.heal_all();
    CHECK(world.run_until([&] { return caller.channel.open(); }, seconds(5)));
}
