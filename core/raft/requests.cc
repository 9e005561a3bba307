// Requests of other replicas: votes, the beginning and the end of epochs, fetches.
#include <algorithm>

#include "core/raft/step.h"

namespace klamm::raft {

Effects Raft::on_request(const Turn& turn, const LogView& log, Ticket ticket,
                         const Request& request) {
    return command(turn, log, [&](Step& step) {
        std::visit([&](const auto& body) { handle(step, ticket, body); }, request);
    });
}

QuorumView Raft::view() const { return {election_.epoch, election_.leader, leader_endpoints_}; }

ErrorCode Raft::check_voter_request(BrokerId from, LeaderEpoch epoch) const {
    if (epoch < election_.epoch) return ErrorCode::fenced_leader_epoch;
    return from.value < 0 ? ErrorCode::invalid_request : ErrorCode::none;
}

ErrorCode Raft::check_leader_request(LeaderEpoch epoch) const {
    if (epoch < election_.epoch) return ErrorCode::fenced_leader_epoch;
    if (epoch > election_.epoch) return ErrorCode::unknown_leader_epoch;
    if (!is_leader()) return ErrorCode::not_leader_or_follower;
    return shutting_down_.has_value() ? ErrorCode::broker_not_available : ErrorCode::none;
}

namespace {

/// Whether a request names nobody, or this replica.
bool meant_for(const ReplicaKey& named, const ReplicaKey& self) {
    return named.id == no_broker || matches(named, self);
}

}  // namespace

bool Raft::can_grant(const VoteRequest& request, bool up_to_date) const {
    // The last word belongs to the voter's log, whatever the state: who lacks what may be committed
    // must not lead.
    if (!up_to_date || is_leader()) return false;
    if (const auto* follower = std::get_if<Follower>(&role_))
        return request.pre_vote && !follower->has_fetched;
    if (request.pre_vote) return true;
    const bool open =
        std::holds_alternative<Unattached>(role_) || std::holds_alternative<Prospective>(role_);
    if (!open || request.candidate.id == self_.id) return false;
    if (election_.voted.has_value()) return matches(*election_.voted, request.candidate);
    return election_.leader == no_broker;
}

void Raft::handle(Step& step, Ticket ticket, const VoteRequest& request) {
    VoteResponse response;
    const auto answer = [&](ErrorCode error) {
        response.error = error;
        response.view = view();
        step.answer(ticket, response);
    };
    const bool illegal =
        request.pre_vote ? request.last.epoch > request.epoch : request.last.epoch >= request.epoch;
    if (request.last.offset.value < 0 || request.last.epoch.value < 0 || illegal)
        return answer(ErrorCode::invalid_request);
    const ErrorCode error = check_voter_request(request.candidate.id, request.epoch);
    if (error != ErrorCode::none) return answer(error);
    if (request.epoch > election_.epoch) become_unattached(step, request.epoch, no_broker);
    if (!meant_for(request.voter, self_)) return answer(ErrorCode::invalid_voter_key);
    response.granted = can_grant(request, request.last >= end_of(step.log));
    if (response.granted && !request.pre_vote && !election_.voted.has_value())
        add_vote(step, request.candidate);
    answer(ErrorCode::none);
}

/// Where the leader that sent `request` is reached: as it says, else as the voter set has it.
template <class FromLeader>
const Endpoints& Raft::endpoints_of(const FromLeader& request) const {
    const Voter* voter = voters_.last().find(request.leader);
    return request.endpoints.empty() && voter != nullptr ? voter->endpoints : request.endpoints;
}

void Raft::handle(Step& step, Ticket ticket, const BeginQuorumEpochRequest& request) {
    BeginQuorumEpochResponse response;
    response.error = check_voter_request(request.leader, request.epoch);
    if (response.error == ErrorCode::none) {
        learn(step, request.leader, request.epoch, endpoints_of(request));
        if (!meant_for(request.voter, self_)) response.error = ErrorCode::invalid_voter_key;
    }
    response.view = view();
    step.answer(ticket, response);
}

void Raft::handle(Step& step, Ticket ticket, const EndQuorumEpochRequest& request) {
    EndQuorumEpochResponse response;
    response.error = check_voter_request(request.leader, request.epoch);
    if (response.error == ErrorCode::none) {
        learn(step, request.leader, request.epoch, endpoints_of(request));
        auto* follower = std::get_if<Follower>(&role_);
        if (follower != nullptr && election_.leader == request.leader) {
            // The best successor campaigns at once, each further one waits twice as long.
            const auto own = std::find_if(request.preferred.begin(), request.preferred.end(),
                                          [&](const auto& key) { return matches(key, self_); });
            const auto position = own - request.preferred.begin();
            const auto count = static_cast<std::ptrdiff_t>(request.preferred.size());
            const std::int64_t longest = settings_.election_backoff_max.nanoseconds;
            std::int64_t wait = 0;
            if (position > 0 && position >= count)
                wait = longest;
            else if (position > 0)
                wait = std::min(longest, longest >> std::min<std::ptrdiff_t>(count - position, 62));
            follower->deadline = step.now() + Duration{wait};
        }
    }
    response.view = view();
    step.answer(ticket, response);
}

FetchResponse Raft::serve(Step& step, const FetchRequest& request) {
    FetchResponse response;
    response.error = check_leader_request(request.epoch);
    if (response.error == ErrorCode::none) {
        auto& leading = std::get<Leading>(role_);
        const LogView& log = step.log;
        response.log_start = log.start;
        Position position = check_position(log, request.last.offset, request.last.epoch);
        // For an empty log a snapshot is always the shorter way.
        if (request.last.offset.value == 0 && !log.snapshots.empty() &&
            log.snapshots.back().id != bootstrap_snapshot)
            position = {Position::Kind::snapshot, log.snapshots.back().id};
        if (position.kind == Position::Kind::diverging) response.diverging = position.id;
        if (position.kind == Position::Kind::snapshot) response.snapshot = position.id;
        if (position.kind == Position::Kind::valid) {
            if (leading.state.record_fetch(step.turn, request.replica, request.last.offset))
                change_committed(step);
            response.has_records = log.end > request.last.offset;
            if (response.has_records) response.read_from = request.last.offset;
        }
        response.high_watermark = leading.state.high_watermark().value_or(no_offset);
    }
    response.view = view();
    return response;
}

void Raft::handle(Step& step, Ticket ticket, const FetchRequest& request) {
    const LogId& last = request.last;
    if (request.wait_max.nanoseconds < 0 || last.offset.value < 0 || last.epoch.value < 0 ||
        last.epoch > request.epoch) {
        FetchResponse response;
        response.error = ErrorCode::invalid_request;
        response.view = view();
        return step.answer(ticket, response);
    }
    const FetchResponse response = serve(step, request);
    if (response.error != ErrorCode::none || response.has_records || response.diverging ||
        response.snapshot || request.wait_max.nanoseconds == 0 ||
        request.high_watermark < response.high_watermark)
        return step.answer(ticket, response);
    auto& parked = std::get<Leading>(role_).parked;
    if (parked.size() >= parked_fetches_max) {
        step.answer(parked.front().ticket, nothing_new(step));
        parked.erase(parked.begin());
    }
    parked.push_back({ticket, request, step.now() + request.wait_max});
}

/// For a fetch that has waited in vain. It says nothing of who asked: that was then.
FetchResponse Raft::nothing_new(const Step& step) const {
    FetchResponse response;
    response.view = view();
    response.log_start = step.log.start;
    response.high_watermark = std::get<Leading>(role_).state.high_watermark().value_or(no_offset);
    return response;
}

void Raft::serve_parked(Step& step) {
    auto& leading = std::get<Leading>(role_);
    if (leading.parked.empty()) return;
    std::vector<ParkedFetch> left;
    for (ParkedFetch& parked : std::exchange(leading.parked, {})) {
        const Offset known = leading.state.high_watermark().value_or(no_offset);
        const FetchRequest& request = parked.request;
        if (step.log.end > request.last.offset || known > request.high_watermark)
            step.answer(parked.ticket, serve(step, request));
        else if (step.now() >= parked.deadline)
            step.answer(parked.ticket, nothing_new(step));
        else
            left.push_back(std::move(parked));
    }
    leading.parked = std::move(left);
}

void Raft::handle(Step& step, Ticket ticket, const FetchSnapshotRequest& request) {
    FetchSnapshotResponse response;
    response.view = view();
    const auto answer = [&](ErrorCode error) {
        response.error = error;
        step.answer(ticket, response);
    };
    const ErrorCode error = check_leader_request(request.epoch);
    if (error != ErrorCode::none) return answer(error);
    const auto& snapshots = step.log.snapshots;
    const auto found = std::find_if(snapshots.begin(), snapshots.end(),
                                    [&](const auto& info) { return info.id == request.id; });
    if (found == snapshots.end() || request.id == bootstrap_snapshot)
        return answer(ErrorCode::snapshot_not_found);
    if (request.position >= found->size) return answer(ErrorCode::position_out_of_range);
    std::get<Leading>(role_).state.note_following(request.replica, step.now());
    response.id = request.id;
    response.size = found->size;
    response.position = request.position;
    response.bytes = std::min<std::uint64_t>(request.bytes_max, found->size - request.position);
    answer(ErrorCode::none);
}

void Raft::handle(Step& step, Ticket ticket, const ApiVersionsRequest&) {
    step.answer(ticket, ApiVersionsResponse{ErrorCode::none, true, settings_.version_min,
                                            settings_.version_max});
}

}  // namespace klamm::raft
