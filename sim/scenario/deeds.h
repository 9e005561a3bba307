#pragma once
// Does what steps say: resolves whom, makes faults of it and lets the run's storm strike with them,
// and takes back what lasts until it is taken back.

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/run/director.h"
#include "sim/run/storm.h"
#include "sim/scenario/matching.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

class Deeds {
  public:
    Deeds(const Stage& stage, Cast& cast)
        : cluster_(stage.cluster), storm_(stage.storm), listener_(stage.listener), cast_(cast) {}

    /// `key` names the deed in draws. Line 0: it may hit nobody.
    void act(const Deed& deed, std::uint64_t key, std::size_t line);
    /// What the healing of the storm does not know of.
    void heal();

    /// Deeds that hit nobody, one sentence each.
    [[nodiscard]] const std::vector<std::string>& misses() const { return misses_; }

  private:
    using Pairs = Storm::Pairs;

    void process(const Deed& deed, const std::vector<NodeId>& nodes, std::size_t line);
    void strike(FaultKind kind, NodeId node, const Deed& deed, std::size_t line);
    void power(const Deed& deed, const std::vector<NodeId>& nodes, std::size_t line);
    void take_back(NodeId node, bool pauses, std::size_t line);
    void links(const Deed& deed, std::uint64_t key, std::size_t line);
    void request(const Deed& deed, std::uint64_t key, std::size_t line);
    void mend(const Pairs& pairs);
    void swizzle(const Deed& deed, std::uint64_t key, std::size_t line);
    void stall_each(const Deed& deed, std::uint64_t key, std::size_t line);
    void reuse(const Deed& deed, std::uint64_t key, std::size_t line);
    void last_copy(const Deed& deed, std::uint64_t key, std::size_t line);
    void change(const Deed& deed, NodeId node);
    [[nodiscard]] std::uint64_t taken(Site site);
    void administer(const Deed& deed, std::uint64_t key, std::size_t line);
    void condition(const Deed& deed, NodeId node, std::uint64_t key, std::size_t line);
    void medium(const Deed& deed, std::size_t broker, std::uint64_t key, std::size_t line);
    FaultEvent& make(FaultKind kind, std::vector<std::uint32_t> targets, const Deed& deed);
    [[nodiscard]] std::vector<NodeId> resolve(const Whos& whos, std::uint64_t key,
                                              std::size_t line);
    void miss(std::size_t line, const std::string& what);
    [[nodiscard]] World& world() { return cluster_.world(); }

    Cluster& cluster_;
    Storm& storm_;
    Listener& listener_;
    Cast& cast_;
    std::deque<FaultEvent> faults_;  // the storm refers to them
    std::map<FaultKind, std::uint32_t> made_;
    std::multiset<std::pair<NodeId, NodeId>> cuts_;
    std::map<std::size_t, std::vector<const FaultEvent*>> lasting_;  // by broker: pauses, disks
    std::map<std::size_t, FaultEvent*> remembered_;                  // rollbacks, by broker
    std::map<std::size_t, std::size_t> unmet_;                       // rules, by line: how many
    std::map<std::size_t, std::pair<Site, std::uint64_t>> sites_;    // by line: taken before
    std::set<NodeId> paused_;                                        // no brokers
    std::vector<std::string> misses_;
    std::uint64_t healings_ = 0;
};

}  // namespace klamm::sim
