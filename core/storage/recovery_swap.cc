// Finishing a cleaning's swap that a crash has interrupted (partition_clean.cc tells its steps). A
// `.log.swap` is whole and synced: it takes the place of every segment that begins inside it. Those
// are removed durably before it gets its name, for without that name nothing would say what it
// covers. Index files that are left under a `.swap` name without a log belong either to a swap that
// was not promised yet, or to one whose log has its name already: the segment's indexes are then
// made anew.

#include <algorithm>

#include "core/storage/recovery.h"

namespace klamm::storage {

Status Recovery::remove_segment_files(env::Env& env, std::size_t segment) {
    const Offset base = segments[segment].base;
    if (found_[segment].index) KLAMM_TRY(remove(env, segment_file(base, ".index")));
    if (found_[segment].time_index) KLAMM_TRY(remove(env, segment_file(base, ".timeindex")));
    if (found_[segment].txn_index) KLAMM_TRY(remove(env, segment_file(base, txn_index_suffix)));
    return remove(env, segment_file(base, ".log"));
}

/// The segment's indexes are made anew.
Status Recovery::forget_indexes(env::Env& env, std::size_t segment) {
    Found& found = found_[segment];
    const Offset base = segments[segment].base;
    if (found.index) KLAMM_TRY(remove(env, segment_file(base, ".index")));
    if (found.time_index) KLAMM_TRY(remove(env, segment_file(base, ".timeindex")));
    if (found.txn_index) KLAMM_TRY(remove(env, segment_file(base, txn_index_suffix)));
    found.index.reset();
    found.time_index.reset();
    found.txn_index.reset();
    return {};
}

/// Begins with the first swap that is left; goes on to loading when there is none.
Status Recovery::next_swap(env::Env& env) {
    while (!swaps_.empty() && swaps_.begin()->second.log.value_or(0) == 0)
        KLAMM_TRY(abandon_swap(env));
    if (swaps_.empty()) return open_found(env);
    phase_ = Phase::swapping;
    const auto& [base, found] = *swaps_.begin();
    const auto file = env.disk().open(join_path(path_, segment_file(base, ".log") + swap_suffix),
                                      env::OpenMode::read);
    if (!file.ok()) return file.error();
    swap_file_ = *file;
    swap_end_ = base;
    scanner_.begin(swap_file_, 0, *found.log, config_.scan_bytes);
    scan_swap(env);
    return {};
}

void Recovery::scan_swap(env::Env& env) {
    while (true) {
        ByteView bytes;
        const Scanner::Step step = scanner_.next(bytes);
        if (step == Scanner::Step::more) {
            scanner_.ask(env.disk(), tokens_.issue(Work::recovery));
            return;
        }
        bool sound = step != Scanner::Step::bad;
        if (step == Scanner::Step::batch) {
            const record::BatchView batch(bytes);
            sound = batch.base_offset() >= swap_end_ && batch.last_offset_delta() >= 0 &&
                    batch.crc_holds();
            if (sound) swap_end_ = batch.next_offset();
        }
        if (sound && step == Scanner::Step::batch) continue;
        env.disk().close(swap_file_);
        if (sound) {
            check(cover(env), path_);
        } else if (check(abandon_swap(env), path_)) {
            // Damaged. What it was made from may be there still; if not, the hole will show.
            check(next_swap(env), path_);
        }
        return;
    }
}

/// Removes the segments that begin inside the swap file, but the one whose name it takes.
Status Recovery::cover(env::Env& env) {
    const Offset base = swaps_.begin()->first;
    for (std::size_t i = segments.size(); i-- > 0;) {
        if (segments[i].base <= base || segments[i].base >= swap_end_) continue;
        KLAMM_TRY(remove_segment_files(env, i));
        segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(i));
        found_.erase(found_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    env.disk().sync_directory(path_, tokens_.issue(Work::recovery));
    return {};
}

Status Recovery::place(env::Env& env) {
    const auto [base, swap] = *swaps_.begin();
    std::size_t at = 0;
    while (at < segments.size() && segments[at].base < base) ++at;
    if (at == segments.size() || segments[at].base != base) {
        Segment segment;
        segment.base = base;
        segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(at), std::move(segment));
        found_.insert(found_.begin() + static_cast<std::ptrdiff_t>(at), Found{});
    }
    Found& found = found_[at];
    const auto rename = [&](const char* suffix, std::optional<std::uint64_t> size,
                            std::optional<std::uint64_t>& now) -> Status {
        const std::string name = segment_file(base, suffix);
        if (!size && now) KLAMM_TRY(remove(env, name));
        now = size;
        if (!size) return {};
        return env.disk().rename(join_path(path_, name + swap_suffix), join_path(path_, name));
    };
    rewritten_ = true;
    KLAMM_TRY(rename(".index", swap.index, found.index));
    KLAMM_TRY(rename(".timeindex", swap.time_index, found.time_index));
    KLAMM_TRY(rename(".log", swap.log, found.log));
    segments[at].size = *swap.log;
    if (swap.txn_index || found.txn_index) {
        // Which of the names came through cannot be told.
        if (swap.txn_index)
            KLAMM_TRY(remove(env, segment_file(base, txn_index_suffix) + swap_suffix));
        KLAMM_TRY(forget_indexes(env, at));
    }
    swaps_.erase(swaps_.begin());
    return next_swap(env);
}

/// Removes what is left of the first swap; the indexes of the segment that has its name are not to
/// be trusted.
Status Recovery::abandon_swap(env::Env& env) {
    const auto [base, swap] = *swaps_.begin();
    swaps_.erase(swaps_.begin());
    if (swap.log) KLAMM_TRY(remove(env, segment_file(base, ".log") + swap_suffix));
    if (swap.index) KLAMM_TRY(remove(env, segment_file(base, ".index") + swap_suffix));
    if (swap.time_index) KLAMM_TRY(remove(env, segment_file(base, ".timeindex") + swap_suffix));
    if (swap.txn_index) KLAMM_TRY(remove(env, segment_file(base, txn_index_suffix) + swap_suffix));
    for (std::size_t i = 0; i < segments.size(); ++i)
        if (segments[i].base == base) KLAMM_TRY(forget_indexes(env, i));
    return {};
}

}  // namespace klamm::storage
