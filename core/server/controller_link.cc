#include "core/server/controller_link.h"

#include <algorithm>
#include <utility>

#include "core/base/checksum.h"
#include "core/protocol/messages/allocate_producer_ids.h"
#include "core/protocol/messages/alter_partition.h"
#include "core/protocol/messages/broker_heartbeat.h"
#include "core/protocol/messages/broker_registration.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/quorum_fetch_snapshot.h"
#include "core/record/batch.h"

namespace klamm::server {

namespace {

constexpr int registration_version = 4;
constexpr int heartbeat_version = 1;
constexpr int alter_partition_version = 3;
constexpr int producer_ids_version = 0;
constexpr int fetch_version = 17;
constexpr int fetch_snapshot_version = 1;
constexpr int quorum_fetch_version = 18;  // says which high watermark it knows
// How long a stop waits for the controller before it goes without.
constexpr Duration shutdown_wait_max = seconds(20);
constexpr std::int32_t metadata_fetch_bytes_max = 8 << 20;

net::ChannelOptions line_options(const BrokerSettings& settings) {
    net::ChannelOptions options;
    // A controller that is gone must not hold the line for longer than a session lasts.
    options.request_timeout =
        milliseconds(std::max(settings.options.broker_session_timeout_ms, 1'000));
    options.connect_timeout = options.request_timeout;
    options.in_flight_max = 8;
    return options;
}

std::uint64_t draw_entity(const BrokerSettings& settings, std::uint64_t line) {
    return (static_cast<std::uint64_t>(settings.options.node_id) << 8) | line;
}

}  // namespace

ControllerLink::ControllerLink(Context& context)
    : context_(context), line_(make_line(254)), log_line_(make_line(255)) {}

net::Channel ControllerLink::make_line(std::uint64_t line) const {
    const BrokerSettings& settings = context_.settings;
    return {in_quorum() ? settings.controllers[target_].at : settings.controller,
            line_options(settings), draw_entity(settings, line)};
}

void ControllerLink::want_controller(BrokerId id) {
    const auto& all = context_.settings.controllers;
    if (all.size() < 2) return;
    if (id == no_broker) {
        if (!wanted_.has_value()) wanted_ = (target_ + 1) % all.size();
        return;
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].id == id) wanted_ = i;
    if (wanted_ == target_) wanted_.reset();
}

void ControllerLink::turn_to_wanted() {
    if (!wanted_.has_value() || context_.now() < turn_due_) return;
    target_ = *std::exchange(wanted_, {});
    turn_due_ = context_.now() + retry_backoff;
    std::vector<net::Sent> lost;
    line_.close(context_.env(), lost);
    log_line_.close(context_.env(), lost);
    failed(lost);
    line_ = make_line(254);
    log_line_ = make_line(255);
    uncommitted_.clear();
    snapshot_.reset();
    heartbeat_due_ = std::min(heartbeat_due_, context_.now());
}

void ControllerLink::start(BrokerEpoch previous_epoch, std::uint16_t port) {
    started_ = true;
    previous_epoch_ = previous_epoch;
    port_ = port;
    const Turn& turn = context_.turn();
    const auto self = static_cast<std::uint64_t>(context_.self().value);
    const auto start = static_cast<std::uint64_t>(turn.now.nanoseconds);
    constexpr auto domain = draw_domain("server.incarnation");
    incarnation_ = uuid_from_halves(turn.draws.word(domain, self, 2 * start),
                                    turn.draws.word(domain, self, 2 * start + 1));
    tick();
}

void ControllerLink::set_ready() {
    ready_ = true;
    heartbeat_due_ = context_.now();
    tick();
}

void ControllerLink::ask_shutdown() {
    if (shutting_down_) return;
    shutting_down_ = true;
    shutdown_deadline_ = context_.now() + shutdown_wait_max;
    if (!registered()) may_stop_ = true;
    heartbeat_due_ = context_.now();
    tick();
}

void ControllerLink::on(AlterIsrCommand command) {
    alters_.push_back(std::move(command));
    tick();
}

void ControllerLink::on(const ProducerIdsCommand& command) {
    producer_ids_.push_back(command.reply);
    tick();
}

bool ControllerLink::connected(const env::Connected& event) {
    if (!line_.connected(context_.env(), event) && !log_line_.connected(context_.env(), event))
        return false;
    tick();
    return true;
}

bool ControllerLink::received(const env::Received& event) {
    std::vector<net::Answer> answers;
    std::vector<net::Sent> lost;
    if (!line_.received(context_.env(), event, answers, lost) &&
        !log_line_.received(context_.env(), event, answers, lost))
        return false;
    for (const net::Answer& answer : answers) answered(answer);
    failed(lost);
    tick();
    return true;
}

bool ControllerLink::closed(const env::Closed& event) {
    std::vector<net::Sent> lost;
    if (!line_.closed(context_.env(), event, lost) &&
        !log_line_.closed(context_.env(), event, lost))
        return false;
    failed(lost);
    want_controller(no_broker);
    tick();
    return true;
}

void ControllerLink::tick() {
    if (!started_) return;
    std::vector<net::Sent> lost;
    const auto before = std::pair(line_.connection(), log_line_.connection());
    line_.tick(context_.env(), lost);
    log_line_.tick(context_.env(), lost);
    failed(lost);
    if (before != std::pair(line_.connection(), log_line_.connection())) want_controller(no_broker);
    turn_to_wanted();
    if (context_.now() >= shutdown_deadline_) {
        may_stop_ = true;
        shutdown_deadline_ = instant_never;
    }
    line_.ensure(context_.env());
    // Who wants a producer id is not kept waiting for a controller that is away.
    if (!line_.open()) {
        for (const ReplyTo& reply : std::exchange(producer_ids_, {}))
            context_.post(reply.shard, ProducerIdsOutcome{.reply = reply,
                                                          .error = ErrorCode::network_exception});
    }
    if (registered()) log_line_.ensure(context_.env());
    send_requests();
}

Instant ControllerLink::deadline_min() const {
    if (!started_) return instant_never;
    Instant first = std::min({line_.deadline(), shutdown_deadline_});
    if (wanted_.has_value()) first = std::min(first, turn_due_);
    if (registered()) first = std::min(first, log_line_.deadline());
    if (line_.can_send()) {
        if (!registered() && !registering_) first = std::min(first, registration_due_);
        if (registered() && !heartbeating_) first = std::min(first, heartbeat_due_);
        if (registered() && !altering_ && !alters_.empty()) first = std::min(first, alter_due_);
    }
    if (log_line_.can_send() && registered() && !fetching_) first = std::min(first, fetch_due_);
    return first;
}

std::uint64_t ControllerLink::note(Asked asked) {
    asked_.emplace(++asked_made_, std::move(asked));
    return asked_made_;
}

void ControllerLink::send_requests() {
    const Instant now = context_.now();
    if (line_.can_send() && !registered() && !registering_ && now >= registration_due_)
        send_registration();
    if (line_.can_send() && registered() && !heartbeating_ && now >= heartbeat_due_)
        send_heartbeat();
    if (line_.can_send() && registered() && !altering_ && !alters_.empty() && now >= alter_due_)
        send_alter_partition();
    while (line_.can_send() && registered() && !producer_ids_.empty()) send_producer_ids();
    if (log_line_.can_send() && registered() && !fetching_ && now >= fetch_due_) send_fetch();
}

void ControllerLink::send_registration() {
    protocol::BrokerRegistrationRequest request;
    request.broker_id = context_.self();
    request.cluster_id = context_.settings.cluster;
    request.incarnation_id = incarnation_;
    const env::Endpoint& advertised = context_.settings.advertised;
    request.listeners.push_back({.name = "PLAINTEXT",
                                 .host = advertised.host,
                                 .port = advertised.port != 0 ? advertised.port : port_,
                                 .security_protocol = 0});
    request.rack = std::nullopt;
    if (!context_.settings.options.broker_rack.empty())
        request.rack = context_.settings.options.broker_rack;
    request.previous_broker_epoch = previous_epoch_;
    registering_ = true;
    line_.send(context_.env(), request, registration_version, "broker",
               note({Tag::registration, {}, {}}));
}

void ControllerLink::send_heartbeat() {
    protocol::BrokerHeartbeatRequest request;
    request.broker_id = context_.self();
    request.broker_epoch = context_.broker_epoch;
    request.current_metadata_offset = Offset(context_.image->offset());
    request.want_fence = !ready_;
    request.want_shut_down = shutting_down_;
    heartbeating_ = true;
    line_.send(context_.env(), request, heartbeat_version, "broker",
               note({Tag::heartbeat, {}, {}}));
}

void ControllerLink::send_alter_partition() {
    protocol::AlterPartitionRequest request;
    request.broker_id = context_.self();
    request.broker_epoch = context_.broker_epoch;
    Asked asked{Tag::alter_partition, {alters_.begin(), alters_.end()}, {}};
    alters_.clear();
    for (const AlterIsrCommand& command : asked.alters) {
        protocol::AlterPartitionRequestPartition partition;
        partition.partition_index = command.partition.partition;
        partition.leader_epoch = command.leader_epoch;
        partition.partition_epoch = command.partition_epoch;
        for (const IsrMember& member : command.isr)
            partition.new_isr_with_epochs.push_back(
                {.broker_id = member.broker, .broker_epoch = member.epoch});
        request.topics.push_back(
            {.topic_id = command.partition.topic, .partitions = {std::move(partition)}});
    }
    altering_ = true;
    line_.send(context_.env(), request, alter_partition_version, "broker", note(std::move(asked)));
}

void ControllerLink::send_producer_ids() {
    protocol::AllocateProducerIdsRequest request;
    request.broker_id = context_.self();
    request.broker_epoch = context_.broker_epoch;
    Asked asked{Tag::producer_ids, {}, producer_ids_.front()};
    producer_ids_.pop_front();
    line_.send(context_.env(), request, producer_ids_version, "broker", note(std::move(asked)));
}

void ControllerLink::send_fetch_snapshot() {
    protocol::FetchSnapshotRequest request;
    request.cluster_id = std::string_view(context_.settings.cluster);
    request.replica_id = context_.self();
    request.max_bytes = metadata_fetch_bytes_max;
    protocol::FetchSnapshotRequestPartition partition;
    partition.current_leader_epoch = leader_epoch_;
    partition.snapshot_id = {snapshot_->end, snapshot_->epoch};
    partition.position = static_cast<std::int64_t>(snapshot_->bytes.size());
    request.topics.push_back({.name = metadata_topic_name, .partitions = {partition}});
    fetching_ = true;
    log_line_.send(context_.env(), request, fetch_snapshot_version, "broker",
                   note({Tag::fetch_snapshot, {}, {}}));
}

void ControllerLink::send_fetch() {
    if (snapshot_.has_value()) return send_fetch_snapshot();
    protocol::FetchRequest request;
    request.replica_state = {.replica_id = context_.self(), .replica_epoch = context_.broker_epoch};
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.max_bytes = metadata_fetch_bytes_max;
    protocol::FetchRequestPartition partition;
    partition.partition = PartitionIndex(0);
    partition.fetch_offset = next_;
    partition.last_fetched_epoch = last_epoch_;
    if (in_quorum()) {
        // As one that holds no more than it has applied; what waits is asked for with what follows.
        partition.last_fetched_epoch = std::max(last_epoch_, LeaderEpoch(0));
        partition.current_leader_epoch = leader_epoch_;
        partition.high_watermark = committed_;
        ByteView rest = uncommitted_;
        ByteView one;
        while (record::next_batch(rest, one) == record::Peek::ok) {
            partition.fetch_offset = record::BatchView(one).next_offset();
            partition.last_fetched_epoch = record::BatchView(one).leader_epoch();
        }
    }
    partition.log_start_offset = Offset(0);
    partition.partition_max_bytes = metadata_fetch_bytes_max;
    request.topics.push_back({.topic = {}, .topic_id = metadata_topic, .partitions = {partition}});
    fetching_ = true;
    log_line_.send(context_.env(), request, in_quorum() ? quorum_fetch_version : fetch_version,
                   "broker", note({Tag::fetch, {}, {}}));
}

void ControllerLink::failed(const std::vector<net::Sent>& sent) {
    const Instant again = context_.now() + retry_backoff;
    for (const net::Sent& request : sent) {
        auto row = asked_.extract(request.tag);
        switch (row.mapped().tag) {
            case Tag::registration:
                registering_ = false;
                registration_due_ = again;
                break;
            case Tag::heartbeat:
                heartbeating_ = false;
                heartbeat_due_ = again;
                break;
            case Tag::alter_partition:
                altering_ = false;
                alter_due_ = again;
                for (const AlterIsrCommand& command : row.mapped().alters) fail_alter(command);
                break;
            case Tag::producer_ids:
                context_.post(row.mapped().producer_ids->shard,
                              ProducerIdsOutcome{.reply = *row.mapped().producer_ids,
                                                 .error = ErrorCode::network_exception});
                break;
            case Tag::fetch:
            case Tag::fetch_snapshot:
                fetching_ = false;
                fetch_due_ = again;
                break;
        }
    }
}

void ControllerLink::fail_alter(const AlterIsrCommand& command) {
    context_.post(command.reply.shard,
                  AlterIsrOutcome{.reply = command.reply,
                                  .partition = command.partition,
                                  .asked_epoch = command.leader_epoch,
                                  .asked_partition_epoch = command.partition_epoch});
}

}  // namespace klamm::server
