#pragma once
// Makes batches of magic 2. Its bytes are those that Kafka's MemoryRecordsBuilder makes from the
// same calls; compressed ones may differ in the compressor's choices, not in meaning.
//
// The first record gives the base timestamp. A batch holds at least one record, and offsets rise.

#include <cstdint>
#include <optional>
#include <span>

#include "core/base/ids.h"
#include "core/record/batch.h"
#include "core/record/compression.h"
#include "core/record/record.h"

namespace klamm::record {

struct BatchOptions {
    Offset base_offset{0};
    LeaderEpoch leader_epoch = no_leader_epoch;
    Compression compression = Compression::none;
    std::optional<int> level;                  // of the compression; Kafka's default without
    std::optional<Timestamp> log_append_time;  // the time of all records; their own without
    ProducerId producer_id = no_producer_id;
    ProducerEpoch producer_epoch = no_producer_epoch;
    std::int32_t base_sequence = no_sequence;
    bool transactional = false;
    bool control = false;
    /// From when on the cleaner may drop what was deleted (KIP-534): stands as base timestamp.
    std::optional<Timestamp> delete_horizon = std::nullopt;
};

/// A header without records that stands where `batch` stood: offsets, producer and sequences stay,
/// the records are gone. What compaction leaves when it may not forget the batch itself.
Bytes empty_batch(const BatchView& batch);

class BatchBuilder {
  public:
    explicit BatchBuilder(BatchOptions options = {});

    /// Appends a record at the next offset. Null key and value are std::nullopt. The views are
    /// copied.
    void append(Timestamp timestamp, std::optional<ByteView> key, std::optional<ByteView> value,
                std::span<const Header> headers = {});
    /// The same at an offset above all before it; the gap stays. The first one may lie above the
    /// base offset.
    void append_at(Offset offset, Timestamp timestamp, std::optional<ByteView> key,
                   std::optional<ByteView> value, std::span<const Header> headers = {});
    /// The same with headers as they lie in another batch.
    void append_at(Offset offset, Timestamp timestamp, const Record& record);

    [[nodiscard]] bool empty() const { return record_count_ == 0; }
    [[nodiscard]] std::int32_t record_count() const { return record_count_; }
    [[nodiscard]] Timestamp max_timestamp() const { return max_timestamp_; }
    /// What the batch takes without compression.
    [[nodiscard]] std::size_t size_bytes() const { return bytes_.size(); }
    /// The most that one more record adds to size_bytes().
    static std::size_t record_bytes_max(std::optional<ByteView> key, std::optional<ByteView> value,
                                        std::span<const Header> headers = {});

    /// Names the producer, any time before build(): sequences are given when a batch is sent.
    void set_producer(ProducerId id, ProducerEpoch epoch, std::int32_t base_sequence,
                      bool transactional);
    /// The last offset of the batch, at or above that of its last record: what compaction keeps of
    /// a batch whose end it dropped.
    void set_last_offset(Offset offset);

    /// The finished batch. Needs at least one record; the builder is spent. A compression level out
    /// of range is a bug of the caller.
    Bytes build();

  private:
    template <class WriteHeaders>
    void append_record(Offset offset, Timestamp timestamp, std::optional<ByteView> key,
                       std::optional<ByteView> value, std::size_t headers_bytes,
                       WriteHeaders&& write_headers);
    void write_header(std::size_t size);

    BatchOptions options_;
    Bytes bytes_;  // room for the header, then the records as they are before compression
    std::int32_t record_count_ = 0;
    Offset last_offset_{-1};
    Timestamp base_timestamp_ = no_timestamp;
    Timestamp max_timestamp_ = no_timestamp;
};

}  // namespace klamm::record
