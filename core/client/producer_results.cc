// What answers mean for batches, and what becomes of sequence numbers: Kafka's Sender and
// TransactionManager.

#include <algorithm>

#include "core/client/producer.h"
#include "core/protocol/messages/init_producer_id.h"

namespace klamm::client {

namespace {

using protocol::ErrorCode;

constexpr std::uint64_t identity_tag = 1;

}  // namespace

void Producer::take(env::Env& env, const Reply& reply, std::vector<Delivery>& deliveries) {
    if (reply.tag == identity_tag) return take_identity(env, reply);
    auto row = requests_.extract(reply.tag);
    if (row.empty()) return;
    take_produce(env, reply, row.mapped(), deliveries);
}

void Producer::take_produce(env::Env& env, const Reply& reply, const std::vector<Part>& parts,
                            std::vector<Delivery>& deliveries) {
    const auto response = decode_reply<protocol::ProduceResponse>(reply);
    if (!response.ok()) {
        for (const Part& part : parts) ended(env, part, {ErrorCode::network_exception}, deliveries);
        return;
    }
    for (const auto& node : response->node_endpoints) {
        cluster_.learn_broker(node.node_id,
                              {std::string(node.host), static_cast<std::uint16_t>(node.port)});
    }
    for (const Part& part : parts) {
        Answer answer{ErrorCode::unknown_server_error};
        for (const auto& topic : response->responses) {
            const auto* known = cluster_.metadata().topic(part.key.first);
            const bool same = reply.version >= 13 ? known != nullptr && known->id == topic.topic_id
                                                  : topic.name == part.key.first;
            if (!same) continue;
            for (const auto& told : topic.partition_responses) {
                if (told.index.value != part.key.second) continue;
                answer = {told.error_code, told.base_offset, told.log_start_offset};
                cluster_.learn_leader(part.key.first, part.key.second,
                                      told.current_leader.leader_id,
                                      told.current_leader.leader_epoch);
            }
        }
        ended(env, part, answer, deliveries);
    }
}

void Producer::ended(env::Env& env, const Part& part, const Answer& answer,
                     std::vector<Delivery>& deliveries) {
    Partition& partition = partitions_.at(part.key);
    const auto found = partition.batches.find(part.number);
    const bool written =
        answer.error == ErrorCode::none || answer.error == ErrorCode::duplicate_sequence_number;
    if (written && part.producer == partition.producer) {
        partition.last_acked = std::max(partition.last_acked, part.last_sequence);
        partition.last_acked_offset = std::max(partition.last_acked_offset, answer.base_offset);
    }
    if (protocol::refreshes_metadata(answer.error)) cluster_.refresh();
    if (found == partition.batches.end()) return;  // given up before
    ProducerBatch& batch = found->second;
    batch.in_flight = false;
    batch.last_error = answer.error;
    if (written) {
        const bool duplicate = answer.error == ErrorCode::duplicate_sequence_number;
        // It was written under its old numbers; those behind it must move up.
        if (batch.rewritten_in_flight) request_bump(partition);
        return finish(partition, part.number, facts::Outcome::ok,
                      duplicate ? no_offset : answer.base_offset, ErrorCode::none, deliveries);
    }
    if (!certainly_not_written(answer.error)) batch.doubtful = true;
    const bool in_time =
        env.turn().now < batch.created + milliseconds(options_.delivery_timeout_ms);
    // An attempt under numbers that the batch no longer has cannot be repeated under new ones.
    const bool repeatable = !(batch.rewritten_in_flight && batch.doubtful);
    const bool tries_left = batch.attempts < static_cast<std::uint32_t>(options_.retries);
    if (in_time && repeatable && tries_left && can_retry(partition, batch, answer)) {
        ++batch.attempts;
        batch.retry_at =
            env.turn().now + cluster_.retry_backoff(env.turn().draws, part.number, batch.attempts);
        return;
    }
    const bool gap = batch.sequenced();
    if (gap && in_time && tries_left) request_bump(partition);
    if (gap && !(in_time && tries_left)) {
        partition.unresolved = record::increment_sequence(batch.last_sequence(), 1);
    }
    if (answer.error == ErrorCode::cluster_authorization_failed ||
        answer.error == ErrorCode::producer_fenced ||
        answer.error == ErrorCode::unsupported_version) {
        fatal_ = answer.error;
    }
    finish(partition, part.number,
           batch.doubtful ? facts::Outcome::unknown : facts::Outcome::failed, no_offset,
           answer.error, deliveries);
}

bool Producer::can_retry(Partition& partition, const ProducerBatch& batch, const Answer& answer) {
    if (!batch.sequenced()) return protocol::is_retriable(answer.error);
    if (answer.error == ErrorCode::unknown_producer_id) {
        // Without a log start nothing can be told yet; after a reset the answer is of the old
        // numbers. Otherwise the broker's state is gone, by retention or by loss.
        if (answer.log_start != no_offset && !batch.sequence_reset) request_bump(partition);
        return true;
    }
    if (answer.error == ErrorCode::out_of_order_sequence_number) {
        const std::int32_t next = partition.last_acked == record::no_sequence
                                      ? 0
                                      : record::increment_sequence(partition.last_acked, 1);
        const bool is_next = batch.sequence == next;
        if (!partition.unresolved.has_value()) {
            // Not its turn yet: those before it are still on their way.
            if (batch.sequence_reset || !is_next) return true;
            request_bump(partition);
        } else if (batch.sequence == *partition.unresolved) {
            request_bump(partition);
        }
        return true;
    }
    return protocol::is_retriable(answer.error);
}

// Sequences.

void Producer::request_bump(Partition& partition) {
    bump_requested_ = true;
    partition.rewrite = true;
}

void Producer::resolve_sequences() {
    for (auto& [key, partition] : partitions_) {
        if (!partition.unresolved.has_value() || partition.any_sequenced()) continue;
        const std::int32_t next = partition.last_acked == record::no_sequence
                                      ? 0
                                      : record::increment_sequence(partition.last_acked, 1);
        if (partition.next_sequence != next) request_bump(partition);
        partition.unresolved.reset();
    }
}

void Producer::bump_if_requested(std::vector<Delivery>& deliveries) {
    if (!bump_requested_) return;
    bump_requested_ = false;
    if (identity_.id != no_producer_id) {
        if (identity_.epoch.value == INT16_MAX) {
            identity_ = {};
        } else {
            identity_.epoch = identity_.epoch + 1;
        }
    }
    for (auto& [key, partition] : partitions_) {
        if (!partition.rewrite) continue;
        partition.rewrite = false;
        restart_sequences(partition, deliveries);
    }
}

void Producer::restart_sequences(Partition& partition, std::vector<Delivery>& deliveries) {
    std::vector<std::uint64_t> given_up;
    partition.producer = identity_;
    partition.next_sequence = 0;
    partition.last_acked = record::no_sequence;
    partition.unresolved.reset();
    const bool named = identity_.id != no_producer_id;
    for (auto& [number, batch] : partition.batches) {
        if (!batch.sequenced()) continue;
        if (batch.doubtful || (batch.in_flight && !named)) {
            given_up.push_back(number);
            continue;
        }
        if (!named) {
            batch.sequence = record::no_sequence;
            continue;
        }
        batch.set_producer(identity_, partition.next_sequence);
        batch.sequence_reset = true;
        batch.rewritten_in_flight = batch.in_flight;
        partition.next_sequence =
            record::increment_sequence(partition.next_sequence, batch.count());
    }
    for (const std::uint64_t number : given_up) {
        const ErrorCode error = partition.batches.at(number).last_error;
        finish(partition, number, facts::Outcome::unknown, no_offset, error, deliveries);
    }
}

void Producer::ask_identity(env::Env& env) {
    if (identity_.id != no_producer_id || identity_in_flight_ || partitions_.empty()) return;
    if (env.turn().now < identity_not_before_) return wake(identity_not_before_);
    const auto broker = cluster_.any_ready(env);
    if (!broker.has_value()) return;
    const auto version = cluster_.version(*broker, protocol::ApiKey::init_producer_id, 0, 5);
    if (!version.has_value()) {
        fatal_ = ErrorCode::unsupported_version;
        return wake(env.turn().now);
    }
    protocol::InitProducerIdRequest request;
    request.transactional_id = std::nullopt;
    request.transaction_timeout_ms = INT32_MAX;
    identity_in_flight_ = true;
    cluster_.send(env, *broker, request, *version, identity_tag);
}

void Producer::take_identity(env::Env& env, const Reply& reply) {
    identity_in_flight_ = false;
    const auto response = decode_reply<protocol::InitProducerIdResponse>(reply);
    const ErrorCode error = response.ok() ? response->error_code : ErrorCode::network_exception;
    if (error == ErrorCode::none) {
        identity_ = {response->producer_id, response->producer_epoch};
        identity_failures_ = 0;
    } else if (protocol::is_retriable(error)) {
        ++identity_failures_;
        identity_not_before_ =
            env.turn().now + cluster_.retry_backoff(env.turn().draws, 0, identity_failures_);
    } else {
        fatal_ = error;
    }
}

}  // namespace klamm::client
