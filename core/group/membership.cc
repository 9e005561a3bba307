// Joining, rebalancing, syncing, leaving: the classic group protocol.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/checksum.h"
#include "core/group/coordinator.h"

namespace klamm::group {

namespace {

JoinAnswer join_error(ErrorCode error, std::string member) {
    JoinAnswer answer;
    answer.error = error;
    answer.member = std::move(member);
    return answer;
}
SyncAnswer sync_error(ErrorCode error) {
    SyncAnswer answer;
    answer.error = error;
    return answer;
}

std::string uuid_text(std::uint64_t high, std::uint64_t low) {
    // A random one by RFC 4122: version 4, variant 2.
    high = (high & ~0xf000ULL) | 0x4000ULL;
    low = (low & ~(3ULL << 62)) | (2ULL << 62);
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                       high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

bool differs(const std::optional<std::string>& said, const std::optional<std::string>& is) {
    return said && is && *said != *is;
}

}  // namespace

// --- joining

void Coordinator::decide(const Turn& turn, Caller caller, const Join& join) {
    if (join.group.empty())
        return answer(caller, join_error(ErrorCode::invalid_group_id, join.member));
    if (join.session_ms < settings_.session_ms_min || join.session_ms > settings_.session_ms_max)
        return answer(caller, join_error(ErrorCode::invalid_session_timeout, join.member));
    Group* group = find(join.group);
    const bool is_new = group == nullptr;
    if (is_new) {
        if (!join.member.empty())
            return answer(caller, join_error(ErrorCode::unknown_member_id, join.member));
        group = &create(turn, join.group);
    }
    if (!accepts(*group, join.member)) {
        drop_member(*group, join.member);
        answer(caller, join_error(ErrorCode::group_max_size_reached, ""));
    } else if (join.member.empty()) {
        join_new(turn, caller, join, *group);
    } else {
        join_existing(turn, caller, join, *group);
    }
    if (!is_new || !writes_.empty()) return;
    // A new group is in the log from the beginning, without its first member.
    StoredGroup stored;
    stored.state_at = group->state_at();
    write({GroupRecord{join.group, std::move(stored)}}, Nothing{});
}

bool Coordinator::accepts(Group& group, const std::string& id) const {
    const Member* member = group.member(id);
    switch (group.state()) {
        case GroupState::empty: return true;
        case GroupState::preparing_rebalance:
            // By those that wait: the group may be larger than a lowered limit, and the last to
            // rejoin are to be left out.
            return (member != nullptr && member->joining) ||
                   group.joining() < settings_.members_max;
        case GroupState::completing_rebalance:
        case GroupState::stable:
            return member != nullptr || group.members().size() < settings_.members_max;
    }
    KLAMM_UNREACHABLE();
}

void Coordinator::join_new(const Turn& turn, Caller caller, const Join& join, Group& group) {
    if (!group.supports(join.protocol_type, join.protocols))
        return answer(caller, join_error(ErrorCode::inconsistent_group_protocol, ""));
    const std::string id = name_member(turn, join, group);
    ++group.members_named;
    if (join.instance) {
        if (group.static_member(*join.instance) != nullptr)
            return replace_static_member(turn, caller, join, group, id);
        return add_member(turn, caller, join, group, id);
    }
    if (!join.needs_known_member) return add_member(turn, caller, join, group, id);
    group.pending.emplace(
        id, timers_.add(turn.now + milliseconds(join.session_ms),
                        {.kind = TimerKind::session, .group = group.id, .member = id}));
    answer(caller, join_error(ErrorCode::member_id_required, id));
}

std::string Coordinator::name_member(const Turn& turn, const Join& join, Group& group) const {
    const std::string& prefix = join.instance ? *join.instance : join.client_id;
    // No other member was or will be the same name of this group: what it is drawn by counts them
    // within one epoch of the partition.
    const std::uint64_t entity =
        fold64(digest64(as_bytes(group.id), static_cast<std::uint64_t>(log_.epoch().value)),
               digest64(as_bytes(prefix), 0));
    constexpr DrawDomain domain = draw_domain("group.member");
    return fmt::format("{}-{}", prefix,
                       uuid_text(turn.draws.word(domain, entity, 2 * group.members_named),
                                 turn.draws.word(domain, entity, 2 * group.members_named + 1)));
}

JoinAnswer Coordinator::current_generation(const Group& group, const std::string& member,
                                           bool with_members) const {
    JoinAnswer answer;
    answer.generation = group.generation();
    answer.protocol_type = group.protocol_type();
    answer.protocol = group.protocol();
    answer.leader = group.leader().value_or("");
    answer.member = member;
    if (with_members) answer.members = group.members_with_metadata();
    return answer;
}

void Coordinator::join_existing(const Turn& turn, Caller caller, const Join& join, Group& group) {
    if (!group.supports(join.protocol_type, join.protocols))
        return answer(caller, join_error(ErrorCode::inconsistent_group_protocol, join.member));
    // A member that is pending was given its id as a dynamic one.
    if (group.pending.contains(join.member) && !join.instance)
        return add_member(turn, caller, join, group, join.member);
    if (const ErrorCode error = group.validate(join.member, join.instance);
        error != ErrorCode::none)
        return answer(caller, join_error(error, join.member));
    Member& member = *group.member(join.member);
    const bool leads = group.is_leader(join.member);
    const bool unchanged = member.protocols == join.protocols;
    switch (group.state()) {
        case GroupState::preparing_rebalance: break;
        case GroupState::completing_rebalance:
            // It may not have got the answer to its last join.
            if (unchanged) return answer(caller, current_generation(group, join.member, leads));
            break;
        case GroupState::stable:
            // A leader that joins again wants a rebalance, for what nobody else sees.
            if (!leads && unchanged)
                return answer(caller, current_generation(group, join.member, false));
            break;
        case GroupState::empty: KLAMM_UNREACHABLE();  // it has no members to be valid
    }
    update_member(member, join, caller);
    rebalance_or_complete(turn, group);
}

void Coordinator::add_member(const Turn& turn, Caller caller, const Join& join, Group& group,
                             const std::string& id) {
    if (const auto at = group.pending.find(id); at != group.pending.end())
        timers_.cancel(at->second);
    if (group.is(GroupState::preparing_rebalance) && group.previous_state() == GroupState::empty)
        group.new_member_added = true;
    group.add({.id = id,
               .instance = join.instance,
               .client_id = join.client_id,
               .client_host = join.client_host,
               .rebalance_ms = join.rebalance_ms,
               .session_ms = join.session_ms,
               .protocol_type = join.protocol_type,
               .protocols = join.protocols,
               .assignment = {},
               .is_new = true,
               .joining = caller,
               .syncing = {},
               .session = {}});
    // It has no id yet to send heartbeats with: a join that nobody waits for any more ends by this.
    Member& member = *group.member(id);
    member.session = timers_.add(turn.now + settings_.new_member_timeout,
                                 {.kind = TimerKind::session, .group = group.id, .member = id});
    rebalance_or_complete(turn, group);
}

void Coordinator::update_member(Member& member, const Join& join, std::optional<Caller> caller) {
    member.protocols = join.protocols;
    member.rebalance_ms = join.rebalance_ms;
    member.session_ms = join.session_ms;
    answer_join(member.joining, join_error(ErrorCode::rebalance_in_progress, member.id));
    member.joining = caller;
}

void Coordinator::replace_static_member(const Turn& turn, Caller caller, const Join& join,
                                        Group& group, const std::string& new_id) {
    const std::string old_id = *group.static_member(*join.instance);
    const std::optional<std::string> old_leader = group.leader();
    Member& old = *group.member(old_id);
    answer_join(old.joining, join_error(ErrorCode::fenced_instance_id, old_id));
    answer_sync(old.syncing, sync_error(ErrorCode::fenced_instance_id));
    const Member before = old;
    Member& member = group.replace_static(*join.instance, new_id);
    if (group.pending_sync.erase(old_id) > 0) group.pending_sync.insert(new_id);
    schedule_session(turn, group, member);
    update_member(member, join, caller);
    switch (group.state()) {
        case GroupState::stable: break;
        case GroupState::completing_rebalance:
            // The leader may already assign to the old id.
            return prepare_rebalance(turn, group);
        case GroupState::preparing_rebalance: return maybe_complete_join(turn, group);
        case GroupState::empty: KLAMM_UNREACHABLE();
    }
    if (group.protocol() != group.select_protocol()) return rebalance_or_complete(turn, group);
    // Nothing changes for the others: the new id is kept, and no rebalance is needed (KIP-345).
    std::map<std::string, Bytes> assignments;
    for (const auto& [id, one] : group.members()) assignments[id] = one.assignment;
    write({GroupRecord{group.id, group.stored(assignments)}},
          StaticMemberStored{group.id, *join.instance, old_id, new_id, before, old_leader, caller,
                             join.can_skip_assignment});
}

void Coordinator::static_member_stored(const Turn& turn, const StaticMemberStored& stored,
                                       ErrorCode error) {
    Group* group = find(stored.group);
    Member* member = group == nullptr ? nullptr : group->member(stored.new_member);
    // Another may have taken its place, or it may have left: then it was answered.
    if (member == nullptr || member->joining != stored.caller) return;
    JoinAnswer answer = current_generation(*group, stored.new_member, false);
    if (error != ErrorCode::none) {
        answer.error = error;
        answer.member.clear();
        answer.leader = stored.old_leader.value_or("");
        answer_join(member->joining, std::move(answer));
        member->protocols = stored.before.protocols;
        member->rebalance_ms = stored.before.rebalance_ms;
        member->session_ms = stored.before.session_ms;
        schedule_session(turn, *group, group->replace_static(stored.instance, stored.old_member));
        return;
    }
    if (stored.can_skip_assignment) {
        answer.skip_assignment = group->is_leader(stored.new_member);
        if (answer.skip_assignment) answer.members = group->members_with_metadata();
    } else {
        // The old id as leader: the member is not to compute an assignment again.
        answer.leader = stored.old_leader.value_or("");
    }
    answer_join(member->joining, std::move(answer));
}

// --- rebalancing

void Coordinator::rebalance_or_complete(const Turn& turn, Group& group) {
    if (group.can_rebalance())
        prepare_rebalance(turn, group);
    else
        maybe_complete_join(turn, group);
}

void Coordinator::prepare_rebalance(const Turn& turn, Group& group) {
    if (group.is(GroupState::completing_rebalance)) {
        for (const auto& [id, row] : group.members()) group.member(id)->assignment.clear();
        propagate(turn, group, ErrorCode::rebalance_in_progress);
    }
    group.pending_sync.clear();
    cancel(group.sync_timer);
    const bool initial = group.is(GroupState::empty);
    if (initial) {
        // More members may be about to come (KIP-134).
        const Duration delay = settings_.initial_delay;
        const Duration remaining = std::max(group.rebalance_timeout() - delay, Duration{});
        schedule_join(group, turn.now + delay,
                      {.kind = TimerKind::initial_join,
                       .group = group.id,
                       .member = {},
                       .delay = delay,
                       .remaining = remaining});
    }
    group.transition(GroupState::preparing_rebalance, turn.wall);
    if (initial) return;
    if (group.all_joined()) return complete_join(turn, group);
    schedule_join(group, turn.now + group.rebalance_timeout(),
                  {.kind = TimerKind::join, .group = group.id, .member = {}});
}

void Coordinator::maybe_complete_join(const Turn& turn, Group& group) {
    if (group.is(GroupState::preparing_rebalance) && group.previous_state() != GroupState::empty &&
        group.all_joined())
        complete_join(turn, group);
}

void Coordinator::extend_or_complete_join(const Turn& turn, Group& group, const Timer& timer) {
    group.join_timer.reset();
    if (!group.new_member_added || timer.remaining == Duration{}) return complete_join(turn, group);
    group.new_member_added = false;
    const Duration delay = std::min(settings_.initial_delay, timer.remaining);
    const Duration remaining = std::max(timer.remaining - timer.delay, Duration{});
    schedule_join(group, turn.now + delay,
                  {.kind = TimerKind::initial_join,
                   .group = group.id,
                   .member = {},
                   .delay = delay,
                   .remaining = remaining});
}

void Coordinator::complete_join(const Turn& turn, Group& group) {
    cancel(group.join_timer);
    std::vector<std::string> absent;
    for (const auto& [id, member] : group.members())
        if (!member.joining && !member.instance) absent.push_back(id);
    for (const std::string& id : absent) drop_member(group, id);
    if (!group.elect_joined_leader() && !group.members().empty()) {
        // Static members alone, and none of them joins: until their sessions end.
        schedule_join(group, turn.now + group.rebalance_timeout(),
                      {.kind = TimerKind::join, .group = group.id, .member = {}});
        return;
    }
    group.next_generation(turn.wall);
    if (group.is(GroupState::empty))
        return write({GroupRecord{group.id, group.stored({})}}, Nothing{});
    for (const auto& [id, row] : group.members()) {
        Member& member = *group.member(id);
        answer_join(member.joining, current_generation(group, id, group.is_leader(id)));
        schedule_session(turn, group, member);
        member.is_new = false;
        group.pending_sync.insert(id);
    }
    cancel(group.sync_timer);
    group.sync_timer =
        timers_.add(turn.now + group.rebalance_timeout(), {.kind = TimerKind::sync,
                                                           .group = group.id,
                                                           .member = {},
                                                           .generation = group.generation()});
}

/// The member is out, and whoever waits for it is told.
void Coordinator::drop_member(Group& group, const std::string& id) {
    if (const auto at = group.pending.find(id); at != group.pending.end())
        timers_.cancel(at->second);
    if (Member* member = group.member(id)) {
        answer_join(member->joining, join_error(ErrorCode::unknown_member_id, ""));
        answer_sync(member->syncing, sync_error(ErrorCode::unknown_member_id));
        cancel(member->session);
    }
    group.remove(id);
}

void Coordinator::member_gone(const Turn& turn, Group& group) {
    if (group.is(GroupState::stable) || group.is(GroupState::completing_rebalance))
        prepare_rebalance(turn, group);
    else if (group.is(GroupState::preparing_rebalance) && group.all_joined())
        complete_join(turn, group);
}

// --- syncing

void Coordinator::decide(const Turn&, Caller caller, const Sync& sync) {
    if (sync.group.empty()) return answer(caller, sync_error(ErrorCode::invalid_group_id));
    Group* group = find(sync.group);
    if (group == nullptr || group->is(GroupState::empty))
        return answer(caller, sync_error(ErrorCode::unknown_member_id));
    ErrorCode error = group->validate(sync.member, sync.instance);
    if (error == ErrorCode::none && sync.generation != group->generation())
        error = ErrorCode::illegal_generation;
    if (error == ErrorCode::none && (differs(sync.protocol_type, group->protocol_type()) ||
                                     differs(sync.protocol, group->protocol())))
        error = ErrorCode::inconsistent_group_protocol;
    if (error == ErrorCode::none && group->is(GroupState::preparing_rebalance))
        error = ErrorCode::rebalance_in_progress;
    if (error != ErrorCode::none) return answer(caller, sync_error(error));
    Member& member = *group->member(sync.member);
    sync_received(*group, sync.member);
    if (group->is(GroupState::stable)) {
        SyncAnswer current;
        current.protocol_type = group->protocol_type();
        current.protocol = group->protocol();
        current.assignment = member.assignment;
        return answer(caller, std::move(current));
    }
    answer_sync(member.syncing, sync_error(ErrorCode::rebalance_in_progress));
    member.syncing = caller;
    // What the leader says again has been said: a second record would give the generation another
    // assignment after a failover. (Kafka's writes it.)
    if (!group->is_leader(sync.member) || group->storing == group->generation()) return;
    group->storing = group->generation();
    write({GroupRecord{group->id, group->stored(sync.assignments)}},
          AssignmentStored{group->id, group->generation(), sync.assignments});
}

void Coordinator::sync_received(Group& group, const std::string& member) {
    group.pending_sync.erase(member);
    if (group.pending_sync.empty()) cancel(group.sync_timer);
}

void Coordinator::assignment_stored(const Turn& turn, const AssignmentStored& stored,
                                    ErrorCode error) {
    Group* group = find(stored.group);
    if (group != nullptr && group->storing == stored.generation) group->storing = -1;
    // Others may have joined meanwhile: then it is a generation's that is over.
    if (group == nullptr || !group->is(GroupState::completing_rebalance) ||
        group->generation() != stored.generation)
        return;
    if (error != ErrorCode::none) {
        for (const auto& [id, row] : group->members()) group->member(id)->assignment.clear();
        propagate(turn, *group, error);
        return rebalance_or_complete(turn, *group);
    }
    for (const auto& [id, row] : group->members()) {
        const auto given = stored.assignments.find(id);
        group->member(id)->assignment = given == stored.assignments.end() ? Bytes() : given->second;
    }
    propagate(turn, *group, ErrorCode::none);
    group->transition(GroupState::stable, turn.wall);
}

void Coordinator::propagate(const Turn& turn, Group& group, ErrorCode error) {
    for (const auto& [id, row] : group.members()) {
        Member& member = *group.member(id);
        if (!member.syncing) continue;
        SyncAnswer body;
        body.error = error;
        if (error == ErrorCode::none) {
            body.protocol_type = group.protocol_type();
            body.protocol = group.protocol();
        }
        body.assignment = member.assignment;
        answer_sync(member.syncing, std::move(body));
        // Its session may have ended while it waited, which did not count.
        schedule_session(turn, group, member);
    }
}

// --- heartbeats, leaving

void Coordinator::decide(const Turn& turn, Caller caller, const Heartbeat& heartbeat) {
    if (heartbeat.group.empty()) return answer(caller, PlainAnswer{ErrorCode::invalid_group_id});
    Group* group = find(heartbeat.group);
    ErrorCode error = group == nullptr ? ErrorCode::unknown_member_id
                                       : group->validate(heartbeat.member, heartbeat.instance);
    if (error == ErrorCode::none && heartbeat.generation != group->generation())
        error = ErrorCode::illegal_generation;
    if (error == ErrorCode::none) {
        schedule_session(turn, *group, *group->member(heartbeat.member));
        if (group->is(GroupState::preparing_rebalance)) error = ErrorCode::rebalance_in_progress;
    }
    answer(caller, PlainAnswer{error});
}

void Coordinator::decide(const Turn& turn, Caller caller, const Leave& leave) {
    LeaveAnswer body;
    Group* group = find(leave.group);
    if (leave.group.empty()) {
        body.error = ErrorCode::invalid_group_id;
        return answer(caller, std::move(body));
    }
    bool any = false;
    for (const Leave::Member& leaving : leave.members) {
        ErrorCode error = ErrorCode::unknown_member_id;
        std::string id = leaving.id;
        if (group != nullptr && id.empty()) {
            // An administrator removes a static member, whose id he does not know.
            const std::string* known =
                leaving.instance ? group->static_member(*leaving.instance) : nullptr;
            if (known != nullptr) {
                id = *known;
                error = ErrorCode::none;
            }
        } else if (group != nullptr) {
            error = group->pending.contains(id) ? ErrorCode::none
                                                : group->validate(id, leaving.instance);
        }
        if (error == ErrorCode::none) drop_member(*group, id);
        any = any || error == ErrorCode::none;
        body.members.push_back(error);
    }
    if (any) {
        if (group->is(GroupState::stable) || group->is(GroupState::completing_rebalance))
            prepare_rebalance(turn, *group);
        else
            maybe_complete_join(turn, *group);
    }
    if (writes_.empty()) return answer(caller, std::move(body));
    // That the group is empty is in the log before it is told so.
    KLAMM_ASSERT(std::holds_alternative<Nothing>(writes_.back().then));
    writes_.back().then = Reply{{caller, std::move(body)}, leave};
}

}  // namespace klamm::group
