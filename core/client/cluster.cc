#include "core/client/cluster.h"

#include <algorithm>
#include <charconv>

#include "core/protocol/messages/api_versions.h"

namespace klamm::client {

namespace {

using protocol::ApiKey;
using protocol::ErrorCode;

constexpr std::uint64_t own_tag = std::uint64_t{1} << 63;
constexpr std::uint64_t handshake_tag = own_tag | 1;
constexpr std::uint64_t metadata_tag = own_tag | 2;
constexpr std::int16_t metadata_version_max = 12;
constexpr std::size_t connects_at_once_max = 3;
constexpr std::int32_t first_bootstrap_id = -2;  // -1 is no broker

}  // namespace

Result<env::Endpoint> parse_endpoint(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    env::Endpoint endpoint;
    if (colon == std::string::npos || colon == 0)
        return Error{Failure::invalid, "expected host:port, found " + text};
    endpoint.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, endpoint.port);
    if (parsed.ec != std::errc() || parsed.ptr != end || endpoint.port == 0)
        return Error{Failure::invalid, "expected host:port, found " + text};
    return endpoint;
}

Cluster::Cluster(config::ClientOptions options, std::uint64_t entity, std::size_t in_flight_max)
    : options_(std::move(options)), entity_(entity), in_flight_max_(in_flight_max) {
    for (const std::string& text : options_.bootstrap_servers) {
        auto endpoint = parse_endpoint(text);
        if (endpoint.ok()) bootstrap_.push_back(*std::move(endpoint));
    }
}

void Cluster::add_topic(const std::string& topic) {
    if (std::find(topics_.begin(), topics_.end(), topic) != topics_.end()) return;
    topics_.push_back(topic);
    refresh_wanted_ = true;
}

Cluster::Link& Cluster::link(BrokerId broker, const env::Endpoint& endpoint) {
    const auto found = links_.find(broker);
    if (found != links_.end()) return found->second;
    net::ChannelOptions channel;
    channel.request_timeout = milliseconds(options_.request_timeout_ms);
    channel.backoff_min = milliseconds(options_.reconnect_backoff_ms);
    channel.backoff_max = std::max(channel.backoff_max, channel.backoff_min);
    channel.in_flight_max = in_flight_max_;
    const auto key = fold64(entity_, static_cast<std::uint64_t>(broker.value));
    return links_.emplace(broker, Link(net::Channel(endpoint, channel, key))).first->second;
}

void Cluster::want(env::Env& env, Link& link) {
    if (link.channel.open()) return;
    link.wanted = true;
    link.channel.ensure(env);
}

std::vector<std::pair<BrokerId, env::Endpoint>> Cluster::candidates() const {
    std::vector<std::pair<BrokerId, env::Endpoint>> all(cache_.brokers().begin(),
                                                        cache_.brokers().end());
    if (!all.empty()) return all;
    for (std::size_t i = 0; i < bootstrap_.size(); ++i) {
        all.emplace_back(BrokerId(first_bootstrap_id - static_cast<std::int32_t>(i)),
                         bootstrap_[i]);
    }
    return all;
}

void Cluster::learn_broker(BrokerId broker, env::Endpoint endpoint) {
    cache_.learn_broker(broker, std::move(endpoint));
}

bool Cluster::ready(env::Env& env, BrokerId broker) {
    const auto found = links_.find(broker);
    if (found != links_.end() && found->second.agreed) return found->second.channel.can_send();
    const auto known = cache_.brokers().find(broker);
    if (found != links_.end()) {
        Link& old = found->second;
        const bool idle = old.channel.connection() == env::ConnectionId::none;
        if (idle && known != cache_.brokers().end() && known->second != old.channel.endpoint()) {
            links_.erase(found);
        } else {
            want(env, old);
            return false;
        }
    }
    if (known != cache_.brokers().end()) want(env, link(broker, known->second));
    return false;
}

void Cluster::disconnect(env::Env& env, BrokerId broker, std::vector<Reply>& replies) {
    const auto found = links_.find(broker);
    if (found == links_.end()) return;
    std::vector<net::Sent> failed;
    found->second.channel.close(env, failed);
    take(env, broker, {}, failed, replies);
}

std::optional<BrokerId> Cluster::any_ready(env::Env& env) {
    std::optional<BrokerId> best;
    std::size_t least = 0;
    for (const auto& [broker, link] : links_) {
        if (!link.agreed || !link.channel.can_send()) continue;
        if (best.has_value() && link.channel.in_flight() >= least) continue;
        best = broker;
        least = link.channel.in_flight();
    }
    if (best.has_value()) return best;
    const auto all = candidates();
    const std::uint64_t from =
        all.empty() ? 0
                    : env.turn().draws.below(all.size(), draw_domain("client.connect"), entity_,
                                             refreshes_);
    for (std::size_t i = 0; i < std::min(all.size(), connects_at_once_max); ++i) {
        const auto& [broker, endpoint] = all[(from + i) % all.size()];
        if (broker < BrokerId(0)) {
            want(env, link(broker, endpoint));
        } else {
            (void)ready(env, broker);
        }
    }
    return std::nullopt;
}

std::optional<std::int16_t> Cluster::version(BrokerId broker, ApiKey key, std::int16_t low,
                                             std::int16_t high) const {
    const auto found = links_.find(broker);
    if (found == links_.end()) return std::nullopt;
    const auto served = found->second.versions.find(static_cast<std::int16_t>(key));
    if (served == found->second.versions.end()) return std::nullopt;
    const std::int16_t best = std::min(high, served->second.high);
    if (best < std::max(low, served->second.low)) return std::nullopt;
    return best;
}

Duration Cluster::retry_backoff(const Draws& draws, std::uint64_t key,
                                std::uint64_t attempt) const {
    const auto doublings = std::min<std::uint64_t>(attempt == 0 ? 0 : attempt - 1, 30);
    const std::int64_t full = std::min(options_.retry_backoff_ms << doublings,
                                       std::max(options_.retry_backoff_max_ms, std::int64_t{1}));
    const std::int64_t nanos = milliseconds(std::max(full, std::int64_t{1})).nanoseconds;
    return {nanos + draws.between(-nanos / 5, nanos / 5, draw_domain("client.retry"),
                                  fold64(entity_, key), attempt)};
}

// Connections.

void Cluster::shake_hands(env::Env& env, Link& link, std::int16_t version) {
    protocol::ApiVersionsRequest request;
    if (version >= 3) {
        request.client_software_name = "klamm";
        request.client_software_version = "4.1.0";
    }
    link.channel.send(env, request, version, options_.client_id, handshake_tag);
}

bool Cluster::handle(env::Env& env, const env::Event& event, std::vector<Reply>& replies) {
    for (auto& [broker, link] : links_) {
        std::vector<net::Answer> answers;
        std::vector<net::Sent> failed;
        bool taken = false;
        if (const auto* connected = std::get_if<env::Connected>(&event)) {
            taken = link.channel.connected(env, *connected);
            if (taken) {
                link.wanted = false;
                shake_hands(env, link, protocol::Api<protocol::ApiVersionsRequest>::version_max);
            }
        } else if (const auto* received = std::get_if<env::Received>(&event)) {
            taken = link.channel.received(env, *received, answers, failed);
        } else if (const auto* closed = std::get_if<env::Closed>(&event)) {
            taken = link.channel.closed(env, *closed, failed);
        }
        if (!taken) continue;
        take(env, broker, answers, failed, replies);
        return true;
    }
    return false;
}

void Cluster::take(env::Env& env, BrokerId broker, const std::vector<net::Answer>& answers,
                   const std::vector<net::Sent>& failed, std::vector<Reply>& replies) {
    Link& link = links_.at(broker);
    for (const net::Answer& answer : answers) {
        const net::Sent& sent = answer.request;
        Reply reply{sent.tag, broker, sent.api_version, sent.correlation, true, answer.frame};
        if (sent.tag == handshake_tag) {
            take_versions(env, link, reply, replies, broker);
        } else if (sent.tag == metadata_tag) {
            take_metadata(env, reply);
        } else {
            replies.push_back(std::move(reply));
        }
    }
    if (!link.channel.open()) link.agreed = false;
    for (const net::Sent& sent : failed) {
        if (sent.tag == metadata_tag) refresh_failed(env);
        if ((sent.tag & own_tag) != 0) continue;
        replies.push_back({sent.tag, broker, sent.api_version, sent.correlation, false, {}});
    }
    // A broker that cannot be reached may have moved, and what it led with it.
    if (!link.channel.open() && link.channel.connection() == env::ConnectionId::none) {
        link.wanted = false;  // whoever still needs it asks again
        refresh();
    }
}

void Cluster::take_versions(env::Env& env, Link& link, const Reply& reply,
                            std::vector<Reply>& replies, BrokerId broker) {
    auto response = decode_reply<protocol::ApiVersionsResponse>(reply);
    // A broker that does not know the version asked for answers with version 0 (KIP-511).
    if (!response.ok() || response->error_code == ErrorCode::unsupported_version) {
        Reply oldest = reply;
        oldest.version = 0;
        response = decode_reply<protocol::ApiVersionsResponse>(oldest);
        const bool again = response.ok() && reply.version > 0 &&
                           response->error_code == ErrorCode::unsupported_version;
        if (again) return shake_hands(env, link, 0);
    }
    if (!response.ok() || response->error_code != ErrorCode::none) {
        std::vector<net::Sent> failed;
        link.channel.close(env, failed);
        return take(env, broker, {}, failed, replies);
    }
    link.versions.clear();
    for (const auto& api : response->api_keys) {
        link.versions[static_cast<std::int16_t>(api.api_key)] = {api.min_version, api.max_version};
    }
    link.agreed = true;
}

void Cluster::tick(env::Env& env, std::vector<Reply>& replies) {
    for (auto& [broker, link] : links_) {
        if (env.turn().now < link.channel.deadline()) continue;
        if (link.channel.connection() == env::ConnectionId::none) {
            if (link.wanted) link.channel.ensure(env);
            continue;
        }
        std::vector<net::Sent> failed;
        link.channel.tick(env, failed);
        take(env, broker, {}, failed, replies);
    }
    refresh_if_due(env);
}

Instant Cluster::deadline() const {
    Instant first = instant_never;
    for (const auto& [broker, link] : links_) {
        const bool idle = link.channel.connection() == env::ConnectionId::none;
        if (!idle || link.wanted) first = std::min(first, link.channel.deadline());
    }
    if (refresh_in_flight_ || refresh_starved_ || topics_.empty()) return first;
    return std::min(first, refresh_wanted_ ? refresh_not_before_ : refresh_stale_at_);
}

// Metadata.

void Cluster::refresh_if_due(env::Env& env) {
    refresh_starved_ = false;
    if (refresh_in_flight_ || topics_.empty()) return;
    const Instant due = refresh_wanted_ ? refresh_not_before_ : refresh_stale_at_;
    if (env.turn().now < due) return;
    const auto broker = any_ready(env);
    if (!broker.has_value()) {
        refresh_starved_ = true;  // the links that were asked for have deadlines of their own
        return;
    }
    const auto agreed = version(*broker, ApiKey::metadata, 4, metadata_version_max);
    if (!agreed.has_value()) return refresh_failed(env);
    protocol::MetadataRequest request;
    request.topics.emplace();
    for (const std::string& topic : topics_) request.topics->push_back({{}, topic});
    ++refreshes_;
    refresh_in_flight_ = true;
    refresh_wanted_ = false;
    links_.at(*broker).channel.send(env, request, *agreed, options_.client_id, metadata_tag);
}

void Cluster::refresh_failed(env::Env& env) {
    refresh_in_flight_ = false;
    refresh_wanted_ = true;
    ++refresh_failures_;
    refresh_not_before_ =
        env.turn().now + retry_backoff(env.turn().draws, refreshes_, refresh_failures_);
}

void Cluster::take_metadata(env::Env& env, const Reply& reply) {
    const auto response = decode_reply<protocol::MetadataResponse>(reply);
    if (!response.ok() || response->error_code != ErrorCode::none) return refresh_failed(env);
    const bool changed = cache_.update(*response);
    if (!cache_.complete()) {
        if (changed) refresh_failures_ = 0;
        return refresh_failed(env);
    }
    refresh_in_flight_ = false;
    const Duration calm = milliseconds(2 * options_.retry_backoff_max_ms);
    const bool anew = changed || env.turn().now - refresh_not_before_ > calm;
    refresh_failures_ = anew ? 1 : refresh_failures_ + 1;
    refresh_not_before_ =
        env.turn().now + retry_backoff(env.turn().draws, refreshes_, refresh_failures_);
    refresh_stale_at_ = env.turn().now + milliseconds(options_.metadata_max_age_ms);
}

}  // namespace klamm::client
