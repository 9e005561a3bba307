// Answers of other replicas. Each says first what its sender knows of the quorum; the rest counts
// only if that is what this replica knows too.
#include <algorithm>

#include "core/raft/step.h"

namespace klamm::raft {

Effects Raft::on_response(const Turn& turn, const LogView& log, BrokerId from,
                          std::uint64_t request, const Response& response) {
    return command(turn, log, [&](Step& step) {
        if (!connections_.expected(from, request)) return;
        const bool well =
            std::visit([&](const auto& body) { return take(step, from, body); }, response);
        connections_.answered(from, request, well, step.now());
    });
}

Effects Raft::on_failure(const Turn& turn, const LogView& log, BrokerId from,
                         std::uint64_t request) {
    return command(turn, log, [&](Step& step) {
        auto* leading = std::get_if<Leading>(&role_);
        const bool asked = connections_.expected(from, request) && leading != nullptr &&
                           leading->change.has_value() && leading->change->adds &&
                           !leading->change->record.has_value() &&
                           leading->change->voter.key.id == from;
        if (asked) end_change(step, ErrorCode::request_timed_out, "the new voter cannot be asked");
        connections_.answered(from, request, false, step.now());
    });
}

/// What all answers have in common; nothing when the rest is to be looked at.
std::optional<bool> Raft::take_common(Step& step, ErrorCode error, const QuorumView& view) {
    // An error of the whole request says nothing of the quorum.
    if (view.epoch == no_leader_epoch) return false;
    Endpoints endpoints = view.endpoints;
    if (const Voter* voter = voters_.last().find(view.leader); endpoints.empty() && voter)
        endpoints = voter->endpoints;
    if (view.epoch < election_.epoch || error == ErrorCode::unknown_leader_epoch) return true;
    if (view.epoch > election_.epoch || error == ErrorCode::fenced_leader_epoch ||
        error == ErrorCode::not_leader_or_follower) {
        learn(step, view.leader, view.epoch, endpoints);
        return true;
    }
    if (view.leader != no_broker && election_.leader == no_broker) {
        learn(step, view.leader, view.epoch, endpoints);
        if (error != ErrorCode::none || !step.out.fault.empty()) return true;
        return std::nullopt;
    }
    if (error == ErrorCode::broker_not_available) return false;
    if (error == ErrorCode::invalid_voter_key) return true;
    if (error == ErrorCode::invalid_request) {
        step.fault("a replica of the quorum finds a request invalid");
        return true;
    }
    return std::nullopt;
}

bool Raft::take(Step& step, BrokerId from, const VoteResponse& response) {
    if (response.error == ErrorCode::unsupported_version &&
        std::holds_alternative<Prospective>(role_)) {
        // It does not know pre-votes, so there is nothing to wait for (KIP-996).
        become_candidate(step);
        return true;
    }
    if (const auto done = take_common(step, response.error, response.view)) return *done;
    if (response.error != ErrorCode::none) return false;
    const Votes::State vote = response.granted ? Votes::State::granted : Votes::State::rejected;
    if (auto* prospective = std::get_if<Prospective>(&role_)) {
        const auto found = prospective->votes.voters.find(from);
        if (found == prospective->votes.voters.end()) return true;
        found->second.second = vote;
        if (prospective->votes.won())
            become_candidate(step);
        else if (prospective->votes.lost())
            lose_election(step);
    } else if (auto* candidate = std::get_if<Candidate>(&role_)) {
        const auto found = candidate->votes.voters.find(from);
        if (found == candidate->votes.voters.end()) return true;
        found->second.second = vote;
        if (candidate->votes.won()) become_leader(step);
    }
    return true;
}

bool Raft::take(Step& step, BrokerId from, const BeginQuorumEpochResponse& response) {
    if (const auto done = take_common(step, response.error, response.view)) return *done;
    if (response.error != ErrorCode::none) return false;
    if (auto* leading = std::get_if<Leading>(&role_)) leading->state.acknowledge(from);
    return true;
}

bool Raft::take(Step& step, BrokerId from, const EndQuorumEpochResponse& response) {
    if (const auto done = take_common(step, response.error, response.view)) return *done;
    if (response.error != ErrorCode::none) return false;
    if (auto* resigned = std::get_if<Resigned>(&role_)) resigned->unacknowledged.erase(from);
    return true;
}

bool Raft::take(Step& step, BrokerId, const FetchResponse& response) {
    if (const auto done = take_common(step, response.error, response.view)) return *done;
    auto* follower = std::get_if<Follower>(&role_);
    if (response.error != ErrorCode::none || follower == nullptr) return false;
    const LogView& log = step.log;
    if (response.diverging.has_value()) {
        const Offset to = truncation_point(log, *response.diverging);
        if (high_watermark_.has_value() && to < *high_watermark_) {
            step.fault("the leader asks to cut the log to " + std::to_string(to.value) +
                       ", below the high watermark " + std::to_string(high_watermark_->value));
            return true;
        }
        voters_.truncate_from_end(to);
        step.out.truncate = to;
        log_pending_ = true;
    } else if (response.snapshot.has_value()) {
        const LogId& id = *response.snapshot;
        if (id.epoch.value < 0 || id.offset.value < 0) return false;
        const bool stored = std::any_of(log.snapshots.begin(), log.snapshots.end(),
                                        [&](const auto& info) { return info.id == id; });
        step.out.drop_pieces = follower->snapshot.has_value();
        follower->snapshot.reset();
        if (!stored) follower->snapshot = SnapshotFetch{id, 0};
    } else {
        if (response.high_watermark.value >= 0) leader_high_watermark_ = response.high_watermark;
        step.out.append_records = response.has_records;
        log_pending_ = response.has_records;
        if (!log_pending_ && leader_high_watermark_ != no_offset)
            raise_high_watermark(step, std::min(log.end, leader_high_watermark_));
    }
    follower->deadline = step.now() + settings_.fetch_timeout;
    follower->has_fetched = true;
    return true;
}

bool Raft::take(Step& step, BrokerId, const FetchSnapshotResponse& response) {
    if (const auto done = take_common(step, response.error, response.view)) return *done;
    auto* follower = std::get_if<Follower>(&role_);
    if (follower == nullptr || !follower->snapshot.has_value()) return false;
    SnapshotFetch& fetch = *follower->snapshot;
    if (response.error == ErrorCode::snapshot_not_found) {
        // The leader has a newer one by now: the next fetch will name it.
        follower->snapshot.reset();
        step.out.drop_pieces = true;
        follower->deadline = step.now() + settings_.fetch_timeout;
        follower->has_fetched = true;
        return true;
    }
    if (response.error != ErrorCode::none) return false;
    if (response.id != fetch.id || response.position != fetch.position || response.bytes == 0 ||
        response.size < fetch.position + response.bytes) {
        follower->snapshot.reset();
        step.out.drop_pieces = true;
        return false;
    }
    step.out.keep_piece = fetch.position;
    fetch.position += response.bytes;
    if (fetch.position == response.size) {
        step.out.restart = fetch.id;
        follower->snapshot.reset();
        log_pending_ = true;
    }
    follower->deadline = step.now() + settings_.fetch_timeout;
    follower->has_fetched = true;
    return true;
}

bool Raft::take(Step&, BrokerId, const ChangeVoterResponse&) {
    return true;  // replicas do not ask for it
}

bool Raft::take(Step& step, BrokerId, const UpdateVoterResponse& response) {
    if (const auto done = take_common(step, response.error, response.view)) return *done;
    auto* follower = std::get_if<Follower>(&role_);
    const bool taken =
        response.error == ErrorCode::none || response.error == ErrorCode::unsupported_version;
    if (!taken || follower == nullptr) return false;
    follower->has_updated_leader = true;
    follower->deadline = step.now() + settings_.fetch_timeout;
    follower->has_fetched = true;
    return true;
}

}  // namespace klamm::raft
