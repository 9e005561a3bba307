// Which facts of a turn reach the observer when a kill cuts it.
#include <catch2/catch.hpp>

#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

struct FactRecorder final : WorldObserver {
    void on_fact(NodeId, env::ShardIndex, Instant, const facts::Fact& fact) override {
        facts.push_back(fact);
    }
    std::vector<facts::Fact> facts;
};

}  // namespace

TEST_CASE("kill: of a cut turn those facts are told that have become true") {
    // D: two writes, each followed by its fact. E: an answer, its fact before it.
    struct Row {
        std::int64_t keep;
        std::int64_t bytes;
        std::vector<std::string> told;
    };
    const Row rows[] = {
        {1, 0, {}},            // the file was made, no more
        {1, 3, {"append 0"}},  // cut inside: told, the damage says the rest
        {2, 0, {"append 0"}},
        {2, 4, {"append 0", "append 1"}},
        {3, 0, {"append 0", "append 1"}},  // the answer has not left
        {4, 0, {"append 0", "append 1", "answer"}},
    };
    for (const Row& row : rows) {
        World world({.seed = 9});
        FactRecorder recorder;
        world.set_observer(&recorder);
        const NodeId peer = world.add_node(script("x", [](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event))
                env.network().listen({"x", 1}, env::ListenerId{1});
        }));
        auto up = std::make_shared<env::ConnectionId>();
        const NodeId a = world.add_node(script("a", [up](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) *up = env.network().connect({"x", 1});
            if (!std::holds_alternative<env::StopAsked>(event)) return;
            const auto file = env.disk().open("f", env::OpenMode::create);
            REQUIRE(file.ok());
            for (std::int64_t i = 0; i < 2; ++i) {
                const auto position = static_cast<std::uint64_t>(10 * i);
                REQUIRE(env.disk().write(*file, position, Buffer::copy_of(pattern(10, 1))).ok());
                facts::BatchAppended appended{};
                appended.base_offset = Offset(i);
                env.turn().state(appended);
            }
            env.turn().state(facts::ProduceAnswered{});
            env.network().send(*up, {Buffer::copy_of(pattern(5, 1))}, 0);
        }));
        world.start(peer);
        REQUIRE(world.run_for(milliseconds(10)));
        world.start(a);
        REQUIRE(world.run_for(seconds(1)));
        world.kill(a, {.when = KillRule::When::in_turn, .keep = row.keep, .keep_bytes = row.bytes});
        world.ask_stop(a);
        REQUIRE(world.run_for(seconds(1)));
        REQUIRE_FALSE(world.alive(a));
        std::vector<std::string> told;
        for (const facts::Fact& fact : recorder.facts) {
            const auto* appended = std::get_if<facts::BatchAppended>(&fact);
            told.push_back(appended != nullptr
                               ? "append " + std::to_string(appended->base_offset.value)
                               : "answer");
        }
        CAPTURE(row.keep, row.bytes);
        CHECK(told == row.told);
    }
}
