// A turn costs what it touches, however many partitions a broker holds besides (DESIGN.md, Bounded
// cost). Work is counted, not timed: the partitions that were ticked or looked at.
#include <catch2/catch.hpp>

#include "tests/server/cluster.h"
#include "tests/server/requests_for_tests.h"
#include "tests/server/script_client.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;

namespace {

/// `count` partitions beside `trial`, on broker 1 alone: nobody fetches them.
TopicPlan crowd(std::size_t count) {
    TopicPlan plan{.name = "crowd", .id = uuid_from_halves(8, 8), .assignments = {}, .configs = {}};
    for (std::size_t i = 0; i < count; ++i) plan.assignments.push_back({BrokerId(1)});
    return plan;
}

struct Work {
    std::uint64_t visits = 0;      // of partitions, by broker 1
    std::uint64_t lag_checks = 0;  // most that may have come due meanwhile, in all partitions
};

/// What a hundred produces to `trial` cost a broker that leads `count` other partitions.
Work work_beside(std::size_t count) {
    Cluster cluster({.topic = {}, .script = {}, .more_topics = {crowd(count)}});
    ScriptClient client(cluster.world);
    REQUIRE(cluster.ready());
    const Broker& broker = *cluster.broker(BrokerId(1));
    REQUIRE(broker.hosts().size() == count + 1);
    REQUIRE(cluster.world.run_until(
        [&] {
            const auto* host =
                cluster.host(BrokerId(1), {uuid_from_halves(8, 8), PartitionIndex(0)});
            return host != nullptr && host->settled();
        },
        seconds(10)));
    const std::size_t line = client.connect("broker-1");
    const Instant begun = cluster.world.now();
    const std::uint64_t before = broker.partitions().visits();
    for (int i = 0; i < 100; ++i) {
        const auto answer = client.call(line, produce_of(batch_of({"value"}), -1, false), 12);
        REQUIRE(answer);
        REQUIRE(only(answer->body).error_code == protocol::ErrorCode::none);
    }
    const Duration half_lag = seconds(1);  // see Cluster
    const auto rounds = static_cast<std::uint64_t>(
        (cluster.world.now() - begun).nanoseconds / half_lag.nanoseconds + 1);
    return {broker.partitions().visits() - before, rounds * (count + 1)};
}

}  // namespace

TEST_CASE("bounded cost: a produce costs the same beside a thousand partitions as beside ten") {
    const Work few = work_beside(10);
    const Work many = work_beside(1000);
    INFO("visits " << few.visits << " and " << many.visits);
    CHECK(few.visits >= 100);
    // Each lag check ticks a partition and looks at it; nothing else visits what is not touched.
    CHECK(many.visits <= few.visits + 2 * many.lag_checks);
}
