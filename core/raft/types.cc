// Comparisons of a log with another one's epochs (KIP-595), as Kafka's ReplicatedLog and
// KafkaMetadataLog make them.
#include "core/raft/types.h"

#include <algorithm>

namespace klamm::raft {

LeaderEpoch last_epoch(const LogView& log) {
    if (const auto latest = log.epochs->latest(); latest.has_value()) return latest->epoch;
    return log.snapshots.empty() ? LeaderEpoch(0) : log.snapshots.back().id.epoch;
}

LogId end_of(const LogView& log) { return {last_epoch(log), log.end}; }

LogId end_of_epoch(const LogView& log, LeaderEpoch epoch) {
    const log::EpochEnd found = log.epochs->end_offset_for(epoch, log.end);
    if (found.epoch == no_leader_epoch) return end_of(log);
    // An epoch below all of the log's ends where the log begins; what is before is the snapshot.
    if (!log.snapshots.empty() && found.epoch == epoch &&
        found.end == log.snapshots.front().id.offset)
        return log.snapshots.front().id;
    return {found.epoch, found.end};
}

Position check_position(const LogView& log, Offset offset, LeaderEpoch epoch) {
    using Kind = Position::Kind;
    if (log.start.value == 0 && offset.value == 0) return {};
    if (!log.snapshots.empty()) {
        const LogId& earliest = log.snapshots.front().id;
        if (offset < log.start || (offset == log.start && epoch != earliest.epoch) ||
            epoch < earliest.epoch)
            return {Kind::snapshot, log.snapshots.back().id};
    }
    const LogId end = end_of_epoch(log, epoch);
    if (end.epoch != epoch || end.offset < offset) return {Kind::diverging, end};
    return {};
}

Offset truncation_point(const LogView& log, const LogId& diverging) {
    if (diverging.epoch.value == 0) return std::min(diverging.offset, log.end);
    const LogId local = end_of_epoch(log, diverging.epoch);
    return local.epoch == diverging.epoch ? std::min(local.offset, diverging.offset) : local.offset;
}

}  // namespace klamm::raft
