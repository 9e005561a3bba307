#pragma once
// Dependencies between transactions, and the cycles among them (internal to checkers/). Knows no
// lists and no logs: nodes, and edges that say why one comes before another. Shapes are those of
// Adya (Weak Consistency, 1999) with the names of jepsen-io/elle.
//
// Exact, with no limit of time: an edge is a witness of a shape when the rest of a cycle exists
// that the shape allows, which components and reachability decide. What no weaker order
// explains (none, then process, then real time) is told of the order that it takes.
//
// Near-linear while there are no cycles: one pass over nodes and edges. Otherwise the passes are
// over what lies on cycles only.

#include <cstdint>
#include <vector>

namespace klamm::checkers {

/// Why one comes before another; bits.
enum DependencyType : std::uint8_t {
    type_ww = 1,         // wrote the version before the other's
    type_wr = 2,         // wrote what the other read
    type_rw = 4,         // read what the other overwrote
    type_process = 8,    // came before it in its process
    type_realtime = 16,  // had ended before it began
    type_pass = 32,      // from a node that stands for several: goes on as the edge before it
};

struct Dependency {
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    std::uint32_t value = 0;  // for whoever tells it
    DependencyType type = type_ww;
};

enum class CycleShape : std::uint8_t {
    g0,           // ww
    g1c_reads,    // wr alone; looked for on demand
    g1c,          // ww and wr, one wr at least
    single,       // besides one rw
    nonadjacent,  // besides several rw, no two of them next to each other
    g2,           // besides several rw
};

enum class CycleOrder : std::uint8_t { none, process, realtime };

struct DependencyCycle {
    CycleShape shape = CycleShape::g0;
    CycleOrder order = CycleOrder::none;  // what the cycle takes beyond its shape
    std::vector<Dependency> edges;        // each ends where the next begins
};

class DependencyGraph {
  public:
    explicit DependencyGraph(std::uint32_t nodes) : node_count_(nodes) {}

    /// A node that is no transaction.
    std::uint32_t add_node() { return node_count_++; }
    /// Not from a node to itself.
    void add(std::uint32_t from, std::uint32_t to, DependencyType type, std::uint32_t value = 0);

    /// One cycle of each shape and order in each component of what they allow, a short one: a
    /// shortest through one of its edges, of as many as 64. Of orders up to `order`.
    std::vector<DependencyCycle> cycles(CycleOrder order, bool reads_alone);

  private:
    friend class CycleSearch;

    void seal();

    std::uint32_t node_count_ = 0;
    std::vector<Dependency> edges_;  // by from, once sealed
    std::vector<std::uint32_t> first_;
};

}  // namespace klamm::checkers
