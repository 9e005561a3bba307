#pragma once
// The records inside a batch of magic 2, uncompressed: parsing them one after another as views.
//
// A record is accepted only whole: its length covers exactly its fields, keys and values lie inside
// it, and every header has been walked once, so that a HeadersView never fails. Iterating allocates
// nothing. Offsets and timestamps stay relative here; the batch's header gives them their base.

#include <cstdint>
#include <optional>

#include "core/base/bytes.h"
#include "core/record/batch.h"

namespace klamm::record {

/// One header of a record; the key is UTF-8 by agreement, which nobody checks.
struct Header {
    ByteView key;
    std::optional<ByteView> value;
};

/// The headers of one parsed record, in their order; iterate with next().
class HeadersView {
  public:
    HeadersView() = default;
    HeadersView(ByteView bytes, std::int32_t count) : rest_(bytes), left_(count) {}

    /// How many are still to come.
    [[nodiscard]] std::int32_t count() const { return left_; }
    /// Puts the next header into `out`; false when there is none left.
    bool next(Header& out);

  private:
    ByteView rest_;
    std::int32_t left_ = 0;
};

struct Record {
    std::int8_t attributes = 0;  // unused so far
    std::int64_t timestamp_delta = 0;
    std::int32_t offset_delta = 0;
    std::optional<ByteView> key;
    std::optional<ByteView> value;
    HeadersView headers;
};

/// Walks the uncompressed records of a batch.
///
///     RecordIterator records(bytes);
///     for (Record record; records.next(record);) …
///     if (records.failed()) …
class RecordIterator {
  public:
    explicit RecordIterator(ByteView records) : rest_(records) {}

    /// Parses the next record into `out`, whose views lie in the bytes given at construction.
    /// False at the end, and at bytes that are no record; failed() tells these apart.
    bool next(Record& out);
    [[nodiscard]] bool failed() const { return failed_; }
    /// What has not been parsed yet.
    [[nodiscard]] ByteView rest() const { return rest_; }

  private:
    ByteView rest_;
    bool failed_ = false;
};

/// Calls `visit(const Record&)` for each record; false when the bytes end in something else.
template <class Visit>
bool for_each_record(ByteView records, Visit&& visit) {
    RecordIterator iterator(records);
    for (Record record; iterator.next(record);) visit(static_cast<const Record&>(record));
    return !iterator.failed();
}

/// The time of a record of `batch`. Wraps as Kafka's arithmetic does.
inline Timestamp record_timestamp(const BatchView& batch, const Record& record) {
    if (batch.is_log_append_time()) return batch.max_timestamp();
    return Timestamp(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(batch.base_timestamp().value) +
                                  static_cast<std::uint64_t>(record.timestamp_delta)));
}

/// The offset of a record of `batch`, once the batch has its place in the log.
inline Offset record_offset(const BatchView& batch, const Record& record) {
    return wrapping_offset(batch.base_offset(), record.offset_delta);
}

}  // namespace klamm::record
