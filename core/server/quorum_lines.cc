#include "core/server/quorum_lines.h"

#include <fmt/format.h>

#include <algorithm>

namespace klamm::server {

namespace {

// As Kafka's quorum has them.
constexpr Duration backoff_min = milliseconds(50);
constexpr Duration backoff_max = milliseconds(500);

}  // namespace

void QuorumLines::send(env::Env& env, BrokerId to, const std::optional<env::Endpoint>& at,
                       std::uint64_t request, raft::Request body) {
    if (!at.has_value()) return outcomes_.push_back({to, request, std::nullopt, {}});
    Line& line = lines_[to];
    if (line.channel != nullptr && line.channel->endpoint() != *at) {
        std::vector<net::Sent> lost;
        line.channel->close(env, lost);
        fail(to, lost);
        line.channel.reset();
    }
    if (line.channel == nullptr) {
        net::ChannelOptions options;
        options.connect_timeout = options.request_timeout = request_timeout_;
        options.backoff_min = backoff_min;
        options.backoff_max = backoff_max;
        const std::uint64_t entity =
            fold64(static_cast<std::uint64_t>(self_.value), static_cast<std::uint64_t>(to.value));
        line.channel = std::make_unique<net::Channel>(*at, options, entity);
    }
    line.waiting = Waiting{request, std::move(body)};
    pump(env, to, line);
}

void QuorumLines::pump(env::Env& env, BrokerId to, Line& line) {
    if (!line.waiting.has_value()) return;
    net::Channel& channel = *line.channel;
    if (!channel.open()) {
        channel.ensure(env);
        if (channel.connection() != env::ConnectionId::none) return;
        // Backing off: the core has its own, and may ask another replica meanwhile.
        outcomes_.push_back({to, line.waiting->request, std::nullopt, {}});
        line.waiting.reset();
        return;
    }
    const raft::WireApi api = raft::api_of(line.waiting->body);
    auto frame =
        raft::encode_request(line.waiting->body, api.version, channel.next_correlation(), names_);
    KLAMM_ASSERT(frame.has_value());
    channel.send(env, static_cast<std::int16_t>(api.key), api.version,
                 {Buffer::from(std::move(*frame))}, line.waiting->request);
    line.waiting.reset();
}

void QuorumLines::fail(BrokerId from, const std::vector<net::Sent>& sent) {
    for (const net::Sent& one : sent) outcomes_.push_back({from, one.tag, std::nullopt, {}});
}

void QuorumLines::take(env::Env& env, BrokerId from, Line& line, const net::Answer& answer) {
    const auto key = static_cast<protocol::ApiKey>(answer.request.api_key);
    auto read = raft::decode_response(key, answer.request.api_version, answer.request.correlation,
                                      answer.frame, names_);
    if (read.ok())
        return outcomes_.push_back({from, answer.request.tag, std::move(read->response),
                                    answer.frame.slice_of(read->bytes)});
    env.log(fmt::format("closing the connection to replica {} of the quorum: {}", from.value,
                        read.error().text));
    std::vector<net::Sent> lost{answer.request};
    line.channel->close(env, lost);
    fail(from, lost);
}

bool QuorumLines::on_event(env::Env& env, const env::Connected& event) {
    for (auto& [to, line] : lines_) {
        if (!line.channel->connected(env, event)) continue;
        pump(env, to, line);
        return true;
    }
    return false;
}

bool QuorumLines::on_event(env::Env& env, const env::Received& event) {
    for (auto& [to, line] : lines_) {
        std::vector<net::Answer> answers;
        std::vector<net::Sent> lost;
        if (!line.channel->received(env, event, answers, lost)) continue;
        for (const net::Answer& answer : answers) take(env, to, line, answer);
        fail(to, lost);
        return true;
    }
    return false;
}

bool QuorumLines::on_event(env::Env& env, const env::Closed& event) {
    for (auto& [to, line] : lines_) {
        std::vector<net::Sent> lost;
        if (!line.channel->closed(env, event, lost)) continue;
        fail(to, lost);
        pump(env, to, line);
        return true;
    }
    return false;
}

void QuorumLines::tick(env::Env& env) {
    for (auto& [to, line] : lines_) {
        if (line.channel->connection() == env::ConnectionId::none) continue;
        std::vector<net::Sent> lost;
        line.channel->tick(env, lost);
        fail(to, lost);
        pump(env, to, line);
    }
}

Instant QuorumLines::deadline() const {
    Instant least = instant_never;
    for (const auto& [to, line] : lines_)
        if (line.channel->connection() != env::ConnectionId::none)
            least = std::min(least, line.channel->deadline());
    return least;
}

}  // namespace klamm::server
