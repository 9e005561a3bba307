#include "core/server/quorum_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/metadata/metadata_topic.h"
#include "core/raft/control.h"
#include "core/raft/quorum_state.h"
#include "core/record/builder.h"
#include "core/record/record.h"

namespace klamm::server {

namespace {

constexpr storage::TokenOwner owner_first = 1;
constexpr storage::TokenOwner owner_end = 8;
// Tokens of this object's own, beside those of its directory and log.
constexpr env::Token own = env::Token{owner_end} << 32;
constexpr env::Token state_read = own | 1;
constexpr env::Token state_synced = own | 2;
constexpr env::Token state_named = own | 3;
constexpr env::Token reads_from = own | 16;
constexpr env::Token snapshot_tokens = env::Token{owner_end + 1} << 32;
constexpr std::uint64_t content_tag = 0;
constexpr std::uint64_t content_bytes = 64 << 10;  // a snapshot's first batch is no larger
constexpr std::uint64_t load_tag = 0;
constexpr std::uint64_t load_bytes = 1 << 20;
constexpr std::uint64_t state_bytes_max = 1 << 20;

storage::LogConfig log_config(const QuorumLogSettings& settings) {
    storage::LogConfig config;
    config.segment_bytes = settings.segment_bytes;
    config.flush_messages = 1;
    config.max_message_bytes = 8 << 20;
    config.tail_cache_bytes = 64 << 20;  // who follows reads what is fresh
    return config;
}

}  // namespace

QuorumLog::QuorumLog(std::string directory, QuorumLogSettings settings)
    : path_(std::move(directory)),
      partition_(storage::join_path(path_, fmt::format("{}-0", metadata::metadata_topic_name))),
      settings_(settings),
      directory_(path_, owner_first, owner_end),
      snapshots_(partition_, snapshot_tokens) {
    state_path_ = storage::join_path(partition_, quorum_state_file);
}

void QuorumLog::fail(std::string why) {
    if (phase_ == Phase::failed) return;
    phase_ = Phase::failed;
    failure_ = std::move(why);
}

void QuorumLog::start(env::Env& env, const storage::DirectoryIdentity& identity) {
    directory_.start(env, identity);
    after_event(env);
}

bool QuorumLog::on_event(env::Env& env, const env::ReadDone& done) {
    if (done.token == state_read) {
        env.disk().close(state_file_);
        if (done.count.ok())
            take_state(ByteView(done.out.data(), *done.count));
        else
            fail("quorum-state cannot be read: " + done.count.error().text);
    } else if (done.token >= reads_from && storage::owner_of(done.token) == owner_end) {
        const auto row = std::find_if(readings_.begin(), readings_.end(),
                                      [&](const auto& one) { return one.token == done.token; });
        KLAMM_ASSERT(row != readings_.end());
        if (!done.count.ok()) fail("the metadata log cannot be read: " + done.count.error().text);
        Read read{row->tag, {}};
        if (done.count.ok()) read.pieces.push_back(done.out.freeze(*done.count));
        readings_.erase(row);
        reads_done_.push_back(std::move(read));
    } else if (directory_.owns(done.token)) {
        directory_.on_event(env, done);
    } else if (!snapshots_.on_event(env, done)) {
        return false;
    }
    after_event(env);
    return true;
}

bool QuorumLog::on_event(env::Env& env, const env::Synced& done) {
    if (done.token == state_synced || done.token == state_named)
        advance_write(env, done.status, done.token == state_named);
    else if (directory_.owns(done.token))
        directory_.on_event(env, done);
    else if (!snapshots_.on_event(env, done))
        return false;
    after_event(env);
    return true;
}

bool QuorumLog::on_event(env::Env& env, const env::Listed& done) {
    if (directory_.owns(done.token))
        directory_.on_event(env, done);
    else if (!snapshots_.on_event(env, done))
        return false;
    after_event(env);
    return true;
}

void QuorumLog::after_event(env::Env& env) {
    using storage::DirectoryPhase;
    if (phase_ == Phase::failed) return;
    if (directory_.phase() == DirectoryPhase::offline) {
        const auto& why = directory_.failure();
        return fail("the metadata log is offline: " + (why ? why->text : std::string("unknown")));
    }
    if (directory_.phase() == DirectoryPhase::closed) phase_ = Phase::closed;
    if (directory_.phase() != DirectoryPhase::ready) return;
    if (log_ == nullptr)
        log_ = &directory_.open_log(env, {metadata::metadata_topic, PartitionIndex(0)},
                                    fmt::format("{}-0", metadata::metadata_topic_name),
                                    log_config(settings_));
    if (log_->phase() == storage::LogPhase::offline)
        return fail("the metadata log is offline: " + log_->offline()->error.text);
    if (!log_->opened()) return;
    for (QuorumSnapshots::Read& read : snapshots_.take_reads()) {
        if (read.tag == content_tag)
            take_content(*content_of_, read.bytes);
        else
            snapshot_reads_.push_back(std::move(read));
    }
    if (snapshots_.phase() == QuorumSnapshots::Phase::failed) return fail(snapshots_.failure());
    retry_reads(env);
    advance_restart(env);
    if (phase_ != Phase::starting || !settle_snapshots(env)) return;
    if (!state_asked_) open_state(env);
    if (state_read_) load(env);
}

// --- the start

/// Whether log and snapshots are as they should be beside each other.
bool QuorumLog::settle_snapshots(env::Env& env) {
    if (snapshots_.phase() == QuorumSnapshots::Phase::fresh) snapshots_.start(env);
    if (snapshots_.phase() != QuorumSnapshots::Phase::ready) return false;
    if (log_->phase() != storage::LogPhase::open) return false;
    const auto& infos = snapshots_.infos();
    if (!dropped_ && !infos.empty()) {
        const raft::LogId newest = infos.back().id;
        const raft::LogId end =
            raft::end_of({log_->log_start(), log_->log_end(), {}, &log_->epoch_cache(), {}});
        dropped_ = newest > end;
        if (dropped_) {
            log_->truncate_fully_and_start_at(env, newest.offset);
            return false;
        }
    }
    const Offset start = log_->log_start();
    if (start.value == 0) return true;
    const auto below = std::count_if(infos.begin(), infos.end(),
                                     [&](const auto& info) { return info.id.offset < start; });
    const std::size_t kept = infos.size() - static_cast<std::size_t>(below);
    if (kept == 0) {
        fail(fmt::format("the metadata log begins at {}, and no snapshot has what was before",
                         start.value));
        return false;
    }
    snapshots_.keep_last(env, kept);
    if (infos.front().id.offset > start)
        log_->raise_log_start(env, infos.front().id.offset, facts::LogStartReason::retention);
    if (content_state_ == Content::unknown) read_content(env, infos.front().id);
    return content_state_ == Content::known;
}

void QuorumLog::read_content(env::Env& env, const raft::LogId& id) {
    content_state_ = Content::reading;
    content_of_ = id;
    snapshots_.read(env, content_tag, id, 0, content_bytes);
}

/// Its first batch says what it has of the voters.
void QuorumLog::take_content(const raft::LogId& id, ByteView bytes) {
    content_state_ = Content::known;
    raft::SnapshotContent content{id.offset, std::nullopt, 0};
    ByteView batch;
    if (record::next_batch(bytes, batch) != record::Peek::ok)
        return fail("a snapshot of the metadata log cannot be read");
    std::vector<raft::ControlEntry> entries;
    note_entries(batch, record::BatchView(batch).next_offset(), entries);
    for (raft::ControlEntry& entry : entries) {
        if (const auto* version = std::get_if<raft::VersionChange>(&entry.value))
            content.version = version->version;
        if (auto* voters = std::get_if<raft::VotersChange>(&entry.value))
            content.voters = std::move(voters->voters);
    }
    content_ = std::move(content);
}

void QuorumLog::open_state(env::Env& env) {
    state_asked_ = true;
    const auto file = env.disk().open(state_path_, env::OpenMode::read);
    if (!file.ok() && file.failure() == Failure::not_found) {
        state_read_ = true;
        return;
    }
    const auto size = file.ok() ? env.disk().length(*file) : Result<std::uint64_t>(file.error());
    if (!size.ok() || *size > state_bytes_max)
        return fail("quorum-state cannot be read: " +
                    (size.ok() ? std::string("it is too long") : size.error().text));
    state_file_ = *file;
    env.disk().read(*file, 0, MutableBuffer(static_cast<std::size_t>(*size)), state_read);
}

void QuorumLog::take_state(ByteView text) {
    // What it forgot it might promise again: a file that cannot be read ends the process.
    const auto state = raft::decode_quorum_state(as_text(text));
    if (!state.ok()) return fail(state.error().text);
    stored_ = *state;
    state_read_ = true;
}

void QuorumLog::load(env::Env& env) {
    if (loaded_ == no_offset) loaded_ = log_->log_start();
    for (;;) {
        for (const Read& done : take_reads()) {
            KLAMM_ASSERT(done.tag == load_tag);
            loading_ = false;
            const Buffer batches = done.joined();
            note_entries(batches, log_->log_end(), entries_);
            ByteView rest = batches;
            ByteView one;
            while (record::next_batch(rest, one) == record::Peek::ok)
                loaded_ = std::max(loaded_, record::BatchView(one).next_offset());
        }
        if (phase_ == Phase::failed || loading_) return;
        if (loaded_ >= log_->log_end()) break;
        loading_ = true;
        read(env, load_tag, loaded_, load_bytes, log_->log_end());
    }
    phase_ = Phase::ready;
}

/// The control records of whole batches, which are sound, below `end`.
void QuorumLog::note_entries(ByteView batches, Offset end, std::vector<raft::ControlEntry>& into) {
    ByteView bytes;
    while (record::next_batch(batches, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        if (batch.next_offset() > end) return;
        if (!batch.is_control()) continue;
        record::for_each_record(batch.records(), [&](const record::Record& record) {
            if (!record.key || !record.value) return;
            const auto type = record::decode_control_key(*record.key);
            if (!type.ok()) return fail("a control record cannot be read: " + type.error().text);
            const auto value = raft::decode_control_value(*type, *record.value);
            if (!value.ok()) return fail("a control record cannot be read: " + value.error().text);
            if (value->has_value())
                into.push_back({record::record_offset(batch, record), std::move(**value)});
        });
    }
}

// --- the log

raft::LogView QuorumLog::view() const {
    return {log_->log_start(), log_->log_end(), log_->flushed_end(), &log_->epoch_cache(),
            snapshots_.infos()};
}

bool QuorumLog::cutting() const {
    return restart_ != Restart::none || log_->phase() != storage::LogPhase::open;
}

void QuorumLog::append_control(env::Env& env, const raft::ControlAppend& append) {
    const Bytes batch = raft::encode_control_batch(append, env.turn().wall);
    const storage::Appended appended = log_->append_as_leader(
        env.turn(), env.disk(), Buffer::from(batch), append.epoch, log::Origin::coordinator);
    if (appended.outcome != storage::AppendOutcome::appended)
        return fail("the metadata log takes no control records");
    KLAMM_ASSERT(appended.base == append.base);
    log_->flush(env);
}

bool QuorumLog::append_values(env::Env& env, const std::vector<Bytes>& values, LeaderEpoch epoch) {
    record::BatchBuilder builder;
    for (const Bytes& value : values)
        builder.append(env.turn().wall, std::nullopt, ByteView(value));
    const storage::Appended appended = log_->append_as_leader(
        env.turn(), env.disk(), Buffer::from(builder.build()), epoch, log::Origin::coordinator);
    if (appended.outcome == storage::AppendOutcome::too_large) return false;
    if (appended.outcome != storage::AppendOutcome::appended) {
        fail("the metadata log takes no more records");
        return false;
    }
    log_->flush(env);
    return true;
}

std::vector<raft::ControlEntry> QuorumLog::append_fetched(env::Env& env, const Buffer& batches,
                                                          LeaderEpoch epoch) {
    std::vector<raft::ControlEntry> entries;
    const storage::Appended appended =
        log_->append_as_follower(env.turn(), env.disk(), batches, epoch);
    if (appended.outcome == storage::AppendOutcome::offline) {
        fail("the metadata log takes no more records");
    } else if (appended.outcome != storage::AppendOutcome::appended) {
        env.log("what the leader sent does not continue the metadata log");
    } else if (appended.batches > 0) {
        note_entries(batches, log_->log_end(), entries);
        log_->flush(env);
    }
    return entries;
}

void QuorumLog::truncate(env::Env& env, Offset end) { log_->truncate_to(env, end); }

// --- snapshots

void QuorumLog::restart(env::Env& env, const raft::LogId& id) {
    restart_ = Restart::completing;
    restart_at_ = id;
    snapshots_.complete(env);
}

/// The snapshot counts before the log goes.
void QuorumLog::advance_restart(env::Env& env) {
    const auto& infos = snapshots_.infos();
    if (restart_ == Restart::completing && !infos.empty() && infos.back().id == restart_at_) {
        restart_ = Restart::cutting;
        log_->truncate_fully_and_start_at(env, restart_at_.offset);
    }
    if (restart_ == Restart::cutting && log_->phase() == storage::LogPhase::open) {
        restart_ = Restart::reading;
        snapshots_.keep_last(env, 1);
        read_content(env, restart_at_);
    }
    if (restart_ == Restart::reading && content_state_ == Content::known) restart_ = Restart::none;
}

void QuorumLog::clean(env::Env& env) {
    log_->remove_deleted(env);
    const auto& infos = snapshots_.infos();
    if (cutting() || infos.empty()) return;
    std::size_t kept = infos.size();
    std::uint64_t bytes = snapshots_.bytes() + log_->size_bytes();
    for (; kept > 1 && bytes > settings_.retention_bytes; --kept)
        bytes -= infos[infos.size() - kept].size;
    if (kept == infos.size()) return;
    // What begins later is there already: the log may begin with it.
    const Offset start = infos[infos.size() - kept].id.offset;
    log_->raise_log_start(env, start, facts::LogStartReason::retention);
    snapshots_.keep_last(env, kept);
}

Instant QuorumLog::clean_due() const {
    return log_ == nullptr ? instant_never : log_->deleted_due();
}

// --- reading

void QuorumLog::read(env::Env& env, std::uint64_t tag, Offset from, std::uint64_t bytes_max,
                     Offset limit) {
    Reading reading{tag, from, bytes_max, limit};
    if (!try_read(env, reading)) readings_.push_back(reading);
}

Buffer QuorumLog::Read::joined() const {
    if (pieces.size() == 1) return pieces.front();
    Bytes all;
    for (const Buffer& piece : pieces)
        all.insert(all.end(), piece.data(), piece.data() + piece.size());
    return Buffer::from(std::move(all));
}

bool QuorumLog::try_read(env::Env& env, Reading& reading) {
    const storage::ReadPlan plan =
        log_->read(env, reading.from, reading.bytes_max, reading.limit, true);
    if (plan.status == storage::ReadStatus::waiting) return false;
    Read done{reading.tag, {}};
    if (plan.status == storage::ReadStatus::ok && plan.ranged) {
        // Into memory: what a file range names may be cut before it leaves.
        const auto& range = std::get<env::FileRange>(plan.pieces.front());
        reading.token = reads_from + ++reads_made_;
        env.disk().read(range.file, range.position,
                        MutableBuffer(static_cast<std::size_t>(range.length)), reading.token);
        return false;
    }
    if (plan.status == storage::ReadStatus::ok)
        for (const env::Piece& piece : plan.pieces) done.pieces.push_back(std::get<Buffer>(piece));
    reads_done_.push_back(std::move(done));
    return true;
}

void QuorumLog::retry_reads(env::Env& env) {
    if (log_->take_ready().empty()) return;
    std::erase_if(readings_,
                  [&](Reading& reading) { return reading.token == 0 && try_read(env, reading); });
}

// --- quorum-state

void QuorumLog::write_state(env::Env& env, const raft::StateWrite& write) {
    waiting_ = write;
    if (!writing_.has_value()) begin_write(env);
}

void QuorumLog::begin_write(env::Env& env) {
    writing_ = std::exchange(waiting_, {});
    if (!writing_.has_value()) return;
    const std::string text =
        raft::encode_quorum_state(writing_->state, writing_->file_version, writing_->voters);
    const auto file = storage::write_temporary(env.disk(), state_path_, as_bytes(text));
    if (!file.ok()) return fail("quorum-state cannot be written: " + file.error().text);
    state_file_ = *file;
    env.disk().sync(*file, state_synced);
}

void QuorumLog::advance_write(env::Env& env, const Status& status, bool named) {
    Status done = status;
    if (done.ok() && !named) done = storage::rename_temporary(env.disk(), state_path_, state_file_);
    if (!done.ok()) return fail("quorum-state cannot be written: " + done.error().text);
    if (!named) return env.disk().sync_directory(partition_, state_named);
    durable_state_ = writing_->number;
    begin_write(env);
}

// --- the end

void QuorumLog::close(env::Env& env) {
    if (phase_ == Phase::starting) phase_ = Phase::closed;  // nothing to close, and no marker
    if (phase_ != Phase::ready) return;
    phase_ = Phase::closing;
    directory_.close(env, BrokerEpoch(0));
    after_event(env);
}

std::uint64_t QuorumLog::digest() const {
    return log_ == nullptr ? 0 : fold64(log_->digest(), durable_state_);
}

}  // namespace klamm::server
