// Life of a log: opening, routing of answers, closing, going offline.

#include "core/storage/partition_log.h"

#include <algorithm>

namespace klamm::storage {

PartitionLog::PartitionLog(TopicPartition partition, std::string directory, std::string name,
                           LogConfig config, TokenOwner owner, RecoveryPoints& points)
    : partition_(partition),
      name_(std::move(name)),
      path_(join_path(directory, name_)),
      parent_(std::move(directory)),
      config_(config),
      points_(points),
      tokens_(owner) {}

PartitionLog::~PartitionLog() = default;

void PartitionLog::enter(LogPhase phase) {
    phase_ = phase;
    points_.phase_changed(*this);
}

void PartitionLog::open(env::Env& env, const OpenHints& hints) {
    KLAMM_ASSERT(phase_ == LogPhase::closed);
    enter(LogPhase::opening);
    hints_ = hints;
    recovery_ = std::make_unique<Recovery>(partition_, parent_, path_, config_, hints_, tokens_);
    recovery_->begin(env);
    after_recovery(env);
}

/// Looks whether the recovery has come to its end.
void PartitionLog::after_recovery(env::Env& env) {
    if (recovery_->phase() == Recovery::Phase::failed) {
        const auto recovery = std::move(recovery_);
        segments_ = std::move(recovery->segments);
        go_offline(env.turn(), recovery->failure);
    } else if (recovery_->phase() == Recovery::Phase::done) {
        finish_open(env);
    }
}

void PartitionLog::finish_open(env::Env& env) {
    const auto recovery = std::move(recovery_);
    segments_ = std::move(recovery->segments);
    epochs_ = std::move(recovery->epochs);
    producers_ = std::move(recovery->producers);
    snapshots_ = std::move(recovery->snapshots);
    log_end_ = recovery->end;
    log_start_ = std::max(segments_.front().base, std::min(hints_.log_start, log_end_));
    if (epochs_.truncate_from_start(log_start_)) epochs_dirty_ = true;
    cleaned_to_ = std::min(hints_.cleaned_to, log_end_);
    // After a clean stop all was synced before the marker was written.
    flushed_end_ = log_end_;
    enter(LogPhase::open);
    const Offset point = std::clamp(hints_.recovery_point, log_start_, log_end_);
    clean_ = hints_.clean_stop && !recovery->cut;
    env.turn().state(
        facts::LogOpened{partition_, log_start_, log_end_, point, clean_, recovery->created});
    env.turn().state(facts::LogFlushed{partition_, flushed_end_});
}

bool PartitionLog::on_event(env::Env& env, const env::ReadDone& done) {
    const Work work = tokens_.take(done.token);
    if (work == Work::none) return owner_of(done.token) == tokens_.owner();
    if (phase_ == LogPhase::offline) return true;
    if (work == Work::recovery && recovery_) {
        recovery_->take(env, done);
        after_recovery(env);
    } else if (work == Work::rescan && rescan_) {
        rescan_->take(env, done);
        advance_rescan(env);
    } else if (work == Work::chunk) {
        chunk_read(env, done);
    } else if (work == Work::cleaning && cleaning_) {
        cleaning_->take(env, done);
        advance_cleaning(env);
    }
    return true;
}

bool PartitionLog::on_event(env::Env& env, const env::Synced& done) {
    const Work work = tokens_.take(done.token);
    if (work == Work::none) return owner_of(done.token) == tokens_.owner();
    if (phase_ == LogPhase::offline) return true;
    if (work == Work::recovery && recovery_) {
        recovery_->take(env, done);
        after_recovery(env);
    } else if (work == Work::flush_file || work == Work::flush_names) {
        advance_flush(env, done.status);
    } else if (work == Work::cut_file || work == Work::cut_names) {
        advance_cut(env, done.status);
    } else if (work == Work::cleaning && cleaning_) {
        cleaning_->take(env, done);
        advance_cleaning(env);
    } else if (work == Work::swap_names) {
        advance_swap(env, done.status);
    } else if (work == Work::front_names) {
        front_naming_ = false;
        if (!done.status.ok())
            disk_failed(env.turn(), done.status.error(), path_, 0);
        else if (phase_ == LogPhase::truncating && may_cut())
            begin_cut(env);
        else
            advance_front(env);
    }
    return true;
}

bool PartitionLog::on_event(env::Env& env, const env::Listed& done) {
    const Work work = tokens_.take(done.token);
    if (work == Work::none) return owner_of(done.token) == tokens_.owner();
    if (work == Work::recovery && recovery_) {
        recovery_->take(env, done);
        after_recovery(env);
    }
    return true;
}

void PartitionLog::close(env::Env& env) {
    KLAMM_ASSERT(phase_ == LogPhase::open);
    enter(LogPhase::closing);
    env::Disk& disk = env.disk();
    give_up_cleaning(disk);
    active().note_sealed();
    Status status = write_index_entries(disk, active());
    if (status.ok() && !snapshots_.contains(log_end_)) {
        const auto snapshot = write_snapshot(disk, path_, producers_);
        if (snapshot.ok()) {
            snapshots_.insert(log_end_);
            loose_files_.push_back(*snapshot);
            names_dirty_ = true;
        } else {
            status = snapshot.error();
        }
    }
    if (!status.ok()) {
        disk_failed(env.turn(), status.error(), path_, active().size);
        return;
    }
    if (flush_.running) {
        flush_.again = true;
    } else {
        start_flush(env);
    }
}

void PartitionLog::finish_close(env::Env& env) {
    // A swap that is under way is finished when the log is opened again.
    swap_ = Swap::none;
    cleaning_.reset();
    for (Segment& segment : segments_) close_segment(env.disk(), segment);
    for (Deleted& one : std::exchange(deleted_, {})) close_segment(env.disk(), one.segment);
    forget_chunks();
    tail_.clear();
    enter(LogPhase::closed);
}

void PartitionLog::fail(const Turn& turn, OfflineReason reason) {
    if (phase_ == LogPhase::closed || phase_ == LogPhase::offline) return;
    go_offline(turn, std::move(reason));
}

void PartitionLog::go_offline(const Turn& turn, OfflineReason reason) {
    KLAMM_ASSERT(phase_ != LogPhase::offline);
    turn.state(facts::LogOffline{partition_, reason.file, reason.position, reason.offset});
    offline_ = std::move(reason);
    enter(LogPhase::offline);
    recovery_.reset();
    rescan_.reset();
    cut_.reset();
    cleaning_.reset();
    swap_ = Swap::none;
    flush_ = {};
    tail_.clear();
    forget_chunks();
}

void PartitionLog::disk_failed(const Turn& turn, const Error& error, const std::string& file,
                               std::uint64_t position) {
    go_offline(turn, {error, file, position, log_end_, true});
}

Offset PartitionLog::recovery_point() const {
    if (!cut_) return flushed_end_;
    return cut_->fully ? Offset(0) : std::min(flushed_end_, cut_->end);
}

std::size_t PartitionLog::segment_of(Offset offset) const {
    const auto above =
        std::upper_bound(segments_.begin(), segments_.end(), offset,
                         [](Offset value, const Segment& segment) { return value < segment.base; });
    KLAMM_ASSERT(above != segments_.begin());
    return static_cast<std::size_t>(above - segments_.begin()) - 1;
}

std::uint64_t PartitionLog::digest() const {
    std::uint64_t digest =
        fold64(static_cast<std::uint64_t>(phase_), static_cast<std::uint64_t>(log_end_.value));
    digest = fold64(digest, static_cast<std::uint64_t>(flushed_end_.value));
    digest = fold64(digest, static_cast<std::uint64_t>(log_start_.value));
    return fold64(digest, epochs_.digest());
}

}  // namespace klamm::storage
