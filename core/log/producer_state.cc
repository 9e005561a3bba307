// See producer_state.h. The checks follow ProducerAppendInfo of Kafka 4.1, in its order; a client's
// batch is first looked up among the remembered ones, as UnifiedLog does.

#include "core/log/producer_state.h"

#include "core/record/control.h"
#include "core/record/record.h"

namespace klamm::log {

namespace {

constexpr std::int32_t sequence_max = 0x7fffffff;

bool follows(std::int32_t last, std::int32_t next) {
    return last == sequence_max ? next == 0 : next == last + 1;
}

/// Of the first record of a control batch that ends a transaction; -1 when it is none.
std::int32_t coordinator_epoch_of(ByteView plain_records) {
    record::RecordIterator records(plain_records);
    record::Record record;
    if (!records.next(record) || !record.key || !record.value) return -1;
    const auto type = record::decode_control_key(*record.key);
    if (!type.ok()) return -1;
    const auto marker = record::decode_end_transaction(*type, *record.value);
    return marker.ok() ? marker->coordinator_epoch : -1;
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
    if (batch.is_control()) return {};
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

void ProducerStateTable::append(const record::BatchView& batch, ByteView records) {
    KLAMM_ASSERT(batch.base_offset() >= end_);
    end_ = batch.next_offset();
    if (!batch.has_producer_id()) return;
    ProducerEntry& entry = entries_[batch.producer_id()];
    move_to_epoch(entry, batch.producer_epoch());
    entry.last_timestamp = batch.max_timestamp();
    if (batch.is_control()) {
        entry.coordinator_epoch = coordinator_epoch_of(records);
        entry.transaction_start = no_offset;
        return;
    }
    note(entry, {batch.last_sequence(), batch.last_offset(), batch.last_offset_delta(),
                 batch.max_timestamp()});
    if (batch.is_transactional() && entry.transaction_start == no_offset) {
        entry.transaction_start = batch.base_offset();
    }
}

const ProducerEntry* ProducerStateTable::find(ProducerId id) const {
    const auto row = entries_.find(id);
    return row == entries_.end() ? nullptr : &row->second;
}

std::optional<Offset> ProducerStateTable::first_open_transaction() const {
    std::optional<Offset> first;
    for (const auto& [id, entry] : entries_) {
        if (entry.transaction_start == no_offset) continue;
        if (!first || entry.transaction_start < *first) first = entry.transaction_start;
    }
    return first;
}

void ProducerStateTable::remove_expired(Timestamp now, std::int64_t expiration_ms) {
    std::erase_if(entries_, [&](const auto& row) {
        const ProducerEntry& entry = row.second;
        return entry.transaction_start == no_offset && now - entry.last_timestamp >= expiration_ms;
    });
}

void ProducerStateTable::clear(Offset end) {
    entries_.clear();
    end_ = end;
}

}  // namespace klamm::log
