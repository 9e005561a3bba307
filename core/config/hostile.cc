// The simulator's choice of options: lawful, and as hard on the code as the table allows.

#include <algorithm>

#include "core/config/table.h"

namespace klamm::config {
namespace {

constexpr std::int64_t hostile_rate = 500'000;  // of a million rows; the others keep their default

/// The row's own stream: its scope and name, so that a new row moves no other.
DrawDomain domain_of(const Row& row) {
    std::uint64_t key = draw_domain("config.hostile").key;
    key = fold64(key, static_cast<std::uint64_t>(row.scope));
    for (const char c : row.name) key = fold64(key, static_cast<std::uint8_t>(c));
    return {key};
}

/// Moves single draws to where the rules between options hold, and those that no rule names but
/// without which nothing would ever be answered.
void make_lawful(HostileOptions& options) {
    BrokerOptions& broker = options.broker;
    broker.replica_fetch_wait_max_ms = static_cast<std::int32_t>(
        std::min<std::int64_t>(broker.replica_fetch_wait_max_ms, broker.replica_lag_time_max_ms));
    broker.broker_heartbeat_interval_ms =
        std::min(broker.broker_heartbeat_interval_ms, broker.broker_session_timeout_ms / 2);
    if (broker.queued_max_request_bytes > 0)
        broker.queued_max_request_bytes = std::max<std::int64_t>(broker.queued_max_request_bytes,
                                                                 broker.socket_request_max_bytes);

    ProducerOptions& producer = options.producer;
    if (producer.acks != -1) producer.enable_idempotence = false;
    if (producer.enable_idempotence) producer.retries = std::max(producer.retries, 1);
    producer.client.request_timeout_ms =
        std::min(producer.client.request_timeout_ms,
                 producer.delivery_timeout_ms - static_cast<std::int32_t>(producer.linger_ms));
    // A batch that fits no segment is refused, however often it is sent.
    const std::int32_t room =
        std::min(options.topic.effective_segment_bytes(), options.topic.max_message_bytes);
    producer.batch_size = std::min(producer.batch_size, room / 2);

    ConsumerOptions& consumer = options.consumer;
    consumer.fetch_max_wait_ms =
        std::min(consumer.fetch_max_wait_ms, consumer.client.request_timeout_ms);
}

}  // namespace

HostileOptions draw_hostile(const Draws& draws, std::uint64_t entity) {
    HostileOptions options;
    Owners owners{.broker = &options.broker,
                  .topic = &options.topic,
                  .features = &options.features,
                  .client = &options.producer.client,
                  .producer = &options.producer,
                  .consumer = &options.consumer};
    for (const Row& row : table()) {
        const auto values = row.hostile.span();
        const DrawDomain domain = domain_of(row);
        if (values.empty() || !draws.happens(hostile_rate, domain, entity, 0)) continue;
        row.store(owners, {values[draws.below(values.size(), domain, entity, 1)], {}});
    }
    options.consumer.client = options.producer.client;
    make_lawful(options);
    options.broker.topic = options.topic;
    return options;
}

}  // namespace klamm::config
