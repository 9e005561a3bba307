// From what coordinators answer to responses. Texts and bytes are views: of the request's frame,
// and of the parts, until the response is encoded.
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/list_groups.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"
#include "core/protocol/messages/txn_offset_commit.h"
#include "core/server/group_requests.h"

namespace klamm::server {

namespace {

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS: all that a group can be asked for.
constexpr std::int32_t all_group_operations = 0x0d48;

protocol::NullableString view(const std::optional<std::string>& text) {
    return text ? protocol::NullableString(*text) : std::nullopt;
}

/// The request again: it was decoded once, and its frame is the same.
template <class Request>
Request again(const Incoming& request) {
    auto body = protocol::decode<Request>(request.body, request.version);
    KLAMM_ASSERT(body.ok());
    return std::move(*body);
}

template <class Body, class Parts>
const Body& only(const Parts& parts) {
    KLAMM_ASSERT(parts.size() == 1);
    return std::get<Body>(parts.front());
}

}  // namespace

void GroupRequests::answer_join(const Pending& pending) {
    const auto& joined = only<group::JoinAnswer>(pending.parts);
    protocol::JoinGroupResponse response;
    response.error_code = joined.error;
    response.generation_id = joined.generation;
    response.protocol_type = view(joined.protocol_type);
    // Before version 7 a name is never null.
    response.protocol_name = joined.protocol || pending.request.version >= 7
                                 ? view(joined.protocol)
                                 : protocol::NullableString("");
    response.leader = joined.leader;
    response.skip_assignment = joined.skip_assignment;
    response.member_id = joined.member;
    for (const auto& member : joined.members)
        response.members.push_back({.member_id = member.id,
                                    .group_instance_id = view(member.instance),
                                    .metadata = {member.metadata}});
    answer(pending.request, response);
}

void GroupRequests::answer_sync(const Pending& pending) {
    const auto& synced = only<group::SyncAnswer>(pending.parts);
    protocol::SyncGroupResponse response;
    response.error_code = synced.error;
    response.protocol_type = view(synced.protocol_type);
    response.protocol_name = view(synced.protocol);
    response.assignment = {synced.assignment};
    answer(pending.request, response);
}

void GroupRequests::answer_heartbeat(const Pending& pending) {
    protocol::HeartbeatResponse response;
    response.error_code = only<group::PlainAnswer>(pending.parts).error;
    answer(pending.request, response);
}

void GroupRequests::answer_leave(const Pending& pending) {
    const auto& left = only<group::LeaveAnswer>(pending.parts);
    protocol::LeaveGroupResponse response;
    response.error_code = left.error;
    const auto body = again<protocol::LeaveGroupRequest>(pending.request);
    if (pending.request.version < 3) {
        if (left.error == ErrorCode::none) response.error_code = left.members.at(0);
    } else if (left.error == ErrorCode::none) {
        for (std::size_t i = 0; i < body.members.size(); ++i)
            response.members.push_back({.member_id = body.members[i].member_id,
                                        .group_instance_id = body.members[i].group_instance_id,
                                        .error_code = left.members.at(i)});
    }
    answer(pending.request, response);
}

void GroupRequests::answer_commit(const Pending& pending) {
    protocol::OffsetCommitResponse response;
    const auto body = again<protocol::OffsetCommitRequest>(pending.request);
    const group::OffsetsAnswer none;
    const auto& answered = pending.parts.empty() ? none : only<group::OffsetsAnswer>(pending.parts);
    std::size_t named = 0;
    std::size_t asked = 0;
    for (const auto& topic : body.topics) {
        protocol::OffsetCommitResponseTopic row;
        row.name = topic.name;
        row.topic_id = topic.topic_id;
        for (const auto& one : topic.partitions) {
            ErrorCode error = pending.refused.at(named++);
            if (error == ErrorCode::none)
                error = answered.error != ErrorCode::none ? answered.error
                                                          : answered.partitions.at(asked++);
            row.partitions.push_back({.partition_index = one.partition_index, .error_code = error});
        }
        response.topics.push_back(std::move(row));
    }
    answer(pending.request, response);
}

void GroupRequests::answer_txn_commit(const Pending& pending) {
    protocol::TxnOffsetCommitResponse response;
    const auto body = again<protocol::TxnOffsetCommitRequest>(pending.request);
    const group::OffsetsAnswer none;
    const auto& answered = pending.parts.empty() ? none : only<group::OffsetsAnswer>(pending.parts);
    std::size_t named = 0;
    std::size_t asked = 0;
    for (const auto& topic : body.topics) {
        protocol::TxnOffsetCommitResponseTopic row;
        row.name = topic.name;
        for (const auto& one : topic.partitions) {
            ErrorCode error = pending.refused.at(named++);
            if (error == ErrorCode::none)
                error = answered.error != ErrorCode::none ? answered.error
                                                          : answered.partitions.at(asked++);
            // Clients of then do not know it (KAFKA-7296).
            if (pending.request.version < 2 && error == ErrorCode::coordinator_load_in_progress)
                error = ErrorCode::coordinator_not_available;
            row.partitions.push_back({.partition_index = one.partition_index, .error_code = error});
        }
        response.topics.push_back(std::move(row));
    }
    answer(pending.request, response);
}

void GroupRequests::answer_delete_offsets(const Pending& pending) {
    protocol::OffsetDeleteResponse response;
    const auto body = again<protocol::OffsetDeleteRequest>(pending.request);
    const auto& answered = only<group::OffsetsAnswer>(pending.parts);
    response.error_code = answered.error;
    std::size_t named = 0;
    std::size_t asked = 0;
    if (answered.error == ErrorCode::none) {
        for (const auto& topic : body.topics) {
            protocol::OffsetDeleteResponseTopic row;
            row.name = topic.name;
            for (const auto& one : topic.partitions) {
                ErrorCode error = pending.refused.at(named++);
                if (error == ErrorCode::none) error = answered.partitions.at(asked++);
                row.partitions.push_back(
                    {.partition_index = one.partition_index, .error_code = error});
            }
            response.topics.push_back(std::move(row));
        }
    }
    answer(pending.request, response);
}

namespace {

/// One partition's committed offset, in the struct of any version.
template <class Row>
Row fetched_row(const group::FetchAnswer::Partition& one, ErrorCode error) {
    Row row;
    row.partition_index = one.partition;
    row.committed_offset = no_offset;
    row.metadata = "";
    row.error_code = error;
    if (error == ErrorCode::none && one.offset) {
        row.committed_offset = one.offset->offset;
        row.committed_leader_epoch = one.offset->leader_epoch;
        row.metadata = one.offset->metadata;
    }
    return row;
}

/// Rows of what was fetched, topic by topic as they came. `refused` says which were not to be.
template <class Topic, class Row, class Topics>
std::vector<Topic> fetched_topics(const group::FetchAnswer& fetched, const Topics& asked,
                                  const std::vector<ErrorCode>& refused, std::size_t& named) {
    std::vector<Topic> topics;
    if (!asked) {
        for (const auto& one : fetched.partitions) {
            if (topics.empty() || topics.back().name != one.topic) {
                topics.emplace_back();
                topics.back().name = one.topic;
            }
            topics.back().partitions.push_back(fetched_row<Row>(one, one.error));
        }
        return topics;
    }
    std::size_t i = 0;
    for (const auto& topic : *asked) {
        Topic row;
        row.name = topic.name;
        if constexpr (requires { topic.topic_id; }) row.topic_id = topic.topic_id;
        for (const PartitionIndex partition : topic.partition_indexes) {
            group::FetchAnswer::Partition none;
            none.partition = partition;
            const ErrorCode error = refused.empty() ? fetched.error : refused.at(named++);
            const bool there = fetched.error == ErrorCode::none;
            // The texts are views of the answer's rows, which outlive them.
            const auto& one = there ? fetched.partitions.at(i++) : none;
            row.partitions.push_back(
                fetched_row<Row>(one, error != ErrorCode::none ? error : one.error));
        }
        topics.push_back(std::move(row));
    }
    return topics;
}

}  // namespace

void GroupRequests::answer_fetch(const Pending& pending) {
    protocol::OffsetFetchResponse response;
    const auto body = again<protocol::OffsetFetchRequest>(pending.request);
    std::size_t named = 0;
    if (pending.request.version < 8) {
        const auto& fetched = only<group::FetchAnswer>(pending.parts);
        // Version 1 has no error of its own: it stands at each partition.
        if (pending.request.version >= 2) response.error_code = fetched.error;
        if (pending.request.version < 2 || fetched.error == ErrorCode::none)
            response.topics = fetched_topics<protocol::OffsetFetchResponseTopic,
                                             protocol::OffsetFetchResponsePartition>(
                fetched, body.topics, pending.refused, named);
        return answer(pending.request, response);
    }
    for (std::size_t i = 0; i < body.groups.size(); ++i) {
        const auto& fetched = std::get<group::FetchAnswer>(pending.parts.at(i));
        protocol::OffsetFetchResponseGroup row;
        row.group_id = body.groups[i].group_id;
        row.error_code = fetched.error;
        auto topics = fetched_topics<protocol::OffsetFetchResponseTopics,
                                     protocol::OffsetFetchResponsePartitions>(
            fetched, body.groups[i].topics, pending.refused, named);
        if (fetched.error == ErrorCode::none) row.topics = std::move(topics);
        response.groups.push_back(std::move(row));
    }
    answer(pending.request, response);
}

void GroupRequests::answer_describe(const Pending& pending) {
    protocol::DescribeGroupsResponse response;
    const auto body = again<protocol::DescribeGroupsRequest>(pending.request);
    std::vector<std::string> messages(body.groups.size());
    for (std::size_t i = 0; i < body.groups.size(); ++i) {
        const auto& described = std::get<group::DescribeAnswer>(pending.parts.at(i));
        protocol::DescribeGroupsResponseGroup row;
        row.group_id = body.groups[i];
        row.error_code = described.error;
        const bool missing = described.error == ErrorCode::group_id_not_found;
        if (missing && pending.request.version < 6) row.error_code = ErrorCode::none;
        if (missing && pending.request.version >= 6) {
            messages[i] = "Group " + std::string(row.group_id) + " not found.";
            row.error_message = messages[i];
        }
        row.group_state = described.state;
        row.protocol_type = described.protocol_type;
        row.protocol_data = described.protocol;
        for (const auto& member : described.members)
            row.members.push_back({.member_id = member.id,
                                   .group_instance_id = view(member.instance),
                                   .client_id = member.client_id,
                                   .client_host = member.client_host,
                                   .member_metadata = {member.metadata},
                                   .member_assignment = {member.assignment}});
        if (body.include_authorized_operations && row.error_code == ErrorCode::none)
            row.authorized_operations = all_group_operations;
        response.groups.push_back(std::move(row));
    }
    answer(pending.request, response);
}

void GroupRequests::answer_list(const Pending& pending) {
    protocol::ListGroupsResponse response;
    for (const auto& part : pending.parts) {
        const auto& listed = std::get<group::ListAnswer>(part);
        if (listed.error != ErrorCode::none) response.error_code = listed.error;
        for (const auto& one : listed.groups)
            response.groups.push_back({.group_id = one.id,
                                       .protocol_type = one.protocol_type,
                                       .group_state = one.state,
                                       .group_type = "classic"});
    }
    if (response.error_code != ErrorCode::none) response.groups.clear();
    answer(pending.request, response);
}

void GroupRequests::answer_delete(const Pending& pending) {
    protocol::DeleteGroupsResponse response;
    const auto body = again<protocol::DeleteGroupsRequest>(pending.request);
    for (std::size_t i = 0; i < body.groups_names.size(); ++i)
        response.results.push_back(
            {.group_id = body.groups_names[i],
             .error_code = std::get<group::PlainAnswer>(pending.parts.at(i)).error});
    answer(pending.request, response);
}

}  // namespace klamm::server
