#pragma once
// Runs a plan: builds the world (metadata node, brokers, clients), lets faults fall while the judge
// listens, heals, waits for liveness, makes the final reads, and gives the verdict.
//
// Always: the result is a function of the plan and of `events_max`; sinks see and change nothing.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkers/history.h"
#include "core/base/facts.h"
#include "core/base/plants.h"
#include "core/base/slips.h"
#include "core/base/time.h"
#include "sim/judge/bill.h"
#include "sim/judge/counts.h"
#include "sim/judge/violation.h"
#include "sim/run/plan.h"
#include "sim/world/observer.h"
#include "sim/world/tap.h"
#include "sim/world/trace.h"

namespace klamm::sim {

class World;
struct Truth;  // sim/judge/judge.h

struct RunHooks {
    EventSink event_sink;  // every event of the world
    /// Every fact, with the name of the node that stated it.
    std::function<void(Instant, const std::string& node, const facts::Fact&)> fact_sink;
    /// A fault that hit something, when it did.
    std::function<void(Instant, const FaultEvent&)> fault_sink;
    /// A physical truth, as the judge is told it: before it judges, in the order of the facts.
    std::function<void(const Truth&)> truth_sink;
    /// A line of a node's log.
    std::function<void(Instant, const std::string& node, std::string_view line)> log_sink;
    /// Sees what the judge is told of the world; may look, and change nothing.
    WorldObserver* observer = nullptr;
    NetworkTap* tap = nullptr;
    /// The nodes are there and none has started.
    std::function<void(const World&)> begin_sink;
    /// The run is over, and its machines are as it left them.
    std::function<void(const World&)> end_sink;
    /// Asked after each event: to look, or to make another run of this one (World::perturb).
    std::function<void(World&)> after_event;
    /// For benchmarks: about each fact that the judge is told, and about its closing.
    std::function<void(bool begins)> judging;
    bool stop_at_first_violation = false;
    bool keep_history = false;     // RunResult::history
    bool repeats_lawful = false;   // producers that the plan does not know may lack idempotence
    std::uint64_t events_max = 0;  // a run that needs more is a harness error; 0: a large default
    /// For tests of the harness: after healing these brokers stay down, come what may.
    std::vector<std::uint32_t> keep_down;
    Slip slip = Slip::none;  // the same
};

/// Something that happened shortly before a violation, for a person.
struct TimelineEntry {
    Instant time;
    std::string node;
    std::string text;
};

/// What came of a goal in one run. Which goals there are is the watcher's business
/// (sim/scenario/goals.h).
enum class GoalOutcome : std::uint8_t { none, reached, broken };

struct RunResult {
    Verdict verdict = Verdict::harness_error;
    std::vector<Violation> violations;  // the first ones; RunOutcome counts all
    std::uint64_t violations_total = 0;
    std::vector<std::string> liveness_failures;
    std::string excuse;     // why liveness was not demanded, e.g. "E1: ..."; empty if it was
    std::string complaint;  // of a harness error
    std::vector<std::string> script;      // what a director says of its steps, line by line
    std::vector<GoalOutcome> goals;       // of the director's, in its order
    std::vector<TimelineEntry> timeline;  // up to the first violation, oldest first
    Bill bill;
    RunCounts counts;
    std::array<std::uint64_t, fault_kind_count> planned{};  // faults of the plan, by kind
    std::array<std::uint64_t, fault_kind_count> fired{};    // those that hit something
    std::vector<FaultId> fired_ids;                         // in the order in which they hit
    std::uint64_t hash = 0;
    std::vector<Checkpoint> checkpoints;
    Instant first_violation = instant_never;
    std::optional<EndReport> ended;                       // an assertion failed
    std::array<std::uint64_t, bug_count> plants_taken{};  // wrong branches, by bug
    std::uint64_t events = 0;
    Duration virtual_time;
    Duration safety_end;  // when healing began
    checkers::History history;

    [[nodiscard]] bool red() const {
        return verdict == Verdict::safety || verdict == Verdict::liveness ||
               verdict == Verdict::crash;
    }
};

RunResult run_plan(const RunPlan& plan, const RunHooks& hooks = {});

}  // namespace klamm::sim
