// See rescan.h. Nothing is changed here, on the disk or in the log; a failure leaves the log as it
// was, and its owner takes it offline.

#include "core/storage/rescan.h"

#include <algorithm>

namespace klamm::storage {

namespace {

std::size_t segment_holding(const std::vector<Segment>& segments, Offset offset) {
    std::size_t i = segments.size() - 1;
    while (i > 0 && segments[i].base > offset) --i;
    return i;
}

}  // namespace

Rescan::Rescan(const std::vector<Segment>& segments, const std::set<Offset>& snapshots,
               Offset target, std::string path, const LogConfig& config, TokenBook& tokens)
    : last(segment_holding(segments, target)),
      segments_(segments),
      target_(target),
      path_(std::move(path)),
      config_(config),
      tokens_(tokens) {
    for (const Offset at : snapshots) {
        if (at <= segments[last].base) candidates_.insert(at);
    }
}

void Rescan::begin(env::Env& env) { next_snapshot(env); }

void Rescan::next_snapshot(env::Env& env) {
    if (candidates_.empty()) {
        producers.clear(segments_.front().base);
        start(env);
        return;
    }
    const auto opened = env.disk().open(
        join_path(path_, segment_file(*candidates_.rbegin(), ".snapshot")), env::OpenMode::read);
    const auto size = opened.ok() ? env.disk().length(*opened) : opened.error();
    if (!size.ok()) {
        failure_ = size.error();
        return;
    }
    if (*size == 0) {
        env.disk().close(*opened);
        candidates_.erase(*candidates_.rbegin());
        next_snapshot(env);
        return;
    }
    snapshot_file_ = *opened;
    env.disk().read(*opened, 0, MutableBuffer(static_cast<std::size_t>(*size)),
                    tokens_.issue(Work::rescan));
}

void Rescan::take(env::Env& env, const env::ReadDone& done) {
    if (snapshot_file_ == env::FileId::none) {
        const Status taken = scanner_.take(done);
        if (!taken.ok()) {
            failure_ = taken.error();
            return;
        }
        scan(env);
        return;
    }
    env.disk().close(snapshot_file_);
    snapshot_file_ = env::FileId::none;
    if (!done.count.ok()) {
        failure_ = done.count.error();
        return;
    }
    const Offset at = *candidates_.rbegin();
    auto table = log::ProducerStateTable::from_snapshot(done.out.freeze(*done.count), at);
    candidates_.erase(at);
    if (!table.ok()) {
        next_snapshot(env);
        return;
    }
    producers = std::move(*table);
    start(env);
}

void Rescan::start(env::Env& env) {
    at_ = segment_holding(segments_, producers.end());
    KLAMM_ASSERT(at_ <= last);
    start_segment(env);
}

void Rescan::start_segment(env::Env& env) {
    segment = segments_[at_];
    const std::uint64_t size = segment.size;
    segment.forget_all();
    scanner_.begin(segment.log, 0, size, config_.scan_bytes);
    scan(env);
}

void Rescan::scan(env::Env& env) {
    while (true) {
        ByteView bytes;
        switch (scanner_.next(bytes)) {
            case Scanner::Step::more: scanner_.ask(env.disk(), tokens_.issue(Work::rescan)); return;
            case Scanner::Step::bad:
                failure_ = Error{Failure::corrupt, "no whole batch stands where one was appended"};
                return;
            case Scanner::Step::end:
                if (at_ == last) {
                    finish();
                    return;
                }
                ++at_;
                start_segment(env);
                return;
            case Scanner::Step::batch: {
                const record::BatchView batch(bytes);
                const bool follows = config_.gaps ? batch.base_offset() >= segment.end
                                                  : batch.base_offset() == segment.end;
                if (!follows || batch.last_offset_delta() < 0) {
                    failure_ = Error{Failure::corrupt, "a batch does not follow the one before it"};
                    return;
                }
                if (batch.last_offset() >= target_) {
                    finish();
                    return;
                }
                segment.note_batch(batch, config_.index_interval_bytes);
                if (batch.base_offset() >= producers.end())
                    static_cast<void>(producers.append(batch));
                break;
            }
        }
    }
}

void Rescan::finish() {
    KLAMM_ASSERT(at_ == last);
    producers.set_end(segment.end);
    // What stays was aborted as before.
    segment.aborted = segments_[last].aborted;
    segment.aborted.truncate(segment.end);
    done_ = true;
}

}  // namespace klamm::storage
