#pragma once
// Control records: how a log says that a transaction ended, who leads a quorum, and what a snapshot
// holds. A control batch carries them; its key is (version, type), its value is the type's own.
//
// The values of the quorum's types are messages of the protocol and are encoded there; the end of
// a transaction is encoded here.

#include <array>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"

namespace klamm::record {

enum class ControlType : std::int16_t {
    unknown = -1,  // to be ignored by readers, never written
    abort = 0,
    commit = 1,
    leader_change = 2,
    snapshot_header = 3,
    snapshot_footer = 4,
    kraft_version = 5,
    kraft_voters = 6,
};

constexpr std::size_t control_key_bytes = 4;

/// The key of a control record, version 0. `type` is not unknown.
std::array<std::uint8_t, control_key_bytes> encode_control_key(ControlType type);

/// The type in a control record's key; a type or a newer version that nobody knows yet is no error.
/// Failure::invalid for a short key or a negative version.
Result<ControlType> decode_control_key(ByteView key);

/// The value of an abort or a commit: the epoch of the coordinator that decided.
struct EndTransactionMarker {
    ControlType type = ControlType::abort;
    std::int32_t coordinator_epoch = 0;

    friend bool operator==(const EndTransactionMarker&, const EndTransactionMarker&) = default;
};

constexpr std::size_t end_transaction_value_bytes = 6;

/// Version 0 of the value.
std::array<std::uint8_t, end_transaction_value_bytes> encode_end_transaction(
    const EndTransactionMarker& marker);

/// The reverse; a newer version is read as version 0. Failure::invalid for another type, a short
/// value or a negative version.
Result<EndTransactionMarker> decode_end_transaction(ControlType type, ByteView value);

/// A whole batch that ends a transaction of (producer_id, producer_epoch).
Bytes end_transaction_batch(Offset offset, LeaderEpoch leader_epoch, Timestamp timestamp,
                            ProducerId producer_id, ProducerEpoch producer_epoch,
                            const EndTransactionMarker& marker);

/// A whole batch of one control record that belongs to no producer.
Bytes control_batch(Offset offset, LeaderEpoch leader_epoch, Timestamp timestamp, ControlType type,
                    ByteView value);

}  // namespace klamm::record
