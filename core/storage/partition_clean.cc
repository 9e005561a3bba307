// Cleaning a log in place: when, and how a cleaned segment takes the place of its group.
//
// The swap, for the group [X, end): X's three `.cleaned` files are synced; they are renamed to
// `.swap`, the log last, and the directory is synced: from here on an opening finishes the swap,
// whatever else is lost. The group's other segments get their `.deleted` names, and the directory
// is synced. Then `.swap` loses its suffix, over X's old files, and the directory is synced once
// more. A cleaned segment ends where its group ended (its last batch stays, empty if need be), so
// an opening knows from the swap file alone which segments it covers, and segments always adjoin.

#include <algorithm>

#include "core/storage/partition_log.h"

namespace klamm::storage {

namespace {
constexpr const char* segment_suffixes[] = {txn_index_suffix, ".index", ".timeindex", ".log"};

bool lacks(const Segment& segment, const char* suffix) {
    return suffix == txn_index_suffix && segment.txn_index == env::FileId::none;
}
}  // namespace

std::optional<log::CleanRange> PartitionLog::dirty(const Turn& turn, Offset high_watermark) const {
    if (phase_ != LogPhase::open || !config_.compacts || cleaning_ || segments_.size() < 2)
        return std::nullopt;
    std::vector<log::SegmentFacts> facts;
    for (const Segment& segment : segments_) facts.push_back(segment_facts(segment));
    const Offset stable = producers_.stable_end(high_watermark);
    return log::clean_range(facts, log_start_, cleaned_to_, stable, turn.wall,
                            {config_.min_compaction_lag_ms, config_.max_compaction_lag_ms,
                             config_.dirty_millionths_min});
}

bool PartitionLog::clean(env::Env& env, Offset high_watermark) {
    const auto range = dirty(env.turn(), high_watermark);
    if (!range || front_naming_ || segments_[1].base <= log_start_) return false;
    if (!range->due({config_.min_compaction_lag_ms, config_.max_compaction_lag_ms,
                     config_.dirty_millionths_min})) {
        return false;
    }
    // What takes a synced segment's place is synced; so must be what it is made from, or a power
    // loss could take the newer value and the cleaning the older.
    Cleaning::Input input{{}, *range, producers_.entries(), env.turn().wall};
    if (range->end > flushed_end_) {
        flush(env);
        return false;
    }
    for (const Segment& segment : segments_)
        if (&segment != &segments_.back() && segment.end <= flushed_end_)
            input.segments.push_back(segment);
    if (input.segments.empty()) return false;
    cleaning_ = std::make_unique<Cleaning>(std::move(input), path_, config_, tokens_);
    cleaning_->begin(env);
    advance_cleaning(env);
    return true;
}

void PartitionLog::advance_cleaning(env::Env& env) {
    if (!cleaning_ || swap_ != Swap::none) return;
    if (cleaning_->phase() == Cleaning::Phase::failed) {
        const auto failed = std::move(cleaning_);
        failed->discard(env.disk());
        go_offline(env.turn(), failed->failure);
    } else if (cleaning_->phase() == Cleaning::Phase::done) {
        cleaned_to_ = std::max(cleaned_to_, cleaning_->cleaned_end());
        cleaning_.reset();
        advance_front(env);
    } else if (cleaning_->phase() == Cleaning::Phase::ready) {
        const Offset base = cleaning_->group().base;
        Status status;
        for (const char* suffix : segment_suffixes) {
            if (lacks(cleaning_->cleaned, suffix)) continue;
            const std::string name = join_path(path_, segment_file(base, suffix));
            if (status.ok()) status = env.disk().rename(name + cleaned_suffix, name + swap_suffix);
        }
        swap_ = Swap::promised;
        sync_swap(env, status);
    }
}

void PartitionLog::sync_swap(env::Env& env, const Status& status) {
    if (status.ok())
        env.disk().sync_directory(path_, tokens_.issue(Work::swap_names));
    else
        disk_failed(env.turn(), status.error(), path_, 0);
}

void PartitionLog::advance_swap(env::Env& env, const Status& synced) {
    if (swap_ == Swap::none) return;
    if (!synced.ok()) {
        disk_failed(env.turn(), synced.error(), path_, 0);
        return;
    }
    const log::SegmentGroup group = cleaning_->group();
    Status status;
    if (swap_ == Swap::promised) {
        swap_ = Swap::covered;
        for (const Segment& segment : segments_)
            if (segment.base > group.base && segment.base < group.end && status.ok())
                status = rename_deleted(env.disk(), path_, segment);
        sync_swap(env, status);
    } else if (swap_ == Swap::covered) {
        swap_ = Swap::placed;
        for (const char* suffix : segment_suffixes) {
            if (lacks(cleaning_->cleaned, suffix)) continue;
            const std::string name = join_path(path_, segment_file(group.base, suffix));
            if (status.ok()) status = env.disk().rename(name + swap_suffix, name);
        }
        if (status.ok()) swap_in(env.turn(), group);
        sync_swap(env, status);
    } else {
        swap_ = Swap::none;
        if (phase_ == LogPhase::closing) {
            cleaning_.reset();
            return;
        }
        cleaning_->swapped(env);
        if (phase_ == LogPhase::truncating) {
            give_up_cleaning(env.disk());
            if (may_cut()) begin_cut(env);
        } else {
            advance_cleaning(env);
        }
    }
}

/// The names are in place; from now on the log reads the cleaned segment. The old files stay open
/// while something may still be sent from them.
void PartitionLog::swap_in(const Turn& turn, const log::SegmentGroup& group) {
    const auto first = std::find_if(segments_.begin(), segments_.end(),
                                    [&](const Segment& one) { return one.base == group.base; });
    auto last = first;
    while (last != segments_.end() && last->base < group.end) ++last;
    KLAMM_ASSERT(last != segments_.end());
    KLAMM_ASSERT(last->base == group.end);
    KLAMM_ASSERT(cleaning_->cleaned.end == group.end);
    const Instant due = turn.now + milliseconds(config_.file_delete_delay_ms);
    for (auto old = first; old != last; ++old) deleted_.push_back({std::move(*old), due});
    *first = std::move(cleaning_->cleaned);
    segments_.erase(first + 1, last);
    // It may hold what was cleaned away; what is read is to be what is kept.
    tail_.clear();
}

void PartitionLog::give_up_cleaning(env::Disk& disk) {
    if (!cleaning_ || swap_ != Swap::none) return;
    cleaning_->discard(disk);
    cleaning_.reset();
}

}  // namespace klamm::storage
