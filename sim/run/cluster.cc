#include "sim/run/cluster.h"

#include <algorithm>

#include "core/config/table.h"
#include "core/server/broker.h"
#include "core/workload/consumer_node.h"

namespace klamm::sim {

namespace {

constexpr std::uint16_t broker_port = 9092;
constexpr std::int32_t controller_id = 3000;
constexpr std::int32_t client_ids = 100;  // in the judge's eyes clients are numbered from here
constexpr std::uint32_t probe_client = 90;
constexpr std::uint32_t final_client = 91;

std::string broker_name(std::uint32_t index) { return "broker-" + std::to_string(index + 1); }

WorldOptions world_options(const RunPlan& plan) {
    WorldOptions options;
    options.seed = plan.seed;
    options.network = plan.cluster.network;
    return options;
}

/// The topic's options that differ from the default, as CreateTopics would carry them.
std::map<std::string, std::string> topic_configs(config::TopicOptions topic) {
    std::map<std::string, std::string> configs;
    const config::Owners owners{.topic = &topic};
    for (const config::Row& row : config::table()) {
        if (row.scope != config::Scope::topic) continue;
        const std::string text = config::print_value(row, row.load(owners));
        if (text != row.default_text) configs[std::string(row.name)] = text;
    }
    return configs;
}

TopicPartition partition_about(const FaultEvent& fault, std::uint32_t partitions) {
    return {trial_topic, PartitionIndex(static_cast<std::int32_t>(fault.draw % partitions))};
}

/// What an administrator does; the metadata node starts with the world.
std::vector<server::ScriptStep> script_of(const RunPlan& plan) {
    std::vector<server::ScriptStep> script;
    for (const FaultEvent& fault : plan.faults) {
        const TopicPartition partition = partition_about(fault, plan.cluster.partitions);
        const Duration at = fault.at - Instant{};
        // Nobody waits beyond the storm.
        const Duration patience = std::min(fault.duration, plan.safety - at);
        server::ScriptStep step{at, server::ElectUnclean{partition, patience}};
        if (fault.kind == FaultKind::move_leader) {
            const auto to = static_cast<std::int32_t>(fault.targets.front() + 1);
            step.command = server::MoveLeader{partition, BrokerId(to)};
        }
        if (fault.kind == FaultKind::move_leader || fault.kind == FaultKind::elect_unclean)
            script.push_back(step);
    }
    return script;
}

}  // namespace

Cluster::Cluster(const RunPlan& plan, Slip slip)
    : world_(world_options(plan)),
      topic_(plan.cluster.topic_name),
      partitions_(plan.cluster.partitions),
      shards_(plan.cluster.shards) {
    add_controller(plan);
    for (std::uint32_t i = 0; i < plan.cluster.shards.size(); ++i) add_broker(plan, i);
    add_clients(plan, slip);
    if (plan.options.plant.has_value()) world_.plants().plant(*plan.options.plant);
}

NodeId Cluster::add(NodeSpec spec, BrokerId id) {
    const NodeId node = world_.add_node(std::move(spec));
    KLAMM_ASSERT(node.value == ids_.size());
    ids_.push_back(id);
    return node;
}

void Cluster::add_controller(const RunPlan& plan) {
    server::MetadataSettings settings;
    settings.listen = {"controller", 9093};
    settings.cluster = "trial";
    settings.session_timeout = milliseconds(plan.cluster.broker.broker_session_timeout_ms);
    settings.unclean_check_interval = plan.cluster.unclean_check_interval;
    settings.eligible_leader_replicas = plan.cluster.eligible_leader_replicas;
    server::TopicPlan topic;
    topic.name = topic_;
    topic.id = trial_topic;
    topic.configs = topic_configs(plan.cluster.topic);
    const std::size_t brokers = plan.cluster.shards.size();
    const std::size_t replicas_each =
        plan.cluster.replication == 0 ? brokers : plan.cluster.replication;
    for (std::uint32_t p = 0; p < partitions_; ++p) {
        metadata::BrokerIds replicas;
        for (std::size_t i = 0; i < replicas_each; ++i)
            replicas.push_back(BrokerId(static_cast<std::int32_t>((p + i) % brokers) + 1));
        topic.assignments.push_back(std::move(replicas));
    }
    settings.topics.push_back(std::move(topic));
    settings.script = script_of(plan);
    NodeSpec spec;
    spec.name = "controller";
    spec.factory = server::metadata_factory(std::move(settings));
    controller_ = add(std::move(spec), BrokerId(controller_id));
}

void Cluster::add_broker(const RunPlan& plan, std::uint32_t index) {
    server::BrokerSettings settings;
    settings.options = plan.cluster.broker;
    settings.options.auto_create_topics_enable = false;  // the plan says which topics there are
    settings.options.node_id = static_cast<std::int32_t>(index + 1);
    settings.options.shards = static_cast<std::int32_t>(shards_[index]);
    settings.listen = {broker_name(index), broker_port};
    settings.advertised = settings.listen;
    settings.controller = {"controller", 9093};
    settings.cluster = "trial";
    settings.log_dirs.clear();
    for (env::ShardIndex shard = 0; shard < shards_[index]; ++shard)
        settings.log_dirs.push_back("data-" + std::to_string(shard));
    settings.tail_cache_bytes = plan.cluster.tail_cache_bytes;
    NodeSpec spec;
    spec.name = broker_name(index);
    spec.factory = server::broker_factory(std::move(settings));
    spec.shards = shards_[index];
    spec.clock = plan.cluster.clocks[index];
    spec.disk = plan.cluster.disk;
    spec.cpu = plan.cluster.cpu;
    brokers_.push_back(add(std::move(spec), BrokerId(static_cast<std::int32_t>(index + 1))));
}

void Cluster::add_clients(const RunPlan& plan, Slip slip) {
    for (workload::ProducerWorkload producer : plan.workload.producers) {
        if (slips(slip, Slip::producers_never_retry)) producer.options.retries = 0;
        producers_.push_back(add_own("producer-" + std::to_string(producer.client), producer.client,
                                     workload::producer_factory(producer)));
        clients_.push_back(producers_.back());
    }
    for (const workload::ConsumerWorkload& consumer : plan.workload.consumers)
        clients_.push_back(add_own("consumer-" + std::to_string(consumer.client), consumer.client,
                                   workload::consumer_factory(consumer)));

    // Fresh clients of the end: what they are told to do is mild.
    std::vector<std::string> servers;
    for (std::uint32_t i = 0; i < brokers_.size(); ++i)
        servers.push_back(broker_name(i) + ":" + std::to_string(broker_port));
    workload::ProbeWorkload probe;
    probe.topic = topic_;
    probe.client = probe_client;
    probe.partitions = static_cast<std::int32_t>(partitions_);
    probe.options.client.bootstrap_servers = servers;
    probe.options.client.request_timeout_ms = 1'000;
    probe.options.client.metadata_max_age_ms = 1'000;
    probe.options.delivery_timeout_ms = 5'000;
    probe.bound = plan.liveness_bound;
    probe_ = add_own("probe", probe_client, workload::probe_factory(probe));

    workload::FinalReaderWorkload reader;
    reader.topic = topic_;
    reader.client = final_client;
    reader.partitions = static_cast<std::int32_t>(partitions_);
    reader.options.client.bootstrap_servers = servers;
    reader.options.client.metadata_max_age_ms = 1'000;
    reader.options.fetch_max_wait_ms = 100;
    reader.options.auto_offset_reset = config::OffsetReset::earliest;
    final_reader_ = add_own("final-reader", final_client, workload::final_reader_factory(reader));
}

NodeId Cluster::add_own(std::string name, std::uint32_t client, env::NodeFactory factory) {
    NodeSpec spec;
    spec.name = std::move(name);
    spec.factory = std::move(factory);
    return add(std::move(spec), BrokerId(client_ids + static_cast<std::int32_t>(client)));
}

NodeId Cluster::add_client(std::string name, std::uint32_t client, env::NodeFactory factory) {
    clients_.push_back(add_own(std::move(name), client, std::move(factory)));
    return clients_.back();
}

void Cluster::start() {
    world_.start(controller_);
    for (const NodeId broker : brokers_) world_.start(broker);
    for (const NodeId client : clients_) world_.start(client);
}

void Cluster::administer(server::AdminCommand command) {
    world_.post(controller_, std::make_unique<server::Administration>(std::move(command)));
}

TopicPartition Cluster::partition_of(const FaultEvent& fault) const {
    return partition_about(fault, partitions_);
}

std::vector<TopicPartition> Cluster::partitions() const {
    std::vector<TopicPartition> all;
    for (std::uint32_t p = 0; p < partitions_; ++p)
        all.push_back({trial_topic, PartitionIndex(static_cast<std::int32_t>(p))});
    return all;
}

std::int32_t Cluster::broker_index(NodeId node) const {
    const auto found = std::find(brokers_.begin(), brokers_.end(), node);
    return found == brokers_.end() ? -1 : static_cast<std::int32_t>(found - brokers_.begin());
}

const metadata::PartitionImage* Cluster::partition(const TopicPartition& which) {
    const auto* node = static_cast<const server::MetadataNode*>(world_.shard_object(controller_));
    return node == nullptr ? nullptr : node->image().partition(which);
}

std::optional<Cluster::Ends> Cluster::ends(std::size_t broker, const TopicPartition& which) {
    for (env::ShardIndex shard = 0; shard < shards_[broker]; ++shard) {
        const auto* node =
            static_cast<const server::Broker*>(world_.shard_object(brokers_[broker], shard));
        if (node == nullptr) return std::nullopt;
        const auto found = node->hosts().find(which);
        if (found == node->hosts().end() || !found->second->settled()) continue;
        return Ends{found->second->log().log_end(), found->second->high_watermark()};
    }
    return std::nullopt;
}

bool Cluster::producers_done() {
    return std::all_of(producers_.begin(), producers_.end(), [this](NodeId node) {
        const auto* producer =
            static_cast<const workload::ProducerNode*>(world_.shard_object(node));
        return producer == nullptr || producer->done();
    });
}

bool Cluster::probe_done() {
    const auto* node = static_cast<const workload::ProbeNode*>(world_.shard_object(probe_));
    return node != nullptr && node->done();
}

bool Cluster::final_reader_done() {
    const auto* node =
        static_cast<const workload::FinalReaderNode*>(world_.shard_object(final_reader_));
    return node != nullptr && node->done();
}

}  // namespace klamm::sim
