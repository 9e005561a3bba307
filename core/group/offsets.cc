// Offsets: committing, fetching, forgetting and expiring them; and what is asked of whole groups.
#include <algorithm>

#include "core/group/coordinator.h"

namespace klamm::group {

namespace {

std::string lower(std::string_view text) {
    std::string low;
    for (const char c : text)
        low.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    return low;
}

/// KIP-447: an offset that a transaction may change is not told.
void unstable(FetchAnswer::Partition& row) {
    row.offset.reset();
    row.error = ErrorCode::unstable_offset_commit;
}

std::string trimmed(std::string text) {
    while (!text.empty() && text.back() == ' ') text.pop_back();
    while (!text.empty() && text.front() == ' ') text.erase(0, 1);
    return text;
}

}  // namespace

ErrorCode Coordinator::validate_commit(const Turn& turn, const Commit& commit, const Group& group) {
    // A consumer that assigns itself its partitions, or an administrator.
    if (commit.generation < 0 && group.is(GroupState::empty)) return ErrorCode::none;
    const bool transactional = commit.transaction.producer != no_producer_id;
    if (commit.generation < 0 && commit.member.empty() && !commit.instance)
        // Before KIP-447 a transaction's commit did not say whose it is.
        return transactional ? ErrorCode::none : ErrorCode::unknown_member_id;
    if (const ErrorCode error = group.validate(commit.member, commit.instance);
        error != ErrorCode::none && !turn.planted(Bug::zombie_commit_accepted))
        return error;
    if (commit.generation != group.generation() && !turn.planted(Bug::zombie_commit_accepted))
        [[likely]]
        return ErrorCode::illegal_generation;
    if (group.is(GroupState::completing_rebalance) && !transactional)
        return ErrorCode::rebalance_in_progress;
    return ErrorCode::none;
}

void Coordinator::decide(const Turn& turn, Caller caller, const Commit& commit) {
    OffsetsAnswer body;
    Group* group = find(commit.group);
    if (group == nullptr && commit.generation < 0)
        group = &create(turn, commit.group);
    else if (group == nullptr)
        body.error = commit.knows_missing_group ? ErrorCode::group_id_not_found
                                                : ErrorCode::illegal_generation;
    if (group != nullptr) body.error = validate_commit(turn, commit, *group);
    if (body.error != ErrorCode::none) return answer(caller, std::move(body));
    // Who commits lives.
    if (Member* member = group->member(commit.member);
        member != nullptr &&
        (group->is(GroupState::stable) || group->is(GroupState::preparing_rebalance)))
        schedule_session(turn, *group, *member);
    std::vector<GroupLogRecord> records;
    for (const Commit::Partition& partition : commit.partitions) {
        const bool too_large = partition.offset.metadata.size() > settings_.metadata_bytes_max;
        body.partitions.push_back(too_large ? ErrorCode::offset_metadata_too_large
                                            : ErrorCode::none);
        if (too_large) continue;
        CommittedOffset offset = partition.offset;
        offset.committed_at = turn.wall;
        if (commit.retention_ms >= 0) offset.expires_at = turn.wall + commit.retention_ms;
        OffsetRecord record{
            commit.group, {partition.topic, partition.partition}, std::move(offset)};
        if (commit.transaction.producer != no_producer_id)
            records.push_back(PendingOffset{commit.transaction.producer, std::move(record)});
        else
            records.push_back(std::move(record));
    }
    if (records.empty()) {
        forget_if_void(commit.group);
        return answer(caller, std::move(body));
    }
    write(std::move(records), Reply{{caller, std::move(body)}, commit}, commit.transaction);
}

void Coordinator::decide(const Turn&, Caller caller, const EndTransaction& end) {
    write({TransactionEnd{end.transaction.producer, end.commit}},
          Reply{{caller, PlainAnswer{}}, end}, end.transaction);
}

void Coordinator::decide(const Turn& turn, Caller caller, const Fetch& fetch) {
    const GroupLog& state = fetch.stable ? log_.latest() : log_.committed();
    const GroupLog::Offsets* offsets = state.offsets(fetch.group);
    FetchAnswer body;
    if (!fetch.partitions) {
        if (offsets != nullptr)
            for (const auto& [partition, offset] : *offsets)
                body.partitions.push_back({partition.first, partition.second, offset, {}});
        if (fetch.stable)
            for (FetchAnswer::Partition& row : body.partitions)
                if (state.pending(fetch.group, {row.topic, row.partition})) unstable(row);
    } else {
        for (const Fetch::Partition& asked : *fetch.partitions) {
            FetchAnswer::Partition row{asked.topic, asked.partition, std::nullopt, {}};
            if (offsets != nullptr)
                if (const auto at = offsets->find({asked.topic, asked.partition});
                    at != offsets->end())
                    row.offset = at->second;
            // An offset of a topic of that name which is gone says nothing of the new one.
            if (row.offset && !row.offset->topic_id.is_zero() && !asked.topic_id.is_zero() &&
                row.offset->topic_id != asked.topic_id)
                row.offset.reset();
            if (fetch.stable && state.pending(fetch.group, {asked.topic, asked.partition}))
                unstable(row);
            body.partitions.push_back(std::move(row));
        }
    }
    if (!fetch.stable || !log_.pending()) return answer(caller, std::move(body));
    log_.await(Reply{{caller, std::move(body)}, fetch}, turn.now + settings_.commit_timeout);
}

void Coordinator::decide(const Turn&, Caller caller, const DeleteOffsets& request) {
    OffsetsAnswer body;
    const Group* group = find(request.group);
    if (request.group.empty())
        body.error = ErrorCode::invalid_group_id;
    else if (group == nullptr)
        body.error = ErrorCode::group_id_not_found;
    else if (!group->is(GroupState::empty) && !group->is_consumer_group())
        body.error = ErrorCode::non_empty_group;
    if (body.error != ErrorCode::none) return answer(caller, std::move(body));
    const GroupLog::Offsets* offsets = log_.latest().offsets(request.group);
    std::vector<GroupLogRecord> records;
    for (const TopicAndPartition& partition : request.partitions) {
        const bool subscribed = group->subscribes(partition.first);
        body.partitions.push_back(subscribed ? ErrorCode::group_subscribed_to_topic
                                             : ErrorCode::none);
        if (!subscribed && offsets != nullptr && offsets->contains(partition))
            records.push_back(OffsetRecord{request.group, partition, std::nullopt});
    }
    if (records.empty()) return answer(caller, std::move(body));
    write(std::move(records), Reply{{caller, std::move(body)}, request});
}

bool Coordinator::expire_offsets_of(const Turn& turn, const Group& group,
                                    std::vector<GroupLogRecord>& records) const {
    const GroupLog::Offsets* offsets = log_.latest().offsets(group.id);
    if (offsets == nullptr) return log_.latest().pending(group.id).empty();
    // KIP-211: of a group with members only offsets of topics that it does not read; of one
    // without, counted from when it became empty; of one that never had any, from the commit.
    const bool by_state = group.protocol_type() && group.is(GroupState::empty);
    const bool by_commit =
        !group.protocol_type() ||
        (group.is_consumer_group() && group.knows_subscription() && group.is(GroupState::stable));
    if (!by_state && !by_commit) return false;
    bool all = true;
    for (const auto& [partition, offset] : *offsets) {
        Timestamp from = offset.committed_at;
        if (by_state && group.state_at() != no_timestamp) from = group.state_at();
        const bool expired = offset.expires_at != no_timestamp
                                 ? turn.wall >= offset.expires_at
                                 : milliseconds(turn.wall - from) >= settings_.retention;
        if (expired && !group.subscribes(partition.first) &&
            !log_.latest().pending(group.id, partition))
            records.push_back(OffsetRecord{group.id, partition, std::nullopt});
        else
            all = false;
    }
    return all;
}

void Coordinator::forget_topics(const std::set<std::string>& topics) {
    if (!log_.leading()) return;
    std::vector<GroupLogRecord> records;
    for (const auto& [group, offsets] : log_.latest().offsets())
        for (const auto& [partition, offset] : offsets)
            if (topics.contains(partition.first))
                records.push_back(OffsetRecord{group, partition, std::nullopt});
    write_tombstones(std::move(records));
}

// --- whole groups

void Coordinator::decide(const Turn&, Caller caller, const Describe& describe) {
    DescribeAnswer body;
    Group* group = find(describe.group);
    if (group == nullptr || !log_.committed().knows(describe.group)) {
        body.error = ErrorCode::group_id_not_found;
        body.state = "Dead";
        return answer(caller, std::move(body));
    }
    body.state = to_string(group->state());
    body.protocol_type = group->protocol_type().value_or("");
    const bool stable = group->is(GroupState::stable);
    if (stable) body.protocol = group->protocol().value_or("");
    for (const auto& [id, member] : group->members()) {
        const Bytes* metadata = stable ? member.metadata(body.protocol) : nullptr;
        body.members.push_back({.id = id,
                                .instance = member.instance,
                                .client_id = member.client_id,
                                .client_host = member.client_host,
                                .metadata = metadata == nullptr ? Bytes() : *metadata,
                                .assignment = member.assignment});
    }
    answer(caller, std::move(body));
}

void Coordinator::decide(const Turn&, Caller caller, const List& list) {
    std::set<std::string> states;
    for (const std::string& state : list.states) states.insert(trimmed(lower(state)));
    const bool any_type = list.types.empty() ||
                          std::any_of(list.types.begin(), list.types.end(),
                                      [](const auto& type) { return lower(type) == "classic"; });
    ListAnswer body;
    for (const auto& [id, group] : groups_) {
        if (!any_type || !log_.committed().knows(id)) continue;
        const char* state = to_string(group.state());
        if (!states.empty() && !states.contains(lower(state))) continue;
        body.groups.push_back({id, group.protocol_type().value_or(""), state});
    }
    answer(caller, std::move(body));
}

void Coordinator::decide(const Turn&, Caller caller, const Delete& request) {
    const Group* group = find(request.group);
    if (group == nullptr) return answer(caller, PlainAnswer{ErrorCode::group_id_not_found});
    if (!group->is(GroupState::empty))
        return answer(caller, PlainAnswer{ErrorCode::non_empty_group});
    std::vector<GroupLogRecord> records;
    std::set<TopicAndPartition> partitions = log_.latest().pending(request.group);
    if (const GroupLog::Offsets* offsets = log_.latest().offsets(request.group))
        for (const auto& [partition, offset] : *offsets) partitions.insert(partition);
    for (const TopicAndPartition& partition : partitions)
        records.push_back(OffsetRecord{request.group, partition, std::nullopt});
    records.push_back(GroupRecord{request.group, std::nullopt});
    write(std::move(records), Reply{{caller, PlainAnswer{}}, request});
}

}  // namespace klamm::group
