#include "core/client/producer.h"

#include <algorithm>

namespace klamm::client {

namespace {

using protocol::ErrorCode;

constexpr std::size_t buffer_memory = 32 * 1024 * 1024;

}  // namespace

Producer::Producer(config::ProducerOptions options, std::uint64_t entity)
    : options_(std::move(options)),
      entity_(entity),
      cluster_(options_.client, entity,
               static_cast<std::size_t>(options_.max_in_flight_requests_per_connection)) {}

bool Producer::send(env::Env& env, std::uint64_t id, const std::string& topic,
                    std::int32_t partition, std::optional<ByteView> key, ByteView value) {
    const std::size_t bytes = record::BatchBuilder::record_bytes_max(key, value);
    if (bytes_pending_ + bytes > buffer_memory) return false;
    cluster_.add_topic(topic);
    auto& batches = partitions_[{topic, partition}].batches;
    ProducerBatch* batch = batches.empty() ? nullptr : &batches.rbegin()->second;
    const bool fits =
        batch != nullptr && batch->open.has_value() &&
        batch->open->size_bytes() + bytes <= static_cast<std::size_t>(options_.batch_size);
    if (!fits) {
        batch = &batches[++batch_number_];
        batch->created = env.turn().now;
        record::BatchOptions made;
        made.compression = static_cast<record::Compression>(options_.compression_type);
        batch->open.emplace(made);
    }
    const std::size_t before = batch->open->size_bytes();
    batch->open->append(env.turn().wall, key, value);
    bytes_pending_ += batch->open->size_bytes() - before;
    batch->open_bytes = batch->open->size_bytes();
    batch->ids.push_back(id);
    ++records_pending_;
    return true;
}

bool Producer::handle(env::Env& env, const env::Event& event, std::vector<Delivery>& deliveries) {
    std::vector<Reply> replies;
    const bool taken = cluster_.handle(env, event, replies);
    for (const Reply& reply : replies) take(env, reply, deliveries);
    return taken;
}

void Producer::advance(env::Env& env, std::vector<Delivery>& deliveries) {
    std::vector<Reply> replies;
    cluster_.tick(env, replies);
    for (const Reply& reply : replies) take(env, reply, deliveries);
    wake_ = instant_never;
    if (fatal_ != ErrorCode::none) return finish_all(deliveries);
    expire(env, deliveries);
    if (options_.enable_idempotence) {
        resolve_sequences();
        bump_if_requested(deliveries);
        ask_identity(env);
    }
    drain(env, deliveries);
    if (fatal_ != ErrorCode::none) finish_all(deliveries);
}

Instant Producer::deadline() const { return std::min(wake_, cluster_.deadline()); }

void Producer::finish(Partition& partition, std::uint64_t number, facts::Outcome outcome,
                      Offset base_offset, ErrorCode error, std::vector<Delivery>& deliveries) {
    const auto found = partition.batches.find(number);
    KLAMM_ASSERT(found != partition.batches.end());
    ProducerBatch& batch = found->second;
    for (std::size_t i = 0; i < batch.ids.size(); ++i) {
        const Offset offset =
            base_offset < Offset(0) ? no_offset : base_offset + static_cast<std::int64_t>(i);
        deliveries.push_back({batch.ids[i], outcome, offset, error});
    }
    records_pending_ -= batch.ids.size();
    bytes_pending_ -= batch.open_bytes - record::batch_header_bytes;
    partition.batches.erase(found);
}

void Producer::finish_all(std::vector<Delivery>& deliveries) {
    for (auto& [key, partition] : partitions_) {
        while (!partition.batches.empty()) {
            const auto& [number, batch] = *partition.batches.begin();
            const bool doubt = batch.doubtful || batch.in_flight;
            finish(partition, number, doubt ? facts::Outcome::unknown : facts::Outcome::failed,
                   no_offset, fatal_, deliveries);
        }
    }
}

void Producer::expire(env::Env& env, std::vector<Delivery>& deliveries) {
    const Duration timeout = milliseconds(options_.delivery_timeout_ms);
    for (auto& [key, partition] : partitions_) {
        while (!partition.batches.empty()) {
            const auto& [number, batch] = *partition.batches.begin();
            if (env.turn().now < batch.created + timeout) {
                wake(batch.created + timeout);
                break;
            }
            if (batch.sequenced()) {
                // No new numbers are given out until it is known whether there is a gap now.
                partition.unresolved = record::increment_sequence(batch.last_sequence(), 1);
            }
            const bool doubt = batch.doubtful || batch.in_flight;
            finish(partition, number, doubt ? facts::Outcome::unknown : facts::Outcome::failed,
                   no_offset, ErrorCode::request_timed_out, deliveries);
        }
    }
}

// Sending.

ProducerBatch* Producer::sendable(env::Env& env, const Key& key, Partition& partition,
                                  std::uint64_t& number, BrokerId& leader) {
    const auto waiting = std::find_if(partition.batches.begin(), partition.batches.end(),
                                      [](const auto& row) { return !row.second.in_flight; });
    if (waiting == partition.batches.end()) return nullptr;
    const bool first = waiting == partition.batches.begin();
    // With one request in flight, order is kept even without sequence numbers.
    if (!first && options_.max_in_flight_requests_per_connection == 1) return nullptr;
    ProducerBatch& batch = waiting->second;
    const PartitionState* state = cluster_.metadata().partition(key.first, key.second);
    if (state == nullptr || state->leader < BrokerId(0)) {
        cluster_.refresh();
        return nullptr;
    }
    const bool leader_changed = state->epoch > batch.tried_epoch;
    if (batch.attempts > 0 && env.turn().now < batch.retry_at && !leader_changed) {
        wake(batch.retry_at);
        return nullptr;
    }
    const Instant linger_end = batch.created + milliseconds(options_.linger_ms);
    const bool full = !batch.open.has_value() || std::next(waiting) != partition.batches.end() ||
                      batch.open->size_bytes() >= static_cast<std::size_t>(options_.batch_size);
    if (!full && env.turn().now < linger_end) {
        wake(linger_end);
        return nullptr;
    }
    if (options_.enable_idempotence) {
        if (identity_.id == no_producer_id) return nullptr;
        // A batch that is retried waits for those before it, so that they arrive in order.
        if (batch.sequenced() && !first) return nullptr;
        if (!batch.sequenced() && partition.unresolved.has_value()) return nullptr;
        if (!batch.sequenced() && !first && partition.producer != identity_) return nullptr;
        // A log that holds nothing of a producer takes any sequence number from it: were the first
        // batch refused for now, the second would be written before it. So the first goes alone.
        if (!first && partition.last_acked == record::no_sequence) return nullptr;
    }
    if (!cluster_.ready(env, state->leader)) return nullptr;
    number = waiting->first;
    leader = state->leader;
    batch.tried_epoch = state->epoch;
    return &batch;
}

void Producer::prepare(Partition& partition, ProducerBatch& batch,
                       std::vector<Delivery>& deliveries) {
    batch.close();
    batch.in_flight = true;
    batch.rewritten_in_flight = false;
    if (!options_.enable_idempotence || batch.sequenced()) return;
    if (partition.producer != identity_) restart_sequences(partition, deliveries);
    batch.set_producer(identity_, partition.next_sequence);
    partition.next_sequence = record::increment_sequence(partition.next_sequence, batch.count());
}

void Producer::drain(env::Env& env, std::vector<Delivery>& deliveries) {
    for (bool sent = true; sent;) {
        std::map<BrokerId, std::vector<Part>> groups;
        for (auto& [key, partition] : partitions_) {
            std::uint64_t number = 0;
            BrokerId leader = no_broker;
            ProducerBatch* batch = sendable(env, key, partition, number, leader);
            if (batch == nullptr) continue;
            prepare(partition, *batch, deliveries);
            const std::int32_t last =
                batch->sequenced() ? batch->last_sequence() : record::no_sequence;
            groups[leader].push_back({key, number, batch->producer, last});
        }
        sent = !groups.empty();
        for (auto& [broker, parts] : groups)
            send_request(env, broker, std::move(parts), deliveries);
    }
}

void Producer::send_request(env::Env& env, BrokerId broker, std::vector<Part> parts,
                            std::vector<Delivery>& deliveries) {
    const auto& metadata = cluster_.metadata();
    const bool ids_known = std::all_of(parts.begin(), parts.end(), [&](const Part& part) {
        return !metadata.topic(part.key.first)->id.is_zero();
    });
    const auto version = cluster_.version(broker, protocol::ApiKey::produce, 3,
                                          ids_known ? std::int16_t{13} : std::int16_t{12});
    if (!version.has_value()) {
        for (const Part& part : parts)
            ended(env, part, {ErrorCode::unsupported_version}, deliveries);
        return;
    }
    protocol::ProduceRequest request;
    request.transactional_id = std::nullopt;
    request.acks = options_.acks;
    request.timeout_ms = options_.client.request_timeout_ms;
    for (const Part& part : parts) {
        if (request.topic_data.empty() || request.topic_data.back().name != part.key.first) {
            request.topic_data.push_back({part.key.first, metadata.topic(part.key.first)->id, {}});
        }
        const ProducerBatch& batch = partitions_.at(part.key).batches.at(part.number);
        request.topic_data.back().partition_data.push_back(
            {PartitionIndex(part.key.second), protocol::Records::of(batch.bytes)});
    }
    for (auto& topic : request.topic_data) {
        if (*version >= 13) topic.name = {};
        if (*version < 13) topic.topic_id = {};
    }
    ++tag_;
    cluster_.send(env, broker, request, *version, tag_, options_.acks != 0);
    if (options_.acks != 0) {
        requests_.emplace(tag_, std::move(parts));
        return;
    }
    for (const Part& part : parts) {
        finish(partitions_.at(part.key), part.number, facts::Outcome::ok, no_offset,
               ErrorCode::none, deliveries);
    }
}

}  // namespace klamm::client
