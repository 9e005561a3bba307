// Transactions at a partition's leader: markers, and the verification that a batch which would
// begin a transaction here belongs to one that its coordinator knows (KIP-890). Without it, a batch
// that comes after its transaction has ended opens one that nobody ends.
//
// A marker that is appended meanwhile ends the verification: what it would have allowed is of the
// transaction before.
#include "core/record/control.h"
#include "core/server/replica_host.h"

namespace klamm::server {

namespace {

constexpr std::int16_t adds_partitions_from = 12;  // of Produce: transaction.version 2
constexpr std::int16_t knows_abortable_from = 11;  // TRANSACTION_ABORTABLE

/// What the coordinator said, for a producer of this version (Kafka 4.1's ReplicaManager and
/// AddPartitionsToTxnManager): a coordinator that cannot say is tried again by way of an error that
/// every client retries.
ErrorCode produce_error(ErrorCode verified, std::int16_t version) {
    switch (verified) {
        case ErrorCode::network_exception:
        case ErrorCode::request_timed_out:
        case ErrorCode::coordinator_load_in_progress:
        case ErrorCode::coordinator_not_available:
        case ErrorCode::not_coordinator: return ErrorCode::not_enough_replicas;
        case ErrorCode::concurrent_transactions:
            return version >= adds_partitions_from ? verified : ErrorCode::not_enough_replicas;
        case ErrorCode::transaction_abortable:
            return version >= knows_abortable_from ? verified : ErrorCode::invalid_txn_state;
        case ErrorCode::producer_fenced: return ErrorCode::invalid_producer_epoch;
        default: return verified;
    }
}

}  // namespace

bool ReplicaHost::must_verify(const ProduceCommand& command) const {
    const record::BatchView batch(command.batch);
    if (!batch.is_transactional()) return false;
    const log::ProducerStateTable& producers = log_->producer_state();
    if (producers.in_transaction(batch.producer_id(), batch.producer_epoch())) return false;
    if (command.version < adds_partitions_from &&
        !context_.settings.options.transaction_partition_verification_enable)
        return false;
    // What is here already, or may not be, needs nobody's word.
    return producers.check(batch, log::Origin::client).verdict == log::ProducerVerdict::in_order;
}

void ReplicaHost::verify(ProduceCommand command) {
    const record::BatchView batch(command.batch);
    const ProducerId producer = batch.producer_id();
    const ProducerEpoch asked = verifying_.asked(producer);
    if (asked > batch.producer_epoch()) return refuse(command, ErrorCode::invalid_producer_epoch);
    const bool adds = command.version >= adds_partitions_from;
    if (asked < batch.producer_epoch()) {
        refuse_all(verifying_.take(producer), ErrorCode::invalid_producer_epoch);
        // With an epoch of its own, a transaction begins with the first sequence.
        if (adds && log_->producer_state().find(producer) == nullptr && batch.base_sequence() != 0)
            return refuse(command, ErrorCode::out_of_order_sequence_number);
        context_.post(context_.env().shard(),
                      VerifyCommand{.partition = partition_,
                                    .topic = topic_,
                                    .guard = verifying_.ask(producer, batch.producer_epoch()),
                                    .transaction = command.transaction,
                                    .producer = producer,
                                    .epoch = batch.producer_epoch(),
                                    .add = adds});
    }
    verifying_.park(producer, std::move(command));
}

void ReplicaHost::on(const VerifyOutcome& outcome) {
    bool first = true;
    for (ProduceCommand& command : verifying_.answered(outcome.producer, outcome.guard)) {
        if (outcome.error != ErrorCode::none) {
            refuse(command, produce_error(outcome.error, command.version));
        } else if (leader() == nullptr || !ready()) {
            refuse(command, not_serving());
        } else if (std::exchange(first, false)) {
            append_produced(command);
        } else {
            produce(std::move(command));
        }
    }
}

void ReplicaHost::refuse_all(const std::vector<ProduceCommand>& commands, ErrorCode error) {
    for (const ProduceCommand& command : commands) refuse(command, error);
}

void ReplicaHost::mark(const MarkerCommand& command) {
    const auto fail = [&](ErrorCode error) {
        context_.post(command.reply.shard, MarkerOutcome{command.reply, error});
    };
    auto* state = leader();
    if (state == nullptr || !ready()) return fail(not_serving());
    const record::EndTransactionMarker marker{
        command.commit ? record::ControlType::commit : record::ControlType::abort,
        command.coordinator_epoch};
    const Bytes batch =
        record::end_transaction_batch(log_->log_end(), state->epoch(), context_.turn().wall,
                                      command.producer, command.epoch, marker);
    const OwnAppend appended = append(Buffer::from(batch), state->epoch());
    if (appended.error != ErrorCode::none) return fail(appended.error);
    refuse_all(verifying_.take(command.producer), ErrorCode::invalid_txn_state);
    const replica::ReplyToken token = ++tokens_made_;
    produced_.emplace(token, Produced{command.reply, appended.last, appended.last, false, true});
    produces_.add({token, appended.last + 1, state->epoch(),
                   context_.now() + milliseconds(context_.settings.options.request_timeout_ms)});
    settle_produces();
}

void ReplicaHost::describe_producers(const ProducersCommand& command) {
    ProducersOutcome outcome{.reply = command.reply};
    if (leader() == nullptr || !ready()) {
        outcome.error = not_serving();
    } else {
        for (const auto& [id, entry] : log_->producer_state().entries())
            outcome.producers.push_back({id, entry.epoch, entry.last_sequence(),
                                         entry.last_timestamp, entry.coordinator_epoch,
                                         entry.transaction_start});
    }
    context_.post(command.reply.shard, std::move(outcome));
}

}  // namespace klamm::server
