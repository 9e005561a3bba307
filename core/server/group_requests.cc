// From requests about groups to commands. Answers are made in group_answers.cc.
#include "core/server/group_requests.h"

#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/list_groups.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"
#include "core/protocol/messages/txn_offset_commit.h"
#include "core/replicated/partition_of.h"
#include "core/server/forwarder.h"

namespace klamm::server {

namespace {

constexpr std::int8_t group_key_type = 0;
constexpr std::int8_t transaction_key_type = 1;

std::optional<std::string> owned(const protocol::NullableString& text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
}
Bytes owned(const protocol::Blob& blob) { return {blob.bytes.begin(), blob.bytes.end()}; }

/// Kafka's InetAddress.toString(): "/10.0.0.1".
std::string host_of(const std::string& peer) {
    const std::size_t colon = peer.rfind(':');
    return "/" + (colon == std::string::npos ? peer : peer.substr(0, colon));
}

}  // namespace

void GroupRequests::on(const GroupOutcome& outcome) {
    row_of(outcome.reply.pending).parts.at(outcome.reply.part) = *outcome.answer;
    settled(outcome.reply.pending);
}

void GroupRequests::finish(const Pending& pending) {
    switch (pending.api) {
        case protocol::ApiKey::join_group: return answer_join(pending);
        case protocol::ApiKey::sync_group: return answer_sync(pending);
        case protocol::ApiKey::heartbeat: return answer_heartbeat(pending);
        case protocol::ApiKey::leave_group: return answer_leave(pending);
        case protocol::ApiKey::offset_commit: return answer_commit(pending);
        case protocol::ApiKey::txn_offset_commit: return answer_txn_commit(pending);
        case protocol::ApiKey::offset_fetch: return answer_fetch(pending);
        case protocol::ApiKey::offset_delete: return answer_delete_offsets(pending);
        case protocol::ApiKey::describe_groups: return answer_describe(pending);
        case protocol::ApiKey::list_groups: return answer_list(pending);
        case protocol::ApiKey::delete_groups: return answer_delete(pending);
        default: KLAMM_UNREACHABLE();
    }
}

/// The error of a partition that a commit names, and its topic's name.
ErrorCode GroupRequests::known(std::string_view topic, const Uuid& id, bool by_id,
                               PartitionIndex partition, std::string& name) const {
    std::optional<Uuid> topic_id = id;
    name = topic;
    if (!by_id) {
        topic_id = context_.image->topic_id(name);
        if (!topic_id) return ErrorCode::unknown_topic_or_partition;
    } else {
        const metadata::TopicImage* image = context_.image->topic(id);
        if (image == nullptr) return ErrorCode::unknown_topic_id;
        name = image->name;
    }
    return context_.image->partition({*topic_id, partition}) == nullptr
               ? ErrorCode::unknown_topic_or_partition
               : ErrorCode::none;
}

bool GroupRequests::handle(protocol::ApiKey api, const Incoming& request,
                           std::optional<std::string>& problem) {
    const std::int16_t version = request.version;
    switch (api) {
        case protocol::ApiKey::find_coordinator: find_coordinator(request, problem); return true;
        case protocol::ApiKey::join_group:
            begin<protocol::JoinGroupRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    group::Join join;
                    join.group = body.group_id;
                    join.member = body.member_id;
                    join.instance = owned(body.group_instance_id);
                    join.protocol_type = body.protocol_type;
                    for (const auto& one : body.protocols)
                        join.protocols.push_back({std::string(one.name), owned(one.metadata)});
                    join.session_ms = body.session_timeout_ms;
                    join.rebalance_ms =
                        version >= 1 ? body.rebalance_timeout_ms : body.session_timeout_ms;
                    join.client_id = request.client_id;
                    join.client_host = host_of(inbound_.peer(request.key.connection));
                    join.needs_known_member = version >= 4;
                    join.can_skip_assignment = version >= 9;
                    ask(pending, id, body.group_id, std::move(join));
                });
            return true;
        case protocol::ApiKey::sync_group:
            begin<protocol::SyncGroupRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    group::Sync sync;
                    sync.group = body.group_id;
                    sync.generation = body.generation_id;
                    sync.member = body.member_id;
                    sync.instance = owned(body.group_instance_id);
                    sync.protocol_type = owned(body.protocol_type);
                    sync.protocol = owned(body.protocol_name);
                    for (const auto& one : body.assignments)
                        sync.assignments[std::string(one.member_id)] = owned(one.assignment);
                    ask(pending, id, body.group_id, std::move(sync));
                });
            return true;
        case protocol::ApiKey::heartbeat:
            begin<protocol::HeartbeatRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    ask(pending, id, body.group_id,
                        group::Heartbeat{std::string(body.group_id), body.generation_id,
                                         std::string(body.member_id),
                                         owned(body.group_instance_id)});
                });
            return true;
        case protocol::ApiKey::leave_group:
            begin<protocol::LeaveGroupRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    group::Leave leave{std::string(body.group_id), {}};
                    if (version < 3) leave.members.push_back({std::string(body.member_id), {}});
                    for (const auto& one : body.members)
                        leave.members.push_back(
                            {std::string(one.member_id), owned(one.group_instance_id)});
                    ask(pending, id, body.group_id, std::move(leave));
                });
            return true;
        case protocol::ApiKey::offset_commit:
            begin<protocol::OffsetCommitRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    group::Commit commit;
                    commit.group = body.group_id;
                    commit.generation = body.generation_id_or_member_epoch;
                    commit.member = body.member_id;
                    commit.instance = owned(body.group_instance_id);
                    commit.retention_ms = body.retention_time_ms;
                    commit.knows_missing_group = version >= 9;
                    for (const auto& topic : body.topics)
                        for (const auto& one : topic.partitions) {
                            group::Commit::Partition row;
                            pending.refused.push_back(known(topic.name, topic.topic_id,
                                                            version >= 10, one.partition_index,
                                                            row.topic));
                            if (pending.refused.back() != ErrorCode::none) continue;
                            row.partition = one.partition_index;
                            row.offset.offset = one.committed_offset;
                            row.offset.leader_epoch = one.committed_leader_epoch;
                            row.offset.metadata = one.committed_metadata.value_or("");
                            row.offset.topic_id = topic.topic_id;
                            commit.partitions.push_back(std::move(row));
                        }
                    if (!commit.partitions.empty() || pending.refused.empty())
                        ask(pending, id, body.group_id, std::move(commit));
                });
            return true;
        case protocol::ApiKey::txn_offset_commit:
            begin<protocol::TxnOffsetCommitRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    group::Commit commit;
                    commit.group = body.group_id;
                    commit.generation = body.generation_id;
                    commit.member = body.member_id;
                    commit.instance = owned(body.group_instance_id);
                    commit.transaction = {body.producer_id, body.producer_epoch, -1};
                    commit.transactional_id = body.transactional_id;
                    commit.request_version = version;
                    for (const auto& topic : body.topics)
                        for (const auto& one : topic.partitions) {
                            group::Commit::Partition row;
                            pending.refused.push_back(
                                known(topic.name, {}, false, one.partition_index, row.topic));
                            if (pending.refused.back() != ErrorCode::none) continue;
                            row.partition = one.partition_index;
                            row.offset.offset = one.committed_offset;
                            row.offset.leader_epoch = one.committed_leader_epoch;
                            row.offset.metadata = one.committed_metadata.value_or("");
                            commit.partitions.push_back(std::move(row));
                        }
                    if (!commit.partitions.empty() || pending.refused.empty())
                        ask(pending, id, body.group_id, std::move(commit));
                });
            return true;
        case protocol::ApiKey::offset_fetch:
            begin<protocol::OffsetFetchRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    const auto fetch = [&](std::string_view name, const auto& topics) {
                        group::Fetch command{std::string(name), std::nullopt, body.require_stable};
                        if (topics) {
                            command.partitions.emplace();
                            for (const auto& topic : *topics)
                                for (const PartitionIndex partition : topic.partition_indexes) {
                                    group::Fetch::Partition row;
                                    row.topic = topic.name;
                                    row.partition = partition;
                                    if constexpr (requires { topic.topic_id; })
                                        if (version >= 10) {
                                            pending.refused.push_back(known(
                                                "", topic.topic_id, true, partition, row.topic));
                                            row.topic_id = topic.topic_id;
                                        }
                                    command.partitions->push_back(std::move(row));
                                }
                        }
                        ask(pending, id, name, std::move(command));
                    };
                    if (version < 8) fetch(body.group_id, body.topics);
                    for (const auto& one : body.groups) fetch(one.group_id, one.topics);
                });
            return true;
        case protocol::ApiKey::offset_delete:
            begin<protocol::OffsetDeleteRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    group::DeleteOffsets command{std::string(body.group_id), {}};
                    std::string name;
                    for (const auto& topic : body.topics)
                        for (const auto& one : topic.partitions) {
                            pending.refused.push_back(
                                known(topic.name, {}, false, one.partition_index, name));
                            if (pending.refused.back() == ErrorCode::none)
                                command.partitions.emplace_back(topic.name, one.partition_index);
                        }
                    ask(pending, id, body.group_id, std::move(command));
                });
            return true;
        case protocol::ApiKey::describe_groups:
            begin<protocol::DescribeGroupsRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    for (const std::string_view name : body.groups)
                        ask(pending, id, name, group::Describe{std::string(name)});
                });
            return true;
        case protocol::ApiKey::list_groups:
            begin<protocol::ListGroupsRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    group::List command;
                    for (const std::string_view one : body.states_filter)
                        command.states.emplace_back(one);
                    for (const std::string_view one : body.types_filter)
                        command.types.emplace_back(one);
                    ask_all(pending, id, std::move(command));
                });
            return true;
        case protocol::ApiKey::delete_groups:
            begin<protocol::DeleteGroupsRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    for (const std::string_view name : body.groups_names)
                        ask(pending, id, name, group::Delete{std::string(name)});
                });
            return true;
        default: return false;
    }
}

void GroupRequests::find_coordinator(const Incoming& request, std::optional<std::string>& problem) {
    const auto body =
        protocol::decode<protocol::FindCoordinatorRequest>(request.body, request.version);
    if (!body.ok()) {
        problem = body.error().text;
        return;
    }
    const auto find = [&](std::string_view key) {
        protocol::FindCoordinatorResponseCoordinator row;
        row.key = key;
        row.node_id = no_broker;
        row.port = -1;
        row.error_code = ErrorCode::coordinator_not_available;
        if (body->key_type != group_key_type && body->key_type != transaction_key_type) {
            row.error_code = ErrorCode::invalid_request;
            return row;
        }
        const std::string name(body->key_type == group_key_type ? group::offsets_topic
                                                                : transaction::transactions_topic);
        const auto topic = context_.image->topic_id(name);
        if (!topic) {
            context_.post(0, creatable_topic(context_.settings.options, name));
            return row;
        }
        const auto& partitions = context_.image->topic(*topic)->partitions;
        if (partitions.empty()) return row;
        const auto at = partitions.find(PartitionIndex(
            replicated::partition_of(key, static_cast<std::int32_t>(partitions.size()))));
        if (at == partitions.end()) return row;
        const metadata::BrokerImage* leader = context_.image->broker(at->second.leader);
        if (leader == nullptr || leader->fenced || leader->endpoints.empty()) return row;
        row.error_code = ErrorCode::none;
        row.node_id = at->second.leader;
        row.host = leader->endpoints.front().host;
        row.port = leader->endpoints.front().port;
        return row;
    };
    const auto message = [](ErrorCode error) -> protocol::NullableString {
        if (error == ErrorCode::none) return std::nullopt;
        return error == ErrorCode::invalid_request
                   ? "This most likely occurs because of a request being malformed by the client "
                     "library or the message was sent to an incompatible broker. See the broker "
                     "logs for more details."
                   : "The coordinator is not available.";
    };
    protocol::FindCoordinatorResponse response;
    if (request.version >= 4) {
        for (const std::string_view key : body->coordinator_keys) {
            response.coordinators.push_back(find(key));
            response.coordinators.back().error_message =
                message(response.coordinators.back().error_code);
            if (response.coordinators.back().error_code == ErrorCode::none)
                response.coordinators.back().error_message = "";
        }
        return answer(request, response);
    }
    const auto found = find(body->key);
    response.error_code = found.error_code;
    response.error_message = found.error_code == ErrorCode::none ? protocol::NullableString("NONE")
                                                                 : message(found.error_code);
    response.node_id = found.node_id;
    response.host = found.host;
    response.port = found.port;
    answer(request, response);
}

}  // namespace klamm::server
