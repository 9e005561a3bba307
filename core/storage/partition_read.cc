// Reading: from the tail cache, or as a range of one segment file that begins and ends at batches.
// Walking to a batch reads small chunks; when the disk would block, the chunk is asked for and the
// caller asks again when it has come.

#include <algorithm>

#include "core/record/compression.h"
#include "core/record/record.h"
#include "core/storage/partition_log.h"

namespace klamm::storage {

namespace {
constexpr std::uint64_t chunk_bytes = 4096;
constexpr std::size_t chunks_max = 64;
/// Of one batch, when looking for a time inside it.
constexpr std::size_t decompressed_bytes_max = 256U << 20;
}  // namespace

ReadPlan PartitionLog::read(env::Env& env, Offset from, std::uint64_t bytes_max, Offset limit,
                            bool min_one) {
    ReadPlan plan;
    plan.from = plan.to = from;
    if (!opened()) {
        plan.status = ReadStatus::offline;
        return plan;
    }
    if (from < log_start_ || from > log_end_) {
        plan.status = ReadStatus::out_of_range;
        return plan;
    }
    limit = std::min(limit, log_end_);
    if (from >= limit) return plan;
    plan.behind = segment_of(from) < segment_of(limit);
    if (tail_.holds(from)) {
        tail_.read(from, bytes_max, limit, min_one, plan);
    } else {
        read_range(env, from, bytes_max, limit, min_one, plan);
    }
    return plan;
}

void PartitionLog::read_range(env::Env& env, Offset from, std::uint64_t bytes_max, Offset limit,
                              bool min_one, ReadPlan& plan) {
    std::size_t at = segment_of(from);
    Buffer header;
    const auto look = [&](std::uint64_t position) {
        const Walk walk = header_at(env, segments_[at], position, header, plan.ticket);
        if (walk == Walk::waiting) plan.status = ReadStatus::waiting;
        if (walk == Walk::failed) plan.status = ReadStatus::offline;
        return walk == Walk::ok;
    };
    std::uint64_t begin = segments_[at].position_floor(from);
    while (true) {
        // Kafka's cleaner may leave a segment that ends before the next one begins.
        if (config_.gaps && begin == segments_[at].size && at + 1 < segments_.size()) {
            ++at;
            begin = 0;
        }
        if (!look(begin)) return;
        if (record::BatchView(header).last_offset() >= from) break;
        begin += record::BatchView(header).size_bytes();
    }
    const Segment& segment = segments_[at];
    const record::BatchView first(header);
    const std::uint64_t first_size = first.size_bytes();
    if (first.last_offset() >= limit || (first_size > bytes_max && !min_one)) return;
    const Offset base = first.base_offset();
    Offset to = first.next_offset();
    std::uint64_t end = begin + first_size;
    // Jump to the last indexed batch that may still fit, then walk.
    if (first_size <= bytes_max) {
        end = segment.position_before(end, begin + bytes_max, limit);
        while (end < segment.size) {
            if (!look(end)) return;
            const record::BatchView next(header);
            to = next.base_offset();
            if (next.last_offset() >= limit || end + next.size_bytes() - begin > bytes_max) break;
            end += next.size_bytes();
            to = next.next_offset();
        }
    }
    plan.from = base;
    plan.to = to;
    plan.bytes = end - begin;
    plan.ranged = true;
    plan.pieces.emplace_back(env::FileRange{segment.log, begin, plan.bytes});
}

PartitionLog::Walk PartitionLog::header_at(env::Env& env, const Segment& segment,
                                           std::uint64_t position, Buffer& out,
                                           ReadTicket& ticket) {
    const auto damaged = [&] {
        go_offline(env.turn(), {{Failure::corrupt, "no whole batch stands where one was appended"},
                                join_path(path_, segment_file(segment.base, ".log")),
                                position,
                                segment.base,
                                false});
        return Walk::failed;
    };
    if (position + record::batch_header_bytes > segment.size) return damaged();
    const Walk walk = bytes_at(env, segment, position, record::batch_header_bytes, out, ticket);
    if (walk != Walk::ok) return walk;
    std::size_t size = 0;
    if (record::peek_batch(out, size) == record::Peek::bad || position + size > segment.size) {
        return damaged();
    }
    // No checksum covers the base offset, and nobody reads the batch to hold it against one: what
    // is told to readers about where they are must at least lie in this log.
    const record::BatchView batch(out);
    const bool here = batch.base_offset() >= segment.base && batch.last_offset_delta() >= 0 &&
                      batch.last_offset() < log_end_;
    return here ? Walk::ok : damaged();
}

PartitionLog::Walk PartitionLog::bytes_at(env::Env& env, const Segment& segment,
                                          std::uint64_t position, std::uint64_t size, Buffer& out,
                                          ReadTicket& ticket) {
    for (const Chunk& chunk : chunks_) {
        if (chunk.file != segment.log || position < chunk.position) continue;
        if (position + size > chunk.position + chunk.bytes.size()) continue;
        out = chunk.bytes.slice(static_cast<std::size_t>(position - chunk.position),
                                static_cast<std::size_t>(size));
        return Walk::ok;
    }
    const std::uint64_t wanted = std::min(std::max(size, chunk_bytes), segment.size - position);
    const MutableBuffer into(static_cast<std::size_t>(wanted));
    const auto count = env.disk().read_if_cached(segment.log, position, into.span());
    if (!count.ok() && count.failure() == Failure::limit) {
        const env::Token token = tokens_.issue(Work::chunk);
        ticket = tokens_.last();
        chunk_reads_.emplace(ticket, Chunk{segment.log, position, {}});
        env.disk().read(segment.log, position, into, token);
        return Walk::waiting;
    }
    const std::string file = join_path(path_, segment_file(segment.base, ".log"));
    if (!count.ok()) {
        disk_failed(env.turn(), count.error(), file, position);
        return Walk::failed;
    }
    if (*count < size) {
        go_offline(env.turn(), {{Failure::corrupt, "the file is shorter than what was appended"},
                                file,
                                position,
                                segment.base,
                                false});
        return Walk::failed;
    }
    if (chunks_.size() == chunks_max) chunks_.pop_front();
    chunks_.push_back({segment.log, position, into.freeze(*count)});
    out = chunks_.back().bytes.slice(0, static_cast<std::size_t>(size));
    return Walk::ok;
}

void PartitionLog::chunk_read(env::Env& env, const env::ReadDone& done) {
    const auto row = chunk_reads_.find(static_cast<std::uint32_t>(done.token));
    if (row == chunk_reads_.end()) return;
    Chunk chunk = std::move(row->second);
    ready_.push_back(row->first);
    chunk_reads_.erase(row);
    if (!done.count.ok()) {
        disk_failed(env.turn(), done.count.error(), path_, chunk.position);
        return;
    }
    chunk.bytes = done.out.freeze(*done.count);
    if (chunks_.size() == chunks_max) chunks_.pop_front();
    chunks_.push_back(std::move(chunk));
}

/// Whoever waits for a chunk asks again and finds what has become of the log.
void PartitionLog::forget_chunks() {
    chunks_.clear();
    for (const auto& [ticket, chunk] : chunk_reads_) ready_.push_back(ticket);
    chunk_reads_.clear();
}

TimestampLookup PartitionLog::offset_for_timestamp(env::Env& env, Timestamp timestamp) {
    TimestampLookup lookup;
    if (!opened()) {
        lookup.status = ReadStatus::offline;
        return lookup;
    }
    for (const Segment& segment : segments_) {
        if (segment.size == 0 || segment.end <= log_start_) continue;
        if (segment.timestamp_max < timestamp) continue;
        // Up to an entry below the time, nothing is as late as it.
        const auto entry = std::partition_point(
            segment.time_entries.begin(), segment.time_entries.end(),
            [&](const TimeIndexEntry& row) { return row.timestamp < timestamp; });
        std::uint64_t position = 0;
        if (entry != segment.time_entries.begin())
            position = segment.position_floor((entry - 1)->offset);
        const Walk walk = search_batch(env, segment, position, timestamp, lookup);
        if (walk == Walk::waiting) lookup.status = ReadStatus::waiting;
        if (walk == Walk::failed) lookup.status = ReadStatus::offline;
        if (walk != Walk::ok || lookup.found) return lookup;
    }
    return lookup;
}

PartitionLog::Walk PartitionLog::search_batch(env::Env& env, const Segment& segment,
                                              std::uint64_t position, Timestamp timestamp,
                                              TimestampLookup& lookup) {
    Buffer bytes;
    while (position < segment.size) {
        Walk walk = header_at(env, segment, position, bytes, lookup.ticket);
        if (walk != Walk::ok) return walk;
        const std::uint64_t size = record::BatchView(bytes).size_bytes();
        if (record::BatchView(bytes).max_timestamp() < timestamp ||
            record::BatchView(bytes).last_offset() < log_start_) {
            position += size;
            continue;
        }
        walk = bytes_at(env, segment, position, size, bytes, lookup.ticket);
        if (walk != Walk::ok) return walk;
        const record::BatchView batch(bytes);
        const auto plain = record::plain_records(batch, decompressed_bytes_max);
        if (plain.ok()) {
            record::RecordIterator records(plain->records);
            for (record::Record record; records.next(record);) {
                if (record::record_timestamp(batch, record) < timestamp) continue;
                if (record::record_offset(batch, record) < log_start_) continue;
                lookup.found = true;
                lookup.timestamp = record::record_timestamp(batch, record);
                lookup.offset = record::record_offset(batch, record);
                lookup.epoch = batch.leader_epoch();
                return Walk::ok;
            }
        }
        position += size;
    }
    return Walk::ok;
}

PinId PartitionLog::pin(const ReadPlan& plan) {
    if (!plan.ranged) return PinId::none;
    pins_.push_back(
        {PinId{++pins_made_}, plan.to, std::get<env::FileRange>(plan.pieces.front()).file});
    return pins_.back().id;
}

void PartitionLog::unpin(PinId id) {
    std::erase_if(pins_, [&](const Pin& pin) { return pin.id == id; });
}

std::vector<PinId> PartitionLog::pinned_above(Offset end) const {
    std::vector<PinId> above;
    for (const Pin& pin : pins_) {
        if (pin.end > end) above.push_back(pin.id);
    }
    return above;
}

std::vector<log::AbortedTransaction> PartitionLog::aborted_in(Offset from, Offset to) const {
    std::vector<log::AbortedTransaction> found;
    // A transaction of [from, to) may have been ended anywhere after.
    for (std::size_t i = segment_of(std::max(from, segments_.front().base)); i < segments_.size();
         ++i)
        if (segments_[i].aborted.collect(from, to, found)) break;
    return found;
}

}  // namespace klamm::storage
