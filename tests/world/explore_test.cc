// Explorers: every order that they bring about could have been; what must stay in order stays; the
// same seed gives the same run. And an address that another machine has for a while.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "sim/world/explore.h"
#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;
using How = ExploreOptions::How;

namespace {

/// `first` and `second` each send three bytes, one after another, to `sink`; the latter always
/// later, by less than the window. What the sink saw, in its order.
std::string race(std::uint64_t seed, How how) {
    std::string seen;
    NetworkOptions network;
    network.link.delay_mean = {};
    network.split_rate = 0;
    network.short_receive_rate = 0;
    World world({.seed = seed, .network = network, .explore = {how, milliseconds(5), 30}});
    const NodeId sink = world.add_node(script("sink", [&seen](env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event)) {
            env.network().listen({"sink", 1000}, env::ListenerId{1});
        } else if (const auto* in = std::get_if<env::Accepted>(&event)) {
            seen += static_cast<char>('A' + static_cast<int>(in->connection) - 1);
            env.network().receive(in->connection, MutableBuffer(1));
        } else if (const auto* got = std::get_if<env::Received>(&event)) {
            seen += static_cast<char>('a' + static_cast<int>(got->connection) - 1);
            env.network().receive(got->connection, MutableBuffer(1));
        }
    }));
    const auto sender = [](Duration pause) {
        return [pause, sent = 0, to = env::ConnectionId::none](env::Env& env,
                                                               env::Event& event) mutable {
            if (std::holds_alternative<env::Started>(event))
                to = env.network().connect({"sink", 1000});
            if (std::holds_alternative<env::Connected>(event)) env.wake_at(Instant{} + pause);
            if (!std::holds_alternative<env::Alarm>(event) || sent++ == 3) return;
            env.network().send(to, {Buffer::copy_of(pattern(1, 1))}, 0);
            env.wake_at(env.turn().now + milliseconds(20));
        };
    };
    world.start(sink);
    world.run_for(milliseconds(50));
    const NodeId first = world.add_node(script("first", sender(seconds(1000))));
    world.start(first);
    world.run_for(milliseconds(50));
    const NodeId second = world.add_node(script("second", sender(seconds(1000) + milliseconds(1))));
    world.start(second);
    world.run_for(seconds(2000));
    return seen;
}

}  // namespace

TEST_CASE("explore: a race that times decide always alike is seen both ways") {
    CHECK(race(1, How::timed) == race(2, How::timed));
    for (const How how : {How::random, How::pos, How::pct}) {
        std::set<std::string> orders;
        for (std::uint64_t seed = 1; seed <= 20; ++seed) {
            const std::string seen = race(seed, how);
            CHECK(seen.size() == 8);
            CHECK(race(seed, how) == seen);
            orders.insert(seen);
        }
        INFO(static_cast<int>(how));
        CHECK(orders.size() > 1);
    }
}

TEST_CASE("explore: chains keep their order, nothing waits for more than the window") {
    for (const How how : {How::random, How::pos, How::pct}) {
        for (std::uint64_t seed = 1; seed <= 50; ++seed) {
            const ExploreOptions options{how, milliseconds(2), 1'000};
            Explorer<int> explorer(options, Draws(seed));
            std::map<int, int> last;
            // Of chain c the payloads are 1000 c, 1000 c + 1, …, a tenth of a millisecond apart.
            constexpr int events = 400;
            int taken = 0;
            int chosen = 0;
            Instant now;
            while (chosen < events) {
                const auto due = [&] { return Instant{} + microseconds(100) * taken; };
                while (taken < events &&
                       (explorer.empty() || due() <= explorer.time_min() + explorer.window())) {
                    const int chain = taken % 5;
                    explorer.take(due(), static_cast<std::uint64_t>(chain), 0,
                                  chain * 1'000 + taken / 5);
                    ++taken;
                }
                const auto [time, payload] = explorer.choose();
                ++chosen;
                now = std::max(now, time);
                CHECK(now - time <= options.window);
                const auto at = last.find(payload / 1'000);
                CHECK(payload % 1'000 == (at == last.end() ? 0 : at->second + 1));
                last[payload / 1'000] = payload % 1'000;
            }
            CHECK(explorer.empty());
        }
    }
}

TEST_CASE("address: who looks for a machine finds who has its address, and loses it with it") {
    World world({.seed = 3});
    std::map<std::string, int> accepted;
    const auto host = [&accepted](const std::string& name) {
        return script(name, [&accepted, name](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event))
                env.network().listen({name, 1000}, env::ListenerId{1});
            if (std::holds_alternative<env::Accepted>(event)) ++accepted[name];
        });
    };
    const NodeId a = world.add_node(host("a"));
    const NodeId b = world.add_node(host("b"));
    int closed = 0;
    const NodeId client = world.add_node(script("client", [&](env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::StopAsked>(event)) env.network().connect({"a", 1000});
        if (std::holds_alternative<env::Closed>(event)) ++closed;
    }));
    for (const NodeId node : {a, b, client}) world.start(node);
    const auto connect = [&] {
        world.run_for(seconds(1));
        world.ask_stop(client);
        world.run_for(seconds(1));
    };
    connect();
    CHECK(accepted["a"] == 1);
    world.redirect(a, b);
    world.run_for(seconds(1));
    CHECK(closed == 1);  // where the address was
    connect();
    CHECK(accepted["a"] == 1);
    CHECK(accepted["b"] == 1);
    world.redirect(a, a);
    world.run_for(seconds(1));
    CHECK(closed == 2);
    connect();
    CHECK(accepted["a"] == 2);
    CHECK(closed == 2);
}
