// Clients against the real server: three brokers, one partition, a leader that is killed.

#include <catch2/catch.hpp>
#include <map>

#include "core/workload/consumer_node.h"
#include "core/workload/final_reader_node.h"
#include "core/workload/probe_node.h"
#include "core/workload/producer_node.h"
#include "tests/server/cluster.h"

namespace klamm::client::test {

namespace {

using facts::Outcome;

/// What clients stated, by node.
class ClientFacts final : public sim::WorldObserver {
  public:
    void on_fact(sim::NodeId node, env::ShardIndex, Instant, const facts::Fact& fact) override {
        if (const auto* sent = std::get_if<facts::SendInvoked>(&fact))
            value_of[{node, sent->operation}] = sent->value;
        if (const auto* done = std::get_if<facts::SendReturned>(&fact)) {
            if (done->outcome == Outcome::ok) acked[value_of.at({node, done->operation})] = *done;
            if (done->outcome == Outcome::failed)
                failed.push_back(value_of.at({node, done->operation}));
        }
        if (const auto* polled = std::get_if<facts::PollReturned>(&fact)) {
            for (const auto& record : polled->records) read[node].push_back(record);
        }
        corrupt += std::holds_alternative<facts::CorruptReceived>(fact) ? 1 : 0;
    }

    std::map<std::pair<sim::NodeId, std::uint64_t>, std::uint64_t> value_of;
    std::map<std::uint64_t, facts::SendReturned> acked;
    std::vector<std::uint64_t> failed;
    std::map<sim::NodeId, std::vector<facts::PolledRecord>> read;
    int corrupt = 0;
};

config::ClientOptions bootstrap(const char* name) {
    config::ClientOptions made;
    made.client_id = name;
    made.bootstrap_servers = {"broker-1:9092", "broker-2:9092", "broker-3:9092"};
    return made;
}

template <class Node>
bool done(sim::World& world, sim::NodeId id) {
    const auto* node = dynamic_cast<Node*>(world.shard_object(id));
    return node != nullptr && node->done();
}

sim::NodeId add(sim::World& world, const char* name, env::NodeFactory factory) {
    sim::NodeSpec spec;
    spec.name = name;
    spec.factory = std::move(factory);
    const sim::NodeId id = world.add_node(std::move(spec));
    world.start(id);
    return id;
}

}  // namespace

TEST_CASE("clients and server: what was acknowledged over a change of leader is read back, once") {
    server::test::Cluster cluster({.topic = {{"min.insync.replicas", "2"}}, .script = {}});
    ClientFacts seen;
    sim::World& world = cluster.world;
    world.set_observer(&seen);
    cluster.start();
    REQUIRE(world.run_until([&] { return cluster.isr_size() == 3; }, seconds(10)));

    workload::ProducerWorkload producing;
    producing.options.client = bootstrap("producer");
    producing.options.client.request_timeout_ms = 3000;
    producing.pacing.operations = 500;
    producing.pacing.gap = {milliseconds(5), milliseconds(10)};
    producing.records_max = 3;
    const auto producer = add(world, "producer", workload::producer_factory(producing));
    workload::ConsumerWorkload consuming;
    consuming.options.client = bootstrap("consumer");
    consuming.options.client.request_timeout_ms = 3000;
    consuming.options.fetch_max_wait_ms = 100;
    consuming.pacing.operations = 500;
    const auto consumer = add(world, "consumer", workload::consumer_factory(consuming));

    world.run_for(seconds(2));
    const sim::NodeId old_leader = cluster.node_of(cluster.leader());
    world.kill(old_leader);
    world.run_for(seconds(6));
    world.start(old_leader);
    REQUIRE(world.run_until([&] { return done<workload::ProducerNode>(world, producer); },
                            seconds(60)));
    REQUIRE(world.run_until([&] { return done<workload::ConsumerNode>(world, consumer); },
                            seconds(60)));

    workload::ProbeWorkload probing;
    probing.options.client = bootstrap("probe");
    const auto probe = add(world, "probe", workload::probe_factory(probing));
    REQUIRE(world.run_until([&] { return done<workload::ProbeNode>(world, probe); }, seconds(30)));
    workload::FinalReaderWorkload finishing;
    finishing.options.client = bootstrap("reader");
    const auto reader = add(world, "reader", workload::final_reader_factory(finishing));
    REQUIRE(world.run_until([&] { return done<workload::FinalReaderNode>(world, reader); },
                            seconds(30)));

    std::map<std::uint64_t, Offset> final_read;
    for (const auto& record : seen.read[reader]) {
        CHECK(final_read.emplace(record.value, record.offset).second);
    }
    CHECK(seen.acked.size() > 500);
    for (const auto& [value, sent] : seen.acked) {
        REQUIRE(final_read.count(value) == 1);
        CHECK(final_read.at(value) == sent.offset);
    }
    for (const std::uint64_t value : seen.failed) CHECK(final_read.count(value) == 0);
    CHECK(seen.read[consumer].size() > 100);
    CHECK(seen.corrupt == 0);
    for (const auto& record : seen.read[consumer])
        CHECK(final_read.at(record.value) == record.offset);
}

}  // namespace klamm::client::test
