#pragma once
// The simulated world: one thread, virtual time, a seed. It hosts any env::Node on simulated
// clocks, disks and network, and does to them what a scenario asks.
//
// What always holds:
//   a run is a function of (binary, options, nodes, calls on World, seed);
//   one event is one turn; a shard is busy until its turn ends (CPU cost and the durations of its D
//   calls), and only then do its E effects leave and its next event is taken;
//   draws are keyed by names of nodes, incarnations, the n-th connection of a pair, the n-th packet
//   of it: one more fault or node leaves the others' draws as they were;
//   bytes of a connection arrive in order; a disk keeps what was synced.
// It knows no broker and judges nothing: facts and crashes go to the observer.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/plants.h"
#include "sim/world/observer.h"
#include "sim/world/options.h"
#include "sim/world/trace.h"

namespace klamm::sim {

/// Where a kill falls. A turn is D1..Dn E1..Em; a kill keeps a prefix of it, and of a write a
/// prefix of its bytes.
struct KillRule {
    enum class When : std::uint8_t {
        at_once,  // between turns; of a shard that is busy, all D and a prefix of its E
        in_turn,  // within the next turn of the node that makes a D call or has an effect
    };
    When when = When::at_once;
    std::uint32_t skip = 0;         // in_turn: so many such turns are let through first
    bool only_with_writes = false;  // in_turn: count only turns that make a D call
    /// Operations to keep, of D·E in_turn and of E at_once; -1: drawn from none to all.
    std::int64_t keep = -1;
    std::int64_t keep_bytes = -1;  // bytes of the next operation, if a write; -1: drawn
};

/// A connection as faults may pick it: open on at least one side.
struct ConnectionView {
    std::uint64_t key;  // names it in an altered run too
    NodeId from;        // who connected
    NodeId to;
};

class NetworkTap;

class World {
  public:
    explicit World(WorldOptions options);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // --- Nodes
    NodeId add_node(NodeSpec spec);
    [[nodiscard]] std::size_t nodes() const;
    [[nodiscard]] const std::string& name(NodeId node) const;
    [[nodiscard]] std::optional<NodeId> find(std::string_view name) const;
    /// Begins a new incarnation; nothing if it runs already. Powers the machine on.
    void start(NodeId node);
    /// Ends the process, as SIGKILL does; its page cache and its clocks go on. Nothing if down.
    void kill(NodeId node, KillRule rule = {});
    /// Takes back a kill that waits for a turn.
    void disarm(NodeId node);
    /// Cuts the power of these machines at one moment; processes that run end, peers are not told.
    void power_loss(std::span<const NodeId> nodes);
    void power_loss(NodeId node) { power_loss(std::span<const NodeId>(&node, 1)); }
    void pause(NodeId node);
    void resume(NodeId node);
    /// Kills if need be, and empties the disk.
    void wipe(NodeId node);
    /// Sends StopAsked to every shard.
    void ask_stop(NodeId node);
    /// Hands a parcel from outside to shard 0, as an event of its own; nothing if down.
    void post(NodeId node, env::Mail mail);
    [[nodiscard]] bool alive(NodeId node) const;
    [[nodiscard]] bool paused(NodeId node) const;
    /// 0 before the first start.
    [[nodiscard]] std::uint64_t incarnation(NodeId node) const;
    /// The status of its last Env::stop, until it is started again.
    [[nodiscard]] std::optional<int> stop_status(NodeId node) const;
    /// The shard object of a node that runs, for tests; nullptr when down.
    [[nodiscard]] env::Node* shard_object(NodeId node, env::ShardIndex shard = 0);

    // --- Time
    [[nodiscard]] Instant now() const;
    /// Runs events up to and at `until`; false if the world ended.
    bool run_until(Instant until);
    bool run_for(Duration duration);
    /// Runs until `done()` holds, asked after each event; false at the limit or if the world ended.
    bool run_until(const std::function<bool()>& done, Instant limit);
    bool run_until(const std::function<bool()>& done, Duration limit);
    /// One event; false if there is none or the world ended.
    bool step();
    /// A harness event: `act` runs at `when` (not before now) as an event of its own, and `tag`
    /// folds into the hash.
    void schedule(Instant when, std::uint64_t tag, std::function<void()> act);
    [[nodiscard]] const std::optional<EndReport>& ended() const;

    // --- Clocks, per node
    [[nodiscard]] Instant monotonic(NodeId node) const;
    [[nodiscard]] Timestamp wall(NodeId node) const;
    void step_wall(NodeId node, Duration by);
    void set_drift(NodeId node, std::int64_t ppm);

    // --- Disk, per node
    [[nodiscard]] const DiskOptions& disk_options(NodeId node) const;
    void set_disk_options(NodeId node, const DiskOptions& options);
    /// A disk that does not answer: turns that make D calls do not end, reads and syncs wait, until
    /// it is lifted.
    void stall_disk(NodeId node, bool stalled);
    void set_cpu_options(NodeId node, const CpuOptions& options);
    /// The page cache's content of a file; nullptr if there is no such file. Valid until the next
    /// event.
    [[nodiscard]] const Bytes* file_bytes(NodeId node, std::string_view path) const;
    /// What a power loss that loses everything unsynced would leave of the file at this path;
    /// nullopt if not even its name is durable.
    [[nodiscard]] std::optional<Bytes> durable_bytes(NodeId node, std::string_view path) const;
    /// Paths of all files, ascending; directories end in '/' and are included.
    [[nodiscard]] std::vector<std::string> paths(NodeId node) const;
    [[nodiscard]] std::uint64_t disk_bytes(NodeId node) const;
    /// Makes or replaces a file, durable at once, with the directories above it.
    void put_file(NodeId node, std::string_view path, ByteView bytes);

    // --- The medium, per file. False where there is no such file, or no such place in it.
    /// Bytes read as `seen` from now on, in every incarnation, until they are written again.
    /// file_bytes() gives what they should be.
    bool rot_file(NodeId node, std::string_view path, std::uint64_t position, ByteView seen);
    /// What overlaps [from, to) cannot be read: reads fail with io, file ranges break off.
    bool break_file(NodeId node, std::string_view path, ByteRange range);
    /// The next write of the file lands at another place of it; nobody is told.
    bool misdirect_next_write(NodeId node, std::string_view path, std::uint64_t lands_at);
    /// Each unsynced unit of the file reaches the disk or is forsaken, as with a sync that fails,
    /// though nobody has asked for one; the next sync of the file answers io, once.
    bool fail_write_back(NodeId node, std::string_view path);
    /// Of all files of the disk: what could not be read can be, and no write waits to go astray.
    /// What reads as it should not goes on to.
    void mend_medium(NodeId node);
    /// The file as a damage report has it, with nothing changed; nullopt if there is none.
    [[nodiscard]] std::optional<FileDamage> file_state(NodeId node, std::string_view path) const;

    // --- Whole disks
    /// Every file as a node would read it, by path.
    [[nodiscard]] std::map<std::string, Bytes> disk_contents(NodeId node) const;
    /// Kills if need be; the disk then holds these files and no others, all of it durable.
    void set_disk_contents(NodeId node, const std::map<std::string, Bytes>& contents);

    /// What a node would read of the whole file; nullopt where it cannot be read.
    [[nodiscard]] std::optional<Bytes> read_file(NodeId node, std::string_view path) const;

    // --- Network
    [[nodiscard]] const NetworkOptions& network_options() const;
    void set_network_options(const NetworkOptions& options);
    void set_link(NodeId from, NodeId to, const LinkOptions& options);
    /// Packets from `from` to `to` are held; connections stall, and may break after a timeout.
    void cut(NodeId from, NodeId to);
    void heal(NodeId from, NodeId to);
    void partition(std::span<const NodeId> one, std::span<const NodeId> other);  // both ways
    void heal_all();
    [[nodiscard]] bool is_cut(NodeId from, NodeId to) const;
    /// Packets from `from` to `to` wait until now + duration, then catch up in order.
    void stall_link(NodeId from, NodeId to, Duration duration);
    /// Connections between the two nodes, in either direction, in the order they were made.
    [[nodiscard]] std::vector<ConnectionView> connections(NodeId a, NodeId b) const;
    [[nodiscard]] std::vector<ConnectionView> connections() const;
    /// Who listens at `to` turns away the connections that `from` makes.
    void refuse(NodeId from, NodeId to, bool refused);
    /// Whoever connects to `named` reaches `to`, who has its address now, until it is `named`
    /// again. Who has a connection to where the address was loses it.
    void redirect(NodeId named, NodeId to);
    /// Freezes one connection in both directions for a time.
    void stall_connection(std::uint64_t key, Duration duration);
    /// Both sides lose the connection; bytes in flight are gone.
    void reset_connection(std::uint64_t key);
    /// `side` loses the connection, the other side is not told until it sends.
    void half_open(std::uint64_t key, NodeId side);

    // --- Judging
    /// Before the first start: processes that run keep the observer and plants they started with.
    void set_observer(WorldObserver* observer);
    /// Sees the network; nullptr: nobody does.
    void set_tap(NetworkTap* tap);
    /// From here on every draw is another one, named by `salt`: the past stays, luck is new. A run
    /// that is perturbed is no longer a function of its seed alone.
    void perturb(std::uint64_t salt);
    /// The same for what the network and the disks do; processes that run keep their own draws.
    void perturb_surroundings(std::uint64_t salt);
    [[nodiscard]] Plants& plants();
    /// What the code of this machine's processes may do though it is rare.
    [[nodiscard]] Maybes& maybes(NodeId node);
    [[nodiscard]] const Maybes& maybes(NodeId node) const;
    [[nodiscard]] const Draws& draws() const;
    [[nodiscard]] std::uint64_t hash() const;
    [[nodiscard]] std::uint64_t events() const;
    [[nodiscard]] const std::vector<Checkpoint>& checkpoints() const;
    [[nodiscard]] std::vector<EventRecord> last_turns() const;
    void set_event_sink(EventSink sink);

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace klamm::sim
