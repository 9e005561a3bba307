// Starting, routing and stopping; directory_checkpoint.cc has the checkpoints and the marker.

#include "core/storage/log_directory.h"

#include <algorithm>

namespace klamm::storage {

LogDirectory::LogDirectory(std::string path, TokenOwner owner_first, TokenOwner owner_end)
    : path_(std::move(path)),
      owner_first_(owner_first),
      owner_next_(owner_first + 1),
      owner_end_(owner_end) {
    KLAMM_ASSERT(owner_first < owner_end);
}

LogDirectory::~LogDirectory() = default;

std::string LogDirectory::path_of(std::string_view file) const { return join_path(path_, file); }

void LogDirectory::fail(const Turn& turn, const Error& error, const std::string& file) {
    if (phase_ == DirectoryPhase::offline) return;
    phase_ = DirectoryPhase::offline;
    failure_ = error;
    for (const auto& log : logs_)
        if (log) log->fail(turn, {error, file, 0, log->log_end(), true});
}

void LogDirectory::settle(const Turn& turn) {
    for (const TokenOwner owner : std::exchange(gone_, {}))
        if (const auto& log = logs_[owner - owner_first_ - 1]) take_over(turn, *log);
}

void LogDirectory::phase_changed(const PartitionLog& log) {
    changed_.insert(log.partition());
    if (log.phase() == LogPhase::offline) gone_.insert(log.owner());
}

void LogDirectory::take_over(const Turn& turn, const PartitionLog& log) {
    if (log.offline() && log.offline()->disk_failed) {
        fail(turn, log.offline()->error, log.offline()->file);
    }
}

// --- start

void LogDirectory::start(env::Env& env, const DirectoryIdentity& expected) {
    KLAMM_ASSERT(phase_ == DirectoryPhase::fresh);
    phase_ = DirectoryPhase::starting;
    identity_ = expected;
    const Status begun = begin(env);
    if (!begun.ok()) fail(env.turn(), begun.error(), path_);
}

Status LogDirectory::begin(env::Env& env) {
    env::Disk& disk = env.disk();
    if (!path_.empty()) {
        const Status made = disk.mkdir(path_);
        if (!made.ok() && made.failure() != Failure::exists) return made;
    }
    const auto lock = disk.open(path_of(lock_file), env::OpenMode::create);
    if (!lock.ok()) return lock.error();
    KLAMM_TRY(disk.lock(*lock));
    disk.list(path_, token(Work::list));
    return {};
}

Status LogDirectory::listed(env::Env& env, const std::vector<env::DirectoryEntry>& entries) {
    const struct {
        const char* name;
        Work work;
    } files[] = {
        {meta_properties_file, Work::read_identity}, {clean_shutdown_file, Work::read_marker},
        {recovery_points_file, Work::read_points},   {high_watermarks_file, Work::read_watermarks},
        {log_starts_file, Work::read_starts},        {cleaned_ends_file, Work::read_cleaned}};
    find_partitions(entries);
    for (const env::DirectoryEntry& entry : entries) {
        if (entry.is_directory) continue;
        if (entry.name.ends_with(temporary_suffix)) {
            KLAMM_TRY(env.disk().remove(path_of(entry.name)));
            continue;
        }
        for (const auto& [name, work] : files) {
            if (entry.name != name) continue;
            if (work == Work::read_marker) clean_ = true;
            if (entry.size == 0) continue;
            const auto file = env.disk().open(path_of(name), env::OpenMode::read);
            if (!file.ok()) return file.error();
            reading_[static_cast<std::uint8_t>(work)] = *file;
            env.disk().read(*file, 0, MutableBuffer(static_cast<std::size_t>(entry.size)),
                            token(work));
        }
    }
    return reading_.empty() ? loaded(env) : Status{};
}

Status LogDirectory::took_file(env::Env& env, Work work, ByteView bytes) {
    const auto row = reading_.find(static_cast<std::uint8_t>(work));
    KLAMM_ASSERT(row != reading_.end());
    env.disk().close(row->second);
    reading_.erase(row);
    const std::string_view text = as_text(bytes);
    if (work == Work::read_identity) {
        const auto found = meta_properties_from_text(text);
        if (!found.ok()) return found.error();
        if (found->cluster_id != identity_.cluster_id || found->node != identity_.node) {
            return Error{Failure::invalid,
                         "meta.properties names another cluster or node: " + found->cluster_id +
                             ", node " + std::to_string(found->node.value)};
        }
        identity_ = *found;
        identity_found_ = true;
    } else if (work == Work::read_marker) {
        previous_epoch_ = clean_shutdown_epoch(text);
    } else {
        // A checkpoint that cannot be read says nothing: everything is scanned then.
        auto offsets = offsets_from_text(text);
        OffsetsByName& into = work == Work::read_points    ? points_
                              : work == Work::read_starts  ? starts_
                              : work == Work::read_cleaned ? cleaned_
                                                           : watermarks_loaded_;
        if (offsets.ok()) into = std::move(*offsets);
    }
    return reading_.empty() ? loaded(env) : Status{};
}

/// Everything is read: the marker goes, durably, and a new directory gets its identity.
Status LogDirectory::loaded(env::Env& env) {
    env::Disk& disk = env.disk();
    watermarks_ = watermarks_loaded_;
    KLAMM_TRY(remove_if_there(disk, path_of(clean_shutdown_file)));
    if (!identity_found_) {
        const auto file = write_temporary(disk, path_of(meta_properties_file),
                                          as_bytes(meta_properties_text(identity_)));
        if (!file.ok()) return file.error();
        starting_file_ = *file;
        disk.sync(*file, token(Work::sync_identity));
        return {};
    }
    disk.sync_directory(path_, token(Work::sync_start));
    starting_ = 1;
    return {};
}

Status LogDirectory::identity_synced(env::Env& env) {
    KLAMM_TRY(rename_temporary(env.disk(), path_of(meta_properties_file), starting_file_));
    env.disk().sync_directory(path_, token(Work::sync_start));
    starting_ = 1;
    if (!path_.empty()) {
        const std::size_t slash = path_.rfind('/');
        const std::string parent = slash == std::string::npos ? "" : path_.substr(0, slash);
        env.disk().sync_directory(parent, token(Work::sync_start));
        starting_ = 2;
    }
    return {};
}

// --- routing

PartitionLog* LogDirectory::log_of(env::Token token) {
    if (!owns(token) || owner_of(token) == owner_first_) return nullptr;
    return logs_[owner_of(token) - owner_first_ - 1].get();
}

template <class Done>
PartitionLog* LogDirectory::route(env::Env& env, const Done& done) {
    PartitionLog* log = log_of(done.token);
    if (log != nullptr) {
        log->on_event(env, done);
        take_over(env.turn(), *log);
        if (phase_ == DirectoryPhase::closing) advance_close(env);
    }
    return log;
}

PartitionLog* LogDirectory::on_event(env::Env& env, const env::ReadDone& done) {
    if (PartitionLog* log = route(env, done)) return log;
    if (!owns(done.token) || phase_ != DirectoryPhase::starting) return nullptr;
    const Status status = done.count.ok()
                              ? took_file(env, work_of(done.token), done.out.freeze(*done.count))
                              : Status(done.count.error());
    if (!status.ok()) fail(env.turn(), status.error(), path_);
    return nullptr;
}

PartitionLog* LogDirectory::on_event(env::Env& env, const env::Listed& done) {
    if (PartitionLog* log = route(env, done)) return log;
    if (owner_of(done.token) != owner_first_) return nullptr;
    const bool doomed = work_of(done.token) == Work::list_doomed;
    if (phase_ != (doomed ? DirectoryPhase::ready : DirectoryPhase::starting)) return nullptr;
    const Status status = doomed              ? doomed_listed(env, done)
                          : done.entries.ok() ? listed(env, *done.entries)
                                              : Status(done.entries.error());
    if (!status.ok()) fail(env.turn(), status.error(), path_);
    return nullptr;
}

PartitionLog* LogDirectory::on_event(env::Env& env, const env::Synced& done) {
    if (PartitionLog* log = route(env, done)) return log;
    if (owner_of(done.token) != owner_first_ || phase_ == DirectoryPhase::offline) return nullptr;
    Status status = done.status;
    if (status.ok()) {
        switch (work_of(done.token)) {
            case Work::sync_identity: status = identity_synced(env); break;
            case Work::sync_start:
                if (--starting_ == 0) phase_ = DirectoryPhase::ready;
                break;
            case Work::sync_file: status = checkpoint_synced(env); break;
            case Work::sync_names: finish_checkpoint(env); break;
            case Work::sync_marker: status = marker_synced(env); break;
            case Work::sync_removal: break;
            case Work::sync_marker_name: phase_ = DirectoryPhase::closed; break;
            default: KLAMM_UNREACHABLE();
        }
    }
    if (!status.ok()) fail(env.turn(), status.error(), path_);
    return nullptr;
}

// --- partitions

PartitionLog& LogDirectory::open_log(env::Env& env, TopicPartition partition,
                                     const std::string& name, const LogConfig& config,
                                     LeaderEpoch leader_epoch_max) {
    KLAMM_ASSERT(phase_ == DirectoryPhase::ready);
    KLAMM_ASSERT(!by_partition_.contains(partition));
    KLAMM_ASSERT(owner_next_ < owner_end_);
    if (const auto at = found_.find(name); at != found_.end()) at->second = true;
    logs_.push_back(
        std::make_unique<PartitionLog>(partition, path_, name, config, owner_next_++, *this));
    PartitionLog& log = *logs_.back();
    by_partition_.emplace(partition, &log);
    OpenHints hints{.clean_stop = clean_, .leader_epoch_max = leader_epoch_max};
    if (const auto start = starts_.find(name); start != starts_.end())
        hints.log_start = start->second;
    if (const auto cleaned = cleaned_.find(name); cleaned != cleaned_.end())
        hints.cleaned_to = cleaned->second;
    if (const auto point = points_.find(name); point != points_.end()) {
        hints.recovery_point = point->second;
        // It was never written above it; a number that says otherwise is rotten.
        hints.log_start = std::min(hints.log_start, hints.recovery_point);
    }
    log.open(env, hints);
    take_over(env.turn(), log);
    return log;
}

PartitionLog* LogDirectory::find(TopicPartition partition) {
    const auto row = by_partition_.find(partition);
    return row == by_partition_.end() ? nullptr : row->second;
}

}  // namespace klamm::storage
