#pragma once
// The accepted connections of one shard: frames in, answers out in the order of their requests,
// whatever the order in which they become ready. Each connection is bounded in requests in flight
// and in unsent bytes, the shard in bytes of requests being handled; at a bound nothing more is
// lent to the network until room comes back. Client listeners pause at the shard's bound, the
// inter-broker listener does not, so that replication goes on.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/net/frame_reader.h"
#include "core/net/pieces.h"

namespace klamm::net {

struct InboundLimits {
    std::size_t frame_bytes_max = 104'857'600;         // socket.request.max.bytes
    std::size_t requests_in_flight_max = 64;           // per connection
    std::size_t unsent_bytes_max = 16 * 1024 * 1024;   // per connection
    std::size_t queued_bytes_max = 512 * 1024 * 1024;  // per shard: queued.max.request.bytes
};

/// One request of one connection; stays valid until answered or until the connection closes.
struct RequestKey {
    env::ConnectionId connection = env::ConnectionId::none;
    std::uint64_t sequence = 0;
    friend auto operator<=>(const RequestKey&, const RequestKey&) = default;
};

struct Request {
    RequestKey key;
    env::ListenerId listener;
    Buffer frame;  // header and body
};

/// What a queued answer keeps alive until its last byte has left: opaque to this layer (a pinned
/// segment).
using Pin = std::uint64_t;

class Inbound {
  public:
    explicit Inbound(InboundLimits limits) : limits_(limits) {}

    void accepted(env::Env& env, const env::Accepted& event, bool pauses_at_shard_bound);

    /// Takes bytes; appends each complete request to `out`. A hostile frame closes the connection
    /// and says why in the log. False when the connection is not one of these.
    bool received(env::Env& env, const env::Received& event, std::vector<Request>& out);

    /// Answers a request with `pieces` (the whole frame, its length included), releasing it in
    /// request order. `pins` are given back by take_released() when the last byte has left or the
    /// connection has closed. A request whose connection has gone is ignored, its pins released.
    void respond(env::Env& env, RequestKey key, Pieces pieces, std::vector<Pin> pins = {});

    /// Ends a request that has no answer (Produce with acks=0).
    void respond_nothing(env::Env& env, RequestKey key);

    bool drained(env::Env& env, const env::Drained& event);
    bool closed(env::Env& env, const env::Closed& event);

    /// Closes a connection from this side.
    void close(env::Env& env, env::ConnectionId connection);
    /// Closes every connection that holds `pin` in an answer which has not left yet.
    void close_holding(env::Env& env, Pin pin);

    /// Gives back pins of an answer that will not be sent.
    void release(const std::vector<Pin>& pins) {
        released_.insert(released_.end(), pins.begin(), pins.end());
    }
    /// Pins that are free again since the last call.
    std::vector<Pin> take_released() { return std::exchange(released_, {}); }

    /// Whose connection it is, "host:port"; empty when it is gone.
    [[nodiscard]] std::string peer(env::ConnectionId connection) const {
        const auto at = sessions_.find(connection);
        return at == sessions_.end() ? std::string() : at->second.peer;
    }
    [[nodiscard]] bool open(env::ConnectionId connection) const {
        return sessions_.contains(connection);
    }
    [[nodiscard]] std::size_t size() const { return sessions_.size(); }
    /// Bytes of requests that are being handled.
    [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }

  private:
    struct Slot {
        std::uint64_t sequence;
        std::size_t request_bytes;
        bool done = false;
        bool silent = false;
        Pieces pieces;
        std::vector<Pin> pins;
    };
    struct Unsent {
        env::Token token;
        std::size_t bytes;
        std::vector<Pin> pins;
    };
    struct Session {
        FrameReader reader;
        env::ListenerId listener{};
        std::string peer;
        bool pauses_at_shard_bound = true;
        bool lent = false;
        std::uint64_t sequence = 0;
        std::deque<Slot> slots;
        std::deque<Unsent> unsent;
        std::size_t unsent_bytes = 0;
        std::size_t untracked_bytes = 0;  // sent, but no word of their leaving was asked for
        env::Token token = 0;
    };

    void release_ready(env::Env& env, env::ConnectionId connection, Session& session);
    void maybe_lend(env::Env& env, env::ConnectionId connection, Session& session);
    void lend_paused(env::Env& env);
    void forget(std::map<env::ConnectionId, Session>::iterator at);

    InboundLimits limits_;
    std::map<env::ConnectionId, Session> sessions_;
    std::size_t queued_bytes_ = 0;
    bool anyone_paused_ = false;
    std::vector<Pin> released_;
};

}  // namespace klamm::net
