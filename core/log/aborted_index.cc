// See aborted_index.h. An entry: version int16 (0), producer id, first offset, last offset and last
// stable offset, int64 each, big-endian.

#include "core/log/aborted_index.h"

#include <algorithm>

#include "core/base/assert.h"

namespace klamm::log {

namespace {
constexpr std::int16_t aborted_entry_version = 0;
}

void AbortedIndex::append(const AbortedTransaction& aborted) {
    if (!entries_.empty() && entries_.back() == aborted) return;
    KLAMM_ASSERT(entries_.empty() || entries_.back().last < aborted.last);
    entries_.push_back(aborted);
}

void AbortedIndex::truncate(Offset end) {
    while (!entries_.empty() && entries_.back().last >= end) entries_.pop_back();
}

bool AbortedIndex::collect(Offset from, Offset to, std::vector<AbortedTransaction>& found) const {
    auto entry = std::lower_bound(
        entries_.begin(), entries_.end(), from,
        [](const AbortedTransaction& one, Offset offset) { return one.last < offset; });
    for (; entry != entries_.end(); ++entry) {
        if (entry->first < to) found.push_back(*entry);
        // Whatever is decided later began at or above the last stable offset of then.
        if (entry->last_stable >= to) return true;
    }
    return false;
}

Bytes AbortedIndex::encode(std::size_t first) const {
    Bytes out((entries_.size() - first) * aborted_entry_bytes);
    for (std::size_t i = first; i < entries_.size(); ++i) {
        std::uint8_t* to = out.data() + (i - first) * aborted_entry_bytes;
        store_big_endian(to, aborted_entry_version);
        store_big_endian(to + 2, entries_[i].producer.value);
        store_big_endian(to + 10, entries_[i].first.value);
        store_big_endian(to + 18, entries_[i].last.value);
        store_big_endian(to + 26, entries_[i].last_stable.value);
    }
    return out;
}

Result<AbortedIndex> AbortedIndex::decode(ByteView bytes, Offset base, Offset end) {
    const Error bad{Failure::corrupt, "a transaction index does not fit its segment"};
    if (bytes.size() % aborted_entry_bytes != 0) return bad;
    AbortedIndex index;
    for (std::size_t at = 0; at < bytes.size(); at += aborted_entry_bytes) {
        const std::uint8_t* from = bytes.data() + at;
        if (load_big_endian<std::int16_t>(from) != aborted_entry_version) return bad;
        const AbortedTransaction entry{ProducerId(load_big_endian<std::int64_t>(from + 2)),
                                       Offset(load_big_endian<std::int64_t>(from + 10)),
                                       Offset(load_big_endian<std::int64_t>(from + 18)),
                                       Offset(load_big_endian<std::int64_t>(from + 26))};
        const bool rises = index.empty() || index.entries_.back().last < entry.last;
        if (!rises || entry.last < base || entry.last >= end || entry.first > entry.last)
            return bad;
        index.entries_.push_back(entry);
    }
    return index;
}

}  // namespace klamm::log
