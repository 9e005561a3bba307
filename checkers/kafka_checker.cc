// The rules, each a function over the tables; the names are those of jepsen.tests.kafka.
#include "checkers/kafka_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "checkers/kafka_tables.h"

namespace klamm::checkers {

namespace {

class Rules {
  public:
    Rules(const KafkaTables& tables, const KafkaOptions& options, const KafkaReport& report)
        : tables_(tables),
          history_(tables.history),
          options_(options),
          report_(report),
          max_read_(history_.texts.size(), no_index) {
        for (const KafkaOperation& one : history_.operations) {
            subscribed_ = subscribed_ || one.function == KafkaFunction::subscribe;
        }
    }

    std::uint64_t stale = 0;

    void run() {
        offsets();
        values();
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            const KafkaOperation& one = history_.operations[i];
            if (one.ret == INT64_MAX) continue;
            within(one);
        }
        by_process();
        by_time();
        torn();
        groups();
    }

  private:
    [[nodiscard]] const KafkaOperation& operation(std::uint32_t index) const {
        return history_.operations[index];
    }
    [[nodiscard]] std::string text(std::uint32_t id) const { return history_.texts[id]; }

    /// inconsistent-offsets, duplicate.
    void offsets() {
        const std::vector<Seen>& seen = tables_.seen;
        std::map<std::uint32_t, std::vector<std::int64_t>> twice;  // by value
        for (std::size_t i = 0; i < seen.size();) {
            std::size_t end = i + 1;
            while (end < seen.size() && seen[end].key == seen[i].key &&
                   seen[end].offset == seen[i].offset) {
                ++end;
            }
            if (end - i > 1) {
                std::string all;
                for (std::size_t n = i; n < end; ++n) {
                    all += (n == i ? "" : ", ") + text(tables_.values[seen[n].value].value);
                }
                report_("inconsistent-offsets", false,
                        fmt::format("offset {} of key {} shows values {}", seen[i].offset,
                                    text(seen[i].key), all));
            }
            i = end;
        }
        for (const Seen& one : seen) {
            const KafkaValue& value = tables_.values[one.value];
            if (value.first != value.last) twice[one.value].push_back(one.offset);
        }
        for (const auto& [value, at] : twice) {
            report_("duplicate", !options_.idempotent,
                    fmt::format("{} is at offsets {} and {}", tables_.name(tables_.values[value]),
                                at.front(), at.back()));
        }
    }

    /// G1a, garbage-read, lost-write, unseen.
    void values() {
        // How far ok operations have read each key, by the earliest position of what they read.
        for (const KafkaValue& value : tables_.values) {
            if (value.reader != no_operation) {
                max_read_[value.key] = std::max(max_read_[value.key], value.first);
            }
        }
        for (const KafkaValue& value : tables_.values) {
            if (value.writer == no_operation) {
                report_("garbage-read", false,
                        fmt::format("offset {} shows {}, which nobody has sent", value.read_offset,
                                    tables_.name(value)));
                continue;
            }
            const KafkaOperation& writer = operation(value.writer);
            if (value.reader != no_operation) {
                if (writer.outcome != Outcome::failed) continue;
                report_("G1a", false,
                        fmt::format("{} was read by {}, although {} failed", tables_.name(value),
                                    tables_.name(operation(value.reader)), tables_.name(writer)));
                continue;
            }
            if (!tables_.committed[value.writer]) continue;
            const bool passed = value.last != no_index && value.last <= max_read_[value.key];
            if (passed) {
                report_("lost-write", options_.compacted,
                        fmt::format("{}, sent by {}, was never read, and later versions were",
                                    tables_.name(value), tables_.name(writer)));
            } else if (writer.outcome == Outcome::ok) {
                report_("unseen", options_.compacted,
                        fmt::format("{}, acknowledged to {}, was read by nobody to the end",
                                    tables_.name(value), tables_.name(writer)));
            }
        }
    }

    /// precommitted-read and the int- rules, inside one operation.
    void within(const KafkaOperation& one) {
        std::set<std::pair<std::uint32_t, std::uint32_t>> own;
        for (const KafkaRecord& record : one.sends) own.emplace(record.key, record.value);
        if (!own.empty()) {
            for (const KafkaRecord& record : one.reads) {
                if (own.erase({record.key, record.value}) == 0) continue;
                report_(
                    "precommitted-read", !options_.read_committed,
                    fmt::format("{} polled its own {}", tables_.name(one), tables_.name(record)));
            }
        }
        consecutive(one, one.reads, "int-poll-skip", false, "int-nonmonotonic-poll");
        if (one.outcome != Outcome::failed) {
            consecutive(one, one.sends, "int-send-skip", true, "int-nonmonotonic-send");
        }
    }
    void consecutive(const KafkaOperation& one, const std::vector<KafkaRecord>& records,
                     const char* skip, bool skip_lawful, const char* back) {
        std::map<std::uint32_t, const KafkaRecord*> last;
        for (const KafkaRecord& record : records) {
            const KafkaRecord*& before = last[record.key];
            if (before != nullptr &&
                std::count(one.rebalanced.begin(), one.rebalanced.end(), record.key) == 0) {
                step(one, *before, record, skip, skip_lawful, back, false);
            }
            before = &record;
        }
    }
    void step(const KafkaOperation& one, const KafkaRecord& before, const KafkaRecord& now,
              const char* skip, bool skip_lawful, const char* back, bool back_lawful) {
        const std::int64_t distance = tables_.distance(before, now);
        if (distance > 1 && skip != nullptr) {
            const std::uint32_t next =
                tables_.orders[now.key][static_cast<std::size_t>(tables_.of(before).last + 1)];
            report_(skip, skip_lawful,
                    fmt::format("{} came from {} to {}, over {} version{}, the first value {}",
                                tables_.name(one), tables_.name(before), tables_.name(now),
                                distance - 1, distance == 2 ? "" : "s",
                                text(tables_.values[next].value)));
        } else if (distance < 1) {
            report_(back, back_lawful,
                    fmt::format("{} came from {} to {}, {} version{} back", tables_.name(one),
                                tables_.name(before), tables_.name(now), -distance,
                                distance == -1 ? "" : "s"));
        }
    }

    /// poll-skip, nonmonotonic-poll, nonmonotonic-send: along the operations of each process.
    void by_process() {
        struct Position {
            std::map<std::uint32_t, KafkaRecord> read;
            std::map<std::uint32_t, KafkaRecord> sent;
        };
        std::map<std::int64_t, Position> positions;
        for (const std::uint32_t index : by_return()) {
            const KafkaOperation& one = operation(index);
            Position& position = positions[one.process];
            if (one.function == KafkaFunction::crash) position = {};
            if (one.function == KafkaFunction::assign || one.function == KafkaFunction::subscribe) {
                std::erase_if(position.read, [&](const auto& each) {
                    return std::count(one.keys.begin(), one.keys.end(), each.first) == 0;
                });
            }
            std::set<std::uint32_t> first;
            for (const KafkaRecord& record : one.reads) {
                if (!first.insert(record.key).second) continue;
                const auto at = position.read.find(record.key);
                if (at == position.read.end()) continue;
                step(one, at->second, record, "poll-skip", subscribed_, "nonmonotonic-poll",
                     subscribed_);
            }
            // What was polled in an operation that did not succeed is polled again.
            if (one.outcome == Outcome::ok) {
                for (const KafkaRecord& record : one.reads) position.read[record.key] = record;
            }
            if (one.outcome == Outcome::failed) continue;
            first.clear();
            for (const KafkaRecord& record : one.sends) {
                if (!first.insert(record.key).second) continue;
                const auto at = position.sent.find(record.key);
                if (at == position.sent.end()) continue;
                step(one, at->second, record, nullptr, true, "nonmonotonic-send", false);
            }
            for (const KafkaRecord& record : one.sends) position.sent[record.key] = record;
        }
    }
    [[nodiscard]] std::vector<std::uint32_t> by_return() const {
        std::vector<std::uint32_t> order;
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            if (operation(i).ret != INT64_MAX) order.push_back(i);
        }
        std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return operation(a).ret < operation(b).ret;
        });
        return order;
    }

    /// realtime-order: an acknowledged send lies above all that was complete before it. stale-read:
    /// a poll came back empty-handed although its consumer's next record was complete before it.
    void by_time() {
        const std::vector<std::uint32_t> returns = by_return();
        struct Mark {
            std::int64_t offset = -1;
            std::uint32_t operation = no_operation;
        };
        std::vector<Mark> marks(history_.texts.size());
        std::map<std::pair<std::int64_t, std::uint32_t>, std::int64_t> empty;  // last such poll
        std::map<std::int64_t, std::vector<std::uint32_t>> assigned;
        std::vector<std::int64_t> known(tables_.values.size(), INT64_MAX);  // complete at event
        std::size_t next = 0;
        const auto complete = [&](std::uint32_t index) {
            const KafkaOperation& one = operation(index);
            for (const KafkaRecord& record : one.sends) {
                if (one.outcome != Outcome::ok || record.offset < 0) continue;
                raise(marks[record.key], record.offset, index);
                note(known, record, one.ret);
            }
            for (const KafkaRecord& record : one.reads) {
                raise(marks[record.key], record.offset, index);
                note(known, record, one.ret);
            }
        };
        const auto raise_until = [&](std::int64_t event) {
            for (; next < returns.size() && operation(returns[next]).ret < event; ++next) {
                complete(returns[next]);
            }
        };
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            const KafkaOperation& one = operation(i);
            raise_until(one.call);
            for (const KafkaRecord& record : one.sends) {
                if (one.outcome != Outcome::ok || record.offset < 0) continue;
                const Mark& mark = marks[record.key];
                if (mark.operation == no_operation || record.offset > mark.offset) continue;
                report_("realtime-order", false,
                        fmt::format("{} was sent to offset {}, although offset {} was known "
                                    "before, by {}",
                                    tables_.name(record), record.offset, mark.offset,
                                    tables_.name(operation(mark.operation))));
            }
        }
        for (const std::uint32_t index : returns) {
            const KafkaOperation& one = operation(index);
            if (one.function == KafkaFunction::assign || one.function == KafkaFunction::subscribe) {
                assigned[one.process] = one.keys;
                for (const std::uint32_t key : one.keys) empty.erase({one.process, key});
            }
            if (one.outcome != Outcome::ok || one.function == KafkaFunction::send) continue;
            std::set<std::uint32_t> shown;
            for (const KafkaRecord& record : one.reads) {
                if (!shown.insert(record.key).second) continue;
                const auto at = empty.find({one.process, record.key});
                if (at == empty.end()) continue;
                const std::int64_t since = known[tables_.find(record.key, record.value)];
                if (since < at->second) {
                    ++stale;
                    report_("stale-read", !options_.strict,
                            fmt::format("process {} polled nothing of key {} although {}, which "
                                        "it polled next, was known before",
                                        one.process, text(record.key), tables_.name(record)));
                }
                empty.erase(at);
            }
            const auto keys = assigned.find(one.process);
            if (keys == assigned.end()) continue;
            if (one.function != KafkaFunction::poll && one.function != KafkaFunction::txn) continue;
            for (const std::uint32_t key : keys->second) {
                if (shown.count(key) == 0) empty[{one.process, key}] = one.call;
            }
        }
    }
    template <class Mark>
    static void raise(Mark& mark, std::int64_t offset, std::uint32_t index) {
        if (mark.operation != no_operation && offset <= mark.offset) return;
        mark.offset = offset;
        mark.operation = index;
    }
    void note(std::vector<std::int64_t>& known, const KafkaRecord& record, std::int64_t at) const {
        std::int64_t& since = known[tables_.find(record.key, record.value)];
        since = std::min(since, at);
    }

    /// torn: of a transaction's values some are read and some are not, though they should have
    /// been: the log was read past them, or they were acknowledged and nobody ever saw them, or the
    /// whole known log of their key was read after the transaction had shown itself.
    void torn() {
        for (std::uint32_t i = 0; i < history_.operations.size(); ++i) {
            const KafkaOperation& one = operation(i);
            if (one.sends.size() < 2 || !tables_.committed[i]) continue;
            const KafkaRecord* shown = nullptr;
            std::int64_t proof = INT64_MAX;
            for (const KafkaRecord& record : one.sends) {
                const KafkaValue& value = tables_.of(record);
                if (value.reader == no_operation || operation(value.reader).ret > proof) continue;
                shown = &record;
                proof = operation(value.reader).ret;
            }
            if (shown == nullptr) continue;
            for (const KafkaRecord& record : one.sends) {
                const KafkaValue& value = tables_.of(record);
                if (value.reader != no_operation || options_.compacted) continue;
                const bool acked = one.outcome == Outcome::ok && value.acked >= 0;
                const bool passed = value.last != no_index && value.last <= max_read_[value.key];
                if (!acked && !passed && !read_to_end_after(value.key, proof)) continue;
                report_("torn", false,
                        fmt::format("of {} one part, {}, was read, and another, {}, never",
                                    tables_.name(one), tables_.name(*shown), tables_.name(record)));
                break;
            }
        }
    }
    /// Whether an ok operation that was invoked after event `proof` read the last known version.
    [[nodiscard]] bool read_to_end_after(std::uint32_t key, std::int64_t proof) {
        if (ends_.empty()) {
            ends_.assign(history_.texts.size(), -1);
            for (const KafkaOperation& one : history_.operations) {
                if (one.outcome != Outcome::ok) continue;
                for (const KafkaRecord& record : one.reads) {
                    if (tables_.of(record).last + 1 != tables_.versions[record.key]) continue;
                    ends_[record.key] = std::max(ends_[record.key], one.call);
                }
            }
        }
        return ends_[key] > proof;
    }

    /// double-consumption: two committed transactions of subscribed processes, which share a group,
    /// polled the same record.
    void groups() {
        if (!subscribed_) return;
        std::map<std::int64_t, bool> subscribed;
        std::map<std::uint32_t, std::uint32_t> consumed;  // value → operation
        for (const std::uint32_t index : by_return()) {
            const KafkaOperation& one = operation(index);
            if (one.function == KafkaFunction::assign) subscribed[one.process] = false;
            if (one.function == KafkaFunction::subscribe) subscribed[one.process] = true;
            if (one.function != KafkaFunction::txn || one.outcome != Outcome::ok) continue;
            if (!subscribed[one.process]) continue;
            for (const KafkaRecord& record : one.reads) {
                const auto [at, fresh] =
                    consumed.emplace(tables_.find(record.key, record.value), index);
                if (fresh || at->second == index) continue;
                report_("double-consumption", false,
                        fmt::format("{} was consumed by {} and by {}", tables_.name(record),
                                    tables_.name(operation(at->second)), tables_.name(one)));
            }
        }
    }

    const KafkaTables& tables_;
    const KafkaHistory& history_;
    const KafkaOptions& options_;
    const KafkaReport& report_;
    std::vector<std::int64_t> max_read_;  // by key
    std::vector<std::int64_t> ends_;      // by key: invocation of the last read of its last version
    bool subscribed_ = false;
};

}  // namespace

KafkaJudgement check_kafka(const KafkaHistory& history, const KafkaOptions& options) {
    KafkaJudgement out;
    std::map<std::string, std::size_t, std::less<>> counts;
    const KafkaReport report = [&](const char* name, bool lawful, std::string sentence) {
        if (!lawful) ++out.found;
        if (++counts[name] > options.kept_max) return;
        out.anomalies.push_back({name, lawful, std::move(sentence)});
    };
    bool any = false;
    for (const KafkaOperation& one : history.operations) {
        ++out.operations;
        out.sends += one.sends.size();
        out.records_read += one.reads.size();
        any = any || (one.ret != INT64_MAX && !(one.sends.empty() && one.reads.empty()));
    }
    if (!any) {
        report("empty-transaction-graph", false, "no operation sent or polled anything");
        return out;
    }
    const KafkaTables tables(history);
    Rules rules(tables, options, report);
    rules.run();
    find_cycles(tables, report);
    out.stale = rules.stale;
    std::stable_sort(out.anomalies.begin(), out.anomalies.end(),
                     [](const KafkaAnomaly& a, const KafkaAnomaly& b) { return a.name < b.name; });
    return out;
}

std::vector<std::string> kafka_anomaly_names() {
    return {"G0",
            "G0-process",
            "G0-realtime",
            "G1a",
            "G1c",
            "G1c-process",
            "G1c-realtime",
            "double-consumption",
            "duplicate",
            "empty-transaction-graph",
            "garbage-read",
            "inconsistent-offsets",
            "int-nonmonotonic-poll",
            "int-nonmonotonic-send",
            "int-poll-skip",
            "int-send-skip",
            "lost-write",
            "nonmonotonic-poll",
            "nonmonotonic-send",
            "poll-skip",
            "precommitted-read",
            "realtime-order",
            "stale-read",
            "torn",
            "unseen"};
}

}  // namespace klamm::checkers
