#pragma once
// Small histories of transactions over two lists, and the rules of the transaction checker once
// more, by brute force: a second program that knows no tables, components or searches.
// Dependencies are asked of every pair, cycles of every path, and each rule of every read.

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "checkers/dependencies.h"
#include "checkers/transaction_history.h"
#include "core/base/draws.h"

namespace klamm::checkers {

using Elements = std::vector<std::uint32_t>;

struct ListChance {
    Draws draws;
    std::uint64_t n = 0;
    std::uint64_t below(std::uint64_t bound) {
        return draws.below(bound, draw_domain("lists"), 0, n++);
    }
    bool one_in(std::uint64_t bound) { return below(bound) == 0; }
};

struct SmallAction {
    bool append = false;
    std::uint32_t key = 0;
    std::uint32_t element = 0;
    std::int64_t offset = -1;
    Elements read;
};
struct SmallTransaction {
    std::int64_t process = 0;
    std::int64_t call = 0;
    std::int64_t ret = INT64_MAX;
    Outcome outcome = Outcome::unknown;
    std::vector<SmallAction> actions;
};
using SmallHistory = std::vector<SmallTransaction>;

/// A few processes on two lists that take effect action by action, some of them never; answers may
/// be false.
inline SmallHistory draw_lists(std::uint64_t seed) {
    ListChance chance{Draws(seed)};
    SmallHistory out;
    Elements lists[2];
    std::int64_t offsets[2] = {0, 0};
    const std::size_t count = 2 + chance.below(5);
    const bool offsets_told = chance.one_in(3);
    struct Running {
        bool open = false;
        bool drops = false;
        std::size_t at = 0;
        std::size_t next = 0;
    };
    std::vector<Running> processes(1 + chance.below(3));
    std::uint32_t element = 1;
    std::int64_t event = 0;
    for (;;) {
        const bool busy = std::any_of(processes.begin(), processes.end(),
                                      [](const Running& one) { return one.open; });
        if (out.size() == count && !busy) break;
        const std::size_t number = chance.below(processes.size());
        Running& process = processes[number];
        if (!process.open) {
            if (out.size() == count) continue;
            process = {true, chance.one_in(8), out.size(), 0};
            SmallTransaction one;
            one.process = static_cast<std::int64_t>(number);
            one.call = event++;
            for (std::uint64_t n = 1 + chance.below(3); n > 0; --n) {
                SmallAction action;
                action.append = chance.one_in(2);
                action.key = static_cast<std::uint32_t>(chance.below(2));
                if (action.append) action.element = element++;
                one.actions.push_back(action);
            }
            out.push_back(one);
            continue;
        }
        SmallTransaction& one = out[process.at];
        if (process.next < one.actions.size()) {
            SmallAction& action = one.actions[process.next++];
            if (!action.append) {
                action.read = lists[action.key];
                // Snapshots of before, now and then.
                if (chance.one_in(4) && !action.read.empty()) {
                    action.read.resize(chance.below(action.read.size() + 1));
                }
            } else if (!process.drops) {
                lists[action.key].push_back(action.element);
                action.offset = offsets[action.key];
                offsets[action.key] += 1 + static_cast<std::int64_t>(chance.below(2));
            }
            continue;
        }
        process.open = false;
        const std::uint64_t outcome = process.drops ? chance.below(2) : 2 + chance.below(12);
        one.outcome = outcome == 0 || outcome == 2   ? Outcome::failed
                      : outcome == 1 || outcome == 3 ? Outcome::unknown
                                                     : Outcome::ok;
        one.ret = event++;
        for (SmallAction& action : one.actions) {
            if (one.outcome != Outcome::ok) action.read.clear();
            if (!offsets_told || one.outcome != Outcome::ok || chance.one_in(4)) action.offset = -1;
        }
    }
    for (std::uint64_t spoils = chance.below(3); spoils > 0; --spoils) {
        SmallTransaction& one = out[chance.below(out.size())];
        Elements& read = one.actions[chance.below(one.actions.size())].read;
        if (read.empty() || one.outcome != Outcome::ok) continue;
        switch (chance.below(4)) {
            case 0: std::swap(read.front(), read.back()); break;
            case 1: read.push_back(read.front()); break;
            case 2: read.back() = static_cast<std::uint32_t>(1 + chance.below(element)); break;
            default: read.pop_back(); break;
        }
    }
    return out;
}

inline TransactionHistory as_history(const SmallHistory& small) {
    TransactionHistory out;
    for (std::uint32_t i = 0; i < 40; ++i) out.intern(std::to_string(i));  // ids are numbers
    for (const SmallTransaction& one : small) {
        ListTransaction transaction;
        transaction.process = one.process;
        transaction.call = one.call;
        transaction.ret = one.ret;
        transaction.outcome = one.outcome;
        transaction.begin = static_cast<std::uint32_t>(out.actions.size());
        transaction.count = static_cast<std::uint32_t>(one.actions.size());
        for (const SmallAction& each : one.actions) {
            ListAction action;
            action.kind = each.append ? ListAction::Kind::append : ListAction::Kind::read;
            action.key = each.key;
            action.element = each.element;
            action.offset = each.offset;
            action.told = !each.append && one.outcome == Outcome::ok;
            action.begin = static_cast<std::uint32_t>(out.elements.size());
            action.count = static_cast<std::uint32_t>(each.read.size());
            out.elements.insert(out.elements.end(), each.read.begin(), each.read.end());
            out.actions.push_back(action);
        }
        out.transactions.push_back(transaction);
    }
    return out;
}

/// The naive program.
struct NaiveLists {
    const SmallHistory& all;
    std::set<std::string> found;
    bool ordered = true;  // reads agree, so that there is one order

    static bool ok(const SmallTransaction& one) { return one.outcome == Outcome::ok; }
    static bool has(const Elements& list, std::uint32_t element) {
        return std::count(list.begin(), list.end(), element) > 0;
    }
    static bool prefix(const Elements& a, const Elements& b) {
        return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
    }
    int writer(std::uint32_t key, std::uint32_t element) const {
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (const auto& one : all[i].actions) {
                if (one.append && one.key == key && one.element == element) {
                    return static_cast<int>(i);
                }
            }
        }
        return -1;
    }
    std::vector<Elements> reads(std::uint32_t key) const {
        std::vector<Elements> out;
        for (const auto& one : all) {
            for (const auto& action : one.actions) {
                if (ok(one) && !action.append && action.key == key) out.push_back(action.read);
            }
        }
        return out;
    }
    Elements longest(std::uint32_t key) const {
        Elements out;
        for (const auto& one : reads(key)) {
            if (one.size() > out.size()) out = one;
        }
        return out;
    }
    bool committed(const SmallTransaction& one) const {
        if (one.outcome != Outcome::unknown) return ok(one);
        for (const auto& action : one.actions) {
            for (const auto& read : reads(action.key)) {
                if (action.append && has(read, action.element)) return true;
            }
        }
        return false;
    }

    void rules() {
        for (std::uint32_t key = 0; key < 2; ++key) orders(key);
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (!ok(all[i])) continue;
            for (std::size_t at = 0; at < all[i].actions.size(); ++at) action(i, at);
        }
        for (const auto& a : all) {
            for (const auto& b : all) {
                for (std::uint32_t key = 0; key < 2; ++key) {
                    const Elements* first = updated(a, key);
                    const Elements* second = updated(b, key);
                    if (&a != &b && first != nullptr && second != nullptr && *first == *second) {
                        found.insert("lost-update");
                    }
                }
            }
        }
    }
    /// What it read first of a key that it then appended to, before any append.
    static const Elements* updated(const SmallTransaction& one, std::uint32_t key) {
        const Elements* read = nullptr;
        for (const auto& action : one.actions) {
            if (!ok(one) || action.key != key) continue;
            if (action.append) return read;
            if (read == nullptr) read = &action.read;
        }
        return nullptr;
    }
    void orders(std::uint32_t key) {
        const Elements order = longest(key);
        for (const auto& one : reads(key)) {
            if (!prefix(one, order)) found.insert("incompatible-order");
            if (std::set<std::uint32_t>(one.begin(), one.end()).size() != one.size()) {
                found.insert("duplicate-elements");
            }
        }
        // Between a failed append and the next that succeeded only unknown or failed ones lie.
        for (std::size_t i = 0; i < order.size(); ++i) {
            for (std::size_t j = i + 1; j < order.size(); ++j) {
                const int a = writer(key, order[i]);
                const int b = writer(key, order[j]);
                if (a < 0 || b < 0) continue;
                if (failed(a) && ok(all[static_cast<std::size_t>(b)])) {
                    found.insert("dirty-update");
                }
            }
            // What was never read and has an offset lies behind.
            for (const auto& one : all) {
                for (const auto& action : one.actions) {
                    const bool behind = action.append && ok(one) && action.key == key &&
                                        action.offset >= 0 && !has(order, action.element);
                    if (behind && failed(writer(key, order[i]))) found.insert("dirty-update");
                }
            }
        }
    }
    bool failed(int transaction) const {
        return transaction >= 0 &&
               all[static_cast<std::size_t>(transaction)].outcome == Outcome::failed;
    }
    void action(std::size_t transaction, std::size_t at) {
        const auto& actions = all[transaction].actions;
        const SmallAction& now = actions[at];
        if (now.append) {
            for (std::size_t i = 0; i < at; ++i) {
                if (actions[i].key == now.key && has(actions[i].read, now.element)) {
                    found.insert("future-read");
                }
            }
            return;
        }
        for (const std::uint32_t element : now.read) {
            const int by = writer(now.key, element);
            if (by < 0) found.insert("garbage-read");
            if (by >= 0 && all[static_cast<std::size_t>(by)].outcome == Outcome::failed) {
                found.insert("G1a");
            }
        }
        if (!now.read.empty()) {
            const int by = writer(now.key, now.read.back());
            if (by >= 0 && by != static_cast<int>(transaction)) {
                std::uint32_t last = 0;
                for (const auto& one : all[static_cast<std::size_t>(by)].actions) {
                    if (one.append && one.key == now.key) last = one.element;
                }
                if (last != now.read.back()) found.insert("G1b");
            }
        }
        bool known = false;
        Elements expected;
        bool any = false;
        for (std::size_t i = 0; i < at; ++i) {
            if (actions[i].key != now.key) continue;
            any = true;
            if (actions[i].append) {
                expected.push_back(actions[i].element);
            } else {
                known = true;
                expected = actions[i].read;
            }
        }
        if (!any) return;
        const bool fits =
            known ? now.read == expected
                  : now.read.size() >= expected.size() &&
                        std::equal(expected.rbegin(), expected.rend(), now.read.rbegin());
        if (!fits) found.insert("internal");
    }

    /// Every reason why `a` comes before `b`, near or far.
    unsigned why(const SmallTransaction& a, const SmallTransaction& b) const {
        if (&a == &b || !committed(a) || !committed(b)) return 0;
        unsigned out = 0;
        if (ok(a) && a.ret < b.call) {
            out |= type_realtime;
            if (a.process == b.process) out |= type_process;
        }
        for (const auto& x : a.actions) {
            for (const auto& y : b.actions) {
                if (x.key != y.key) continue;
                const Elements order = longest(x.key);
                const auto place = [&](const SmallAction& one) {
                    const auto at = std::find(order.begin(), order.end(), one.element);
                    return at - order.begin();
                };
                const auto end = static_cast<std::ptrdiff_t>(order.size());
                if (x.append && y.append) {
                    const bool by_place = place(x) < place(y);
                    const bool by_offset = place(x) == end && place(y) == end && x.offset >= 0 &&
                                           y.offset >= 0 && x.offset < y.offset;
                    if (by_place || by_offset) out |= type_ww;
                }
                if (x.append && !y.append && ok(b) && has(y.read, x.element)) out |= type_wr;
                if (!x.append && ok(a) && y.append && !has(x.read, y.element)) out |= type_rw;
            }
        }
        return out;
    }
    /// Whether a cycle of these types exists where rw edges are at most so many and, if asked, no
    /// two meet.
    bool cycle(unsigned types, std::size_t rw_max, bool apart) const {
        struct Edge {
            std::size_t to;
            unsigned type;
        };
        std::vector<std::vector<Edge>> edges(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (std::size_t j = 0; j < all.size(); ++j) {
                const unsigned reasons = why(all[i], all[j]) & types;
                for (unsigned type = 1; type < type_pass; type *= 2) {
                    if ((reasons & type) != 0) edges[i].push_back({j, type});
                }
            }
        }
        std::vector<bool> on(all.size(), false);
        const std::function<bool(std::size_t, std::size_t, std::size_t, bool, bool)> walk =
            [&](std::size_t start, std::size_t at, std::size_t rw, bool first_rw, bool last_rw) {
                for (const Edge& edge : edges[at]) {
                    const bool is = edge.type == type_rw;
                    if (edge.to < start || (is && (rw == rw_max || (apart && last_rw)))) continue;
                    if (edge.to == start && !(apart && is && first_rw)) return true;
                    if (edge.to == start || on[edge.to]) continue;
                    on[edge.to] = true;
                    const bool closed = walk(start, edge.to, rw + (is ? 1 : 0), first_rw, is);
                    on[edge.to] = false;
                    if (closed) return true;
                }
                return false;
            };
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (const Edge& edge : edges[i]) {
                const bool is = edge.type == type_rw;
                if (edge.to <= i || (is && rw_max == 0)) continue;
                on.assign(all.size(), false);
                on[i] = on[edge.to] = true;
                if (walk(i, edge.to, is ? 1 : 0, is, is)) return true;
            }
        }
        return false;
    }
};

}  // namespace klamm::checkers
