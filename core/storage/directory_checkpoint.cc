// The checkpoints of a log directory, and the clean-stop marker that is written after the last.

#include <algorithm>

#include "core/storage/log_directory.h"

namespace klamm::storage {

Offset LogDirectory::durable_at_most(std::string_view name) const {
    Offset most{0};
    if (const auto row = points_.find(name); row != points_.end()) most = row->second;
    if (checkpointing_.running) {
        const auto row = checkpointing_.points.find(name);
        if (row != checkpointing_.points.end()) most = std::max(most, row->second);
    }
    return most;
}

RecoveryPoints::DurableStart LogDirectory::durable_start(std::string_view name) const {
    const auto in = [&](const OffsetsByName& rows) {
        const auto row = rows.find(name);
        return row == rows.end() ? Offset{0} : row->second;
    };
    const Offset now = in(starts_);
    if (!checkpointing_.running) return {now, now};
    const Offset next = in(checkpointing_.starts);
    return {std::min(now, next), std::max(now, next)};
}

void LogDirectory::note_high_watermark(const std::string& name, Offset high_watermark) {
    watermarks_[name] = high_watermark;
}

std::optional<Offset> LogDirectory::checkpointed_high_watermark(const std::string& name) const {
    const auto row = watermarks_loaded_.find(name);
    if (row == watermarks_loaded_.end()) return std::nullopt;
    return row->second;
}

void LogDirectory::checkpoint(env::Env& env) {
    if (phase_ != DirectoryPhase::ready && phase_ != DirectoryPhase::closing) return;
    if (checkpointing_.running) {
        checkpointing_.again = true;
        return;
    }
    const Status started = start_checkpoint(env);
    if (!started.ok()) fail(env.turn(), started.error(), path_of(recovery_points_file));
}

Status LogDirectory::start_checkpoint(env::Env& env) {
    checkpointing_ = {};
    checkpointing_.running = true;
    checkpointing_.points = points_;
    checkpointing_.starts = starts_;
    checkpointing_.cleaned = cleaned_;
    for (const auto& [name, how] : going_) {
        checkpointing_.points.erase(name);
        checkpointing_.starts.erase(name);
        checkpointing_.cleaned.erase(name);
    }
    for (const auto& log : logs_) {
        if (!log) continue;
        // A log that is not open keeps what the checkpoint says, so that damage stays damage.
        if (log->phase() == LogPhase::opening || log->phase() == LogPhase::offline) continue;
        checkpointing_.points[log->name()] = log->recovery_point();
        if (const Offset start = log->checkpoint_start(); start > Offset{0})
            checkpointing_.starts[log->name()] = start;
        else
            checkpointing_.starts.erase(log->name());
        if (log->cleaned_to() > Offset{0})
            checkpointing_.cleaned[log->name()] = log->cleaned_to();
        else
            checkpointing_.cleaned.erase(log->name());
    }
    const auto write = [&](const char* name, const OffsetsByName& offsets) -> Status {
        const auto file =
            write_temporary(env.disk(), path_of(name), as_bytes(offsets_to_text(offsets)));
        if (!file.ok()) return file.error();
        checkpointing_.files.emplace_back(name, *file);
        return {};
    };
    KLAMM_TRY(write(recovery_points_file, checkpointing_.points));
    KLAMM_TRY(write(high_watermarks_file, watermarks_));
    if (checkpointing_.starts != starts_) KLAMM_TRY(write(log_starts_file, checkpointing_.starts));
    if (checkpointing_.cleaned != cleaned_)
        KLAMM_TRY(write(cleaned_ends_file, checkpointing_.cleaned));
    for (const auto& [name, file] : checkpointing_.files)
        env.disk().sync(file, token(Work::sync_file));
    checkpointing_.outstanding = static_cast<std::uint32_t>(checkpointing_.files.size());
    return {};
}

Status LogDirectory::checkpoint_synced(env::Env& env) {
    if (--checkpointing_.outstanding > 0) return {};
    env::Disk& disk = env.disk();
    for (const auto& [name, file] : checkpointing_.files)
        KLAMM_TRY(rename_temporary(disk, path_of(name), file));
    disk.sync_directory(path_, token(Work::sync_names));
    return {};
}

void LogDirectory::finish_checkpoint(env::Env& env) {
    const Checkpointing finished = std::exchange(checkpointing_, {});
    points_ = finished.points;
    starts_ = finished.starts;
    cleaned_ = finished.cleaned;
    if (const Status renamed = rename_going(env); !renamed.ok())
        return fail(env.turn(), renamed.error(), path_);
    for (const auto& log : logs_) {
        if (!log) continue;
        const auto point = points_.find(log->name());
        if (point != points_.end()) log->on_checkpointed(env, point->second);
        take_over(env.turn(), *log);
    }
    if (finished.again && !checkpointing_.running) checkpoint(env);
    if (phase_ != DirectoryPhase::closing || checkpointing_.running) return;
    if (!closing_checkpoint_) {
        advance_close(env);
        return;
    }
    const Status written = write_marker(env);
    if (!written.ok()) fail(env.turn(), written.error(), path_of(clean_shutdown_file));
}

void LogDirectory::close(env::Env& env, BrokerEpoch epoch, bool all_opened) {
    KLAMM_ASSERT(phase_ == DirectoryPhase::ready);
    phase_ = DirectoryPhase::closing;
    closing_epoch_ = epoch;
    all_recovered_ = all_opened || clean_;
    advance_close(env);
}

/// Closes what is open; when nothing is left but closed and damaged logs, writes the checkpoints.
void LogDirectory::advance_close(env::Env& env) {
    if (closing_checkpoint_ || phase_ != DirectoryPhase::closing) return;
    bool waiting = false;
    for (const auto& log : logs_) {
        if (!log) continue;
        if (log->phase() == LogPhase::open) log->close(env);
        take_over(env.turn(), *log);
        waiting |= log->phase() != LogPhase::closed && log->phase() != LogPhase::offline;
    }
    if (waiting || phase_ != DirectoryPhase::closing) return;
    closing_checkpoint_ = true;
    checkpoint(env);
}

/// Only a directory whose every log is closed has stopped cleanly.
Status LogDirectory::write_marker(env::Env& env) {
    const bool all_closed = std::all_of(logs_.begin(), logs_.end(), [](const auto& log) {
        return !log || log->phase() == LogPhase::closed;
    });
    const bool unmarked = env.turn().maybe(Site::stop_unmarked, digest64(as_bytes(path_)),
                                           static_cast<std::uint64_t>(closing_epoch_.value));
    if (!all_closed || !all_recovered_ || unmarked) {
        phase_ = DirectoryPhase::closed;
        return {};
    }
    const auto file = write_temporary(env.disk(), path_of(clean_shutdown_file),
                                      as_bytes(clean_shutdown_text(closing_epoch_)));
    if (!file.ok()) return file.error();
    marker_file_ = *file;
    env.disk().sync(*file, token(Work::sync_marker));
    return {};
}

Status LogDirectory::marker_synced(env::Env& env) {
    KLAMM_TRY(rename_temporary(env.disk(), path_of(clean_shutdown_file), marker_file_));
    env.disk().sync_directory(path_, token(Work::sync_marker_name));
    return {};
}

}  // namespace klamm::storage
