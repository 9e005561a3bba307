#pragma once
// Changes to and from Kafka's metadata records, in their frames, as the metadata log carries them.
// A change that goes out and comes back is the same change. Records that do not concern the image
// (producer ids, no-ops, fields of replica reassignment) come back as nothing; what of a record the
// image does not keep (a broker's features) is dropped.

#include "core/metadata/change.h"
#include "core/metadata/records.h"

namespace klamm::metadata {

/// The record's frame. A change that a record cannot say is a bug.
[[nodiscard]] Bytes encode_change(const Change& change);

/// The change that a decoded record makes, if it makes one; strings are copied. The old
/// FenceBroker and UnfenceBroker records come out as BrokerChanged.
[[nodiscard]] std::optional<Change> change_of(const Record& record);

/// decode_record and change_of in one; errors as decode_record.
[[nodiscard]] Result<std::optional<Change>> decode_change(ByteView frame);

}  // namespace klamm::metadata
