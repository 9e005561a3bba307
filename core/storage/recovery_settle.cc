// Copying and settling. The page cache may hold what a failed sync gave up: no later sync writes
// such a page unless it is written again, and writing it again in place could tear what an earlier
// sync made durable. So each segment that reaches above the recovery point is written to fresh
// files, which take its names when they are synced; until then the old ones stay as they are.

#include <algorithm>

#include "core/storage/recovery.h"

namespace klamm::storage {

bool Recovery::doubtful(const Segment& segment) const {
    if (hints_.clean_stop && !cut) return false;
    return segment.size > 0 && segment.end > hints_.recovery_point;
}

/// Asks for the next slice to copy; settles when none is left.
Status Recovery::copy(env::Env& env) {
    for (; copying_ < segments.size(); ++copying_) {
        const Segment& segment = segments[copying_];
        if (!doubtful(segment)) continue;
        auto row = copies_.find(copying_);
        if (row == copies_.end()) {
            const auto file = write_temporary(
                env.disk(), join_path(path_, segment_file(segment.base, ".log")), {});
            if (!file.ok()) return file.error();
            row = copies_.emplace(copying_, Segment{}).first;
            row->second.log = *file;
        }
        const std::uint64_t left = segment.size - row->second.size;
        if (left == 0) continue;
        const std::uint64_t slice = std::min<std::uint64_t>(left, config_.scan_bytes);
        env.disk().read(segment.log, row->second.size,
                        MutableBuffer(static_cast<std::size_t>(slice)),
                        tokens_.issue(Work::recovery));
        return {};
    }
    return settle(env);
}

void Recovery::copied(env::Env& env, const env::ReadDone& done) {
    const Segment& segment = segments[copying_];
    const std::string file = join_path(path_, segment_file(segment.base, ".log"));
    if (!done.count.ok()) {
        check(done.count.error(), file);
        return;
    }
    Segment& copy_of = copies_.at(copying_);
    const Buffer bytes = done.out.freeze(*done.count);
    if (bytes.empty()) {
        fail({Failure::corrupt, "the log became shorter while it was copied"}, file, true,
             copy_of.size, segment.base);
        return;
    }
    if (!check(env.disk().write(copy_of.log, copy_of.size, bytes), file)) return;
    copy_of.size += bytes.size();
    check(copy(env), path_);
}

Status Recovery::settle_segment(env::Disk& disk, std::size_t i) {
    Segment& segment = segments[i];
    const auto row = copies_.find(i);
    if (row == copies_.end()) return rewrite_indexes(disk, segment);
    Segment& fresh = row->second;
    KLAMM_ASSERT(fresh.size == segment.size);
    const auto index = write_temporary(disk, join_path(path_, segment_file(segment.base, ".index")),
                                       segment.encode_index(0));
    if (!index.ok()) return index.error();
    fresh.index = *index;
    const auto time_index =
        write_temporary(disk, join_path(path_, segment_file(segment.base, ".timeindex")),
                        segment.encode_time_index(0));
    if (!time_index.ok()) return time_index.error();
    fresh.time_index = *time_index;
    segment.entries_written = segment.entries.size();
    segment.time_entries_written = segment.time_entries.size();
    return {};
}

/// Writes what was recomputed and asks for every sync that makes the log durable as it is now.
Status Recovery::settle(env::Env& env) {
    phase_ = Phase::settling;
    env::Disk& disk = env.disk();
    const auto sync = [&](env::FileId file) {
        disk.sync(file, tokens_.issue(Work::recovery));
        ++outstanding_;
    };
    for (std::size_t i = scan_from_; i < segments.size(); ++i) {
        KLAMM_TRY(settle_segment(disk, i));
        const auto row = copies_.find(i);
        const Segment& files = row == copies_.end() ? segments[i] : row->second;
        sync(files.log);
        sync(files.index);
        sync(files.time_index);
        segments[i].index_dirty = false;
    }
    const auto epoch_file =
        write_temporary(disk, join_path(path_, epoch_checkpoint_file), as_bytes(epochs.to_text()));
    if (!epoch_file.ok()) return epoch_file.error();
    epoch_file_ = *epoch_file;
    sync(epoch_file_);
    if (!topic_found_) {
        const auto metadata = write_temporary(disk, join_path(path_, partition_metadata_file),
                                              as_bytes(partition_metadata_text(partition_.topic)));
        if (!metadata.ok()) return metadata.error();
        metadata_file_ = *metadata;
        sync(metadata_file_);
    }
    return {};
}

/// The copies, now synced, take the segments' names; their handles go on as the segments'.
Status Recovery::name_copies(env::Disk& disk) {
    for (auto& [i, fresh] : copies_) {
        Segment& segment = segments[i];
        const struct {
            const char* suffix;
            env::FileId* old;
            env::FileId file;
        } files[] = {{".log", &segment.log, fresh.log},
                     {".index", &segment.index, fresh.index},
                     {".timeindex", &segment.time_index, fresh.time_index}};
        for (const auto& [suffix, old, file] : files) {
            const std::string name = join_path(path_, segment_file(segment.base, suffix));
            KLAMM_TRY(disk.rename(name + temporary_suffix, name));
            disk.close(*old);
            *old = file;
        }
    }
    copies_.clear();
    return {};
}

void Recovery::take(env::Env& env, const env::Synced& done) {
    if (phase_ != Phase::settling) return;
    if (!check(done.status, path_)) return;
    KLAMM_ASSERT(outstanding_ > 0);
    if (--outstanding_ > 0) return;
    if (naming_) {
        settled = true;
        phase_ = Phase::done;
        return;
    }
    naming_ = true;
    env::Disk& disk = env.disk();
    if (!check(name_copies(disk), path_)) return;
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
