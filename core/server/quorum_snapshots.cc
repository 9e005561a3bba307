#include "core/server/quorum_snapshots.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/storage/files.h"

namespace klamm::server {

namespace {

constexpr std::string_view checkpoint_suffix = ".checkpoint";
constexpr std::string_view part_suffix = ".checkpoint.part";
constexpr std::size_t offset_digits = 20;
constexpr std::size_t epoch_digits = 10;

// Tokens, from the first on.
constexpr env::Token listed_token = 0;
constexpr env::Token own_synced = 1;
constexpr env::Token own_named = 2;
constexpr env::Token fetched_synced = 3;
constexpr env::Token fetched_named = 4;
constexpr env::Token first_read = 16;
constexpr env::Token tokens_end = env::Token{1} << 32;

template <class Number>
bool digits(std::string_view text, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && out >= 0;
}

}  // namespace

std::string snapshot_file(const raft::LogId& id) {
    return fmt::format("{:020}-{:010}{}", id.offset.value, id.epoch.value, checkpoint_suffix);
}

std::optional<raft::LogId> snapshot_of_file(std::string_view name) {
    if (name.size() != offset_digits + 1 + epoch_digits + checkpoint_suffix.size() ||
        !name.ends_with(checkpoint_suffix) || name[offset_digits] != '-')
        return std::nullopt;
    raft::LogId id;
    if (!digits(name.substr(0, offset_digits), id.offset.value) ||
        !digits(name.substr(offset_digits + 1, epoch_digits), id.epoch.value))
        return std::nullopt;
    return id;
}

void QuorumSnapshots::fail(std::string why) {
    if (phase_ == Phase::failed) return;
    phase_ = Phase::failed;
    failure_ = std::move(why);
}

std::string QuorumSnapshots::path_of(const raft::LogId& id, bool part) const {
    return storage::join_path(directory_, snapshot_file(id) + (part ? ".part" : ""));
}

std::uint64_t QuorumSnapshots::bytes() const {
    std::uint64_t sum = 0;
    for (const raft::SnapshotInfo& info : infos_) sum += info.size;
    return sum;
}

// --- the start

void QuorumSnapshots::start(env::Env& env) {
    phase_ = Phase::starting;
    env.disk().list(directory_, tokens_ + listed_token);
}

bool QuorumSnapshots::on_event(env::Env& env, const env::Listed& done) {
    if (done.token != tokens_ + listed_token) return false;
    if (!done.entries.ok()) {
        fail("the snapshots cannot be listed: " + done.entries.error().text);
        return true;
    }
    for (const env::DirectoryEntry& entry : *done.entries) {
        if (entry.name.ends_with(part_suffix)) {
            const Status removed = env.disk().remove(storage::join_path(directory_, entry.name));
            if (!removed.ok()) fail("a snapshot cannot be removed: " + removed.error().text);
        } else if (const auto id = snapshot_of_file(entry.name)) {
            infos_.push_back({*id, entry.size});
        }
    }
    std::sort(infos_.begin(), infos_.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    if (phase_ == Phase::starting) phase_ = Phase::ready;
    return true;
}

// --- writing

void QuorumSnapshots::open(env::Env& env, std::optional<Part>& part, const raft::LogId& id) {
    const std::string path = path_of(id, true);
    const auto file = env.disk().open(path, env::OpenMode::create);
    Status status = file.ok() ? env.disk().truncate(*file, 0) : Status(file.error());
    if (!status.ok()) return fail("a snapshot cannot be written: " + status.error().text);
    part = Part{id, *file, 0, Step::writing};
}

void QuorumSnapshots::write(env::Env& env, Part& part, ByteView bytes) {
    const Status status = env.disk().write(part.file, part.size, bytes);
    if (!status.ok()) return fail("a snapshot cannot be written: " + status.error().text);
    part.size += bytes.size();
}

void QuorumSnapshots::drop(env::Env& env, std::optional<Part>& part) {
    if (!part.has_value()) return;
    env.disk().close(part->file);
    const Status status = storage::remove_if_there(env.disk(), path_of(part->id, true));
    if (!status.ok()) fail("a snapshot cannot be removed: " + status.error().text);
    part.reset();
}

void QuorumSnapshots::begin(env::Env& env, const raft::LogId& id) {
    KLAMM_ASSERT(!own_.has_value());
    open(env, own_, id);
}

void QuorumSnapshots::add(env::Env& env, ByteView batches) {
    if (own_.has_value() && phase_ == Phase::ready) write(env, *own_, batches);
}

void QuorumSnapshots::finish(env::Env& env) {
    if (own_.has_value()) seal(env, *own_, tokens_ + own_synced);
}

void QuorumSnapshots::keep_piece(env::Env& env, const raft::LogId& id, std::uint64_t position,
                                 ByteView piece) {
    if (position == 0) {
        drop(env, fetched_);
        open(env, fetched_, id);
    }
    if (phase_ != Phase::ready) return;
    KLAMM_ASSERT(fetched_.has_value() && fetched_->id == id && fetched_->size == position);
    write(env, *fetched_, piece);
}

void QuorumSnapshots::drop_pieces(env::Env& env) { drop(env, fetched_); }

void QuorumSnapshots::complete(env::Env& env) {
    if (fetched_.has_value()) seal(env, *fetched_, tokens_ + fetched_synced);
}

void QuorumSnapshots::seal(env::Env& env, Part& part, env::Token token) {
    if (phase_ != Phase::ready) return;
    part.step = Step::syncing;
    env.disk().sync(part.file, token);
}

bool QuorumSnapshots::on_event(env::Env& env, const env::Synced& done) {
    const env::Token token = done.token - tokens_;
    if (done.token < tokens_ || token > fetched_named) return false;
    const bool own = token == own_synced || token == own_named;
    std::optional<Part>& part = own ? own_ : fetched_;
    if (part.has_value()) advance(env, part, done.status, own ? own_named : fetched_named);
    return true;
}

void QuorumSnapshots::advance(env::Env& env, std::optional<Part>& part, const Status& status,
                              env::Token named_token) {
    Status done = status;
    const bool named = part->step == Step::naming;
    if (done.ok() && !named) {
        env.disk().close(part->file);
        done = env.disk().rename(path_of(part->id, true), path_of(part->id, false));
    }
    if (!done.ok()) return fail("a snapshot cannot be written: " + done.error().text);
    if (named) {
        count(env, *part);
        part.reset();
    } else {
        part->step = Step::naming;
        env.disk().sync_directory(directory_, tokens_ + named_token);
    }
}

void QuorumSnapshots::count(env::Env& env, const Part& part) {
    if (!infos_.empty() && part.id < infos_.back().id) {
        // One was fetched meanwhile that is newer: the log begins there.
        const Status status = storage::remove_if_there(env.disk(), path_of(part.id, false));
        if (!status.ok()) fail("a snapshot cannot be removed: " + status.error().text);
        return;
    }
    const raft::SnapshotInfo info{part.id, part.size};
    const auto at = std::lower_bound(infos_.begin(), infos_.end(), info,
                                     [](const auto& a, const auto& b) { return a.id < b.id; });
    if (at != infos_.end() && at->id == info.id)
        *at = info;
    else
        infos_.insert(at, info);
}

// --- reading

void QuorumSnapshots::read(env::Env& env, std::uint64_t tag, const raft::LogId& id,
                           std::uint64_t position, std::uint64_t bytes) {
    const auto file = env.disk().open(path_of(id, false), env::OpenMode::read);
    if (!file.ok()) {
        if (file.failure() != Failure::not_found)
            fail("a snapshot cannot be read: " + file.error().text);
        done_.push_back({tag, {}});
        return;
    }
    const env::Token token = tokens_ + first_read + reads_made_++;
    readings_[token] = {tag, *file};
    env.disk().read(*file, position, MutableBuffer(static_cast<std::size_t>(bytes)), token);
}

bool QuorumSnapshots::on_event(env::Env& env, const env::ReadDone& done) {
    if (done.token < tokens_ || done.token - tokens_ >= tokens_end) return false;
    const auto row = readings_.extract(done.token);
    if (row.empty()) return false;
    env.disk().close(row.mapped().file);
    if (!done.count.ok()) fail("a snapshot cannot be read: " + done.count.error().text);
    done_.push_back({row.mapped().tag, done.count.ok() ? done.out.freeze(*done.count) : Buffer{}});
    return true;
}

void QuorumSnapshots::keep_last(env::Env& env, std::size_t kept) {
    KLAMM_ASSERT(kept > 0);
    while (infos_.size() > kept) {
        // Files that are being read go on under their handles.
        const Status status =
            storage::remove_if_there(env.disk(), path_of(infos_.front().id, false));
        if (!status.ok()) return fail("a snapshot cannot be removed: " + status.error().text);
        infos_.erase(infos_.begin());
    }
}

}  // namespace klamm::server
