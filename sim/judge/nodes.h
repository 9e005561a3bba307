#pragma once
// Lists of nodes as metadata has them (ISR, ELR, replicas): whether one is in, and how they print.
// A list is short and keeps Kafka's order, which is the order of preference at an election.

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/ids.h"

namespace klamm::sim {

using Nodes = std::vector<BrokerId>;

/// Whether `node` is one of `nodes`.
inline bool contains(const Nodes& nodes, BrokerId node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

/// The nodes as {1,2,3}, in their order.
inline std::string text(const Nodes& nodes) {
    std::string out = "{";
    for (const BrokerId node : nodes) {
        if (out.size() > 1) out += ',';
        out += std::to_string(node.value);
    }
    return out + "}";
}

}  // namespace klamm::sim
