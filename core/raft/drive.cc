// What time brings: timeouts, and requests that may be sent now (Kafka's poll of each state). Each
// command ends here, so that whatever it has made possible is done in the same step.
#include <algorithm>

#include "core/raft/step.h"

namespace klamm::raft {

void Raft::drive(Step& step) {
    // Each transition leads to a state in which no timeout is due, the last of them a leader's.
    for (int transitions = 0; !log_pending_ && step.out.fault.empty(); ++transitions) {
        KLAMM_ASSERT(transitions < 8);
        bool again = false;
        if (is_leader())
            again = drive_leader(step);
        else if (std::holds_alternative<Follower>(role_))
            again = drive_follower(step);
        else if (std::holds_alternative<Unattached>(role_))
            again = drive_unattached(step);
        else if (std::holds_alternative<Resigned>(role_))
            again = drive_resigned(step);
        else
            again = drive_nominee(step);
        if (!again) return;
    }
}

bool Raft::send(Step& step, BrokerId to, Request body) {
    if (!connections_.ready(to, step.now())) return false;
    step.out.sends.push_back({to, connections_.sent(to, step.now()), std::move(body), 0});
    return true;
}

bool Raft::drive_leader(Step& step) {
    auto& leading = std::get<Leading>(role_);
    if (shutting_down_.has_value() || leading.resign ||
        step.now() >= leading.state.check_quorum_deadline()) {
        become_resigned(step);
        return true;
    }
    if (leading.change.has_value() && step.now() >= leading.change->deadline)
        end_change(step, ErrorCode::request_timed_out, "");
    if (step.now() >= leading.begin_epoch_at) {
        for (const Voter& voter : voters_.last().voters())
            if (voter.key.id != self_.id)
                send(step, voter.key.id,
                     BeginQuorumEpochRequest{election_.epoch, self_.id, voter.key,
                                             settings_.endpoints});
        leading.begin_epoch_at = step.now() + settings_.fetch_timeout / 2;
    }
    serve_parked(step);
    return false;
}

bool Raft::drive_nominee(Step& step) {
    const auto* candidate = std::get_if<Candidate>(&role_);
    const auto* prospective = std::get_if<Prospective>(&role_);
    const Instant deadline = candidate != nullptr ? candidate->deadline : prospective->deadline;
    const Votes& votes = candidate != nullptr ? candidate->votes : prospective->votes;
    // One that shuts down goes on with the election that it has begun, and begins no other.
    if (!shutting_down_.has_value() && step.now() >= deadline) {
        if (candidate != nullptr)
            become_prospective(step);
        else
            lose_election(step);
        return true;
    }
    // What it says of its log's end must still hold after a loss of power.
    if (votes.lost() || !log_settled(step.log)) return false;
    for (const auto& [id, vote] : votes.voters)
        if (vote.second == Votes::State::open)
            send(step, id,
                 VoteRequest{election_.epoch, self_, vote.first, end_of(step.log),
                             prospective != nullptr});
    return false;
}

/// Too few would vote for it: it goes back to where it was.
void Raft::lose_election(Step& step) {
    const BrokerId leader = election_.leader;
    const bool reachable = !leader_endpoints_.empty() || voters_.last().find(leader) != nullptr;
    if (leader != no_broker && leader != self_.id && reachable)
        become_follower(step, election_.epoch, leader, leader_endpoints_);
    else
        become_unattached(step, election_.epoch, leader);
}

bool Raft::drive_follower(Step& step) {
    auto& follower = std::get<Follower>(role_);
    if (!is_voter()) {
        if (step.now() >= follower.deadline)
            fetch_from_any(step);
        else
            fetch_from_leader(step);
        return false;
    }
    if (shutting_down_.has_value()) return false;
    if (step.now() >= follower.deadline) {
        become_prospective(step);
        return true;
    }
    if (step.now() >= follower.update_voter_at) {
        const bool wanted = voters_.dynamic() ? voters_.last().needs_update(own_voter())
                                              : !follower.has_updated_leader;
        const bool done = !wanted || send(step, election_.leader,
                                          UpdateVoterRequest{election_.epoch, own_voter()});
        if (done) follower.update_voter_at = step.now() + settings_.fetch_timeout;
        if (wanted) return false;
    }
    fetch_from_leader(step);
    return false;
}

bool Raft::drive_unattached(Step& step) {
    const auto& unattached = std::get<Unattached>(role_);
    if (is_voter() && shutting_down_.has_value()) return false;
    if (is_voter() && step.now() >= unattached.deadline) {
        become_prospective(step);
        return true;
    }
    fetch_from_any(step);
    return false;
}

bool Raft::drive_resigned(Step& step) {
    const auto& resigned = std::get<Resigned>(role_);
    for (const BrokerId voter : resigned.unacknowledged)
        send(step, voter,
             EndQuorumEpochRequest{election_.epoch, self_.id, resigned.successors,
                                   settings_.endpoints});
    if (shutting_down_.has_value() || step.now() < resigned.deadline) return false;
    // The next epoch: in this one it would have to follow itself.
    become_unattached(step, election_.epoch + 1, no_broker);
    return true;
}

bool Raft::log_settled(const LogView& log) const {
    return log.flushed >= log.end || (!is_voter() && !settings_.flush_always);
}

FetchRequest Raft::make_fetch(const LogView& log) const {
    return {election_.epoch, self_, end_of(log), high_watermark_.value_or(no_offset),
            settings_.fetch_wait_max};
}

void Raft::fetch_from_any(Step& step) {
    if (connections_.any_in_flight(step.now()) || !log_settled(step.log)) return;
    const std::size_t count = settings_.bootstrap.size();
    if (count == 0) return;
    const std::uint64_t entity =
        fold64(static_cast<std::uint64_t>(self_.id.value), settings_.incarnation);
    const std::uint64_t n =
        static_cast<std::uint64_t>(election_.epoch.value) << 20 | draws_in_epoch_;
    std::size_t from = step.turn.draws.below(count, draw_domain("raft.bootstrap"), entity, n);
    for (std::size_t i = 0; i < count; ++i) {
        const BrokerId node = settings_.bootstrap[(from + i) % count];
        if (node == self_.id || !connections_.ready(node, step.now())) continue;
        ++draws_in_epoch_;
        send(step, node, make_fetch(step.log));
        return;
    }
}

void Raft::fetch_from_leader(Step& step) {
    auto& follower = std::get<Follower>(role_);
    const BrokerId leader = election_.leader;
    // A leader that is silent may be one no more: others are asked.
    if (connections_.timed_out(leader, step.now())) {
        connections_.reset(leader);
        return fetch_from_any(step);
    }
    if (connections_.backing_off(leader, step.now())) return fetch_from_any(step);
    if (connections_.any_in_flight(step.now())) return;
    if (follower.snapshot.has_value()) {
        send(step, leader,
             FetchSnapshotRequest{election_.epoch, self_, follower.snapshot->id,
                                  follower.snapshot->position, settings_.snapshot_piece_bytes});
        return;
    }
    // A fetch claims everything below its offset for good: the leader counts it (KAFKA-10533).
    if (!log_settled(step.log) && !step.turn.planted(Bug::raft_ack_unflushed)) return;
    send(step, leader, make_fetch(step.log));
}

Instant Raft::alarm(const Turn& turn) const {
    Instant least = connections_.deadline_min(turn.now);
    const auto consider = [&](Instant deadline) {
        if (deadline > turn.now) least = std::min(least, deadline);
    };
    if (const auto* role = std::get_if<Unattached>(&role_)) consider(role->deadline);
    if (const auto* role = std::get_if<Prospective>(&role_)) consider(role->deadline);
    if (const auto* role = std::get_if<Candidate>(&role_)) consider(role->deadline);
    if (const auto* role = std::get_if<Resigned>(&role_)) consider(role->deadline);
    if (const auto* role = std::get_if<Follower>(&role_)) {
        consider(role->deadline);
        consider(role->update_voter_at);
    }
    if (const auto* role = std::get_if<Leading>(&role_)) {
        consider(role->state.check_quorum_deadline());
        consider(role->begin_epoch_at);
        if (role->change.has_value()) consider(role->change->deadline);
        for (const ParkedFetch& parked : role->parked) consider(parked.deadline);
    }
    if (shutting_down_.has_value()) consider(*shutting_down_);
    return least;
}

Effects Raft::resign(const Turn& turn, const LogView& log, LeaderEpoch epoch) {
    return command(turn, log, [&](Step&) {
        if (auto* leading = std::get_if<Leading>(&role_); leading != nullptr)
            if (epoch == election_.epoch) leading->resign = true;
    });
}

Effects Raft::shut_down(const Turn& turn, const LogView& log, Duration timeout) {
    return command(turn, log, [&](Step& step) { shutting_down_ = step.now() + timeout; });
}

bool Raft::may_stop(Instant now) const {
    if (!shutting_down_.has_value()) return false;
    const bool follows = election_.leader != no_broker && election_.leader != self_.id;
    return now >= *shutting_down_ || !is_voter() || voters_.last().is_only(self_) || follows;
}

}  // namespace klamm::raft
