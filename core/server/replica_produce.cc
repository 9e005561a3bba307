// Produce at the partition's leader: append, then answer at once, after the sync, or when the high
// watermark has passed.
#include "core/server/replica_host.h"
#include "core/server/topic_options.h"

namespace klamm::server {

namespace {

ErrorCode error_of(storage::AppendOutcome outcome) {
    switch (outcome) {
        case storage::AppendOutcome::appended:
        case storage::AppendOutcome::duplicate: return ErrorCode::none;
        case storage::AppendOutcome::out_of_order_sequence:
            return ErrorCode::out_of_order_sequence_number;
        case storage::AppendOutcome::invalid_producer_epoch:
            return ErrorCode::invalid_producer_epoch;
        case storage::AppendOutcome::invalid_transaction: return ErrorCode::invalid_txn_state;
        case storage::AppendOutcome::coordinator_fenced:
            return ErrorCode::transaction_coordinator_fenced;
        case storage::AppendOutcome::too_large: return ErrorCode::message_too_large;
        case storage::AppendOutcome::corrupt: return ErrorCode::corrupt_message;
        case storage::AppendOutcome::misplaced: return ErrorCode::invalid_record;
        case storage::AppendOutcome::offline: return ErrorCode::kafka_storage_error;
    }
    KLAMM_UNREACHABLE();
}

}  // namespace

void ReplicaHost::produce(ProduceCommand command) {
    auto* state = leader();
    if (state == nullptr || !ready()) return refuse(command, not_serving());
    if (const ErrorCode error = state->admit_produce(command.acks); error != ErrorCode::none)
        return refuse(command, error);
    if (must_verify(command)) return verify(std::move(command));
    append_produced(command);
}

void ReplicaHost::append_produced(const ProduceCommand& command) {
    auto* state = leader();
    const Turn& turn = context_.turn();
    const storage::Appended appended =
        log_->append_as_leader(turn, context_.env().disk(), command.batch, state->epoch());
    if (const ErrorCode error = error_of(appended.outcome); error != ErrorCode::none)
        return refuse(command, error);
    const Produced produced{command.reply, appended.base, appended.last,
                            appended.outcome == storage::AppendOutcome::duplicate};
    const Offset required = appended.last + 1;
    if (command.acks == -1) {
        const replica::ReplyToken token = ++tokens_made_;
        produced_.emplace(token, produced);
        const bool given_up = turn.maybe(Site::produce_given_up,
                                         static_cast<std::uint64_t>(partition_.partition.value),
                                         static_cast<std::uint64_t>(appended.last.value));
        produces_.add({token, required, state->epoch(),
                       turn.now + (given_up ? Duration{} : command.timeout)});
    } else if (command.acks == 1) {
        weak_.emplace(required, produced);
    } else {
        answer_produce(produced, ErrorCode::none, 0);
    }
    if (!produced.duplicate) {
        log_->maybe_flush(context_.env());
        apply(state->on_log(turn, *context_.image, ends()));
        wake_readers();
    }
    settle_weak();
    settle_produces();
}

ReplicaHost::OwnAppend ReplicaHost::append(const Buffer& batch, LeaderEpoch epoch) {
    auto* state = leader();
    if (state == nullptr || !ready() || state->epoch() != epoch) return {not_serving(), no_offset};
    if (const ErrorCode error = state->admit_produce(-1); error != ErrorCode::none)
        return {error, no_offset};
    const auto options = topic_options(context_, partition_.topic);
    if (batch.size() > static_cast<std::size_t>(options.max_message_bytes))
        return {ErrorCode::message_too_large, no_offset};
    const Turn& turn = context_.turn();
    const storage::Appended appended = log_->append_as_leader(
        turn, context_.env().disk(), batch, state->epoch(), log::Origin::coordinator);
    if (const ErrorCode error = error_of(appended.outcome); error != ErrorCode::none)
        return {error, no_offset};
    log_->maybe_flush(context_.env());
    apply(state->on_log(turn, *context_.image, ends()));
    wake_readers();
    return {ErrorCode::none, appended.last};
}

void ReplicaHost::settle_produces() {
    if (const auto* state = leader())
        for (const replica::ProduceSettled& row : produces_.settle(context_.turn(), *state))
            answer(row);
}

void ReplicaHost::settle_weak() {
    const auto* state = leader();
    while (!weak_.empty() && state->acks_one_satisfied(context_.turn(), weak_.begin()->first)) {
        const auto row = weak_.extract(weak_.begin());
        answer_produce(row.mapped(), ErrorCode::none, 1);
    }
}

void ReplicaHost::answer(const replica::ProduceSettled& settled) {
    const auto row = produced_.extract(settled.token);
    answer_produce(row.mapped(), settled.error, -1);
}

void ReplicaHost::answer_produce(const Produced& produced, ErrorCode error, std::int16_t acks) {
    if (produced.marker)
        return context_.post(produced.reply.shard, MarkerOutcome{produced.reply, error});
    const auto* state = leader();
    ProduceOutcome outcome{.reply = produced.reply, .error = error};
    if (error == ErrorCode::none) {
        outcome.base_offset = produced.base;
        outcome.log_start = log_->log_start();
    }
    if (state != nullptr && context_.turn().facts_wanted())
        context_.turn().state(facts::ProduceAnswered{.partition = partition_,
                                                     .epoch = state->epoch(),
                                                     .base_offset = produced.base,
                                                     .last_offset = produced.last,
                                                     .acks = acks,
                                                     .error = static_cast<std::int16_t>(error),
                                                     .duplicate = produced.duplicate,
                                                     .committed_isr = state->committed_isr(),
                                                     .min_isr = state->effective_min_isr()});
    if (const metadata::PartitionImage* known = context_.image->partition(partition_)) {
        outcome.leader = known->leader;
        outcome.leader_epoch = known->leader_epoch;
    }
    context_.post(produced.reply.shard, std::move(outcome));
}

void ReplicaHost::refuse(const ProduceCommand& command, ErrorCode error) {
    ProduceOutcome outcome{.reply = command.reply, .error = error};
    if (const metadata::PartitionImage* known = context_.image->partition(partition_)) {
        outcome.leader = known->leader;
        outcome.leader_epoch = known->leader_epoch;
    }
    context_.post(command.reply.shard, std::move(outcome));
}

}  // namespace klamm::server
