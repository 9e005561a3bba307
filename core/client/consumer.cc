#include "core/client/consumer.h"

#include <algorithm>

#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"

namespace klamm::client {

namespace {

using protocol::ApiKey;
using protocol::ErrorCode;

constexpr std::size_t in_flight_max = 100;
constexpr std::int16_t fetch_version_min = 12;  // last fetched and diverging epochs
constexpr std::int16_t fetch_version_max = 17;

}  // namespace

Consumer::Consumer(config::ConsumerOptions options, std::uint64_t entity)
    : options_(std::move(options)), cluster_(options_.client, entity, in_flight_max) {}

void Consumer::seek_to(const std::string& topic, std::int32_t partition, config::OffsetReset end) {
    cluster_.add_topic(topic);
    Partition& row = partitions_[{topic, partition}];
    KLAMM_ASSERT(!row.poll.has_value());
    row.lookup = end;
    row.asked = Asked::nothing;  // an answer under way is no longer of interest
    row.tag = 0;
}

void Consumer::seek(const std::string& topic, std::int32_t partition, Offset offset,
                    LeaderEpoch epoch) {
    seek_to(topic, partition, config::OffsetReset::earliest);
    Partition& row = partitions_[{topic, partition}];
    row.lookup.reset();
    row.position = offset;
    row.position_epoch = epoch;
    row.validated_epoch = no_leader_epoch;
}

void Consumer::cancel(const std::string& topic, std::int32_t partition, ErrorCode error,
                      Results& results) {
    const auto row = partitions_.find({topic, partition});
    if (row == partitions_.end() || !row->second.poll.has_value()) return;
    row->second.asked = Asked::nothing;
    row->second.tag = 0;
    end_poll(row->second, {.error = error}, results);
}

void Consumer::forget(const std::string& topic, std::int32_t partition) {
    KLAMM_ASSERT(!polling(topic, partition));
    partitions_.erase({topic, partition});
}

LeaderEpoch Consumer::position_epoch(const std::string& topic, std::int32_t partition) const {
    const auto row = partitions_.find({topic, partition});
    return row == partitions_.end() ? no_leader_epoch : row->second.position_epoch;
}

std::optional<Offset> Consumer::position(const std::string& topic, std::int32_t partition) const {
    const auto row = partitions_.find({topic, partition});
    if (row == partitions_.end() || row->second.lookup.has_value()) return std::nullopt;
    return row->second.position;
}

bool Consumer::polling(const std::string& topic, std::int32_t partition) const {
    const auto row = partitions_.find({topic, partition});
    return row != partitions_.end() && row->second.poll.has_value();
}

void Consumer::poll(env::Env& env, std::uint64_t id, const std::string& topic,
                    std::int32_t partition) {
    KLAMM_ASSERT(position(topic, partition).has_value());
    Partition& row = partitions_.at({topic, partition});
    KLAMM_ASSERT(!row.poll.has_value());
    const Duration patience =
        milliseconds(options_.client.request_timeout_ms + options_.fetch_max_wait_ms);
    row.poll = Poll{id, partition, env.turn().now + patience};
}

void Consumer::list(env::Env& env, std::uint64_t id, const std::string& topic,
                    std::int32_t partition, Timestamp time) {
    cluster_.add_topic(topic);
    queries_.push_back({id,
                        {topic, partition},
                        time,
                        env.turn().now + milliseconds(options_.client.request_timeout_ms)});
}

bool Consumer::handle(env::Env& env, const env::Event& event, Results& results) {
    std::vector<Reply> replies;
    const bool taken = cluster_.handle(env, event, replies);
    for (const Reply& reply : replies) take(env, reply, results);
    return taken;
}

void Consumer::advance(env::Env& env, Results& results) {
    std::vector<Reply> replies;
    cluster_.tick(env, replies);
    for (const Reply& reply : replies) take(env, reply, results);
    wake_ = instant_never;
    for (auto& [key, partition] : partitions_) step(env, key, partition, results);
    for (Query& query : queries_) step_query(env, query);
    std::erase_if(queries_, [&](const Query& query) {
        if (query.tag != 0 || env.turn().now < query.deadline) return false;
        results.listed.push_back({query.id, query.key.second, ErrorCode::request_timed_out});
        return true;
    });
}

// Sending.

void Consumer::step(env::Env& env, const Key& key, Partition& partition, Results& results) {
    if (!partition.lookup.has_value() && !partition.poll.has_value()) return;
    if (partition.poll.has_value()) {
        if (env.turn().now >= partition.poll->deadline) {
            partition.asked = Asked::nothing;
            partition.tag = 0;
            end_poll(partition, {.error = ErrorCode::request_timed_out}, results);
            return;
        }
        wake(partition.poll->deadline);
    }
    if (partition.asked != Asked::nothing) return;
    if (env.turn().now < partition.retry_at) return wake(partition.retry_at);
    const PartitionState* state = cluster_.metadata().partition(key.first, key.second);
    if (state == nullptr || state->leader < BrokerId(0)) return cluster_.refresh();
    if (!cluster_.ready(env, state->leader)) return;
    partition.asked_epoch = state->epoch;
    partition.tag = ++tag_;
    if (partition.lookup.has_value()) {
        const bool earliest = *partition.lookup == config::OffsetReset::earliest;
        const Timestamp end = earliest ? earliest_timestamp : latest_timestamp;
        if (!send_list(env, state->leader, key, end, partition.tag))
            return failed(env, key, partition, ErrorCode::unsupported_version, results);
        partition.asked = Asked::reset;
        return;
    }
    const bool doubted =
        state->epoch > partition.validated_epoch && partition.position_epoch > no_leader_epoch;
    if (doubted) return send_validation(env, state->leader, key, partition);
    partition.validated_epoch = state->epoch;
    send_fetch(env, state->leader, key, partition);
}

void Consumer::step_query(env::Env& env, Query& query) {
    if (query.tag != 0) return;
    wake(query.deadline);
    const PartitionState* state = cluster_.metadata().partition(query.key.first, query.key.second);
    if (state == nullptr || state->leader < BrokerId(0)) return cluster_.refresh();
    if (!cluster_.ready(env, state->leader)) return;
    if (send_list(env, state->leader, query.key, query.time, tag_ + 1)) query.tag = ++tag_;
}

void Consumer::send_fetch(env::Env& env, BrokerId broker, const Key& key, Partition& partition) {
    partition.asked = Asked::fetch;
    const auto* topic = cluster_.metadata().topic(key.first);
    const auto version =
        cluster_.version(broker, ApiKey::fetch, fetch_version_min,
                         topic->id.is_zero() ? fetch_version_min : fetch_version_max);
    if (!version.has_value()) {
        // The poll ends at its deadline; another broker may lead by then.
        partition.asked = Asked::nothing;
        return;
    }
    protocol::FetchRequest request;
    request.max_wait_ms = options_.fetch_max_wait_ms;
    request.min_bytes = options_.fetch_min_bytes;
    request.max_bytes = options_.fetch_max_bytes;
    request.isolation_level = static_cast<std::int8_t>(options_.isolation_level);
    protocol::FetchRequestPartition part;
    part.partition = PartitionIndex(key.second);
    part.current_leader_epoch = partition.asked_epoch;
    part.fetch_offset = partition.position;
    part.last_fetched_epoch = partition.position_epoch;
    part.partition_max_bytes = options_.max_partition_fetch_bytes;
    protocol::FetchRequestTopic asked;
    if (*version >= 13) asked.topic_id = topic->id;
    if (*version < 13) asked.topic = key.first;
    asked.partitions.push_back(part);
    request.topics.push_back(std::move(asked));
    cluster_.send(env, broker, request, *version, partition.tag);
}

void Consumer::send_validation(env::Env& env, BrokerId broker, const Key& key,
                               Partition& partition) {
    const auto version = cluster_.version(broker, ApiKey::offset_for_leader_epoch, 2, 4);
    if (!version.has_value()) return;
    partition.asked = Asked::validation;
    protocol::OffsetForLeaderEpochRequest request;
    request.replica_id = no_broker;
    request.topics.push_back({key.first, {}});
    request.topics.back().partitions.push_back(
        {PartitionIndex(key.second), partition.asked_epoch, partition.position_epoch});
    cluster_.send(env, broker, request, *version, partition.tag);
}

bool Consumer::send_list(env::Env& env, BrokerId broker, const Key& key, Timestamp time,
                         std::uint64_t tag) {
    const auto version = cluster_.version(broker, ApiKey::list_offsets, 4, 10);
    const PartitionState* state = cluster_.metadata().partition(key.first, key.second);
    if (!version.has_value()) return false;
    protocol::ListOffsetsRequest request;
    request.replica_id = no_broker;
    request.isolation_level = static_cast<std::int8_t>(options_.isolation_level);
    if (*version >= 10) request.timeout_ms = options_.client.request_timeout_ms;
    request.topics.push_back({key.first, {}});
    request.topics.back().partitions.push_back({PartitionIndex(key.second), state->epoch, time});
    cluster_.send(env, broker, request, *version, tag);
    return true;
}

}  // namespace klamm::client
