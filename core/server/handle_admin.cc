// What administrators ask of a broker: what it answers itself from the newest image
// (configurations, the cluster, topics page by page), and what it passes on to the active
// controller.
#include <algorithm>
#include <charconv>
#include <deque>

#include "core/protocol/messages/describe_cluster.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/list_config_resources.h"
#include "core/server/administration.h"
#include "core/server/config_view.h"
#include "core/server/requests.h"

namespace klamm::server {

namespace {

constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;

std::int32_t integer_of(std::string_view text, std::int32_t otherwise) {
    std::int32_t value = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && at == text.data() + text.size() ? value : otherwise;
}

protocol::DescribeConfigsResponseConfig described(const ShownConfig& config, bool synonyms,
                                                  bool documentation) {
    protocol::DescribeConfigsResponseConfig row;
    row.name = config.name;
    row.value = config.value;
    row.read_only = config.read_only;
    row.config_source = static_cast<std::int8_t>(config.source);
    row.config_type = shown_type(config.row);
    row.documentation = std::nullopt;
    if (documentation && config.row != nullptr) row.documentation = config.row->sentence;
    if (!synonyms) return row;
    for (const ShownConfig::Synonym& synonym : config.synonyms)
        row.synonyms.push_back({.name = synonym.name,
                                .value = synonym.value,
                                .source = static_cast<std::int8_t>(synonym.source)});
    return row;
}

}  // namespace

void Requests::handle_forwarded(Incoming request) {
    const std::uint64_t id = ++pending_made_;
    ForwardCommand command{.reply = {context_.env().shard(), id, 0},
                           .frame = request.frame,
                           .peer = inbound_.peer(request.key.connection)};
    forwards_[id] = std::move(request);
    context_.post(0, std::move(command));
}

void Requests::on(ForwardOutcome outcome) {
    const auto row = forwards_.extract(outcome.reply.pending);
    const Incoming& request = row.mapped();
    if (outcome.error == ErrorCode::none) {
        protocol::Writer length;
        length.integer(static_cast<std::int32_t>(outcome.frame.size()));
        return inbound_.respond(context_.env(), request.key,
                                {Buffer::from(length.take().bytes), std::move(outcome.frame)});
    }
    protocol::Reader reader(request.frame);
    const auto header = protocol::decode_request_header(reader);
    KLAMM_ASSERT(header.ok());
    auto refusal = refuse_administration(header->api_key, request.body, request.version,
                                         request.correlation, outcome.error);
    if (!refusal) return refuse(request, "a request that the controller does not understand");
    inbound_.respond(context_.env(), request.key, {Buffer::from(std::move(*refusal))});
}

void Requests::handle_describe_configs(const Incoming& request) {
    const auto body =
        protocol::decode<protocol::DescribeConfigsRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    const metadata::ClusterImage& image = *context_.image;
    const ConfigSurroundings at{image, context_.self(), context_.settings.given};
    std::deque<std::vector<ShownConfig>> shown;
    std::deque<std::string> texts;
    protocol::DescribeConfigsResponse response;
    for (const auto& resource : body->resources) {
        protocol::DescribeConfigsResponseResult row;
        row.resource_type = resource.resource_type;
        row.resource_name = resource.resource_name;
        row.error_message = std::nullopt;
        const std::string name(resource.resource_name);
        const auto refused = [&](ErrorCode error, std::string text) {
            row.error_code = error;
            row.error_message = texts.emplace_back(std::move(text));
        };
        std::vector<ShownConfig>& configs = shown.emplace_back();
        if (resource.resource_type == topic_resource) {
            if (const auto problem = controller::topic_name_problem(name))
                refused(ErrorCode::invalid_topic_exception, *problem);
            else if (!image.topic_id(name))
                row.error_code = ErrorCode::unknown_topic_or_partition;
            else
                configs = show_topic(at, set_for(image, metadata::ResourceType::topic, name));
        } else if (resource.resource_type == broker_resource) {
            if (name.empty())
                configs = show_all_brokers(at);
            else if (integer_of(name, -1) == context_.self().value)
                configs = show_broker(at);
            else if (integer_of(name, -1) < 0)
                refused(ErrorCode::invalid_request,
                        "Broker id must be an integer, but it is: " + name);
            else
                refused(ErrorCode::invalid_request, "Unexpected broker id, expected " +
                                                        std::to_string(context_.self().value) +
                                                        " or empty string, but received " + name);
        } else {
            refused(ErrorCode::invalid_request,
                    "Unsupported resource type: " + std::to_string(resource.resource_type));
        }
        const auto& keys = resource.configuration_keys;
        for (const ShownConfig& config : configs) {
            if (keys && !keys->empty() &&
                std::find(keys->begin(), keys->end(), config.name) == keys->end())
                continue;
            row.configs.push_back(
                described(config, body->include_synonyms, body->include_documentation));
        }
        response.results.push_back(std::move(row));
    }
    answer(request, response);
}

void Requests::handle_describe_cluster(const Incoming& request) {
    const auto body =
        protocol::decode<protocol::DescribeClusterRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    constexpr std::int8_t brokers = 1;
    constexpr std::int8_t controllers = 2;
    protocol::DescribeClusterResponse response;
    response.endpoint_type = body->endpoint_type;
    if (body->endpoint_type != brokers) {
        const bool known = body->endpoint_type == controllers;
        const std::string text =
            known ? std::string(
                        "The request was sent to an endpoint of type BROKER, but we wanted "
                        "an endpoint of type CONTROLLER")
                  : "Unsupported endpoint type " + std::to_string(body->endpoint_type);
        response.error_code =
            known ? ErrorCode::mismatched_endpoint_type : ErrorCode::unsupported_endpoint_type;
        response.error_message = text;
        return answer(request, response);
    }
    response.cluster_id = context_.settings.cluster;
    for (const auto& [id, broker] : context_.image->brokers()) {
        if (broker.endpoints.empty() || (broker.fenced && !body->include_fenced_brokers)) continue;
        protocol::DescribeClusterResponseBroker row;
        row.broker_id = id;
        row.host = broker.endpoints.front().host;
        row.port = broker.endpoints.front().port;
        if (broker.rack) row.rack = *broker.rack;
        row.is_fenced = broker.fenced;
        response.brokers.push_back(row);
        if (response.controller_id == no_broker && !broker.fenced) response.controller_id = id;
    }
    if (body->include_cluster_authorized_operations)
        response.cluster_authorized_operations = all_cluster_operations;
    answer(request, response);
}

void Requests::handle_list_config_resources(const Incoming& request) {
    const auto body =
        protocol::decode<protocol::ListConfigResourcesRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    constexpr std::int8_t logger_resource = 8;
    constexpr std::int8_t metrics_resource = 16;
    constexpr std::int8_t group_resource = 32;
    std::vector<std::int8_t> types = body->resource_types;
    // Version 0 was for client metrics, of which there are none; no types are all that there are.
    if (request.version == 0)
        types = {metrics_resource};
    else if (types.empty())
        types = {topic_resource, broker_resource, logger_resource, metrics_resource,
                 group_resource};
    protocol::ListConfigResourcesResponse response;
    std::deque<std::string> names;
    const auto add = [&](std::string_view name, std::int8_t type) {
        response.config_resources.push_back({.resource_name = name, .resource_type = type});
    };
    for (const std::int8_t type : types) {
        if (type != topic_resource && type != broker_resource && type != logger_resource &&
            type != metrics_resource && type != group_resource) {
            response.error_code = ErrorCode::unsupported_version;
            response.config_resources.clear();
            return answer(request, response);
        }
        if (type == topic_resource)
            for (const auto& [id, topic] : context_.image->topics()) add(topic.name, type);
        if (type == broker_resource || type == logger_resource)
            for (const auto& [id, broker] : context_.image->brokers())
                if (!broker.fenced) add(names.emplace_back(std::to_string(id.value)), type);
    }
    answer(request, response);
}

void Requests::handle_describe_topic_partitions(const Incoming& request) {
    const auto body =
        protocol::decode<protocol::DescribeTopicPartitionsRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    constexpr std::int32_t partitions_max = 2'000;  // max.request.partition.size.limit
    const metadata::ClusterImage& image = *context_.image;
    const bool all = body->topics.empty();
    std::set<std::string_view> names;
    if (all)
        for (const auto& [id, topic] : image.topics()) names.insert(topic.name);
    for (const auto& topic : body->topics) names.insert(topic.name);
    protocol::DescribeTopicPartitionsResponse response;
    const std::string_view first = body->cursor ? body->cursor->topic_name : std::string_view();
    if (body->cursor &&
        ((!all && !names.contains(first)) || body->cursor->partition_index.value < 0)) {
        for (const auto& topic : body->topics) {
            auto& row = response.topics.emplace_back();
            row.error_code = ErrorCode::invalid_request;
            row.name = topic.name;
        }
        return answer(request, response);
    }
    std::int32_t room = std::clamp(body->response_partition_limit, 1, partitions_max);
    for (auto name = names.lower_bound(first); name != names.end(); ++name) {
        if (room == 0) {
            response.next_cursor.emplace();
            response.next_cursor->topic_name = *name;
            break;
        }
        const auto id = image.topic_id(std::string(*name));
        auto& row = response.topics.emplace_back();
        row.name = *name;
        row.is_internal = controller::is_internal_topic(*name);
        row.topic_authorized_operations = all_topic_operations;
        if (!id) {
            row.error_code = controller::topic_name_problem(*name)
                                 ? ErrorCode::invalid_topic_exception
                                 : ErrorCode::unknown_topic_or_partition;
            continue;
        }
        row.topic_id = *id;
        const auto& partitions = image.topic(*id)->partitions;
        auto at = partitions.begin();
        if (body->cursor && *name == first)
            at = partitions.lower_bound(body->cursor->partition_index);
        for (; at != partitions.end() && room > 0; ++at, --room) {
            const auto& [index, partition] = *at;
            auto& part = row.partitions.emplace_back();
            part.partition_index = index;
            part.leader_epoch = partition.leader_epoch;
            part.leader_id = partition.leader;
            part.replica_nodes = partition.replicas;
            part.isr_nodes = partition.isr;
            part.eligible_leader_replicas = partition.elr;
            part.last_known_elr = partition.last_known_elr;
            for (const BrokerId replica : partition.replicas)
                if (const auto* broker = image.broker(replica); broker == nullptr || broker->fenced)
                    part.offline_replicas.push_back(replica);
            const auto* leader = image.broker(partition.leader);
            if (leader == nullptr || leader->fenced) {
                part.error_code = ErrorCode::leader_not_available;
                part.leader_id = no_broker;
            }
        }
        if (at != partitions.end()) {
            response.next_cursor.emplace();
            response.next_cursor->topic_name = *name;
            response.next_cursor->partition_index = at->first;
            break;
        }
    }
    answer(request, response);
}

}  // namespace klamm::server
