// The coordinator's life, its writes and what follows them, its timers.
#include "core/group/coordinator.h"

#include <algorithm>

namespace klamm::group {

namespace {

// Tombstones of one batch: a cleanup of many groups is several writes.
constexpr std::size_t tombstones_max = 1'000;

template <class Body>
AnswerBody with_error(ErrorCode error) {
    Body body;
    body.error = error;
    return body;
}

struct Refusal {
    ErrorCode error;
    AnswerBody operator()(const Join& join) const {
        JoinAnswer body;
        body.error = error;
        body.member = join.member;
        return body;
    }
    AnswerBody operator()(const Sync&) const { return with_error<SyncAnswer>(error); }
    AnswerBody operator()(const Heartbeat&) const {
        const bool loads = error == ErrorCode::coordinator_load_in_progress;
        return PlainAnswer{loads ? ErrorCode::none : error};
    }
    AnswerBody operator()(const Leave&) const { return with_error<LeaveAnswer>(error); }
    AnswerBody operator()(const Commit&) const { return with_error<OffsetsAnswer>(error); }
    AnswerBody operator()(const Fetch&) const {
        // Consumers before 3.9 do not know the other code here.
        const bool retried = error == ErrorCode::coordinator_not_available;
        return with_error<FetchAnswer>(retried ? ErrorCode::not_coordinator : error);
    }
    AnswerBody operator()(const DeleteOffsets&) const { return with_error<OffsetsAnswer>(error); }
    AnswerBody operator()(const Describe&) const { return with_error<DescribeAnswer>(error); }
    AnswerBody operator()(const List&) const {
        // A partition that is led elsewhere has no groups here.
        const bool elsewhere = error == ErrorCode::not_coordinator;
        return with_error<ListAnswer>(elsewhere ? ErrorCode::none : error);
    }
    AnswerBody operator()(const Delete&) const { return PlainAnswer{error}; }
    AnswerBody operator()(const EndTransaction&) const { return PlainAnswer{error}; }
};

}  // namespace

/// Which group a record speaks of; nothing for a marker.
struct GroupOf {
    std::string operator()(const OffsetRecord& one) const { return one.group; }
    std::string operator()(const GroupRecord& one) const { return one.group; }
    std::string operator()(const PendingOffset& one) const { return one.offset.group; }
    std::string operator()(const TransactionEnd&) const { return {}; }
};

AnswerBody refusal(const Command& command, ErrorCode error) {
    return std::visit(Refusal{error}, command);
}

ErrorCode coordinator_error(ErrorCode append_error) {
    switch (append_error) {
        case ErrorCode::unknown_topic_or_partition:
        case ErrorCode::not_enough_replicas:
        case ErrorCode::not_enough_replicas_after_append:
        case ErrorCode::request_timed_out: return ErrorCode::coordinator_not_available;
        case ErrorCode::not_leader_or_follower:
        case ErrorCode::kafka_storage_error: return ErrorCode::not_coordinator;
        case ErrorCode::message_too_large:
        case ErrorCode::record_list_too_large: return ErrorCode::unknown_server_error;
        default: return append_error;
    }
}

// --- life

void Coordinator::lead(const Turn& turn) {
    log_.lead();
    for (const auto& [id, stored] : log_.latest().groups())
        groups_.emplace(std::piecewise_construct, std::forward_as_tuple(id),
                        std::forward_as_tuple(id, stored));
    for (const auto& [id, offsets] : log_.latest().offsets())
        if (!groups_.contains(id)) create(turn, id);
    for (const auto& [producer, groups] : log_.latest().pending())
        for (const auto& [id, offsets] : groups)
            if (!groups_.contains(id)) create(turn, id);
    for (auto& [id, group] : groups_) {
        std::vector<std::string> members;
        for (const auto& [member, row] : group.members()) members.push_back(member);
        for (const std::string& member : members)
            schedule_session(turn, group, *group.member(member));
        // In case group.max.size was lowered.
        if (members.size() > settings_.members_max) prepare_rebalance(turn, group);
    }
    timers_.add(turn.now + settings_.retention_check, {.kind = TimerKind::retention});
}

void Coordinator::resign() {
    for (const Consequence& then : log_.resign()) {
        if (const auto* reply = std::get_if<Reply>(&then))
            answer(reply->answer.caller, refusal(reply->command, ErrorCode::not_coordinator));
    }
    for (auto& [id, group] : groups_) {
        for (const auto& [name, row] : group.members()) {
            Member& member = *group.member(name);
            JoinAnswer join;
            join.error = ErrorCode::not_coordinator;
            join.member = name;
            answer_join(member.joining, std::move(join));
            SyncAnswer sync;
            sync.error = ErrorCode::not_coordinator;
            answer_sync(member.syncing, std::move(sync));
        }
    }
    KLAMM_ASSERT(writes_.empty());
    groups_.clear();
    timers_ = {};
}

void Coordinator::handle(const Turn& turn, Caller caller, Command command) {
    if (log_.phase() == replicated::Phase::following)
        return answer(caller, refusal(command, ErrorCode::not_coordinator));
    if (log_.phase() == replicated::Phase::loading)
        return answer(caller, refusal(command, ErrorCode::coordinator_load_in_progress));
    std::visit([&](const auto& one) { decide(turn, caller, one); }, command);
}

// --- writes

Write Coordinator::take_write() {
    Write write = std::move(writes_.front());
    writes_.pop_front();
    return write;
}

void Coordinator::written(const Turn& turn, Write write, Offset last) {
    std::vector<std::string> deleted;
    for (const GroupLogRecord& record : write.records)
        if (const auto* group = std::get_if<GroupRecord>(&record);
            group != nullptr && !group->value)
            deleted.push_back(group->group);
    log_.appended(std::move(write.records), last);
    for (const std::string& group : deleted) forget(group);
    if (std::holds_alternative<Reply>(write.then) &&
        std::holds_alternative<OffsetsAnswer>(std::get<Reply>(write.then).answer.body) &&
        turn.planted(Bug::offset_commit_acked_early)) {
        const Reply& reply = std::get<Reply>(write.then);
        return answer(reply.answer.caller, reply.answer.body);
    }
    log_.await(std::move(write.then), turn.now + settings_.commit_timeout);
}

void Coordinator::write_failed(const Turn& turn, Write write, ErrorCode append_error) {
    conclude(turn, write.then, coordinator_error(append_error));
    // A group that was made for these records alone was never made.
    for (const GroupLogRecord& record : write.records)
        forget_if_void(std::visit(GroupOf{}, record));
}

void Coordinator::on_high_watermark(const Turn& turn, Offset high_watermark) {
    for (const Consequence& then : log_.commit(high_watermark))
        conclude(turn, then, ErrorCode::none);
}

void Coordinator::conclude(const Turn& turn, const Consequence& then, ErrorCode error) {
    if (const auto* reply = std::get_if<Reply>(&then))
        answer(reply->answer.caller,
               error == ErrorCode::none ? reply->answer.body : refusal(reply->command, error));
    else if (const auto* stored = std::get_if<AssignmentStored>(&then))
        assignment_stored(turn, *stored, error);
    else if (const auto* member = std::get_if<StaticMemberStored>(&then))
        static_member_stored(turn, *member, error);
}

void Coordinator::answer_join(std::optional<Caller>& caller, JoinAnswer body) {
    if (const auto waiting = std::exchange(caller, std::nullopt)) answer(*waiting, std::move(body));
}

void Coordinator::answer_sync(std::optional<Caller>& caller, SyncAnswer body) {
    if (const auto waiting = std::exchange(caller, std::nullopt)) answer(*waiting, std::move(body));
}

// --- groups

Group* Coordinator::find(const std::string& group) {
    const auto at = groups_.find(group);
    return at == groups_.end() ? nullptr : &at->second;
}

Group& Coordinator::create(const Turn& turn, const std::string& group) {
    return groups_
        .emplace(std::piecewise_construct, std::forward_as_tuple(group),
                 std::forward_as_tuple(group, turn.wall))
        .first->second;
}

void Coordinator::forget(const std::string& id) {
    Group* group = find(id);
    if (group == nullptr) return;
    KLAMM_ASSERT(group->members().empty());
    for (const auto& [member, timer] : group->pending) timers_.cancel(timer);
    cancel(group->join_timer);
    cancel(group->sync_timer);
    groups_.erase(id);
}

void Coordinator::forget_if_void(const std::string& id) {
    const Group* group = find(id);
    if (group != nullptr && group->is(GroupState::empty) && group->members().empty() &&
        !log_.latest().knows(id))
        forget(id);
}

void Coordinator::write_tombstones(std::vector<GroupLogRecord> records) {
    for (std::size_t from = 0; from < records.size(); from += tombstones_max) {
        const std::size_t to = std::min(records.size(), from + tombstones_max);
        std::vector<GroupLogRecord> some;
        for (std::size_t i = from; i < to; ++i) some.push_back(std::move(records[i]));
        write(std::move(some), Nothing{});
    }
}

// --- timers

Instant Coordinator::deadline_min() const {
    return std::min(timers_.deadline_min(), log_.deadline_min());
}

void Coordinator::advance(const Turn& turn) {
    for (const Consequence& then : log_.expire(turn.now))
        conclude(turn, then, coordinator_error(ErrorCode::request_timed_out));
    while (const auto timer = timers_.pop_due(turn.now)) fire(turn, *timer);
}

void Coordinator::cancel(std::optional<TimerId>& timer) {
    if (timer) timers_.cancel(*timer);
    timer.reset();
}

void Coordinator::schedule_session(const Turn& turn, Group& group, Member& member) {
    cancel(member.session);
    member.session =
        timers_.add(turn.now + milliseconds(member.session_ms),
                    {.kind = TimerKind::session, .group = group.id, .member = member.id});
}

void Coordinator::schedule_join(Group& group, Instant deadline, Timer timer) {
    cancel(group.join_timer);
    group.join_timer = timers_.add(deadline, std::move(timer));
}

void Coordinator::fire(const Turn& turn, const Timer& timer) {
    if (timer.kind == TimerKind::retention) return expire_offsets(turn);
    Group* group = find(timer.group);
    KLAMM_ASSERT(group != nullptr);
    switch (timer.kind) {
        case TimerKind::session: return expire_session(turn, *group, timer.member);
        case TimerKind::join: return complete_join(turn, *group);
        case TimerKind::initial_join: return extend_or_complete_join(turn, *group, timer);
        case TimerKind::sync: return expire_sync(turn, *group, timer.generation);
        case TimerKind::retention: break;
    }
    KLAMM_UNREACHABLE();
}

void Coordinator::expire_session(const Turn& turn, Group& group, const std::string& id) {
    if (group.pending.contains(id)) {
        group.remove(id);
        if (group.is(GroupState::preparing_rebalance) && group.all_joined())
            complete_join(turn, group);
        return;
    }
    Member* member = group.member(id);
    KLAMM_ASSERT(member != nullptr);
    member->session.reset();
    if (member->satisfies_heartbeat()) return;
    drop_member(group, id);
    member_gone(turn, group);
}

void Coordinator::expire_sync(const Turn& turn, Group& group, std::int32_t generation) {
    group.sync_timer.reset();
    KLAMM_ASSERT(generation == group.generation());
    if (group.pending_sync.empty()) return;
    for (const std::string& member : std::set<std::string>(group.pending_sync))
        drop_member(group, member);
    prepare_rebalance(turn, group);
}

void Coordinator::expire_offsets(const Turn& turn) {
    timers_.add(turn.now + settings_.retention_check, {.kind = TimerKind::retention});
    std::vector<GroupLogRecord> records;
    for (const auto& [id, group] : groups_)
        if (expire_offsets_of(turn, group, records) && group.is(GroupState::empty))
            records.push_back(GroupRecord{id, std::nullopt});
    write_tombstones(std::move(records));
}

}  // namespace klamm::group
