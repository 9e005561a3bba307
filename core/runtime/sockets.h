#pragma once
// The network effects of one shard, on its loop: listeners, connections and what they tell.
//
// Always: the functions below are called after a turn, and never call into the node; what they have
// to tell is posted to the loop. Handlers of the loop deliver at once, being outside of any turn.
// After close() or the delivery of Closed nothing is told about a connection. Bytes that came
// before the end of a stream are received before Closed; while nothing is lent, the end of the
// stream is not looked for.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/env/env.h"
#include "core/runtime/connection.h"
#include "core/runtime/listener_ports.h"
#include "core/runtime/loop.h"

namespace klamm::runtime {

class Sockets {
  public:
    /// `shared_ports` is not null when several shards of the node listen on the same ports.
    Sockets(asio::io_context& loop, EventSink& sink, ListenerPorts* shared_ports);

    /// Reserves the id of a connection that a turn has asked for.
    [[nodiscard]] env::ConnectionId next_id() { return env::ConnectionId{++last_connection_}; }

    void listen(const env::Endpoint& at, env::ListenerId id);
    void connect(env::ConnectionId id, const env::Endpoint& to);
    void receive(env::ConnectionId id, MutableBuffer into);
    void send(env::ConnectionId id, std::vector<PinnedPiece> pieces, env::Token token);
    void close(env::ConnectionId id);
    /// Hands over what the sends since the last call have queued.
    void pump_asked();
    /// The end of the process: every socket is closed, nothing is told any more.
    void close_all();

  private:
    struct Listener {
        Listener(asio::io_context& loop, env::ListenerId listener_id)
            : id(listener_id), acceptor(loop), pause(loop) {}
        env::ListenerId id;
        tcp::acceptor acceptor;
        asio::steady_timer pause;  // after running out of descriptors
    };
    using ListenerPointer = std::shared_ptr<Listener>;

    [[nodiscard]] ConnectionPointer find(env::ConnectionId id) const;
    [[nodiscard]] Result<std::uint16_t> bind(Listener& listener, const tcp::endpoint& at);
    void opened_listener(const ListenerPointer& listener, const tcp::endpoint& at);
    void accept(const ListenerPointer& listener);
    void connected(const ConnectionPointer& connection);
    void read(const ConnectionPointer& connection);
    void post_received(const ConnectionPointer& connection, std::size_t count);
    void tell_received(const ConnectionPointer& connection, std::size_t count);
    void pump(const ConnectionPointer& connection);
    /// Posts Closed; for use after a turn.
    void break_later(const ConnectionPointer& connection);
    /// Delivers Closed; for use in a handler.
    void break_now(const ConnectionPointer& connection);
    void shut(Connection& connection, Phase phase);

    asio::io_context& loop_;
    EventSink& sink_;
    ListenerPorts* shared_ports_;
    tcp::resolver resolver_;
    std::uint64_t last_connection_ = 0;
    std::unordered_map<std::uint64_t, ConnectionPointer> connections_;  // lookup only
    std::map<env::ListenerId, ListenerPointer> listeners_;
    std::vector<ConnectionPointer> pumps_asked_;
    std::vector<env::Token> drained_;
};

}  // namespace klamm::runtime
