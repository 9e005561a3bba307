#include "core/server/forwarder.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/protocol/frame.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/envelope.h"

namespace klamm::server {

namespace {

constexpr int envelope_version = 0;
constexpr int create_topics_version = 7;
constexpr Duration forward_backoff = milliseconds(100);
constexpr std::uint64_t forward_line = 253;  // its draws are apart from the other lines' to it

/// Who asks, as Kafka's DefaultKafkaPrincipalBuilder writes it: version 0, User:ANONYMOUS, no
/// token.
Bytes anonymous() {
    protocol::Writer writer;
    writer.integer(std::int16_t{0});
    writer.string("User", true);
    writer.string("ANONYMOUS", true);
    writer.integer(std::int8_t{0});  // token authenticated
    writer.integer(std::int8_t{0});  // tagged fields
    return writer.take().bytes;
}

/// The address in "host:port", if it is one of IPv4; else the one that says nothing.
Bytes address_of(std::string_view peer) {
    Bytes address;
    unsigned number = 0;
    bool digits = false;
    for (const char c : peer.substr(0, peer.rfind(':'))) {
        if (c >= '0' && c <= '9' && number < 256) {
            number = number * 10 + static_cast<unsigned>(c - '0');
            digits = true;
        } else if (c == '.' && digits && number < 256) {
            address.push_back(static_cast<std::uint8_t>(number));
            number = 0;
            digits = false;
        } else {
            return Bytes(4, 0);
        }
    }
    if (!digits || number > 255 || address.size() != 3) return Bytes(4, 0);
    address.push_back(static_cast<std::uint8_t>(number));
    return address;
}

protocol::CreateTopicsRequest topic_request(const CreateTopicCommand& command) {
    protocol::CreateTopicsRequest request;
    protocol::CreateTopicsRequestTopic topic;
    topic.name = command.name;
    topic.num_partitions = command.partitions;
    topic.replication_factor = command.replication_factor;
    for (const auto& [key, value] : command.configs)
        topic.configs.push_back({.name = key, .value = value});
    request.topics.push_back(std::move(topic));
    return request;
}

}  // namespace

CreateTopicCommand creatable_topic(const config::BrokerOptions& options, std::string_view name) {
    if (name == group::offsets_topic)
        return {
            .name = std::string(name),
            .partitions = options.offsets_topic_num_partitions,
            .replication_factor =
                static_cast<std::int16_t>(options.offsets_topic_replication_factor),
            .configs = {{"cleanup.policy", "compact"},
                        {"compression.type", "producer"},
                        {"segment.bytes", fmt::format("{}", options.offsets_topic_segment_bytes)}}};
    if (name == transaction::transactions_topic)
        return {
            .name = std::string(name),
            .partitions = options.transaction_state_log_num_partitions,
            .replication_factor =
                static_cast<std::int16_t>(options.transaction_state_log_replication_factor),
            .configs = {
                {"cleanup.policy", "compact"},
                {"compression.type", "uncompressed"},
                {"min.insync.replicas", fmt::format("{}", options.transaction_state_log_min_isr)},
                {"segment.bytes", fmt::format("{}", options.transaction_state_log_segment_bytes)},
                {"unclean.leader.election.enable", "false"}}};
    return {.name = std::string(name),
            .partitions = options.num_partitions,
            .replication_factor = static_cast<std::int16_t>(options.default_replication_factor)};
}

void Forwarder::set_controller(const env::Endpoint& endpoint) {
    if (controller_ == endpoint) return;
    controller_ = endpoint;
    if (!line_) return;
    std::vector<net::Sent> lost;
    line_->close(context_.env(), lost);
    line_.reset();
    ask_again(lost);
}

void Forwarder::on(ForwardCommand command) {
    const Instant deadline =
        context_.now() + milliseconds(context_.settings.options.request_timeout_ms);
    queue_.push_back({std::move(command), std::nullopt, deadline});
    tick();
}

void Forwarder::on(CreateTopicCommand command) {
    if (!making_.insert(command.name).second) return;
    const Instant deadline =
        context_.now() + milliseconds(context_.settings.options.request_timeout_ms);
    queue_.push_back({std::nullopt, std::move(command), deadline});
    tick();
}

bool Forwarder::connected(const env::Connected& event) {
    if (!line_ || !line_->connected(context_.env(), event)) return false;
    tick();
    return true;
}

bool Forwarder::received(const env::Received& event) {
    std::vector<net::Answer> answers;
    std::vector<net::Sent> lost;
    if (!line_ || !line_->received(context_.env(), event, answers, lost)) return false;
    for (const net::Answer& answer : answers) answered(answer);
    ask_again(lost);
    tick();
    return true;
}

bool Forwarder::closed(const env::Closed& event) {
    std::vector<net::Sent> lost;
    if (!line_ || !line_->closed(context_.env(), event, lost)) return false;
    ask_again(lost);
    doubt_ = true;
    tick();
    return true;
}

void Forwarder::tick() {
    if (line_) {
        std::vector<net::Sent> lost;
        const env::ConnectionId before = line_->connection();
        line_->tick(context_.env(), lost);
        if (!lost.empty() || before != line_->connection()) doubt_ = true;
        ask_again(lost);
    }
    const Instant now = context_.now();
    std::erase_if(queue_, [&](const Waiting& waiting) {
        if (now < waiting.deadline) return false;
        finish(waiting, ErrorCode::request_timed_out, {});
        return true;
    });
    if (queue_.empty()) return;
    if (!line_) {
        net::ChannelOptions options;
        options.request_timeout =
            milliseconds(std::max(context_.settings.options.request_timeout_ms, 1));
        options.connect_timeout = std::min(options.connect_timeout, options.request_timeout);
        options.in_flight_max = 16;
        const auto node = static_cast<std::uint64_t>(context_.settings.options.node_id);
        line_.emplace(controller_, options, (node << 8) | forward_line);
    }
    line_->ensure(context_.env());
    while (now >= not_before_ && line_->can_send() && !queue_.empty()) {
        Waiting next = std::move(queue_.front());
        queue_.pop_front();
        send(std::move(next));
    }
}

Instant Forwarder::deadline_min() const {
    if (!line_) return instant_never;
    Instant first = line_->deadline();
    for (const Waiting& waiting : queue_) first = std::min(first, waiting.deadline);
    if (!queue_.empty() && line_->can_send()) first = std::min(first, not_before_);
    return first;
}

void Forwarder::send(Waiting waiting) {
    const std::uint64_t tag = ++asked_made_;
    if (waiting.forward) {
        const Bytes principal = anonymous();
        const Bytes address = address_of(waiting.forward->peer);
        protocol::EnvelopeRequest request;
        request.request_data = protocol::Blob{waiting.forward->frame};
        request.request_principal = protocol::Blob{principal};
        request.client_host_address = protocol::Blob{address};
        line_->send(context_.env(), request, envelope_version, "broker", tag);
    } else {
        line_->send(context_.env(), topic_request(*waiting.topic), create_topics_version, "broker",
                    tag);
    }
    asked_.emplace(tag, std::move(waiting));
}

void Forwarder::answered(const net::Answer& answer) {
    auto row = asked_.extract(answer.request.tag);
    Waiting& waiting = row.mapped();
    if (waiting.topic) {
        // Whatever became of it: who wants it looks into the metadata, and asks again.
        const auto response = protocol::decode_response_frame<protocol::CreateTopicsResponse>(
            answer.frame, answer.request.api_version, answer.request.correlation);
        const bool elsewhere = response.ok() && !response->topics.empty() &&
                               response->topics.front().error_code == ErrorCode::not_controller;
        if (!elsewhere) return finish(waiting, ErrorCode::none, {});
    } else {
        const auto response = protocol::decode_response_frame<protocol::EnvelopeResponse>(
            answer.frame, answer.request.api_version, answer.request.correlation);
        if (!response.ok()) return finish(waiting, ErrorCode::unknown_server_error, {});
        if (response->error_code == ErrorCode::none && response->response_data)
            return finish(waiting, ErrorCode::none,
                          answer.frame.slice_of(response->response_data->bytes));
        if (response->error_code != ErrorCode::not_controller)
            return finish(waiting,
                          response->error_code == ErrorCode::unsupported_version
                              ? ErrorCode::unsupported_version
                              : ErrorCode::unknown_server_error,
                          {});
    }
    doubt_ = true;
    not_before_ = context_.now() + forward_backoff;
    queue_.push_front(std::move(waiting));
}

void Forwarder::ask_again(const std::vector<net::Sent>& lost) {
    for (auto sent = lost.rbegin(); sent != lost.rend(); ++sent)
        queue_.push_front(std::move(asked_.extract(sent->tag).mapped()));
}

void Forwarder::finish(const Waiting& waiting, ErrorCode error, Buffer frame) {
    if (waiting.topic) {
        making_.erase(waiting.topic->name);
        return;
    }
    const ReplyTo& reply = waiting.forward->reply;
    context_.post(reply.shard, ForwardOutcome{reply, error, std::move(frame)});
}

}  // namespace klamm::server
