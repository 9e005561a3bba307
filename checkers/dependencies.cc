// Tarjan's components, without recursion; reachability for 64 edges at once along the components'
// order; breadth-first search for what is told. Whether two rw edges meet is asked of a graph of
// twice the nodes: one for "entered by rw", from where no rw leaves, and one for all other ways.
#include "checkers/dependencies.h"

#include <algorithm>
#include <numeric>

#include "core/base/assert.h"

namespace klamm::checkers {

namespace {

constexpr std::uint32_t nowhere = UINT32_MAX;
constexpr std::size_t witnesses_max = 64;            // whose cycles are compared, a component
constexpr std::size_t search_edges_max = 4'000'000;  // after which no further one is compared

/// Components of a graph, given as its nodes' successors: next(node, i) is the i-th one, `nowhere`
/// where that edge is not one, and false behind the last. Numbered against the edges' direction:
/// an edge never leads to a higher number.
template <class Next>
std::vector<std::uint32_t> components_of(std::uint32_t count, Next next) {
    std::vector<std::uint32_t> order(count, 0);  // 0: unseen
    std::vector<std::uint32_t> low(count, 0);
    std::vector<std::uint32_t> component(count, nowhere);
    std::vector<std::uint32_t> open;
    struct Step {
        std::uint32_t node;
        std::uint32_t edge;
    };
    std::vector<Step> steps;
    std::uint32_t entered = 0;
    std::uint32_t found = 0;
    const auto enter = [&](std::uint32_t node) {
        order[node] = low[node] = ++entered;
        open.push_back(node);
        steps.push_back({node, 0});
    };
    for (std::uint32_t root = 0; root < count; ++root) {
        if (order[root] != 0) continue;
        enter(root);
        while (!steps.empty()) {
            const std::uint32_t node = steps.back().node;
            std::uint32_t to = nowhere;
            if (next(node, steps.back().edge, to)) {
                ++steps.back().edge;
                if (to == nowhere) continue;
                if (order[to] == 0) {
                    enter(to);
                } else if (component[to] == nowhere) {
                    low[node] = std::min(low[node], order[to]);
                }
                continue;
            }
            steps.pop_back();
            if (!steps.empty()) {
                low[steps.back().node] = std::min(low[steps.back().node], low[node]);
            }
            if (low[node] != order[node]) continue;
            for (std::uint32_t last = nowhere; last != node;) {
                last = open.back();
                open.pop_back();
                component[last] = found;
            }
            ++found;
        }
    }
    return component;
}

}  // namespace

void DependencyGraph::add(std::uint32_t from, std::uint32_t to, DependencyType type,
                          std::uint32_t value) {
    KLAMM_ASSERT(from != to);
    KLAMM_ASSERT(from < node_count_);
    KLAMM_ASSERT(to < node_count_);
    edges_.push_back({from, to, value, type});
}

void DependencyGraph::seal() {
    first_.assign(std::size_t{node_count_} + 1, 0);
    for (const Dependency& edge : edges_) ++first_[edge.from + 1];
    for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
    std::vector<std::uint32_t> at(first_.begin(), first_.end() - 1);
    std::vector<Dependency> sorted(edges_.size());
    for (const Dependency& edge : edges_) sorted[at[edge.from]++] = edge;
    edges_.swap(sorted);
}

/// Looks for the shapes in a graph all of whose nodes lie on cycles.
class CycleSearch {
  public:
    CycleSearch(const DependencyGraph& graph, bool reads_alone)
        : graph_(graph),
          reads_alone_(reads_alone),
          came_(std::size_t{graph.node_count_} * 2, 0),
          stamp_(std::size_t{graph.node_count_} * 2, 0) {}

    std::vector<DependencyCycle> run(CycleOrder most) {
        const std::size_t edges = graph_.edges_.size();
        Round before;
        for (const CycleOrder order :
             {CycleOrder::none, CycleOrder::process, CycleOrder::realtime}) {
            if (order > most) break;
            order_ = order;
            Round now;
            const auto any = static_cast<std::uint8_t>(
                type_pass | (order >= CycleOrder::process ? type_process : 0) |
                (order >= CycleOrder::realtime ? type_realtime : 0));
            now.mask = any | type_ww | type_wr;
            now.writes = components(any | type_ww);
            now.flows = components(now.mask);
            now.all = components(now.mask | type_rw);
            now.apart = components_apart(now.mask);
            if (reads_alone_) now.reads = components(any | type_wr);
            now.single = singles(now);
            const auto same = [&](const std::vector<std::uint32_t>& in, std::size_t at) {
                const Dependency& edge = graph_.edges_[at];
                return !in.empty() && in[edge.from] == in[edge.to];
            };
            const auto apart = [&](const std::vector<std::uint32_t>& in, std::size_t at) {
                const Dependency& edge = graph_.edges_[at];
                return !in.empty() && in[2 * edge.from] == in[2 * edge.to + 1];
            };
            std::vector<std::size_t> witnesses[6];
            for (std::size_t at = 0; at < edges; ++at) {
                const auto note = [&](CycleShape shape) {
                    witnesses[static_cast<std::size_t>(shape)].push_back(at);
                };
                const DependencyType type = graph_.edges_[at].type;
                if (type == type_ww && same(now.writes, at) && !same(before.writes, at)) {
                    note(CycleShape::g0);
                }
                if (type == type_wr && same(now.reads, at) && !same(before.reads, at)) {
                    note(CycleShape::g1c_reads);
                }
                if (type == type_wr && same(now.flows, at) && !same(before.flows, at) &&
                    !same(now.reads, at)) {
                    note(CycleShape::g1c);
                }
                if (type != type_rw || !same(now.all, at)) continue;
                const bool before_single = !before.single.empty() && before.single[at];
                if (now.single[at]) {
                    if (!before_single) note(CycleShape::single);
                } else if (doubles(at)) {
                    continue;  // the same pair by ww or wr says more
                } else if (apart(now.apart, at)) {
                    if (!apart(before.apart, at)) note(CycleShape::nonadjacent);
                } else if (!same(before.all, at)) {
                    note(CycleShape::g2);
                }
            }
            const auto mask = static_cast<std::uint8_t>(any | type_wr);
            tell(CycleShape::g0, witnesses[0], now.writes, any | type_ww);
            tell(CycleShape::g1c_reads, witnesses[1], now.reads, mask);
            tell(CycleShape::g1c, witnesses[2], now.flows, now.mask);
            tell(CycleShape::single, witnesses[3], now.all, now.mask);
            tell(CycleShape::nonadjacent, witnesses[4], now.all, now.mask);
            tell(CycleShape::g2, witnesses[5], now.all, now.mask | type_rw);
            before = std::move(now);
        }
        return std::move(found_);
    }

  private:
    struct Round {
        std::uint8_t mask = 0;
        // Components of what each shape's cycles are made of; `apart` of the doubled graph.
        std::vector<std::uint32_t> writes, reads, flows, all, apart;
        std::vector<bool> single;  // by edge
    };

    [[nodiscard]] std::uint32_t begin_of(std::uint32_t node) const { return graph_.first_[node]; }
    [[nodiscard]] std::uint32_t end_of(std::uint32_t node) const { return graph_.first_[node + 1]; }

    [[nodiscard]] std::vector<std::uint32_t> components(unsigned mask) const {
        return components_of(graph_.node_count_,
                             [&](std::uint32_t node, std::uint32_t i, std::uint32_t& to) {
                                 if (i == end_of(node) - begin_of(node)) return false;
                                 const Dependency& edge = graph_.edges_[begin_of(node) + i];
                                 to = (edge.type & mask) != 0 ? edge.to : nowhere;
                                 return true;
                             });
    }
    /// Node 2n is n entered otherwise, 2n + 1 is n entered by rw.
    [[nodiscard]] std::uint32_t doubled(std::uint32_t node, const Dependency& edge,
                                        unsigned mask) const {
        const bool by_rw = node % 2 == 1;
        if (edge.type == type_rw) return by_rw ? nowhere : 2 * edge.to + 1;
        if ((edge.type & mask) == 0) return nowhere;
        return 2 * edge.to + (edge.type == type_pass && by_rw ? 1 : 0);
    }
    [[nodiscard]] std::vector<std::uint32_t> components_apart(unsigned mask) const {
        return components_of(graph_.node_count_ * 2,
                             [&](std::uint32_t node, std::uint32_t i, std::uint32_t& to) {
                                 const std::uint32_t plain = node / 2;
                                 if (i == end_of(plain) - begin_of(plain)) return false;
                                 to = doubled(node, graph_.edges_[begin_of(plain) + i], mask);
                                 return true;
                             });
    }

    /// Whether a ww or wr edge has the same ends.
    [[nodiscard]] bool doubles(std::size_t at) const {
        const Dependency& edge = graph_.edges_[at];
        const auto begin = graph_.edges_.begin() + begin_of(edge.from);
        return std::any_of(
            begin, graph_.edges_.begin() + end_of(edge.from), [&](const Dependency& other) {
                return other.to == edge.to && (other.type & (type_ww | type_wr)) != 0;
            });
    }
    /// By edge: whether it is an rw edge from whose end its begin is reached without another.
    [[nodiscard]] std::vector<bool> singles(const Round& now) const {
        std::vector<bool> out(graph_.edges_.size(), false);
        struct Asked {
            std::uint32_t from;  // components of the way back
            std::uint32_t to;
            std::size_t edge;
        };
        std::vector<Asked> asked;
        for (std::size_t at = 0; at < graph_.edges_.size(); ++at) {
            const Dependency& edge = graph_.edges_[at];
            if (edge.type != type_rw || now.all[edge.from] != now.all[edge.to]) continue;
            const Asked one{now.flows[edge.to], now.flows[edge.from], at};
            if (one.from == one.to) out[at] = true;
            if (one.from > one.to) asked.push_back(one);  // else it lies behind
        }
        if (asked.empty()) return out;
        std::stable_sort(asked.begin(), asked.end(),
                         [](const Asked& a, const Asked& b) { return a.from > b.from; });
        std::vector<std::uint32_t> nodes(graph_.node_count_);
        std::iota(nodes.begin(), nodes.end(), 0);
        std::stable_sort(nodes.begin(), nodes.end(), [&](std::uint32_t a, std::uint32_t b) {
            return now.flows[a] > now.flows[b];
        });
        std::vector<std::uint64_t> reached(graph_.node_count_, 0);  // by component
        for (std::size_t base = 0; base < asked.size(); base += 64) {
            const std::size_t end = std::min(base + 64, asked.size());
            std::uint32_t lowest = nowhere;
            for (std::size_t i = base; i < end; ++i) {
                reached[asked[i].from] |= std::uint64_t{1} << (i - base);
                lowest = std::min(lowest, asked[i].to);
            }
            const auto from = std::lower_bound(
                nodes.begin(), nodes.end(), asked[base].from,
                [&](std::uint32_t node, std::uint32_t c) { return now.flows[node] > c; });
            auto node = from;
            for (; node != nodes.end() && now.flows[*node] >= lowest; ++node) {
                const std::uint64_t bits = reached[now.flows[*node]];
                if (bits == 0) continue;
                for (std::uint32_t at = begin_of(*node); at < end_of(*node); ++at) {
                    const Dependency& edge = graph_.edges_[at];
                    if ((edge.type & now.mask) != 0) reached[now.flows[edge.to]] |= bits;
                }
            }
            for (std::size_t i = base; i < end; ++i) {
                if ((reached[asked[i].to] >> (i - base) & 1) != 0) out[asked[i].edge] = true;
            }
            for (auto each = from; each != node; ++each) {
                for (std::uint32_t at = begin_of(*each); at < end_of(*each); ++at) {
                    reached[now.flows[graph_.edges_[at].to]] = 0;
                }
                reached[now.flows[*each]] = 0;
            }
        }
        return out;
    }

    /// For each component the shortest of a few cycles.
    void tell(CycleShape shape, const std::vector<std::size_t>& witnesses,
              const std::vector<std::uint32_t>& within, unsigned mask) {
        struct Best {
            std::vector<std::uint32_t> cycle;  // edges
            std::size_t tries = 0;
            std::size_t cost = 0;
        };
        std::vector<Best> best;
        std::vector<std::uint32_t> place(graph_.node_count_, nowhere);  // by component
        for (const std::size_t at : witnesses) {
            const std::uint32_t component = within[graph_.edges_[at].from];
            if (place[component] == nowhere) {
                place[component] = static_cast<std::uint32_t>(best.size());
                best.emplace_back();
            }
            Best& one = best[place[component]];
            const bool enough = one.tries >= witnesses_max || one.cost >= search_edges_max;
            if (!one.cycle.empty() && enough) continue;
            ++one.tries;
            looked_at_ = 0;
            const auto edge = static_cast<std::uint32_t>(at);
            std::vector<std::uint32_t> cycle = shape == CycleShape::nonadjacent
                                                   ? apart_cycle(edge, within, mask)
                                                   : plain_cycle(edge, within, mask);
            one.cost += looked_at_;
            if (cycle.empty()) continue;
            if (one.cycle.empty() || cycle.size() < one.cycle.size()) one.cycle = std::move(cycle);
        }
        for (const Best& one : best) {
            if (one.cycle.empty()) continue;
            DependencyCycle out{shape, order_, {}};
            for (const std::uint32_t edge : one.cycle) out.edges.push_back(graph_.edges_[edge]);
            found_.push_back(std::move(out));
        }
    }

    /// `begin` and a shortest way back of edges of `mask`.
    std::vector<std::uint32_t> plain_cycle(std::uint32_t begin,
                                           const std::vector<std::uint32_t>& within,
                                           unsigned mask) {
        const Dependency& edge = graph_.edges_[begin];
        return search(
            begin, edge.to, edge.from,
            [&](std::uint32_t, const Dependency& next) {
                if ((next.type & mask) == 0) return nowhere;
                return within[next.to] == within[edge.from] ? next.to : nowhere;
            },
            [](std::uint32_t node) { return node; });
    }
    /// The same without two rw edges in a row. A node may be met twice on the way, entered
    /// by rw and otherwise; then the part that leaves it after rw is a cycle of its own.
    std::vector<std::uint32_t> apart_cycle(std::uint32_t begin,
                                           const std::vector<std::uint32_t>& within,
                                           unsigned mask) {
        const Dependency& edge = graph_.edges_[begin];
        std::vector<std::uint32_t> cycle = search(
            begin, 2 * edge.to + 1, 2 * edge.from,
            [&](std::uint32_t node, const Dependency& next) {
                return within[next.to] == within[edge.from] ? doubled(node, next, mask) : nowhere;
            },
            [](std::uint32_t node) { return node / 2; });
        const auto to = [&](std::size_t i) { return graph_.edges_[cycle[i]].to; };
        for (bool cut = true; cut;) {
            cut = false;
            for (std::size_t i = 0; i < cycle.size() && !cut; ++i) {
                for (std::size_t j = i + 1; j < cycle.size() && !cut; ++j) {
                    if (to(i) != to(j)) continue;
                    std::rotate(cycle.begin(), cycle.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                cycle.end());
                    const std::size_t length = j - i;  // the loop from to(i) to to(j) is in front
                    const bool by_rw =
                        graph_.edges_[cycle.back()].type == type_rw;  // how to(i) was entered
                    if (by_rw) {
                        cycle.resize(length);
                    } else {
                        cycle.erase(cycle.begin(),
                                    cycle.begin() + static_cast<std::ptrdiff_t>(length));
                    }
                    cut = true;
                }
            }
        }
        std::size_t rw = 0;
        bool ordered = order_ == CycleOrder::none;
        for (const std::uint32_t each : cycle) {
            const DependencyType type = graph_.edges_[each].type;
            rw += type == type_rw ? 1 : 0;
            ordered = ordered || type == type_realtime ||
                      (type == type_process && order_ == CycleOrder::process);
        }
        if (rw < 2 || !ordered) return {};  // another shape, told as such
        return cycle;
    }
    template <class Go, class Plain>
    std::vector<std::uint32_t> search(std::uint32_t begin, std::uint32_t from, std::uint32_t to,
                                      Go go, Plain plain) {
        ++stamps_;
        std::vector<std::uint32_t> queue{from};
        std::vector<std::uint32_t> parents{nowhere};  // places in the queue
        std::vector<std::uint32_t> by{begin};
        stamp_[from] = stamps_;
        came_[from] = 0;
        for (std::uint32_t i = 0; i < queue.size() && stamp_[to] != stamps_; ++i) {
            const std::uint32_t node = plain(queue[i]);
            for (std::uint32_t at = begin_of(node); at < end_of(node); ++at) {
                ++looked_at_;
                const std::uint32_t next = go(queue[i], graph_.edges_[at]);
                if (next == nowhere || stamp_[next] == stamps_) continue;
                stamp_[next] = stamps_;
                came_[next] = static_cast<std::uint32_t>(queue.size());
                queue.push_back(next);
                parents.push_back(i);
                by.push_back(at);
            }
        }
        if (stamp_[to] != stamps_) return {};
        std::vector<std::uint32_t> cycle;
        for (std::uint32_t at = came_[to]; at != nowhere; at = parents[at]) {
            cycle.push_back(by[at]);
        }
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
    }

    const DependencyGraph& graph_;
    bool reads_alone_;
    CycleOrder order_ = CycleOrder::none;
    std::vector<DependencyCycle> found_;
    std::vector<std::uint32_t> came_;  // place in the queue, of nodes with this stamp
    std::vector<std::uint32_t> stamp_;
    std::uint32_t stamps_ = 0;
    std::size_t looked_at_ = 0;
};

std::vector<DependencyCycle> DependencyGraph::cycles(CycleOrder order, bool reads_alone) {
    seal();
    const std::vector<std::uint32_t> whole =
        components_of(node_count_, [&](std::uint32_t node, std::uint32_t i, std::uint32_t& to) {
            if (first_[node] + i == first_[node + 1]) return false;
            const Dependency& edge = edges_[first_[node] + i];
            const bool asked = (edge.type != type_process || order >= CycleOrder::process) &&
                               (edge.type != type_realtime || order >= CycleOrder::realtime);
            to = asked ? edge.to : nowhere;
            return true;
        });
    std::vector<std::uint32_t> sizes(node_count_, 0);
    for (const std::uint32_t component : whole) ++sizes[component];
    // What lies on cycles, component after component, so that searches stay close together.
    std::vector<std::uint32_t> nodes;
    for (std::uint32_t node = 0; node < node_count_; ++node) {
        if (sizes[whole[node]] > 1) nodes.push_back(node);
    }
    if (nodes.empty()) return {};
    std::stable_sort(nodes.begin(), nodes.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return whole[a] < whole[b]; });
    std::vector<std::uint32_t> number(node_count_, nowhere);
    DependencyGraph part(static_cast<std::uint32_t>(nodes.size()));
    for (std::uint32_t i = 0; i < nodes.size(); ++i) number[nodes[i]] = i;
    for (const Dependency& edge : edges_) {
        if (sizes[whole[edge.from]] < 2 || whole[edge.from] != whole[edge.to]) continue;
        part.add(number[edge.from], number[edge.to], edge.type, edge.value);
    }
    // So that of two edges to one node a search takes the one that says more.
    std::stable_sort(part.edges_.begin(), part.edges_.end(),
                     [](const Dependency& a, const Dependency& b) { return a.type < b.type; });
    part.seal();
    std::vector<DependencyCycle> out = CycleSearch(part, reads_alone).run(order);
    for (DependencyCycle& cycle : out) {
        for (Dependency& edge : cycle.edges) {
            edge.from = nodes[edge.from];
            edge.to = nodes[edge.to];
        }
    }
    return out;
}

}  // namespace klamm::checkers
