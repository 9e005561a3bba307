#pragma once
// Records of the metadata log in their frames, as KRaft writes them into the values of record
// batches: frame version (1), record type and record version as unsigned varints, then the body.
// Decoded records are views: their strings live as long as the bytes they came from. Control
// records of the log (leader change, snapshot header …) are not in frames and not here.

#include "core/base/result.h"
#include "core/metadata/messages/record_list.h"

namespace klamm::metadata {

constexpr std::uint32_t record_frame_version = 1;

/// A record with the version that its frame names.
struct VersionedRecord {
    Record record;
    std::int16_t version = 0;
    friend bool operator==(const VersionedRecord&, const VersionedRecord&) = default;
};

/// A record from all of `frame`. Errors: unsupported (frame version, type or version not known),
/// truncated, invalid.
Result<VersionedRecord> decode_record(ByteView frame);

/// A record in its frame, in its newest version.
Bytes encode_record(const Record& record);
/// The same in a given version, one of the record's; asserts that the version has all that is set.
Bytes encode_record(const Record& record, int version);

/// Kafka's name of the record's type, e.g. "PartitionChangeRecord".
const char* record_name(const Record& record);

}  // namespace klamm::metadata
