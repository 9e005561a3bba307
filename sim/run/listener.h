#pragma once
// Between the world and the judge: facts, starts, stops and crashes as the judge takes them, with
// the fault that did it; and a short memory of what matters, for the timeline of a violation.

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "sim/judge/judge.h"
#include "sim/run/cluster.h"
#include "sim/run/run.h"
#include "sim/world/observer.h"

namespace klamm::sim {

/// What the storm wants to know of the world; see storm.h.
class CrashWatch {
  public:
    virtual ~CrashWatch() = default;
    /// The fault that kills this broker now; fault_none if it is none of them.
    virtual FaultId crashed(std::size_t broker, CrashKind kind, bool damaged) = 0;
    virtual void stopped(std::size_t broker, int status) = 0;
    /// The fault by which a write of this broker went astray now.
    virtual FaultId went_astray(std::size_t broker) = 0;
    virtual void committed(const facts::PartitionCommitted& fact) = 0;
    /// The fault behind a disk that failed.
    [[nodiscard]] virtual FaultId disk_fault(std::size_t broker) const = 0;
};

class Listener final : public WorldObserver {
  public:
    Listener(Cluster& cluster, Judge& judge, const RunHooks& hooks)
        : cluster_(cluster), judge_(judge), hooks_(hooks) {}

    void set_watch(CrashWatch* watch) { watch_ = watch; }
    void set_director(WorldObserver* director) { director_ = director; }

    void on_fact(NodeId node, env::ShardIndex shard, Instant time,
                 const facts::Fact& fact) override;
    void on_start(NodeId node, std::uint64_t incarnation) override;
    void on_stop(NodeId node, int status) override;
    void on_crash(NodeId node, CrashKind kind, const DamageReport& report) override;
    void on_misdirected(NodeId node, const FileDamage& file) override;
    void on_range_cut(NodeId node, const FileDamage& file) override;
    void on_log(NodeId node, env::ShardIndex shard, Instant time, std::string_view line) override;
    void on_turn_end(NodeId node, env::ShardIndex shard) override;

    /// Remembers a line for the timeline.
    void note(const std::string& node, std::string text);
    /// Looks whether something red was found since the last look.
    void look();

    [[nodiscard]] Instant first_violation() const { return first_violation_; }
    [[nodiscard]] std::vector<TimelineEntry> timeline() const;

  private:
    struct Entry {
        Instant time;
        std::string node;
        facts::Fact fact;
        std::string text;  // instead of the fact, unless empty
    };
    void keep(Entry entry);

    Cluster& cluster_;
    Judge& judge_;
    const RunHooks& hooks_;
    CrashWatch* watch_ = nullptr;
    WorldObserver* director_ = nullptr;
    std::deque<Entry> recent_;
    std::uint64_t violations_seen_ = 0;
    Instant first_violation_ = instant_never;
};

/// One line about a fact, for a person.
std::string describe(const facts::Fact& fact);

}  // namespace klamm::sim
