#pragma once
// One segment of a log: its files and their indexes, kept whole in memory (sparse: an entry each
// index.interval.bytes). An index is a function of the batches before it: note_batch() is the one
// place that decides an entry, when appending as when recovering. The fourth file, of aborted
// transactions, is made with the first of them; log::ProducerStateTable decides its entries.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/env/disk.h"
#include "core/log/aborted_index.h"
#include "core/record/batch.h"

namespace klamm::storage {

constexpr std::size_t offset_digits = 20;  // of a segment's name

constexpr std::size_t index_entry_bytes = 8;
constexpr std::size_t time_index_entry_bytes = 12;

/// The batch whose last offset is `last` begins at `position`.
struct IndexEntry {
    Offset last;
    std::uint32_t position;
    friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

/// No batch up to the one that ends at `offset` has a timestamp above `timestamp`.
struct TimeIndexEntry {
    Timestamp timestamp;
    Offset offset;
    friend bool operator==(const TimeIndexEntry&, const TimeIndexEntry&) = default;
};

/// `<offset as 20 digits><suffix>`, e.g. segment_file(Offset(5), ".log").
std::string segment_file(Offset base, const char* suffix);

struct Segment {
    Offset base{0};
    Offset end{0};           // after the last batch
    std::uint64_t size = 0;  // of the log file
    env::FileId log = env::FileId::none;
    env::FileId index = env::FileId::none;
    env::FileId time_index = env::FileId::none;
    env::FileId txn_index = env::FileId::none;  // none: there is no such file
    std::vector<IndexEntry> entries;
    std::vector<TimeIndexEntry> time_entries;
    std::size_t entries_written = 0;  // how many of them are in the file
    std::size_t time_entries_written = 0;
    log::AbortedIndex aborted;
    std::size_t aborted_written = 0;
    std::uint64_t bytes_since_entry = 0;
    Timestamp timestamp_max = no_timestamp;
    Offset timestamp_max_offset = no_offset;   // last offset of the first batch that has it
    Timestamp timestamp_first = no_timestamp;  // of the first batch: what segment.ms counts from
    bool log_dirty = false;                    // written since the last sync was asked for
    bool index_dirty = false;                  //

    /// Takes the next batch, which begins at `size`, into the segment's figures and indexes.
    void note_batch(const record::BatchView& batch, std::uint64_t interval_bytes);
    /// The batch that was noted last ended a transaction, if it did, by aborting it.
    void note_aborted(const std::optional<log::AbortedTransaction>& transaction);
    /// The last entry of the time index, for the segment's greatest timestamp; written when a
    /// segment is sealed or closed.
    void note_sealed();
    /// Forgets what was noted from `from` on; the rest is noted again by the caller's scan.
    void forget_all();
    /// Where to begin walking to the batch that holds `offset`: the beginning of some batch at or
    /// before it.
    [[nodiscard]] std::uint64_t position_floor(Offset offset) const;
    /// The greatest indexed batch beginning in (from, to], or `from`.
    [[nodiscard]] std::uint64_t position_before(std::uint64_t from, std::uint64_t to,
                                                Offset limit) const;

    [[nodiscard]] Bytes encode_index(std::size_t first) const;
    [[nodiscard]] Bytes encode_time_index(std::size_t first) const;
    /// Takes both indexes from their files' bytes. Failure::corrupt unless the entries rise, stay
    /// inside the segment and fill the files exactly.
    Status decode(ByteView index_bytes, ByteView time_index_bytes);
};

}  // namespace klamm::storage
