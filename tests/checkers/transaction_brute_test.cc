// The transaction checker against brute force (transaction_naive.h): every rule, and for each class
// of isolation whether a cycle that it forbids exists.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "checkers/transaction_tables.h"
#include "tests/checkers/histories.h"
#include "tests/checkers/transaction_naive.h"

using namespace klamm;
using namespace klamm::checkers;

namespace {

/// What a class of isolation forbids, by brute force and by what was told.
struct Level {
    unsigned types;
    std::size_t rw_max;
    bool apart;
    CycleShape worst;
};
constexpr unsigned dependency = type_ww | type_wr;
constexpr Level levels[] = {
    {type_ww, 0, false, CycleShape::g0},
    {dependency, 0, false, CycleShape::g1c},
    {dependency | type_rw, 1, false, CycleShape::single},
    {dependency | type_rw, 9, true, CycleShape::nonadjacent},
    {dependency | type_rw, 9, false, CycleShape::g2},
};

std::string joined(const std::set<std::string>& names) {
    std::string out;
    for (const auto& one : names) out += " " + one;
    return out;
}

}  // namespace

TEST_CASE("transactions: small histories agree with brute force, rule by rule and cycle by cycle") {
    std::map<std::string, int> times;
    std::uint64_t disagreements = 0;
    std::uint64_t clean = 0;
    std::uint64_t cycles_told = 0;
    const std::uint64_t count = cases(10'000);
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        const SmallHistory small = draw_lists(seed);
        const TransactionHistory history = as_history(small);
        std::set<std::string> told;
        for (const TransactionAnomaly& one : check_transactions(history).anomalies) {
            told.insert(one.name);
        }
        NaiveLists naive{small, {}, true};
        naive.rules();
        // With two orders of a list, which one is taken is free; and what offsets contradict too.
        const bool ordered = told.count("incompatible-order") + told.count("duplicate-elements") +
                                 told.count("offset-order") ==
                             0;
        std::set<std::string> plain;
        for (const std::string& name : told) {
            const bool cycle = name.starts_with("G0") || name.starts_with("G1c") ||
                               name.starts_with("G-") || name.starts_with("G2");
            if (!cycle && name != "offset-order") plain.insert(name);
        }
        if (!ordered) {
            for (const char* name : {"dirty-update", "lost-update"}) {
                plain.erase(name);
                naive.found.erase(name);
            }
        }
        bool same = plain == naive.found;
        for (const auto& one : naive.found) ++times[one];
        const TransactionTables tables(history);
        for (const CycleOrder order :
             {CycleOrder::none, CycleOrder::process, CycleOrder::realtime}) {
            if (!ordered) break;
            const unsigned more = (order >= CycleOrder::process ? unsigned{type_process} : 0U) |
                                  (order >= CycleOrder::realtime ? unsigned{type_realtime} : 0U);
            const auto cycles = dependencies_of(tables, order).cycles(order, false);
            for (const Level& level : levels) {
                const bool forbidden = std::any_of(
                    cycles.begin(), cycles.end(),
                    [&](const DependencyCycle& one) { return one.shape <= level.worst; });
                const bool exists = naive.cycle(level.types | more, level.rw_max, level.apart);
                times["cycle " + std::to_string(static_cast<int>(level.worst)) + " " +
                      std::to_string(static_cast<int>(order))] += exists ? 1 : 0;
                if (forbidden != exists) {
                    same = false;
                    UNSCOPED_INFO("seed " << seed << ": level " << static_cast<int>(level.worst)
                                          << ", order " << static_cast<int>(order) << ": told "
                                          << forbidden << ", exists " << exists);
                }
            }
            // Each edge that is told holds, and the shape is what the edges make.
            for (const DependencyCycle& cycle : cycles) {
                ++cycles_told;
                std::size_t rw = 0;
                bool meet = false;
                for (std::size_t i = 0; i < cycle.edges.size(); ++i) {
                    const Dependency& edge = cycle.edges[i];
                    const Dependency& next = cycle.edges[(i + 1) % cycle.edges.size()];
                    same = same && edge.to == next.from;
                    rw += edge.type == type_rw ? 1 : 0;
                    meet = meet || (edge.type == type_rw && next.type == type_rw);
                    const bool both = edge.from < small.size() && edge.to < small.size();
                    if (both && (naive.why(small[edge.from], small[edge.to]) & edge.type) == 0) {
                        same = false;
                    }
                }
                const bool shaped = cycle.shape <= CycleShape::g1c      ? rw == 0
                                    : cycle.shape == CycleShape::single ? rw == 1
                                    : cycle.shape == CycleShape::g2     ? rw > 1
                                                                        : rw > 1 && !meet;
                same = same && shaped;
            }
        }
        clean += told.empty() ? 1 : 0;
        if (!same && ++disagreements <= 3) {
            UNSCOPED_INFO("seed " << seed << ":" << joined(plain) << " |" << joined(naive.found));
        }
    }
    CHECK(disagreements == 0);
    CHECK(clean * 20 > count);
    CHECK(cycles_told * 20 > count);
    for (const char* name : {"G1a", "G1b", "dirty-update", "duplicate-elements", "future-read",
                             "garbage-read", "incompatible-order", "internal", "lost-update"}) {
        INFO(name);
        CHECK(times[name] > 0);
    }
    for (const char* name : {"cycle 0 0", "cycle 2 0", "cycle 3 0", "cycle 4 0", "cycle 5 0",
                             "cycle 5 1", "cycle 5 2"}) {
        INFO(name);
        CHECK(times[name] > 0);
    }
}
