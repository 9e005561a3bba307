#pragma once
// What is wrong with the cluster for a while: cuts, pauses, slow links, disks. Conditions overlap:
// each is counted, and ends when the last that caused it ends.

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sim/run/cluster.h"
#include "sim/run/plan.h"

namespace klamm::sim {

class Conditions {
  public:
    Conditions(Cluster& cluster, const ClusterPlan& plan);

    void cut(NodeId from, NodeId to);
    void mend(NodeId from, NodeId to);
    void pause(std::size_t broker);
    void resume(std::size_t broker);
    void stall_disk(std::size_t broker);
    void release_disk(std::size_t broker);
    /// A fault that changes the disk's options, its links' speed, or its drift; by id.
    void add(const FaultEvent& fault);
    void remove(const FaultEvent& fault);
    /// Ends them all, and makes every link a fast one.
    void clear();
    /// After clear(): links are the plan's again.
    void restore();

  private:
    void apply_disk(std::size_t broker);
    void apply_links(std::size_t broker);
    void apply_drift(std::size_t broker);
    void apply_refusals(std::size_t broker);
    [[nodiscard]] std::int64_t drift_of(std::size_t target) const;
    void apply(const FaultEvent& fault);
    [[nodiscard]] NodeId node(std::size_t target) const { return cluster_.node_of(target); }
    [[nodiscard]] World& world() { return cluster_.world(); }

    struct Broker {
        std::uint32_t paused = 0;
        std::uint32_t stalled = 0;
        std::map<FaultId, FaultEvent> faults;
        std::map<FaultId, std::uint64_t> capacity;  // of disk_full
    };

    Cluster& cluster_;
    const ClusterPlan& plan_;
    std::map<std::pair<NodeId, NodeId>, std::uint32_t> cuts_;
    std::map<std::size_t, Broker> brokers_;  // and controllers of a quorum, by target
};

}  // namespace klamm::sim
