// Metadata: brokers that are not fenced, topics by name or id, and who leads what, from the newest
// image. A topic that is asked for by name and missing is asked of the controller, where
// auto.create.topics.enable and the client allow it (KIP-361).
#include <algorithm>

#include "core/controller/topic_control.h"
#include "core/protocol/messages/metadata.h"
#include "core/server/forwarder.h"
#include "core/server/requests.h"

namespace klamm::server {

namespace {

using protocol::MetadataResponsePartition;
using protocol::MetadataResponseTopic;

MetadataResponsePartition partition_row(const metadata::ClusterImage& image, PartitionIndex index,
                                        const metadata::PartitionImage& partition) {
    MetadataResponsePartition row;
    row.partition_index = index;
    row.leader_id = partition.leader;
    row.leader_epoch = partition.leader_epoch;
    row.replica_nodes = partition.replicas;
    row.isr_nodes = partition.isr;
    for (const BrokerId replica : partition.replicas) {
        const metadata::BrokerImage* broker = image.broker(replica);
        if (broker == nullptr || broker->fenced) row.offline_replicas.push_back(replica);
    }
    const metadata::BrokerImage* leader = image.broker(partition.leader);
    if (leader == nullptr || leader->fenced) {
        row.error_code = ErrorCode::leader_not_available;
        row.leader_id = no_broker;
    }
    return row;
}

MetadataResponseTopic topic_row(const metadata::ClusterImage& image, const Uuid& id,
                                const metadata::TopicImage& topic) {
    MetadataResponseTopic row;
    row.name = topic.name;
    row.topic_id = id;
    row.is_internal = controller::is_internal_topic(topic.name);
    for (const auto& [index, partition] : topic.partitions)
        row.partitions.push_back(partition_row(image, index, partition));
    return row;
}

/// Versions 10 and 11 have the fields for asking by id, but it is served from 12 on.
bool asks_too_early(const protocol::MetadataRequest& body, std::int16_t version) {
    return version < 12 && body.topics &&
           std::any_of(body.topics->begin(), body.topics->end(),
                       [](const auto& topic) { return !topic.name || !topic.topic_id.is_zero(); });
}

}  // namespace

void Requests::handle_metadata(const Incoming& request) {
    const auto body = protocol::decode<protocol::MetadataRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    const metadata::ClusterImage& image = *context_.image;
    protocol::MetadataResponse response;
    response.cluster_id = context_.settings.cluster;
    for (const auto& [id, broker] : image.brokers()) {
        if (broker.fenced || broker.endpoints.empty()) continue;
        protocol::MetadataResponseBroker row;
        row.node_id = id;
        row.host = broker.endpoints.front().host;
        row.port = broker.endpoints.front().port;
        if (broker.rack) row.rack = *broker.rack;
        response.brokers.push_back(row);
        // Controllers are not told to clients in KRaft: any live broker stands for it.
        if (response.controller_id == no_broker) response.controller_id = id;
    }
    if (asks_too_early(*body, request.version)) {
        for (const protocol::MetadataRequestTopic& asked : *body->topics) {
            MetadataResponseTopic row;
            row.name = asked.name.value_or(std::string_view());
            row.topic_id = asked.topic_id;
            row.error_code = ErrorCode::invalid_request;
            response.topics.push_back(row);
        }
        return answer(request, response);
    }
    const bool all = !body->topics || (request.version == 0 && body->topics->empty());
    if (all) {
        for (const auto& [id, topic] : image.topics())
            response.topics.push_back(topic_row(image, id, topic));
    } else {
        for (const protocol::MetadataRequestTopic& asked : *body->topics) {
            Uuid id = asked.topic_id;
            if (id.is_zero() && asked.name)
                id = image.topic_id(std::string(*asked.name)).value_or(Uuid{});
            const metadata::TopicImage* topic = image.topic(id);
            if (topic != nullptr) {
                response.topics.push_back(topic_row(image, id, *topic));
                continue;
            }
            MetadataResponseTopic row;
            if (asked.topic_id.is_zero())
                row.name = asked.name;
            else
                row.name = std::nullopt;
            row.topic_id = asked.topic_id;
            row.is_internal = asked.name && controller::is_internal_topic(*asked.name);
            if (asked.name && asked.topic_id.is_zero())
                row.error_code = miss_topic(*asked.name, body->allow_auto_topic_creation);
            else
                row.error_code = ErrorCode::unknown_topic_id;
            response.topics.push_back(row);
        }
    }
    // What nobody was asked for stays unsaid.
    if (request.version >= 8 && body->include_topic_authorized_operations)
        for (MetadataResponseTopic& row : response.topics)
            if (row.error_code == ErrorCode::none)
                row.topic_authorized_operations = all_topic_operations;
    if (request.version >= 8 && request.version <= 10 &&
        body->include_cluster_authorized_operations)
        response.cluster_authorized_operations = all_cluster_operations;
    answer(request, response);
}

ErrorCode Requests::miss_topic(std::string_view name, bool create) {
    if (controller::topic_name_problem(name)) return ErrorCode::invalid_topic_exception;
    if (create && context_.settings.options.auto_create_topics_enable && context_.caught_up)
        context_.post(0, creatable_topic(context_.settings.options, name));
    return ErrorCode::unknown_topic_or_partition;
}

}  // namespace klamm::server
