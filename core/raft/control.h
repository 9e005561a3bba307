#pragma once
// The quorum's control records as they lie in the log and in snapshots: one batch of them, and what
// each says. The values are messages of the protocol, version 0, as Kafka 4.1 writes them.

#include <utility>
#include <vector>

#include "core/raft/effects.h"
#include "core/record/control.h"

namespace klamm::raft {

/// The type and the value of each record.
[[nodiscard]] std::vector<std::pair<record::ControlType, Bytes>> encode_control_values(
    const std::vector<ControlValue>& records);
/// The whole control batch of `append`, uncompressed.
[[nodiscard]] Bytes encode_control_batch(const ControlAppend& append, Timestamp timestamp);

/// What a control record of this type says; nothing for a type that is not the quorum's, or says
/// nothing of voters (headers and footers of snapshots). Failure::invalid or truncated for a value
/// that is not of its type.
[[nodiscard]] Result<std::optional<ControlValue>> decode_control_value(record::ControlType type,
                                                                       ByteView value);

}  // namespace klamm::raft
