// The rules that need no cycle, each a function over the tables; then cycles, told and drawn.
#include "checkers/transaction_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "checkers/transaction_tables.h"
#include "core/base/assert.h"

namespace klamm::checkers {

namespace {

/// The least isolation, of the ladder without real time, that rules a name out; kafka's say apart.
struct ListRule {
    const char* name;
    Isolation from;
    bool in_kafka;  // red there, too
};

// repeatable_read and snapshot_isolation are beside each other: what only one rules out is below.
constexpr std::array<ListRule, 15> list_rules{{
    {"G0", Isolation::read_uncommitted, false},
    {"G1a", Isolation::read_committed, true},
    {"G1b", Isolation::read_committed, true},
    {"G1c", Isolation::read_committed, false},
    {"G2-item", Isolation::repeatable_read, false},
    {"G-nonadjacent-item", Isolation::repeatable_read, false},
    {"G-single-item", Isolation::repeatable_read, false},
    {"dirty-update", Isolation::read_committed, false},
    {"duplicate-elements", Isolation::read_uncommitted, true},
    {"future-read", Isolation::read_committed, true},
    {"garbage-read", Isolation::read_uncommitted, true},
    {"incompatible-order", Isolation::read_committed, true},
    {"internal", Isolation::snapshot_isolation, false},
    {"lost-update", Isolation::repeatable_read, false},
    {"offset-order", Isolation::read_uncommitted, true},
}};

constexpr std::array<std::string_view, 6> isolation_names{
    "kafka",           "read-uncommitted",   "read-committed",
    "repeatable-read", "snapshot-isolation", "serializable"};

/// Whether `isolation` rules out the rule's name.
bool rules_out(const ListRule& rule, Isolation isolation) {
    if (isolation == Isolation::kafka) return rule.in_kafka;
    if (isolation == Isolation::snapshot_isolation && std::string_view(rule.name) == "G2-item") {
        return false;
    }
    return rule.from <= isolation;
}

class TransactionRules {
  public:
    TransactionRules(const TransactionTables& tables, const TransactionOptions& options,
                     TransactionJudgement& out)
        : tables_(tables), history_(tables.history), options_(options), out_(out) {}

    void run() {
        orders();
        for (std::uint32_t i = 0; i < history_.transactions.size(); ++i) {
            const ListTransaction& one = history_.transactions[i];
            if (one.outcome != Outcome::ok) continue;
            for (std::uint32_t at = one.begin; at < one.begin + one.count; ++at) {
                if (history_.actions[at].kind == ListAction::Kind::read) {
                    read(i, at);
                    internal(one, at);
                } else {
                    written(i, at);
                }
            }
        }
        lost_updates();
        const bool kafka = options_.isolation == Isolation::kafka;
        for (const DependencyCycle& cycle :
             dependencies_of(tables_, options_.order).cycles(options_.order, kafka)) {
            tell(cycle);
        }
        conclude();
    }

  private:
    struct LostUpdate {
        std::uint32_t key;
        std::uint32_t seen;  // versions
        std::uint32_t transaction;
        friend auto operator<=>(const LostUpdate&, const LostUpdate&) = default;
    };

    [[nodiscard]] const std::string& text(std::uint32_t id) const { return history_.texts[id]; }
    [[nodiscard]] std::string name(std::uint32_t transaction) const {
        return tables_.name(history_.transactions[transaction]);
    }
    [[nodiscard]] std::uint32_t writer(std::uint32_t append) const {
        return tables_.appends[append].transaction;
    }

    void report(std::string_view rule, CycleOrder order, bool lawful, std::string sentence,
                std::string drawing = {}) {
        const auto* const known = std::find_if(list_rules.begin(), list_rules.end(),
                                               [&](const ListRule& r) { return rule == r.name; });
        KLAMM_ASSERT(known != list_rules.end());
        found_.emplace(known - list_rules.begin(), order);
        lawful = lawful || !rules_out(*known, options_.isolation);
        out_.found += lawful ? 0 : 1;
        std::string full(rule);
        if (order == CycleOrder::process) full += "-process";
        if (order == CycleOrder::realtime) full += "-realtime";
        if (++counts_[full] > options_.kept_max) return;
        out_.anomalies.push_back(
            {std::move(full), lawful, std::move(sentence), std::move(drawing)});
    }

    /// dirty-update, offset-order: along the order of each key.
    void orders() {
        for (std::uint32_t k = 0; k < tables_.keys.size(); ++k) {
            std::uint32_t failed = no_append;
            std::uint32_t placed = no_append;
            for (const ListVersion& version : tables_.keys[k].order) {
                if (version.append == no_append) continue;
                const ListAppend& append = tables_.appends[version.append];
                const Outcome outcome = history_.transactions[append.transaction].outcome;
                if (outcome == Outcome::failed && failed == no_append) failed = version.append;
                if (outcome == Outcome::ok) {
                    if (failed != no_append) {
                        report(
                            "dirty-update", CycleOrder::none, false,
                            fmt::format("{} of {}, which failed, is in {} below {} of {}, "
                                        "which succeeded",
                                        text(tables_.appends[failed].element), name(writer(failed)),
                                        text(k), text(append.element), name(append.transaction)));
                    }
                    failed = no_append;
                }
                if (append.offset < 0 || outcome != Outcome::ok) continue;
                if (placed != no_append && tables_.appends[placed].offset >= append.offset) {
                    report("offset-order", CycleOrder::none, false,
                           fmt::format("{} comes before {} in {}, although their offsets are {} "
                                       "and {}",
                                       text(tables_.appends[placed].element), text(append.element),
                                       text(k), tables_.appends[placed].offset, append.offset));
                }
                placed = version.append;
            }
        }
    }

    /// G1a, G1b, garbage-read, duplicate-elements, incompatible-order: one read.
    void read(std::uint32_t transaction, std::uint32_t at) {
        const ListAction& action = history_.actions[at];
        if (!action.told) return;
        ++out_.reads;
        out_.elements_read += action.count;
        if (action.count == 0) return;
        const ListKey& key = tables_.keys[action.key];
        const auto read = tables_.elements(action);
        if (tables_.prefix[at] && key.first_repeat == UINT32_MAX) {
            if (key.first_failed < action.count) aborted(transaction, key.order[key.first_failed]);
            if (key.first_unknown < action.count) {
                garbage(transaction, action, key.order[key.first_unknown].element);
            }
        } else {
            odd_read(transaction, at);
        }
        const std::uint32_t append = tables_.find(action.key, read.back());
        if (append == no_append || tables_.appends[append].last) return;
        if (writer(append) == transaction) return;
        report("G1b", CycleOrder::none, false,
               fmt::format("{} read {} of {} up to {}, after which {} appended to it again",
                           name(transaction), action.count == 1 ? "one element" : "the elements",
                           text(action.key), text(read.back()), name(writer(append))));
    }
    /// A read that is no beginning of the longest one, or where elements are repeated.
    void odd_read(std::uint32_t transaction, std::uint32_t at) {
        const ListAction& action = history_.actions[at];
        const auto read = tables_.elements(action);
        std::vector<std::uint32_t> sorted(read.begin(), read.end());
        std::sort(sorted.begin(), sorted.end());
        const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
        if (twice != sorted.end()) {
            report("duplicate-elements", CycleOrder::none, false,
                   fmt::format("{} read {} more than once in {}", name(transaction), text(*twice),
                               text(action.key)));
        }
        bool told_failed = false;
        bool told_garbage = false;
        for (const std::uint32_t element : read) {
            const std::uint32_t append = tables_.find(action.key, element);
            if (append == no_append) {
                if (!told_garbage) garbage(transaction, action, element);
                told_garbage = true;
            } else if (history_.transactions[writer(append)].outcome == Outcome::failed) {
                if (!told_failed) aborted(transaction, {element, append});
                told_failed = true;
            }
        }
        if (tables_.prefix[at]) return;
        const ListAction& longest = history_.actions[tables_.keys[action.key].longest];
        report("incompatible-order", CycleOrder::none, false,
               fmt::format("{} of {} does not begin as a longer or equal one does: {}",
                           tables_.name(action), name(transaction), tables_.name(longest)));
    }
    void aborted(std::uint32_t transaction, const ListVersion& version) {
        report("G1a", CycleOrder::none, false,
               fmt::format("{} read {} in {}, although {} failed", name(transaction),
                           text(version.element), text(tables_.appends[version.append].key),
                           name(writer(version.append))));
    }
    void garbage(std::uint32_t transaction, const ListAction& action, std::uint32_t element) {
        report("garbage-read", CycleOrder::none, false,
               fmt::format("{} read {} in {}, which nobody has appended", name(transaction),
                           text(element), text(action.key)));
    }

    /// internal: a read contradicts what its own transaction read and appended before.
    void internal(const ListTransaction& one, std::uint32_t at) {
        const ListAction& now = history_.actions[at];
        std::vector<std::uint32_t> own;  // backwards
        const ListAction* before = nullptr;
        for (std::uint32_t i = at; i-- > one.begin && before == nullptr;) {
            const ListAction& action = history_.actions[i];
            if (action.key != now.key) continue;
            if (action.kind == ListAction::Kind::read) {
                before = &action;
            } else {
                own.push_back(action.element);
            }
        }
        if (before == nullptr && own.empty()) return;
        std::vector<std::uint32_t> expected;
        if (before != nullptr) {
            const auto read = tables_.elements(*before);
            expected.assign(read.begin(), read.end());
        }
        expected.insert(expected.end(), own.rbegin(), own.rend());
        const auto read = tables_.elements(now);
        const bool fits =
            before != nullptr
                ? std::equal(read.begin(), read.end(), expected.begin(), expected.end())
                : read.size() >= expected.size() &&
                      std::equal(expected.rbegin(), expected.rend(), read.rbegin());
        if (fits) return;
        std::string wanted = before == nullptr ? "..." : "";
        for (const std::uint32_t element : expected) {
            wanted += (wanted.empty() ? "" : " ") + text(element);
        }
        report("internal", CycleOrder::none, false,
               fmt::format("{} should have read {} in {} by what it did before, but {}",
                           tables_.name(one), wanted.empty() ? "nothing" : wanted, text(now.key),
                           tables_.name(now)));
    }

    /// future-read: its own append in an earlier read; and what lost-update asks for.
    void written(std::uint32_t transaction, std::uint32_t at) {
        ++out_.appends;
        const ListTransaction& one = history_.transactions[transaction];
        const ListAction& append = history_.actions[at];
        std::uint32_t first = no_append;
        bool told = false;
        for (std::uint32_t i = one.begin; i < at; ++i) {
            const ListAction& action = history_.actions[i];
            if (action.key != append.key) continue;
            if (first == no_append) first = i;
            if (action.kind != ListAction::Kind::read || told) continue;
            const auto read = tables_.elements(action);
            told = std::find(read.begin(), read.end(), append.element) != read.end();
        }
        if (told) {
            report("future-read", CycleOrder::none, false,
                   fmt::format("{} read {} in {} before it appended it", tables_.name(one),
                               text(append.element), text(append.key)));
        }
        if (first == no_append || history_.actions[first].kind != ListAction::Kind::read) return;
        const std::uint32_t seen = tables_.seen(first);
        if (seen == UINT32_MAX) return;
        updates_.push_back({append.key, seen, transaction});
    }
    /// lost-update: two that succeeded read the same version of a key and appended to it.
    void lost_updates() {
        std::sort(updates_.begin(), updates_.end());
        updates_.erase(std::unique(updates_.begin(), updates_.end()), updates_.end());
        for (std::size_t i = 0; i < updates_.size();) {
            const LostUpdate& one = updates_[i];
            std::size_t end = i + 1;
            while (end < updates_.size() && updates_[end].key == one.key &&
                   updates_[end].seen == one.seen) {
                ++end;
            }
            if (end - i > 1) {
                report("lost-update", CycleOrder::none, false,
                       fmt::format("{} and {} read the same {} element{} of {} and appended to it",
                                   name(one.transaction), name(updates_[i + 1].transaction),
                                   one.seen, one.seen == 1 ? "" : "s", text(one.key)));
            }
            i = end;
        }
    }

    void tell(const DependencyCycle& cycle) {
        constexpr std::array<const char*, 6> names{
            "G0", "G1c", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item"};
        // From transaction to transaction; nodes that stand for several are stepped over.
        struct Step {
            std::uint32_t from;
            Dependency last;
            DependencyType type;
        };
        const auto count = static_cast<std::uint32_t>(history_.transactions.size());
        std::vector<Step> steps;
        std::size_t begin = 0;
        while (cycle.edges[begin].from >= count) ++begin;
        for (std::size_t i = 0; i < cycle.edges.size(); ++i) {
            const Dependency& edge = cycle.edges[(begin + i) % cycle.edges.size()];
            if (edge.from < count) steps.push_back({edge.from, edge, edge.type});
            steps.back().last = edge;
        }
        std::string sentence;
        std::string drawing;
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const Step& step = steps[i];
            const std::string why = reason(step.from, step.last.to, step.type, step.last.value,
                                           i + 1, i + 1 == steps.size() ? 1 : i + 2);
            sentence += (i == 0 ? "" : "; ") + why;
            drawing += fmt::format("    T{}  {}: {}\n", i + 1, name(step.from), content(step.from));
            drawing += fmt::format("    |   {}\n    v\n", why);
        }
        drawing += "    T1\n";
        const bool kafka = options_.isolation == Isolation::kafka;
        const bool reads = cycle.shape == CycleShape::g1c_reads;
        report_cycle(names[static_cast<std::size_t>(cycle.shape)], cycle.order, kafka && reads,
                     std::move(sentence), std::move(drawing));
    }
    void report_cycle(const char* rule, CycleOrder order, bool kafka_reads, std::string sentence,
                      std::string drawing) {
        const std::size_t before = out_.anomalies.size();
        const std::uint64_t found = out_.found;
        report(rule, order, false, std::move(sentence), std::move(drawing));
        if (!kafka_reads) return;
        // Of Kafka's promises: information does not flow in a circle.
        out_.found = found + 1;
        if (out_.anomalies.size() > before) out_.anomalies.back().lawful = false;
    }
    [[nodiscard]] std::string content(std::uint32_t transaction) const {
        std::string out;
        for (const ListAction& action : tables_.actions(history_.transactions[transaction])) {
            out += (out.empty() ? "" : " | ") + tables_.name(action);
        }
        return out;
    }
    [[nodiscard]] std::string reason(std::uint32_t from, std::uint32_t to, DependencyType type,
                                     std::uint32_t value, std::size_t a, std::size_t b) const {
        if (type == type_process) return fmt::format("T{} came before T{} in its process", a, b);
        if (type == type_realtime) return fmt::format("T{} had ended before T{} began", a, b);
        const ListAppend& append = tables_.appends[value];
        const std::string& key = text(append.key);
        const std::string& element = text(append.element);
        if (type == type_wr)
            return fmt::format("T{} appended {} to {}, which T{} read", a, element, key, b);
        if (type == type_rw) {
            return fmt::format("T{} did not read {} in {}, which T{} appended", a, element, key, b);
        }
        KLAMM_ASSERT(append.transaction == to);
        const std::vector<ListVersion>& order = tables_.keys[append.key].order;
        std::size_t place =
            append.place == no_append ? tables_.keys[append.key].read_count : append.place;
        while (place-- > 0) {
            if (order[place].append == no_append || writer(order[place].append) != from) continue;
            return fmt::format("T{} appended {} to {} before T{} appended {}", a,
                               text(order[place].element), key, b, element);
        }
        KLAMM_UNREACHABLE();
    }

    /// Names the weakest isolations that are ruled out.
    void conclude() {
        struct Level {
            Isolation isolation;
            CycleOrder order;
        };
        std::vector<Level> out;
        for (const auto isolation :
             {Isolation::read_uncommitted, Isolation::read_committed, Isolation::repeatable_read,
              Isolation::snapshot_isolation, Isolation::serializable}) {
            for (const CycleOrder order :
                 {CycleOrder::none, CycleOrder::process, CycleOrder::realtime}) {
                const bool wrong =
                    std::any_of(found_.begin(), found_.end(), [&](const auto& found) {
                        const auto at = static_cast<std::size_t>(found.first);
                        return found.second <= order && rules_out(list_rules[at], isolation);
                    });
                const bool said = std::any_of(out.begin(), out.end(), [&](const Level& weaker) {
                    const bool beside = weaker.isolation == Isolation::repeatable_read &&
                                        isolation == Isolation::snapshot_isolation;
                    return weaker.isolation <= isolation && weaker.order <= order && !beside;
                });
                if (wrong && !said) out.push_back({isolation, order});
            }
        }
        for (const Level& one : out) {
            out_.ruled_out.push_back(isolation_name(one.isolation, one.order));
        }
    }

    const TransactionTables& tables_;
    const TransactionHistory& history_;
    const TransactionOptions& options_;
    TransactionJudgement& out_;
    std::vector<LostUpdate> updates_;
    std::map<std::string, std::size_t> counts_;
    std::map<std::ptrdiff_t, CycleOrder> found_;  // by rule, the weakest order
};

}  // namespace

TransactionJudgement check_transactions(const TransactionHistory& history,
                                        const TransactionOptions& options) {
    TransactionJudgement out;
    out.transactions = history.transactions.size();
    const TransactionTables tables(history);
    TransactionRules(tables, options, out).run();
    std::stable_sort(
        out.anomalies.begin(), out.anomalies.end(),
        [](const TransactionAnomaly& a, const TransactionAnomaly& b) { return a.name < b.name; });
    return out;
}

std::vector<std::string> transaction_anomaly_names() {
    std::vector<std::string> out;
    for (const ListRule& rule : list_rules) {
        const std::string name = rule.name;
        out.push_back(name);
        if (name != "G1a" && name != "G1b" && name[0] == 'G') {
            out.push_back(name + "-process");
            out.push_back(name + "-realtime");
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::string isolation_name(Isolation isolation, CycleOrder order) {
    const std::string plain(isolation_names[static_cast<std::size_t>(isolation)]);
    if (order == CycleOrder::none || isolation == Isolation::kafka) return plain;
    if (order == CycleOrder::process) return "strong-session-" + plain;
    return isolation == Isolation::serializable ? "strict-serializable" : "strong-" + plain;
}

bool isolation_of(std::string_view name, Isolation& isolation, CycleOrder& order) {
    for (std::size_t i = 0; i < isolation_names.size(); ++i) {
        for (const CycleOrder each :
             {CycleOrder::none, CycleOrder::process, CycleOrder::realtime}) {
            if (name != isolation_name(static_cast<Isolation>(i), each)) continue;
            isolation = static_cast<Isolation>(i);
            // Of circular information Kafka's users expect none, in whichever order it shows.
            order = isolation == Isolation::kafka ? CycleOrder::realtime : each;
            return true;
        }
    }
    return false;
}

}  // namespace klamm::checkers
