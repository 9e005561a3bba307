#pragma once
// What a read of a log gives: pieces for the network, or a ticket to ask again with. Values only.

#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/env/network.h"

namespace klamm::storage {

/// Names one wait for the disk, within one log.
using ReadTicket = std::uint32_t;
/// Names one pin of a file range, within one log; 0 pins nothing.
enum class PinId : std::uint64_t { none = 0 };

enum class ReadStatus : std::uint8_t {
    ok,
    waiting,       // the disk was asked; ask again when PartitionLog::take_ready() has the ticket
    out_of_range,  // below the log start or above the log end
    offline,       // the log is not open, or went offline by this read
};

/// Whole batches: either buffers from the tail cache, or one range of one segment file, which must
/// be pinned until it has left.
struct ReadPlan {
    ReadStatus status = ReadStatus::ok;
    std::vector<env::Piece> pieces;
    std::uint64_t bytes = 0;
    Offset from = no_offset;  // base offset of the first batch; may lie below what was asked
    Offset to = no_offset;    // after the last batch; equal to what was asked when there is none
    bool ranged = false;      // the pieces are a file range
    bool behind = false;      // what was asked lies in an older segment than the limit
    ReadTicket ticket = 0;    // when waiting
};

struct TimestampLookup {
    ReadStatus status = ReadStatus::ok;
    bool found = false;
    Timestamp timestamp = no_timestamp;
    Offset offset = no_offset;
    LeaderEpoch epoch = no_leader_epoch;
    ReadTicket ticket = 0;  // when waiting
};

}  // namespace klamm::storage
