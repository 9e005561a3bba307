#pragma once
// Whether a fact is the moment that somebody waits for, and who is meant by a role just then.

#include <map>
#include <string>
#include <vector>

#include "core/base/facts.h"
#include "sim/run/cluster.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

/// Who is who at this moment of a run.
class Cast {
  public:
    explicit Cast(Cluster& cluster) : cluster_(cluster) {}

    void name(const std::string& name, NodeId node) { names_[name] = node; }
    /// The nodes meant; one that is drawn by `key` where a role fits several. Empty: nobody does.
    [[nodiscard]] std::vector<NodeId> find(const Who& who, std::uint64_t key);
    /// Whether the node is one of them; of a role that fits several, any of them.
    [[nodiscard]] bool is(NodeId node, const Who& who);
    [[nodiscard]] bool is(BrokerId broker, const Who& who);
    [[nodiscard]] NodeId node_of(BrokerId broker) const;

  private:
    [[nodiscard]] std::vector<NodeId> all(const Who& who);

    Cluster& cluster_;
    std::map<std::string, NodeId> names_;
};

/// `as` is an index of fact_words; a fact may be several of them (fenced, unfenced).
[[nodiscard]] bool is_moment(const Moment& moment, NodeId node, const facts::Fact& fact,
                             Cast& cast);
/// The same of what the world itself tells: "started", "ended".
[[nodiscard]] bool is_moment(const Moment& moment, NodeId node, std::string_view word, Cast& cast);

}  // namespace klamm::sim
