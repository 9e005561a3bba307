#pragma once
// The requests that tests of a broker send most, for one partition of one topic.
#include <string>
#include <vector>

#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "core/protocol/messages/produce.h"
#include "tests/server/cluster.h"
#include "tests/server/script_client.h"

namespace klamm::server::test {

inline protocol::ProduceRequest produce_of(ByteView batch, std::int16_t acks = -1,
                                           bool by_id = false, std::int32_t timeout_ms = 30'000) {
    protocol::ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = timeout_ms;
    protocol::ProduceRequestTopic topic;
    if (by_id)
        topic.topic_id = trial.topic;
    else
        topic.name = "trial";
    topic.partition_data.push_back({PartitionIndex(0), protocol::Records::of(batch)});
    request.topic_data.push_back(topic);
    return request;
}

inline protocol::FetchRequest fetch_of(Offset from, bool by_id = false,
                                       std::int32_t max_wait_ms = 0, std::int32_t min_bytes = 1) {
    protocol::FetchRequest request;
    request.max_wait_ms = max_wait_ms;
    request.min_bytes = min_bytes;
    protocol::FetchRequestTopic topic;
    if (by_id)
        topic.topic_id = trial.topic;
    else
        topic.topic = "trial";
    protocol::FetchRequestPartition partition;
    partition.fetch_offset = from;
    partition.partition_max_bytes = 1 << 20;
    topic.partitions.push_back(partition);
    request.topics.push_back(topic);
    return request;
}

inline protocol::ListOffsetsRequest list_of(std::int64_t time) {
    protocol::ListOffsetsRequest request;
    request.replica_id = no_broker;
    protocol::ListOffsetsRequestTopic topic{.name = "trial", .partitions = {}};
    protocol::ListOffsetsRequestPartition partition;
    partition.timestamp = Timestamp(time);
    topic.partitions.push_back(partition);
    request.topics.push_back(topic);
    return request;
}

inline protocol::OffsetForLeaderEpochRequest epoch_end_of(LeaderEpoch epoch) {
    protocol::OffsetForLeaderEpochRequest request;
    request.replica_id = no_broker;
    protocol::OffsetForLeaderEpochRequestTopic topic{.topic = "trial", .partitions = {}};
    topic.partitions.push_back({PartitionIndex(0), no_leader_epoch, epoch});
    request.topics.push_back(topic);
    return request;
}

// The one partition of an answer.
inline const auto& only(const protocol::ProduceResponse& response) {
    return response.responses.at(0).partition_responses.at(0);
}
inline const auto& only(const protocol::FetchResponse& response) {
    return response.responses.at(0).partitions.at(0);
}
inline const auto& only(const protocol::ListOffsetsResponse& response) {
    return response.topics.at(0).partitions.at(0);
}
inline const auto& only(const protocol::OffsetForLeaderEpochResponse& response) {
    return response.topics.at(0).partitions.at(0);
}

}  // namespace klamm::server::test
