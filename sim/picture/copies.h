#pragma once
// What became of one record: when it was promised and by whom, where copies of its batch came to
// be, how each of them went, by which fault the last good one, and who was elected meanwhile. In
// Kafka's words, for the report of a run that lost it.
//
// A copy is the batch of the promise itself, by (leader epoch, base offset, CRC); another batch at
// the same offset is no copy. A copy counts until its replica truncates it, loses its bytes, or is
// found without it when its log opens.
//
// Not here: judgement. The ledger says what was lawful (sim/judge/ledger.h).

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/facts.h"
#include "sim/run/plan.h"
#include "sim/run/run.h"
#include "sim/world/observer.h"

namespace klamm::sim {

/// A record, by its place.
struct RecordPlace {
    std::int32_t partition = 0;
    Offset offset;
    friend bool operator==(const RecordPlace&, const RecordPlace&) = default;
};

/// The record that the first violation is about: "offset 41 of trial-0"; nothing when it names
/// none.
std::optional<RecordPlace> guilty_record(const std::vector<Violation>& violations);

class Copies final : public WorldObserver {
  public:
    explicit Copies(RecordPlace place) : place_(place) {}

    // Told by whoever runs the world; times of what is not a fact are given by the facts and faults
    // around it, so `now` is asked.
    void set_now(std::function<Instant()> now) { now_ = std::move(now); }
    void name(NodeId node, std::string name) { names_[node.value] = std::move(name); }
    void fault(Instant at, const FaultEvent& fault);

    void on_fact(NodeId node, env::ShardIndex shard, Instant time,
                 const facts::Fact& fact) override;
    void on_crash(NodeId node, CrashKind kind, const DamageReport& report) override;

    /// The story up to `until`; empty if nothing was promised at that place.
    [[nodiscard]] std::string to_text(Instant until) const;

  private:
    struct Identity {
        LeaderEpoch epoch;
        Offset base;
        std::uint32_t crc = 0;
        friend bool operator==(const Identity&, const Identity&) = default;
    };
    struct Copy {
        std::uint32_t node = 0;
        Identity batch;
        Instant since;
        bool as_leader = false;
        Offset segment;
        std::uint64_t position = 0;
        std::uint64_t size = 0;
        std::optional<Instant> until;
        std::string how;  // it went
    };
    struct Promise {
        Instant at;
        std::uint32_t node = 0;
        std::string words;
        std::optional<Identity> batch;  // what the promising leader held there
    };
    struct Said {
        Instant at;
        std::string words;
    };
    [[nodiscard]] bool here(const TopicPartition& partition) const;
    Copy* living(NodeId node);
    void end(NodeId node, Instant at, std::string how);
    void appended(NodeId node, Instant time, const facts::BatchAppended& fact);
    void promised(NodeId node, Instant time, std::string words, bool consumer);
    [[nodiscard]] std::string fault_of(Instant at, std::uint32_t node) const;

    RecordPlace place_;
    std::function<Instant()> now_;
    std::map<std::uint32_t, std::string> names_;
    std::vector<Copy> copies_;
    std::optional<Promise> answered_;
    std::optional<Promise> served_;
    std::vector<Said> leaders_;
    std::vector<std::pair<Instant, FaultEvent>> faults_;
};

/// Losses up to the first violation that the contract permits, as lines.
std::string lawful_before(const RunResult& result);

/// The story of the record that a red run's first violation is about, from one more run of the
/// plan; empty when it is about none.
std::string story_of_guilty_record(const RunPlan& plan, const RunResult& result);

}  // namespace klamm::sim
