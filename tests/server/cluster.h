#pragma once
// A small cluster in the simulated world for tests: the metadata node, or a quorum of them, brokers
// 1..n, topic `trial` with one partition that all of them replicate.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "core/server/broker.h"
#include "core/server/metadata_node.h"
#include "sim/world/world.h"

namespace klamm::server::test {

inline const TopicPartition trial{uuid_from_halves(7, 7), PartitionIndex(0)};

struct ClusterOptions {
    int brokers = 3;
    env::ShardIndex shards = 1;
    std::uint64_t seed = 1;
    std::map<std::string, std::string> topic;
    bool elr = true;
    std::vector<ScriptStep> script;
    std::uint64_t tail_cache_bytes = 1 << 20;
    std::vector<TopicPlan> more_topics = {};
    net::InboundLimits limits = {};
    sim::DiskOptions disk = {};
    std::int32_t request_timeout_ms = 30'000;
    int controllers = 0;            // of a quorum; 0: one node that is none
    bool controllers_stay = false;  // asked to stop, while a broker is not fenced
    bool auto_create = false;
    std::vector<std::string> racks = {};  // of the brokers, in their order
    std::int16_t transaction_version = 0;
};

struct Cluster {
    explicit Cluster(ClusterOptions options = {})
        : shards(options.shards), world({.seed = options.seed, .network = {}}) {
        MetadataSettings metadata;
        metadata.listen = {"controller", 9093};
        metadata.cluster = "test";
        metadata.session_timeout = seconds(3);
        metadata.eligible_leader_replicas = options.elr;
        metadata.transaction_version = options.transaction_version;
        metadata.script = options.script;
        metadata.stays_for_brokers = options.controllers_stay;
        TopicPlan topic{
            .name = "trial", .id = trial.topic, .assignments = {{}}, .configs = options.topic};
        for (int i = 1; i <= options.brokers; ++i) topic.assignments[0].push_back(BrokerId(i));
        metadata.topics.push_back(topic);
        for (const TopicPlan& more : options.more_topics) metadata.topics.push_back(more);
        for (int i = 1; i <= options.controllers; ++i)
            metadata.voters.push_back(
                {BrokerId(3000 + i), {fmt::format("controller-{}", i), 9093}});
        std::vector<QuorumVoter> nodes = metadata.voters;
        if (nodes.empty()) nodes.push_back({metadata.node, metadata.listen});
        for (const QuorumVoter& node : nodes) {
            metadata.node = node.id;
            metadata.listen = node.at;
            controllers.push_back(world.add_node({.name = node.at.host,
                                                  .factory = metadata_factory(metadata),
                                                  .clock = {},
                                                  .disk = {},
                                                  .cpu = {}}));
        }
        controller = controllers.front();
        for (int i = 1; i <= options.brokers; ++i) {
            BrokerSettings settings;
            settings.options.node_id = i;
            settings.options.auto_create_topics_enable = options.auto_create;
            settings.options.broker_rack = i <= static_cast<int>(options.racks.size())
                                               ? options.racks[static_cast<std::size_t>(i - 1)]
                                               : "";
            settings.options.broker_heartbeat_interval_ms = 500;
            settings.options.broker_session_timeout_ms = 3'000;
            settings.options.replica_lag_time_max_ms = 2'000;
            settings.options.replica_fetch_wait_max_ms = 200;
            settings.options.replica_fetch_backoff_ms = 100;
            settings.options.request_timeout_ms = options.request_timeout_ms;
            settings.listen = settings.advertised = {fmt::format("broker-{}", i), 9092};
            settings.controller = metadata.listen;
            settings.controllers = metadata.voters;
            settings.cluster = metadata.cluster;
            settings.tail_cache_bytes = options.tail_cache_bytes;
            settings.limits = options.limits;
            settings.log_dirs.clear();
            for (env::ShardIndex s = 0; s < options.shards; ++s)
                settings.log_dirs.push_back(fmt::format("data-{}", s));
            brokers.push_back(world.add_node({.name = fmt::format("broker-{}", i),
                                              .factory = broker_factory(settings),
                                              .shards = options.shards,
                                              .clock = {},
                                              .disk = options.disk,
                                              .cpu = {}}));
        }
    }

    void start() {
        for (const sim::NodeId one : controllers) world.start(one);
        for (const sim::NodeId broker : brokers) world.start(broker);
    }
    const MetadataNode* controller_at(std::size_t i) {
        return static_cast<const MetadataNode*>(world.shard_object(controllers[i]));
    }
    /// Of a quorum's controllers, the one that is active; -1 when there is none.
    int active() {
        int best = -1;
        for (std::size_t i = 0; i < controllers.size(); ++i) {
            const MetadataNode* one = controller_at(i);
            if (one == nullptr || !one->active()) continue;
            const bool later =
                best < 0 ||
                one->quorum()->raft()->epoch() >
                    controller_at(static_cast<std::size_t>(best))->quorum()->raft()->epoch();
            if (later) best = static_cast<int>(i);
        }
        return best;
    }
    const MetadataNode& metadata() {
        return static_cast<const MetadataNode&>(*world.shard_object(controller));
    }
    const metadata::PartitionImage* partition() {
        if (controllers.size() > 1) {
            const int at = active();
            return at < 0 ? nullptr
                          : controller_at(static_cast<std::size_t>(at))->image().partition(trial);
        }
        if (world.shard_object(controller) == nullptr) return nullptr;
        return metadata().image().partition(trial);
    }
    /// Starts all and runs until every broker leads or follows `trial` in sync.
    bool ready() {
        start();
        return world.run_until([&] { return leader() == BrokerId(1) && in_sync(); }, seconds(10)) &&
               world.run_for(milliseconds(500));
    }
    bool in_sync() { return isr_size() == brokers.size(); }
    const Broker* broker(BrokerId id, env::ShardIndex shard = 0) {
        return static_cast<const Broker*>(world.shard_object(node_of(id), shard));
    }
    /// The leader's own replica of `trial`, on whichever shard; nullptr when there is none.
    const ReplicaHost* host(BrokerId id, const TopicPartition& partition = trial) {
        for (env::ShardIndex s = 0; s < shards; ++s) {
            const Broker* at = broker(id, s);
            if (at == nullptr) continue;
            const auto row = at->hosts().find(partition);
            if (row != at->hosts().end()) return row->second.get();
        }
        return nullptr;
    }
    BrokerId leader() { return partition() == nullptr ? no_broker : partition()->leader; }
    std::size_t isr_size() { return partition() == nullptr ? 0 : partition()->isr.size(); }
    sim::NodeId node_of(BrokerId id) { return brokers.at(static_cast<std::size_t>(id.value - 1)); }

    env::ShardIndex shards = 1;
    sim::World world;
    sim::NodeId controller;                // the first
    std::vector<sim::NodeId> controllers;  // ids 3001.. of a quorum
    std::vector<sim::NodeId> brokers;
};

}  // namespace klamm::server::test
