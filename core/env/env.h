#pragma once
// The seam: what a node may ask of the world, and what the world tells it. A node (broker,
// controller, client) is a set of shards; each shard is an object that is told events and asks for
// effects. One event is one turn, on one thread; nothing re-enters it. The world holds tokens and
// ids, never pointers into a node; a crash is: destroy the objects, raise the incarnation. What
// remains of a node is its disk.
//
// Buffers that a node hands over (send, receive, read) are shared by reference count; a lent
// MutableBuffer is not touched by the node until it comes back.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/turn.h"
#include "core/env/disk.h"
#include "core/env/network.h"

namespace klamm::env {

using ShardIndex = std::uint32_t;

/// What crosses between shards of one node: a value, or immutable buffers. The receiver knows the
/// kind.
class Parcel {
  public:
    virtual ~Parcel() = default;
    /// Folds what it carries into a digest that is equal in equal runs (no addresses).
    [[nodiscard]] virtual std::uint64_t digest() const = 0;
};
using Mail = std::unique_ptr<Parcel>;

/// A function of values that may cost much CPU; run() touches nothing but the job itself.
class Job {
  public:
    virtual ~Job() = default;
    virtual void run() = 0;
};

// --- Events
// -----------------------------------------------------------------------------------------------------

struct Started {
    std::uint64_t incarnation;  // 1 for the first start of this node
};
struct Alarm {};  // now() has reached what wake_at asked for
struct ReadDone {
    Token token;
    Result<std::size_t> count;
    MutableBuffer out;
};
struct Synced {
    Token token;
    Status status;
};
struct Listed {
    Token token;
    Result<std::vector<DirectoryEntry>> entries;
};
struct Listening {
    ListenerId listener;
    Result<std::uint16_t> port;
};
struct Accepted {
    ListenerId listener;
    ConnectionId connection;
    std::string peer;  // "host:port" for a person
};
struct Connected {
    ConnectionId connection;
};
struct Received {
    ConnectionId connection;
    std::size_t count;
};
struct Drained {
    ConnectionId connection;
    Token token;
};
struct Closed {
    ConnectionId connection;
};
struct MailArrived {
    ShardIndex from;
    Mail mail;
};
struct Computed {
    Token token;
    std::unique_ptr<Job> job;
};
/// The operator asks for a clean stop (SIGTERM). The node answers with Env::stop when it is done.
struct StopAsked {};

using Event = std::variant<Started, Alarm, ReadDone, Synced, Listed, Listening, Accepted, Connected,
                           Received, Drained, Closed, MailArrived, Computed, StopAsked>;

/// One shard's view of the world. Everything but `turn` and the D calls of the disk takes effect
/// after the turn.
class Env {
  public:
    virtual ~Env() = default;

    [[nodiscard]] virtual const Turn& turn() const = 0;
    [[nodiscard]] virtual ShardIndex shard() const = 0;
    [[nodiscard]] virtual ShardIndex shards() const = 0;

    virtual Disk& disk() = 0;
    virtual Network& network() = 0;

    /// Sets the one alarm of this shard (instant_never: none); a later call replaces it. Fires
    /// once.
    virtual void wake_at(Instant when) = 0;
    /// Posts `mail` to a shard of the same node (also to itself); arrives in the order posted per
    /// pair of shards.
    virtual void mail(ShardIndex to, Mail mail) = 0;
    virtual void compute(std::unique_ptr<Job> job, Token token) = 0;
    /// Ends this node's process after the turn, with `status` for the operator.
    virtual void stop(int status) = 0;
    /// A line for the operator's log, without a newline. Never part of the behaviour.
    virtual void log(std::string_view line) = 0;
};

/// One shard of a node.
class Node {
  public:
    virtual ~Node() = default;
    virtual void handle(Env& env, Event event) = 0;
    /// Digest of the state, for comparing runs; cheap or zero.
    [[nodiscard]] virtual std::uint64_t state_digest() const { return 0; }
};

/// Makes one shard of a node, fresh, at each start of its process.
using NodeFactory = std::function<std::unique_ptr<Node>(ShardIndex shard, ShardIndex shards)>;

}  // namespace klamm::env
