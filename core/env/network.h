#pragma once
// The network, as a node may use it: streams of bytes, honest to TCP. Bytes arrive in order, in
// pieces of any size; a connection stalls, or breaks and leaves unknown what arrived. All calls are
// E: handed to the world after the turn.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/env/disk.h"

namespace klamm::env {

/// A connection of one incarnation of one shard. 0 is none. Never reused within an incarnation.
enum class ConnectionId : std::uint64_t { none = 0 };
enum class ListenerId : std::uint32_t {};

struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// A part of a file that is read when it leaves, never when it is asked for. If the file has become
/// shorter by then, the connection breaks; if its bytes have changed, the new bytes leave. The node
/// therefore counts pins.
struct FileRange {
    FileId file;
    std::uint64_t position;
    std::uint64_t length;
};

using Piece = std::variant<Buffer, FileRange>;

class Network {
  public:
    virtual ~Network() = default;

    /// Accepts connections at `at` on this shard (port 0: any free one, see Listening). Answered by
    /// Listening.
    virtual void listen(const Endpoint& at, ListenerId listener) = 0;
    /// Opens a connection; answered by Connected, or Closed when it cannot be made.
    virtual ConnectionId connect(const Endpoint& to) = 0;
    /// Lends `into` (at least one byte) for the next bytes; answered by one Received with 1 to
    /// into.size() bytes, after which nothing is lent. At most one buffer is lent at a time; while
    /// none is lent, reading is paused.
    virtual void receive(ConnectionId connection, MutableBuffer into) = 0;
    /// Queues `pieces` after what was sent before. With `token` other than 0, answered by Drained
    /// when the last byte has left the node (file ranges included); never answered if the
    /// connection closes first.
    virtual void send(ConnectionId connection, std::vector<Piece> pieces, Token token) = 0;
    /// Closes at once; queued bytes may or may not leave. No event follows for this connection, not
    /// even Closed.
    virtual void close(ConnectionId connection) = 0;
};

}  // namespace klamm::env
