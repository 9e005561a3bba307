#pragma once
// What tests of an administrator's requests have in common: the requests, and a look at a topic as
// a client is shown it.
#include <catch2/catch.hpp>

#include <optional>
#include <string>

#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "core/protocol/messages/metadata.h"
#include "tests/server/requests_for_tests.h"

namespace klamm::server::test {

using protocol::ErrorCode;

constexpr std::int8_t topic_type = 2;
constexpr std::int8_t broker_type = 4;

inline protocol::CreateTopicsRequest topic_request(std::string_view name, std::int32_t partitions,
                                                   std::int16_t factor) {
    protocol::CreateTopicsRequest request;
    protocol::CreateTopicsRequestTopic topic;
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = factor;
    request.topics.push_back(topic);
    return request;
}

inline protocol::IncrementalAlterConfigsRequest alter_request(std::int8_t type,
                                                              std::string_view name,
                                                              std::string_view key,
                                                              std::string_view value) {
    protocol::IncrementalAlterConfigsRequest request;
    request.resources.push_back({.resource_type = type, .resource_name = name, .configs = {}});
    request.resources[0].configs.push_back({.name = key, .config_operation = 0, .value = value});
    return request;
}

inline protocol::ProduceRequest produce_to(std::string_view topic, std::int32_t partition,
                                           ByteView batch) {
    protocol::ProduceRequest request = produce_of(batch);
    request.topic_data[0].name = topic;
    request.topic_data[0].partition_data[0].index = PartitionIndex(partition);
    return request;
}

/// The topic as a client is shown it; nothing when it is not there.
inline std::optional<protocol::MetadataResponseTopic> shown(ScriptClient& client, std::size_t line,
                                                            std::string_view name,
                                                            bool create = false, int version = 12) {
    protocol::MetadataRequest request;
    request.allow_auto_topic_creation = create;
    request.topics->push_back({Uuid{}, name});
    const auto answer = client.call(line, request, version);
    REQUIRE(answer);
    REQUIRE((*answer)->topics.size() == 1);
    if ((*answer)->topics[0].error_code != ErrorCode::none) return std::nullopt;
    return (*answer)->topics[0];
}

/// Until every partition of the topic has a leader, as this broker sees it.
inline std::optional<protocol::MetadataResponseTopic> await_topic(
    Cluster& cluster, ScriptClient& client, std::size_t line, std::string_view name,
    std::size_t partitions, bool create = false) {
    for (int i = 0; i < 100; ++i) {
        auto topic = shown(client, line, name, create);
        if (topic && topic->partitions.size() == partitions) return topic;
        cluster.world.run_for(milliseconds(50));
    }
    return std::nullopt;
}

inline ErrorCode produced(ScriptClient& client, Cluster& cluster, std::string_view topic,
                          const protocol::MetadataResponseTopic& row, std::int32_t partition) {
    const BrokerId leader = row.partitions[static_cast<std::size_t>(partition)].leader_id;
    const std::size_t line = client.connect("broker-" + std::to_string(leader.value));
    const Bytes batch = batch_of({"a", "b"});
    ErrorCode error = ErrorCode::unknown_server_error;
    for (int i = 0; i < 40 && error != ErrorCode::none; ++i) {
        const auto answer = client.call(line, produce_to(topic, partition, batch), 9);
        if (!answer) return error;
        error = only(answer->body).error_code;
        if (error != ErrorCode::none) cluster.world.run_for(milliseconds(50));
    }
    return error;
}

}  // namespace klamm::server::test
