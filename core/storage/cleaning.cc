// See cleaning.h.

#include "core/storage/cleaning.h"

#include <algorithm>

namespace klamm::storage {

log::SegmentFacts segment_facts(const Segment& segment) {
    Timestamp first = segment.timestamp_first;
    // Opening does not read a sealed segment; its first index entry is of its first few kilobytes.
    if (first == no_timestamp && !segment.time_entries.empty())
        first = segment.time_entries.front().timestamp;
    return {segment.base,           segment.end, segment.size,
            segment.entries.size(), first,       segment.timestamp_max};
}

Cleaning::Cleaning(Input input, std::string path, const LogConfig& config, TokenBook& tokens)
    : input_(std::move(input)),
      path_(std::move(path)),
      config_(config),
      tokens_(tokens),
      keys_(config.dedupe_bytes_max),
      cleaned_end_(range_end()) {}

std::vector<log::SegmentFacts> Cleaning::facts() const {
    std::vector<log::SegmentFacts> all;
    for (const Segment& segment : input_.segments) all.push_back(segment_facts(segment));
    return all;
}

void Cleaning::fail(const Error& error, bool disk_failed) {
    phase_ = Phase::failed;
    const Segment& segment = input_.segments[std::min(reading_, input_.segments.size() - 1)];
    failure = {error, join_path(path_, segment_file(segment.base, ".log")), scanner_.position(),
               expected_, disk_failed};
}

/// A batch that is not what was appended must not be written anew under a fresh checksum.
bool Cleaning::sound(const record::BatchView& batch) {
    if (batch.base_offset() < expected_ || batch.last_offset_delta() < 0 ||
        batch.last_offset() >= input_.segments[reading_].end || !batch.crc_holds()) {
        fail({Failure::corrupt, "the cleaner finds no sound batch where one was appended"}, false);
        return false;
    }
    expected_ = batch.next_offset();
    return true;
}

// --- mapping

void Cleaning::begin(env::Env& env) {
    const auto holds = std::find_if(
        input_.segments.begin(), input_.segments.end(),
        [&](const Segment& segment) { return segment.end > input_.range.first_dirty; });
    map_from(env, static_cast<std::size_t>(holds - input_.segments.begin()));
}

void Cleaning::map_from(env::Env& env, std::size_t segment) {
    reading_ = segment;
    if (reading_ == input_.segments.size() || input_.segments[reading_].base >= input_.range.end) {
        finish_mapping(env);
        return;
    }
    expected_ = input_.segments[reading_].base;
    scanner_.begin(input_.segments[reading_].log, 0, input_.segments[reading_].size,
                   config_.scan_bytes);
    map(env);
}

void Cleaning::map(env::Env& env) {
    while (true) {
        ByteView bytes;
        switch (scanner_.next(bytes)) {
            case Scanner::Step::more:
                scanner_.ask(env.disk(), tokens_.issue(Work::cleaning));
                return;
            case Scanner::Step::bad:
                fail({Failure::corrupt, "no whole batch stands where one was appended"}, false);
                return;
            case Scanner::Step::end: map_from(env, reading_ + 1); return;
            case Scanner::Step::batch: break;
        }
        const record::BatchView batch(bytes);
        if (!sound(batch)) return;
        if (batch.next_offset() > input_.range.end) {
            cleaned_end_ = std::min(cleaned_end_, batch.base_offset());
            finish_mapping(env);
            return;
        }
        // Transactions are followed to the end of the range even when no more keys fit: a key that
        // is in the map already may turn out to be of an aborted one.
        walked_.walk(batch);
        if (!full_ && !note_keys(batch, input_.range.first_dirty, transactions_, keys_)) {
            full_ = true;
            cleaned_end_ = batch.base_offset();
        }
    }
}

void Cleaning::finish_mapping(env::Env& env) {
    if (!(walked_ == transactions_)) {
        // Markers stand behind their data: now that they are known, once more.
        transactions_ = std::exchange(walked_, {});
        keys_.clear();
        full_ = false;
        cleaned_end_ = range_end();
        begin(env);
        return;
    }
    if (cleaned_end_ <= input_.range.first_dirty) {
        // Not even one batch's keys fit: nothing can be done for this log.
        phase_ = Phase::done;
        return;
    }
    const std::vector<log::SegmentFacts> segments = facts();
    groups_ = log::group_segments(segments, cleaned_end_, config_.segment_bytes,
                                  config_.index_bytes_max / index_entry_bytes);
    cleaner_ = std::make_unique<log::BatchCleaner>(
        log::BatchCleaner::Surroundings{keys_, transactions_, input_.producers, cleaned_end_,
                                        input_.wall, config_.delete_retention_ms});
    next_group(env);
}

// --- copying

void Cleaning::next_group(env::Env& env) {
    if (at_ == groups_.size()) {
        phase_ = Phase::done;
        return;
    }
    phase_ = Phase::copying;
    changed_ = groups_[at_].count > 1;
    cleaned = {};
    written_ = 0;
    cleaned.base = cleaned.end = groups_[at_].base;
    const struct {
        const char* suffix;
        env::FileId* file;
    } files[] = {
        {".log", &cleaned.log}, {".index", &cleaned.index}, {".timeindex", &cleaned.time_index}};
    for (const auto& [suffix, file] : files) {
        const auto opened = write_in_place(
            env.disk(), join_path(path_, segment_file(cleaned.base, suffix) + cleaned_suffix), {});
        if (!opened.ok()) {
            fail(opened.error(), true);
            return;
        }
        *file = *opened;
    }
    copy_from(env, groups_[at_].first);
}

void Cleaning::copy_from(env::Env& env, std::size_t segment) {
    reading_ = segment;
    if (reading_ == groups_[at_].first + groups_[at_].count) {
        finish_group(env);
        return;
    }
    expected_ = input_.segments[reading_].base;
    scanner_.begin(input_.segments[reading_].log, 0, input_.segments[reading_].size,
                   config_.scan_bytes);
    copy(env);
}

void Cleaning::copy(env::Env& env) {
    while (true) {
        ByteView bytes;
        switch (scanner_.next(bytes)) {
            case Scanner::Step::more:
                if (const Status written = write_out(env); !written.ok())
                    fail(written.error(), true);
                else
                    scanner_.ask(env.disk(), tokens_.issue(Work::cleaning));
                return;
            case Scanner::Step::bad:
                fail({Failure::corrupt, "no whole batch stands where one was appended"}, false);
                return;
            case Scanner::Step::end: copy_from(env, reading_ + 1); return;
            case Scanner::Step::batch: break;
        }
        const record::BatchView batch(bytes);
        if (!sound(batch)) return;
        const bool last = batch.next_offset() == groups_[at_].end;
        const log::BatchCleaner::Cleaned one = cleaner_->clean(batch, last);
        changed_ |= one.fate != log::BatchCleaner::Fate::keep;
        if (one.fate == log::BatchCleaner::Fate::drop) continue;
        const ByteView kept =
            one.fate == log::BatchCleaner::Fate::keep ? batch.bytes() : ByteView(one.bytes);
        cleaned.note_batch(record::BatchView(kept), config_.index_interval_bytes);
        if (batch.is_control()) keep_aborted(record::BatchView(kept));
        out_.insert(out_.end(), kept.begin(), kept.end());
    }
}

/// An aborted transaction is told of as long as its marker is there: a reader that is told of one
/// leaves out what its producer wrote until the marker comes.
void Cleaning::keep_aborted(const record::BatchView& marker) {
    if (marker.record_count() == 0) return;
    const auto& known = input_.segments[reading_].aborted.entries();
    const auto entry = std::lower_bound(
        known.begin(), known.end(), marker.base_offset(),
        [](const log::AbortedTransaction& one, Offset offset) { return one.last < offset; });
    if (entry != known.end() && entry->last == marker.base_offset()) cleaned.note_aborted(*entry);
}

/// Where one of the group has such a file, the cleaned one takes its name too.
Status Cleaning::write_txn_index(env::Disk& disk) {
    const log::SegmentGroup& group = groups_[at_];
    bool any = false;
    for (std::size_t i = group.first; i < group.first + group.count; ++i)
        any |= input_.segments[i].txn_index != env::FileId::none;
    if (!any) return {};
    const auto file = write_in_place(
        disk, join_path(path_, segment_file(cleaned.base, txn_index_suffix) + cleaned_suffix),
        cleaned.aborted.encode(0));
    if (!file.ok()) return file.error();
    cleaned.txn_index = *file;
    return {};
}

Status Cleaning::write_out(env::Env& env) {
    if (out_.empty()) return {};
    KLAMM_TRY(env.disk().write(cleaned.log, written_, out_));
    written_ += out_.size();
    out_.clear();
    return {};
}

/// The group's batches are written: now its indexes, and all of it is synced.
void Cleaning::finish_group(env::Env& env) {
    Status status = write_out(env);
    KLAMM_ASSERT(!status.ok() || written_ == cleaned.size);
    if (status.ok() && !changed_) {
        discard(env.disk());
        ++at_;
        next_group(env);
        return;
    }
    cleaned.note_sealed();
    if (status.ok()) status = write_txn_index(env.disk());
    if (status.ok()) status = rewrite_indexes(env.disk(), path_, cleaned);
    if (!status.ok()) {
        fail(status.error(), true);
        return;
    }
    cleaned.index_dirty = false;
    phase_ = Phase::syncing;
    outstanding_ = 0;
    for (const env::FileId file :
         {cleaned.log, cleaned.index, cleaned.time_index, cleaned.txn_index}) {
        if (file == env::FileId::none) continue;
        env.disk().sync(file, tokens_.issue(Work::cleaning));
        ++outstanding_;
    }
}

void Cleaning::take(env::Env& env, const env::ReadDone& done) {
    if (const Status taken = scanner_.take(done); !taken.ok()) {
        fail(taken.error(), true);
    } else if (phase_ == Phase::mapping) {
        map(env);
    } else if (phase_ == Phase::copying) {
        copy(env);
    }
}

void Cleaning::take(env::Env&, const env::Synced& done) {
    if (phase_ != Phase::syncing) return;
    if (!done.status.ok())
        fail(done.status.error(), true);
    else if (--outstanding_ == 0)
        phase_ = Phase::ready;
}

void Cleaning::swapped(env::Env& env) {
    KLAMM_ASSERT(phase_ == Phase::ready);
    cleaned = {};
    ++at_;
    next_group(env);
}

void Cleaning::discard(env::Disk& disk) {
    if (cleaned.log == env::FileId::none) return;
    const bool has_txn_index = cleaned.txn_index != env::FileId::none;
    close_segment(disk, cleaned);
    // What cannot be removed now is removed when the log is opened.
    for (const char* suffix : {".log", ".index", ".timeindex", txn_index_suffix})
        if (suffix != txn_index_suffix || has_txn_index)
            static_cast<void>(
                disk.remove(join_path(path_, segment_file(cleaned.base, suffix) + cleaned_suffix)));
}

}  // namespace klamm::storage
