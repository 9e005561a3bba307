// The clients of a driven world: adding them, and handing orders to their nodes
// (core/workload/driven.h).

#include <algorithm>
#include <utility>

#include "bindings/python/driven_state.h"
#include "core/config/options.h"
#include "core/workload/driven.h"

namespace klamm::python {

namespace {

constexpr std::uint32_t first_producer = 1;
constexpr std::uint32_t first_consumer = 50;
constexpr std::uint32_t clients_max = 40;

}  // namespace

std::uint32_t DrivenWorld::add_producer(
    const std::vector<std::pair<std::string, std::string>>& options) {
    State& state = *state_;
    state.must_live();
    if (state.producers >= clients_max) refuse("a world has at most 40 producers");
    workload::ProducerWorkload workload = state.producer_pattern;
    for (const auto& [key, text] : options) check(config::set(workload.options, key, text));
    check(config::check(workload.options));
    if (state.setup.idempotent && !workload.options.enable_idempotence)
        refuse(
            "this world holds its producers to idempotence: make it with idempotent=False to "
            "have one without");
    workload.client = first_producer + state.producers++;
    const std::string name = fmt::format("producer-{}", workload.client);
    const sim::NodeId node = state.cluster().add_client(
        name, workload.client, workload::driven_producer_factory(workload));
    state.clients[workload.client] = {node, name, true, 0};
    state.start(node);
    return workload.client;
}

std::uint32_t DrivenWorld::add_consumer(
    const std::vector<std::pair<std::string, std::string>>& options, bool from_earliest) {
    State& state = *state_;
    state.must_live();
    if (state.consumers >= clients_max) refuse("a world has at most 40 consumers");
    workload::ConsumerWorkload workload = state.consumer_pattern;
    for (const auto& [key, text] : options) check(config::set(workload.options, key, text));
    workload.from_earliest = from_earliest;
    workload.client = first_consumer + state.consumers++;
    const std::string name = fmt::format("consumer-{}", workload.client);
    const sim::NodeId node = state.cluster().add_client(
        name, workload.client, workload::driven_consumer_factory(workload));
    state.clients[workload.client] = {node, name, false, 0};
    state.start(node);
    return workload.client;
}

std::uint32_t DrivenWorld::send(std::uint32_t client, std::int32_t partition,
                                std::optional<Bytes> key, Bytes value) {
    State& state = *state_;
    state.must_live();
    state.check_partition(partition);
    State::Client& one = state.client(client, true);
    if (one.operations > 0xffff'ffff) refuse("a producer sends at most 2^32 records");
    auto order = std::make_unique<workload::SendOrder>();
    order->number = static_cast<std::uint32_t>(one.operations++);
    order->partition = partition;
    order->key = std::move(key);
    order->payload = std::move(value);
    const std::uint32_t number = order->number;
    state.world().post(one.node, std::move(order));
    return number;
}

void DrivenWorld::send_out_of_turn(std::uint32_t client) {
    State::Client& one = state_->client(client, true);
    ++one.operations;
    (void)send(client, 0, {}, {});
}

Sent DrivenWorld::sent(std::uint32_t client, std::uint32_t number, std::int64_t limit) {
    State& state = *state_;
    State::Client& one = state.client(client, true);
    Sent sent;
    sent.number = number;
    const auto look = [&] {
        auto* node = static_cast<workload::DrivenProducer*>(state.world().shard_object(one.node));
        if (node == nullptr) return false;
        const auto delivery = node->take(number);
        if (!delivery.has_value()) return false;
        sent.over = true;
        constexpr const char* outcomes[] = {"ok", "failed", "unknown"};
        sent.outcome = outcomes[static_cast<std::size_t>(delivery->outcome)];
        sent.offset = delivery->offset.value;
        sent.error = protocol::to_string(delivery->error);
        return true;
    };
    if (!look() && limit > now()) state.pump(Instant{limit}, look);
    return sent;
}

std::uint64_t DrivenWorld::read(std::uint32_t client, std::string_view what, std::int32_t partition,
                                std::int64_t offset) {
    State& state = *state_;
    state.must_live();
    state.check_partition(partition);
    State::Client& one = state.client(client, false);
    constexpr std::string_view words[] = {"poll", "latest", "start", "end", "offset"};
    const auto* word = std::find(std::begin(words), std::end(words), what);
    if (word == std::end(words)) refuse(fmt::format("nobody reads '{}'", what));
    auto order = std::make_unique<workload::ReadOrder>();
    order->what = static_cast<workload::ReadOrder::What>(word - std::begin(words));
    order->operation = one.operations++;
    order->partition = partition;
    order->offset = Offset(offset);
    const std::uint64_t operation = order->operation;
    state.world().post(one.node, std::move(order));
    return operation;
}

Polled DrivenWorld::polled(std::uint32_t client, std::uint64_t operation, std::int64_t limit) {
    State& state = *state_;
    State::Client& one = state.client(client, false);
    Polled polled;
    const auto look = [&] {
        auto* node = static_cast<workload::DrivenConsumer*>(state.world().shard_object(one.node));
        if (node == nullptr) return false;
        auto outcome = node->take(operation);
        if (!outcome.has_value()) return false;
        polled.over = true;
        polled.error = protocol::to_string(outcome->error);
        polled.reset = outcome->reset;
        polled.offset = outcome->offset.value;
        polled.log_start = outcome->log_start.value;
        polled.high_watermark = outcome->high_watermark.value;
        for (workload::ReadRecord& record : outcome->records)
            polled.records.push_back({record.offset.value, record.timestamp.value,
                                      std::move(record.key), std::move(record.payload)});
        return true;
    };
    if (!look() && limit > now()) state.pump(Instant{limit}, look);
    return polled;
}

std::optional<std::int64_t> DrivenWorld::position(std::uint32_t client, std::int32_t partition) {
    State& state = *state_;
    state.check_partition(partition);
    const auto* node = static_cast<workload::DrivenConsumer*>(
        state.world().shard_object(state.client(client, false).node));
    if (node == nullptr) return std::nullopt;
    const auto at = node->position(partition);
    return at.has_value() ? std::optional<std::int64_t>(at->value) : std::nullopt;
}

}  // namespace klamm::python
