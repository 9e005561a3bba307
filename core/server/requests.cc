#include "core/server/requests.h"

#include <fmt/format.h>

#include "core/protocol/api_versions.h"
#include "core/protocol/frame.h"

namespace klamm::server {

namespace {
// Lower versions are advertised for clients that take them for a sign of compression
// (KAFKA-18659), and carry message sets that nobody writes any more.
constexpr std::int16_t produce_version_min = 3;
}  // namespace

void Requests::accepted(const env::Accepted& event) {
    inbound_.accepted(context_.env(), event, true);
}

bool Requests::received(const env::Received& event) {
    std::vector<net::Request> requests;
    if (!inbound_.received(context_.env(), event, requests)) return false;
    for (const net::Request& request : requests) dispatch(request);
    return true;
}

void Requests::dispatch(const net::Request& request) {
    protocol::Reader reader(request.frame);
    const auto header = protocol::decode_request_header(reader);
    Incoming incoming{.key = request.key, .frame = request.frame, .body = {}};
    if (!header.ok()) return refuse(incoming, header.error().text);
    incoming.body = reader.bytes(reader.remaining());
    incoming.version = header->api_version;
    incoming.correlation = header->correlation_id;
    incoming.client_id = header->client_id.value_or("");
    const protocol::ApiInfo* api = protocol::find_api(header->api_key);
    KLAMM_ASSERT(api != nullptr);
    const auto refusal = context_.turn().refusal(static_cast<std::int16_t>(header->api_key),
                                                 incoming.correlation, incoming.client_id);
    refused_ = static_cast<ErrorCode>(refusal.value_or(0));
    // ApiVersions answers a version that it does not know; nothing else does.
    if (!api->serves(incoming.version) && api->key != protocol::ApiKey::api_versions)
        return refuse(incoming, fmt::format("{} has no version {}", api->name, incoming.version));
    switch (api->key) {
        case protocol::ApiKey::api_versions: return handle_api_versions(incoming);
        case protocol::ApiKey::metadata: return handle_metadata(incoming);
        case protocol::ApiKey::produce:
            if (incoming.version < produce_version_min)
                return refuse(incoming, "Produce is served from version 3 on");
            return handle_produce(std::move(incoming));
        case protocol::ApiKey::fetch: return handle_fetch(std::move(incoming));
        case protocol::ApiKey::list_offsets: return handle_list_offsets(std::move(incoming));
        case protocol::ApiKey::offset_for_leader_epoch:
            return handle_offset_for_leader_epoch(std::move(incoming));
        case protocol::ApiKey::init_producer_id:
            return handle_init_producer_id(std::move(incoming));
        case protocol::ApiKey::describe_configs: return handle_describe_configs(incoming);
        case protocol::ApiKey::describe_cluster: return handle_describe_cluster(incoming);
        case protocol::ApiKey::list_config_resources: return handle_list_config_resources(incoming);
        case protocol::ApiKey::describe_topic_partitions:
            return handle_describe_topic_partitions(incoming);
        case protocol::ApiKey::delete_records: return handle_delete_records(std::move(incoming));
        case protocol::ApiKey::describe_log_dirs:
            return handle_describe_log_dirs(std::move(incoming));
        case protocol::ApiKey::alter_replica_log_dirs:
            return handle_alter_replica_log_dirs(incoming);
        case protocol::ApiKey::create_topics:
        case protocol::ApiKey::delete_topics:
        case protocol::ApiKey::create_partitions:
        case protocol::ApiKey::alter_configs:
        case protocol::ApiKey::incremental_alter_configs:
        case protocol::ApiKey::elect_leaders:
        case protocol::ApiKey::alter_partition_reassignments:
        case protocol::ApiKey::list_partition_reassignments:
        case protocol::ApiKey::unregister_broker: return handle_forwarded(std::move(incoming));
        default: break;
    }
    std::optional<std::string> problem;
    if (!groups_.handle(api->key, incoming, problem) &&
        !transactions_.handle(api->key, incoming, problem))
        problem = fmt::format("{} is not served here", api->name);
    if (problem) refuse(incoming, *problem);
}

void Requests::refuse(const Incoming& request, std::string_view why) {
    context_.env().log(fmt::format("closing a connection: {}", why));
    inbound_.close(context_.env(), request.key.connection);
}

std::optional<TopicPartition> Requests::find(std::string_view topic, const Uuid& id, bool by_id,
                                             PartitionIndex partition, ErrorCode& error) const {
    const metadata::ClusterImage& image = *context_.image;
    Uuid topic_id = id;
    if (refused_ != ErrorCode::none) {
        error = refused_;
        return std::nullopt;
    }
    error = ErrorCode::unknown_topic_or_partition;
    if (!by_id) {
        const auto found = image.topic_id(std::string(topic));
        if (!found) return std::nullopt;
        topic_id = *found;
    } else if (image.topic(id) == nullptr) {
        error = ErrorCode::unknown_topic_id;
        return std::nullopt;
    }
    const TopicPartition found{topic_id, partition};
    if (image.partition(found) == nullptr) return std::nullopt;
    error = ErrorCode::none;
    if (context_.turn().maybe(Site::partition_denied, static_cast<std::uint64_t>(partition.value),
                              static_cast<std::uint64_t>(context_.now().nanoseconds))) {
        error = ErrorCode::not_leader_or_follower;
        return std::nullopt;
    }
    return found;
}

void Requests::tick() {
    while (const auto id = fetch_timers_.pop_due(context_.now())) {
        const auto at = fetches_.find(*id);
        if (at == fetches_.end()) continue;
        at->second.deadline = context_.now();
        // A fetch that is being read is answered when that is done.
        if (!at->second.reading) restart_fetch(*id, at->second);
    }
}

}  // namespace klamm::server
