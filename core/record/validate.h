#pragma once
// Is this produced batch fit for the log? The rules, their order and their error codes are those of
// Kafka 4.1 (ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator),
// for batches of magic 2. README.md lists the rules and where they are stricter.
//
// A pure function of values. It does not change the batch: its outcome says what the header must
// say when the batch is appended, and append_header writes that. Nothing is allocated for each
// record of a sound batch; compressed records are decompressed once, into a bounded buffer.

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/protocol/error_code.h"
#include "core/record/batch.h"
#include "core/record/compression.h"

namespace klamm::record {

/// Who hands the batch in. Only clients are mistrusted in what they may write.
enum class Origin : std::uint8_t {
    client,    // a Produce request
    internal,  // this broker's own coordinators: control batches and given offsets are lawful
};

/// What is reported of the single records of a refused batch.
constexpr std::size_t record_errors_max = 1'000;

struct ValidateOptions {
    Origin origin = Origin::client;
    std::int16_t produce_version = 13;          // of the request; zstd came with 7
    Timestamp now;                              // wall time
    std::int32_t batch_bytes_max = 1'048'588;   // max.message.bytes
    std::size_t records_bytes_max = 256 << 20;  // what compressed records may decompress to
    bool compacted = false;                     // cleanup.policy contains compact
    bool log_append_time = false;               // message.timestamp.type
    std::int64_t timestamp_before_max_ms = std::numeric_limits<std::int64_t>::max();
    std::int64_t timestamp_after_max_ms = 3'600'000;
    std::optional<Compression> compression;  // compression.type; none: "producer"
    std::string_view partition;              // "orders-0", for messages
    Decompressor* decompressor = nullptr;    // working memory to use again
};

struct RecordError {
    std::int32_t batch_index = 0;  // which record of the batch, from 0
    std::string message;

    friend bool operator==(const RecordError&, const RecordError&) = default;
};

/// The outcome. When `error` is not none, only it, `message` and `record_errors` mean anything.
struct Validation {
    protocol::ErrorCode error = protocol::ErrorCode::none;
    std::string message;                     // for the response; empty without an error
    std::vector<RecordError> record_errors;  // at most record_errors_max

    std::size_t batch_bytes = 0;  // the batch is so much of the input; the rest is cut off
    std::int32_t record_count = 0;
    Timestamp max_timestamp = no_timestamp;  // what the header must say when it is appended
    bool log_append_time = false;            // the same
    std::size_t records_bytes = 0;           // of the records before compression
    /// The records must be written anew (rebuild): another compression is wanted, or their offsets
    /// do not run from 0 to n-1.
    bool must_rebuild = false;

    [[nodiscard]] bool ok() const { return error == protocol::ErrorCode::none; }
};

/// Judges the records field of one partition of a Produce request.
Validation validate(ByteView produced, const ValidateOptions& options);

using BatchHeader = std::array<std::uint8_t, batch_header_bytes>;

/// The header under which a validated batch that need not be rebuilt is appended; what follows it
/// is batch.records() unchanged.
BatchHeader append_header(const BatchView& batch, const Validation& validation, Offset base_offset,
                          LeaderEpoch leader_epoch);

struct RebuildOptions {
    Offset base_offset{0};
    LeaderEpoch leader_epoch = no_leader_epoch;
    Compression compression = Compression::none;
    std::optional<int> level;
    std::optional<Timestamp> log_append_time;  // the time of all records; their own without
    std::size_t records_bytes_max = 256 << 20;
};

/// The records of `batch`, compressed as `options` say and numbered from the base offset without
/// gaps; producer and transaction stay. The result can be larger than the batch, so its size is to
/// be held against max.message.bytes again. Fails as plain_records does, with Failure::invalid for
/// records that are none, and Failure::invalid for a level out of range.
Result<Bytes> rebuild(const BatchView& batch, const RebuildOptions& options);

}  // namespace klamm::record
