#pragma once
// A simulated world around a FakeCluster, with one client node, and the facts that it states.

#include <functional>
#include <utility>

#include "core/client/consumer.h"
#include "core/client/producer.h"
#include "core/workload/consumer_node.h"
#include "core/workload/final_reader_node.h"
#include "core/workload/probe_node.h"
#include "core/workload/producer_node.h"
#include "tests/client/fake_cluster.h"

namespace klamm::client::test {

struct StatedFact {
    Instant time;
    facts::Fact fact;
};

class Harness final : public sim::WorldObserver {
  public:
    explicit Harness(std::uint64_t seed = 1, std::int32_t brokers = 1) : world(options(seed)) {
        cluster.brokers = brokers;
        world.set_observer(this);
        for (std::int32_t i = 0; i < brokers; ++i) {
            ids.push_back(world.add_node(fake_broker(cluster, i)));
            world.start(ids.back());
        }
    }

    void on_fact(sim::NodeId, env::ShardIndex, Instant time, const facts::Fact& fact) override {
        stated.push_back({time, fact});
    }

    /// Adds and starts a client node.
    sim::NodeId add(const std::string& name, env::NodeFactory factory) {
        sim::NodeSpec spec;
        spec.name = name;
        spec.factory = std::move(factory);
        const sim::NodeId id = world.add_node(std::move(spec));
        world.start(id);
        return id;
    }
    /// Whether the node has begun to run.
    [[nodiscard]] bool up(sim::NodeId id) { return world.shard_object(id) != nullptr; }
    template <class Node>
    Node& node(sim::NodeId id) {
        return dynamic_cast<Node&>(*world.shard_object(id));
    }
    /// All facts of one kind, in order.
    template <class Kind>
    std::vector<Kind> all() const {
        std::vector<Kind> found;
        for (const StatedFact& one : stated)
            if (const auto* fact = std::get_if<Kind>(&one.fact)) found.push_back(*fact);
        return found;
    }

    /// Bootstraps at every broker.
    [[nodiscard]] config::ClientOptions client() const {
        config::ClientOptions made;
        made.client_id = "test";
        for (std::int32_t i = 0; i < cluster.brokers; ++i)
            made.bootstrap_servers.push_back("b" + std::to_string(i) + ":9092");
        return made;
    }
    [[nodiscard]] workload::ProducerWorkload producer(std::uint32_t operations) const {
        workload::ProducerWorkload made;
        made.options.client = client();
        made.options.linger_ms = 0;
        made.pacing.operations = operations;
        made.pacing.start = milliseconds(10);
        made.pacing.gap = {milliseconds(1), {}};
        return made;
    }
    [[nodiscard]] workload::ConsumerWorkload consumer(std::uint32_t operations) const {
        workload::ConsumerWorkload made;
        made.options.client = client();
        made.options.auto_offset_reset = config::OffsetReset::earliest;
        made.pacing.operations = operations;
        made.pacing.start = milliseconds(100);
        made.pacing.gap = {milliseconds(10), {}};
        made.latest_rate = 0;
        return made;
    }

    FakeCluster cluster;
    std::vector<sim::NodeId> ids;
    std::vector<StatedFact> stated;
    sim::World world;

  private:
    static sim::WorldOptions options(std::uint64_t seed) {
        sim::WorldOptions made;
        made.seed = seed;
        return made;
    }
};

}  // namespace klamm::client::test
