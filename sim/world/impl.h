#pragma once
// The inside of World. One heap of events; turns (turns.cc), machines
// and the disk's work (machines.cc), streams and their ends (streams.cc, streams_ends.cc). Nothing
// outside sim/world includes this.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "sim/world/event_heap.h"
#include "sim/world/explore.h"
#include "sim/world/machine.h"
#include "sim/world/shard.h"
#include "sim/world/tap.h"
#include "sim/world/trace.h"
#include "sim/world/world.h"

namespace klamm::sim {

/// One way of a connection, by the side that sends.
struct Direction {
    std::deque<OutPiece> queue;   // in the sender
    std::deque<Buffer> wire;      // left, not consumed
    std::uint64_t in_flight = 0;  // of the wire, not arrived
    std::uint64_t arrived = 0;    // of the wire, not consumed
    std::uint64_t packets = 0;    // n of the draws
    std::uint64_t receives = 0;
    std::uint64_t lags = 0;
    Instant last_arrival;
    bool lagging = false;  // a file range waits before it leaves
    bool lag_over = false;
    bool fin_sent = false;
    // Held by a cut link.
    std::vector<std::uint64_t> held;
    bool held_fin = false;
    bool swallowed = false;  // a packet of it was too large for its link, and is sent in vain
    std::uint64_t hold_number = 0;
};

struct Side {
    std::uint32_t machine = 0;
    std::uint64_t incarnation = 0;
    env::ShardIndex shard = 0;
    env::ConnectionId id = env::ConnectionId::none;
    bool open = false;  // the process holds it
    bool established = false;
    bool lent = false;
    bool fin_arrived = false;
    bool reset_held = false;  // a reset on its way to this side is held by a cut link
    MutableBuffer buffer;
};

struct Connection {
    std::uint64_t key;
    std::uint16_t port;
    std::uint32_t named = 0;  // the machine that was looked for; sides[1] is who had its address
    Side sides[2];
    Direction ways[2];  // ways[s] is what side s sends
    std::uint64_t window;
    Instant stalled_until;
};

enum class EventKind : std::uint8_t {
    none,
    start,
    deliver,
    alarm,
    turn_end,
    disk,
    packet,
    fin,
    reset,
    syn,
    syn_ack,
    connect_timeout,
    break_timeout,
    lag,
    pump,
    harness,
};

struct Pending {
    EventKind kind = EventKind::none;
    std::uint32_t machine = 0;  // or the connection
    std::uint32_t shard = 0;    // or the side
    std::uint64_t incarnation = 0;
    std::uint64_t a = 0;
    env::Event event = env::Alarm{};
};

/// A read, sync or list that the disk works on.
struct DiskWork {
    std::uint32_t machine = 0;
    env::ShardIndex shard = 0;
    std::uint64_t incarnation = 0;
    std::uint64_t power_epoch = 0;
    Effect effect = StopEffect{0};
    bool fails = false;
    bool lies = false;  // a sync that answers ok and has done nothing
};

class World::Impl {
  public:
    Impl(World& world, WorldOptions options);
    ~Impl();

    // --- world.cc
    Machine& machine(NodeId node) {
        KLAMM_ASSERT(node.value < machines_.size());
        return *machines_[node.value];
    }
    bool step();
    bool run(Instant until, const std::function<bool()>* done);
    void dispatch(Pending& pending);
    std::pair<Instant, Pending> next_event();
    [[nodiscard]] bool idle() const { return heap_.empty() && (!explorer_ || explorer_->empty()); }
    [[nodiscard]] Instant time_min() const {
        return explorer_ ? std::min(heap_.time_min(), explorer_->time_min()) : heap_.time_min();
    }
    std::pair<std::uint64_t, std::uint32_t> chain_of(const Pending& pending);
    Pending& push(Instant when, EventKind kind);
    void record(EventKind kind, std::uint32_t machine, env::ShardIndex shard, std::uint64_t id);

    // --- turns.cc
    Shard* shard_of(std::uint32_t machine, std::uint64_t incarnation, env::ShardIndex shard);
    void post(std::uint32_t machine, std::uint64_t incarnation, env::ShardIndex shard,
              env::Event event);
    void run_turn(Machine& machine, Shard& shard, env::Event event);
    void cut_turn(Machine& machine, Shard& shard);
    void tell_misdirected(Machine& machine);
    void tell_ranges_cut(Machine& machine, const Shard& shard);
    void end_turn(Machine& machine, Shard& shard);
    void leave(Machine& machine, Shard& shard, Effect& effect);
    void next_turn(Machine& machine, Shard& shard);
    void set_alarm(Machine& machine, Shard& shard, Instant when);
    void ask_alarm(Machine& machine, Shard& shard);
    void on_alarm(Machine& machine, Shard& shard, std::uint64_t number);

    // --- machines.cc
    void start(Machine& machine);
    void begin_process(Machine& machine);
    enum class Ending : std::uint8_t { stopped, killed, power };
    void end_process(Machine& machine, Ending ending);
    void kill(Machine& machine, const KillRule& rule);
    void kill_now(Machine& machine, const DamageReport& report);
    void power_loss(std::span<const NodeId> nodes);
    void pause(Machine& machine, bool paused);
    void stall_disk(Machine& machine, bool stalled);
    void forget_stalled_work(Machine& machine);
    void begin_work(Machine& machine, Shard& shard, Effect effect);
    void on_work(std::uint32_t index);

    // --- streams.cc
    Connection* connection(std::uint32_t index) {
        return index < connections_.size() ? connections_[index].get() : nullptr;
    }
    Connection* connection_of(Process& process, const Shard& shard, env::ConnectionId id,
                              ConnectionSide& where);
    void listen(Machine& machine, Shard& shard, ListenEffect& effect);
    void connect(Machine& machine, Shard& shard, ConnectEffect& effect);
    void receive(Machine& machine, Shard& shard, ReceiveEffect& effect);
    void send(Machine& machine, Shard& shard, SendEffect& effect);
    void on_syn(std::uint32_t index);
    void on_syn_ack(std::uint32_t index);
    void pump(std::uint32_t index, std::uint32_t side);
    bool leave_piece(std::uint32_t index, std::uint32_t side, std::uint64_t size);
    void emit_packet(std::uint32_t index, std::uint32_t side, std::uint64_t size);
    void tap_left(std::uint32_t index, std::uint32_t side, std::uint64_t left, std::uint64_t part);
    void on_packet(std::uint32_t index, std::uint32_t side, std::uint64_t size);
    void hand_over(std::uint32_t index, std::uint32_t side);
    [[nodiscard]] Duration delay(const Connection& connection, std::uint32_t side,
                                 std::uint64_t size, std::uint64_t n);

    // --- streams_ends.cc
    void hang_up(std::uint32_t index, std::uint32_t side, Ending ending);
    void send_fin(std::uint32_t index, std::uint32_t side);
    void send_reset(std::uint32_t index, std::uint32_t to_side, bool in_order);
    void on_fin(std::uint32_t index, std::uint32_t side);
    void on_reset(std::uint32_t index, std::uint32_t side);
    void tell_closed(std::uint32_t index, std::uint32_t side);
    void retire(std::uint32_t index);
    void hold(std::uint32_t index, std::uint32_t side);
    void release(std::uint32_t from, std::uint32_t to);
    void on_break_timeout(std::uint32_t index, std::uint32_t side, std::uint64_t number);
    void on_connect_timeout(std::uint32_t index);
    [[nodiscard]] bool blocked(const Connection& connection, std::uint32_t side) const;
    [[nodiscard]] const LinkOptions& link(std::uint32_t from, std::uint32_t to) const;
    [[nodiscard]] Instant through(const Connection& connection, std::uint32_t side,
                                  std::uint64_t size);
    [[nodiscard]] std::uint32_t find_connection(std::uint64_t key) const;
    [[nodiscard]] Instant stalled_until(const Connection& connection, std::uint32_t side) const;

    World& world_;
    WorldOptions options_;
    Draws draws_;
    Plants plants_;
    Trace trace_;
    WorldObserver* observer_ = nullptr;
    NetworkTap* tap_ = nullptr;
    EventHeap<Pending> heap_;
    std::optional<Explorer<Pending>> explorer_;
    Instant explore_until_ = instant_never;
    Instant now_;
    std::optional<EndReport> ended_;
    std::uint32_t running_machine_ = no_node.value;  // whose turn it is
    EventRecord record_;

    std::vector<std::unique_ptr<Machine>> machines_;
    std::map<std::string, std::uint32_t, std::less<>> names_;
    std::vector<std::unique_ptr<Connection>> connections_;  // places are never used again
    std::set<std::uint32_t> live_connections_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, LinkOptions> links_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> cuts_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> refused_;  // who connects, to whom
    std::map<std::uint32_t, std::uint32_t> redirects_;           // whose address, who has it
    std::map<std::pair<std::uint32_t, std::uint32_t>, Instant> link_stalls_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Instant> link_busy_;  // narrow ones, until

    std::vector<DiskWork> work_;
    std::vector<std::uint32_t> free_work_;
    std::unordered_map<std::uint64_t, std::function<void()>> actions_;
    std::uint64_t next_action_ = 1;
};

const char* to_string(EventKind kind);
const char* name_of(const env::Event& event);
/// The digest of an event and the id that it is about.
std::uint64_t digest_of(const env::Event& event, std::uint64_t& id);

}  // namespace klamm::sim
