// The front of a log: where it starts, and how the segments below go.
//
// The log start moves at once; files follow when that is safe: what they held is flushed, so the
// recovery point lies above it, and the checkpoint durably has the new start. Renames become
// durable in any order, so a power loss may bring a lower segment back without a higher one;
// opening removes what lies below the checkpointed start before it looks for holes. The renamed
// files stay open for file.delete.delay.ms, and until nothing is being sent from them.

#include <algorithm>

#include "core/storage/partition_log.h"

namespace klamm::storage {

std::uint64_t PartitionLog::size_bytes() const {
    std::uint64_t size = 0;
    for (const Segment& segment : segments_) size += segment.size;
    return size;
}

Offset PartitionLog::checkpoint_start() const {
    // Above the recovery point it would name batches that a power loss may take.
    const Offset start = std::min(log_start_, flushed_end_);
    return cut_ && cut_->fully ? std::min(start, cut_->end) : start;
}

bool PartitionLog::raise_log_start(env::Env& env, Offset start, facts::LogStartReason reason) {
    if (phase_ != LogPhase::open || start <= log_start_) return false;
    KLAMM_ASSERT(start <= log_end_);
    log_start_ = start;
    if (epochs_.truncate_from_start(start)) epochs_dirty_ = true;
    env.turn().state(facts::LogStartMoved{partition_, start, reason});
    advance_front(env);
    return true;
}

/// How many segments retention takes from the front (UnifiedLog.deleteOldSegments of Kafka 4.1:
/// each rule by itself, from the front on, until it keeps one).
std::size_t PartitionLog::deletable(Timestamp wall, Offset high_watermark) const {
    const auto from_front = [&](auto goes) {
        std::size_t count = 0;
        for (; count < segments_.size(); ++count) {
            const bool last = count + 1 == segments_.size();
            const Segment& segment = segments_[count];
            if (last && segment.size == 0) break;
            const Offset above = last ? log_end_ : segments_[count + 1].base;
            if (high_watermark < above || !goes(segment)) break;
        }
        return count;
    };
    std::size_t count = 0;
    if (config_.retention_bytes >= 0) {
        const auto kept = static_cast<std::uint64_t>(config_.retention_bytes);
        const std::uint64_t size = size_bytes();
        std::uint64_t spare = size > kept ? size - kept : 0;
        count = from_front([&](const Segment& segment) {
            if (spare < segment.size) return false;
            spare -= segment.size;
            return true;
        });
    }
    if (config_.retention_ms >= 0) {
        // Files have no times of their own: a segment without timestamps, whose records were all
        // compacted away, is as old as the next that has one.
        count = std::max(count, from_front([&](const Segment& segment) {
                             const Segment* dated = &segment;
                             while (dated != &segments_.back() && dated->timestamp_max.value < 0)
                                 ++dated;
                             return dated->timestamp_max.value >= 0 &&
                                    wall - dated->timestamp_max > config_.retention_ms;
                         }));
    }
    return count;
}

void PartitionLog::retain(env::Env& env, Offset high_watermark) {
    if (phase_ != LogPhase::open || !config_.deletes || cleaning_) return;
    KLAMM_ASSERT(high_watermark <= log_end_);
    const std::size_t count = deletable(env.turn().wall, high_watermark);
    if (count == 0) return;
    if (count == segments_.size()) {
        const Status rolled = roll(env.disk());
        if (!rolled.ok()) {
            disk_failed(env.turn(), rolled.error(), path_, active().size);
            return;
        }
    }
    raise_log_start(env, segments_[count].base, facts::LogStartReason::retention);
}

/// Goes as far as it can now; called again after whatever it waits for.
void PartitionLog::advance_front(env::Env& env) {
    if (phase_ != LogPhase::open || front_naming_ || cleaning_) return;
    if (segments_.size() < 2 || segments_[1].base > log_start_) return;
    if (segments_[1].base > flushed_end_) {
        flush(env);
    } else if (flush_.running) {
        return;
    } else if (names_dirty_) {
        // No name may go before those are durable that take its place.
        names_dirty_ = false;
        env.disk().sync_directory(path_, tokens_.issue(Work::front_names));
        front_naming_ = true;
    } else if (points_.durable_start(name_).least < segments_[1].base) {
        points_.checkpoint(env);
    } else if (const Status done = delete_front(env); !done.ok()) {
        disk_failed(env.turn(), done.error(), path_, 0);
    }
}

Status PartitionLog::delete_front(env::Env& env) {
    env::Disk& disk = env.disk();
    const Offset start = std::min(log_start_, points_.durable_start(name_).least);
    const Instant due = env.turn().now + milliseconds(config_.file_delete_delay_ms);
    while (segments_.size() > 1 && segments_[1].base <= start) {
        KLAMM_TRY(rename_deleted(disk, path_, segments_.front()));
        deleted_.push_back({std::move(segments_.front()), due});
        segments_.erase(segments_.begin());
    }
    while (!snapshots_.empty() && *snapshots_.begin() < segments_.front().base) {
        KLAMM_TRY(remove_if_there(
            disk, join_path(path_, segment_file(*snapshots_.begin(), ".snapshot"))));
        snapshots_.erase(snapshots_.begin());
    }
    disk.sync_directory(path_, tokens_.issue(Work::front_names));
    front_naming_ = true;
    return {};
}

Instant PartitionLog::deleted_due() const {
    if (!opened()) return instant_never;
    Instant due = instant_never;
    for (const Deleted& one : deleted_) due = std::min(due, one.due);
    return due;
}

void PartitionLog::remove_deleted(env::Env& env) {
    if (!opened()) return;
    const auto sent_from = [&](const Deleted& one) {
        return std::any_of(pins_.begin(), pins_.end(),
                           [&](const Pin& pin) { return pin.file == one.segment.log; });
    };
    for (auto one = deleted_.begin(); one != deleted_.end();) {
        if (one->due <= env.turn().now && sent_from(*one)) one->due = env.turn().now + seconds(1);
        if (one->due > env.turn().now) {
            ++one;
            continue;
        }
        const bool has_txn_index = one->segment.txn_index != env::FileId::none;
        close_segment(env.disk(), one->segment);
        for (const char* suffix : {txn_index_suffix, ".index", ".timeindex", ".log"}) {
            if (suffix == txn_index_suffix && !has_txn_index) continue;
            const Status removed = remove_if_there(
                env.disk(),
                join_path(path_, segment_file(one->segment.base, suffix) + deleted_suffix));
            if (removed.ok()) continue;
            disk_failed(env.turn(), removed.error(), path_, 0);
            return;
        }
        one = deleted_.erase(one);
    }
}

}  // namespace klamm::storage
