#pragma once
// What a picture of a run is drawn from: who lived when, which faults lasted how long, who led,
// where logs ended and watermarks stood, what was promised and lost, every fact in words, every
// message that crossed the network. It is gathered while the run goes on and given as one JSON
// document; page.js draws it.
//
// Always: it only listens, so the run is the same without it; times are whole microseconds of the
// world's virtual time, in ascending order in every list.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/facts.h"
#include "sim/picture/messages.h"
#include "sim/run/plan.h"
#include "sim/run/run.h"
#include "sim/world/observer.h"
#include "sim/world/world.h"

namespace klamm::sim {

/// How often the run fails when luck is new from a moment on; see why.h.
struct Likelihood {
    Instant moment;
    std::uint32_t branches = 0;
    std::uint32_t failed = 0;
};

class Story final : public WorldObserver {
  public:
    /// The nodes are there and none has started.
    void begin(const World& world);
    /// The world is over.
    void end(const World& world);
    void fault(Instant at, const FaultEvent& fault);
    [[nodiscard]] NetworkTap& tap() { return messages_; }

    void on_fact(NodeId node, env::ShardIndex shard, Instant time,
                 const facts::Fact& fact) override;
    void on_start(NodeId node, std::uint64_t incarnation) override;
    void on_stop(NodeId node, int status) override;
    void on_crash(NodeId node, CrashKind kind, const DamageReport& report) override;

    [[nodiscard]] nlohmann::json to_json(const RunPlan& plan, const RunResult& result,
                                         const std::vector<Likelihood>& likelihood = {}) const;

  private:
    enum class Kind : std::uint8_t {
        fault,
        process,
        leadership,
        log,
        watermark,
        answer,
        client,
        violation
    };
    struct Event {
        Instant time;
        std::uint32_t node = 0;  // nodes_.size(): nobody's
        Kind kind = Kind::process;
        std::string text;
    };
    /// A value that moves in steps.
    struct Steps {
        std::vector<std::int64_t> times;  // microseconds
        std::vector<std::int64_t> values;
        void add(Instant at, std::int64_t value);
    };
    struct Replica {
        Steps end;
        Steps high_watermark;
        Steps flushed;
    };
    struct Reign {
        Instant from;
        std::int32_t leader;
        std::int32_t epoch;
        std::vector<BrokerId> isr;
        std::vector<BrokerId> eligible;
        std::uint8_t cause;
    };
    struct Promise {
        Instant at;
        std::int64_t from;
        std::int64_t to;  // the last offset
        bool strong;
        bool consumer;
    };
    struct Partition {
        std::map<std::uint32_t, Replica> replicas;  // by node
        std::vector<Reign> reigns;
        std::vector<Promise> promises;
    };
    struct Life {
        std::uint32_t node;
        Instant from;
        Instant to;
        std::string ended;  // how; empty: it runs at the end
    };
    struct Fallen {
        Instant at;
        FaultEvent fault;
    };
    void add(Instant time, NodeId node, Kind kind, std::string text);
    void end_life(NodeId node, std::string how);
    void take(const facts::Fact& fact, NodeId node, Instant time);
    [[nodiscard]] nlohmann::json messages_json() const;
    [[nodiscard]] nlohmann::json events_json(const RunResult& result) const;
    [[nodiscard]] nlohmann::json partition_json(std::int32_t index, const Partition& one,
                                                const RunResult& result) const;
    [[nodiscard]] nlohmann::json faults_json(const RunResult& result) const;

    const World* world_ = nullptr;  // while the run goes on
    std::vector<std::string> nodes_;
    Messages messages_;
    std::vector<Event> events_;
    std::map<std::int32_t, Partition> partitions_;
    std::vector<Life> lives_;
    std::map<std::uint32_t, std::size_t> living_;  // index in lives_, by node
    std::vector<Fallen> faults_;
    Instant end_;
};

/// A fact in words, those of clients included.
std::string in_words(const facts::Fact& fact);

}  // namespace klamm::sim
