#include "core/record/validate.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/record/builder.h"
#include "core/record/record.h"

namespace klamm::record {

namespace {

using protocol::ErrorCode;

/// Produce version 7 brought zstd (KIP-110).
constexpr std::int16_t produce_version_of_zstd = 7;
/// A record of magic 0, the smallest there is: what Kafka's reader of batches checks first.
constexpr std::int32_t legacy_length_min = 14;

Validation refuse(ErrorCode error, std::string message) {
    Validation refused;
    refused.error = error;
    refused.message = std::move(message);
    return refused;
}

enum class Front : std::uint8_t { batch, legacy_batch, nothing, corrupt };

/// What stands at the front of `bytes`, as Kafka's ByteBufferLogInputStream sees it: a batch that
/// is not whole counts as nothing.
Front look_at_front(ByteView bytes, std::size_t& size) {
    if (bytes.size() < log_overhead_bytes) return Front::nothing;
    const auto length = load_big_endian<std::int32_t>(bytes.data() + 8);
    if (length < legacy_length_min) return Front::corrupt;
    if (bytes.size() < batch_prefix_bytes) return Front::nothing;
    const auto magic = static_cast<std::int8_t>(bytes[16]);
    if (magic < 0 || magic > batch_magic) return Front::corrupt;
    size = log_overhead_bytes + static_cast<std::size_t>(length);
    if (bytes.size() < size) return Front::nothing;
    return magic == batch_magic ? Front::batch : Front::legacy_batch;
}

/// The rules that the request alone decides (ProduceRequest.validateRecords). On success,
/// batch_bytes is set and at least a header long.
Validation check_request(ByteView produced, const ValidateOptions& options) {
    std::size_t size = 0;
    const Front first = look_at_front(produced, size);
    if (first == Front::corrupt)
        return refuse(ErrorCode::corrupt_message, "The length or magic of the batch is invalid");
    if (first == Front::nothing)
        return refuse(ErrorCode::invalid_record,
                      fmt::format("Produce requests with version {} must have at least one record "
                                  "batch per partition",
                                  options.produce_version));
    if (first == Front::legacy_batch)
        return refuse(ErrorCode::invalid_record,
                      fmt::format("Produce requests with version {} are only allowed to contain "
                                  "record batches with magic version 2",
                                  options.produce_version));
    if (size < batch_header_bytes)
        return refuse(
            ErrorCode::corrupt_message,
            fmt::format("Record batch is corrupt (the size {} is smaller than the minimum "
                        "allowed overhead {})",
                        size, batch_header_bytes));
    const BatchView batch(produced.first(size));
    if (options.produce_version < produce_version_of_zstd &&
        batch.compression_id() == static_cast<std::uint8_t>(Compression::zstd))
        return refuse(ErrorCode::unsupported_compression_type,
                      fmt::format("Produce requests with version {} are not allowed to use "
                                  "ZStandard compression",
                                  options.produce_version));
    std::size_t second_size = 0;
    const Front second = look_at_front(produced.subspan(size), second_size);
    if (second == Front::corrupt)
        return refuse(ErrorCode::corrupt_message, "What follows the batch is corrupt");
    if (second != Front::nothing)
        return refuse(ErrorCode::invalid_record,
                      fmt::format("Produce requests with version {} are only allowed to contain "
                                  "exactly one record batch per partition",
                                  options.produce_version));
    Validation sound;
    sound.batch_bytes = size;
    return sound;
}

/// The rules that the header alone decides.
Validation check_header(const BatchView& batch, const ValidateOptions& options) {
    const bool from_client = options.origin == Origin::client;
    const std::string_view where = options.partition;
    if (from_client && batch.base_offset() != Offset(0))
        return refuse(
            ErrorCode::invalid_record,
            fmt::format("The baseOffset of the record batch in the append to {} should be "
                        "0, but it is {}",
                        where, batch.base_offset().value));
    if (options.batch_bytes_max >= 0 &&
        batch.size_bytes() > static_cast<std::size_t>(options.batch_bytes_max))
        return refuse(ErrorCode::message_too_large,
                      fmt::format("The record batch size in the append to {} is {} bytes which "
                                  "exceeds the maximum configured value of {}",
                                  where, batch.size_bytes(), options.batch_bytes_max));
    if (!batch.crc_holds())
        return refuse(ErrorCode::corrupt_message,
                      fmt::format("Record is corrupt (stored crc = {}) in topic partition {}",
                                  batch.crc(), where));
    // Kafka meets an exception that it has no code for.
    if (batch.compression_id() >= compression_count)
        return refuse(ErrorCode::unknown_server_error,
                      fmt::format("Unknown compression type id: {}", batch.compression_id()));
    if (!from_client) return {};

    const std::int64_t count_from_offsets = std::int64_t{batch.last_offset_delta()} + 1;
    if (count_from_offsets <= 0)
        return refuse(
            ErrorCode::invalid_record,
            fmt::format("Batch has an invalid offset range: [{}, {}] in topic partition {}",
                        batch.base_offset().value, batch.last_offset().value, where));
    if (batch.record_count() <= 0)
        return refuse(
            ErrorCode::invalid_record,
            fmt::format("Invalid reported count for record batch: {} in topic partition {}",
                        batch.record_count(), where));
    if (count_from_offsets != batch.record_count())
        return refuse(
            ErrorCode::invalid_record,
            fmt::format("Inconsistent batch offset range [{}, {}] and count of records {} "
                        "in topic partition {}",
                        batch.base_offset().value, batch.last_offset().value, batch.record_count(),
                        where));
    if (batch.is_control())
        return refuse(ErrorCode::invalid_record,
                      fmt::format("Clients are not allowed to write control records in topic "
                                  "partition {}",
                                  where));
    if (batch.has_producer_id() && batch.base_sequence() < 0)
        return refuse(
            ErrorCode::invalid_record,
            fmt::format("Invalid sequence number {} in record batch with producerId {} in "
                        "topic partition {}",
                        batch.base_sequence(), batch.producer_id().value, where));
    if (batch.is_transactional() && !batch.has_producer_id())
        return refuse(ErrorCode::invalid_record,
                      fmt::format("A transactional record batch without a producerId in topic "
                                  "partition {}",
                                  where));
    return {};
}

/// What the walk over the records gathers.
class RecordChecks {
  public:
    RecordChecks(const BatchView& batch, const ValidateOptions& options)
        : batch_(batch), options_(options) {}

    void check(const Record& record, std::int32_t index) {
        const Timestamp timestamp = record_timestamp(batch_, record);
        max_timestamp_ = std::max(max_timestamp_, timestamp);
        if (record.offset_delta != index) gapless_ = false;
        if (options_.compacted && !record.key) return note_missing_key(index);
        if (!options_.log_append_time && timestamp != no_timestamp) {
            if (out_of_range(timestamp)) note_range(record, timestamp, index);
        } else if (batch_.is_log_append_time()) {
            note_timestamp_type(index);
        }
    }

    [[nodiscard]] Timestamp max_timestamp() const { return max_timestamp_; }
    [[nodiscard]] bool gapless() const { return gapless_; }
    [[nodiscard]] bool good() const { return error_count_ == 0; }

    /// The refusal of a batch with bad records.
    Validation refusal() && {
        Validation refused =
            bad_timestamp_
                ? refuse(ErrorCode::invalid_timestamp,
                         "One or more records have been rejected due to invalid timestamp")
                : refuse(ErrorCode::invalid_record,
                         fmt::format("One or more records have been rejected due to {} record "
                                     "errors in total",
                                     error_count_));
        refused.record_errors = std::move(errors_);
        return refused;
    }

  private:
    [[nodiscard]] bool out_of_range(Timestamp timestamp) const {
        const std::int64_t age = wrapping_difference(options_.now.value, timestamp.value);
        return age > options_.timestamp_before_max_ms ||
               wrapping_difference(0, age) > options_.timestamp_after_max_ms;
    }
    template <class MakeMessage>
    void note(std::int32_t index, MakeMessage&& make_message) {
        ++error_count_;
        if (errors_.size() < record_errors_max) errors_.push_back({index, make_message()});
    }
    void note_missing_key(std::int32_t index) {
        note(index, [&] {
            return fmt::format(
                "Compacted topic cannot accept message without key in topic partition {}",
                options_.partition);
        });
    }
    void note_range(const Record& record, Timestamp timestamp, std::int32_t index) {
        bad_timestamp_ = true;
        note(index, [&] {
            return fmt::format(
                "Timestamp {} of message with offset {} is out of range. The timestamp should be "
                "within [{}, {}]",
                timestamp.value, record_offset(batch_, record).value,
                wrapping_difference(options_.now.value, options_.timestamp_before_max_ms),
                wrapping_difference(options_.now.value,
                                    wrapping_difference(0, options_.timestamp_after_max_ms)));
        });
    }
    void note_timestamp_type(std::int32_t index) {
        bad_timestamp_ = true;
        note(index, [] {
            return std::string(
                "Invalid timestamp type in message. Producer should not set timestamp type to "
                "LogAppendTime.");
        });
    }

    const BatchView& batch_;
    const ValidateOptions& options_;
    Timestamp max_timestamp_ = no_timestamp;
    bool gapless_ = true;
    bool bad_timestamp_ = false;
    std::int64_t error_count_ = 0;
    std::vector<RecordError> errors_;
};

/// Decompresses and walks the records.
Validation check_records(const BatchView& batch, const ValidateOptions& options) {
    const auto plain = plain_records(batch, options.records_bytes_max, options.decompressor);
    if (!plain.ok()) {
        // Kafka meets an exception that it has no code for when a stream cannot be read. It has no
        // bound on what comes out; ours is told as a size.
        const ErrorCode error = plain.failure() == Failure::limit ? ErrorCode::message_too_large
                                                                  : ErrorCode::unknown_server_error;
        return refuse(error, fmt::format("Failed to decompress record stream in topic partition {}",
                                         options.partition));
    }
    RecordChecks checks(batch, options);
    RecordIterator records(plain->records);
    std::int32_t count = 0;
    for (Record record; count < batch.record_count() && records.next(record); ++count)
        checks.check(record, count);
    if (records.failed())
        return refuse(
            ErrorCode::invalid_record,
            fmt::format("Found invalid record structure in record {} in topic partition {}", count,
                        options.partition));
    if (count != batch.record_count())
        return refuse(ErrorCode::invalid_record,
                      "Incorrect declared batch size, premature EOF reached");
    if (!records.rest().empty())
        return refuse(ErrorCode::invalid_record,
                      "Incorrect declared batch size, records still remaining in file");
    if (!checks.good()) return std::move(checks).refusal();

    Validation sound;
    sound.record_count = count;
    sound.records_bytes = plain->records.size();
    sound.log_append_time = options.log_append_time;
    sound.max_timestamp = options.log_append_time ? options.now : checks.max_timestamp();
    // Control records are not compressed unless they come so.
    const bool keeps_codec = !options.compression || *options.compression == batch.compression() ||
                             (batch.is_control() && batch.compression() == Compression::none);
    sound.must_rebuild = !keeps_codec || (!checks.gapless() && options.origin == Origin::client);
    return sound;
}

}  // namespace

Validation validate(ByteView produced, const ValidateOptions& options) {
    const Validation request = check_request(produced, options);
    if (!request.ok()) return request;
    const BatchView batch(produced.first(request.batch_bytes));
    Validation header = check_header(batch, options);
    if (!header.ok()) return header;
    Validation outcome = check_records(batch, options);
    if (outcome.ok()) outcome.batch_bytes = request.batch_bytes;
    return outcome;
}

BatchHeader append_header(const BatchView& batch, const Validation& validation, Offset base_offset,
                          LeaderEpoch leader_epoch) {
    KLAMM_ASSERT(validation.ok());
    KLAMM_ASSERT(!validation.must_rebuild);
    BatchHeader header;
    const ByteView before = batch.bytes().first(batch_header_bytes);
    std::copy(before.begin(), before.end(), header.begin());
    write_base_offset_and_epoch(header, base_offset, leader_epoch);
    write_max_timestamp(header, batch.records(), validation.log_append_time,
                        validation.max_timestamp);
    return header;
}

Result<Bytes> rebuild(const BatchView& batch, const RebuildOptions& options) {
    if (!level_in_range(options.compression, options.level))
        return Error{Failure::invalid, "a compression level out of range"};
    const auto plain = plain_records(batch, options.records_bytes_max);
    if (!plain.ok()) return plain.error();
    BatchOptions shape;
    shape.base_offset = options.base_offset;
    shape.leader_epoch = options.leader_epoch;
    shape.compression = options.compression;
    shape.level = options.level;
    shape.log_append_time = options.log_append_time;
    shape.producer_id = batch.producer_id();
    shape.producer_epoch = batch.producer_epoch();
    shape.base_sequence = batch.base_sequence();
    shape.transactional = batch.is_transactional();
    shape.control = batch.is_control();
    BatchBuilder builder(shape);
    RecordIterator records(plain->records);
    for (Record record; records.next(record);)
        builder.append_at(options.base_offset + builder.record_count(),
                          record_timestamp(batch, record), record);
    if (records.failed() || builder.empty())
        return Error{Failure::invalid, "the batch holds something that is no record"};
    return builder.build();
}

}  // namespace klamm::record
