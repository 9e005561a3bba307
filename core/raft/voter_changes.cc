// Voters are added, removed and updated one at a time (KIP-853): the next change waits until the
// record of the last one is committed, and the first one of a leader until its own epoch is, so
// that any two majorities that decide at the same time meet.
#include <algorithm>

#include "core/raft/step.h"

namespace klamm::raft {

Voter Raft::own_voter() const {
    return {self_, settings_.endpoints, settings_.version_min, settings_.version_max};
}

void Raft::append_control(Step& step, std::vector<ControlValue> records) {
    KLAMM_ASSERT(is_leader());
    KLAMM_ASSERT(!log_pending_);
    Offset offset = step.log.end;
    for (const ControlValue& record : records) {
        if (const auto* version = std::get_if<VersionChange>(&record))
            voters_.add_version(offset, version->version);
        if (const auto* voters = std::get_if<VotersChange>(&record))
            KLAMM_ASSERT(voters_.add_voters(offset, voters->voters));
        offset = offset + 1;
    }
    step.out.append = ControlAppend{election_.epoch, step.log.end, std::move(records)};
    log_pending_ = true;
}

/// Appends the set; the offset of its record.
Offset Raft::append_voters(Step& step, VoterSet voters) {
    append_control(step, {VotersChange{std::move(voters)}});
    return step.log.end;
}

void Raft::end_change(Step& step, ErrorCode error, std::string text) {
    auto& change = std::get<Leading>(role_).change;
    if (!change.has_value()) return;
    step.answer(change->ticket, ChangeVoterResponse{error, std::move(text)});
    change.reset();
}

/// The leader's watermark has moved: what waited for it is done.
void Raft::change_committed(Step& step) {
    auto& leading = std::get<Leading>(role_);
    const Offset committed = *leading.state.high_watermark();
    raise_high_watermark(step, committed);
    if (leading.change.has_value() && leading.change->record.has_value() &&
        *leading.change->record < committed)
        end_change(step, ErrorCode::none, "");
    // It led until the others had agreed on being without it.
    const auto recorded = voters_.last_offset();
    if (!is_voter() && recorded.has_value() && *recorded < committed) leading.resign = true;
}

/// Whether the voters may be changed now.
ChangeVoterResponse Raft::check_change(Step& step) const {
    (void)step;
    const ErrorCode error = check_leader_request(election_.epoch);
    if (error != ErrorCode::none) return {error, ""};
    const auto& leading = std::get<Leading>(role_);
    if (leading.change.has_value())
        return {ErrorCode::request_timed_out, "an earlier change of voters is not done yet"};
    if (!leading.state.high_watermark().has_value())
        return {ErrorCode::request_timed_out, "the leader's epoch is not committed yet"};
    if (!voters_.dynamic())
        return {ErrorCode::unsupported_version, "kraft.version is 0: voters are static"};
    const auto recorded = voters_.last_offset();
    if (!recorded.has_value() || *recorded >= *leading.state.high_watermark())
        return {ErrorCode::request_timed_out, "the latest change of voters is not committed yet"};
    return {};
}

void Raft::handle(Step& step, Ticket ticket, const AddVoterRequest& request) {
    ChangeVoterResponse response;
    response.error = check_leader_request(election_.epoch);
    if (response.error == ErrorCode::none &&
        (request.voter.id.value < 0 || request.voter.directory.is_zero()))
        response = {ErrorCode::invalid_request, "the new voter is not named by id and directory"};
    if (response.error == ErrorCode::none && request.endpoints.empty())
        response = {ErrorCode::invalid_request, "the new voter has no endpoint"};
    if (response.error == ErrorCode::none) response = check_change(step);
    if (response.error == ErrorCode::none && voters_.last().find(request.voter.id) != nullptr)
        response = {ErrorCode::duplicate_voter, "a voter with this id votes already"};
    if (response.error == ErrorCode::none) {
        // endpoints_of() knows the new voter from here on.
        auto& leading = std::get<Leading>(role_);
        leading.change = VoterChange{ticket,
                                     true,
                                     {request.voter, request.endpoints, 0, 0},
                                     std::nullopt,
                                     step.now() + settings_.request_timeout};
        if (send(step, request.voter.id, ApiVersionsRequest{})) return;
        leading.change.reset();
        response = {ErrorCode::request_timed_out, "the new voter is not ready for requests"};
    }
    step.answer(ticket, response);
}

bool Raft::take(Step& step, BrokerId from, const ApiVersionsResponse& response) {
    auto* leading = std::get_if<Leading>(&role_);
    if (leading == nullptr || !leading->change.has_value()) return true;
    VoterChange& change = *leading->change;
    if (!change.adds || change.record.has_value() || change.voter.key.id != from) return true;
    if (response.error != ErrorCode::none) {
        end_change(step, ErrorCode::request_timed_out, "the new voter cannot be asked");
        return false;
    }
    const std::int16_t version = voters_.version();
    if (!response.has_range || response.version_min > version || response.version_max < version) {
        end_change(step, ErrorCode::invalid_request, "the new voter lacks this kraft.version");
        return true;
    }
    if (!leading->state.caught_up(change.voter.key, step.now())) {
        end_change(step, ErrorCode::request_timed_out, "the new voter lags behind");
        return true;
    }
    change.voter.version_min = response.version_min;
    change.voter.version_max = response.version_max;
    auto voters = voters_.last().with(change.voter);
    KLAMM_ASSERT(voters.has_value());
    change.record = append_voters(step, std::move(*voters));
    if (step.turn.planted(Bug::controller_replies_before_commit))
        end_change(step, ErrorCode::none, "");
    return true;
}

void Raft::handle(Step& step, Ticket ticket, const RemoveVoterRequest& request) {
    ChangeVoterResponse response;
    response.error = check_leader_request(election_.epoch);
    if (response.error == ErrorCode::none &&
        (request.voter.id.value < 0 || request.voter.directory.is_zero()))
        response = {ErrorCode::invalid_request, "the voter is not named by id and directory"};
    if (response.error == ErrorCode::none) response = check_change(step);
    if (response.error == ErrorCode::none) {
        auto voters = voters_.last().without(request.voter);
        if (voters.has_value()) {
            auto& leading = std::get<Leading>(role_);
            leading.change = VoterChange{ticket,
                                         false,
                                         {request.voter, {}, 0, 0},
                                         std::nullopt,
                                         step.now() + settings_.request_timeout};
            leading.change->record = append_voters(step, std::move(*voters));
            if (step.turn.planted(Bug::controller_replies_before_commit))
                end_change(step, ErrorCode::none, "");
            return;
        }
        response = {ErrorCode::voter_not_found, "no such voter, or it is the last one"};
    }
    step.answer(ticket, response);
}

void Raft::handle(Step& step, Ticket ticket, const UpdateVoterRequest& request) {
    const Voter& voter = request.voter;
    UpdateVoterResponse response;
    const auto answer = [&](ErrorCode error) {
        response.error = error;
        response.view = view();
        step.answer(ticket, response);
    };
    const ErrorCode error = check_leader_request(request.epoch);
    if (error != ErrorCode::none) return answer(error);
    const std::int16_t version = voters_.version();
    if (voter.key.id.value < 0 || voter.key.directory.is_zero() || voter.endpoints.empty() ||
        voter.version_min < 0 || voter.version_max < voter.version_min)
        return answer(ErrorCode::invalid_request);
    auto& leading = std::get<Leading>(role_);
    const auto committed = leading.state.high_watermark();
    if (leading.change.has_value() || !committed.has_value())
        return answer(ErrorCode::request_timed_out);
    const auto recorded = voters_.last_offset();
    const bool settled = voters_.dynamic() ? recorded.has_value() && *recorded < *committed
                                           : leading.state.volatile_voters.has_value();
    if (!settled) return answer(ErrorCode::request_timed_out);
    if (voter.version_min > version || voter.version_max < version)
        return answer(ErrorCode::invalid_request);
    auto updated = voters_.dynamic() ? voters_.last().updated(voter, false)
                                     : leading.state.volatile_voters->updated(voter, true);
    if (!updated.has_value()) return answer(ErrorCode::voter_not_found);
    leading.state.note_following(voter.key, step.now());
    answer(ErrorCode::none);
    if (voters_.dynamic())
        append_voters(step, std::move(*updated));
    else
        leading.state.volatile_voters = std::move(*updated);
}

Effects Raft::upgrade(const Turn& turn, const LogView& log, ErrorCode& error) {
    return command(turn, log, [&](Step& step) {
        error = check_leader_request(election_.epoch);
        if (error != ErrorCode::none || voters_.dynamic()) return;
        auto& leading = std::get<Leading>(role_);
        error = ErrorCode::invalid_update_version;
        if (!leading.state.volatile_voters.has_value()) return;
        const VoterSet voters = *leading.state.volatile_voters;
        const bool all =
            std::all_of(voters.voters().begin(), voters.voters().end(), [](const Voter& voter) {
                return !voter.key.directory.is_zero() && voter.version_min <= 1 &&
                       voter.version_max >= 1;
            });
        if (!all) return;
        error = ErrorCode::none;
        leading.state.volatile_voters.reset();
        append_control(step, {VersionChange{1}, VotersChange{voters}});
    });
}

const Endpoints* Raft::endpoints_of(BrokerId node) const {
    if (node == election_.leader && !leader_endpoints_.empty()) return &leader_endpoints_;
    if (const Voter* voter = voters_.last().find(node)) return &voter->endpoints;
    const auto* leading = std::get_if<Leading>(&role_);
    if (leading != nullptr && leading->change.has_value() && leading->change->voter.key.id == node)
        return &leading->change->voter.endpoints;
    return nullptr;
}

bool Raft::may_snapshot(const LogView& log, const LogId& id) const {
    if (!high_watermark_.has_value() || id.offset > *high_watermark_ || id.offset < log.start)
        return false;
    if (!log.snapshots.empty() && id.offset <= log.snapshots.back().id.offset) return false;
    const LogId end = end_of_epoch(log, id.epoch);
    return end.epoch == id.epoch && id.offset <= end.offset;
}

const LeaderState* Raft::progress() const {
    const auto* leading = std::get_if<Leading>(&role_);
    return leading == nullptr ? nullptr : &leading->state;
}

std::string Raft::print() const {
    const auto votes = [](const Votes& asked) {
        std::string text;
        for (const auto& [id, vote] : asked.voters)
            text += " " + std::to_string(id.value) +
                    (vote.second == Votes::State::open      ? "?"
                     : vote.second == Votes::State::granted ? "+"
                                                            : "-");
        return text;
    };
    std::string text = std::to_string(self_.id.value) + ": ";
    if (std::holds_alternative<Unattached>(role_)) text += "unattached";
    if (const auto* role = std::get_if<Follower>(&role_)) {
        text += role->has_fetched ? "follower" : "follower,new";
        if (role->snapshot.has_value())
            text += " snapshot=" + std::to_string(role->snapshot->id.offset.value) + "+" +
                    std::to_string(role->snapshot->position);
    }
    if (const auto* role = std::get_if<Prospective>(&role_))
        text += "prospective" + votes(role->votes);
    if (const auto* role = std::get_if<Candidate>(&role_)) text += "candidate" + votes(role->votes);
    if (const auto* role = std::get_if<Leading>(&role_)) {
        text += "leader " + role->state.print();
        if (role->resign) text += " resigning";
        for (const ParkedFetch& parked : role->parked)
            text += " parked:" + std::to_string(parked.request.replica.id.value);
        if (role->change.has_value())
            text += std::string(role->change->adds ? " adding:" : " removing:") +
                    std::to_string(role->change->voter.key.id.value);
    }
    if (const auto* role = std::get_if<Resigned>(&role_))
        text += "resigned left=" + std::to_string(role->unacknowledged.size());
    text += " epoch=" + std::to_string(election_.epoch.value) +
            " leader=" + std::to_string(election_.leader.value);
    if (election_.voted.has_value()) text += " voted=" + std::to_string(election_.voted->id.value);
    text += " hw=" + (high_watermark_ ? std::to_string(high_watermark_->value) : "?");
    if (leader_high_watermark_ != no_offset)
        text += "<=" + std::to_string(leader_high_watermark_.value);
    text += " voters=" + voters_.last().print();
    if (!is_voter()) text += " observer";
    return text + connections_.print();
}

}  // namespace klamm::raft
