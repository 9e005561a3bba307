#pragma once
// The middle of the log checker (internal to checkers/): violations with their witnesses, what a
// permitted loss excuses, the mark, and binding a value to an offset, which is where INCONS, DUP
// and ORDER are found. What each kind of event does is in log_checker.cc.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "checkers/log_checker.h"
#include "checkers/log_state.h"
#include "checkers/violation.h"

namespace klamm::checkers {

/// Copies everything but the records, which may be many.
inline Event without_records(const Event& event, std::int32_t partition) {
    Event copy;
    copy.time = event.time;
    copy.client = event.client;
    copy.operation = event.operation;
    copy.kind = event.kind;
    copy.partition = partition;
    copy.outcome = event.outcome;
    copy.value = event.value;
    copy.acks = event.acks;
    copy.offset = event.offset;
    copy.epoch = event.epoch;
    copy.log_start = event.log_start;
    copy.high_watermark = event.high_watermark;
    return copy;
}

struct LogCore {
    explicit LogCore(Options given) : options(given) { values.push_back({}); }

    Options options;
    Totals totals;
    std::vector<Violation> violations;
    Chunks<Value, 10> values;  // [0] is nobody
    ValueTable value_index;
    OpenTable<OpenKey, Open, OpenKeyHash> open;
    Dense<Partition> partitions;
    Positions positions;
    std::int64_t time = 0;
    bool finals = false;
    bool finished = false;
    // Compacted partitions: what is known of keys, and who passed over records that have one.
    struct KeyTold {
        std::int64_t key = 0;
        bool deletes = false;
    };
    std::map<ValueIndex, KeyTold> keys;
    std::map<ValueIndex, Event> passed_keyed;  // the first poll that did
    std::map<std::pair<std::int32_t, std::int64_t>, ValueIndex> last_of_key;  // once it has ended

    // Witnesses.

    void report(Code code, std::int32_t partition, std::string sentence,
                std::vector<Event> events) {
        ++totals.violations;
        if (violations.size() >= options.violations_max) return;
        std::stable_sort(events.begin(), events.end(),
                         [](const Event& a, const Event& b) { return a.time < b.time; });
        violations.push_back({code, std::move(sentence), time, partition, std::move(events)});
    }
    static Event invoked_event(const Value& value) {
        Event event;
        event.time = value.invoked;
        event.client = value.client;
        event.operation = value.operation;
        event.kind = Kind::send_invoked;
        event.partition = value.partition;
        event.value = value.value;
        event.acks = value.acks;
        return event;
    }
    /// The halves of the send, and the poll that first showed it.
    static void add_events(std::vector<Event>& to, const Value& value) {
        to.push_back(invoked_event(value));
        if (value.returned >= 0) {
            Event event = invoked_event(value);
            event.kind = Kind::send_returned;
            event.time = value.returned;
            event.outcome = value.outcome;
            event.offset = value.acked_offset;
            to.push_back(event);
        }
        if (value.read >= 0) {
            Event event;
            event.time = value.read;
            event.client = value.reader;
            event.operation = value.read_operation;
            event.kind = Kind::poll_returned;
            event.partition = value.partition;
            event.records = {{value.offset, value.value}};
            to.push_back(event);
        }
    }
    static std::vector<Event> events_of(const Value& value) {
        std::vector<Event> events;
        add_events(events, value);
        return events;
    }
    void malformed(const Event& event, std::string sentence) {
        report(Code::malformed, event.partition, std::move(sentence), {event});
    }

    // Permitted losses and cuts.

    /// Whether what `value` shows at `offset` may have been lost lawfully after it was invoked.
    static bool excusable(const Partition& partition, const Value& value, std::int64_t offset) {
        if (value.excused && value.offset == offset) return true;
        for (std::size_t i = partition.losses.size(); i > value.losses_before; --i) {
            const OffsetRange& range = partition.losses[i - 1];
            if (range.from <= offset && offset < range.to) return true;
        }
        return false;
    }
    /// `place`, as far as it still says something after the cuts since `cuts_before`.
    static std::int64_t after_cuts(const Partition& partition, std::int64_t place,
                                   std::uint32_t cuts_before) {
        for (std::size_t i = cuts_before; i < partition.cuts.size(); ++i) {
            place = std::min(place, 2 * partition.cuts[i].end);
        }
        return place;
    }

    // The mark.

    static Witness witness_of(const Event& event) {
        return {event.time,  event.operation, event.client,    event.kind,
                event.epoch, event.offset,    event.log_start, event.high_watermark};
    }
    static Event event_of(const Witness& one, std::int32_t partition) {
        Event event;
        event.time = one.time;
        event.client = one.client;
        event.operation = one.operation;
        event.kind = one.kind;
        event.partition = partition;
        event.epoch = one.epoch;
        event.offset = one.offset;
        event.log_start = one.log_start;
        event.high_watermark = one.high_watermark;
        return event;
    }
    static void raise(Partition& partition, std::int64_t place, const Event& witness) {
        if (place <= partition.mark_place) return;
        partition.mark_place = place;
        partition.witnesses.push_back(witness_of(witness));
    }
    static std::uint32_t witness_now(const Partition& partition) {
        return static_cast<std::uint32_t>(partition.witnesses.size());
    }
    static void add_witness(std::vector<Event>& to, std::int32_t index, const Partition& partition,
                            std::uint32_t witness) {
        if (witness == 0) return;
        to.push_back(event_of(partition.witnesses[witness - 1], index));
    }
    /// A high watermark that was read: after a cut only as far as records written since bear it
    /// out, because a deposed leader may go on telling the old one.
    static std::int64_t tail_place(const Partition& partition, std::int64_t tail) {
        if (partition.cuts.empty()) return 2 * tail;
        return 2 * std::min(tail, std::max(partition.cuts.back().end, partition.fresh_end));
    }

    /// A record may not lie below what was complete before its send was invoked.
    void check_order(Partition& partition, Value& value, std::int64_t offset) {
        if (value.order_checked) return;
        value.order_checked = true;
        const std::int64_t mark = after_cuts(partition, value.mark, value.cuts_before);
        if (2 * offset + 1 > mark || excusable(partition, value, offset)) return;
        std::vector<Event> events = events_of(value);
        add_witness(events, value.partition, partition, value.mark_witness);
        report(
            Code::order, value.partition,
            fmt::format("value {} was sent at {} and lies at offset {}, although the log already "
                        "reached offset {} before that",
                        value.value, seconds_text(value.invoked), offset, mark / 2),
            std::move(events));
    }

    /// `value` is held to be at `offset`: INCONS, DUP, SKIP.
    void bind(Partition& partition, ValueIndex index, std::int64_t offset) {
        Value& value = values[index];
        const ValueIndex other_index = partition.slots.at(offset);
        if (other_index == index) return;
        if (other_index != value_none && !displace(partition, values[other_index], value, offset)) {
            return;
        }
        if (value.offset >= 0 && value.offset != offset &&
            !excusable(partition, value, value.offset)) {
            if (options.idempotent) {
                report(Code::dup, value.partition,
                       fmt::format("value {} is at offset {} and at offset {}", value.value,
                                   value.offset, offset),
                       events_of(value));
            } else {
                ++totals.duplicates;
            }
        }
        partition.slots.set(offset, index, value.value);
        if (value.offset < 0 || value.excused || offset == value.acked_offset) {
            value.offset = offset;
            value.excused = false;
        }
        if (value.losses_before == partition.losses.size()) {
            partition.fresh_end = std::max(partition.fresh_end, offset + 1);
        }
        check_gap(partition, value, offset);
    }

    /// Two values at one offset. Returns whether `value` takes the slot.
    bool displace(Partition& partition, Value& other, Value& value, std::int64_t offset) {
        const bool value_excused = excusable(partition, value, offset);
        const bool other_excused = excusable(partition, other, offset);
        if (other_excused) {
            excuse(other, offset);
            return true;
        }
        if (value_excused) {
            if (value.offset < 0) value.offset = offset;
            excuse(value, offset);
            return false;
        }
        std::vector<Event> events = events_of(other);
        add_events(events, value);
        report(
            Code::incons, value.partition,
            fmt::format("offset {} shows value {} and value {}", offset, other.value, value.value),
            std::move(events));
        return false;
    }
    void excuse(Value& value, std::int64_t offset) {
        if (value.excused || value.offset != offset) return;
        value.excused = true;
        ++totals.excused;
    }

    /// A poll that passed over `offset` before anybody knew of the record there.
    void check_gap(Partition& partition, const Value& value, std::int64_t offset) {
        auto gap = partition.gaps.upper_bound(offset);
        if (gap == partition.gaps.begin()) return;
        --gap;
        if (offset >= gap->second.to || excusable(partition, value, offset)) return;
        report_skip(gap->second.poll, value, offset);
    }
    void report_skip(const Event& poll, const Value& value, std::int64_t offset) {
        if (!keys.empty()) {
            // Whether a later record has its key, only the end knows.
            const ValueIndex index = value_index.find(value.value);
            if (keys.count(index) > 0) {
                passed_keyed.try_emplace(index, poll);
                return;
            }
        }
        std::vector<Event> events = events_of(value);
        events.push_back(poll);
        report(Code::skip, value.partition,
               fmt::format("a poll at {} jumped over offset {}, which holds value {}",
                           seconds_text(poll.time), offset, value.value),
               std::move(events));
    }
    /// Records known in [from, to), which `poll` passed over.
    void check_passed(Partition& partition, std::int64_t from, std::int64_t to, const Event& poll) {
        from = std::max(from, partition.log_start_max);
        for (std::int64_t at = partition.slots.next(from, to); at < to;
             at = partition.slots.next(at + 1, to)) {
            const Value& value = values[partition.slots.at(at)];
            if (excusable(partition, value, at)) continue;
            report_skip(poll, value, at);
            if (keys.empty()) return;  // one witness a poll is enough
        }
    }

    // Compaction.

    void key_told(const Event& event) {
        const ValueIndex found = value_index.find(event.value);
        if (found == value_none) {
            malformed(event, fmt::format("value {} has a key and was not sent", event.value));
            return;
        }
        keys[found] = {event.offset, event.acks == 1};
    }
    /// Which record of each key lies last, and who jumped over one that does.
    void end_keys() {
        for (const auto& [index, told] : keys) {
            const Value& value = values[index];
            if (value.offset < 0 || value.excused) continue;
            ValueIndex& last = last_of_key[{value.partition, told.key}];
            if (last == value_none || values[last].offset < value.offset) last = index;
        }
        for (const auto& [index, poll] : passed_keyed) {
            const Value& value = values[index];
            if (compactable(index)) continue;
            keys.erase(index);  // so that it is told
            report_skip(poll, value, value.offset);
        }
    }
    /// Whether compaction may have taken it: a later record has its key, or it deletes the key.
    [[nodiscard]] bool compactable(ValueIndex index) const {
        const auto told = keys.find(index);
        if (told == keys.end()) return false;
        const auto last = last_of_key.find({values[index].partition, told->second.key});
        if (last == last_of_key.end()) return false;
        return last->second != index || told->second.deletes;
    }
};

}  // namespace klamm::checkers
