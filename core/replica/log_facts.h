#pragma once
// What replication needs to know of a log: numbers, never the log. The node reads them from the log
// at the moment of the turn and hands them in; nothing here is kept true by itself.

#include "core/base/ids.h"
#include "core/base/turn.h"
#include "core/log/leader_epoch_cache.h"

namespace klamm::replica {

/// A log from its first offset to one past its last; everything below `flushed` is durable.
struct LogEnds {
    Offset start{0};
    Offset end{0};
    Offset flushed{0};
    friend bool operator==(const LogEnds&, const LogEnds&) = default;
};

/// What an epoch cache answers to "where does this epoch end" (KIP-101, KIP-279).
using log::EpochEnd;

/// Whether the cache could say.
[[nodiscard]] constexpr bool known(const EpochEnd& end) {
    return end.epoch != no_leader_epoch && end.end != no_offset;
}

/// The offset that a follower puts into its next Fetch, and up to which it so claims to hold the
/// log. With flush.messages=1 (`flush_each`) that is what it has flushed: while it lies below the
/// log end, the fetcher waits for its sync instead of fetching.
[[nodiscard]] Offset follower_fetch_offset(const Turn& turn, Offset log_end, Offset flushed_end,
                                           bool flush_each);

/// How far a log counts as held by its own replica: its end, or with `flush_each` its flushed end.
[[nodiscard]] Offset own_contribution(const Turn& turn, const LogEnds& log, bool flush_each);

}  // namespace klamm::replica
