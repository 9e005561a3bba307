#pragma once
// A very small cluster for exhaustive search: three brokers with a log of epochs each, one
// partition, one controller that never fails, made of the real LeaderState, FollowerState,
// LeaderEpochCache and partition control. Every message and every reaction is an event of its own,
// so that all interleavings are reached. A record is its leader epoch: with one leader an epoch,
// (epoch, offset) names it.
//
// Brokers crash as processes do: page cache and so the log survive, the rest is gone. So with clean
// elections nothing that was committed may ever be lost, and each ISR or ELR member holds all of
// it.

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/controller/partition_control.h"
#include "core/replica/follower.h"
#include "core/replica/leader.h"

namespace klamm::model {

constexpr int broker_count = 3;
constexpr int a = 0;
constexpr int b = 1;
constexpr int c = 2;

enum class Kind : std::uint8_t {
    append,        // a producer's record reaches the leader
    fetch,         // a follower's fetch is served; the answer is under way
    deliver,       // that answer arrives
    metadata,      // a broker reads the newest metadata
    alter_commit,  // the controller takes an AlterPartition
    alter_answer,  // its answer arrives
    crash,         // the process dies
    restart,       // it registers again, without proof of a clean stop, and is unfenced
    fence,         // its session ends, whether it lives or not
    unfence,       // it lives and its heartbeats come through again
    prefer,        // the preferred replica is elected
    lag,           // longer than replica.lag.time.max.ms passes, and leaders look
};

struct Event {
    Kind kind;
    int broker = 0;
};
std::string to_string(const Event& event);

/// How often the environment may do what costs depth.
struct Budget {
    int appends = 2;
    int crashes = 1;
    int fences = 2;
    int elections = 1;
    int lags = 1;
};

struct Setup {
    bool elr = true;
    int min_isr = 2;
    int leader = a;
    std::vector<int> isr{a, b, c};
    Budget budget;
};

struct Broker {
    bool up = true;
    std::vector<std::int32_t> log;
    log::LeaderEpochCache epochs;
    Offset saved_high_watermark{0};
    std::shared_ptr<const metadata::ClusterImage> image;
    std::variant<std::monostate, replica::LeaderState, replica::FollowerState> role;
    std::optional<replica::FetchAnswer> answer;  // of a fetch, under way; with the records:
    std::vector<std::int32_t> answer_records;
    std::optional<replica::IsrProposal> proposal;  // on its way to the controller
    BrokerEpoch proposal_sender = no_broker_epoch;
    std::optional<replica::AlterPartitionAnswer> alter_answer;  // on its way back
    replica::IsrProposal answered;

    [[nodiscard]] replica::LogEnds ends() const {
        const Offset end(static_cast<std::int64_t>(log.size()));
        return {Offset(0), end, end};
    }
};

class World {
  public:
    World(const Setup& setup, Plants* plants);

    [[nodiscard]] std::vector<Event> enabled() const;
    /// Does the event; false when it is not enabled.
    bool act(const Event& event);
    /// What is wrong, or nothing.
    [[nodiscard]] const std::string& violation() const { return violation_; }
    [[nodiscard]] std::uint64_t digest() const;
    [[nodiscard]] std::string print() const;

    [[nodiscard]] const metadata::PartitionImage& partition() const;
    [[nodiscard]] const std::vector<std::int32_t>& committed() const { return committed_; }
    [[nodiscard]] Offset high_watermark(int broker) const;
    [[nodiscard]] const Broker& broker(int i) const {
        return brokers_[static_cast<std::size_t>(i)];
    }

  private:
    [[nodiscard]] Turn turn() const;
    Broker& at(int i) { return brokers_[static_cast<std::size_t>(i)]; }
    [[nodiscard]] bool can(const Event& event) const;
    void apply(const controller::Decisions& decisions);
    void take_role(int i);
    void fetch(int i);
    void deliver(int i);
    void append(int i);
    void alter_commit(int i);
    void restart(int i);
    void after_leader_step(int i, const replica::LeaderEffects& effects);
    void truncate(int i, Offset to);
    void check();

    Setup setup_;
    Plants* plants_;
    Budget left_;
    int time_ = 0;  // in steps of more than the lag time
    std::shared_ptr<const metadata::ClusterImage> image_;
    std::vector<Broker> brokers_;
    std::vector<std::int32_t> committed_;  // what was below some leader's watermark, or promised
    std::vector<int> leader_of_epoch_;
    std::string violation_;
};

struct Search {
    std::uint64_t states = 0;       // distinct
    std::uint64_t transitions = 0;  // events done
    std::string violation;          // of the first bad state, or nothing
    std::vector<Event> trace;       // that leads to it
};

/// Tries every sequence of up to `depth` events from `start`, the shortest first. Stops at a
/// violation.
Search search(const World& start, int depth);

}  // namespace klamm::model
