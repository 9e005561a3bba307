// Appending: offsets, producers and epochs are decided first; then runs of batches that share a
// segment are written with one call each, and only what was written is noted.

#include <algorithm>

#include "core/storage/partition_log.h"

namespace klamm::storage {

namespace {

constexpr std::int64_t relative_offset_max = 0x7fffffff;

AppendOutcome refusal(log::ProducerVerdict verdict) {
    switch (verdict) {
        case log::ProducerVerdict::in_order: return AppendOutcome::appended;
        case log::ProducerVerdict::duplicate: return AppendOutcome::duplicate;
        case log::ProducerVerdict::out_of_order_sequence:
            return AppendOutcome::out_of_order_sequence;
        case log::ProducerVerdict::invalid_producer_epoch:
            return AppendOutcome::invalid_producer_epoch;
        case log::ProducerVerdict::invalid_transaction: return AppendOutcome::invalid_transaction;
        case log::ProducerVerdict::coordinator_fenced: return AppendOutcome::coordinator_fenced;
    }
    KLAMM_UNREACHABLE();
}

}  // namespace

Appended PartitionLog::append_as_leader(const Turn& turn, env::Disk& disk, const Buffer& batch,
                                        LeaderEpoch epoch, log::Origin origin) {
    Appended appended;
    if (phase_ != LogPhase::open) {
        appended.outcome = AppendOutcome::offline;
        return appended;
    }
    const record::BatchView given(batch);
    KLAMM_ASSERT(given.size_bytes() == batch.size());
    KLAMM_ASSERT(given.last_offset_delta() >= 0);
    if (epoch < epochs_.latest_epoch()) {
        appended.outcome = AppendOutcome::misplaced;
        return appended;
    }
    if (batch.size() > config_.max_message_bytes) {
        appended.outcome = AppendOutcome::too_large;
        return appended;
    }
    const log::ProducerCheck check = producers_.check(given, origin);
    appended.outcome = refusal(check.verdict);
    if (appended.outcome == AppendOutcome::duplicate) {
        appended.base = check.known.base_offset();
        appended.last = check.known.last_offset;
    }
    if (appended.outcome != AppendOutcome::appended) return appended;

    MutableBuffer header(record::batch_header_bytes);
    std::copy_n(batch.data(), header.size(), header.data());
    record::write_base_offset_and_epoch(header.span(), log_end_, epoch);
    std::vector<Incoming> batches;
    batches.push_back({header.freeze(), batch.slice(record::batch_header_bytes,
                                                    batch.size() - record::batch_header_bytes)});
    appended.base = log_end_;
    appended.last = log_end_ + given.last_offset_delta();
    appended.bytes = batch.size();
    appended.batches = 1;
    if (!append_all(turn, disk, batches, true)) appended.outcome = AppendOutcome::offline;
    return appended;
}

Appended PartitionLog::append_as_follower(const Turn& turn, env::Disk& disk, const Buffer& fetched,
                                          LeaderEpoch epoch) {
    Appended appended;
    Offset next = log_end_;
    const auto refused = [&](AppendOutcome outcome) {
        appended = {};
        appended.outcome = outcome;
        appended.base = next;
        return appended;
    };
    if (phase_ != LogPhase::open) return refused(AppendOutcome::offline);
    std::vector<Incoming> batches;
    ByteView rest = fetched;
    ByteView bytes;
    LeaderEpoch latest = epochs_.latest_epoch();
    record::Peek peek;
    while ((peek = record::next_batch(rest, bytes)) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        if (!batch.crc_holds() || batch.last_offset_delta() < 0) {
            return refused(AppendOutcome::corrupt);
        }
        // Left out, and so is what follows; but all of it must be sound.
        if (batch.leader_epoch() > epoch) appended.later_epoch = true;
        if (appended.later_epoch) continue;
        const bool follows =
            config_.gaps ? batch.base_offset() >= next : batch.base_offset() == next;
        if (!follows || batch.leader_epoch() < latest) {
            return refused(AppendOutcome::misplaced);
        }
        if (batches.empty()) appended.base = batch.base_offset();
        appended.last = batch.last_offset();
        appended.bytes += bytes.size();
        ++appended.batches;
        next = batch.next_offset();
        latest = batch.leader_epoch();
        batches.push_back({fetched.slice_of(bytes), {}});
    }
    if (peek == record::Peek::bad) return refused(AppendOutcome::corrupt);
    if (!append_all(turn, disk, batches, false)) return refused(AppendOutcome::offline);
    return appended;
}

PartitionLog::Planned PartitionLog::plan() const {
    const Segment& segment = segments_.back();
    return {segment.base, segment.size, segment.timestamp_first, segment.entries.size()};
}

bool PartitionLog::must_roll(const record::BatchView& batch, const Planned& segment) const {
    if (segment.size == 0) return false;
    if (segment.size + batch.size_bytes() > config_.segment_bytes) return true;
    if (batch.last_offset() - segment.base > relative_offset_max) return true;
    if ((segment.entries + 1) * index_entry_bytes > config_.index_bytes_max) return true;
    return segment.timestamp_first.value >= 0 &&
           batch.max_timestamp() - segment.timestamp_first > config_.segment_ms;
}

bool PartitionLog::append_all(const Turn& turn, env::Disk& disk,
                              const std::vector<Incoming>& batches, bool as_leader) {
    // `planned` says when a run must end although nothing of it is written yet.
    Planned planned = plan();
    std::size_t from = 0;
    for (std::size_t i = 0; i < batches.size(); ++i) {
        const record::BatchView batch(batches[i].head);
        const bool early =
            planned.size > 0 && turn.maybe(Site::segment_rolled_early,
                                           static_cast<std::uint64_t>(partition_.partition.value),
                                           static_cast<std::uint64_t>(batch.base_offset().value));
        if (must_roll(batch, planned) || early) {
            if (!write_run(turn, disk, batches, from, i, as_leader)) return false;
            const Status rolled = roll(disk);
            if (!rolled.ok()) {
                disk_failed(turn, rolled.error(), path_, active().size);
                return false;
            }
            from = i;
            planned = plan();
        }
        if (planned.size == 0) planned.timestamp_first = batch.max_timestamp();
        planned.size += batch.size_bytes();
        // At most one entry a batch: an index may be sealed a little before it is full.
        ++planned.entries;
    }
    return write_run(turn, disk, batches, from, batches.size(), as_leader);
}

bool PartitionLog::write_run(const Turn& turn, env::Disk& disk,
                             const std::vector<Incoming>& batches, std::size_t from, std::size_t to,
                             bool as_leader) {
    if (from == to) return true;
    std::vector<ByteView> parts;
    for (std::size_t i = from; i < to; ++i) {
        parts.push_back(batches[i].head);
        if (!batches[i].rest.empty()) parts.push_back(batches[i].rest);
    }
    const std::string file = join_path(path_, segment_file(active().base, ".log"));
    const Status written = disk.write(active().log, active().size, parts);
    if (!written.ok()) {
        state_doubtful(turn, batches, from, to, as_leader);
        disk_failed(turn, written.error(), file, active().size);
        return false;
    }
    active().log_dirty = true;
    for (std::size_t i = from; i < to; ++i) note_appended(turn, batches[i], as_leader);
    const Status indexed = write_index_entries(disk, active());
    if (!indexed.ok()) {
        disk_failed(turn, indexed.error(), file, active().size);
        return false;
    }
    return true;
}

/// A failed write may have written a prefix. The batches are stated as appended and taken back:
/// they do not count, and recovery may find some of them.
void PartitionLog::state_doubtful(const Turn& turn, const std::vector<Incoming>& batches,
                                  std::size_t from, std::size_t to, bool as_leader) const {
    if (!turn.facts_wanted()) return;
    std::uint64_t position = segments_.back().size;
    for (std::size_t i = from; i < to; ++i) {
        const record::BatchView batch(batches[i].head);
        turn.state(facts::BatchAppended{partition_, batch.leader_epoch(), batch.base_offset(),
                                        batch.last_offset(), batch.crc(), batch.producer_id(),
                                        batch.producer_epoch(), batch.base_sequence(), as_leader,
                                        segments_.back().base, position, batches[i].size()});
        position += batches[i].size();
    }
    turn.state(facts::LogTruncated{partition_, log_end_, facts::TruncateReason::failed_write});
}

void PartitionLog::note_appended(const Turn& turn, const Incoming& incoming, bool as_leader) {
    const record::BatchView batch(incoming.head);
    Segment& segment = active();
    KLAMM_ASSERT(batch.base_offset() >= log_end_);
    if (!config_.gaps) KLAMM_ASSERT(batch.base_offset() == log_end_);
    const std::uint64_t position = segment.size;
    segment.note_batch(batch, config_.index_interval_bytes);
    const LeaderEpoch epoch = batch.leader_epoch();
    if (epoch.value >= 0 && epoch > epochs_.latest_epoch()) {
        epochs_.assign(epoch, batch.base_offset());
        epochs_dirty_ = true;
    }
    segment.note_aborted(
        producers_.append(batch, incoming.rest.empty() ? batch.records() : incoming.rest.view()));
    tail_.append(batch.base_offset(), batch.last_offset(), incoming.head, incoming.rest,
                 config_.tail_cache_bytes);
    log_end_ = batch.next_offset();
    turn.state(facts::BatchAppended{partition_, epoch, batch.base_offset(), batch.last_offset(),
                                    batch.crc(), batch.producer_id(), batch.producer_epoch(),
                                    batch.base_sequence(), as_leader, segment.base, position,
                                    incoming.size()});
}

Status PartitionLog::write_index_entries(env::Disk& disk, Segment& segment) {
    if (segment.entries_written < segment.entries.size()) {
        KLAMM_TRY(disk.write(segment.index, segment.entries_written * index_entry_bytes,
                             segment.encode_index(segment.entries_written)));
        segment.entries_written = segment.entries.size();
    }
    if (segment.time_entries_written < segment.time_entries.size()) {
        KLAMM_TRY(disk.write(segment.time_index,
                             segment.time_entries_written * time_index_entry_bytes,
                             segment.encode_time_index(segment.time_entries_written)));
        segment.time_entries_written = segment.time_entries.size();
    }
    if (segment.aborted_written < segment.aborted.size()) {
        if (segment.txn_index == env::FileId::none) {
            KLAMM_TRY(open_txn_index(disk, path_, segment));
            KLAMM_TRY(disk.truncate(segment.txn_index, 0));
            names_dirty_ = true;
        }
        KLAMM_TRY(disk.write(segment.txn_index, segment.aborted_written * log::aborted_entry_bytes,
                             segment.aborted.encode(segment.aborted_written)));
        segment.aborted_written = segment.aborted.size();
    }
    return {};
}

/// Seals the active segment and goes on in a new one. The producers' snapshot at its base bounds
/// what a later recovery reads.
Status PartitionLog::roll(env::Disk& disk) {
    KLAMM_ASSERT(active().size > 0);
    KLAMM_ASSERT(producers_.end() == log_end_);
    active().note_sealed();
    KLAMM_TRY(write_index_entries(disk, active()));
    const auto snapshot = write_snapshot(disk, path_, producers_);
    if (!snapshot.ok()) return snapshot.error();
    disk.close(*snapshot);
    snapshots_.insert(log_end_);
    auto segment = open_segment(disk, path_, log_end_, true);
    if (!segment.ok()) return segment.error();
    segments_.push_back(std::move(*segment));
    names_dirty_ = true;
    return {};
}

void PartitionLog::assign_epoch(LeaderEpoch epoch) {
    if (phase_ != LogPhase::open) return;
    if (epoch > epochs_.latest_epoch() && epochs_.assign(epoch, log_end_)) epochs_dirty_ = true;
}

}  // namespace klamm::storage
