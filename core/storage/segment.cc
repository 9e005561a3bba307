// See segment.h. The rules for entries are those of LogSegment.append and recover of Kafka 4.1,
// which agree with each other.

#include "core/storage/segment.h"

#include <algorithm>
#include <string_view>

namespace klamm::storage {

namespace {}

std::string segment_file(Offset base, const char* suffix) {
    KLAMM_ASSERT(base.value >= 0);
    const std::string digits = std::to_string(base.value);
    std::string name;
    name.reserve(offset_digits + std::string_view(suffix).size());
    name.append(offset_digits - digits.size(), '0');
    name += digits;
    return name += suffix;
}

void Segment::note_batch(const record::BatchView& batch, std::uint64_t interval_bytes) {
    KLAMM_ASSERT(batch.base_offset() >= end);
    if (size == 0) timestamp_first = batch.max_timestamp();
    // A batch that compaction has emptied holds no record of that time.
    if (batch.record_count() != 0 && batch.max_timestamp() > timestamp_max) {
        timestamp_max = batch.max_timestamp();
        timestamp_max_offset = batch.last_offset();
    }
    if (bytes_since_entry > interval_bytes) {
        entries.push_back({batch.last_offset(), static_cast<std::uint32_t>(size)});
        note_sealed();
        bytes_since_entry = 0;
        index_dirty = true;
    }
    bytes_since_entry += batch.size_bytes();
    size += batch.size_bytes();
    end = batch.next_offset();
}

void Segment::note_aborted(const std::optional<log::AbortedTransaction>& transaction) {
    if (!transaction) return;
    aborted.append(*transaction);
    index_dirty = true;
}

void Segment::note_sealed() {
    if (timestamp_max_offset == no_offset) return;
    if (!time_entries.empty() && timestamp_max <= time_entries.back().timestamp) return;
    time_entries.push_back({timestamp_max, timestamp_max_offset});
    index_dirty = true;
}

void Segment::forget_all() {
    end = base;
    size = 0;
    entries.clear();
    time_entries.clear();
    entries_written = 0;
    time_entries_written = 0;
    aborted.clear();
    aborted_written = 0;
    bytes_since_entry = 0;
    timestamp_max = no_timestamp;
    timestamp_max_offset = no_offset;
    timestamp_first = no_timestamp;
}

std::uint64_t Segment::position_floor(Offset offset) const {
    // An entry's batch may begin below its last offset: it serves offsets from last on, and those
    // inside its batch are found by walking from the entry before.
    const auto above =
        std::upper_bound(entries.begin(), entries.end(), offset,
                         [](Offset value, const IndexEntry& entry) { return value < entry.last; });
    return above == entries.begin() ? 0 : (above - 1)->position;
}

std::uint64_t Segment::position_before(std::uint64_t from, std::uint64_t to, Offset limit) const {
    // Entries rise in both: the first that begins above `to` or ends at or above `limit` stops it.
    const auto stop = std::partition_point(
        entries.begin(), entries.end(),
        [&](const IndexEntry& entry) { return entry.position <= to && entry.last < limit; });
    if (stop == entries.begin()) return from;
    return std::max<std::uint64_t>(from, (stop - 1)->position);
}

Bytes Segment::encode_index(std::size_t first) const {
    Bytes out((entries.size() - first) * index_entry_bytes);
    for (std::size_t i = first; i < entries.size(); ++i) {
        std::uint8_t* to = out.data() + (i - first) * index_entry_bytes;
        store_big_endian(to, static_cast<std::int32_t>(entries[i].last - base));
        store_big_endian(to + 4, entries[i].position);
    }
    return out;
}

Bytes Segment::encode_time_index(std::size_t first) const {
    Bytes out((time_entries.size() - first) * time_index_entry_bytes);
    for (std::size_t i = first; i < time_entries.size(); ++i) {
        std::uint8_t* to = out.data() + (i - first) * time_index_entry_bytes;
        store_big_endian(to, time_entries[i].timestamp.value);
        store_big_endian(to + 8, static_cast<std::int32_t>(time_entries[i].offset - base));
    }
    return out;
}

Status Segment::decode(ByteView index_bytes, ByteView time_index_bytes) {
    const Error bad{Failure::corrupt, "an index does not fit its segment"};
    if (index_bytes.size() % index_entry_bytes != 0) return bad;
    if (time_index_bytes.size() % time_index_entry_bytes != 0) return bad;
    entries.clear();
    time_entries.clear();
    for (std::size_t at = 0; at < index_bytes.size(); at += index_entry_bytes) {
        const auto relative = load_big_endian<std::int32_t>(index_bytes.data() + at);
        const auto position = load_big_endian<std::uint32_t>(index_bytes.data() + at + 4);
        if (relative < 0 || position == 0 || position >= size) return bad;
        const IndexEntry entry{base + relative, position};
        if (!entries.empty() &&
            (entry.last <= entries.back().last || position <= entries.back().position)) {
            return bad;
        }
        entries.push_back(entry);
    }
    for (std::size_t at = 0; at < time_index_bytes.size(); at += time_index_entry_bytes) {
        const Timestamp timestamp(load_big_endian<std::int64_t>(time_index_bytes.data() + at));
        const auto relative = load_big_endian<std::int32_t>(time_index_bytes.data() + at + 8);
        if (relative < 0) return bad;
        const TimeIndexEntry entry{timestamp, base + relative};
        if (!time_entries.empty() && (timestamp <= time_entries.back().timestamp ||
                                      entry.offset <= time_entries.back().offset)) {
            return bad;
        }
        time_entries.push_back(entry);
    }
    entries_written = entries.size();
    time_entries_written = time_entries.size();
    if (!time_entries.empty()) {
        timestamp_max = time_entries.back().timestamp;
        timestamp_max_offset = time_entries.back().offset;
    }
    return {};
}

}  // namespace klamm::storage
