// See compaction.h.

#include "core/log/compaction.h"

#include <algorithm>

#include "core/record/builder.h"
#include "core/record/compression.h"
#include "core/record/control.h"
#include "core/record/record.h"

namespace klamm::log {

namespace {

constexpr std::int64_t million = 1'000'000;
constexpr std::int64_t relative_offset_max = 0x7fffffff;
/// Of one batch.
constexpr std::size_t decompressed_bytes_max = 256U << 20;
/// What an entry takes beside its key.
constexpr std::uint64_t entry_bytes = 80;

bool is_abort(const record::BatchView& batch) {
    record::RecordIterator records(batch.records());
    record::Record record;
    if (!records.next(record) || !record.key) return false;
    const auto type = record::decode_control_key(*record.key);
    return type.ok() && *type == record::ControlType::abort;
}

}  // namespace

std::int64_t CleanRange::dirty_ratio() const {
    const std::uint64_t all = clean_bytes + dirty_bytes;
    if (all == 0) return 0;
    return static_cast<std::int64_t>(dirty_bytes * million / all);
}

bool CleanRange::due(const CompactionRules& rules) const {
    return dirty_bytes > 0 && (overdue || dirty_ratio() > rules.dirty_millionths_min);
}

std::optional<CleanRange> clean_range(std::span<const SegmentFacts> segments, Offset log_start,
                                      Offset cleaned_to, Offset stable_end, Timestamp wall,
                                      const CompactionRules& rules) {
    KLAMM_ASSERT(!segments.empty());
    const Offset active = segments.back().base;
    CleanRange range;
    // A checkpoint that lies outside the log says nothing.
    range.first_dirty = cleaned_to < log_start || cleaned_to > active ? log_start : cleaned_to;
    range.end = std::min(stable_end, active);
    for (const SegmentFacts& segment : segments.first(segments.size() - 1)) {
        if (segment.end <= range.first_dirty || rules.min_lag_ms == 0) continue;
        if (segment.newest > wall - rules.min_lag_ms) {
            range.end = std::min(range.end, segment.base);
            break;
        }
    }
    if (range.first_dirty >= range.end) return std::nullopt;
    for (const SegmentFacts& segment : segments.first(segments.size() - 1)) {
        if (segment.base >= range.end) break;
        (segment.end <= range.first_dirty ? range.clean_bytes : range.dirty_bytes) += segment.size;
        if (segment.end <= range.first_dirty || segment.first.value <= 0) continue;
        if (wall - segment.first > rules.max_lag_ms) range.overdue = true;
    }
    return range;
}

std::vector<SegmentGroup> group_segments(std::span<const SegmentFacts> segments, Offset end,
                                         std::uint64_t segment_bytes,
                                         std::uint64_t index_entries_max) {
    std::vector<SegmentGroup> groups;
    std::uint64_t size = 0;
    std::uint64_t entries = 0;
    for (std::size_t i = 0; i < segments.size() && segments[i].base < end; ++i) {
        const SegmentFacts& segment = segments[i];
        const bool fits = !groups.empty() && size + segment.size <= segment_bytes &&
                          entries + segment.index_entries <= index_entries_max &&
                          segment.end - groups.back().base <= relative_offset_max;
        if (!fits) {
            groups.push_back({segment.base, segment.end, i, 0});
            size = entries = 0;
        }
        size += segment.size;
        entries += segment.index_entries;
        groups.back().end = segment.end;
        ++groups.back().count;
    }
    return groups;
}

bool LastOffsets::note(ByteView key, Offset offset) {
    if (const auto row = last_.find(as_text(key)); row != last_.end()) {
        row->second = std::max(row->second, offset);
        return true;
    }
    if (bytes_ + key.size() + entry_bytes > bytes_max_) return false;
    bytes_ += key.size() + entry_bytes;
    last_.emplace(as_text(key), offset);
    return true;
}

Offset LastOffsets::find(ByteView key) const {
    const auto row = last_.find(as_text(key));
    return row == last_.end() ? no_offset : row->second;
}

void LastOffsets::clear() {
    last_.clear();
    bytes_ = 0;
}

void AbortedBatches::walk(const record::BatchView& batch) {
    if (!batch.is_transactional()) return;
    if (!batch.is_control()) {
        open_.emplace(batch.producer_id(), batch.base_offset());
        return;
    }
    const auto open = open_.extract(batch.producer_id());
    if (open.empty() || !is_abort(batch)) return;
    std::vector<Range>& ranges = aborted_[batch.producer_id()];
    const Range range{open.mapped(), batch.base_offset()};
    if (ranges.empty() || ranges.back().from < range.from) ranges.push_back(range);
}

bool AbortedBatches::aborted(const record::BatchView& batch) const {
    if (!batch.is_transactional() || batch.is_control()) return false;
    const auto row = aborted_.find(batch.producer_id());
    if (row == aborted_.end()) return false;
    return std::any_of(row->second.begin(), row->second.end(), [&](const Range& range) {
        return range.from <= batch.base_offset() && batch.base_offset() < range.to;
    });
}

bool note_keys(const record::BatchView& batch, Offset from, const AbortedBatches& transactions,
               LastOffsets& keys) {
    if (batch.is_control() || batch.last_offset() < from || transactions.aborted(batch))
        return true;
    const auto plain = record::plain_records(batch, decompressed_bytes_max);
    if (!plain.ok()) return true;
    record::RecordIterator records(plain->records);
    for (record::Record record; records.next(record);) {
        const Offset offset = record::record_offset(batch, record);
        if (!record.key || offset < from) continue;
        if (!keys.note(*record.key, offset)) return false;
    }
    return true;
}

bool BatchCleaner::last_of_producer(const record::BatchView& batch) const {
    if (!batch.has_producer_id()) return false;
    const auto row = now_.producers.find(batch.producer_id());
    if (row == now_.producers.end()) return false;
    const ProducerEntry& entry = row->second;
    if (entry.batch_count > 0) return batch.last_offset() == entry.last_offset();
    return batch.is_control() && batch.producer_epoch() == entry.epoch;
}

bool BatchCleaner::retains(const record::BatchView& batch, Offset offset,
                           std::optional<ByteView> key, bool tombstone) const {
    if (offset >= now_.cleaned_end) return true;
    if (!key) return false;
    if (offset < now_.keys.find(*key)) return false;
    // With the horizon in the header, the base timestamp is the horizon.
    return !tombstone || !batch.has_delete_horizon() || now_.wall < batch.base_timestamp();
}

BatchCleaner::Cleaned BatchCleaner::clean(const record::BatchView& batch, bool last_of_group) {
    const bool below = batch.base_offset() < now_.cleaned_end;
    bool discard = below && now_.transactions.aborted(batch);
    bool useless_marker = false;
    if (batch.is_transactional() && batch.is_control()) {
        useless_marker = below && data_seen_.erase(batch.producer_id()) == 0;
        // A marker goes one retention after its last data, so that a reader which has begun to read
        // the data finds it (KIP-534).
        discard =
            useless_marker && batch.has_delete_horizon() && batch.base_timestamp() <= now_.wall;
    } else if (batch.is_transactional()) {
        // Of an aborted one too: without its marker what is left of it would be undecided again.
        data_seen_.insert(batch.producer_id());
    }
    const auto plain = record::plain_records(batch, decompressed_bytes_max);
    if (!plain.ok()) return {};  // what cannot be read is kept
    std::vector<record::Record> kept;
    bool all = true;
    bool tombstones = false;
    record::RecordIterator records(plain->records);
    for (record::Record record; records.next(record);) {
        const bool tombstone = !record.value;
        const bool stays =
            !discard && (batch.is_control() || retains(batch, record::record_offset(batch, record),
                                                       record.key, tombstone));
        if (stays) {
            kept.push_back(record);
            tombstones |= tombstone && !batch.is_control();
        } else {
            all = false;
        }
    }
    if (records.failed()) return {};
    if (kept.empty()) {
        if (!last_of_producer(batch) && !last_of_group) return {Fate::drop, {}};
        if (batch.record_count() == 0) return {};
        return {Fate::replace, record::empty_batch(batch)};
    }
    const bool sets_horizon =
        below && !batch.has_delete_horizon() && (tombstones || useless_marker);
    if (all && !sets_horizon) return {};
    record::BatchOptions options;
    options.base_offset = batch.base_offset();
    options.leader_epoch = batch.leader_epoch();
    options.compression = batch.compression();
    options.producer_id = batch.producer_id();
    options.producer_epoch = batch.producer_epoch();
    options.base_sequence = batch.base_sequence();
    options.transactional = batch.is_transactional();
    options.control = batch.is_control();
    if (batch.is_log_append_time()) options.log_append_time = batch.max_timestamp();
    if (batch.has_delete_horizon()) options.delete_horizon = batch.base_timestamp();
    if (sets_horizon) options.delete_horizon = now_.wall + now_.delete_retention_ms;
    record::BatchBuilder builder(options);
    for (const record::Record& record : kept)
        builder.append_at(record::record_offset(batch, record),
                          record::record_timestamp(batch, record), record);
    builder.set_last_offset(batch.last_offset());
    return {Fate::replace, builder.build()};
}

}  // namespace klamm::log
