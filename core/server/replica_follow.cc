// Following a leader: what a fetch asks, what its answer does to the log, and cutting the log when
// histories diverge.
#include "core/server/replica_host.h"

namespace klamm::server {

BrokerId ReplicaHost::fetches_from() const {
    const auto* state = follower();
    return state == nullptr || !ready() ? no_broker : state->leader();
}

std::optional<replica::FetchPosition> ReplicaHost::next_fetch() const {
    const auto* state = follower();
    if (state == nullptr || !ready()) return std::nullopt;
    return state->next_fetch(context_.turn(), ends(), log_->epoch_cache().latest_epoch(),
                             settings().flush_each);
}

ReplicaHost::Next ReplicaHost::on_fetched(const replica::FetchAnswer& answer,
                                          const Buffer& records) {
    auto* state = follower();
    if (state == nullptr || !ready()) return Next::fetch;
    const LeaderEpoch asked = answer.diverging ? answer.diverging->epoch : no_leader_epoch;
    const log::EpochEnd local = log_->epoch_cache().end_offset_for(asked, log_->log_end());
    const replica::FollowerAction action =
        state->on_fetch_answer(context_.turn(), answer, ends(), local);
    switch (action.step) {
        case replica::FollowerStep::append: break;
        case replica::FollowerStep::truncate: cut(action.offset, false); return Next::fetch;
        case replica::FollowerStep::restart_at: cut(action.offset, true); return Next::fetch;
        case replica::FollowerStep::ask_ends: return Next::ask_ends;
        case replica::FollowerStep::retry: return Next::back_off;
        case replica::FollowerStep::await_metadata: return Next::back_off;
        case replica::FollowerStep::ignore: return Next::fetch;
    }
    if (!records.empty()) {
        const storage::Appended appended = log_->append_as_follower(
            context_.turn(), context_.env().disk(), records, state->epoch());
        const bool corrupt = appended.outcome == storage::AppendOutcome::corrupt ||
                             appended.outcome == storage::AppendOutcome::misplaced;
        if (corrupt || appended.later_epoch)
            context_.turn().state(facts::CorruptReceived{
                partition_, corrupt ? appended.base : log_->log_end(), state->leader()});
        if (appended.outcome != storage::AppendOutcome::appended) return Next::back_off;
        log_->maybe_flush(context_.env());
    }
    const Offset before = state->high_watermark();
    const std::optional<Offset> start = state->on_appended(answer, ends());
    if (start) log_->raise_log_start(context_.env(), *start, facts::LogStartReason::leader_start);
    if (state->high_watermark() != before) {
        directory_.note_high_watermark(name_, state->high_watermark());
        log_->note_high_watermark(state->high_watermark());
    }
    return Next::fetch;
}

void ReplicaHost::on_leader_ends(Offset start, Offset end) {
    auto* state = follower();
    if (state == nullptr || !ready()) return;
    const replica::FollowerAction action = state->on_leader_ends(start, end, ends());
    if (action.step == replica::FollowerStep::truncate) cut(action.offset, false);
    if (action.step == replica::FollowerStep::restart_at) cut(action.offset, true);
}

void ReplicaHost::cut(Offset end, bool fully) {
    KLAMM_ASSERT(!cut_);
    // A cut at the log's end removes nothing but the epochs that begin there, which must go too.
    cut_ = Cut{.end = end, .fully = fully};
    const std::vector<storage::PinId> pinned = log_->pinned_above(fully ? log_->log_start() : end);
    if (pinned.empty() || context_.turn().planted(Bug::truncate_under_file_range))
        return begin_cut();
    // A queued file range would send what is written there next. Its connection is closed in this
    // turn, the cut begins in a later one, when that has been carried out.
    for (const storage::PinId pin : pinned)
        if (const net::Pin name = pins_.name_of(partition_, pin); name != 0)
            pins_.close_before_cut(name);
    context_.post_later(CutNow{partition_});
}

void ReplicaHost::on(const CutNow&) {
    if (cut_ && !cut_->begun && log_->phase() == storage::LogPhase::open) begin_cut();
}

void ReplicaHost::begin_cut() {
    cut_->begun = true;
    if (cut_->fully)
        log_->truncate_fully_and_start_at(context_.env(), cut_->end);
    else
        log_->truncate_to(context_.env(), cut_->end);
    if (log_->phase() == storage::LogPhase::open) finish_cut();
}

void ReplicaHost::finish_cut() {
    const Cut done = *std::exchange(cut_, std::nullopt);
    if (auto* state = follower()) {
        if (done.fully)
            state->on_restarted(done.end);
        else
            state->on_truncated(log_->log_end());
    }
    follow_image();
}

}  // namespace klamm::server
