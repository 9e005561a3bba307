#include "core/server/administration.h"

#include <type_traits>

#include "core/protocol/frame.h"
#include "core/protocol/messages/alter_configs.h"
#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/create_partitions.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "core/protocol/messages/list_partition_reassignments.h"
#include "core/protocol/messages/unregister_broker.h"

namespace klamm::server {

namespace {

using protocol::ApiKey;
using protocol::ErrorCode;

void fill_refusal(const protocol::CreateTopicsRequest& request, ErrorCode error,
                  protocol::CreateTopicsResponse& response) {
    for (const auto& topic : request.topics) {
        protocol::CreateTopicsResponseTopic row;
        row.name = topic.name;
        row.error_code = error;
        row.error_message = std::nullopt;
        response.topics.push_back(row);
    }
}

void fill_refusal(const protocol::DeleteTopicsRequest& request, ErrorCode error,
                  protocol::DeleteTopicsResponse& response) {
    protocol::DeleteTopicsResponseTopic row;
    row.error_code = error;
    for (const std::string_view name : request.topic_names) {
        row.name = name;
        response.responses.push_back(row);
    }
    for (const auto& topic : request.topics) {
        row.name = topic.name;
        row.topic_id = topic.topic_id;
        response.responses.push_back(row);
    }
}

void fill_refusal(const protocol::CreatePartitionsRequest& request, ErrorCode error,
                  protocol::CreatePartitionsResponse& response) {
    for (const auto& topic : request.topics) {
        protocol::CreatePartitionsResponseTopic row;
        row.name = topic.name;
        row.error_code = error;
        response.results.push_back(row);
    }
}

template <class Request, class Response>
void fill_resource_refusals(const Request& request, ErrorCode error, Response& response) {
    for (const auto& resource : request.resources) {
        auto& row = response.responses.emplace_back();
        row.resource_type = resource.resource_type;
        row.resource_name = resource.resource_name;
        row.error_code = error;
        row.error_message = std::nullopt;
    }
}

void fill_refusal(const protocol::AlterConfigsRequest& request, ErrorCode error,
                  protocol::AlterConfigsResponse& response) {
    fill_resource_refusals(request, error, response);
}

void fill_refusal(const protocol::IncrementalAlterConfigsRequest& request, ErrorCode error,
                  protocol::IncrementalAlterConfigsResponse& response) {
    fill_resource_refusals(request, error, response);
}

void fill_refusal(const protocol::ElectLeadersRequest& request, ErrorCode error,
                  protocol::ElectLeadersResponse& response) {
    response.error_code = error;
    if (!request.topic_partitions) return;
    for (const auto& topic : *request.topic_partitions) {
        auto& row = response.replica_election_results.emplace_back();
        row.topic = topic.topic;
        for (const PartitionIndex partition : topic.partitions) {
            auto& result = row.partition_result.emplace_back();
            result.partition_id = partition;
            result.error_code = error;
            result.error_message = std::nullopt;
        }
    }
}

void fill_refusal(const protocol::AlterPartitionReassignmentsRequest& request, ErrorCode error,
                  protocol::AlterPartitionReassignmentsResponse& response) {
    response.error_code = error;
    response.error_message = std::nullopt;
    for (const auto& topic : request.topics) {
        auto& row = response.responses.emplace_back();
        row.name = topic.name;
        for (const auto& partition : topic.partitions) {
            auto& result = row.partitions.emplace_back();
            result.partition_index = partition.partition_index;
            result.error_code = error;
            result.error_message = std::nullopt;
        }
    }
}

void fill_refusal(const protocol::ListPartitionReassignmentsRequest&, ErrorCode error,
                  protocol::ListPartitionReassignmentsResponse& response) {
    response.error_code = error;
    response.error_message = std::nullopt;
}

void fill_refusal(const protocol::UnregisterBrokerRequest&, ErrorCode error,
                  protocol::UnregisterBrokerResponse& response) {
    response.error_code = error;
    response.error_message = std::nullopt;
}

template <class Request>
std::optional<Bytes> refuse_request(ByteView body, std::int16_t version, std::int32_t correlation,
                                    ErrorCode error) {
    const auto request = protocol::decode<Request>(body, version);
    if (!request.ok()) return std::nullopt;
    typename protocol::Api<Request>::Response response;
    fill_refusal(*request, error, response);
    // Version 0 of ElectLeaders has no error of its own.
    if constexpr (std::is_same_v<Request, protocol::ElectLeadersRequest>)
        if (version == 0) response.error_code = ErrorCode::none;
    return protocol::encode_response_frame(response, version, correlation).bytes;
}

}  // namespace

bool is_forwarded(ApiKey api) {
    switch (api) {
        case ApiKey::create_topics:
        case ApiKey::delete_topics:
        case ApiKey::create_partitions:
        case ApiKey::alter_configs:
        case ApiKey::incremental_alter_configs:
        case ApiKey::elect_leaders:
        case ApiKey::alter_partition_reassignments:
        case ApiKey::list_partition_reassignments:
        case ApiKey::unregister_broker: return true;
        default: return false;
    }
}

std::optional<Bytes> refuse_administration(ApiKey api, ByteView body, std::int16_t version,
                                           std::int32_t correlation, ErrorCode error) {
    switch (api) {
        case ApiKey::create_topics:
            return refuse_request<protocol::CreateTopicsRequest>(body, version, correlation, error);
        case ApiKey::delete_topics:
            return refuse_request<protocol::DeleteTopicsRequest>(body, version, correlation, error);
        case ApiKey::create_partitions:
            return refuse_request<protocol::CreatePartitionsRequest>(body, version, correlation,
                                                                     error);
        case ApiKey::alter_configs:
            return refuse_request<protocol::AlterConfigsRequest>(body, version, correlation, error);
        case ApiKey::incremental_alter_configs:
            return refuse_request<protocol::IncrementalAlterConfigsRequest>(body, version,
                                                                            correlation, error);
        case ApiKey::elect_leaders:
            return refuse_request<protocol::ElectLeadersRequest>(body, version, correlation, error);
        case ApiKey::alter_partition_reassignments:
            return refuse_request<protocol::AlterPartitionReassignmentsRequest>(body, version,
                                                                                correlation, error);
        case ApiKey::list_partition_reassignments:
            return refuse_request<protocol::ListPartitionReassignmentsRequest>(body, version,
                                                                               correlation, error);
        case ApiKey::unregister_broker:
            return refuse_request<protocol::UnregisterBrokerRequest>(body, version, correlation,
                                                                     error);
        default: return std::nullopt;
    }
}

}  // namespace klamm::server
