#include "tests/raft/support.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unordered_map>

namespace klamm::quorum {

bool pass(Cluster& cluster, int from, int to, bool is_request) {
    const auto& network = cluster.network();
    for (std::size_t i = 0; i < network.size(); ++i)
        if (network[i].from.value == from && network[i].to.value == to &&
            network[i].is_request == is_request)
            return cluster.deliver(i);
    return false;
}

namespace {

bool one_between(Cluster& cluster, int a, int b) {
    for (const int id : {a, b}) {
        cluster.sync_state(id);
        cluster.sync_log(id);
    }
    const auto& network = cluster.network();
    for (std::size_t i = 0; i < network.size(); ++i) {
        const int from = network[i].from.value;
        const int to = network[i].to.value;
        if ((from == a && to == b) || (from == b && to == a)) return cluster.deliver(i);
    }
    return false;
}

}  // namespace

void converse(Cluster& cluster, int a, int b) {
    for (int i = 0; i < 200 && one_between(cluster, a, b); ++i) {
    }
}

void lose_all(Cluster& cluster) {
    while (!cluster.network().empty()) cluster.lose(0, false);
}

void speak(Cluster& cluster, int id) {
    for (int i = 0; i < 10 && cluster.network().empty(); ++i) cluster.tick(id);
}

bool elect(Cluster& cluster, int id, int voter) {
    cluster.expire(voter);
    lose_all(cluster);  // the voter's own campaign too
    const LeaderEpoch before = cluster.at(id).raft->epoch();
    const auto leads = [&] {
        return cluster.at(id).raft->is_leader() && cluster.at(id).raft->epoch() > before;
    };
    for (int round = 0; round < 4 && !leads(); ++round) {
        cluster.expire(id);
        for (int i = 0; i < 50 && !leads() && one_between(cluster, id, voter); ++i) {
        }
    }
    cluster.sync_state(id);
    cluster.sync_log(id);
    lose_all(cluster);
    return leads() && cluster.violation().empty();
}

bool elect_and_follow(Cluster& cluster, int id) {
    cluster.expire(id);
    cluster.drain(1000);
    return cluster.leader() == id && cluster.violation().empty();
}

void check_transcript(const std::string& name, const std::string& said) {
    std::filesystem::create_directories(std::string(KLAMM_BINARY_DIR) + "/transcripts");
    std::ofstream(std::string(KLAMM_BINARY_DIR) + "/transcripts/" + name + ".txt") << said;
    std::ifstream file(std::string(KLAMM_SOURCE_DIR) + "/tests/raft/transcripts/" + name + ".txt");
    std::stringstream expected;
    expected << file.rdbuf();
    CHECK(said == expected.str());
}

std::string to_string(const Event& event) {
    const char* names[] = {"deliver",    "expire",    "append", "sync_log",
                           "sync_state", "power_off", "restart"};
    return std::string(names[static_cast<std::size_t>(event.kind)]) + "(" +
           std::to_string(event.which) + ")";
}

namespace {

struct Searcher {
    std::unordered_map<std::uint64_t, int> seen;  // with the most events that were left there
    Search result;
    std::vector<Event> trace;

    static bool act(Cluster& cluster, const Event& event, Budget& left) {
        const int id = event.which;
        switch (event.kind) {
            case Kind::deliver: return cluster.deliver(static_cast<std::size_t>(id));
            case Kind::expire: return left.expiries-- > 0 && cluster.expire(id);
            case Kind::append: return left.appends-- > 0 && cluster.append(id);
            case Kind::sync_log: return cluster.sync_log(id);
            case Kind::sync_state: return cluster.sync_state(id);
            case Kind::power_off:
                return left.crashes-- > 0 && cluster.at(id).raft && cluster.power_off(id, 0);
            case Kind::restart: return cluster.restart(id);
        }
        return false;
    }

    void visit(const Cluster& cluster, const Budget& budget, int depth) {
        if (!cluster.violation().empty()) {
            result.violation = cluster.violation();
            result.trace = trace;
            return;
        }
        if (cluster.epoch_max().value > budget.epochs) return;
        const std::uint64_t spent = static_cast<std::uint64_t>(budget.expiries) << 16 |
                                    static_cast<std::uint64_t>(budget.appends) << 8 |
                                    static_cast<std::uint64_t>(budget.crashes);
        const auto [row, fresh] = seen.try_emplace(fold64(cluster.digest(), spent), depth);
        if (!fresh && row->second >= depth) return;
        row->second = depth;
        if (depth == 0) return;
        const auto messages = static_cast<int>(cluster.network().size());
        for (const Kind kind : {Kind::deliver, Kind::sync_state, Kind::sync_log, Kind::append,
                                Kind::restart, Kind::expire, Kind::power_off}) {
            const int first = kind == Kind::deliver ? 0 : 1;
            const int last = kind == Kind::deliver ? messages - 1 : cluster.size();
            for (int which = first; which <= last; ++which) {
                Budget left = budget;
                Cluster next = cluster;
                if (!act(next, {kind, which}, left)) continue;
                ++result.events;
                trace.push_back({kind, which});
                visit(next, left, depth - 1);
                trace.pop_back();
                if (!result.violation.empty()) return;
            }
        }
    }
};

}  // namespace

Search search(const Cluster& start, const Budget& budget, int depth) {
    Searcher searcher;
    searcher.visit(start, budget, depth);
    searcher.result.states = searcher.seen.size();
    return searcher.result;
}

}  // namespace klamm::quorum
