#pragma once
// One outbound connection to one endpoint: requests in order, answers matched by correlation id,
// which must come back in the order of the requests as Kafka's brokers send them. A connection that
// breaks, or does not answer in time, fails every request in flight with an unknown outcome; the
// next connection waits for a back-off that doubles up to its maximum, with a drawn share taken off
// so that peers do not march in step. It never retries by itself: only the owner knows what may be
// sent twice.

#include <deque>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/net/frame_reader.h"
#include "core/net/pieces.h"
#include "core/protocol/frame.h"

namespace klamm::net {

struct ChannelOptions {
    Duration connect_timeout = seconds(10);   // socket.connection.setup.timeout.ms
    Duration request_timeout = seconds(30);   // request.timeout.ms
    Duration backoff_min = milliseconds(50);  // reconnect.backoff.ms
    Duration backoff_max = seconds(1);        // reconnect.backoff.max.ms
    std::size_t in_flight_max = 5;            // max.in.flight.requests.per.connection
    std::size_t frame_bytes_max = 256 * 1024 * 1024;
};

/// A request as it waits for its answer. `tag` is the owner's.
struct Sent {
    std::int32_t correlation;
    std::int16_t api_key;
    std::int16_t api_version;
    std::uint64_t tag;
    Instant deadline;
};

struct Answer {
    Sent request;
    Buffer frame;  // response header and body
};

class Channel {
  public:
    /// `draw_entity` names this channel in draws (e.g. node and peer).
    Channel(env::Endpoint to, ChannelOptions options, std::uint64_t draw_entity)
        : to_(std::move(to)),
          options_(options),
          draw_entity_(draw_entity),
          reader_(options.frame_bytes_max) {}

    /// Opens a connection if there is none and the back-off is over.
    void ensure(env::Env& env);

    [[nodiscard]] bool open() const { return state_ == State::open; }
    [[nodiscard]] bool can_send() const {
        return open() && in_flight_.size() < options_.in_flight_max;
    }
    [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
    [[nodiscard]] const env::Endpoint& endpoint() const { return to_; }
    [[nodiscard]] env::ConnectionId connection() const { return connection_; }
    /// The correlation id that the next request must carry.
    [[nodiscard]] std::int32_t next_correlation() const { return correlation_; }

    /// Sends one request frame (its length, a header with next_correlation(), and body). Only when
    /// open(). With `answered` false (Produce with acks=0) nothing is waited for; an answer may
    /// take `longer` than the request timeout (JoinGroup).
    void send(env::Env& env, std::int16_t api_key, std::int16_t api_version, Pieces frame,
              std::uint64_t tag, bool answered = true, Duration longer = {});

    /// The same for a typed request without external parts.
    template <class Request>
    void send(env::Env& env, const Request& request, int version, std::string_view client_id,
              std::uint64_t tag, bool answered = true, Duration longer = {}) {
        send(env, static_cast<std::int16_t>(protocol::Api<Request>::key),
             static_cast<std::int16_t>(version),
             to_pieces(protocol::encode_request_frame(request, version, correlation_, client_id)),
             tag, answered, longer);
    }

    /// Each takes an event if it is this channel's. Requests that can no longer be answered are
    /// appended to `failed`.
    bool connected(env::Env& env, const env::Connected& event);
    bool received(env::Env& env, const env::Received& event, std::vector<Answer>& answers,
                  std::vector<Sent>& failed);
    bool closed(env::Env& env, const env::Closed& event, std::vector<Sent>& failed);

    /// When tick() must next be called, or instant_never.
    [[nodiscard]] Instant deadline() const;
    /// Ends what has timed out. Does not connect: the owner calls ensure() when it wants a
    /// connection.
    void tick(env::Env& env, std::vector<Sent>& failed);

    /// Breaks the connection from this side and fails what is in flight.
    void close(env::Env& env, std::vector<Sent>& failed);

  private:
    enum class State : std::uint8_t { idle, connecting, open };

    void lost(env::Env& env, std::vector<Sent>& failed);

    env::Endpoint to_;
    ChannelOptions options_;
    std::uint64_t draw_entity_;
    State state_ = State::idle;
    env::ConnectionId connection_ = env::ConnectionId::none;
    FrameReader reader_;
    std::deque<Sent> in_flight_;
    std::int32_t correlation_ = 1;
    Instant connect_deadline_ = instant_never;
    Instant backoff_until_{0};
    std::int64_t failures_ = 0;   // in a row, for the back-off
    std::uint64_t attempts_ = 0;  // in all, for the draws
};

}  // namespace klamm::net
