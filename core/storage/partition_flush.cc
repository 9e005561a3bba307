// Durability: flushes and cuts.
//
// A flush syncs every dirty log, the indexes of sealed segments and the epoch checkpoint, then the
// directory if names changed; only then does flushed_end() move. A cut first waits until no flush
// runs and no recovery point above it can be read after a crash, then cuts, then syncs the cut;
// only then may anything be appended.

#include <algorithm>

#include "core/storage/partition_log.h"

namespace klamm::storage {

void PartitionLog::flush(env::Env& env) {
    if (phase_ != LogPhase::open || flushed_end_ == log_end_) return;
    if (flush_.running) {
        if (flush_.target < log_end_) flush_.again = true;
        return;
    }
    start_flush(env);
}

void PartitionLog::maybe_flush(env::Env& env) {
    const Offset from = flush_.running ? flush_.target : flushed_end_;
    if (log_end_ - from >= config_.flush_messages) flush(env);
}

void PartitionLog::start_flush(env::Env& env) {
    KLAMM_ASSERT(!flush_.running);
    env::Disk& disk = env.disk();
    flush_ = {};
    flush_.running = true;
    flush_.target = log_end_;
    const auto sync = [&](env::FileId file) {
        disk.sync(file, tokens_.issue(Work::flush_file));
        ++flush_.outstanding;
    };
    // Below the segment of the last durable batch, everything was synced, indexes included.
    for (std::size_t i = segment_of(std::max(segments_.front().base, flushed_end_ - 1));
         i < segments_.size(); ++i) {
        Segment& segment = segments_[i];
        if (segment.log_dirty) sync(segment.log);
        segment.log_dirty = false;
        const bool sealed = &segment != &active() || phase_ == LogPhase::closing;
        if (!sealed || !segment.index_dirty) continue;
        sync(segment.index);
        sync(segment.time_index);
        if (segment.txn_index != env::FileId::none) sync(segment.txn_index);
        segment.index_dirty = false;
    }
    if (epochs_dirty_) {
        const auto file = write_temporary(disk, join_path(path_, epoch_checkpoint_file),
                                          as_bytes(epochs_.to_text()));
        if (!file.ok()) {
            disk_failed(env.turn(), file.error(), join_path(path_, epoch_checkpoint_file), 0);
            return;
        }
        epochs_dirty_ = false;
        flush_.epoch_file = *file;
        sync(*file);
    }
    flush_.loose_files = std::exchange(loose_files_, {});
    for (const env::FileId file : flush_.loose_files) sync(file);
    if (flush_.outstanding == 0) advance_flush(env, {});
}

void PartitionLog::advance_flush(env::Env& env, const Status& status) {
    if (!flush_.running) return;
    if (!status.ok()) {
        disk_failed(env.turn(), status.error(), path_, active().size);
        return;
    }
    if (flush_.outstanding > 0 && --flush_.outstanding > 0) return;
    if (flush_.naming) {
        finish_flush(env);
        return;
    }
    const Status named = name_flushed(env);
    if (!named.ok()) {
        disk_failed(env.turn(), named.error(), path_, active().size);
    } else if (flush_.outstanding == 0) {
        finish_flush(env);
    }
}

/// The files are synced; now their names, if there are new ones.
Status PartitionLog::name_flushed(env::Env& env) {
    flush_.naming = true;
    for (const env::FileId file : flush_.loose_files) env.disk().close(file);
    if (flush_.epoch_file != env::FileId::none) {
        KLAMM_TRY(rename_temporary(env.disk(), join_path(path_, epoch_checkpoint_file),
                                   flush_.epoch_file));
        names_dirty_ = true;
    }
    if (!names_dirty_) return {};
    names_dirty_ = false;
    env.disk().sync_directory(path_, tokens_.issue(Work::flush_names));
    flush_.outstanding = 1;
    return {};
}

void PartitionLog::finish_flush(env::Env& env) {
    const Flush finished = std::exchange(flush_, {});
    KLAMM_ASSERT(finished.target <= log_end_);
    if (finished.target > flushed_end_) {
        flushed_end_ = finished.target;
        env.turn().state(facts::LogFlushed{partition_, flushed_end_});
    }
    if (phase_ == LogPhase::truncating) {
        if (may_cut()) begin_cut(env);
    } else if (phase_ == LogPhase::closing) {
        if (finished.again) {
            start_flush(env);
        } else {
            finish_close(env);
        }
    } else {
        if (finished.again) flush(env);
        advance_front(env);
    }
}

void PartitionLog::truncate_to(env::Env& env, Offset end) {
    KLAMM_ASSERT(end >= log_start_);
    KLAMM_ASSERT(end <= log_end_);
    if (phase_ != LogPhase::open) return;
    if (end == log_end_) {
        // An epoch that was taken up here and wrote nothing is history that nobody shares.
        if (epochs_.truncate_from_end(end)) epochs_dirty_ = true;
        return;
    }
    enter(LogPhase::truncating);
    cut_ = Cut{};
    cut_->end = end;
    give_up_cleaning(env.disk());
    if (may_cut()) begin_cut(env);
}

void PartitionLog::truncate_fully_and_start_at(env::Env& env, Offset start) {
    KLAMM_ASSERT(start.value >= 0);
    if (phase_ != LogPhase::open) return;
    enter(LogPhase::truncating);
    cut_ = Cut{};
    cut_->end = start;
    cut_->fully = true;
    give_up_cleaning(env.disk());
    if (may_cut()) begin_cut(env);
}

/// No flush runs. Next: where exactly, and what is left then?
void PartitionLog::begin_cut(env::Env& env) {
    if (cut_->fully) {
        lower_then_cut(env);
        return;
    }
    rescan_ = std::make_unique<Rescan>(segments_, snapshots_, cut_->end, path_, config_, tokens_);
    rescan_->begin(env);
    advance_rescan(env);
}

void PartitionLog::advance_rescan(env::Env& env) {
    if (rescan_->failure()) {
        const Error error = *rescan_->failure();
        const std::string file = join_path(path_, segment_file(rescan_->segment.base, ".log"));
        go_offline(env.turn(), {error, file, rescan_->segment.size, rescan_->segment.end,
                                error.failure == Failure::io});
    } else if (rescan_->done()) {
        cut_->end = rescan_->segment.end;
        lower_then_cut(env);
    }
}

/// No crash may find a recovery point above the cut, nor a log start above where it starts anew.
void PartitionLog::lower_then_cut(env::Env& env) {
    cut_->lowering = points_.durable_at_most(name_) > recovery_point() ||
                     points_.durable_start(name_).most > checkpoint_start();
    if (cut_->lowering) {
        points_.checkpoint(env);
    } else {
        cut_now(env);
    }
}

void PartitionLog::on_checkpointed(env::Env& env, Offset) {
    if (cut_ && cut_->lowering) lower_then_cut(env);
    advance_front(env);
}

void PartitionLog::cut_now(env::Env& env) {
    // Stated first: a cut that fails half way has taken batches too.
    env.turn().state(facts::LogTruncated{
        partition_, cut_->end,
        cut_->fully ? facts::TruncateReason::out_of_range : facts::TruncateReason::divergence});
    if (cut_->fully) {
        env.turn().state(
            facts::LogStartMoved{partition_, cut_->end, facts::LogStartReason::leader_start});
    }
    forget_chunks();
    Status status = cut_->fully ? start_anew(env.disk()) : cut_files(env);
    if (status.ok()) status = sync_cut(env);
    if (!status.ok()) disk_failed(env.turn(), status.error(), path_, 0);
}

Status PartitionLog::cut_files(env::Env& env) {
    env::Disk& disk = env.disk();
    const auto rescan = std::move(rescan_);
    while (segments_.size() > rescan->last + 1) {
        KLAMM_TRY(remove_segment(disk, path_, segments_.back()));
        segments_.pop_back();
    }
    Segment& last = active();
    const bool log_dirty = last.log_dirty;
    last = rescan->segment;
    last.log_dirty = log_dirty;
    KLAMM_TRY(disk.truncate(last.log, last.size));
    KLAMM_TRY(rewrite_indexes(disk, path_, last));
    log_end_ = last.end;
    flushed_end_ = std::min(flushed_end_, log_end_);
    cleaned_to_ = std::min(cleaned_to_, log_end_);
    producers_ = std::move(rescan->producers);
    epochs_.truncate_from_end(log_end_);
    tail_.truncate(log_end_);
    for (auto at = snapshots_.upper_bound(log_end_); at != snapshots_.end();) {
        KLAMM_TRY(remove_if_there(disk, join_path(path_, segment_file(*at, ".snapshot"))));
        at = snapshots_.erase(at);
    }
    return {};
}

Status PartitionLog::start_anew(env::Disk& disk) {
    for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
        KLAMM_TRY(remove_segment(disk, path_, *segment));
    }
    for (const Offset at : snapshots_) {
        KLAMM_TRY(remove_if_there(disk, join_path(path_, segment_file(at, ".snapshot"))));
    }
    auto fresh = open_segment(disk, path_, cut_->end, true);
    if (!fresh.ok()) return fresh.error();
    segments_.clear();
    segments_.push_back(std::move(*fresh));
    snapshots_.clear();
    tail_.clear();
    epochs_.clear();
    producers_.clear(cut_->end);
    log_start_ = log_end_ = flushed_end_ = cut_->end;
    cleaned_to_ = Offset{0};
    return {};
}

Status PartitionLog::sync_cut(env::Env& env) {
    env::Disk& disk = env.disk();
    const auto sync = [&](env::FileId file) {
        disk.sync(file, tokens_.issue(Work::cut_file));
        ++cut_->outstanding;
    };
    Segment& last = active();
    for (const env::FileId file : {last.log, last.index, last.time_index}) sync(file);
    if (last.txn_index != env::FileId::none) sync(last.txn_index);
    last.log_dirty = false;
    last.index_dirty = false;
    const auto file =
        write_temporary(disk, join_path(path_, epoch_checkpoint_file), as_bytes(epochs_.to_text()));
    if (!file.ok()) return file.error();
    epochs_dirty_ = false;
    cut_->epoch_file = *file;
    sync(*file);
    return {};
}

void PartitionLog::advance_cut(env::Env& env, const Status& status) {
    if (!cut_) return;
    if (!status.ok()) {
        disk_failed(env.turn(), status.error(), path_, active().size);
        return;
    }
    if (--cut_->outstanding > 0) return;
    if (cut_->renamed) {
        names_dirty_ = false;
        cut_.reset();
        enter(LogPhase::open);
        advance_front(env);
        return;
    }
    cut_->renamed = true;
    const Status renamed =
        rename_temporary(env.disk(), join_path(path_, epoch_checkpoint_file), cut_->epoch_file);
    if (!renamed.ok()) {
        disk_failed(env.turn(), renamed.error(), path_, active().size);
        return;
    }
    env.disk().sync_directory(path_, tokens_.issue(Work::cut_names));
    cut_->outstanding = 1;
}

}  // namespace klamm::storage
