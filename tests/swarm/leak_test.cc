// Planted leaks: nodes that read the system's clock, or walk over addresses, once. `diverge` names
// the very event in whose turn they did it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <set>

#include "sim/run/diverge.h"
#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

/// What of the surroundings comes into the node's turn.
enum class Leak : std::uint8_t { none, clock, addresses };

/// "leaky" sends a packet to "sink" every millisecond of its own; in its turn number `leaky_turn`
/// what it sends depends on what is leaked. `runs` counts the runs of all sides.
struct Leaky {
    Leak leak;
    std::uint64_t leaky_turn;
    std::uint64_t event = 0;  // in whose turn it leaked, by the world's own count
    std::uint64_t runs = 0;

    /// Runs the world; `sink` sees its events.
    std::vector<Checkpoint> run(const EventSink& sink);

  private:
    std::uint64_t leaked() const;
};

/// Clocks tell another time in each run. Addresses are in another order in each run, as an
/// allocator that has been used otherwise gives them.
std::uint64_t Leaky::leaked() const {
    if (leak == Leak::clock) {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        return static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    }
    if (leak == Leak::addresses) {
        const std::unique_ptr<std::uint8_t[]> room(new std::uint8_t[8]);
        std::set<const std::uint8_t*> walked;
        for (std::uint8_t i = 0; i < 8; ++i) {
            std::uint8_t* place = &room[runs % 2 == 0 ? i : 7U - i];
            *place = i;
            walked.insert(place);
        }
        std::uint64_t mix = 0;
        for (const std::uint8_t* place : walked) mix = mix * 10 + *place;
        return mix;
    }
    return 0;
}

std::vector<Checkpoint> Leaky::run(const EventSink& sink) {
    ++runs;
    WorldOptions options;
    options.seed = 11;
    options.checkpoint_events = 64;
    World world(options);
    world.set_event_sink(sink);
    env::ConnectionId accepted{};
    MutableBuffer buffer;
    const NodeId sink_node = world.add_node(script("sink", [&](env::Env& env, env::Event& what) {
        if (std::holds_alternative<env::Started>(what))
            env.network().listen({"sink", 1000}, env::ListenerId{1});
        if (auto* in = std::get_if<env::Accepted>(&what)) accepted = in->connection;
        if (std::holds_alternative<env::Accepted>(what) ||
            std::holds_alternative<env::Received>(what)) {
            buffer = MutableBuffer(64);
            env.network().receive(accepted, buffer);
        }
    }));
    env::ConnectionId made{};
    std::uint64_t turns = 0;
    const NodeId leaky = world.add_node(script("leaky", [&](env::Env& env, env::Event& what) {
        if (std::holds_alternative<env::Started>(what)) {
            made = env.network().connect({"sink", 1000});
            return;
        }
        if (!std::holds_alternative<env::Connected>(what) &&
            !std::holds_alternative<env::Alarm>(what))
            return;
        env.wake_at(env.turn().now + milliseconds(1));
        Bytes bytes{1, 2, 3, 4};
        if (++turns == leaky_turn) {
            event = world.events() + 1;  // it is counted when its turn is over
            for (std::uint64_t left = leaked(); left > 0; left /= 256)
                bytes.push_back(static_cast<std::uint8_t>(left));
        }
        env.network().send(made, {Buffer::from(std::move(bytes))}, 0);
    }));
    world.start(sink_node);
    world.run_for(milliseconds(5));
    world.start(leaky);
    world.run_for(milliseconds(300));
    std::vector<Checkpoint> checkpoints = world.checkpoints();
    checkpoints.push_back({world.events(), world.hash()});
    return checkpoints;
}

DivergeSide side_of(const std::string& name, Leaky& leaky) {
    DivergeSide side;
    side.name = name;
    side.checkpoints = [&]() -> Result<std::vector<Checkpoint>> { return leaky.run({}); };
    side.events = [&](std::uint64_t from, std::uint64_t to) -> Result<std::vector<std::string>> {
        std::vector<std::string> lines;
        (void)leaky.run([&](const EventRecord& record) {
            if (record.number >= from && record.number <= to) lines.push_back(to_string(record));
        });
        return lines;
    };
    return side;
}

}  // namespace

TEST_CASE("leaks: without one, two runs are equal") {
    Leaky leaky{Leak::none, 100};
    const auto answer = diverge(side_of("one", leaky), side_of("other", leaky));
    REQUIRE(answer.ok());
    REQUIRE(answer->equal);
    REQUIRE(answer->events > 500);
}

TEST_CASE("leaks: diverge names the event in whose turn a node read the system's clock") {
    for (const std::uint64_t turn : {1, 57, 200}) {
        Leaky leaky{Leak::clock, turn};
        const auto answer = diverge(side_of("one", leaky), side_of("other", leaky));
        REQUIRE(answer.ok());
        REQUIRE(!answer->equal);
        REQUIRE(leaky.event > 0);
        REQUIRE(answer->event == leaky.event);
        REQUIRE(answer->one != answer->other);
    }
}

TEST_CASE("leaks: diverge names the event in whose turn a node walked over addresses") {
    for (const std::uint64_t turn : {1, 57, 200}) {
        Leaky leaky{Leak::addresses, turn};
        const auto answer = diverge(side_of("one", leaky), side_of("other", leaky));
        REQUIRE(answer.ok());
        REQUIRE(!answer->equal);
        REQUIRE(answer->event == leaky.event);
    }
}
