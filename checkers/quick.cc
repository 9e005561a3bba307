// Each kind in two steps: gather what belongs to one value, then one sorted sweep. Numbers of
// events are distinct, so no comparison has to care for ties.
#include "checkers/quick.h"

#include <fmt/format.h>

#include <algorithm>

namespace klamm::checkers {

namespace {

constexpr std::uint32_t nobody = UINT32_MAX;

Quick wrong(std::string sentence, std::vector<std::uint32_t> witness,
            std::span<const Operation> operations) {
    std::erase(witness, nobody);
    std::sort(witness.begin(), witness.end(), [&](std::uint32_t a, std::uint32_t b) {
        return operations[a].call < operations[b].call;
    });
    witness.erase(std::unique(witness.begin(), witness.end()), witness.end());
    return {false, std::move(sentence), std::move(witness)};
}

/// Indices of operations in order of a value, then of the operations.
template <class ValueOf>
std::vector<std::uint32_t> by_value(std::span<const Operation> operations, ValueOf value_of) {
    std::vector<std::uint32_t> order(operations.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        const TextId one = value_of(operations[a]);
        const TextId other = value_of(operations[b]);
        return one != other ? one < other : a < b;
    });
    return order;
}

// Registers: a write and the reads of its value are a cluster. Between the first return and the
// last call of a cluster the register must hold the value (a forward zone); a cluster whose
// operations all overlap needs one instant between its last call and its first return (a backward
// zone).

struct Cluster {
    TextId value = nil;
    std::uint32_t write = nobody;
    std::uint32_t first_returned = nobody;  // of the write and the reads
    std::uint32_t last_called = nobody;
    std::int64_t returned = never;
    std::int64_t called = -1;

    void take(std::uint32_t index, const Operation& operation) {
        if (operation.ret < returned) {
            returned = operation.ret;
            first_returned = index;
        }
        if (operation.call > called || last_called == nobody) {
            called = operation.call;
            last_called = index;
        }
    }
    [[nodiscard]] bool forward() const { return returned < called; }
};

void add_cluster(std::vector<std::uint32_t>& to, const Cluster& cluster) {
    to.insert(to.end(), {cluster.write, cluster.first_returned, cluster.last_called});
}

}  // namespace

std::optional<Quick> quick_register(const OperationHistory& history,
                                    std::span<const Operation> operations) {
    const auto value_of = [](const Operation& one) {
        return one.function == Function::read ? one.output : one.input;
    };
    for (const Operation& one : operations) {
        if (one.function == Function::write && one.input == nil) return std::nullopt;
        if (one.function != Function::write && one.function != Function::read) return std::nullopt;
    }
    std::vector<Cluster> forwards;
    std::vector<Cluster> backwards;
    const std::vector<std::uint32_t> order = by_value(operations, value_of);
    Quick bad;
    for (std::size_t i = 0; i < order.size();) {
        Cluster cluster;
        cluster.value = value_of(operations[order[i]]);
        std::size_t end = i;
        std::uint32_t early = nobody;  // the read that returned first
        for (; end < order.size() && value_of(operations[order[end]]) == cluster.value; ++end) {
            const std::uint32_t index = order[end];
            const Operation& one = operations[index];
            cluster.take(index, one);
            if (one.function == Function::read) {
                if (early == nobody || one.ret < operations[early].ret) early = index;
                continue;
            }
            if (cluster.write != nobody) return std::nullopt;  // written twice
            cluster.write = index;
        }
        i = end;
        if (cluster.value == nil) {
            cluster.returned = -1;  // the register begins with it
            cluster.first_returned = nobody;
        } else if (cluster.write == nobody) {
            bad = wrong(
                fmt::format("{} was read, and nobody had written it", history.texts[cluster.value]),
                {early}, operations);
            continue;
        }
        if (early == nobody && operations[order[end - 1]].ret == never) continue;  // never seen
        if (cluster.write != nobody && early != nobody &&
            operations[early].ret < operations[cluster.write].call) {
            bad = wrong(
                fmt::format("{} was read before it was written", history.texts[cluster.value]),
                {early, cluster.write}, operations);
        }
        (cluster.forward() ? forwards : backwards).push_back(cluster);
    }
    if (!bad.legal) return bad;
    std::sort(forwards.begin(), forwards.end(),
              [](const Cluster& a, const Cluster& b) { return a.returned < b.returned; });
    for (std::size_t i = 1; i < forwards.size(); ++i) {
        const Cluster& one = forwards[i - 1];
        const Cluster& other = forwards[i];
        if (other.returned > one.called) continue;
        std::vector<std::uint32_t> witness;
        add_cluster(witness, one);
        add_cluster(witness, other);
        return wrong(fmt::format("the register had to hold {} and {} at one time",
                                 history.texts[one.value], history.texts[other.value]),
                     witness, operations);
    }
    for (const Cluster& one : backwards) {
        auto zone = std::upper_bound(
            forwards.begin(), forwards.end(), one.called,
            [](std::int64_t called, const Cluster& other) { return called < other.returned; });
        if (zone == forwards.begin()) continue;
        --zone;
        if (zone->called < one.returned) continue;
        std::vector<std::uint32_t> witness;
        add_cluster(witness, one);
        add_cluster(witness, *zone);
        return wrong(fmt::format("{} had its only time while the register had to hold {}",
                                 history.texts[one.value], history.texts[zone->value]),
                     witness, operations);
    }
    return Quick{};
}

namespace {

struct Element {
    std::uint32_t in = nobody;
    std::uint32_t out = nobody;
    std::int64_t in_called = -1;
    std::int64_t in_returned = never;
    std::int64_t out_called = never;
    std::int64_t out_returned = never;
};

/// First in, first out: who was surely enqueued before is not dequeued surely after.
std::optional<Quick> queue_order(const OperationHistory& history,
                                 std::span<const Operation> operations,
                                 const std::vector<Element>& elements) {
    std::vector<const Element*> by_return;
    std::vector<const Element*> by_call;
    for (const Element& one : elements) {
        by_return.push_back(&one);
        if (one.out != nobody) by_call.push_back(&one);
    }
    std::sort(by_return.begin(), by_return.end(),
              [](const Element* a, const Element* b) { return a->in_returned < b->in_returned; });
    std::sort(by_call.begin(), by_call.end(),
              [](const Element* a, const Element* b) { return a->in_called < b->in_called; });
    const Element* latest = nullptr;
    std::size_t next = 0;
    for (const Element* one : by_call) {
        for (; next < by_return.size() && by_return[next]->in_returned < one->in_called; ++next) {
            if (latest == nullptr || by_return[next]->out_called > latest->out_called) {
                latest = by_return[next];
            }
        }
        if (latest == nullptr || latest->out_called < one->out_returned) continue;
        return wrong(fmt::format("{} was dequeued although {} had been enqueued before it and was "
                                 "still there",
                                 history.texts[operations[one->in].input],
                                 history.texts[operations[latest->in].input]),
                     {one->in, one->out, latest->in, latest->out}, operations);
    }
    return std::nullopt;
}

/// Nobody finds the queue empty while some element is surely in it all the time.
std::optional<Quick> queue_empty(std::span<const Operation> operations,
                                 std::vector<Element> elements) {
    std::erase_if(elements, [](const Element& one) { return one.in_returned > one.out_called; });
    std::sort(elements.begin(), elements.end(),
              [](const Element& a, const Element& b) { return a.in_returned < b.in_returned; });
    // For each stretch of full time, its ends and its first element.
    struct Stretch {
        std::int64_t from;
        std::int64_t to;
        std::size_t first;
    };
    std::vector<Stretch> full;
    for (std::size_t i = 0; i < elements.size(); ++i) {
        const Element& one = elements[i];
        if (full.empty() || one.in_returned > full.back().to) {
            full.push_back({one.in_returned, one.out_called, i});
        } else {
            full.back().to = std::max(full.back().to, one.out_called);
        }
    }
    for (std::uint32_t index = 0; index < operations.size(); ++index) {
        const Operation& empty = operations[index];
        if (empty.function != Function::dequeue || empty.output != nil) continue;
        auto at = std::upper_bound(
            full.begin(), full.end(), empty.call,
            [](std::int64_t call, const Stretch& stretch) { return call < stretch.from; });
        if (at == full.begin()) continue;
        --at;
        if (at->to < empty.ret) continue;
        std::vector<std::uint32_t> witness{index};
        std::int64_t reached = empty.call;
        for (std::size_t i = at->first; reached < empty.ret;) {
            const Element* best = nullptr;
            for (; i < elements.size() && elements[i].in_returned < reached; ++i) {
                if (best == nullptr || elements[i].out_called > best->out_called) {
                    best = &elements[i];
                }
            }
            if (best == nullptr || best->out_called <= reached) break;
            reached = best->out_called;
            witness.insert(witness.end(), {best->in, best->out});
        }
        return wrong("the queue was found empty although something was in it all the while",
                     witness, operations);
    }
    return std::nullopt;
}

}  // namespace

std::optional<Quick> quick_queue(const OperationHistory& history,
                                 std::span<const Operation> operations) {
    const auto value_of = [](const Operation& one) {
        return one.function == Function::enqueue ? one.input : one.output;
    };
    for (const Operation& one : operations) {
        if (one.function == Function::enqueue && one.input == nil) return std::nullopt;
        if (one.function == Function::dequeue && one.ret == never) return std::nullopt;
        if (one.function != Function::enqueue && one.function != Function::dequeue) {
            return std::nullopt;
        }
    }
    std::vector<Element> elements;
    const std::vector<std::uint32_t> order = by_value(operations, value_of);
    Quick bad;
    for (std::size_t i = 0; i < order.size();) {
        const TextId value = value_of(operations[order[i]]);
        Element element;
        std::uint32_t again = nobody;
        for (; i < order.size() && value_of(operations[order[i]]) == value; ++i) {
            const Operation& one = operations[order[i]];
            if (value == nil) continue;
            if (one.function == Function::dequeue) {
                if (element.out != nobody) again = element.out;
                element.out = order[i];
                element.out_called = one.call;
                element.out_returned = one.ret;
                continue;
            }
            if (element.in != nobody) return std::nullopt;
            element.in = order[i];
            element.in_called = one.call;
            element.in_returned = one.ret;
        }
        if (value == nil) continue;
        const std::string& text = history.texts[value];
        if (element.in == nobody) {
            bad = wrong(fmt::format("{} was dequeued, and nobody had enqueued it", text),
                        {element.out}, operations);
        } else if (again != nobody) {
            bad = wrong(fmt::format("{} was enqueued once and dequeued twice", text),
                        {element.in, again, element.out}, operations);
        } else if (element.out_returned < element.in_called) {
            bad = wrong(fmt::format("{} was dequeued before it was enqueued", text),
                        {element.in, element.out}, operations);
        }
        if (element.out == nobody && element.in_returned == never) continue;  // never seen
        elements.push_back(element);
    }
    if (!bad.legal) return bad;
    if (auto found = queue_order(history, operations, elements)) return found;
    if (auto found = queue_empty(operations, std::move(elements))) return found;
    return Quick{};
}

std::optional<Quick> quick_set(const OperationHistory& history,
                               std::span<const Operation> operations) {
    std::vector<std::uint32_t> reads;
    std::vector<std::uint32_t> adds;
    for (std::uint32_t i = 0; i < operations.size(); ++i) {
        const Function function = operations[i].function;
        if (function != Function::read && function != Function::add) return std::nullopt;
        (function == Function::read ? reads : adds).push_back(i);
    }
    const auto element = [&](std::uint32_t add) { return operations[add].input; };
    std::sort(adds.begin(), adds.end(),
              [&](std::uint32_t a, std::uint32_t b) { return element(a) < element(b); });
    for (std::size_t i = 1; i < adds.size(); ++i) {
        if (element(adds[i - 1]) == element(adds[i])) return std::nullopt;
    }
    const auto list = [&](std::uint32_t read) -> const std::vector<TextId>& {
        return history.lists[operations[read].list];
    };
    std::sort(reads.begin(), reads.end(), [&](std::uint32_t a, std::uint32_t b) {
        return list(a).size() != list(b).size() ? list(a).size() < list(b).size() : a < b;
    });
    // An answer is at place 2k for the k-th different one; what it shows first is just below it.
    std::vector<std::int64_t> places(operations.size(), 0);
    std::vector<std::int64_t> add_places(adds.size(), INT64_MAX - 1);
    std::int64_t place = 0;
    for (std::size_t i = 0; i < reads.size(); ++i) {
        const std::vector<TextId>& now = list(reads[i]);
        static const std::vector<TextId> nothing;
        const std::vector<TextId>& before = i == 0 ? nothing : list(reads[i - 1]);
        if (now != before) place += 2;
        places[reads[i]] = place;
        if (now == before) continue;
        if (!std::includes(now.begin(), now.end(), before.begin(), before.end())) {
            return wrong("two reads each show what the other does not", {reads[i - 1], reads[i]},
                         operations);
        }
        for (std::size_t n = 0, b = 0; n < now.size(); ++n) {
            if (b < before.size() && before[b] == now[n]) {
                ++b;
                continue;
            }
            const auto add = std::lower_bound(
                adds.begin(), adds.end(), now[n],
                [&](std::uint32_t one, TextId value) { return element(one) < value; });
            if (add == adds.end() || element(*add) != now[n] || (n > 0 && now[n - 1] == now[n])) {
                return wrong(fmt::format("a read shows {} more often than it was added",
                                         history.texts[now[n]]),
                             {reads[i]}, operations);
            }
            add_places[static_cast<std::size_t>(add - adds.begin())] = place - 1;
        }
    }
    std::vector<std::uint32_t> order;  // operations that took place
    for (const std::uint32_t read : reads) order.push_back(read);
    for (std::size_t i = 0; i < adds.size(); ++i) {
        places[adds[i]] = add_places[i];
        const bool shown = add_places[i] != INT64_MAX - 1;
        if (shown || operations[adds[i]].ret != never) order.push_back(adds[i]);
    }
    std::vector<std::uint32_t> by_return = order;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return operations[a].call < operations[b].call;
    });
    std::sort(by_return.begin(), by_return.end(), [&](std::uint32_t a, std::uint32_t b) {
        return operations[a].ret < operations[b].ret;
    });
    std::uint32_t furthest = nobody;
    std::size_t next = 0;
    for (const std::uint32_t one : order) {
        for (; operations[by_return[next]].ret < operations[one].call; ++next) {
            if (furthest == nobody || places[by_return[next]] > places[furthest]) {
                furthest = by_return[next];
            }
        }
        if (furthest == nobody || places[furthest] <= places[one]) continue;
        return wrong(fmt::format("\"{}\" comes before \"{}\" by what the reads show, and after it "
                                 "by the clock",
                                 describe(history, operations[one]),
                                 describe(history, operations[furthest])),
                     {one, furthest}, operations);
    }
    return Quick{};
}

}  // namespace klamm::checkers
