// The rules are those of TransactionCoordinator.scala and TransactionMetadata.scala of Kafka 4.1.
#include "core/transaction/coordinator.h"

#include <algorithm>

#include "core/transaction/pattern.h"

namespace klamm::transaction {

namespace {

constexpr std::int16_t epoch_max = 0x7fff;
constexpr std::int16_t bumps_epochs = 2;  // transaction.version from which on each end does

template <class Body>
AnswerBody error_body(ErrorCode error) {
    Body body;
    body.error = error;
    return body;
}

struct Refusal {
    ErrorCode error;
    AnswerBody operator()(const Init&) const { return error_body<ProducerAnswer>(error); }
    AnswerBody operator()(const AddPartitions&) const {
        return error_body<PartitionsAnswer>(error);
    }
    AnswerBody operator()(const End&) const { return error_body<ProducerAnswer>(error); }
    AnswerBody operator()(const Describe&) const { return error_body<DescribeAnswer>(error); }
    AnswerBody operator()(const List&) const {
        // A partition that is led elsewhere has no transactions here.
        const bool elsewhere = error == ErrorCode::not_coordinator;
        return error_body<ListAnswer>(elsewhere ? ErrorCode::none : error);
    }
};

/// The last epoch is for whoever fences the producer.
bool exhausted(ProducerEpoch epoch) { return epoch.value >= epoch_max - 1; }

ProducerEpoch next(ProducerEpoch epoch) {
    return ProducerEpoch(static_cast<std::int16_t>(epoch.value + 1));
}

/// As the transaction is once its markers are written.
Transaction completed(const Transaction& prepared) {
    Transaction done = prepared;
    done.state =
        prepared.state == State::prepare_commit ? State::complete_commit : State::complete_abort;
    done.previous_producer = prepared.producer;
    done.next_producer = no_producer_id;
    done.partitions.clear();
    if (prepared.next_producer != no_producer_id) {
        done.producer = prepared.next_producer;
        done.epoch = ProducerEpoch(0);
    }
    return done;
}

}  // namespace

AnswerBody refusal(const Command& command, ErrorCode error) {
    return std::visit(Refusal{error}, command);
}

// --- life

void Coordinator::lead(const Turn& turn) {
    log_.lead();
    timers_.add(turn.now + settings_.abort_check, {TimerKind::abort_check});
    timers_.add(turn.now + settings_.expiry_check, {TimerKind::expiry_check});
    for (const auto& [id, known] : log_.latest().transactions())
        if (known.prepared()) send_markers({id, known.producer, known.epoch});
}

void Coordinator::resign() {
    for (const Consequence& then : log_.resign()) conclude(then, ErrorCode::not_coordinator);
    KLAMM_ASSERT(writes_.empty());
    markers_.clear();
    timers_ = {};
}

void Coordinator::handle(const Turn& turn, Caller caller, Command command) {
    if (log_.phase() == replicated::Phase::following)
        return refuse(caller, command, ErrorCode::not_coordinator);
    if (log_.phase() == replicated::Phase::loading)
        return refuse(caller, command, ErrorCode::coordinator_load_in_progress);
    std::visit([&](const auto& one) { decide(turn, caller, one); }, command);
}

Instant Coordinator::deadline_min() const {
    return std::min(timers_.deadline_min(), log_.deadline_min());
}

void Coordinator::advance(const Turn& turn) {
    for (const Consequence& then : log_.expire(turn.now))
        conclude(then, ErrorCode::coordinator_not_available);
    while (const auto timer = timers_.pop_due(turn.now)) {
        switch (timer->kind) {
            case TimerKind::abort_check: abort_overdue(turn); break;
            case TimerKind::expiry_check: forget_unused(turn); break;
            case TimerKind::complete: complete(turn, timer->prepared); break;
        }
    }
}

void Coordinator::on_high_watermark(const Turn&, Offset high_watermark) {
    for (const Consequence& then : log_.commit(high_watermark)) conclude(then, ErrorCode::none);
}

void Coordinator::give_ids(ProducerId first, std::int32_t count) {
    ids_.emplace_back(first, count);
    ids_left_ += count;
}

std::optional<ProducerId> Coordinator::take_id() {
    if (ids_left_ == 0) return std::nullopt;
    auto& [id, left] = ids_.front();
    const ProducerId taken = id;
    ++id;
    --ids_left_;
    if (--left == 0) ids_.pop_front();
    return taken;
}

// --- writes

Write Coordinator::take_write() {
    Write write = std::move(writes_.front());
    writes_.pop_front();
    return write;
}

void Coordinator::write(const std::string& id, Transaction value, std::vector<Consequence> then) {
    writes_.push_back({{id, std::move(value)}, std::move(then)});
}

void Coordinator::written(const Turn& turn, Write write, Offset last) {
    log_.appended({std::move(write.record)}, last);
    for (Consequence& then : write.then) {
        // A decision is carried out whenever it is committed, whether or not anybody waits.
        const bool waits = std::holds_alternative<Reply>(then);
        log_.await(std::move(then), waits ? turn.now + settings_.append_timeout : instant_never);
    }
}

void Coordinator::write_failed(const Turn& turn, Write write, ErrorCode append_error) {
    for (const Consequence& then : write.then)
        if (std::holds_alternative<Reply>(then)) conclude(then, append_error);
    // What was decided is to be completed, however often that is tried.
    const Transaction* known = log_.latest().find(write.record.id);
    if (known != nullptr && known->prepared() && write.record.value &&
        write.record.value->completed())
        timers_.add(turn.now + settings_.retry,
                    {TimerKind::complete, {write.record.id, known->producer, known->epoch}});
}

void Coordinator::conclude(const Consequence& then, ErrorCode error) {
    if (const auto* reply = std::get_if<Reply>(&then)) {
        if (error == ErrorCode::none)
            answers_.push_back(reply->answer);
        else
            refuse(reply->answer.caller, reply->command, error);
    } else if (error == ErrorCode::none) {
        send_markers(std::get<Prepared>(then));
    }
}

void Coordinator::answer_when_committed(const Turn& turn, Caller caller, AnswerBody body,
                                        const Command& command) {
    if (!log_.pending()) {
        answers_.push_back({caller, std::move(body)});
        return;
    }
    log_.await(Reply{{caller, std::move(body)}, command}, turn.now + settings_.append_timeout);
}

// --- producers

void Coordinator::decide(const Turn& turn, Caller caller, const Init& init) {
    if (init.id.empty()) return refuse(caller, init, ErrorCode::invalid_request);
    if (init.timeout_ms <= 0 || init.timeout_ms > settings_.timeout_ms_max)
        return refuse(caller, init, ErrorCode::invalid_transaction_timeout);
    const Transaction* found = log_.latest().find(init.id);
    Transaction known;
    if (found != nullptr) {
        known = *found;
    } else {
        const auto id = take_id();
        if (!id) return refuse(caller, init, ErrorCode::coordinator_load_in_progress);
        known.producer = *id;
    }
    const bool goes_on = init.producer != no_producer_id;
    if (goes_on && known.epoch != no_producer_epoch && init.producer != known.producer &&
        !(init.producer == known.previous_producer && exhausted(init.epoch)))
        return refuse(caller, init, ErrorCode::producer_fenced);
    if (known.prepared()) return refuse(caller, init, ErrorCode::concurrent_transactions);
    // Whoever had it is fenced; the epoch is nobody's, so the client comes again for one of its
    // own.
    if (known.state == State::ongoing)
        return fence(turn, init.id, known,
                     {Reply{{caller, refusal(init, ErrorCode::concurrent_transactions)}, init}});
    Transaction begun = known;
    begun.previous_producer = known.producer;
    if (exhausted(known.epoch) && (!goes_on || init.epoch == known.epoch)) {
        const auto id = take_id();
        if (!id) return refuse(caller, init, ErrorCode::coordinator_load_in_progress);
        begun.producer = *id;
        begun.epoch = ProducerEpoch(0);
        begun.last_epoch = goes_on ? known.epoch : no_producer_epoch;
    } else if (!goes_on || known.epoch == no_producer_epoch || init.epoch == known.epoch) {
        begun.epoch = next(known.epoch);
        begun.last_epoch = goes_on ? known.epoch : no_producer_epoch;
    } else if (init.epoch != known.last_epoch) {
        return refuse(caller, init, ErrorCode::producer_fenced);
    }  // else it asks once more for what it was given
    begun.state = State::empty;
    begun.timeout_ms = init.timeout_ms;
    begun.partitions.clear();
    begun.started_at = no_timestamp;
    begun.updated_at = turn.wall;
    const ProducerAnswer body{ErrorCode::none, begun.producer, begun.epoch};
    write(init.id, std::move(begun), {Reply{{caller, body}, init}});
}

void Coordinator::fence(const Turn& turn, const std::string& id, const Transaction& known,
                        std::vector<Consequence> then) {
    KLAMM_ASSERT(known.state == State::ongoing && known.epoch.value < epoch_max);
    Transaction aborted = known;
    aborted.previous_producer = known.producer;
    aborted.epoch = next(known.epoch);
    aborted.last_epoch = no_producer_epoch;
    aborted.state = State::prepare_abort;
    aborted.updated_at = turn.wall;
    then.insert(then.begin(), Prepared{id, aborted.producer, aborted.epoch});
    write(id, std::move(aborted), std::move(then));
}

// --- partitions

PartitionsAnswer Coordinator::verified(const Transaction& known, const AddPartitions& add) const {
    PartitionsAnswer body;
    for (const TopicAndPartition& partition : add.partitions)
        body.partitions.push_back(known.partitions.contains(partition)
                                      ? ErrorCode::none
                                      : ErrorCode::transaction_abortable);
    return body;
}

void Coordinator::decide(const Turn& turn, Caller caller, const AddPartitions& add) {
    if (add.id.empty()) return refuse(caller, add, ErrorCode::invalid_request);
    const Transaction* known = log_.latest().find(add.id);
    if (known == nullptr || known->producer != add.producer)
        return refuse(caller, add, ErrorCode::invalid_producer_id_mapping);
    if (known->epoch != add.epoch) return refuse(caller, add, ErrorCode::producer_fenced);
    if (known->prepared()) return refuse(caller, add, ErrorCode::concurrent_transactions);
    if (add.verify_only) return answer_when_committed(turn, caller, verified(*known, add), add);
    PartitionsAnswer body;
    body.partitions.assign(add.partitions.size(), ErrorCode::none);
    Transaction more = *known;
    for (const TopicAndPartition& partition : add.partitions) more.partitions.insert(partition);
    if (known->state == State::ongoing && more.partitions.size() == known->partitions.size())
        return answer_when_committed(turn, caller, std::move(body), add);
    more.previous_producer = known->producer;
    if (known->state != State::ongoing) more.started_at = turn.wall;
    more.state = State::ongoing;
    more.updated_at = turn.wall;
    more.client_version = add.client_version;
    write(add.id, std::move(more), {Reply{{caller, std::move(body)}, add}});
}

// --- ends

void Coordinator::decide(const Turn& turn, Caller caller, const End& end) {
    if (end.id.empty()) return refuse(caller, end, ErrorCode::invalid_request);
    const Transaction* known = log_.latest().find(end.id);
    if (known == nullptr) return refuse(caller, end, ErrorCode::invalid_producer_id_mapping);
    const bool bumps = end.client_version >= bumps_epochs;
    const bool had_bumped = known->client_version >= bumps_epochs;
    // An end that comes again names the epoch before the one that it was answered with.
    const bool again_bumped =
        had_bumped && known->producer == end.producer && known->epoch.value == end.epoch.value + 1;
    const bool again_overflowed = had_bumped && known->previous_producer == end.producer &&
                                  end.epoch.value == epoch_max - 1 &&
                                  known->epoch == ProducerEpoch(0);
    const bool again = bumps && (again_bumped || (known->completed() && again_overflowed));
    if (known->producer != end.producer && !again)
        return refuse(caller, end, ErrorCode::invalid_producer_id_mapping);
    const bool same = known->producer == end.producer && known->epoch == end.epoch;
    bool lawful = same;
    if (bumps && known->prepared()) lawful = again_bumped;
    if (bumps && known->completed()) lawful = same || again;
    if (!lawful) return refuse(caller, end, ErrorCode::producer_fenced);
    const auto answered = [&] {
        answer_when_committed(turn, caller,
                              ProducerAnswer{ErrorCode::none, known->producer, known->epoch}, end);
    };
    switch (known->state) {
        case State::ongoing: return prepare(turn, caller, end, *known, false);
        case State::empty:
            if (bumps && !end.commit) return prepare(turn, caller, end, *known, true);
            break;
        case State::complete_commit:
        case State::complete_abort:
            if ((!bumps || again) && end.commit == (known->state == State::complete_commit))
                return answered();
            if (bumps && !again && !end.commit) return prepare(turn, caller, end, *known, true);
            break;
        case State::prepare_commit:
        case State::prepare_abort:
            if (end.commit == (known->state == State::prepare_commit))
                return refuse(caller, end, ErrorCode::concurrent_transactions);
            break;
        case State::dead:
        case State::prepare_epoch_fence: break;
    }
    refuse(caller, end, ErrorCode::invalid_txn_state);
}

void Coordinator::prepare(const Turn& turn, Caller caller, const End& end, const Transaction& known,
                          bool without_partitions) {
    Transaction prepared = known;
    prepared.previous_producer = known.producer;
    prepared.client_version = end.client_version;
    prepared.state = end.commit ? State::prepare_commit : State::prepare_abort;
    prepared.updated_at = turn.wall;
    if (without_partitions) prepared.started_at = turn.wall;
    if (end.client_version >= bumps_epochs) {
        if (exhausted(known.epoch)) {
            const auto id = take_id();
            if (!id) return refuse(caller, end, ErrorCode::coordinator_load_in_progress);
            prepared.next_producer = *id;
        }
        prepared.last_epoch = known.epoch;
        prepared.epoch = next(known.epoch);
    }
    const Transaction after = completed(prepared);
    const ProducerAnswer body{ErrorCode::none, after.producer, after.epoch};
    const Prepared decided{end.id, prepared.producer, prepared.epoch};
    write(end.id, std::move(prepared), {decided, Reply{{caller, body}, end}});
}

void Coordinator::send_markers(const Prepared& prepared) {
    const Transaction* known = log_.latest().find(prepared.id);
    if (known == nullptr || !known->prepared() || known->producer != prepared.producer ||
        known->epoch != prepared.epoch)
        return;
    markers_.push_back({prepared.id, known->producer, known->epoch, log_.epoch().value,
                        known->state == State::prepare_commit, known->partitions});
}

void Coordinator::markers_written(const Turn& turn, const Markers& markers) {
    if (!log_.leading() || log_.epoch().value != markers.coordinator_epoch) return;
    complete(turn, {markers.id, markers.producer, markers.epoch});
}

void Coordinator::complete(const Turn& turn, const Prepared& prepared) {
    const Transaction* known = log_.latest().find(prepared.id);
    if (known == nullptr || !known->prepared() || known->producer != prepared.producer ||
        known->epoch != prepared.epoch)
        return;
    Transaction done = completed(*known);
    done.updated_at = turn.wall;
    write(prepared.id, std::move(done), {});
}

// --- time

void Coordinator::abort_overdue(const Turn& turn) {
    timers_.add(turn.now + settings_.abort_check, {TimerKind::abort_check});
    for (const auto& [id, known] : log_.latest().transactions())
        if (known.state == State::ongoing && known.started_at + known.timeout_ms < turn.wall)
            fence(turn, id, known, {});
}

void Coordinator::forget_unused(const Turn& turn) {
    timers_.add(turn.now + settings_.expiry_check, {TimerKind::expiry_check});
    for (const auto& [id, known] : log_.latest().transactions()) {
        const bool idle = known.state == State::empty || known.completed();
        if (idle && milliseconds(turn.wall - known.updated_at) >= settings_.id_expiration)
            writes_.push_back({{id, std::nullopt}, {}});
    }
}

// --- questions

void Coordinator::decide(const Turn&, Caller caller, const Describe& describe) {
    if (describe.id.empty()) return refuse(caller, describe, ErrorCode::invalid_request);
    const Transaction* known = log_.committed().find(describe.id);
    if (known == nullptr) return refuse(caller, describe, ErrorCode::transactional_id_not_found);
    answers_.push_back({caller, DescribeAnswer{ErrorCode::none, *known}});
}

void Coordinator::decide(const Turn& turn, Caller caller, const List& list) {
    ListAnswer body;
    const auto among = [](const auto& wanted, const auto& one) {
        return wanted.empty() || std::find(wanted.begin(), wanted.end(), one) != wanted.end();
    };
    for (const auto& [id, known] : log_.committed().transactions()) {
        if (!among(list.states, known.state) || !among(list.producers, known.producer)) continue;
        if (!list.pattern.empty()) {
            const auto matched = matches(list.pattern, id);
            if (!matched.ok()) return refuse(caller, list, ErrorCode::invalid_regular_expression);
            if (!*matched) continue;
        }
        if (list.duration_ms >= 0 && turn.wall - known.started_at <= list.duration_ms) continue;
        body.transactions.push_back({id, known.producer, known.state});
    }
    answers_.push_back({caller, std::move(body)});
}

}  // namespace klamm::transaction
