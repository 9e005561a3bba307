#pragma once
// One batch of a producer on its way, and what is known of its fate. A batch is open until its
// first attempt; then its bytes stay as they are but for the producer's id, epoch and sequence,
// which are given at the first attempt and kept over retries, unless the epoch is bumped.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/protocol/error_code.h"
#include "core/record/builder.h"

namespace klamm::client {

struct ProducerIdentity {
    ProducerId id = no_producer_id;
    ProducerEpoch epoch = no_producer_epoch;
    friend bool operator==(const ProducerIdentity&, const ProducerIdentity&) = default;
};

struct ProducerBatch {
    std::vector<std::uint64_t> ids;            // of its records, as the caller named them
    std::optional<record::BatchBuilder> open;  // until the first attempt
    Bytes bytes;                               // from the first attempt on
    std::size_t open_bytes = 0;                // as the buffer counts them
    Instant created;
    Instant retry_at;
    std::uint32_t attempts = 0;  // that have ended
    bool in_flight = false;
    LeaderEpoch tried_epoch = no_leader_epoch;  // the leader's at the last attempt
    ProducerIdentity producer;
    std::int32_t sequence = record::no_sequence;
    bool sequence_reset = false;       // the epoch was bumped under it
    bool rewritten_in_flight = false;  // the attempt under way has other numbers than the batch
    bool doubtful = false;             // some attempt that ended may have been written
    protocol::ErrorCode last_error = protocol::ErrorCode::none;

    [[nodiscard]] std::int32_t count() const { return static_cast<std::int32_t>(ids.size()); }
    [[nodiscard]] bool sequenced() const { return sequence != record::no_sequence; }
    [[nodiscard]] std::int32_t last_sequence() const {
        return record::increment_sequence(sequence, count() - 1);
    }
    /// Builds the bytes if they are not there yet.
    void close() {
        if (!open.has_value()) return;
        bytes = open->build();
        open.reset();
    }
    /// Names the producer in the closed batch and renews its checksum.
    void set_producer(ProducerIdentity identity, std::int32_t base_sequence);
};

/// Whether a broker that answers Produce with `error` has certainly not appended the batch: the
/// check comes before the append. Everything else may follow it (NOT_LEADER_OR_FOLLOWER too: an
/// acks=all produce that waits is answered so when leadership is lost).
bool certainly_not_written(protocol::ErrorCode error);

}  // namespace klamm::client
