#pragma once
// The nodes of a run in one world: metadata node or a quorum of controllers, brokers, clients, and
// for the end the probe and the final reader. Who is who, between the world, the judge and the
// report.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/slips.h"
#include "core/server/context.h"
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

    /// All but members of groups: whoever coordinates them would make the topic of offsets anew
    /// if it was not there yet.
    void start();

    /// A client beside those of the plan, for as long as the run lasts; it does not start by
    /// itself. `client` names it in draws and values and is nobody else's.
    NodeId add_client(std::string name, std::uint32_t client, env::NodeFactory factory);

    /// Has the metadata node, or the active controller, do what an administrator asks, at once.
    /// False when no controller is active.
    bool administer(server::AdminCommand command);
    /// What an administrator asks to bring a fault of the plan about.
    [[nodiscard]] static server::AdminCommand command_of(const FaultEvent& fault,
                                                         const RunPlan& plan);

    /// Changes what a broker is configured with, from its next start on.
    void configure(std::size_t broker, const std::function<void(server::BrokerSettings&)>& change) {
        change(*settings_[broker]);
    }
    /// Brokers of a rack, by index.
    [[nodiscard]] std::vector<std::size_t> rack(std::uint32_t number) const;

    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] const World& world() const { return world_; }
    /// The metadata node; of a quorum the active controller, or when there is none the first.
    [[nodiscard]] NodeId controller();
    /// The metadata node, or all of the quorum.
    [[nodiscard]] const std::vector<NodeId>& controllers() const { return controllers_; }
    [[nodiscard]] bool has_quorum() const { return quorum_; }
    /// The metadata node decides, or some controller of the quorum.
    [[nodiscard]] bool has_active_controller() {
        return !quorum_ || active_controller() != nullptr;
    }
    /// Their ids in facts; none without a quorum.
    [[nodiscard]] std::vector<BrokerId> voters() const;
    /// What a quorum that runs has still to come to agree on; empty when nothing.
    [[nodiscard]] std::string quorum_ailment();
    [[nodiscard]] const std::vector<NodeId>& brokers() const { return brokers_; }
    [[nodiscard]] const std::vector<NodeId>& producers() const { return producers_; }
    /// Of consumer groups, in the plan's order.
    [[nodiscard]] const std::vector<NodeId>& members() const { return members_; }
    /// Producers, consumers, members of groups.
    [[nodiscard]] const std::vector<NodeId>& clients() const { return clients_; }
    [[nodiscard]] NodeId probe() const { return probe_; }
    [[nodiscard]] NodeId final_reader() const { return final_reader_; }
    [[nodiscard]] const std::string& topic() const { return topic_; }
    [[nodiscard]] std::vector<TopicPartition> partitions() const;
    /// Of __consumer_offsets.
    [[nodiscard]] std::vector<TopicPartition> offsets_partitions() const;
    /// What groups have still to come to: all members in a generation that owns everything and has
    /// committed since. Empty when nothing.
    [[nodiscard]] std::string groups_ailment(Instant since);
    /// The one that an administrator's fault is about.
    [[nodiscard]] TopicPartition partition_of(const FaultEvent& fault) const;

    /// The node's id as facts and the judge know it: node.id of a broker, a client's number.
    [[nodiscard]] BrokerId id_of(NodeId node) const { return ids_[node.value]; }
    /// Index of a broker in the plan; -1 for any other node.
    [[nodiscard]] std::int32_t broker_index(NodeId node) const;

    /// Whom faults are aimed at: brokers by index, controllers of a quorum from first_controller
    /// on, members of groups from first_member on.
    [[nodiscard]] const std::vector<std::uint32_t>& targets() const { return targets_; }
    [[nodiscard]] NodeId node_of(std::size_t target) const {
        if (target >= first_member) return members_[target - first_member];
        return target < first_controller ? brokers_[target]
                                         : controllers_[target - first_controller];
    }
    /// -1 for a node that no fault is aimed at.
    [[nodiscard]] std::int32_t target_of(NodeId node) const;

    /// The view of the metadata node, or of the controller that is active or was last; nullptr when
    /// there is none yet.
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
    void add_controllers(const RunPlan& plan);
    [[nodiscard]] const server::MetadataNode* controller_at(NodeId node);
    /// Of a quorum, the newest that has been elected; nullptr when there is none.
    [[nodiscard]] const server::MetadataNode* active_controller();
    void add_broker(const RunPlan& plan, std::uint32_t index);
    void add_clients(const RunPlan& plan, Slip slip);
    NodeId add_own(std::string name, std::uint32_t client, env::NodeFactory factory);
    NodeId add(NodeSpec spec, BrokerId id);

    World world_;
    std::string topic_;
    std::uint32_t partitions_;
    std::vector<env::ShardIndex> shards_;
    bool quorum_ = false;
    std::vector<NodeId> controllers_;
    std::vector<std::uint32_t> targets_;
    std::vector<NodeId> brokers_;
    std::vector<std::shared_ptr<server::BrokerSettings>> settings_;  // as brokers next start
    std::vector<std::uint32_t> racks_;
    std::vector<NodeId> producers_;
    std::vector<NodeId> members_;
    std::vector<std::string> member_groups_;  // of each
    std::uint32_t offsets_partitions_ = 0;
    std::vector<NodeId> clients_;  // producers, consumers, members
    NodeId probe_ = no_node;
    NodeId final_reader_ = no_node;
    std::vector<BrokerId> ids_;  // by node
};

}  // namespace klamm::sim
