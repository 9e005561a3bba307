// What a turn costs beside partitions that it does not touch: CPU time a produce to one partition,
// in the simulated world, while the broker leads 10, 100, 1,000 and 3,000 others that lie idle.
// Prints microseconds a produce and the partitions that were visited for it; both should be the
// same in each line, but for the lag checks that come due.
//
//     bench_partitions [produces]    1000 by default

#include <fmt/format.h>
#include <time.h>

#include <charconv>
#include <string_view>

#include "tests/server/cluster.h"
#include "tests/server/requests_for_tests.h"
#include "tests/server/script_client.h"

namespace {

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;

double cpu_seconds() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

bool measure(std::size_t partitions, int produces) {
    const TopicPartition first{uuid_from_halves(8, 8), PartitionIndex(0)};
    TopicPlan crowd{.name = "crowd", .id = first.topic, .assignments = {}, .configs = {}};
    for (std::size_t i = 0; i < partitions; ++i) crowd.assignments.push_back({BrokerId(1)});
    Cluster cluster({.brokers = 1, .topic = {}, .script = {}, .more_topics = {crowd}});
    ScriptClient client(cluster.world);
    if (!cluster.ready()) return false;
    const bool opened = cluster.world.run_until(
        [&] {
            const ReplicaHost* host = cluster.host(BrokerId(1), first);
            return host != nullptr && host->settled();
        },
        seconds(60));
    if (!opened) return false;
    const Partitions& all = cluster.broker(BrokerId(1))->partitions();
    const std::size_t line = client.connect("broker-1");
    const Bytes batch = batch_of({"value"});
    const std::uint64_t visits = all.visits();
    const double begun = cpu_seconds();
    for (int i = 0; i < produces; ++i) {
        const auto answer = client.call(line, produce_of(batch, -1, false), 12);
        if (!answer || only(answer->body).error_code != protocol::ErrorCode::none) return false;
    }
    const double used = cpu_seconds() - begun;
    fmt::print("beside {:5} partitions: {:8.1f} us and {:7.1f} visits a produce\n", partitions,
               used * 1e6 / produces, static_cast<double>(all.visits() - visits) / produces);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    int produces = 1000;
    if (argc > 1) {
        const std::string_view text = argv[1];
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), produces);
        if (argc > 2 || parsed.ec != std::errc{} || produces < 1) {
            fmt::print(stderr, "usage: bench_partitions [produces]\n");
            return 64;
        }
    }
    for (const std::size_t partitions : {10U, 100U, 1000U, 3000U})
        if (!measure(partitions, produces)) return 1;
    return 0;
}
