#include "sim/run/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/table.h"
#include "core/server/broker.h"
#include "core/workload/consumer_node.h"
#include "core/workload/member_node.h"
#include "sim/judge/groups.h"

namespace klamm::sim {

namespace {

constexpr std::uint16_t broker_port = 9092;
constexpr std::uint16_t controller_port = 9093;
constexpr std::int32_t controller_id = 3000;  // of a quorum from the next on
constexpr std::int32_t client_ids = 100;      // in the judge's eyes clients are numbered from here
constexpr std::uint32_t probe_client = 90;
constexpr std::uint32_t final_client = 91;

std::string broker_name(std::uint32_t index) { return "broker-" + std::to_string(index + 1); }

WorldOptions world_options(const RunPlan& plan) {
    WorldOptions options;
    options.seed = plan.seed;
    options.network = plan.cluster.network;
    options.explore = plan.cluster.explore;
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

/// __consumer_offsets, as durable as the plan's topic. It is not compacted: what compaction takes
/// away the judge's books do not know of, and recovery of a compacted log takes what a loss of
/// power took from the middle of it for cleaned (tests/known_red.md).
server::TopicPlan offsets_plan(const server::TopicPlan& topic, const ClusterPlan& plan) {
    server::TopicPlan offsets;
    offsets.name = offsets_topic_name;
    offsets.id = offsets_topic;
    offsets.configs["retention.ms"] = "-1";
    offsets.configs["retention.bytes"] = "-1";
    for (const char* name :
         {"min.insync.replicas", "unclean.leader.election.enable", "flush.messages", "flush.ms"})
        if (const auto at = topic.configs.find(name); at != topic.configs.end())
            offsets.configs.insert(*at);
    for (std::uint32_t p = 0; p < plan.offsets_partitions; ++p)
        offsets.assignments.push_back(topic.assignments[p % topic.assignments.size()]);
    return offsets;
}

std::vector<server::QuorumVoter> voters_of(const RunPlan& plan) {
    std::vector<server::QuorumVoter> voters;
    for (std::uint32_t i = 1; i <= plan.cluster.controllers; ++i)
        voters.push_back({BrokerId(controller_id + static_cast<std::int32_t>(i)),
                          {target_name(first_controller + i - 1), controller_port}});
    return voters;
}

TopicPartition partition_about(const FaultEvent& fault, std::uint32_t partitions) {
    return {trial_topic, PartitionIndex(static_cast<std::int32_t>(fault.draw % partitions))};
}

/// What an administrator does; the metadata node starts with the world.
std::vector<server::ScriptStep> script_of(const RunPlan& plan) {
    std::vector<server::ScriptStep> script;
    for (const FaultEvent& fault : plan.faults)
        if (fault.kind == FaultKind::move_leader || fault.kind == FaultKind::elect_unclean)
            script.push_back({fault.at - Instant{}, Cluster::command_of(fault, plan)});
    return script;
}

}  // namespace

server::AdminCommand Cluster::command_of(const FaultEvent& fault, const RunPlan& plan) {
    const TopicPartition partition = partition_about(fault, plan.cluster.partitions);
    if (fault.kind == FaultKind::move_leader) {
        const auto to = static_cast<std::int32_t>(fault.targets.front() + 1);
        return server::MoveLeader{partition, BrokerId(to)};
    }
    // Nobody waits beyond the storm.
    const Duration patience = std::min(fault.duration, plan.safety - (fault.at - Instant{}));
    return server::ElectUnclean{partition, patience};
}

Cluster::Cluster(const RunPlan& plan, Slip slip)
    : world_(world_options(plan)),
      topic_(plan.cluster.topic_name),
      partitions_(plan.cluster.partitions),
      shards_(plan.cluster.shards),
      racks_(plan.cluster.racks),
      offsets_partitions_(plan.cluster.offsets_partitions) {
    add_controllers(plan);
    for (std::uint32_t i = 0; i < plan.cluster.shards.size(); ++i) add_broker(plan, i);
    for (std::uint32_t i = 0; i < brokers_.size(); ++i) targets_.push_back(i);
    for (std::uint32_t i = 0; i < plan.cluster.controllers; ++i)
        targets_.push_back(first_controller + i);
    add_clients(plan, slip);
    for (std::uint32_t i = 0; i < members_.size(); ++i) targets_.push_back(first_member + i);
    if (plan.options.plant.has_value()) world_.plants().plant(*plan.options.plant);
}

NodeId Cluster::add(NodeSpec spec, BrokerId id) {
    const NodeId node = world_.add_node(std::move(spec));
    KLAMM_ASSERT(node.value == ids_.size());
    ids_.push_back(id);
    return node;
}

void Cluster::add_controllers(const RunPlan& plan) {
    server::MetadataSettings settings;
    settings.listen = {"controller", controller_port};
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
    if (plan.cluster.offsets_partitions > 0)
        settings.topics.push_back(offsets_plan(topic, plan.cluster));
    settings.topics.push_back(std::move(topic));
    quorum_ = plan.cluster.controllers > 0;
    NodeSpec spec;
    if (!quorum_) {
        settings.script = script_of(plan);
        spec.name = "controller";
        spec.factory = server::metadata_factory(std::move(settings));
        controllers_.push_back(add(std::move(spec), BrokerId(controller_id)));
        return;
    }
    settings.voters = voters_of(plan);
    settings.quorum.election_timeout = plan.cluster.quorum_election_timeout;
    settings.quorum.election_backoff_max = plan.cluster.quorum_election_timeout;
    settings.quorum.fetch_timeout = plan.cluster.quorum_fetch_timeout;
    settings.quorum.request_timeout = plan.cluster.quorum_fetch_timeout;
    settings.quorum.fetch_wait_max = plan.cluster.quorum_fetch_timeout / 4;
    settings.quorum.snapshot_piece_bytes = 1'000;
    settings.log = {plan.cluster.quorum_segment_bytes, plan.cluster.quorum_retention_bytes};
    settings.snapshot_bytes = plan.cluster.quorum_snapshot_bytes;
    settings.snapshot_slice_records = plan.cluster.quorum_slice_records;
    spec.disk = plan.cluster.disk;
    spec.cpu = plan.cluster.cpu;
    for (std::size_t i = 0; i < settings.voters.size(); ++i) {
        settings.node = settings.voters[i].id;
        settings.listen = settings.voters[i].at;
        spec.name = settings.listen.host;
        spec.factory = server::metadata_factory(settings);
        if (i < plan.cluster.controller_clocks.size())
            spec.clock = plan.cluster.controller_clocks[i];
        controllers_.push_back(add(spec, settings.node));
    }
}

void Cluster::add_broker(const RunPlan& plan, std::uint32_t index) {
    server::BrokerSettings settings;
    settings.options = plan.cluster.broker;
    settings.options.auto_create_topics_enable = false;  // the plan says which topics there are
    settings.options.node_id = static_cast<std::int32_t>(index + 1);
    settings.options.shards = static_cast<std::int32_t>(shards_[index]);
    if (index < racks_.size()) settings.options.broker_rack = fmt::format("rack-{}", racks_[index]);
    settings.listen = {broker_name(index), broker_port};
    settings.advertised = settings.listen;
    settings.controller = {"controller", controller_port};
    settings.controllers = voters_of(plan);
    settings.cluster = "trial";
    settings.log_dirs.clear();
    for (env::ShardIndex shard = 0; shard < shards_[index]; ++shard)
        settings.log_dirs.push_back("data-" + std::to_string(shard));
    settings.tail_cache_bytes = plan.cluster.tail_cache_bytes;
    NodeSpec spec;
    spec.name = broker_name(index);
    settings_.push_back(std::make_shared<server::BrokerSettings>(std::move(settings)));
    spec.factory = [kept = settings_.back()](env::ShardIndex shard, env::ShardIndex shards) {
        return server::broker_factory(*kept)(shard, shards);
    };
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
    for (const workload::MemberWorkload& member : plan.workload.members) {
        members_.push_back(add_own("member-" + std::to_string(members_.size() + 1), member.client,
                                   workload::member_factory(member)));
        member_groups_.push_back(member.options.group_id);
        clients_.push_back(members_.back());
    }

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
    for (const NodeId controller : controllers_) world_.start(controller);
    for (const NodeId broker : brokers_) world_.start(broker);
    for (const NodeId client : clients_)
        if (std::find(members_.begin(), members_.end(), client) == members_.end())
            world_.start(client);
}

bool Cluster::administer(server::AdminCommand command) {
    if (!has_active_controller()) return false;
    world_.post(controller(), std::make_unique<server::Administration>(std::move(command)));
    return true;
}

const server::MetadataNode* Cluster::controller_at(NodeId node) {
    return static_cast<const server::MetadataNode*>(world_.shard_object(node));
}

const server::MetadataNode* Cluster::active_controller() {
    const server::MetadataNode* newest = nullptr;
    for (const NodeId node : controllers_) {
        const server::MetadataNode* one = controller_at(node);
        if (one == nullptr || !one->active()) continue;
        if (newest == nullptr || one->quorum()->raft()->epoch() > newest->quorum()->raft()->epoch())
            newest = one;
    }
    return newest;
}

NodeId Cluster::controller() {
    const server::MetadataNode* active = quorum_ ? active_controller() : nullptr;
    for (const NodeId node : controllers_)
        if (active != nullptr && controller_at(node) == active) return node;
    return controllers_.front();
}

std::vector<BrokerId> Cluster::voters() const {
    std::vector<BrokerId> ids;
    if (quorum_)
        for (const NodeId node : controllers_) ids.push_back(id_of(node));
    return ids;
}

std::string Cluster::quorum_ailment() {
    if (!quorum_) return {};
    const server::MetadataNode* active = active_controller();
    if (active == nullptr) return "no controller is active";
    const Offset end = active->quorum()->log().end();
    for (const NodeId node : controllers_) {
        const server::MetadataNode* one = controller_at(node);
        if (one == nullptr) continue;  // it is down
        const raft::Raft* raft = one->quorum() == nullptr ? nullptr : one->quorum()->raft();
        if (raft == nullptr || raft->high_watermark() != end || one->quorum()->log().end() != end)
            return world_.name(node) + " has not all metadata that is there";
    }
    return {};
}

std::int32_t Cluster::target_of(NodeId node) const {
    const auto found = std::find_if(targets_.begin(), targets_.end(),
                                    [&](std::uint32_t target) { return node_of(target) == node; });
    return found == targets_.end() ? -1 : static_cast<std::int32_t>(*found);
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

std::vector<TopicPartition> Cluster::offsets_partitions() const {
    std::vector<TopicPartition> all;
    for (std::uint32_t p = 0; p < offsets_partitions_; ++p)
        all.push_back({offsets_topic, PartitionIndex(static_cast<std::int32_t>(p))});
    return all;
}

std::string Cluster::groups_ailment(Instant since) {
    using Phase = client::GroupConsumer::Phase;
    std::map<std::string, std::int32_t> generations;
    std::map<std::string, std::set<client::TopicAndIndex>> owned;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const auto* node =
            static_cast<const workload::MemberNode*>(world_.shard_object(members_[i]));
        const std::string& name = world_.name(members_[i]);
        if (node == nullptr) return name + " is down";
        const client::GroupConsumer& member = node->member();
        if (member.phase() == Phase::over) return name + " has given up its group";
        if (member.phase() != Phase::stable) return name + " is in no generation";
        const auto [at, fresh] = generations.emplace(member_groups_[i], member.generation());
        if (at->second != member.generation()) return name + " is in another generation";
        for (const client::TopicAndIndex& part : member.owned())
            if (!owned[member_groups_[i]].insert(part).second)
                return name + " owns what another owns";
        if (!member.owned().empty() && node->committed_at() < since)
            return name + " has had no commit acknowledged";
    }
    for (const auto& [group, parts] : owned)
        if (parts.size() != partitions_) return "nobody owns a part of what " + group + " reads";
    return {};
}

std::vector<std::size_t> Cluster::rack(std::uint32_t number) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < racks_.size(); ++i)
        if (racks_[i] == number) found.push_back(i);
    return found;
}

std::int32_t Cluster::broker_index(NodeId node) const {
    const auto found = std::find(brokers_.begin(), brokers_.end(), node);
    return found == brokers_.end() ? -1 : static_cast<std::int32_t>(found - brokers_.begin());
}

const metadata::PartitionImage* Cluster::partition(const TopicPartition& which) {
    const server::MetadataNode* node =
        quorum_ ? active_controller() : controller_at(controllers_.front());
    if (node != nullptr) return node->image().partition(which);
    for (const NodeId id : controllers_) {  // nobody decides: what was known last
        const server::MetadataNode* one = controller_at(id);
        if (one == nullptr) continue;
        if (node == nullptr || one->image().offset() > node->image().offset()) node = one;
    }
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
