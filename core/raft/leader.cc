#include "core/raft/leader.h"

#include <algorithm>

namespace klamm::raft {

LeaderState::LeaderState(const ReplicaKey& self, Offset epoch_start, const VoterSet& voters,
                         std::set<BrokerId> granting, Duration fetch_timeout, Instant now)
    : self_(self),
      epoch_start_(epoch_start),
      granting_(std::move(granting)),
      check_quorum_timeout_(fetch_timeout * 3 / 2),
      check_quorum_at_(now + check_quorum_timeout_),
      log_end_(epoch_start) {
    KLAMM_ASSERT(voters.contains(self));
    for (const Voter& voter : voters.voters())
        voters_[voter.key.id] = {.key = voter.key,
                                 .end = std::nullopt,
                                 .last_fetch = std::nullopt,
                                 .last_caught_up = std::nullopt,
                                 .leader_end_at_fetch = no_offset,
                                 .acknowledged = matches(voter.key, self)};
}

ReplicaProgress& LeaderState::progress_of(const ReplicaKey& replica) {
    const auto voter = voters_.find(replica.id);
    if (voter != voters_.end() && matches(voter->second.key, replica)) return voter->second;
    ReplicaProgress& observer = observers_[replica];
    observer.key = replica;
    return observer;
}

void LeaderState::take_voters(const VoterSet& voters) {
    std::map<BrokerId, ReplicaProgress> before = std::move(voters_);
    voters_.clear();
    for (const Voter& voter : voters.voters()) {
        ReplicaProgress progress;
        const auto same = before.find(voter.key.id);
        const auto observer = observers_.find(voter.key);
        if (same != before.end() && matches(same->second.key, voter.key)) {
            progress = same->second;
            before.erase(same);
        } else if (observer != observers_.end()) {
            progress = observer->second;
        }
        if (observer != observers_.end()) observers_.erase(observer);
        progress.key = voter.key;
        voters_[voter.key.id] = progress;
    }
    for (const auto& [id, progress] : before) observers_.try_emplace(progress.key, progress);
    std::erase_if(fetched_, [&](BrokerId id) { return !voters_.contains(id); });
}

bool LeaderState::update_local(const Turn& turn, Offset end, Offset flushed,
                               const VoterSet& voters) {
    KLAMM_ASSERT(end >= log_end_);
    KLAMM_ASSERT(flushed <= end);
    log_end_ = end;
    take_voters(voters);
    const Offset counted = turn.planted(Bug::raft_ack_unflushed) ? end : flushed;
    ReplicaProgress& own = progress_of(self_);
    own.end = std::max(own.end.value_or(Offset(0)), counted);
    return advance(turn);
}

bool LeaderState::record_fetch(const Turn& turn, const ReplicaKey& replica, Offset offset) {
    if (replica.id.value < 0 || replica.id == self_.id) return false;
    ReplicaProgress& progress = progress_of(replica);
    // Caught up is who holds all there was when it fetched before, as of then.
    if (offset >= log_end_)
        progress.last_caught_up = turn.now;
    else if (progress.leader_end_at_fetch.value > 0 && offset >= progress.leader_end_at_fetch)
        progress.last_caught_up = std::max(progress.last_caught_up, progress.last_fetch);
    progress.leader_end_at_fetch = log_end_;
    progress.last_fetch = turn.now;
    progress.end = offset;
    progress.acknowledged = true;
    note_following(replica, turn.now);
    return advance(turn);
}

void LeaderState::note_following(const ReplicaKey& replica, Instant now) {
    const auto voter = voters_.find(replica.id);
    if (voter == voters_.end() || !matches(voter->second.key, replica)) return;
    fetched_.insert(replica.id);
    std::size_t needed = voters_.size() / 2 + 1;
    if (voters_.contains(self_.id)) --needed;
    if (fetched_.size() < needed) return;
    fetched_.clear();
    check_quorum_at_ = now + check_quorum_timeout_;
}

void LeaderState::acknowledge(BrokerId voter) {
    if (const auto found = voters_.find(voter); found != voters_.end())
        found->second.acknowledged = true;
}

void LeaderState::forget_observers(Instant now) {
    std::erase_if(observers_, [&](const auto& row) {
        const ReplicaProgress& progress = row.second;
        return row.first != self_ && progress.last_fetch.has_value() &&
               now - *progress.last_fetch >= observer_session;
    });
}

Instant LeaderState::check_quorum_deadline() const {
    return voters_.size() == 1 ? instant_never : check_quorum_at_;
}

std::vector<const ReplicaProgress*> LeaderState::by_end() const {
    std::vector<const ReplicaProgress*> rows;
    for (const auto& [id, progress] : voters_) rows.push_back(&progress);
    // std::nullopt is less than any offset; equal ends stay in the order of ids.
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto* a, const auto* b) { return a->end > b->end; });
    return rows;
}

std::vector<ReplicaKey> LeaderState::successors() const {
    std::vector<ReplicaKey> keys;
    for (const ReplicaProgress* row : by_end())
        if (!matches(row->key, self_)) keys.push_back(row->key);
    return keys;
}

bool LeaderState::caught_up(const ReplicaKey& replica, Instant now) const {
    const auto found = observers_.find(replica);
    return found != observers_.end() && found->second.last_caught_up.has_value() &&
           now - *found->second.last_fetch < caught_up_within;
}

bool LeaderState::advance(const Turn& turn) {
    if (voters_.empty()) return false;
    const std::optional<Offset> held = by_end()[voters_.size() / 2]->end;
    if (!held.has_value()) return false;
    // A record of an older epoch on a majority may still be overridden (Raft figure 8); one of this
    // epoch may not, nor what is before it.
    if (*held <= epoch_start_ && !turn.planted(Bug::commit_old_term_by_count)) return false;
    // It computes lower after a change of voters, and stays.
    if (high_watermark_.has_value() && *held <= *high_watermark_) return false;
    high_watermark_ = *held;
    return true;
}

std::string LeaderState::print() const {
    const auto row = [](const ReplicaProgress& progress) {
        std::string text = " " + std::to_string(progress.key.id.value) + ":";
        text += progress.end.has_value() ? std::to_string(progress.end->value) : "?";
        return text + (progress.acknowledged ? "" : "-");
    };
    std::string text = "start=" + std::to_string(epoch_start_.value) + " hw=";
    text += high_watermark_.has_value() ? std::to_string(high_watermark_->value) : "?";
    for (const auto& [id, progress] : voters_) text += row(progress);
    if (!observers_.empty()) text += " observers";
    for (const auto& [key, progress] : observers_) text += row(progress);
    if (!fetched_.empty()) text += " fetched=" + std::to_string(fetched_.size());
    return text;
}

}  // namespace klamm::raft
