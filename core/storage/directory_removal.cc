// Partitions that go: they leave the checkpoints, then their directories get another name, and are
// emptied later. In this order: a checkpoint that speaks of a log whose directory is not there
// tells of damage, and one that speaks of an earlier log of the same name would tell more of the
// new one than was synced. A name that a power loss takes back belongs to nobody at the next start,
// and is set aside then.

#include <fmt/format.h>

#include <algorithm>

#include "core/storage/log_directory.h"

namespace klamm::storage {

namespace {

constexpr std::string_view delete_suffix = "-delete";
constexpr std::string_view stray_suffix = "-stray";
// Of what an earlier life has left: nobody knows what its topic was told.
constexpr Duration found_delay = seconds(60);

/// "<topic>-<partition>", as a partition's directory is called.
bool is_partition_name(std::string_view name) {
    const std::size_t dash = name.rfind('-');
    if (dash == std::string_view::npos || dash == 0 || dash + 1 == name.size()) return false;
    return std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dash) + 1, name.end(),
                       [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

void PartitionLog::discard(env::Disk& disk) {
    if (recovery_)
        for (Segment& segment : recovery_->segments) close_segment(disk, segment);
    recovery_.reset();
    rescan_.reset();
    if (cleaning_) cleaning_->discard(disk);
    cleaning_.reset();
    for (Segment& segment : segments_) close_segment(disk, segment);
    for (Deleted& one : deleted_) close_segment(disk, one.segment);
    segments_.clear();
    deleted_.clear();
    forget_chunks();
    tail_.clear();
}

void LogDirectory::find_partitions(const std::vector<env::DirectoryEntry>& entries) {
    for (const env::DirectoryEntry& entry : entries) {
        if (!entry.is_directory) continue;
        if (entry.name.ends_with(delete_suffix))
            doomed_.push_back({entry.name, Instant(0)});
        else if (is_partition_name(entry.name))
            found_.emplace(entry.name, false);
    }
}

/// Kafka's form; with a long name it is cut so that the whole stays within what file systems take.
std::string LogDirectory::other_name(const Turn& turn, const std::string& name,
                                     std::string_view suffix) {
    constexpr auto domain = draw_domain("storage.removal");
    constexpr std::size_t length_max = 255;
    const std::uint64_t entity = digest64(as_bytes(name), owner_next_);
    const std::string unique = fmt::format(
        ".{:016x}{:016x}{}", turn.draws.word(domain, entity, 0),
        turn.draws.word(domain, entity, 1 + static_cast<std::uint64_t>(turn.now.nanoseconds)),
        suffix);
    return name.substr(0, length_max - unique.size()) + unique;
}

void LogDirectory::forget(env::Env& env, const std::string& name, Going how) {
    found_.erase(name);
    watermarks_.erase(name);
    watermarks_loaded_.erase(name);
    going_.emplace(name, how);
    checkpoint(env);
}

/// After a checkpoint: those that it has forgotten.
Status LogDirectory::rename_going(env::Env& env) {
    if (phase_ != DirectoryPhase::ready) return {};
    for (auto one = going_.begin(); one != going_.end();) {
        const auto& [name, how] = *one;
        if (points_.contains(name) || starts_.contains(name)) {
            ++one;
            continue;
        }
        const std::string to =
            other_name(env.turn(), name, how.keep ? stray_suffix : delete_suffix);
        KLAMM_TRY(env.disk().rename(path_of(name), path_of(to)));
        env.disk().sync_directory(path_, token(Work::sync_removal));
        if (!how.keep) doomed_.push_back({to, env.turn().now + how.delay});
        one = going_.erase(one);
    }
    return {};
}

void LogDirectory::remove_log(env::Env& env, TopicPartition partition, bool keep) {
    const auto row = by_partition_.find(partition);
    KLAMM_ASSERT(row != by_partition_.end());
    const TokenOwner owner = row->second->owner();
    std::unique_ptr<PartitionLog>& log = logs_[owner - owner_first_ - 1];
    const std::string name = log->name();
    const Duration delay = milliseconds(log->config().file_delete_delay_ms);
    log->discard(env.disk());
    by_partition_.erase(row);
    changed_.erase(partition);
    gone_.erase(owner);
    log.reset();
    if (phase_ == DirectoryPhase::ready) forget(env, name, {keep, delay});
}

std::vector<std::string> LogDirectory::unopened() const {
    std::vector<std::string> names;
    for (const auto& [name, opened] : found_)
        if (!opened) names.push_back(name);
    return names;
}

void LogDirectory::set_aside(env::Env& env, const std::string& name) {
    if (phase_ == DirectoryPhase::ready) forget(env, name, {true, Duration{}});
}

Instant LogDirectory::doomed_due() const {
    if (phase_ != DirectoryPhase::ready || listing_doomed_) return instant_never;
    Instant due = instant_never;
    for (const Doomed& one : doomed_) due = std::min(due, one.due);
    return due;
}

void LogDirectory::remove_doomed(env::Env& env) {
    const Instant now = env.turn().now;
    for (Doomed& one : doomed_)
        if (one.due == Instant(0)) one.due = now + found_delay;
    if (phase_ != DirectoryPhase::ready || listing_doomed_ || doomed_due() > now) return;
    // One after another: the one that is due first comes to the front.
    std::stable_sort(doomed_.begin(), doomed_.end(),
                     [](const Doomed& a, const Doomed& b) { return a.due < b.due; });
    listing_doomed_ = true;
    env.disk().list(path_of(doomed_.front().name), token(Work::list_doomed));
}

Status LogDirectory::doomed_listed(env::Env& env, const env::Listed& done) {
    listing_doomed_ = false;
    const std::string path = path_of(doomed_.front().name);
    doomed_.pop_front();
    if (!done.entries.ok()) {
        if (done.entries.failure() == Failure::not_found) return {};
        return done.entries.error();
    }
    for (const env::DirectoryEntry& entry : *done.entries)
        KLAMM_TRY(remove_if_there(env.disk(), join_path(path, entry.name)));
    KLAMM_TRY(remove_if_there(env.disk(), path));
    env.disk().sync_directory(path_, token(Work::sync_removal));
    return {};
}

}  // namespace klamm::storage
