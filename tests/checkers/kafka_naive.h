#pragma once
// The rules of the Kafka checker once more, by brute force: a second program that knows no tables,
// sorts or components. Each rule is asked of every pair of operations, versions or records, and
// cycles of every path. For histories of two keys (ids 0 and 1) and a handful of operations.

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkers/kafka_checker.h"

namespace klamm::checkers {

/// The naive program.
struct Naive {
    const KafkaHistory& history;
    const std::vector<KafkaOperation>& all = history.operations;
    std::set<std::string> found;
    bool subscribed = false;

    static bool returned(const KafkaOperation& one) { return one.ret != INT64_MAX; }
    static bool ok(const KafkaOperation& one) { return one.outcome == Outcome::ok; }
    static bool same(const KafkaRecord& a, const KafkaRecord& b) {
        return a.key == b.key && a.value == b.value;
    }
    bool read_ok(const KafkaRecord& record) const {
        for (const auto& one : all) {
            for (const auto& read : one.reads) {
                if (ok(one) && same(read, record)) return true;
            }
        }
        return false;
    }
    bool committed(const KafkaOperation& one) const {
        if (one.outcome != Outcome::unknown) return ok(one);
        return std::any_of(one.sends.begin(), one.sends.end(),
                           [&](const KafkaRecord& record) { return read_ok(record); });
    }
    const KafkaOperation* writer(const KafkaRecord& record) const {
        for (const auto& one : all) {
            for (const auto& sent : one.sends) {
                if (same(sent, record)) return &one;
            }
        }
        return nullptr;
    }
    std::vector<KafkaRecord> seen() const {
        std::vector<KafkaRecord> out;
        for (const auto& one : all) {
            out.insert(out.end(), one.reads.begin(), one.reads.end());
            if (!committed(one)) continue;
            for (const auto& sent : one.sends) {
                if (sent.offset >= 0) out.push_back(sent);
            }
        }
        return out;
    }
    /// Offsets below `offset` where anything of its key was seen.
    std::int64_t rank(std::uint32_t key, std::int64_t offset) const {
        std::set<std::int64_t> below;
        for (const auto& each : seen()) {
            if (each.key == key && each.offset < offset) below.insert(each.offset);
        }
        return static_cast<std::int64_t>(below.size());
    }
    std::int64_t index(const KafkaRecord& record, bool last) const {
        std::int64_t at = -1;
        for (const auto& each : seen()) {
            if (!same(each, record)) continue;
            const std::int64_t one = rank(each.key, each.offset);
            if (at == -1 || (last ? one > at : one < at)) at = one;
        }
        return at;
    }
    std::int64_t distance(const KafkaRecord& a, const KafkaRecord& b) const {
        const std::int64_t from = index(a, true);
        const std::int64_t to = index(b, true);
        return from < 0 || to < 0 ? 1 : to - from;
    }

    void run() {
        for (const auto& one : all) {
            subscribed = subscribed || one.function == KafkaFunction::subscribe;
        }
        records();
        for (const auto& one : all) {
            if (returned(one)) inside(one);
        }
        for (const auto& one : all) after(one);
        times();
        torn();
        cycles();
    }
    void records() {
        for (const auto& a : seen()) {
            for (const auto& b : seen()) {
                if (a.key != b.key) continue;
                if (a.offset == b.offset && a.value != b.value)
                    found.insert("inconsistent-offsets");
                if (a.offset != b.offset && a.value == b.value) found.insert("duplicate");
            }
        }
        for (const auto& one : all) {
            for (const auto& read : one.reads) {
                const KafkaOperation* by = writer(read);
                if (by == nullptr) found.insert("garbage-read");
                if (by != nullptr && by->outcome == Outcome::failed && ok(one)) found.insert("G1a");
            }
            for (const auto& sent : one.sends) {
                if (!committed(one) || read_ok(sent)) continue;
                if (passed(sent)) {
                    found.insert("lost-write");
                } else if (ok(one)) {
                    found.insert("unseen");
                }
            }
        }
    }
    /// Whether an ok operation has read the key at or past the last place of this.
    bool passed(const KafkaRecord& sent) const {
        const std::int64_t at = index(sent, true);
        for (const auto& one : all) {
            for (const auto& read : one.reads) {
                if (ok(one) && at >= 0 && read.key == sent.key && index(read, false) >= at) {
                    return true;
                }
            }
        }
        return false;
    }
    void inside(const KafkaOperation& one) {
        for (const auto& read : one.reads) {
            for (const auto& sent : one.sends) {
                if (same(read, sent)) found.insert("precommitted-read");
            }
        }
        pairs(one, one.reads, "int-poll-skip", "int-nonmonotonic-poll");
        if (one.outcome != Outcome::failed) {
            pairs(one, one.sends, "(int-send-skip)", "int-nonmonotonic-send");
        }
    }
    void pairs(const KafkaOperation& one, const std::vector<KafkaRecord>& records, const char* skip,
               const char* back) {
        for (std::size_t i = 0; i < records.size(); ++i) {
            for (std::size_t j = i + 1; j < records.size(); ++j) {
                if (records[i].key != records[j].key) continue;
                const bool moved =
                    std::count(one.rebalanced.begin(), one.rebalanced.end(), records[i].key) > 0;
                const std::int64_t step = distance(records[i], records[j]);
                if (!moved && step > 1) found.insert(skip);
                if (!moved && step < 1) found.insert(back);
                break;
            }
        }
    }
    static const KafkaRecord* first_of(const std::vector<KafkaRecord>& records, std::uint32_t key) {
        for (const auto& one : records) {
            if (one.key == key) return &one;
        }
        return nullptr;
    }
    static const KafkaRecord* last_of(const std::vector<KafkaRecord>& records, std::uint32_t key) {
        const KafkaRecord* last = nullptr;
        for (const auto& one : records) {
            if (one.key == key) last = &one;
        }
        return last;
    }
    /// Looks back from `one` along its process, key by key.
    void after(const KafkaOperation& one) {
        if (!returned(one)) return;
        for (std::uint32_t key = 0; key < 2; ++key) {
            const KafkaRecord* read = first_of(one.reads, key);
            const KafkaRecord* sent =
                one.outcome == Outcome::failed ? nullptr : first_of(one.sends, key);
            for (std::size_t i = all.size(); i-- > 0;) {
                const KafkaOperation& before = all[i];
                if (before.process != one.process || before.ret >= one.ret) continue;
                const bool assigns = before.function == KafkaFunction::assign ||
                                     before.function == KafkaFunction::subscribe;
                if (assigns && std::count(before.keys.begin(), before.keys.end(), key) == 0) {
                    read = nullptr;
                }
                const KafkaRecord* last = last_of(before.reads, key);
                if (read != nullptr && last != nullptr && ok(before)) {
                    const std::int64_t step = distance(*last, *read);
                    const auto name = [&](const std::string& plain) {
                        return subscribed ? "(" + plain + ")" : plain;
                    };
                    if (step > 1) found.insert(name("poll-skip"));
                    if (step < 1) found.insert(name("nonmonotonic-poll"));
                    read = nullptr;
                }
                last = last_of(before.sends, key);
                if (sent != nullptr && last != nullptr && before.outcome != Outcome::failed) {
                    if (distance(*last, *sent) < 1) found.insert("nonmonotonic-send");
                    sent = nullptr;
                }
            }
        }
    }
    void times() {
        std::map<std::pair<std::uint32_t, std::uint32_t>, const KafkaOperation*> consumed;
        for (const auto& later : all) {
            for (const auto& earlier : all) {
                if (earlier.ret >= later.call) continue;
                for (const auto& sent : later.sends) {
                    if (!ok(later) || sent.offset < 0) continue;
                    for (const auto& other : earlier.sends) {
                        if (ok(earlier) && other.key == sent.key && other.offset >= sent.offset) {
                            found.insert("realtime-order");
                        }
                    }
                    for (const auto& other : earlier.reads) {
                        if (other.key == sent.key && other.offset >= sent.offset) {
                            found.insert("realtime-order");
                        }
                    }
                }
            }
            for (const auto& other : all) {
                if (&later == &other || !consumes(later) || !consumes(other)) continue;
                for (const auto& a : later.reads) {
                    for (const auto& b : other.reads) {
                        if (same(a, b)) found.insert("double-consumption");
                    }
                }
            }
        }
    }
    bool consumes(const KafkaOperation& one) const {
        if (one.function != KafkaFunction::txn || !ok(one) || !returned(one)) return false;
        const KafkaOperation* last = nullptr;
        for (const auto& each : all) {
            const bool assigns =
                each.function == KafkaFunction::assign || each.function == KafkaFunction::subscribe;
            if (!assigns || each.process != one.process || each.ret >= one.ret) continue;
            if (last == nullptr || each.ret > last->ret) last = &each;
        }
        return last != nullptr && last->function == KafkaFunction::subscribe;
    }
    void torn() {
        for (const auto& one : all) {
            if (!committed(one)) continue;
            std::int64_t proof = INT64_MAX;
            for (const auto& sent : one.sends) {
                for (const auto& reader : all) {
                    for (const auto& read : reader.reads) {
                        if (ok(reader) && same(read, sent)) proof = std::min(proof, reader.ret);
                    }
                }
            }
            if (proof == INT64_MAX) continue;
            for (const auto& sent : one.sends) {
                if (read_ok(sent)) continue;
                const bool acked = ok(one) && sent.offset >= 0;
                if (acked || passed(sent) || ended(sent.key, proof)) found.insert("torn");
            }
        }
    }
    bool ended(std::uint32_t key, std::int64_t proof) const {
        std::int64_t last = -1;
        for (const auto& each : seen()) {
            if (each.key == key) last = std::max(last, each.offset);
        }
        for (const auto& one : all) {
            for (const auto& read : one.reads) {
                if (!ok(one) || one.call <= proof || read.key != key) continue;
                for (const auto& each : seen()) {
                    if (same(each, read) && each.offset == last) return true;
                }
            }
        }
        return false;
    }

    // Cycles: every path, from every operation.
    enum : unsigned { ww = 1, wr = 2, process = 4, realtime = 8 };
    unsigned edges(const KafkaOperation& a, const KafkaOperation& b) const {
        if (&a == &b || !committed(a) || !committed(b)) return 0;
        unsigned types = 0;
        for (const auto& sent : a.sends) {
            for (const auto& read : b.reads) {
                if (same(sent, read)) types |= wr;
            }
            for (const auto& next : b.sends) {
                if (sent.key != next.key) continue;
                for (const auto& x : seen()) {
                    for (const auto& y : seen()) {
                        if (same(x, sent) && same(y, next) &&
                            rank(x.key, x.offset) + 1 == rank(y.key, y.offset)) {
                            types |= ww;
                        }
                    }
                }
            }
        }
        const bool acts =
            !(b.sends.empty() && b.reads.empty()) && !(a.sends.empty() && a.reads.empty());
        if (ok(a) && acts && a.ret < b.call) {
            types |= realtime;
            if (a.process == b.process) types |= process;
        }
        return types;
    }
    void cycles() {
        std::vector<std::vector<unsigned>> edge(all.size(), std::vector<unsigned>(all.size()));
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (std::size_t j = 0; j < all.size(); ++j) edge[i][j] = edges(all[i], all[j]);
        }
        const auto exists = [&](unsigned types, unsigned needed) {
            // Walks that use each needed type and come back; at most all operations twice.
            std::function<bool(std::size_t, std::size_t,
                               std::set<std::pair<std::size_t, unsigned>>&, unsigned)>
                walk = [&](std::size_t start, std::size_t at,
                           std::set<std::pair<std::size_t, unsigned>>& been, unsigned used) {
                    for (std::size_t next = 0; next < all.size(); ++next) {
                        for (unsigned type = 1; type < 16; type *= 2) {
                            if ((edge[at][next] & types & type) == 0) continue;
                            const unsigned now = used | type;
                            if (next == start && (now & needed) == needed) return true;
                            if (!been.emplace(next, now).second) continue;
                            if (walk(start, next, been, now)) return true;
                        }
                    }
                    return false;
                };
            for (std::size_t i = 0; i < all.size(); ++i) {
                std::set<std::pair<std::size_t, unsigned>> been;
                if (walk(i, i, been, 0)) return true;
            }
            return false;
        };
        if (exists(wr, wr)) found.insert("G1c");
        if (exists(wr | process, wr | process)) found.insert("G1c-process");
        if (exists(wr | realtime, wr | realtime)) found.insert("G1c-realtime");
        if (exists(ww, ww)) found.insert("(G0)");
        if (exists(ww | process, ww | process)) found.insert("(G0-process)");
        if (exists(ww | realtime, ww | realtime)) found.insert("(G0-realtime)");
        if (exists(ww | wr, ww | wr)) found.insert("(G1c)");
    }
};

}  // namespace klamm::checkers
