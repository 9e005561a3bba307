#pragma once
// The nodes of a run in one world: metadata node, brokers, clients, and for the end the probe and
// the final reader. Who is who, between the world, the judge and the report.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/slips.h"
#include "core/server/metadata_node.h"
#include "core/workload/final_reader_node.h"
#include "core/workload/probe_node.h"
#include "core/workload/producer_node.h"
#include "sim/run/plan.h"
#include "sim/world/world.h"

namespace klamm::sim {

/// The id of the one topic, `trial` unless the plan calls it otherwise; the same in every run.
inline const Uuid trial_topic =
    uuid_from_halves(0x7472'6961'6c00'4000ULL, 0x8000'0000'0000'0001ULL);

class Cluster {
  public:
    explicit Cluster(const RunPlan& plan, Slip slip = Slip::none);

    void start();

    /// A client beside those of the plan, for as long as the run lasts; it does not start by
    /// itself. `client` names it in draws and values and is nobody else's.
    NodeId add_client(std::string name, std::uint32_t client, env::NodeFactory factory);

    /// Has the metadata node do what an administrator asks, at once.
    void administer(server::AdminCommand command);

    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] const World& world() const { return world_; }
    [[nodiscard]] NodeId controller() const { return controller_; }
    [[nodiscard]] const std::vector<NodeId>& brokers() const { return brokers_; }
    [[nodiscard]] const std::vector<NodeId>& producers() const { return producers_; }
    /// Producers, then consumers.
    [[nodiscard]] const std::vector<NodeId>& clients() const { return clients_; }
    [[nodiscard]] NodeId probe() const { return probe_; }
    [[nodiscard]] NodeId final_reader() const { return final_reader_; }
    [[nodiscard]] const std::string& topic() const { return topic_; }
    [[nodiscard]] std::vector<TopicPartition> partitions() const;
    /// The one that an administrator's fault is about.
    [[nodiscard]] TopicPartition partition_of(const FaultEvent& fault) const;

    /// The node's id as facts and the judge know it: node.id of a broker, a client's number.
    [[nodiscard]] BrokerId id_of(NodeId node) const { return ids_[node.value]; }
    /// Index of a broker in the plan; -1 for any other node.
    [[nodiscard]] std::int32_t broker_index(NodeId node) const;

    /// The metadata node's view; nullptr when there is none yet.
    [[nodiscard]] const metadata::PartitionImage* partition(const TopicPartition& which);
    /// Log end and high watermark at a broker, if it has the partition's log open.
    struct Ends {
        Offset log_end;
        Offset high_watermark;
    };
    [[nodiscard]] std::optional<Ends> ends(std::size_t broker, const TopicPartition& which);
    /// Every producer has got all its answers.
    [[nodiscard]] bool producers_done();
    [[nodiscard]] bool probe_done();
    [[nodiscard]] bool final_reader_done();

  private:
    void add_controller(const RunPlan& plan);
    void add_broker(const RunPlan& plan, std::uint32_t index);
    void add_clients(const RunPlan& plan, Slip slip);
    NodeId add_own(std::string name, std::uint32_t client, env::NodeFactory factory);
    NodeId add(NodeSpec spec, BrokerId id);

    World world_;
    std::string topic_;
    std::uint32_t partitions_;
    std::vector<env::ShardIndex> shards_;
    NodeId controller_ = no_node;
    std::vector<NodeId> brokers_;
    std::vector<NodeId> producers_;
    std::vector<NodeId> clients_;  // producers and consumers
    NodeId probe_ = no_node;
    NodeId final_reader_ = no_node;
    std::vector<BrokerId> ids_;  // by node
};

}  // namespace klamm::sim
