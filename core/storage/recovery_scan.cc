// Scanning; recovery_settle.cc goes on from there. A batch is accepted when it stands exactly where
// the one before it ended, its checksum holds, and its epoch neither falls nor is one that the
// partition has not had yet: the epoch lies outside the checksum (Kafka's format), and a torn page
// may hit it alone. The first batch that is not accepted ends the log if it lies at or above the
// recovery point, and is damage below it.

#include <algorithm>

#include "core/storage/recovery.h"

namespace klamm::storage {

/// The producers are known up to producers.end(); the scan must cover everything from there.
void Recovery::start_scan(env::Env& env) {
    phase_ = Phase::scanning;
    const Segment& last = segments.back();
    if (tail_only_) {
        const Offset tail = last.entries.empty() ? last.base : last.entries.back().last + 1;
        if (producers.end() < tail) tail_only_ = false;
    }
    if (!tail_only_) scan_from_ = std::min(scan_from_, segment_of(producers.end()));
    // Epochs of what is scanned are taken from the batches themselves.
    if (!tail_only_) epochs.truncate_from_end(segments[scan_from_].base);
    scanning_ = scan_from_;
    start_segment(env);
}

void Recovery::start_segment(env::Env& env) {
    Segment& segment = segments[scanning_];
    const std::uint64_t size = segment.size;
    std::uint64_t from = 0;
    tail_first_ = tail_only_ && !segment.entries.empty();
    if (tail_first_) {
        // Where that batch begins is only known when it is seen; note_batch needs no more than
        // that `end` is not above it.
        from = segment.entries.back().position;
        segment.size = from;
        segment.end = segment.base;
        segment.bytes_since_entry = 0;
    } else {
        const std::vector<TimeIndexEntry> kept =
            tail_only_ ? segment.time_entries : std::vector<TimeIndexEntry>{};
        const log::AbortedIndex aborted = tail_only_ ? segment.aborted : log::AbortedIndex{};
        segment.forget_all();
        segment.aborted = aborted;
        segment.aborted_written = aborted.size();
        segment.time_entries = kept;
        segment.time_entries_written = kept.size();
        if (!kept.empty()) {
            segment.timestamp_max = kept.back().timestamp;
            segment.timestamp_max_offset = kept.back().offset;
        }
    }
    scanner_.begin(segment.log, from, size, config_.scan_bytes);
    scan(env);
}

void Recovery::scan(env::Env& env) {
    while (phase_ == Phase::scanning) {
        ByteView batch;
        switch (scanner_.next(batch)) {
            case Scanner::Step::more:
                scanner_.ask(env.disk(), tokens_.issue(Work::recovery));
                return;
            case Scanner::Step::bad: bad(env, "no whole batch stands here"); return;
            case Scanner::Step::batch:
                if (!accept(env, batch)) return;
                break;
            case Scanner::Step::end:
                if (scanning_ + 1 == segments.size()) {
                    finish_scan(env);
                    return;
                }
                // Where offsets may be missing, they may be missing at a segment's end.
                if (config_.gaps && segments[scanning_].end < segments[scanning_ + 1].base)
                    segments[scanning_].end = segments[scanning_ + 1].base;
                if (segments[scanning_].end != segments[scanning_ + 1].base) {
                    bad(env, "the next segment does not begin where this one ends");
                    return;
                }
                segments[scanning_].note_sealed();
                ++scanning_;
                start_segment(env);
                return;
        }
    }
}

/// Takes the batch in; false when the scan has ended with it.
bool Recovery::accept(env::Env& env, ByteView bytes) {
    const record::BatchView batch(bytes);
    Segment& segment = segments[scanning_];
    const bool placed = tail_first_ ? batch.base_offset() >= segment.base &&
                                          batch.last_offset() == segment.entries.back().last
                        : config_.gaps ? batch.base_offset() >= segment.end
                                       : batch.base_offset() == segment.end;
    if (!placed || batch.last_offset_delta() < 0) {
        bad(env, "a batch does not follow the one before it");
        return false;
    }
    if (!batch.crc_holds() && !env.turn().planted(Bug::recovery_trusts_length)) {
        bad(env, "a batch's checksum does not hold");
        return false;
    }
    const LeaderEpoch epoch = batch.leader_epoch();
    if (!tail_only_ && epoch < epochs.latest_epoch()) {
        bad(env, "a batch's leader epoch is below the one before it");
        return false;
    }
    if (epoch > hints_.leader_epoch_max) {
        bad(env, "a batch's leader epoch is one that the partition has not had");
        return false;
    }
    if (batch.is_transactional() && batch.base_offset() < producers.end() && !tail_only_ &&
        producers.end() > segments[scan_from_].base) {
        look_further_back(env);
        return false;
    }
    tail_first_ = false;
    segment.note_batch(batch, config_.index_interval_bytes);
    if (epoch.value >= 0 && epoch > epochs.latest_epoch()) {
        epochs.assign(epoch, batch.base_offset());
    }
    if (batch.base_offset() >= producers.end()) segment.note_aborted(producers.append(batch));
    return true;
}

/// The index of aborted transactions of a scanned segment is made anew, which wants the producers
/// as they were where the segment begins: a snapshot from within it, which a stop has left, is
/// passed over.
void Recovery::look_further_back(env::Env& env) {
    while (!candidates_.empty() && candidates_.back().at > segments[scan_from_].base)
        candidates_.pop_back();
    for (std::size_t i = scan_from_; i <= scanning_; ++i) segments[i].size = file_sizes_[i];
    next_snapshot(env);
}

void Recovery::bad(env::Env& env, const char* what) {
    const Segment& segment = segments[scanning_];
    const Offset offset = tail_first_ ? segment.entries.back().last : segment.end;
    const std::string file = join_path(path_, segment_file(segment.base, ".log"));
    if (offset < hints_.recovery_point || tail_first_) {
        fail({Failure::corrupt, what}, file, false, scanner_.position(), offset);
        return;
    }
    env.turn().state(facts::LogTruncated{partition_, offset, facts::TruncateReason::recovery});
    if (!check(cut_at(env, scanning_, scanner_.position()), file)) return;
    finish_scan(env);
}

Status Recovery::cut_at(env::Env& env, std::size_t segment, std::uint64_t position) {
    cut = true;
    tail_only_ = false;
    rewritten_ = true;
    while (segments.size() > segment + 1) {
        KLAMM_TRY(remove_segment(env.disk(), path_, segments.back()));
        segments.pop_back();
    }
    KLAMM_ASSERT(segments.back().size == position);
    return env.disk().truncate(segments.back().log, position);
}

void Recovery::finish_scan(env::Env& env) {
    Segment& last = segments.back();
    end = last.end;
    if (end < hints_.recovery_point) {
        fail({Failure::corrupt, "the log ends below its recovery point"},
             join_path(path_, segment_file(last.base, ".log")), false, last.size, end);
        return;
    }
    // An epoch without a batch, or the tail of a file that outlived its log.
    if (epochs.truncate_from_end(end)) rewritten_ = true;
    // Snapshots above the recovery point may be of batches that a cut had removed.
    const Offset trusted = cut || !hints_.clean_stop ? hints_.recovery_point : end;
    for (auto at = snapshots.upper_bound(trusted); at != snapshots.end();) {
        if (!check(remove_if_there(env.disk(), join_path(path_, segment_file(*at, ".snapshot"))),
                   path_)) {
            return;
        }
        rewritten_ = true;
        at = snapshots.erase(at);
    }
    producers.set_end(end);
    if (tail_only_ && !rewritten_ && topic_found_) {
        phase_ = Phase::done;
        return;
    }
    phase_ = Phase::copying;
    copying_ = scan_from_;
    check(copy(env), path_);
}

}  // namespace klamm::storage
