#pragma once
// The real world: hosts any env::Node, any number of them in one process, on real files, sockets,
// threads and clocks. It knows no server.
//
// Always: each shard has one event loop on one thread, and everything of the shard happens there;
// one event is one turn; effects are carried out after the turn, in the order asked; no event is
// ever delivered inside another turn. Two small pools beside the loops, shared by all nodes, do
// what may wait (reads, syncs, listings) and what may compute. It does not restart nodes, does not
// plant bugs, and knows no chance but a seed drawn at start.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/facts.h"
#include "core/base/result.h"
#include "core/env/env.h"

namespace klamm::runtime {

/// Takes one log line of a node, without a newline. Called from the threads of all shards.
using LogSink =
    std::function<void(std::string_view node, env::ShardIndex shard, std::string_view line)>;

/// Writes "2026-01-31T09:03:05.123Z node/0 line" to stderr, each line in one write.
LogSink log_to_stderr();

/// The node's process, as it is to be started.
struct NodeSpec {
    std::string name;          // for the log
    env::NodeFactory factory;  // called once a shard, on the shard's own thread
    env::ShardIndex shards = 1;
    /// The directory that the node sees as its root; made if missing. Empty: the node has no disk,
    /// and every disk call answers Failure::unsupported.
    std::string root;
    facts::Facts* facts = nullptr;      // must outlive the runtime; called by all shards' threads
    LogSink log = log_to_stderr();      // empty: dropped
    std::optional<std::uint64_t> seed;  // of turn().draws; drawn from the machine when missing
    /// It is there for the others: once they have all stopped, or it has failed, run() asks the
    /// rest to stop.
    bool attends = false;
};

/// A node of one runtime, in the order of adding.
enum class NodeHandle : std::size_t {};

class Runtime {
  public:
    Runtime();
    /// Ends what still runs, as a killed process would: nodes are destroyed without an event.
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    /// Registers a node; before start() only.
    NodeHandle add_node(NodeSpec spec);

    /// Opens the roots, counts the incarnations and starts the threads; each shard's first event is
    /// Started. Fails, and starts nothing, when a root cannot be made or its counter not be kept.
    ///
    /// The incarnation of a node is kept in the file ".incarnation" of its root (hidden from list),
    /// one line of decimal digits, raised durably before the node starts; 1 without a root.
    Status start();

    /// Waits until every node has stopped by Env::stop; those that attend are asked to when nobody
    /// else is left. Returns the first status that is not 0, in the order of adding, else 0.
    int run();

    /// Delivers StopAsked to every shard of every node, once however often it is asked. May be
    /// called from any thread and from a signal handler.
    void ask_stop();

    /// Hands a node something from outside of the world: MailArrived, as from its first shard,
    /// after what was posted before. Dropped when the node has stopped. After start(), from any
    /// thread.
    void post(NodeHandle node, env::Mail mail);

    /// The status that the node stopped with, or nothing while it runs. From any thread.
    [[nodiscard]] std::optional<int> status(NodeHandle node) const;

  private:
    class World;
    std::unique_ptr<World> world_;
};

}  // namespace klamm::runtime
