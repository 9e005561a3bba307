#pragma once
// From the bytes of a Fetch answer to records. Every batch's checksum is checked; control batches
// and records below the position are passed over; a batch that was cut off at the end is not an
// error. It knows no transactions: aborted records are not filtered out.

#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/record/compression.h"

namespace klamm::client {

struct ConsumedRecord {
    Offset offset;
    Timestamp timestamp;
    bool has_key = false;
    Buffer key;
    Buffer value;  // empty for null too
};

struct FetchedRecords {
    std::vector<ConsumedRecord> records;
    Offset next;                          // where the next fetch goes on
    LeaderEpoch epoch = no_leader_epoch;  // of the last batch; none if there was no batch
    bool corrupt = false;                 // reading stopped at a batch that is not sound
};

/// The records of `bytes` (which lie in `frame`) from `position` on.
FetchedRecords read_fetched(const Buffer& frame, ByteView bytes, Offset position,
                            record::Decompressor& decompressor);

}  // namespace klamm::client
