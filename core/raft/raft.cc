// The state and its transitions. Requests, responses, voter changes and what time brings have
// their own files; all end in drive(), and in persist(), which names the state that everything
// said in the step rests on.
#include "core/raft/raft.h"

#include <algorithm>

#include "core/raft/quorum_state.h"
#include "core/raft/step.h"

namespace klamm::raft {

std::size_t Votes::count(State state) const {
    return static_cast<std::size_t>(std::count_if(
        voters.begin(), voters.end(), [&](const auto& v) { return v.second.second == state; }));
}

Raft::Raft(const ReplicaKey& self, const Settings& settings, VoterSet voters)
    : self_(self),
      settings_(settings),
      voters_(std::move(voters)),
      role_(Unattached{instant_never}),
      connections_(settings.retry_backoff, settings.request_timeout) {
    KLAMM_ASSERT(self.id.value >= 0);
    KLAMM_ASSERT(!self.directory.is_zero());
}

Effects Raft::start(const Turn& turn, const LogView& log,
                    const std::optional<ElectionState>& stored,
                    const std::optional<SnapshotContent>& snapshot,
                    const std::vector<ControlEntry>& entries) {
    return command(turn, log, [&](Step& step) {
        if (snapshot.has_value())
            voters_.start_at(snapshot->end, snapshot->voters, snapshot->version);
        if (!take_entries(step, entries)) return;
        // Written anew even if nothing changes: what a process that died has written may be read
        // now, and still be lost with the power.
        stored_.reset();
        election_ = stored.value_or(ElectionState{});
        const LeaderEpoch last = last_epoch(log);
        const bool voted_self = election_.voted.has_value() && matches(*election_.voted, self_);
        const Instant timeout = is_voter() ? step.now() + election_timeout(turn) : instant_never;
        if (election_.epoch < last) {
            election_ = {last, no_broker, std::nullopt};
            role_ = Unattached{timeout};
        } else if (election_.leader == self_.id || (voted_self && election_.leader == no_broker &&
                                                    election_.epoch == last && last.value > 0)) {
            // It led this epoch, and must not again: what it has not flushed is gone, and the same
            // offsets would be given to other records.
            election_ = {election_.epoch, self_.id, std::nullopt};
            Resigned resigned{step.now() + election_timeout(turn), {}, {}};
            for (const Voter& voter : voters_.last().voters())
                if (voter.key.id != self_.id) resigned.unacknowledged.insert(voter.key.id);
            role_ = resigned;
        } else if (voted_self && election_.leader == no_broker && is_voter()) {
            role_ = Candidate{timeout, fresh_votes()};
            if (std::get<Candidate>(role_).votes.won()) become_leader(step);
        } else if (election_.leader != no_broker &&
                   voters_.last().find(election_.leader) != nullptr) {
            leader_endpoints_ = voters_.last().find(election_.leader)->endpoints;
            role_ = Follower{step.now() + settings_.fetch_timeout,
                             step.now() + settings_.fetch_timeout, false, false, std::nullopt};
        } else {
            role_ = Unattached{timeout};
        }
        if (voters_.last().is_only(self_) && !is_leader()) become_prospective(step);
    });
}

Effects Raft::tick(const Turn& turn, const LogView& log) {
    return command(turn, log, [](Step&) {});
}

Effects Raft::on_log(const Turn& turn, const LogView& log, const std::vector<ControlEntry>& entries,
                     const std::optional<SnapshotContent>& snapshot) {
    log_pending_ = false;
    return command(turn, log, [&](Step& step) {
        if (snapshot.has_value()) {
            voters_.start_at(snapshot->end, snapshot->voters, snapshot->version);
            raise_high_watermark(step, snapshot->end);
        }
        if (!take_entries(step, entries)) return;
        voters_.truncate_from_start(log.start);
        if (is_leader()) return lead_on(step);
        if (std::holds_alternative<Follower>(role_) && leader_high_watermark_ != no_offset)
            raise_high_watermark(step, std::min(log.end, leader_high_watermark_));
    });
}

bool Raft::take_entries(Step& step, const std::vector<ControlEntry>& entries) {
    for (const ControlEntry& entry : entries) {
        if (const auto* version = std::get_if<VersionChange>(&entry.value))
            voters_.add_version(entry.offset, version->version);
        const auto* voters = std::get_if<VotersChange>(&entry.value);
        if (voters != nullptr && !voters_.add_voters(entry.offset, voters->voters)) {
            step.fault("a set of voters whose majority need not meet that of the one before");
            return false;
        }
    }
    return true;
}

/// The leader's log, or its voters, are others than before.
void Raft::lead_on(Step& step) {
    auto& leading = std::get<Leading>(role_);
    if (leading.state.update_local(step.turn, step.log.end, step.log.flushed, voters_.last()))
        change_committed(step);
}

void Raft::raise_high_watermark(Step& step, Offset to) {
    if (high_watermark_.has_value() && to <= *high_watermark_) return;
    high_watermark_ = to;
    step.out.high_watermark = to;
}

Duration Raft::election_timeout(const Turn& turn) {
    const std::int64_t least = settings_.election_timeout.nanoseconds;
    KLAMM_ASSERT(least > 0);
    const std::uint64_t entity =
        fold64(static_cast<std::uint64_t>(self_.id.value), settings_.incarnation);
    const std::uint64_t n =
        static_cast<std::uint64_t>(election_.epoch.value) << 20 | draws_in_epoch_++;
    const std::int64_t drawn =
        turn.draws.between(least, 2 * least - 1, draw_domain("raft.election_timeout"), entity, n);
    return {turn.maybe(Site::election_hasty, entity, n) ? drawn / 8 : drawn};
}

Votes Raft::fresh_votes() const {
    Votes votes;
    for (const Voter& voter : voters_.last().voters())
        votes.voters[voter.key.id] = {
            voter.key, matches(voter.key, self_) ? Votes::State::granted : Votes::State::open};
    return votes;
}

void Raft::leave_role(Step& step) {
    if (auto* leading = std::get_if<Leading>(&role_)) {
        for (const ParkedFetch& parked : leading->parked) {
            FetchResponse response;
            response.error = ErrorCode::not_leader_or_follower;
            response.view = view();
            step.answer(parked.ticket, response);
        }
        leading->parked.clear();
        end_change(step, ErrorCode::not_leader_or_follower, "");
    }
    const auto* follower = std::get_if<Follower>(&role_);
    if (follower != nullptr && follower->snapshot.has_value()) step.out.drop_pieces = true;
}

void Raft::enter(Step& step, Role role) {
    role_ = std::move(role);
    connections_.reset_all();
    (void)step;
}

void Raft::become_unattached(Step& step, LeaderEpoch epoch, BrokerId leader) {
    const bool prospective = std::holds_alternative<Prospective>(role_);
    KLAMM_ASSERT(epoch > election_.epoch || (epoch == election_.epoch && prospective));
    // A timeout under way goes on, so that those who disturb with new epochs do not put it off.
    std::optional<Instant> under_way;
    if (const auto* role = std::get_if<Unattached>(&role_)) under_way = role->deadline;
    if (const auto* role = std::get_if<Candidate>(&role_)) under_way = role->deadline;
    if (const auto* role = std::get_if<Resigned>(&role_)) under_way = role->deadline;
    if (const auto* role = std::get_if<Prospective>(&role_); role != nullptr && !role->votes.lost())
        under_way = role->deadline;
    leave_role(step);
    if (epoch > election_.epoch) {
        draws_in_epoch_ = 0;
        election_.voted.reset();
    }
    election_.epoch = epoch;
    election_.leader = leader;
    leader_endpoints_.clear();
    Instant deadline = instant_never;
    if (is_voter())
        deadline = under_way.has_value() && *under_way != instant_never
                       ? *under_way
                       : step.now() + election_timeout(step.turn);
    enter(step, Unattached{deadline});
}

void Raft::become_follower(Step& step, LeaderEpoch epoch, BrokerId leader, Endpoints endpoints) {
    KLAMM_ASSERT(leader != self_.id);
    KLAMM_ASSERT(epoch >= election_.epoch);
    KLAMM_ASSERT(epoch > election_.epoch || !is_leader());
    leave_role(step);
    // Within an epoch the vote stays, so that no second one is given in it.
    if (epoch > election_.epoch) {
        draws_in_epoch_ = 0;
        election_.voted.reset();
    }
    election_.epoch = epoch;
    election_.leader = leader;
    leader_endpoints_ = std::move(endpoints);
    leader_high_watermark_ = no_offset;
    enter(step, Follower{step.now() + settings_.fetch_timeout, step.now() + settings_.fetch_timeout,
                         false, false, std::nullopt});
}

void Raft::become_prospective(Step& step) {
    KLAMM_ASSERT(is_voter());
    leave_role(step);
    enter(step, Prospective{step.now() + election_timeout(step.turn), fresh_votes()});
    if (std::get<Prospective>(role_).votes.won()) become_candidate(step);
}

void Raft::become_candidate(Step& step) {
    KLAMM_ASSERT(is_voter());
    KLAMM_ASSERT(std::holds_alternative<Prospective>(role_));
    draws_in_epoch_ = 0;
    election_ = {election_.epoch + 1, no_broker, self_};
    leader_endpoints_.clear();
    enter(step, Candidate{step.now() + election_timeout(step.turn), fresh_votes()});
    if (std::get<Candidate>(role_).votes.won()) become_leader(step);
}

void Raft::become_leader(Step& step) {
    KLAMM_ASSERT(is_voter());
    const Votes& votes = std::get<Candidate>(role_).votes;
    KLAMM_ASSERT(votes.won());
    KLAMM_ASSERT(last_epoch(step.log) < election_.epoch);
    LeaderChange change{self_.id, {}, {}};
    std::set<BrokerId> granting;
    for (const auto& [id, vote] : votes.voters) {
        change.voters.push_back(id);
        if (vote.second != Votes::State::granted) continue;
        change.granting.push_back(id);
        granting.insert(id);
    }
    election_.leader = self_.id;
    election_.voted.reset();
    leader_endpoints_ = settings_.endpoints;
    Leading leading{LeaderState(self_, step.log.end, voters_.last(), granting,
                                settings_.fetch_timeout, step.now()),
                    step.now(),
                    false,
                    {},
                    std::nullopt};
    if (!voters_.dynamic())
        leading.state.volatile_voters = voters_.last().updated(own_voter(), true);
    enter(step, std::move(leading));

    // Nothing of older epochs is committed before a record of this one is.
    std::vector<ControlValue> records{change};
    const Offset voters_at = voters_.last_offset().value_or(no_offset);
    if (voters_.dynamic() && (voters_at == no_offset || voters_.last().needs_update(own_voter()))) {
        records.push_back(VersionChange{voters_.version()});
        records.push_back(VotersChange{*voters_.last().updated(own_voter(), false)});
    }
    append_control(step, std::move(records));
}

void Raft::become_resigned(Step& step) {
    auto successors = std::get<Leading>(role_).state.successors();
    leave_role(step);
    Resigned resigned{step.now() + election_timeout(step.turn), std::move(successors), {}};
    for (const Voter& voter : voters_.last().voters())
        if (voter.key.id != self_.id) resigned.unacknowledged.insert(voter.key.id);
    enter(step, std::move(resigned));
}

void Raft::add_vote(Step& step, const ReplicaKey& candidate) {
    KLAMM_ASSERT(!election_.voted.has_value());
    KLAMM_ASSERT(candidate.id != self_.id);
    election_.voted = candidate;
    // Whom it voted for has at least as good a chance: it is given time.
    const Instant deadline = is_voter() ? step.now() + election_timeout(step.turn) : instant_never;
    if (auto* unattached = std::get_if<Unattached>(&role_)) unattached->deadline = deadline;
    if (std::holds_alternative<Prospective>(role_))
        enter(step, Prospective{deadline, fresh_votes()});
}

void Raft::learn(Step& step, BrokerId leader, LeaderEpoch epoch, const Endpoints& endpoints) {
    const bool known = leader != no_broker;
    const bool same_epoch = epoch == election_.epoch && election_.leader != no_broker;
    if (known && (leader == self_.id ? !is_leader() : same_epoch && leader != election_.leader))
        return step.fault("leader " + std::to_string(leader.value) + " of epoch " +
                          std::to_string(epoch.value) + " contradicts leader " +
                          std::to_string(election_.leader.value) + " of epoch " +
                          std::to_string(election_.epoch.value));
    if (epoch > election_.epoch && !known) return become_unattached(step, epoch, no_broker);
    if (epoch > election_.epoch) return become_follower(step, epoch, leader, endpoints);
    if (known && leader != self_.id &&
        (election_.leader == no_broker || endpoints.size() > leader_endpoints_.size()))
        become_follower(step, epoch, leader, endpoints);
}

void Raft::persist(Step& step) {
    const int version = quorum_state_version(voters_.version());
    if (stored_ != election_ || stored_version_ != version) {
        stored_ = election_;
        stored_version_ = version;
        StateWrite write{++state_number_, election_, version, {}};
        for (const Voter& voter : voters_.last().voters()) write.voters.push_back(voter.key.id);
        step.out.persist = std::move(write);
    }
    StateNumber after = state_number_;
    const bool speaks = !step.out.sends.empty() || !step.out.answers.empty();
    if (after > 0 && speaks && step.turn.planted(Bug::vote_not_durable)) [[unlikely]]
        after = 0;
    for (Send& send : step.out.sends) send.after = after;
    for (Answer& answer : step.out.answers) answer.after = after;
}

}  // namespace klamm::raft
