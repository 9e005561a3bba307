// Cycles. Edges: ww from the writer of a version to the writer of the next, wr from a writer to
// each reader, process from an operation to its process's next, and real time. Real time costs a
// line of extra nodes, one a completion: an operation leads to its own, each to the next, and the
// last one before an invocation to that operation. A class of cycle is a choice of edges; in each
// strongly connected component of it one short cycle is drawn out and told.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

#include "checkers/kafka_tables.h"

namespace klamm::checkers {

namespace {

enum EdgeType : std::uint8_t { ww = 1, wr = 2, process = 4, realtime = 8 };

struct Edge {
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    EdgeType type = ww;
    std::uint32_t value = 0;  // for ww the earlier version, for wr the one that was read
};

/// Which edges a class is made of, which one its cycle must have, and which two for the mixed ones.
struct Class {
    const char* name;
    bool lawful;
    std::uint8_t types;
    EdgeType through;
    std::uint8_t all_of;
};

constexpr Class classes[] = {
    {"G1c", false, wr, wr, wr},
    {"G1c-process", false, wr | process, process, wr},
    {"G1c-realtime", false, wr | realtime, realtime, wr},
    {"G0", true, ww, ww, ww},
    {"G0-process", true, ww | process, process, ww},
    {"G0-realtime", true, ww | realtime, realtime, ww},
    {"G1c", true, ww | wr, ww, ww | wr},
};

constexpr std::size_t tries_max = 64;  // edges to start from in one component

class Graph {
  public:
    Graph(const KafkaTables& tables, const KafkaReport& report)
        : tables_(tables), history_(tables.history), report_(report) {
        node_count_ = history_.operations.size();
        add_versions();
        add_reads();
        add_processes();
        add_realtime();
        std::stable_sort(edges_.begin(), edges_.end(),
                         [](const Edge& a, const Edge& b) { return a.from < b.from; });
        first_.assign(node_count_ + 1, 0);
        for (const Edge& edge : edges_) ++first_[edge.from + 1];
        for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
    }

    void report(const Class& one) {
        components(one.types);
        std::vector<std::size_t> tries(component_count_, 0);
        std::vector<bool> told(component_count_, false);
        for (const Edge& edge : edges_) {
            const std::uint32_t component = component_[edge.from];
            if ((edge.type & one.through) == 0 || component != component_[edge.to]) continue;
            if (told[component] || tries[component]++ >= tries_max) continue;
            const std::vector<const Edge*> cycle = shortest(edge, one.types);
            std::uint8_t types = 0;
            for (const Edge* each : cycle) types |= each->type;
            if ((types & one.all_of) != one.all_of) continue;
            told[component] = true;
            report_(one.name, one.lawful, sentence(cycle));
        }
    }

  private:
    [[nodiscard]] bool takes_part(std::uint32_t index) const {
        const KafkaOperation& one = history_.operations[index];
        return tables_.committed[index] && !(one.sends.empty() && one.reads.empty());
    }
    [[nodiscard]] bool returned(std::uint32_t index) const {
        return history_.operations[index].outcome == Outcome::ok;
    }
    void add_versions() {
        for (const std::vector<std::uint32_t>& order : tables_.orders) {
            for (std::size_t i = 1; i < order.size(); ++i) {
                const std::uint32_t before = tables_.values[order[i - 1]].writer;
                const std::uint32_t after = tables_.values[order[i]].writer;
                if (before == no_operation || after == no_operation || before == after) continue;
                if (!takes_part(before) || !takes_part(after)) continue;
                edges_.push_back({before, after, ww, order[i - 1]});
            }
        }
    }
    void add_reads() {
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            if (!takes_part(i)) continue;
            for (const KafkaRecord& record : history_.operations[i].reads) {
                const std::uint32_t value = tables_.find(record.key, record.value);
                const std::uint32_t writer = tables_.values[value].writer;
                if (writer == no_operation || writer == i || !takes_part(writer)) continue;
                edges_.push_back({writer, i, wr, value});
            }
        }
    }
    void add_processes() {
        std::map<std::int64_t, std::uint32_t> last;
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            if (!takes_part(i)) continue;
            const auto [at, fresh] = last.emplace(history_.operations[i].process, i);
            if (fresh) continue;
            if (returned(at->second)) edges_.push_back({at->second, i, process, 0});
            at->second = i;
        }
    }
    void add_realtime() {
        std::vector<std::uint32_t> returns;
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            if (takes_part(i) && returned(i)) returns.push_back(i);
        }
        std::sort(returns.begin(), returns.end(), [&](std::uint32_t a, std::uint32_t b) {
            return history_.operations[a].ret < history_.operations[b].ret;
        });
        const auto line = static_cast<std::uint32_t>(node_count_);
        for (std::uint32_t i = 0; i < returns.size(); ++i) {
            edges_.push_back({returns[i], line + i, realtime, 0});
            if (i > 0) edges_.push_back({line + i - 1, line + i, realtime, 0});
        }
        std::uint32_t next = 0;
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            while (next < returns.size() &&
                   history_.operations[returns[next]].ret < history_.operations[i].call) {
                ++next;
            }
            if (next > 0 && takes_part(i)) edges_.push_back({line + next - 1, i, realtime, 0});
        }
        node_count_ += returns.size();
    }
    [[nodiscard]] std::span<const Edge> out_of(std::uint32_t node) const {
        return std::span(edges_).subspan(first_[node], first_[node + 1] - first_[node]);
    }

    /// Tarjan's components of the graph of these edges, without recursion.
    void components(std::uint8_t types) {
        constexpr std::uint32_t unseen = 0;
        std::vector<std::uint32_t> order(node_count_, unseen);
        std::vector<std::uint32_t> low(node_count_, 0);
        std::vector<std::uint32_t> open;
        struct Step {
            std::uint32_t node;
            std::size_t edge;
        };
        std::vector<Step> steps;
        component_.assign(node_count_, no_operation);
        component_count_ = 0;
        std::uint32_t count = 0;
        const auto enter = [&](std::uint32_t node) {
            order[node] = low[node] = ++count;
            open.push_back(node);
            steps.push_back({node, first_[node]});
        };
        for (std::uint32_t root = 0; root < node_count_; ++root) {
            if (order[root] != unseen) continue;
            enter(root);
            while (!steps.empty()) {
                const std::uint32_t node = steps.back().node;
                if (steps.back().edge < first_[node + 1]) {
                    const Edge& edge = edges_[steps.back().edge++];
                    if ((edge.type & types) == 0) continue;
                    if (order[edge.to] == unseen) {
                        enter(edge.to);
                    } else if (component_[edge.to] == no_operation) {
                        low[node] = std::min(low[node], order[edge.to]);
                    }
                    continue;
                }
                steps.pop_back();
                if (!steps.empty()) {
                    const std::uint32_t parent = steps.back().node;
                    low[parent] = std::min(low[parent], low[node]);
                }
                if (low[node] != order[node]) continue;
                for (std::uint32_t last = no_operation; last != node;) {
                    last = open.back();
                    open.pop_back();
                    component_[last] = component_count_;
                }
                ++component_count_;
            }
        }
    }

    /// `begin` and a shortest way back within its component.
    std::vector<const Edge*> shortest(const Edge& begin, std::uint8_t types) {
        std::map<std::uint32_t, const Edge*> came;
        std::vector<std::uint32_t> queue{begin.to};
        came[begin.to] = &begin;
        for (std::size_t i = 0; i < queue.size() && came.count(begin.from) == 0; ++i) {
            for (const Edge& edge : out_of(queue[i])) {
                if ((edge.type & types) == 0) continue;
                if (component_[edge.to] != component_[begin.from]) continue;
                if (came.emplace(edge.to, &edge).second) queue.push_back(edge.to);
            }
        }
        std::vector<const Edge*> cycle;
        for (std::uint32_t node = begin.from;;) {
            const Edge* edge = came.at(node);
            cycle.push_back(edge);
            if (edge == &begin) break;
            node = edge->from;
        }
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
    }

    [[nodiscard]] std::string sentence(const std::vector<const Edge*>& cycle) const {
        std::string out;
        for (const Edge* edge : cycle) {
            const bool is_operation = edge->from < history_.operations.size();
            if (is_operation) {
                out += (out.empty() ? "" : "; ") + tables_.name(history_.operations[edge->from]);
            }
            if (edge->type == realtime) {
                if (is_operation) out += " ended before the next began";
                continue;
            }
            if (edge->type == process) out += " came before the next in its process";
            const KafkaValue& value = tables_.values[edge->value];
            if (edge->type == ww)
                out += " wrote " + tables_.name(value) + ", just below the next's";
            if (edge->type == wr) out += " wrote " + tables_.name(value) + ", which the next read";
        }
        return out;
    }

    const KafkaTables& tables_;
    const KafkaHistory& history_;
    const KafkaReport& report_;
    std::size_t node_count_ = 0;
    std::vector<Edge> edges_;  // by from
    std::vector<std::size_t> first_;
    std::vector<std::uint32_t> component_;
    std::uint32_t component_count_ = 0;
};

}  // namespace

void find_cycles(const KafkaTables& tables, const KafkaReport& report) {
    Graph graph(tables, report);
    for (const Class& one : classes) graph.report(one);
}

}  // namespace klamm::checkers
