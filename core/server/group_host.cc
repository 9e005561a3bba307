#include "core/server/group_host.h"

#include "core/record/builder.h"
#include "core/record/compression.h"
#include "core/record/control.h"
#include "core/record/record.h"

namespace klamm::server {

namespace {

constexpr std::size_t decompressed_bytes_max = 64 * 1024 * 1024;
constexpr unsigned shard_bits = 8;                // of a caller
constexpr std::int16_t txn_commit_adds_from = 5;  // of TxnOffsetCommit: transaction.version 2

void refuse_waiting(Context& context, const std::vector<GroupCommand>& waiting, ErrorCode error) {
    for (const GroupCommand& command : waiting)
        GroupKind::answer(context, command.reply, group::refusal(*command.command, error));
}

}  // namespace

std::uint64_t caller_of(const ReplyTo& reply) {
    KLAMM_ASSERT(reply.shard < (1U << shard_bits));
    KLAMM_ASSERT(reply.pending < (std::uint64_t{1} << 40));
    return (reply.pending << (16 + shard_bits)) | (std::uint64_t{reply.part} << shard_bits) |
           reply.shard;
}
ReplyTo reply_of(std::uint64_t caller) {
    return {static_cast<env::ShardIndex>(caller & ((1U << shard_bits) - 1)),
            caller >> (16 + shard_bits),
            static_cast<std::uint32_t>((caller >> shard_bits) & 0xffff)};
}

group::Settings GroupKind::settings(const Context& context) {
    const config::BrokerOptions& options = context.settings.options;
    group::Settings settings;
    settings.session_ms_min = options.group_min_session_timeout_ms;
    settings.session_ms_max = options.group_max_session_timeout_ms;
    settings.initial_delay = milliseconds(options.group_initial_rebalance_delay_ms);
    settings.members_max = static_cast<std::size_t>(options.group_max_size);
    settings.metadata_bytes_max = static_cast<std::size_t>(options.offset_metadata_max_bytes);
    settings.retention = seconds(std::int64_t{options.offsets_retention_minutes} * 60);
    settings.retention_check = milliseconds(options.offsets_retention_check_interval_ms);
    settings.commit_timeout = milliseconds(options.offsets_commit_timeout_ms);
    return settings;
}

std::string GroupKind::describe(const group::Coordinator& coordinator) {
    const std::size_t groups = coordinator.groups().size();
    return groups == 0 ? std::string() : fmt::format("{} groups", groups);
}

Bytes GroupKind::batch_of(const group::Coordinator& coordinator, const group::Write& write,
                          const Turn& turn) {
    const group::Transactional& of = write.transaction;
    if (const auto* end = std::get_if<group::TransactionEnd>(&write.records.front())) {
        const auto type = end->commit ? record::ControlType::commit : record::ControlType::abort;
        return record::end_transaction_batch(coordinator.log().end(), coordinator.log().epoch(),
                                             turn.wall, of.producer, of.epoch,
                                             {type, of.coordinator_epoch});
    }
    record::BatchBuilder builder;
    for (const group::GroupLogRecord& one : write.records) {
        const group::KeyAndValue bytes = group::encode(one);
        builder.append(turn.wall, ByteView(bytes.key),
                       bytes.value ? std::optional<ByteView>(*bytes.value) : std::nullopt);
    }
    if (of.producer != no_producer_id)
        builder.set_producer(of.producer, of.epoch, record::no_sequence, true);
    return builder.build();
}

Status GroupKind::load(group::Coordinator& coordinator, const record::BatchView& batch,
                       Offset from) {
    auto plain = record::plain_records(batch, decompressed_bytes_max);
    if (!plain.ok()) return plain.error();
    Status status;
    const bool whole = record::for_each_record(plain->records, [&](const record::Record& one) {
        if (!status.ok() || !one.key || record::record_offset(batch, one) < from) return;
        if (batch.is_control()) {
            const auto type = record::decode_control_key(*one.key);
            if (type.ok() &&
                (*type == record::ControlType::commit || *type == record::ControlType::abort))
                coordinator.load(group::TransactionEnd{batch.producer_id(),
                                                       *type == record::ControlType::commit});
            return;
        }
        auto decoded = group::decode(*one.key, one.value);
        if (!decoded.ok()) {
            status = decoded.error();
        } else if (*decoded) {
            auto* offset = std::get_if<group::OffsetRecord>(&**decoded);
            if (batch.is_transactional() && offset != nullptr)
                coordinator.load(group::PendingOffset{batch.producer_id(), std::move(*offset)});
            else
                coordinator.load(**decoded);
        }
    });
    KLAMM_TRY(status);
    if (!whole) return Error{Failure::corrupt, "a batch ends within a record"};
    return {};
}

void GroupKind::answer(Context& context, const ReplyTo& reply, group::AnswerBody body) {
    context.post(reply.shard,
                 GroupOutcome{reply, std::make_shared<const group::AnswerBody>(std::move(body))});
}

void GroupKind::resigned(Context& context, Extra& waiting) {
    refuse_waiting(context, waiting.take_all(), ErrorCode::not_coordinator);
}

void GroupHost::on(const GroupCommand& command) {
    const auto at = rows_.find(command.partition);
    const auto* commit = std::get_if<group::Commit>(command.command.get());
    if (at == rows_.end() || !at->second.coordinator.log().leading())
        return CoordinatorHost::on(command);
    Verification<GroupCommand>& waiting = at->second.extra;
    if (const auto* end = std::get_if<group::EndTransaction>(command.command.get())) {
        refuse_waiting(context_, waiting.take(end->transaction.producer),
                       ErrorCode::invalid_txn_state);
        return CoordinatorHost::on(command);
    }
    if (commit == nullptr || commit->transaction.producer == no_producer_id)
        return CoordinatorHost::on(command);
    const group::Transactional& of = commit->transaction;
    const bool adds = commit->request_version >= txn_commit_adds_from;
    const ReplicaHost* host = look(command.partition);
    if (host == nullptr || host->in_transaction(of.producer, of.epoch) ||
        (!adds && !context_.settings.options.transaction_partition_verification_enable))
        return CoordinatorHost::on(command);
    const ProducerEpoch asked = waiting.asked(of.producer);
    if (asked > of.epoch)
        return refuse_waiting(context_, {command}, ErrorCode::invalid_producer_epoch);
    if (asked < of.epoch) {
        refuse_waiting(context_, waiting.take(of.producer), ErrorCode::invalid_producer_epoch);
        context_.post(context_.env().shard(),
                      VerifyCommand{.partition = command.partition,
                                    .topic = std::string(group::offsets_topic),
                                    .guard = waiting.ask(of.producer, of.epoch),
                                    .transaction = commit->transactional_id,
                                    .producer = of.producer,
                                    .epoch = of.epoch,
                                    .add = adds,
                                    .group = true});
    }
    waiting.park(of.producer, command);
}

void GroupHost::on(const VerifyOutcome& outcome) {
    const auto at = rows_.find(outcome.partition);
    if (at == rows_.end()) return;
    const auto waiting = at->second.extra.answered(outcome.producer, outcome.guard);
    if (outcome.error != ErrorCode::none) return refuse_waiting(context_, waiting, outcome.error);
    for (const GroupCommand& command : waiting) CoordinatorHost::on(command);
}

void GroupHost::follow_image() {
    std::set<std::string> topics;
    for (const auto& [id, topic] : context_.image->topics()) topics.insert(topic.name);
    std::set<std::string> gone;
    for (const std::string& name : topics_)
        if (!topics.contains(name)) gone.insert(name);
    topics_ = std::move(topics);
    if (gone.empty()) return;
    for (auto& [partition, row] : rows_) {
        row.coordinator.forget_topics(gone);
        settle(partition, row);
    }
}

}  // namespace klamm::server
