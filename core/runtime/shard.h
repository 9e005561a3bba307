#pragma once
// One shard of a node in the real world: its loop, its thread, its Env.
//
// Always: the node object lives and dies on the shard's thread. deliver() is the only place where a
// turn happens: time is read once, the node handles the event, the effects are carried out in order
// (sends of a turn are handed to the sockets together, before any closing of theirs), then a stop.
// After the end nothing is delivered; what still arrives is dropped.

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "core/runtime/disk.h"
#include "core/runtime/effects.h"
#include "core/runtime/loop.h"
#include "core/runtime/runtime.h"
#include "core/runtime/sockets.h"

namespace klamm::runtime {

/// Threads for what may wait for the disk, and for what may compute; of one runtime.
struct Pools {
    // Those of the disk wait and do not work: so many syncs of different files a file system takes
    // into one commit of its journal, where two at a time made a broker with 50 partitions wait for
    // 150 such commits, one after another.
    static constexpr std::size_t disk_threads = 16;
    static constexpr std::size_t compute_threads = 2;
    asio::thread_pool disk{disk_threads};
    asio::thread_pool compute{compute_threads};
};

class Shard;

/// What the shards of one node share. Set up before any thread runs, and then only read.
struct Host {
    NodeSpec spec;
    DirectoryPointer root;  // null without a disk
    std::uint64_t incarnation = 1;
    std::uint64_t seed = 0;
    Pools* pools = nullptr;
    ListenerPorts ports;
    std::vector<std::unique_ptr<Shard>> shards;
    /// Called once, by the thread of the shard that stops the node; ends the other shards.
    std::function<void(int status)> stop_asked;
    /// Called by each shard's thread when it has ended.
    std::function<void()> shard_ended;
};

class Shard final : public env::Env, private env::Network, private EventSink {
  public:
    Shard(Host& host, env::ShardIndex index);
    ~Shard() override;

    /// Starts the thread; the first event is Started. `stop_event` becomes readable when the
    /// operator asks for a stop.
    void start(int stop_event);
    /// From any thread: ends the shard without an event, as soon as its turn is over.
    void end();
    /// Waits until the thread has ended.
    void join();
    /// From any thread: an event for this shard, after those given before.
    void post(env::Event event);

    // env::Env
    [[nodiscard]] const Turn& turn() const override { return turn_; }
    [[nodiscard]] env::ShardIndex shard() const override { return index_; }
    [[nodiscard]] env::ShardIndex shards() const override { return host_.spec.shards; }
    env::Disk& disk() override { return disk_; }
    env::Network& network() override { return *this; }
    void wake_at(Instant when) override { effects_.wake_at = when; }
    void mail(env::ShardIndex to, env::Mail mail) override;
    void compute(std::unique_ptr<env::Job> job, env::Token token) override;
    void stop(int status) override;
    void log(std::string_view line) override;

  private:
    // env::Network: remembered until the turn is over.
    void listen(const env::Endpoint& at, env::ListenerId listener) override;
    env::ConnectionId connect(const env::Endpoint& to) override;
    void receive(env::ConnectionId connection, MutableBuffer into) override;
    void send(env::ConnectionId connection, std::vector<env::Piece> pieces,
              env::Token token) override;
    void close(env::ConnectionId connection) override;

    // EventSink
    void deliver(env::Event event) override;

    void carry_out_effects();
    void carry_out(ReadAsked& effect);
    void carry_out(SyncAsked& effect);
    void carry_out(DirectorySyncAsked& effect);
    void carry_out(ListAsked& effect);
    void carry_out(ListenAsked& effect);
    void carry_out(ConnectAsked& effect);
    void carry_out(ReceiveAsked& effect);
    void carry_out(SendAsked& effect);
    void carry_out(CloseAsked& effect);
    void carry_out(MailAsked& effect);
    void carry_out(ComputeAsked& effect);

    void set_alarm(Instant when);
    void arm_timer(Instant when);
    void timer_fired();
    void watch_for_stop(int stop_event);
    void finish();

    Host& host_;
    const env::ShardIndex index_;
    asio::io_context loop_;
    Effects effects_;
    std::vector<Effect> effects_under_way_;
    Disk disk_;
    Sockets sockets_;
    Turn turn_;
    asio::steady_timer timer_;
    Instant alarm_ = instant_never;  // what the node wants
    Instant armed_ = instant_never;  // what the timer waits for, never later than alarm_
    std::unique_ptr<env::Node> node_;
    bool in_turn_ = false;
    bool finished_ = false;
    struct StopWatch;
    std::unique_ptr<StopWatch> stop_watch_;
    std::thread thread_;
};

}  // namespace klamm::runtime
