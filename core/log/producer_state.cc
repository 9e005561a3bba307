// See producer_state.h. The checks follow ProducerAppendInfo of Kafka 4.1, in its order; a client's
// batch is first looked up among the remembered ones, as UnifiedLog does.

#include "core/log/producer_state.h"

#include <algorithm>

#include "core/record/control.h"
#include "core/record/record.h"

namespace klamm::log {

namespace {

constexpr std::int32_t sequence_max = 0x7fffffff;

bool follows(std::int32_t last, std::int32_t next) {
    return last == sequence_max ? next == 0 : next == last + 1;
}

/// Of the first record of a control batch; nothing when it ends no transaction, or compaction has
/// left nothing of it.
std::optional<record::EndTransactionMarker> marker_of(ByteView plain_records) {
    record::RecordIterator records(plain_records);
    record::Record record;
    if (!records.next(record) || !record.key || !record.value) return std::nullopt;
    const auto type = record::decode_control_key(*record.key);
    if (!type.ok()) return std::nullopt;
    const auto marker = record::decode_end_transaction(*type, *record.value);
    return marker.ok() ? std::optional(*marker) : std::nullopt;
}

void note(ProducerEntry& entry, const ProducerBatch& batch) {
    if (entry.batch_count == producer_batches_kept) {
        std::move(entry.batches.begin() + 1, entry.batches.end(), entry.batches.begin());
        --entry.batch_count;
    }
    entry.batches[entry.batch_count++] = batch;
}

void move_to_epoch(ProducerEntry& entry, ProducerEpoch epoch) {
    if (entry.epoch == epoch) return;
    entry.epoch = epoch;
    entry.batches = {};
    entry.batch_count = 0;
}

}  // namespace

std::int32_t ProducerBatch::base_sequence() const {
    // As Kafka's decrementSequence: below zero it wraps to the greatest sequence.
    if (last_sequence >= offset_delta) return last_sequence - offset_delta;
    return sequence_max - (offset_delta - last_sequence) + 1;
}

std::int32_t ProducerEntry::last_sequence() const {
    return batch_count == 0 ? record::no_sequence : batches[batch_count - 1U].last_sequence;
}

Offset ProducerEntry::last_offset() const {
    return batch_count == 0 ? no_offset : batches[batch_count - 1U].last_offset;
}

ProducerCheck ProducerStateTable::check(const record::BatchView& batch, Origin origin) const {
    if (!batch.has_producer_id()) return {};
    const ProducerEntry* entry = find(batch.producer_id());
    if (entry == nullptr) return {};
    const bool same_epoch = batch.producer_epoch() == entry->epoch;
    if (origin == Origin::client && same_epoch) {
        for (std::size_t i = 0; i < entry->batch_count; ++i) {
            const ProducerBatch& known = entry->batches[i];
            if (known.base_sequence() == batch.base_sequence() &&
                known.last_sequence == batch.last_sequence()) {
                return {ProducerVerdict::duplicate, known};
            }
        }
    }
    if (origin == Origin::replication) return {};
    if (batch.producer_epoch() < entry->epoch) return {ProducerVerdict::invalid_producer_epoch, {}};
    if (batch.is_control()) {
        const auto marker = marker_of(batch.records());
        if (marker && marker->coordinator_epoch < entry->coordinator_epoch)
            return {ProducerVerdict::coordinator_fenced, {}};
        return {};
    }
    if (origin == Origin::client && entry->epoch != no_producer_epoch) {
        const bool in_order = same_epoch ? follows(entry->last_sequence(), batch.base_sequence())
                                         : batch.base_sequence() == 0;
        if (!in_order) return {ProducerVerdict::out_of_order_sequence, {}};
    }
    if (entry->transaction_start != no_offset && !batch.is_transactional()) {
        return {ProducerVerdict::invalid_transaction, {}};
    }
    return {};
}

std::optional<AbortedTransaction> ProducerStateTable::append(const record::BatchView& batch,
                                                             ByteView records) {
    KLAMM_ASSERT(batch.base_offset() >= end_);
    end_ = batch.next_offset();
    if (!batch.has_producer_id()) return std::nullopt;
    if (batch.is_control()) return append_marker(batch, records);
    ProducerEntry& entry = entries_[batch.producer_id()];
    move_to_epoch(entry, batch.producer_epoch());
    entry.last_timestamp = batch.max_timestamp();
    note(entry, {batch.last_sequence(), batch.last_offset(), batch.last_offset_delta(),
                 batch.max_timestamp()});
    if (batch.is_transactional() && entry.transaction_start == no_offset) {
        entry.transaction_start = batch.base_offset();
        open_.emplace(entry.transaction_start, batch.producer_id());
    }
    return std::nullopt;
}

std::optional<AbortedTransaction> ProducerStateTable::append_marker(const record::BatchView& batch,
                                                                    ByteView records) {
    // Of an empty one the whole transaction was compacted away.
    const auto marker = marker_of(records);
    if (!marker) return std::nullopt;
    ProducerEntry& entry = entries_[batch.producer_id()];
    move_to_epoch(entry, batch.producer_epoch());
    entry.last_timestamp = batch.max_timestamp();
    entry.coordinator_epoch = marker->coordinator_epoch;
    const Offset start = std::exchange(entry.transaction_start, no_offset);
    if (start == no_offset) return std::nullopt;
    open_.erase({start, batch.producer_id()});
    decided_.emplace(start, batch.base_offset());
    if (marker->type != record::ControlType::abort) return std::nullopt;
    const Offset stable = open_.empty() ? batch.base_offset() + 1 : open_.begin()->first;
    return AbortedTransaction{batch.producer_id(), start, batch.base_offset(), stable};
}

const ProducerEntry* ProducerStateTable::find(ProducerId id) const {
    const auto row = entries_.find(id);
    return row == entries_.end() ? nullptr : &row->second;
}

std::optional<Offset> ProducerStateTable::first_open_transaction() const {
    return open_.empty() ? std::nullopt : std::optional(open_.begin()->first);
}

bool ProducerStateTable::in_transaction(ProducerId id, ProducerEpoch epoch) const {
    const ProducerEntry* entry = find(id);
    return entry != nullptr && entry->epoch == epoch && entry->transaction_start != no_offset;
}

Offset ProducerStateTable::stable_end(Offset high_watermark) const {
    // After a start: of what ended before, nothing tells any more where it began.
    if (high_watermark < decided_from_) return Offset(0);
    Offset end = high_watermark;
    if (!open_.empty()) end = std::min(end, open_.begin()->first);
    for (const auto& [start, marker] : decided_) {
        if (start >= end) break;
        if (marker >= high_watermark) end = start;
    }
    return end;
}

void ProducerStateTable::forget_decided(Offset high_watermark) {
    if (decided_.empty()) return;
    std::erase_if(decided_, [&](const auto& row) { return row.second < high_watermark; });
}

void ProducerStateTable::remove_expired(Timestamp now, std::int64_t expiration_ms) {
    std::erase_if(entries_, [&](const auto& row) {
        const ProducerEntry& entry = row.second;
        return entry.transaction_start == no_offset && now - entry.last_timestamp >= expiration_ms;
    });
}

void ProducerStateTable::clear(Offset end) {
    *this = {};
    end_ = end;
}

}  // namespace klamm::log
