// Time in the world: the order of events, alarms, drifting and stepped clocks, turns that cost.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include <algorithm>

#include "sim/world/event_heap.h"
#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

TEST_CASE("heap: events come by time, and at one time in the order of pushing") {
    rc::prop("as a stable sort", [](std::vector<std::uint8_t> times) {
        EventHeap<std::size_t> heap;
        std::vector<std::pair<std::uint8_t, std::size_t>> expected;
        for (std::size_t i = 0; i < times.size(); ++i) {
            heap.push(Instant{times[i] % 8}, i);
            expected.emplace_back(static_cast<std::uint8_t>(times[i] % 8), i);
        }
        std::stable_sort(expected.begin(), expected.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        for (const auto& [time, value] : expected) {
            const auto [at, got] = heap.pop();
            RC_ASSERT(at.nanoseconds == time);
            RC_ASSERT(got == value);
        }
        RC_ASSERT(heap.empty());
    });
}

TEST_CASE("clock: an alarm fires when the node's own drifting clock has reached it, once") {
    for (const std::int64_t ppm : {-400'000, -500, 0, 500, 300'000}) {
        World world({.seed = 3});
        Instant asked;
        std::vector<Instant> fired;
        NodeSpec spec = script("a", [&](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                asked = env.turn().now + seconds(10);
                env.wake_at(asked);
            } else if (std::holds_alternative<env::Alarm>(event)) {
                fired.push_back(env.turn().now);
            }
        });
        spec.clock.drift_ppm = ppm;
        const NodeId a = world.add_node(spec);
        world.start(a);
        REQUIRE(world.run_for(seconds(60)));
        REQUIRE(fired.size() == 1);
        CHECK(fired[0] >= asked);
        CHECK(fired[0] < asked + milliseconds(1));
    }
}

TEST_CASE("clock: a later wake_at replaces the alarm, also one that waits for its turn") {
    World world({.seed = 3});
    int alarms = 0;
    // A turn of 20 ms covers the moment of the alarm; that turn takes the alarm back.
    NodeSpec slow = script("b", [&](env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event))
            env.wake_at(env.turn().now + milliseconds(30));
        else if (std::holds_alternative<env::Alarm>(event))
            ++alarms;
        else
            env.wake_at(instant_never);
    });
    slow.cpu.turn_base = milliseconds(20);
    slow.cpu.turn_mean = {};
    const NodeId b = world.add_node(slow);
    world.start(b);
    world.schedule(Instant{} + milliseconds(25), 0, [&] { world.ask_stop(b); });
    REQUIRE(world.run_for(seconds(1)));
    CHECK(alarms == 0);
}

TEST_CASE("clock: the wall may be offset and stepped, the monotonic clock never goes back") {
    World world({.seed = 4});
    NodeSpec spec = script_at_start("a", [](env::Env&) {});
    spec.clock.wall_offset = seconds(-5);
    const NodeId a = world.add_node(spec);
    const Timestamp truth = WorldOptions{}.start_wall;
    CHECK(world.wall(a).value == truth.value - 5000);
    const Instant before = world.monotonic(a);
    world.step_wall(a, seconds(-3600));
    CHECK(world.wall(a).value == truth.value - 5000 - 3'600'000);
    CHECK(world.monotonic(a) == before);
    REQUIRE(world.run_for(seconds(10)));
    const Instant middle = world.monotonic(a);
    CHECK(middle - before == seconds(10));
    world.set_drift(a, 100'000);
    CHECK(world.monotonic(a) == middle);
    REQUIRE(world.run_for(seconds(10)));
    CHECK(world.monotonic(a) - middle == seconds(11));
}

TEST_CASE("turns: a busy shard takes its next event only when its turn has ended") {
    World world({.seed = 5});
    std::vector<Instant> turns;
    NodeSpec spec = script("a", [&](env::Env&, env::Event&) { turns.push_back(world.now()); });
    spec.cpu.turn_base = milliseconds(10);
    spec.cpu.turn_mean = {};
    const NodeId a = world.add_node(spec);
    world.start(a);
    world.schedule(Instant{} + milliseconds(2), 1, [&] {
        world.ask_stop(a);
        world.ask_stop(a);
    });
    REQUIRE(world.run_for(seconds(1)));
    REQUIRE(turns.size() == 3);
    CHECK(turns[1] - turns[0] == milliseconds(10));
    CHECK(turns[2] - turns[1] == milliseconds(10));
}

TEST_CASE("turns: a paused node takes no event and loses none") {
    World world({.seed = 6});
    int events = 0;
    const NodeId a = world.add_node(script("a", [&](env::Env&, env::Event&) { ++events; }));
    world.start(a);
    REQUIRE(world.run_for(seconds(1)));
    CHECK(events == 1);
    world.pause(a);
    world.ask_stop(a);
    world.ask_stop(a);
    REQUIRE(world.run_for(seconds(1)));
    CHECK(events == 1);
    world.resume(a);
    REQUIRE(world.run_for(seconds(1)));
    CHECK(events == 3);
}

namespace {
class Number final : public env::Parcel {
  public:
    explicit Number(std::uint64_t value) : value_(value) {}
    [[nodiscard]] std::uint64_t digest() const override { return value_; }
    std::uint64_t value_;
};
class Square final : public env::Job {
  public:
    explicit Square(int value) : value_(value) {}
    void run() override { value_ *= value_; }
    int value_;
};
}  // namespace

TEST_CASE("shards: mail arrives in order per pair, a computed job comes back with its token") {
    World world({.seed = 7});
    std::vector<std::uint64_t> got;
    int computed = 0;
    NodeSpec spec = script("a", [&](env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event) && env.shard() == 0) {
            for (std::uint64_t i = 0; i < 50; ++i) env.mail(1, std::make_unique<Number>(i));
            env.compute(std::make_unique<Square>(7), 42);
        } else if (auto* mail = std::get_if<env::MailArrived>(&event)) {
            CHECK(env.shard() == 1);
            CHECK(mail->from == 0);
            got.push_back(static_cast<Number&>(*mail->mail).value_);
        } else if (auto* done = std::get_if<env::Computed>(&event)) {
            CHECK(done->token == 42);
            computed = static_cast<Square&>(*done->job).value_;
        }
    });
    spec.shards = 2;
    const NodeId a = world.add_node(spec);
    world.start(a);
    REQUIRE(world.run_for(seconds(1)));
    REQUIRE(got.size() == 50);
    CHECK(std::is_sorted(got.begin(), got.end()));
    CHECK(computed == 49);
}

TEST_CASE("assertion: one inside a node ends the world with a report, and the process lives") {
    World world({.seed = 8});
    const NodeId a = world.add_node(script("a", [](env::Env&, env::Event& event) {
        KLAMM_ASSERT(!std::holds_alternative<env::StopAsked>(event));
    }));
    world.start(a);
    REQUIRE(world.run_for(seconds(1)));
    world.ask_stop(a);
    CHECK_FALSE(world.run_for(seconds(1)));
    REQUIRE(world.ended().has_value());
    CHECK(world.ended()->node == a);
    CHECK(world.ended()->condition.find("StopAsked") != std::string::npos);
    REQUIRE(world.ended()->last_turns.size() >= 2);
    CHECK(std::string(world.ended()->last_turns.back().kind) == "StopAsked");
    CHECK_FALSE(world.step());
}

TEST_CASE("start: one that is taken back by a kill does not happen, the next one does, once") {
    World world({.seed = 12});
    int started = 0;
    NodeSpec spec = script_at_start("a", [&](env::Env&) { ++started; });
    spec.cpu.start_base = milliseconds(10);
    const NodeId a = world.add_node(spec);
    world.start(a);
    REQUIRE(world.run_for(milliseconds(5)));
    world.kill(a);
    world.start(a);
    REQUIRE(world.run_for(milliseconds(7)));
    CHECK_FALSE(world.alive(a));
    REQUIRE(world.run_for(milliseconds(10)));
    CHECK(world.alive(a));
    CHECK(started == 1);
    CHECK(world.incarnation(a) == 1);
}
