// The sweep. Each event finds its partition, values and open operation by lookup, is held to the
// rules that its kind has, and moves the mark; the sentences are at the end of each rule.
#include "checkers/log_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "checkers/log_core.h"
#include "core/base/assert.h"

namespace klamm::checkers {

namespace {

constexpr std::size_t latest_epochs_max = 8;  // older ones are folded into the oldest kept

}  // namespace

struct LogChecker::State : LogCore {
    using LogCore::LogCore;

    // Sends.

    void send_invoked(const Event& event) {
        ++totals.sends;
        Partition& partition = partitions[event.partition];
        const auto index = static_cast<ValueIndex>(values.size());
        if (!value_index.add(event.value, index)) {
            malformed(event, fmt::format("value {} is sent twice", event.value));
            return;
        }
        Value value;
        value.value = event.value;
        value.partition = event.partition;
        value.client = event.client;
        value.operation = event.operation;
        value.invoked = event.time;
        value.acks = event.acks;
        value.losses_before = static_cast<std::uint32_t>(partition.losses.size());
        value.cuts_before = static_cast<std::uint32_t>(partition.cuts.size());
        value.mark = partition.mark_place;
        value.mark_witness = witness_now(partition);
        values.push_back(value);
        Open row;
        row.kind = Kind::send_invoked;
        row.partition = event.partition;
        row.time = event.time;
        row.value = index;
        open_row(event, row);
    }
    void send_returned(const Event& event, const Open& row) {
        Partition& partition = partitions[row.partition];
        Value& value = values[row.value];
        value.returned = event.time;
        value.outcome = event.outcome;
        if (event.outcome == Outcome::failed && value.read >= 0) report_ghost(value);
        if (event.outcome != Outcome::ok) return;
        ++totals.acknowledged;
        if (value.acks == 0) return;
        if (event.offset < 0) {
            malformed(event, "a send was acknowledged without an offset");
            return;
        }
        value.acked_offset = event.offset;
        if (value.acks != -1) return;  // soft: binds when somebody reads it
        check_order(partition, value, event.offset);
        bind(partition, row.value, event.offset);
        if (!excusable(partition, value, event.offset)) {
            raise(partition, 2 * event.offset + 1, event);
        }
    }
    void report_ghost(const Value& value) {
        report(Code::ghost, value.partition,
               fmt::format("value {} was read, although its send failed at {}", value.value,
                           seconds_text(value.returned)),
               events_of(value));
    }

    // Polls.

    void poll_invoked(const Event& event) {
        ++totals.polls;
        Partition& partition = partitions[event.partition];
        Open row;
        row.kind = Kind::poll_invoked;
        row.partition = event.partition;
        row.time = event.time;
        row.offset = event.offset;
        row.mark = partition.mark_place;
        row.mark_witness = witness_now(partition);
        row.cuts_before = static_cast<std::uint32_t>(partition.cuts.size());
        open_row(event, row);
        Position& position = positions.of(event.client, event.partition);
        if (position.next < 0 || event.offset == position.next) return;
        if (event.offset < position.next) {
            report(Code::nonmono, event.partition,
                   fmt::format("client {} polls from offset {}, although it had come to offset {} "
                               "and was told of no reset",
                               event.client, event.offset, position.next),
                   {event_of(position.last, event.partition), event});
        } else {
            check_passed(partition, position.next, event.offset, event);
        }
    }
    void poll_returned(const Event& event, const Open& row) {
        if (event.outcome != Outcome::ok) return;
        Partition& partition = partitions[row.partition];
        partition.log_start_max = std::max(partition.log_start_max, event.log_start);
        Position& position = positions.of(event.client, row.partition);
        learn_losses(partition, position);
        std::int64_t next = row.offset;
        std::int64_t place = event.high_watermark >= 0 ? 2 * event.high_watermark : -1;
        std::int64_t raised = event.high_watermark >= 0 ? tail_place(partition, place / 2) : -1;
        totals.records_read += event.records.size();
        const bool may_settle = partition.losses.empty() && options.slip == Slip::none;
        for (const Record& record : event.records) {
            // Most records are read by many; all but the first time says nothing new.
            if (may_settle && record.offset == next) {
                const Slots::Slot* known = partition.slots.slot(next);
                if (known != nullptr && known->settled && known->value == record.value &&
                    (known->settled_finally || !finals)) {
                    place = std::max(place, 2 * next + 1);
                    raised = std::max(raised, 2 * next + 1);
                    ++next;
                    continue;
                }
            }
            if (slips(options.slip, Slip::checker_skips_last_record) &&
                &record == &event.records.back()) {
                --totals.records_read;
                break;
            }
            if (record.offset < next) {
                report(Code::nonmono, row.partition,
                       fmt::format("a poll from offset {} shows offset {} after it had come to {}",
                                   row.offset, record.offset, next),
                       {without_records(event, row.partition)});
                continue;
            }
            if (record.offset > next) passed_over(partition, next, record.offset, event, row);
            next = record.offset + 1;
            place = std::max(place, 2 * record.offset + 1);
            if (read(partition, position, record, event, row)) {
                raised = std::max(raised, 2 * record.offset + 1);
            }
        }
        check_stale(partition, event, row, place);
        raise(partition, after_cuts(partition, raised, row.cuts_before), event);
        position.next = next;
        position.last = witness_of(event);
        position.last.offset = next;
    }
    /// One record of a poll. Returns whether it says how far the log has come.
    bool read(Partition& partition, Position& position, const Record& record, const Event& event,
              const Open& row) {
        const ValueIndex found = value_index.find(record.value);
        if (found == value_none || values[found].partition != row.partition) {
            report(Code::garbage, row.partition,
                   fmt::format("offset {} shows value {}, which nobody has sent there",
                               record.offset, record.value),
                   {without_records(event, row.partition)});
            return false;
        }
        Value& value = values[found];
        const bool first = value.read < 0;
        if (first) {
            value.read = event.time;
            value.reader = event.client;
            value.read_operation = event.operation;
            if (value.returned >= 0 && value.outcome == Outcome::failed) report_ghost(value);
        }
        bind(partition, found, record.offset);
        check_order(partition, value, record.offset);
        if (finals && partition.slots.at(record.offset) == found && record.offset == value.offset) {
            value.seen_finally = true;
        }
        if (position.lost_from >= 0 && options.untold &&
            value.losses_before == partition.losses.size()) {
            report(
                Code::untold, row.partition,
                fmt::format("client {} had read offset {}, which was lost, and goes on at offset "
                            "{} without being told",
                            event.client, position.lost_from, record.offset),
                {event_of(position.last, row.partition), without_records(event, row.partition)});
            position.lost_from = -1;
        }
        if (partition.slots.at(record.offset) == found && record.offset == value.offset &&
            partition.losses.empty()) {
            Slots::Slot& slot = *partition.slots.slot(record.offset);
            slot.settled = true;
            slot.settled_finally = finals;
        }
        return !excusable(partition, value, record.offset);
    }
    /// Losses since the consumer's last poll that took what it had read.
    static void learn_losses(const Partition& partition, Position& position) {
        for (; position.losses_before < partition.losses.size(); ++position.losses_before) {
            const OffsetRange& range = partition.losses[position.losses_before];
            if (position.next <= range.from) continue;
            if (position.lost_from < 0 || range.from < position.lost_from) {
                position.lost_from = range.from;
            }
        }
    }
    void passed_over(Partition& partition, std::int64_t from, std::int64_t to, const Event& event,
                     const Open& row) {
        Event poll = without_records(event, row.partition);
        poll.offset = row.offset;
        check_passed(partition, from, to, poll);
        from = std::max(from, partition.log_start_max);  // what was there is gone, lawfully
        if (from >= to) return;
        // Gaps stay disjoint, so that the one that holds an offset is found.
        auto next = partition.gaps.upper_bound(from);
        if (next != partition.gaps.begin()) {
            const Gap& before = std::prev(next)->second;
            if (before.to >= to) return;
            from = std::max(from, before.to);
        }
        while (next != partition.gaps.end() && next->first < to) {
            if (next->second.to > to) {
                to = next->first;
                break;
            }
            next = partition.gaps.erase(next);
        }
        if (from < to) partition.gaps[from] = {to, std::move(poll)};
    }
    void check_stale(Partition& partition, const Event& event, const Open& row,
                     std::int64_t place) {
        const std::int64_t mark = after_cuts(partition, row.mark, row.cuts_before);
        if (event.high_watermark < 0 && event.kind == Kind::poll_returned) return;
        if (place >= mark) return;
        if (options.reads == Reads::kafka) {
            ++totals.stale;
            return;
        }
        std::vector<Event> events{without_records(event, row.partition)};
        add_witness(events, row.partition, partition, row.mark_witness);
        report(Code::stale, row.partition,
               fmt::format("the answer to a {} invoked at {} ends at offset {}, although the log "
                           "already reached offset {} before that",
                           event.kind == Kind::poll_returned ? "poll" : "LATEST",
                           seconds_text(row.time), place / 2, (mark + 1) / 2),
               std::move(events));
    }

    // LATEST.

    void latest_invoked(const Event& event) {
        Partition& partition = partitions[event.partition];
        Open row;
        row.kind = Kind::latest_invoked;
        row.partition = event.partition;
        row.time = event.time;
        row.mark = partition.mark_place;
        row.mark_witness = witness_now(partition);
        row.cuts_before = static_cast<std::uint32_t>(partition.cuts.size());
        row.latest_before = partition.latest_count;
        open_row(event, row);
    }
    void latest_returned(const Event& event, const Open& row) {
        if (event.outcome != Outcome::ok) return;
        Partition& partition = partitions[row.partition];
        if (event.offset < 0) {
            malformed(event, "LATEST was answered without an offset");
            return;
        }
        check_regress(partition, event, row);
        check_stale(partition, event, row, 2 * event.offset);
        raise(partition,
              after_cuts(partition, tail_place(partition, event.offset), row.cuts_before), event);
        std::int64_t kept = event.offset;
        for (const Cut& cut : partition.cuts) {
            if (event.epoch < cut.epoch) kept = std::min(kept, cut.end);
        }
        auto& answers = partition.latest[event.epoch];
        if (answers.empty() || kept > answers.back().offset) {
            answers.push_back(
                {++partition.latest_count, kept, without_records(event, row.partition)});
        }
        if (partition.latest.size() > latest_epochs_max) fold_oldest(partition);
    }
    /// KIP-207: an answer of the same or a later epoch is no lower than one complete before.
    void check_regress(const Partition& partition, const Event& event, const Open& row) {
        for (const auto& [epoch, answers] : partition.latest) {
            if (epoch > event.epoch) break;
            auto after = std::upper_bound(answers.begin(), answers.end(), row.latest_before,
                                          [](std::uint64_t before, const LatestAnswer& one) {
                                              return before < one.sequence;
                                          });
            if (after == answers.begin()) continue;
            --after;
            if (after->offset <= event.offset) continue;
            report(Code::regress, row.partition,
                   fmt::format("LATEST, invoked at {}, answered offset {} in leader epoch {}, "
                               "although it had answered {} by {}",
                               seconds_text(row.time), event.offset, event.epoch, after->offset,
                               seconds_text(after->witness.time)),
                   {after->witness, without_records(event, row.partition)});
            return;
        }
    }
    static void fold_oldest(Partition& partition) {
        auto oldest = partition.latest.begin();
        auto next = std::next(oldest);
        std::vector<LatestAnswer> merged;
        std::merge(
            oldest->second.begin(), oldest->second.end(), next->second.begin(), next->second.end(),
            std::back_inserter(merged),
            [](const LatestAnswer& a, const LatestAnswer& b) { return a.sequence < b.sequence; });
        next->second.clear();
        for (LatestAnswer& one : merged) {
            if (next->second.empty() || one.offset > next->second.back().offset) {
                next->second.push_back(std::move(one));
            }
        }
        partition.latest.erase(oldest);
    }

    // Events.

    void open_row(const Event& event, const Open& row) {
        if (!open.add({event.client, event.operation}, row)) {
            malformed(event, fmt::format("operation {} of client {} is invoked twice",
                                         event.operation, event.client));
        }
    }
    void returned(const Event& event, Kind invoked) {
        const Open* found = open.find({event.client, event.operation});
        if (found == nullptr || found->kind != invoked) {
            malformed(event, fmt::format("operation {} of client {} returns as {}, which was not "
                                         "invoked",
                                         event.operation, event.client, to_string(event.kind)));
            return;
        }
        const Open row = *found;
        open.erase({event.client, event.operation});
        if (invoked == Kind::send_invoked) send_returned(event, row);
        if (invoked == Kind::poll_invoked) poll_returned(event, row);
        if (invoked == Kind::latest_invoked) latest_returned(event, row);
    }
    void reset_told(const Event& event) {
        Position& position = positions.of(event.client, event.partition);
        position = {};
        position.next = event.offset;
        position.last = witness_of(event);
        position.losses_before =
            static_cast<std::uint32_t>(partitions[event.partition].losses.size());
    }

    // The end.

    void finish_value(ValueIndex index) {
        const Value& value = values[index];
        const Partition& partition = partitions[value.partition];
        const bool acknowledged = value.outcome == Outcome::ok && value.returned >= 0;
        const bool hard = value.read >= 0 || (acknowledged && value.acks == -1);
        const bool seen = finals ? value.seen_finally : value.read >= 0;
        if (!hard) {
            if (acknowledged && value.acks == 1) ++totals.soft_lost;
            return;
        }
        if (seen || value.offset < partition.log_start_max) return;
        if (value.offset < 0) return;  // a record that INCONS has named already
        if (compactable(index)) return;
        if (excusable(partition, value, value.offset)) {
            if (!value.excused) ++totals.excused;
            return;
        }
        if (acknowledged && value.acks != 0) {
            report(
                Code::lost, value.partition,
                fmt::format("offset {} of partition {} was acknowledged with {} at {} (value {}) "
                            "and is not read back",
                            value.acked_offset, value.partition,
                            value.acks == -1 ? "acks=all" : "acks=1", seconds_text(value.returned),
                            value.value),
                events_of(value));
        } else {
            report(
                Code::dirty, value.partition,
                fmt::format("offset {} of partition {} was delivered at {} (value {}) and is not "
                            "read back",
                            value.offset, value.partition, seconds_text(value.read), value.value),
                events_of(value));
        }
    }
};

LogChecker::LogChecker(Options options) : state_(std::make_unique<State>(options)) {}
LogChecker::~LogChecker() = default;
LogChecker::LogChecker(LogChecker&&) noexcept = default;
LogChecker& LogChecker::operator=(LogChecker&&) noexcept = default;

void LogChecker::feed(const Event& event) {
    State& state = *state_;
    KLAMM_ASSERT(!state.finished);
    ++state.totals.events;
    if (event.time < state.time) state.malformed(event, "time goes back");
    state.time = std::max(state.time, event.time);
    switch (event.kind) {
        case Kind::send_invoked: state.send_invoked(event); return;
        case Kind::send_returned: state.returned(event, Kind::send_invoked); return;
        case Kind::poll_invoked: state.poll_invoked(event); return;
        case Kind::poll_returned: state.returned(event, Kind::poll_invoked); return;
        case Kind::latest_invoked: state.latest_invoked(event); return;
        case Kind::latest_returned: state.returned(event, Kind::latest_invoked); return;
        case Kind::reset_told: state.reset_told(event); return;
        case Kind::final_reads:
            state.finals = true;
            state.positions.clear();
            return;
        case Kind::key_told: state.key_told(event); return;
        case Kind::owner_told:
        case Kind::commit_invoked:
        case Kind::commit_returned:
        case Kind::committed_invoked:
        case Kind::committed_returned:
        case Kind::leader_told:
        case Kind::sends_promised:
        case Kind::resource_told: return;  // service_checker.h
    }
}

void LogChecker::permit_loss(std::int32_t partition_index, std::int64_t from, std::int64_t to) {
    if (from >= to) return;
    State& state = *state_;
    Partition& partition = state.partitions[partition_index];
    partition.losses.push_back({from, to});
    for (std::int64_t at = partition.slots.next(from, to); at < to;
         at = partition.slots.next(at + 1, to)) {
        state.excuse(state.values[partition.slots.at(at)], at);
        partition.slots.set(at, value_none, 0);
    }
    // What the lost records said about how far the log had come is void.
    partition.mark_place = std::min(partition.mark_place, 2 * from);
}

void LogChecker::permit_cut(std::int32_t partition_index, std::int64_t end, std::int32_t epoch) {
    Partition& partition = state_->partitions[partition_index];
    partition.cuts.push_back({end, epoch});
    partition.mark_place = std::min(partition.mark_place, 2 * end);
    partition.fresh_end = 0;
    for (auto& [answer_epoch, answers] : partition.latest) {
        if (answer_epoch >= epoch) break;
        for (LatestAnswer& one : answers) one.offset = std::min(one.offset, end);
    }
}

void LogChecker::finish(std::int64_t time) {
    State& state = *state_;
    KLAMM_ASSERT(!state.finished);
    state.finished = true;
    state.time = std::max(state.time, time);
    state.end_keys();
    const bool short_by_one = slips(state.options.slip, Slip::checker_skips_last_send);
    const std::size_t end = state.values.size() - (short_by_one ? 1 : 0);
    for (std::size_t i = 1; i < end; ++i) {
        state.finish_value(static_cast<ValueIndex>(i));
        ++state.totals.judged;
    }
}

const std::vector<Violation>& LogChecker::violations() const { return state_->violations; }
const Totals& LogChecker::totals() const { return state_->totals; }

Judgement check_history(const History& history, const Options& options,
                        const std::vector<PermittedLoss>& losses) {
    LogChecker checker(options);
    std::size_t loss = 0;
    const auto permit_until = [&](std::int64_t time) {
        for (; loss < losses.size() && losses[loss].time < time; ++loss) {
            const PermittedLoss& one = losses[loss];
            if (one.epoch >= 0) checker.permit_cut(one.partition, one.from, one.epoch);
            checker.permit_loss(one.partition, one.from, one.to);
        }
    };
    for (const Event& event : history) {
        permit_until(event.time);
        checker.feed(event);
    }
    const std::int64_t end = history.empty() ? 0 : history.back().time;
    permit_until(end + 1);
    checker.finish(end);
    return {checker.violations(), checker.totals()};
}

}  // namespace klamm::checkers
