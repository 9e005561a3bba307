#include "core/server/transaction_host.h"

#include <algorithm>

#include "core/record/builder.h"
#include "core/record/compression.h"
#include "core/record/record.h"

namespace klamm::server {

namespace {
constexpr std::size_t transactions_bytes_max = 64 * 1024 * 1024;  // of a batch, decompressed
constexpr Duration ids_backoff = milliseconds(100);
}  // namespace

transaction::Settings TransactionKind::settings(const Context& context) {
    const config::BrokerOptions& options = context.settings.options;
    transaction::Settings settings;
    settings.timeout_ms_max = options.transaction_max_timeout_ms;
    settings.id_expiration = milliseconds(options.transactional_id_expiration_ms);
    settings.abort_check = milliseconds(options.transaction_abort_timed_out_cleanup_interval_ms);
    settings.expiry_check = milliseconds(options.transaction_remove_expired_cleanup_interval_ms);
    settings.append_timeout = milliseconds(options.request_timeout_ms);
    settings.version = transaction_version(*context.image);
    return settings;
}

std::string TransactionKind::describe(const transaction::Coordinator& coordinator) {
    const std::size_t count = coordinator.log().committed().transactions().size();
    return count == 0 ? std::string() : fmt::format("{} transactional ids", count);
}

Bytes TransactionKind::batch_of(const transaction::Coordinator& coordinator,
                                const transaction::Write& write, const Turn& turn) {
    const transaction::KeyAndValue bytes =
        transaction::encode(write.record, coordinator.settings().version);
    record::BatchBuilder builder;
    builder.append(turn.wall, ByteView(bytes.key),
                   bytes.value ? std::optional<ByteView>(*bytes.value) : std::nullopt);
    return builder.build();
}

Status TransactionKind::load(transaction::Coordinator& coordinator, const record::BatchView& batch,
                             Offset from) {
    if (batch.is_control()) return {};
    auto plain = record::plain_records(batch, transactions_bytes_max);
    if (!plain.ok()) return plain.error();
    Status status;
    const bool whole = record::for_each_record(plain->records, [&](const record::Record& one) {
        if (!status.ok() || !one.key || record::record_offset(batch, one) < from) return;
        auto decoded = transaction::decode(*one.key, one.value);
        if (!decoded.ok())
            status = decoded.error();
        else if (*decoded)
            coordinator.load(**decoded);
    });
    KLAMM_TRY(status);
    if (!whole) return Error{Failure::corrupt, "a batch ends within a record"};
    return {};
}

void TransactionKind::answer(Context& context, const ReplyTo& reply, transaction::AnswerBody body) {
    context.post(reply.shard,
                 TransactionOutcome{
                     reply, std::make_shared<const transaction::AnswerBody>(std::move(body))});
}

void TransactionKind::carry_out(Context& context, const TopicPartition& partition,
                                transaction::Coordinator& coordinator, Extra&) {
    for (transaction::Markers& markers : coordinator.take_markers())
        context.post(context.env().shard(), MarkersCommand{partition, std::move(markers)});
}

void TransactionHost::on(const MarkersOutcome& outcome) {
    const auto at = rows_.find(outcome.partition);
    if (at == rows_.end()) return;
    at->second.coordinator.markers_written(context_.turn(), outcome.markers);
    settle(at->first, at->second);
}

bool TransactionHost::take_ids(const ProducerIdsOutcome& outcome) {
    if ((outcome.reply.pending & ids_mark) == 0) return false;
    asking_ = false;
    if (outcome.error == ErrorCode::none) {
        next_id_ = outcome.first;
        end_id_ = outcome.first + outcome.count;
    } else {
        ask_due_ = context_.now() + ids_backoff;
    }
    give_ids();
    return true;
}

void TransactionHost::give_ids() {
    for (auto& [partition, row] : rows_) {
        if (!row.coordinator.log().leading() || !row.coordinator.wants_ids()) continue;
        const auto left = static_cast<std::int32_t>(end_id_.value - next_id_.value);
        const std::int32_t given = std::min(ids_given, left);
        if (given == 0) {
            if (asking_ || context_.now() < ask_due_) return;
            asking_ = true;
            return context_.post(0, ProducerIdsCommand{{context_.env().shard(), ids_mark, 0}});
        }
        row.coordinator.give_ids(next_id_, given);
        next_id_ = ProducerId(next_id_.value + given);
    }
}

void TransactionHost::tick() {
    CoordinatorHost::tick();
    give_ids();
}

}  // namespace klamm::server
