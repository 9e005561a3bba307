#pragma once
// One connection of a shard: its socket, the buffer lent for what comes, and the outbox.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/bytes.h"
#include "core/runtime/loop.h"
#include "core/runtime/outbox.h"

namespace klamm::runtime {

/// Lends below this are served from a staging buffer of this size, so that a length and what
/// follows it cost one call; larger ones are read into directly.
constexpr std::size_t staging_bytes = 16U << 10;

/// Where a connection is in its life. Forward only.
enum class Phase : std::uint8_t {
    connecting,  // receive and send are remembered
    open,
    broken,  // Closed is on its way to the node; nothing else happens
    gone,    // told, or closed by the node
};

struct Connection {
    Connection(asio::io_context& loop, env::ConnectionId connection_id)
        : id(connection_id), socket(loop) {}
    Connection(tcp::socket accepted, env::ConnectionId connection_id)
        : id(connection_id), socket(std::move(accepted)) {}

    [[nodiscard]] bool alive() const { return phase == Phase::connecting || phase == Phase::open; }

    env::ConnectionId id;
    tcp::socket socket;
    Phase phase = Phase::connecting;

    // Receiving. `lent` is empty while nothing is lent.
    MutableBuffer lent;
    bool answering = false;  // a Received for `lent` is under way
    bool reading = false;    // the loop waits for bytes
    MutableBuffer staging;
    std::size_t staged_begin = 0;
    std::size_t staged_end = 0;

    // Sending.
    Outbox outbox;
    bool pump_asked = false;        // by a send of this turn, done when the turn's effects are
    bool waiting_writable = false;  // the loop waits for room in the socket, or for its next go
};

using ConnectionPointer = std::shared_ptr<Connection>;

}  // namespace klamm::runtime
