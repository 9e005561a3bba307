// The requests that brokers send to the metadata node.
#include <fmt/format.h>

#include <algorithm>

#include "core/metadata/records.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/frame.h"
#include "core/protocol/messages/allocate_producer_ids.h"
#include "core/protocol/messages/alter_partition.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/broker_heartbeat.h"
#include "core/protocol/messages/broker_registration.h"
#include "core/protocol/messages/envelope.h"
#include "core/protocol/messages/fetch.h"
#include "core/server/administration.h"
#include "core/server/controller_link.h"
#include "core/server/metadata_node.h"

namespace klamm::server {

namespace {
constexpr std::int32_t producer_ids_block = 1'000;
constexpr std::uint64_t fetch_bytes_max = 8 << 20;
}  // namespace

template <class Response>
void MetadataNode::reply(const Asked& asked, const Response& response) {
    reply_frame(asked,
                protocol::encode_response_frame(response, asked.version, asked.correlation).bytes);
}

void MetadataNode::reply_frame(const Asked& asked, Bytes frame) {
    replies_.push_back(
        {log_end(), asked, wrapped(asked, std::move(frame), protocol::ErrorCode::none)});
}

void MetadataNode::refuse(const Asked& asked, std::string_view why) {
    env_->log(fmt::format("closing a connection: {}", why));
    inbound_.close(*env_, asked.key.connection);
}

void MetadataNode::dispatch(const net::Request& request) {
    protocol::Reader reader(request.frame);
    const auto header = protocol::decode_request_header(reader);
    Asked asked{
        .key = request.key, .frame = request.frame, .body = {}, .version = 0, .correlation = 0};
    if (!header.ok()) return refuse(asked, header.error().text);
    asked.body = reader.bytes(reader.remaining());
    asked.version = header->api_version;
    asked.correlation = header->correlation_id;
    asked.api = header->api_key;
    if (quorum_ != nullptr && raft::is_quorum_api(asked.api))
        return quorum_->on_request(*env_, {request.key, *header, asked.body});
    const protocol::ApiInfo* api = protocol::find_api(header->api_key);
    KLAMM_ASSERT(api != nullptr);
    if (!api->serves(asked.version) && api->key != protocol::ApiKey::api_versions)
        return refuse(asked, fmt::format("{} has no version {}", api->name, asked.version));
    if (!serving_) return answer_error(asked, protocol::ErrorCode::not_controller);
    if (const auto refusal =
            env_->turn().refusal(static_cast<std::int16_t>(asked.api), asked.correlation,
                                 header->client_id.value_or("")))
        return answer_error(asked, static_cast<protocol::ErrorCode>(*refusal));
    if (administer(asked)) return;
    switch (api->key) {
        case protocol::ApiKey::api_versions: return handle_api_versions(asked);
        case protocol::ApiKey::broker_registration: return handle_registration(asked);
        case protocol::ApiKey::broker_heartbeat: return handle_heartbeat(asked);
        case protocol::ApiKey::alter_partition: return handle_alter_partition(asked);
        case protocol::ApiKey::allocate_producer_ids: return handle_producer_ids(asked);
        case protocol::ApiKey::fetch: return handle_fetch(asked);
        default: return refuse(asked, fmt::format("{} is not served by a controller", api->name));
    }
}

/// To what only the active controller answers.
void MetadataNode::answer_error(const Asked& asked, protocol::ErrorCode error) {
    const auto answer = [&](auto response) {
        response.error_code = error;
        inbound_.respond(*env_, asked.key,
                         net::to_pieces(protocol::encode_response_frame(response, asked.version,
                                                                        asked.correlation)));
    };
    if (asked.envelope) return inbound_.respond(*env_, asked.key, wrapped(asked, {}, error));
    switch (asked.api) {
        case protocol::ApiKey::envelope: return answer(protocol::EnvelopeResponse{});
        case protocol::ApiKey::broker_registration:
            return answer(protocol::BrokerRegistrationResponse{});
        case protocol::ApiKey::broker_heartbeat: return answer(protocol::BrokerHeartbeatResponse{});
        case protocol::ApiKey::alter_partition: return answer(protocol::AlterPartitionResponse{});
        case protocol::ApiKey::allocate_producer_ids:
            return answer(protocol::AllocateProducerIdsResponse{});
        default: break;
    }
    if (auto refusal =
            refuse_administration(asked.api, asked.body, asked.version, asked.correlation, error))
        return inbound_.respond(*env_, asked.key, {Buffer::from(std::move(*refusal))});
    inbound_.close(*env_, asked.key.connection);
}

void MetadataNode::handle_api_versions(const Asked& asked) {
    protocol::ApiVersionsResponse response;
    Asked answered = asked;
    const protocol::ApiInfo* api = protocol::find_api(protocol::ApiKey::api_versions);
    if (!api->serves(asked.version)) {
        answered.version = 0;
        response.error_code = protocol::ErrorCode::unsupported_version;
    }
    response.api_keys = protocol::advertised_apis(protocol::Listener::controller);
    reply(answered, response);
}

void MetadataNode::handle_registration(const Asked& asked) {
    const auto body =
        protocol::decode<protocol::BrokerRegistrationRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    protocol::BrokerRegistrationResponse response;
    if (body->cluster_id != settings_.cluster) {
        response.error_code = protocol::ErrorCode::inconsistent_cluster_id;
        return reply(asked, response);
    }
    controller::Registration registration{.broker = body->broker_id,
                                          .incarnation = body->incarnation_id,
                                          .previous_epoch = body->previous_broker_epoch,
                                          .endpoints = {},
                                          .rack = std::nullopt,
                                          .log_dirs = body->log_dirs};
    for (const auto& offered : body->listeners)
        registration.endpoints.push_back({std::string(offered.name), std::string(offered.host),
                                          offered.port, offered.security_protocol});
    if (body->rack) registration.rack = std::string(*body->rack);
    const controller::RegistrationOutcome outcome =
        brokers_.register_broker(env_->turn(), image_, registration, log_end().value);
    response.error_code = outcome.error;
    response.broker_epoch = outcome.epoch;
    const facts::BrokerRegistered fact{outcome.epoch.value, body->broker_id, outcome.epoch,
                                       outcome.proven};
    decide(outcome.decisions, outcome.new_incarnation ? &fact : nullptr);
    reply(asked, response);
}

void MetadataNode::handle_heartbeat(const Asked& asked) {
    const auto body = protocol::decode<protocol::BrokerHeartbeatRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    const controller::HeartbeatOutcome outcome =
        brokers_.heartbeat(env_->turn(), image_,
                           {.broker = body->broker_id,
                            .epoch = body->broker_epoch,
                            .metadata_offset = body->current_metadata_offset.value,
                            .want_fence = body->want_fence,
                            .want_shutdown = body->want_shut_down},
                           log_end().value);
    decide(outcome.decisions);
    protocol::BrokerHeartbeatResponse response;
    response.error_code = outcome.error;
    response.is_caught_up = outcome.caught_up;
    response.is_fenced = outcome.fenced;
    response.should_shut_down = outcome.should_shut_down;
    reply(asked, response);
}

void MetadataNode::handle_alter_partition(const Asked& asked) {
    const auto body = protocol::decode<protocol::AlterPartitionRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    protocol::AlterPartitionResponse response;
    for (const auto& topic : body->topics) {
        protocol::AlterPartitionResponseTopic row{.topic_id = topic.topic_id, .partitions = {}};
        for (const auto& partition : topic.partitions) {
            controller::AlterPartition request{
                .partition = {topic.topic_id, partition.partition_index},
                .broker = body->broker_id,
                .leader_epoch = partition.leader_epoch,
                .partition_epoch = partition.partition_epoch,
                .isr = {}};
            for (const BrokerId member : partition.new_isr)
                request.isr.push_back({member, no_broker_epoch});
            for (const auto& member : partition.new_isr_with_epochs)
                request.isr.push_back({member.broker_id, member.broker_epoch});
            request.recovery =
                static_cast<metadata::LeaderRecoveryState>(partition.leader_recovery_state);
            const controller::AlterPartitionOutcome outcome =
                controller::alter_partition(image_, request, body->broker_epoch);
            decide(outcome.decisions);
            protocol::AlterPartitionResponsePartition answer;
            answer.partition_index = partition.partition_index;
            answer.error_code = outcome.error;
            if (outcome.error == protocol::ErrorCode::none) {
                answer.leader_id = outcome.partition.leader;
                answer.leader_epoch = outcome.partition.leader_epoch;
                answer.isr = outcome.partition.isr;
                answer.leader_recovery_state = static_cast<std::int8_t>(outcome.partition.recovery);
                answer.partition_epoch = outcome.partition.partition_epoch;
            }
            row.partitions.push_back(std::move(answer));
        }
        response.topics.push_back(std::move(row));
    }
    reply(asked, response);
}

void MetadataNode::handle_producer_ids(const Asked& asked) {
    const auto body =
        protocol::decode<protocol::AllocateProducerIdsRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    protocol::AllocateProducerIdsResponse response;
    const metadata::BrokerImage* broker = image_.broker(body->broker_id);
    if (broker == nullptr || broker->epoch != body->broker_epoch) {
        response.error_code = protocol::ErrorCode::stale_broker_epoch;
        return reply(asked, response);
    }
    response.producer_id_start = producer_id_next_;
    response.producer_id_len = producer_ids_block;
    producer_id_next_ = producer_id_next_ + producer_ids_block;
    append({metadata::encode_record(
        metadata::ProducerIdsRecord{.broker_id = body->broker_id,
                                    .broker_epoch = body->broker_epoch,
                                    .next_producer_id = producer_id_next_})});
    reply(asked, response);
}

void MetadataNode::handle_fetch(const Asked& asked) {
    const auto body = protocol::decode<protocol::FetchRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    const bool sound = body->topics.size() == 1 &&
                       body->topics.front().topic_id == metadata_topic &&
                       body->topics.front().partitions.size() == 1;
    if (!sound) return refuse(asked, "a fetch that is not of the metadata log");
    const Observer observer{asked, body->topics.front().partitions.front().fetch_offset,
                            env_->turn().now + milliseconds(std::max(0, body->max_wait_ms))};
    if (observer.from >= committed_ || !serve(observer)) observers_.push_back(observer);
}

bool MetadataNode::serve(const Observer& observer) {
    protocol::FetchResponse response;
    protocol::FetchResponsePartition row;
    row.partition_index = PartitionIndex(0);
    row.high_watermark = committed_;
    row.last_stable_offset = committed_;
    row.log_start_offset = log_->log_start();
    row.current_leader = {.leader_id = settings_.node, .leader_epoch = epoch_};
    net::Pieces pieces;
    if (observer.from > committed_) {
        row.error_code = protocol::ErrorCode::offset_out_of_range;
    } else if (observer.from < committed_) {
        storage::ReadPlan plan =
            log_->read(*env_, observer.from, fetch_bytes_max, committed_, true);
        if (plan.status == storage::ReadStatus::waiting) return false;
        if (plan.status == storage::ReadStatus::ok) pieces = std::move(plan.pieces);
    }
    row.records = protocol::Records::elsewhere(net::size_of(pieces));
    row.aborted_transactions = std::nullopt;
    response.responses.push_back(
        {.topic = {}, .topic_id = metadata_topic, .partitions = {std::move(row)}});
    inbound_.respond(
        *env_, observer.asked.key,
        net::to_pieces(protocol::encode_response_frame(response, observer.asked.version,
                                                       observer.asked.correlation),
                       std::span<net::Pieces>(&pieces, 1)));
    return true;
}

}  // namespace klamm::server
