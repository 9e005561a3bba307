#pragma once
// The nouns of the quorum: replicas by id and directory, positions by epoch and offset, what an
// election has come to, and what is asked of a log. Numbers and names only: nothing here is kept
// true by itself, the node reads a LogView from its log at the moment of the turn.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/turn.h"
#include "core/log/leader_epoch_cache.h"

namespace klamm::raft {

/// A replica in one directory (KIP-853). The zero directory is unknown: in static voter sets it
/// stands for whichever directory the id has.
struct ReplicaKey {
    BrokerId id = no_broker;
    Uuid directory;
    friend auto operator<=>(const ReplicaKey&, const ReplicaKey&) = default;
};

/// Whether a voter known as `voter` is the replica `replica`: a directory that is not known matches
/// any.
[[nodiscard]] inline bool matches(const ReplicaKey& voter, const ReplicaKey& replica) {
    if (voter.id != replica.id) return false;
    return voter.directory.is_zero() || voter.directory == replica.directory;
}

struct Endpoint {
    std::string name;  // of the listener
    std::string host;
    std::uint16_t port = 0;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
using Endpoints = std::vector<Endpoint>;

/// One past a log's last record, or the end of a snapshot, with the epoch of the record before it.
/// Ordered by epoch first: of two logs the one with the greater end is the more up to date.
struct LogId {
    LeaderEpoch epoch{0};
    Offset offset{0};
    friend auto operator<=>(const LogId&, const LogId&) = default;
};

/// What a replica knows of the election of its epoch; what its quorum-state file keeps.
struct ElectionState {
    LeaderEpoch epoch{0};
    BrokerId leader = no_broker;
    std::optional<ReplicaKey> voted;
    friend bool operator==(const ElectionState&, const ElectionState&) = default;
};

struct SnapshotInfo {
    LogId id;
    std::uint64_t size = 0;  // bytes of its file
    friend bool operator==(const SnapshotInfo&, const SnapshotInfo&) = default;
};

/// A log from its first offset to one past its last. Everything below `flushed` is durable, the
/// snapshot that it starts with too. `epochs` and `snapshots` (ascending, complete ones only) live
/// as long as the turn.
struct LogView {
    Offset start{0};
    Offset end{0};
    Offset flushed{0};
    const log::LeaderEpochCache* epochs = nullptr;
    std::span<const SnapshotInfo> snapshots;
};

/// The epoch of the log's last record, of the snapshot when there are no records after it, else 0.
[[nodiscard]] LeaderEpoch last_epoch(const LogView& log);
[[nodiscard]] LogId end_of(const LogView& log);
/// Where `epoch` ends in this log, with the largest epoch at or below it that the log has.
[[nodiscard]] LogId end_of_epoch(const LogView& log, LeaderEpoch epoch);

/// What a leader says to a fetch from `offset` whose last record is of `epoch`: go on, cut, or take
/// a snapshot.
struct Position {
    enum class Kind : std::uint8_t { valid, diverging, snapshot } kind = Kind::valid;
    LogId id;  // where the epochs diverge, or which snapshot
    friend bool operator==(const Position&, const Position&) = default;
};
/// The id of the snapshot that standalone formatting leaves behind; it is never replicated.
constexpr LogId bootstrap_snapshot{LeaderEpoch(0), Offset(0)};
[[nodiscard]] Position check_position(const LogView& log, Offset offset, LeaderEpoch epoch);
/// Where a follower cuts when the leader says that `diverging.epoch` ends at `diverging.offset`.
[[nodiscard]] Offset truncation_point(const LogView& log, const LogId& diverging);

}  // namespace klamm::raft
