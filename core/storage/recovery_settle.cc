// Copying and settling. The page cache may hold what a failed sync gave up: no later sync writes
// such a page unless it is written again, and writing it again in place could tear what an earlier
// sync made durable. So each segment that reaches above the recovery point is written to fresh
// files, which take its names when they are synced; until then the old ones stay as they are. One
// after another: no more room is needed than for one segment.

#include <algorithm>

#include "core/storage/recovery.h"

namespace klamm::storage {

bool Recovery::doubtful(const Segment& segment) const {
    if (hints_.clean_stop && !cut) return false;
    return segment.size > 0 && segment.end > hints_.recovery_point;
}

/// Asks for the next slice to copy, or for the syncs of a copy that is whole; settles when none is
/// left.
Status Recovery::copy(env::Env& env) {
    while (copying_ < segments.size() && !doubtful(segments[copying_])) ++copying_;
    if (copying_ == segments.size()) return settle(env);
    const Segment& segment = segments[copying_];
    if (!copy_) {
        const auto file =
            write_temporary(env.disk(), join_path(path_, segment_file(segment.base, ".log")), {});
        if (!file.ok()) return file.error();
        copy_.emplace().log = *file;
    }
    const std::uint64_t left = segment.size - copy_->size;
    if (left == 0) return finish_copy(env);
    const std::uint64_t slice = std::min<std::uint64_t>(left, config_.scan_bytes);
    env.disk().read(segment.log, copy_->size, MutableBuffer(static_cast<std::size_t>(slice)),
                    tokens_.issue(Work::recovery));
    return {};
}

void Recovery::copied(env::Env& env, const env::ReadDone& done) {
    const Segment& segment = segments[copying_];
    const std::string file = join_path(path_, segment_file(segment.base, ".log"));
    if (!done.count.ok()) {
        check(done.count.error(), file);
        return;
    }
    const Buffer bytes = done.out.freeze(*done.count);
    if (bytes.empty()) {
        fail({Failure::corrupt, "the log became shorter while it was copied"}, file, true,
             copy_->size, segment.base);
        return;
    }
    if (!check(env.disk().write(copy_->log, copy_->size, bytes), file)) return;
    copy_->size += bytes.size();
    check(copy(env), path_);
}

void Recovery::sync(env::Disk& disk, const Segment& files) {
    for (const env::FileId file : {files.log, files.index, files.time_index, files.txn_index}) {
        if (file == env::FileId::none) continue;
        disk.sync(file, tokens_.issue(Work::recovery));
        ++outstanding_;
    }
}

/// The log is copied: its indexes are written, and all of it is to be synced.
Status Recovery::finish_copy(env::Env& env) {
    env::Disk& disk = env.disk();
    Segment& segment = segments[copying_];
    const auto index = write_temporary(disk, join_path(path_, segment_file(segment.base, ".index")),
                                       segment.encode_index(0));
    if (!index.ok()) return index.error();
    copy_->index = *index;
    const auto time_index =
        write_temporary(disk, join_path(path_, segment_file(segment.base, ".timeindex")),
                        segment.encode_time_index(0));
    if (!time_index.ok()) return time_index.error();
    copy_->time_index = *time_index;
    if (segment.txn_index != env::FileId::none || !segment.aborted.empty()) {
        const auto txn_index =
            write_temporary(disk, join_path(path_, segment_file(segment.base, txn_index_suffix)),
                            segment.aborted.encode(0));
        if (!txn_index.ok()) return txn_index.error();
        copy_->txn_index = *txn_index;
    }
    segment.aborted_written = segment.aborted.size();
    segment.entries_written = segment.entries.size();
    segment.time_entries_written = segment.time_entries.size();
    segment.index_dirty = false;
    sync(disk, *copy_);
    return {};
}

/// Writes what was recomputed and asks for every sync that makes the log durable as it is now.
Status Recovery::settle(env::Env& env) {
    phase_ = Phase::settling;
    env::Disk& disk = env.disk();
    for (std::size_t i = scan_from_; i < segments.size(); ++i) {
        if (doubtful(segments[i])) continue;  // copied, and synced
        KLAMM_TRY(rewrite_indexes(disk, path_, segments[i]));
        sync(disk, segments[i]);
        segments[i].index_dirty = false;
    }
    const auto epoch_file =
        write_temporary(disk, join_path(path_, epoch_checkpoint_file), as_bytes(epochs.to_text()));
    if (!epoch_file.ok()) return epoch_file.error();
    epoch_file_ = *epoch_file;
    disk.sync(epoch_file_, tokens_.issue(Work::recovery));
    ++outstanding_;
    if (!topic_found_) {
        const auto metadata = write_temporary(disk, join_path(path_, partition_metadata_file),
                                              as_bytes(partition_metadata_text(partition_.topic)));
        if (!metadata.ok()) return metadata.error();
        metadata_file_ = *metadata;
        disk.sync(metadata_file_, tokens_.issue(Work::recovery));
        ++outstanding_;
    }
    return {};
}

/// The copy, now synced, takes the segment's names; its handles go on as the segment's. The names
/// are made durable at the end: until then a loss of power brings the old files back, which are as
/// good as they were.
Status Recovery::name_copy(env::Disk& disk) {
    Segment& segment = segments[copying_];
    const struct {
        const char* suffix;
        env::FileId* old;
        env::FileId file;
    } files[] = {{".log", &segment.log, copy_->log},
                 {".index", &segment.index, copy_->index},
                 {".timeindex", &segment.time_index, copy_->time_index},
                 {txn_index_suffix, &segment.txn_index, copy_->txn_index}};
    for (const auto& [suffix, old, file] : files) {
        if (file == env::FileId::none) continue;
        const std::string name = join_path(path_, segment_file(segment.base, suffix));
        KLAMM_TRY(disk.rename(name + temporary_suffix, name));
        if (*old != env::FileId::none) disk.close(*old);
        *old = file;
    }
    copy_.reset();
    ++copying_;
    return {};
}

void Recovery::take(env::Env& env, const env::Synced& done) {
    if (phase_ == Phase::swapping) {
        if (check(done.status, path_)) check(place(env), path_);
        return;
    }
    if (phase_ != Phase::settling && phase_ != Phase::copying) return;
    if (!check(done.status, path_)) return;
    KLAMM_ASSERT(outstanding_ > 0);
    if (--outstanding_ > 0) return;
    if (phase_ == Phase::copying) {
        if (check(name_copy(env.disk()), path_)) check(copy(env), path_);
        return;
    }
    if (naming_) {
        settled = true;
        phase_ = Phase::done;
        return;
    }
    naming_ = true;
    env::Disk& disk = env.disk();
    if (!check(rename_temporary(disk, join_path(path_, epoch_checkpoint_file), epoch_file_), path_))
        return;
    if (!topic_found_ &&
        !check(rename_temporary(disk, join_path(path_, partition_metadata_file), metadata_file_),
               path_)) {
        return;
    }
    outstanding_ = 2;
    disk.sync_directory(path_, tokens_.issue(Work::recovery));
    disk.sync_directory(directory_, tokens_.issue(Work::recovery));
}

}  // namespace klamm::storage
