// One pass over actions for appends and longest reads, one over each longest read, one over reads.
#include "checkers/transaction_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace klamm::checkers {

namespace {

constexpr std::uint32_t no_place = UINT32_MAX;

std::size_t mixed(std::uint32_t key, std::uint32_t element) {
    const std::uint64_t both = (std::uint64_t{key} << 32) | element;
    return static_cast<std::size_t>(((both ^ (both >> 29)) * 0x9e3779b97f4a7c15ULL) >> 20);
}

}  // namespace

std::uint32_t TransactionTables::find(std::uint32_t key, std::uint32_t element) const {
    const std::size_t mask = table_.size() - 1;
    for (std::size_t at = mixed(key, element) & mask;; at = (at + 1) & mask) {
        const std::uint32_t append = table_[at];
        if (append == no_append) return no_append;
        if (appends[append].key == key && appends[append].element == element) return append;
    }
}

TransactionTables::TransactionTables(const TransactionHistory& given) : history(given) {
    keys.resize(history.texts.size());
    append_of.assign(history.actions.size(), no_append);
    prefix.assign(history.actions.size(), false);
    committed.assign(history.transactions.size(), false);
    std::size_t room = 64;
    while (room < 2 * history.actions.size()) room *= 2;
    table_.assign(room, no_append);
    for (std::uint32_t i = 0; i < history.transactions.size(); ++i) {
        const ListTransaction& one = history.transactions[i];
        committed[i] = one.outcome == Outcome::ok;
        for (std::uint32_t at = one.begin; at < one.begin + one.count; ++at) {
            const ListAction& action = history.actions[at];
            if (action.kind == ListAction::Kind::read) {
                if (!read_ok(one, action)) continue;
                ListKey& key = keys[action.key];
                const bool more =
                    key.longest == no_append || history.actions[key.longest].count < action.count;
                if (more) key.longest = at;
                continue;
            }
            append_of[at] = static_cast<std::uint32_t>(appends.size());
            std::size_t row = mixed(action.key, action.element) & (room - 1);
            while (table_[row] != no_append) row = (row + 1) & (room - 1);
            table_[row] = append_of[at];
            for (std::uint32_t before = at; before-- > one.begin;) {
                const std::uint32_t other = append_of[before];
                if (other == no_append || appends[other].key != action.key) continue;
                appends[other].last = false;
                break;
            }
            ListAppend append;
            append.transaction = i;
            append.key = action.key;
            append.element = action.element;
            append.offset = action.offset;
            appends.push_back(append);
        }
    }
    order_keys();
}

void TransactionTables::order_keys() {
    for (std::uint32_t k = 0; k < keys.size(); ++k) {
        ListKey& key = keys[k];
        if (key.longest == no_append) continue;
        const auto read = elements(history.actions[key.longest]);
        key.order.reserve(read.size());
        for (std::uint32_t i = 0; i < read.size(); ++i) {
            const std::uint32_t append = find(k, read[i]);
            const auto place = static_cast<std::uint32_t>(key.order.size());
            if (append == no_append) {
                key.first_unknown = std::min(key.first_unknown, place);
                const bool again = std::any_of(
                    key.order.begin(), key.order.end(),
                    [&](const ListVersion& version) { return version.element == read[i]; });
                if (again) key.first_repeat = std::min(key.first_repeat, i);
            } else {
                ListAppend& one = appends[append];
                if (one.place != no_append) {
                    key.first_repeat = std::min(key.first_repeat, i);
                    continue;
                }
                one.place = place;
                one.shown = true;
                const Outcome outcome = history.transactions[one.transaction].outcome;
                if (outcome == Outcome::failed) {
                    key.first_failed = std::min(key.first_failed, place);
                }
            }
            key.order.push_back({read[i], append});
        }
        key.read_count = static_cast<std::uint32_t>(key.order.size());
    }
    for (std::uint32_t i = 0; i < history.transactions.size(); ++i) {
        const ListTransaction& one = history.transactions[i];
        for (std::uint32_t at = one.begin; at < one.begin + one.count; ++at) {
            const ListAction& action = history.actions[at];
            if (!read_ok(one, action)) continue;
            const auto read = elements(action);
            const auto longest = elements(history.actions[keys[action.key].longest]);
            prefix[at] = std::equal(read.begin(), read.end(), longest.begin());
            if (prefix[at]) continue;
            for (const std::uint32_t element : read) {
                const std::uint32_t append = find(action.key, element);
                if (append != no_append) appends[append].shown = true;
            }
        }
    }
    for (const ListAppend& append : appends) {
        const Outcome outcome = history.transactions[append.transaction].outcome;
        if (append.shown && outcome == Outcome::unknown) committed[append.transaction] = true;
    }
    std::vector<std::uint32_t> touched;
    for (std::uint32_t i = 0; i < appends.size(); ++i) {
        const ListAppend& append = appends[i];
        if (append.place != no_append || !committed[append.transaction]) continue;
        ListKey& key = keys[append.key];
        if (append.offset < 0) {
            key.unplaced.push_back(i);
        } else {
            if (key.order.size() == key.read_count) touched.push_back(append.key);
            key.order.push_back({append.element, i});
        }
    }
    for (const std::uint32_t k : touched) {
        std::vector<ListVersion>& order = keys[k].order;
        std::sort(order.begin() + keys[k].read_count, order.end(),
                  [&](const ListVersion& a, const ListVersion& b) {
                      return appends[a.append].offset < appends[b.append].offset;
                  });
        for (std::uint32_t i = keys[k].read_count; i < order.size(); ++i) {
            appends[order[i].append].place = i;
        }
    }
}

std::uint32_t TransactionTables::seen(std::uint32_t action) const {
    const auto read = elements(history.actions[action]);
    if (read.empty()) return 0;
    const bool plain = keys[history.actions[action].key].first_repeat == UINT32_MAX;
    if (prefix[action] && plain) return history.actions[action].count;
    const std::uint32_t append = find(history.actions[action].key, read.back());
    return append == no_append || appends[append].place == no_append ? no_place
                                                                     : appends[append].place + 1;
}

std::string TransactionTables::name(const ListAction& action) const {
    const std::string& key = history.texts[action.key];
    if (action.kind == ListAction::Kind::append) {
        return fmt::format("append {} to {}", history.texts[action.element], key);
    }
    constexpr std::uint32_t told_max = 12;
    std::string out = fmt::format("read {}", key);
    if (!action.told) return out;
    out += action.count == 0 ? ": nothing" : ":";
    const auto read = elements(action);
    if (action.count > told_max) out += " ...";
    for (const std::uint32_t element : read.subspan(std::max(action.count, told_max) - told_max)) {
        out += " " + history.texts[element];
    }
    return out;
}

std::string TransactionTables::name(const ListTransaction& one) const {
    return fmt::format("process {}'s transaction (line {})", one.process, one.line);
}

namespace {

class DependencyBuilder {
  public:
    DependencyBuilder(const TransactionTables& tables, CycleOrder order)
        : tables_(tables),
          history_(tables.history),
          graph_(static_cast<std::uint32_t>(history_.transactions.size())) {
        versions();
        reads();
        behind();
        if (order >= CycleOrder::process) processes();
        if (order >= CycleOrder::realtime) realtime();
    }
    DependencyGraph take() { return std::move(graph_); }

  private:
    /// The committed transaction that wrote this version, or none.
    [[nodiscard]] std::uint32_t writer(const ListVersion& version) const {
        if (version.append == no_append) return no_append;
        const std::uint32_t out = tables_.appends[version.append].transaction;
        return tables_.committed[out] ? out : no_append;
    }
    void add(std::uint32_t from, std::uint32_t to, DependencyType type, std::uint32_t value) {
        if (from != no_append && to != no_append && from != to) graph_.add(from, to, type, value);
    }
    void versions() {
        for (const ListKey& key : tables_.keys) {
            std::uint32_t before = no_append;
            std::uint32_t last_read = no_append;
            for (std::uint32_t place = 0; place < key.order.size(); ++place) {
                const std::uint32_t now = writer(key.order[place]);
                if (now == no_append) continue;
                add(before, now, type_ww, key.order[place].append);
                before = now;
                if (place < key.read_count) last_read = now;
            }
            for (const std::uint32_t append : key.unplaced) {
                add(last_read, tables_.appends[append].transaction, type_ww, append);
            }
        }
    }
    void reads() {
        for (std::uint32_t i = 0; i < history_.transactions.size(); ++i) {
            const ListTransaction& one = history_.transactions[i];
            for (std::uint32_t at = one.begin; at < one.begin + one.count; ++at) {
                const ListAction& action = history_.actions[at];
                if (!tables_.read_ok(one, action)) continue;
                const ListKey& key = tables_.keys[action.key];
                const std::uint32_t seen = tables_.seen(at);
                const auto read = tables_.elements(action);
                for (std::size_t last = read.size(); last-- > 0;) {
                    const std::uint32_t append = tables_.find(action.key, read[last]);
                    if (writer({0, append}) == no_append) continue;  // red, and says nothing
                    add(writer({0, append}), i, type_wr, append);
                    break;
                }
                if (seen == no_place) continue;
                std::uint32_t next = seen;
                while (next < key.order.size() && writer(key.order[next]) == no_append) ++next;
                if (next < key.order.size()) {
                    add(i, writer(key.order[next]), type_rw, key.order[next].append);
                }
                if (next >= key.read_count && !key.unplaced.empty()) {
                    ends_.push_back({action.key, i});
                }
            }
        }
    }
    /// Who read to the end comes before all that lie behind it in no order. Many of both would be
    /// too many edges, so nodes stand for the first and the last ones of them: all but a
    /// transaction's own is two nodes.
    void behind() {
        std::sort(ends_.begin(), ends_.end());
        for (std::size_t i = 0; i < ends_.size();) {
            std::size_t end = i;
            while (end < ends_.size() && ends_[end].key == ends_[i].key) ++end;
            behind(tables_.keys[ends_[i].key].unplaced, i, end);
            i = end;
        }
    }
    void behind(const std::vector<std::uint32_t>& unplaced, std::size_t from, std::size_t to) {
        struct Writer {
            std::uint32_t transaction;
            std::uint32_t append;
        };
        std::vector<Writer> writers;
        for (const std::uint32_t append : unplaced) {
            writers.push_back({tables_.appends[append].transaction, append});
        }
        std::stable_sort(writers.begin(), writers.end(), [](const Writer& a, const Writer& b) {
            return a.transaction < b.transaction;
        });
        writers.erase(std::unique(writers.begin(), writers.end(),
                                  [](const Writer& a, const Writer& b) {
                                      return a.transaction == b.transaction;
                                  }),
                      writers.end());
        const std::size_t count = writers.size();
        if (count * (to - from) <= 8 * (count + to - from)) {
            for (; from < to; ++from) {
                for (const Writer& one : writers) {
                    add(ends_[from].transaction, one.transaction, type_rw, one.append);
                }
            }
            return;
        }
        std::vector<std::uint32_t> first(count);  // node of writers 0 to i
        std::vector<std::uint32_t> last(count);   // node of writers i to the end
        for (std::size_t i = 0; i < count; ++i) {
            first[i] = graph_.add_node();
            add(first[i], writers[i].transaction, type_pass, writers[i].append);
            if (i > 0) add(first[i], first[i - 1], type_pass, 0);
        }
        for (std::size_t i = count; i-- > 0;) {
            last[i] = graph_.add_node();
            add(last[i], writers[i].transaction, type_pass, writers[i].append);
            if (i + 1 < count) add(last[i], last[i + 1], type_pass, 0);
        }
        for (; from < to; ++from) {
            const std::uint32_t reader = ends_[from].transaction;
            const auto own = std::lower_bound(
                writers.begin(), writers.end(), reader,
                [](const Writer& one, std::uint32_t r) { return one.transaction < r; });
            const auto at = static_cast<std::size_t>(own - writers.begin());
            const bool writes = at < count && own->transaction == reader;
            if (at > 0) add(reader, first[at - 1], type_rw, 0);
            const std::size_t rest = writes ? at + 1 : at;
            if (rest < count) add(reader, last[rest], type_rw, 0);
        }
    }
    void processes() {
        std::unordered_map<std::int64_t, std::uint32_t> last;  // asked only
        for (std::uint32_t i = 0; i < history_.transactions.size(); ++i) {
            if (!tables_.committed[i]) continue;
            const ListTransaction& one = history_.transactions[i];
            const auto at = last.find(one.process);
            // A client that has several open at once has no order of them.
            if (at != last.end() && history_.transactions[at->second].ret < one.call) {
                add(at->second, i, type_process, 0);
            }
            if (one.outcome == Outcome::ok) last[one.process] = i;
        }
    }
    /// A line of nodes, one a completion: each leads to the next, a transaction to its own, and the
    /// last one before an invocation to that transaction.
    void realtime() {
        std::vector<std::uint32_t> returned;
        for (std::uint32_t i = 0; i < history_.transactions.size(); ++i) {
            const bool ended = history_.transactions[i].outcome == Outcome::ok;
            if (ended) returned.push_back(i);
        }
        std::sort(returned.begin(), returned.end(), [&](std::uint32_t a, std::uint32_t b) {
            return history_.transactions[a].ret < history_.transactions[b].ret;
        });
        std::uint32_t before = no_append;
        std::size_t next = 0;
        for (std::uint32_t i = 0; i < history_.transactions.size(); ++i) {
            const ListTransaction& one = history_.transactions[i];
            while (next < returned.size() && history_.transactions[returned[next]].ret < one.call) {
                const std::uint32_t node = graph_.add_node();
                add(returned[next], node, type_realtime, 0);
                add(before, node, type_realtime, 0);
                before = node;
                ++next;
            }
            if (tables_.committed[i]) add(before, i, type_realtime, 0);
        }
    }

    struct End {
        std::uint32_t key;
        std::uint32_t transaction;
        friend auto operator<=>(const End&, const End&) = default;
    };

    const TransactionTables& tables_;
    const TransactionHistory& history_;
    DependencyGraph graph_;
    std::vector<End> ends_;  // who read a key to the end of what has a place
};

}  // namespace

DependencyGraph dependencies_of(const TransactionTables& tables, CycleOrder order) {
    return DependencyBuilder(tables, order).take();
}

}  // namespace klamm::checkers
