// What answers mean for positions, polls and queries.

#include <algorithm>

#include "core/client/consumer.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"

namespace klamm::client {

namespace {

using protocol::ErrorCode;

}  // namespace

void Consumer::take(env::Env& env, const Reply& reply, Results& results) {
    for (auto& [key, partition] : partitions_) {
        if (partition.tag != reply.tag || partition.asked == Asked::nothing) continue;
        const Asked asked = partition.asked;
        partition.asked = Asked::nothing;
        partition.tag = 0;
        if (asked == Asked::fetch) return take_fetch(env, key, partition, reply, results);
        if (asked == Asked::reset) return take_reset(env, key, partition, reply, results);
        return take_validation(env, key, partition, reply, results);
    }
    const auto query = std::find_if(queries_.begin(), queries_.end(),
                                    [&](const Query& one) { return one.tag == reply.tag; });
    if (query == queries_.end()) return;
    const Query row = *query;
    queries_.erase(query);
    take_query(row, reply, results);
}

void Consumer::take_fetch(env::Env& env, const Key& key, Partition& partition, const Reply& reply,
                          Results& results) {
    const auto response = decode_reply<protocol::FetchResponse>(reply);
    if (!response.ok()) {
        return failed(env, key, partition, ErrorCode::network_exception, results);
    }
    for (const auto& node : response->node_endpoints) {
        cluster_.learn_broker(node.node_id,
                              {std::string(node.host), static_cast<std::uint16_t>(node.port)});
    }
    const bool told = response->error_code == ErrorCode::none && response->responses.size() == 1 &&
                      response->responses.front().partitions.size() == 1;
    if (!told) {
        const bool known = response->error_code != ErrorCode::none;
        return failed(env, key, partition,
                      known ? response->error_code : ErrorCode::unknown_server_error, results);
    }
    const auto& part = response->responses.front().partitions.front();
    cluster_.learn_leader(key.first, key.second, part.current_leader.leader_id,
                          part.current_leader.leader_epoch);
    if (part.error_code == ErrorCode::offset_out_of_range) {
        return voided(partition, std::nullopt, results);
    }
    if (part.error_code != ErrorCode::none) {
        return failed(env, key, partition, part.error_code, results);
    }
    if (part.diverging_epoch.epoch > no_leader_epoch) {
        return voided(partition,
                      std::pair(part.diverging_epoch.end_offset, part.diverging_epoch.epoch),
                      results);
    }
    FetchedRecords fetched =
        read_fetched(reply.frame, part.records.bytes, partition.position, decompressor_);
    if (fetched.corrupt) {
        const TopicPartition id{cluster_.metadata().topic(key.first)->id,
                                PartitionIndex(key.second)};
        env.turn().state(facts::CorruptReceived{id, fetched.next, reply.broker});
    }
    if (fetched.corrupt && fetched.records.empty()) {
        return failed(env, key, partition, ErrorCode::corrupt_message, results);
    }
    partition.failures = 0;
    partition.position = fetched.next;
    if (fetched.epoch > no_leader_epoch) partition.position_epoch = fetched.epoch;
    end_poll(partition,
             {.log_start = part.log_start_offset,
              .high_watermark = part.high_watermark,
              .records = std::move(fetched.records)},
             results);
}

void Consumer::take_validation(env::Env& env, const Key& key, Partition& partition,
                               const Reply& reply, Results& results) {
    const auto response = decode_reply<protocol::OffsetForLeaderEpochResponse>(reply);
    const bool told = response.ok() && response->topics.size() == 1 &&
                      response->topics.front().partitions.size() == 1;
    if (!told) return failed(env, key, partition, ErrorCode::network_exception, results);
    const auto& part = response->topics.front().partitions.front();
    if (part.error_code != ErrorCode::none) {
        return failed(env, key, partition, part.error_code, results);
    }
    if (part.end_offset < Offset(0) || part.leader_epoch < LeaderEpoch(0)) {
        return voided(partition, std::nullopt, results);
    }
    if (part.end_offset < partition.position) {
        return voided(partition, std::pair(part.end_offset, part.leader_epoch), results);
    }
    partition.validated_epoch = partition.asked_epoch;
}

Listed Consumer::read_listed(const Key& key, const Reply& reply) const {
    Listed listed{0, key.second, ErrorCode::network_exception};
    const auto response = decode_reply<protocol::ListOffsetsResponse>(reply);
    const bool told = response.ok() && response->topics.size() == 1 &&
                      response->topics.front().partitions.size() == 1;
    if (!told) return listed;
    const auto& part = response->topics.front().partitions.front();
    return {0, key.second, part.error_code, part.offset, part.leader_epoch};
}

void Consumer::take_reset(env::Env& env, const Key& key, Partition& partition, const Reply& reply,
                          Results& results) {
    const Listed listed = read_listed(key, reply);
    if (listed.error != ErrorCode::none) {
        return failed(env, key, partition, listed.error, results);
    }
    if (listed.offset < Offset(0)) {
        return failed(env, key, partition, ErrorCode::unknown_server_error, results);
    }
    partition.failures = 0;
    partition.lookup.reset();
    partition.position = listed.offset;
    partition.position_epoch = listed.epoch;
    partition.validated_epoch = partition.asked_epoch;
}

void Consumer::take_query(const Query& query, const Reply& reply, Results& results) {
    Listed listed = read_listed(query.key, reply);
    listed.id = query.id;
    const bool doubted = protocol::refreshes_metadata(listed.error) ||
                         listed.error == ErrorCode::unknown_leader_epoch;
    if (doubted) cluster_.refresh();
    results.listed.push_back(listed);
}

void Consumer::failed(env::Env& env, const Key& key, Partition& partition, ErrorCode error,
                      Results& results) {
    const bool doubted =
        protocol::refreshes_metadata(error) || error == ErrorCode::unknown_leader_epoch;
    if (doubted) cluster_.refresh();
    ++partition.failures;
    const auto entity =
        fold64(digest64(as_bytes(key.first)), static_cast<std::uint64_t>(key.second));
    partition.retry_at =
        env.turn().now + cluster_.retry_backoff(env.turn().draws, entity, partition.failures);
    if (partition.poll.has_value()) end_poll(partition, {.error = error}, results);
}

void Consumer::voided(Partition& partition, std::optional<std::pair<Offset, LeaderEpoch>> kept,
                      Results& results) {
    if (options_.auto_offset_reset == config::OffsetReset::none) {
        return end_poll(partition, {.error = ErrorCode::offset_out_of_range}, results);
    }
    if (kept.has_value()) {
        partition.position = std::min(partition.position, kept->first);
        partition.position_epoch = kept->second;
    } else {
        partition.lookup = options_.auto_offset_reset;
    }
    end_poll(partition, {.reset = true}, results);
}

void Consumer::end_poll(Partition& partition, Polled polled, Results& results) {
    if (!partition.poll.has_value()) return;
    polled.id = partition.poll->id;
    polled.partition = partition.poll->partition;
    partition.poll.reset();
    results.polled.push_back(std::move(polled));
}

}  // namespace klamm::client
