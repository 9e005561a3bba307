#pragma once
// A client's view of a cluster and its connections: bootstrap endpoints, one channel a broker, the
// versions agreed on each connection (ApiVersions, KIP-511), and metadata of the topics of
// interest, refreshed on request with an exponential back-off and by age.
//
// What always holds: nothing is sent on a connection before its versions are known; every request
// handed to send() comes back exactly once as a Reply, unless it was sent with `answered` false;
// nothing is retried here but metadata and handshakes.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/checksum.h"
#include "core/client/metadata_cache.h"
#include "core/config/options.h"
#include "core/net/channel.h"

namespace klamm::client {

/// An answer, or the news that there will be none. The frame holds what decode_reply views.
struct Reply {
    std::uint64_t tag = 0;
    BrokerId broker = no_broker;
    std::int16_t version = 0;
    std::int32_t correlation = 0;
    bool answered = false;  // false: the connection broke or the time was up
    Buffer frame;
};

/// The message in an answered reply; its views live as long as `reply.frame`.
template <class Response>
Result<Response> decode_reply(const Reply& reply) {
    if (!reply.answered) return Error{Failure::closed, "no answer"};
    return protocol::decode_response_frame<Response>(reply.frame.view(), reply.version,
                                                     reply.correlation);
}

/// "host:port"; invalid when it is not.
Result<env::Endpoint> parse_endpoint(const std::string& text);

class Cluster {
  public:
    /// `entity` names this client in draws. At most `in_flight_max` requests wait on a connection.
    Cluster(config::ClientOptions options, std::uint64_t entity, std::size_t in_flight_max);

    /// Asks for this topic's metadata from now on.
    void add_topic(const std::string& topic);

    /// Takes an event in if it belongs to a connection of this cluster; Alarm is for tick().
    bool handle(env::Env& env, const env::Event& event, std::vector<Reply>& replies);
    /// Ends what has timed out, connects where it was wanted, refreshes metadata when due.
    void tick(env::Env& env, std::vector<Reply>& replies);
    /// When tick() must next be called, or instant_never.
    [[nodiscard]] Instant deadline() const;

    [[nodiscard]] const MetadataCache& metadata() const { return cache_; }
    /// Metadata is doubted: ask again as soon as the back-off allows.
    void refresh() { refresh_wanted_ = true; }
    /// What a Produce or Fetch answer tells of the leader; refresh() where it told nothing new.
    void learn_broker(BrokerId broker, env::Endpoint endpoint);
    bool learn_leader(const std::string& topic, std::int32_t partition, BrokerId leader,
                      LeaderEpoch epoch) {
        return cache_.learn_leader(topic, partition, leader, epoch);
    }

    /// Whether a request can be sent to `broker` now; if it is not connected, this asks for it.
    bool ready(env::Env& env, BrokerId broker);
    /// Whether the last connection to `broker` failed or broke, and the next is not due yet.
    [[nodiscard]] bool unavailable(env::Env& env, BrokerId broker) const {
        const auto found = links_.find(broker);
        return found != links_.end() &&
               found->second.channel.connection() == env::ConnectionId::none &&
               env.turn().now < found->second.channel.deadline();
    }
    /// Breaks the connection to `broker`; what was under way on it comes back unanswered.
    void disconnect(env::Env& env, BrokerId broker, std::vector<Reply>& replies);
    /// The ready broker with the least in flight, for requests that any can answer; without one,
    /// asks for connections.
    std::optional<BrokerId> any_ready(env::Env& env);
    /// The highest version in [low, high] that a ready broker serves.
    [[nodiscard]] std::optional<std::int16_t> version(BrokerId broker, protocol::ApiKey key,
                                                      std::int16_t low, std::int16_t high) const;

    /// Only when ready(). `tag` comes back in the reply; its highest bit is not the caller's. The
    /// answer may take `longer` than request.timeout.ms.
    template <class Request>
    void send(env::Env& env, BrokerId broker, const Request& request, std::int16_t version,
              std::uint64_t tag, bool answered = true, Duration longer = {}) {
        links_.at(broker).channel.send(env, request, version, options_.client_id, tag, answered,
                                       longer);
    }

    /// Exponential back-off of clients: base * 2^(attempt-1), at most the maximum, with a drawn
    /// fifth added or taken off. `attempt` counts from 1.
    [[nodiscard]] Duration retry_backoff(const Draws& draws, std::uint64_t key,
                                         std::uint64_t attempt) const;

  private:
    struct Range {
        std::int16_t low;
        std::int16_t high;
    };
    struct Link {
        explicit Link(net::Channel made) : channel(std::move(made)) {}
        net::Channel channel;
        std::map<std::int16_t, Range> versions;
        bool agreed = false;
        bool wanted = false;
    };

    Link& link(BrokerId broker, const env::Endpoint& endpoint);
    void want(env::Env& env, Link& link);
    [[nodiscard]] std::vector<std::pair<BrokerId, env::Endpoint>> candidates() const;
    void shake_hands(env::Env& env, Link& link, std::int16_t version);
    void take(env::Env& env, BrokerId broker, const std::vector<net::Answer>& answers,
              const std::vector<net::Sent>& failed, std::vector<Reply>& replies);
    void take_versions(env::Env& env, Link& link, const Reply& reply, std::vector<Reply>& replies,
                       BrokerId broker);
    void take_metadata(env::Env& env, const Reply& reply);
    void refresh_failed(env::Env& env);
    void refresh_if_due(env::Env& env);

    config::ClientOptions options_;
    std::uint64_t entity_;
    std::size_t in_flight_max_;
    std::vector<env::Endpoint> bootstrap_;
    std::vector<std::string> topics_;
    MetadataCache cache_;
    std::map<BrokerId, Link> links_;
    bool refresh_wanted_ = true;
    bool refresh_in_flight_ = false;
    bool refresh_starved_ = false;  // due, but nobody to ask yet
    Instant refresh_not_before_{0};
    Instant refresh_stale_at_ = instant_never;
    std::uint64_t refresh_failures_ = 0;  // in a row; answers that told nothing new count too
    std::uint64_t refreshes_ = 0;
};

}  // namespace klamm::client
