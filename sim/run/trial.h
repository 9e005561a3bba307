#pragma once
// A run in a process of its own, and what is handed back of it: a summary small enough for a pipe
// and sufficient to compare, count and shrink runs.
//
// Always: a summary is a function of the plan but for `cpu`; a process that died or took too long
// is Verdict::crash, and the summary still has its token.

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/run/forked.h"
#include "sim/run/plan.h"
#include "sim/run/run.h"

namespace klamm::sim {

/// An operation of a client that began, as Pacing::skip names it.
struct TrialOperation {
    Instant at;
    std::uint32_t client = 0;
    std::uint32_t operation = 0;
    friend bool operator==(const TrialOperation&, const TrialOperation&) = default;
};

/// What is found red, one entry a rule, in the order in which they first showed.
struct TrialFinding {
    std::string rule;  // of a Violation; "liveness"; or "crash: " and the place
    std::string sentence;
    Instant at = instant_never;  // when it first showed, if that is known
    friend bool operator==(const TrialFinding&, const TrialFinding&) = default;
};

struct Trial {
    std::uint64_t seed = 0;
    std::string token;
    Verdict verdict = Verdict::harness_error;
    std::vector<TrialFinding> findings;
    std::string complaint;  // of a harness error
    Instant first_violation = instant_never;
    std::uint64_t hash = 0;
    std::uint64_t events = 0;
    Duration virtual_time;
    RunCounts counts;
    std::int64_t records_promised = 0;
    std::array<std::int64_t, rule_count> records_lost{};
    std::array<std::int64_t, rule_count> records_avoidable{};
    std::array<std::uint64_t, fault_kind_count> planned{};
    std::array<std::uint64_t, fault_kind_count> fired{};
    std::vector<FaultId> fired_ids;
    std::array<std::uint64_t, bug_count> plants_taken{};
    std::vector<GoalOutcome> goals;
    Duration
        unavailable;  // the longest until the healing, any acknowledgement counted; if asked for
    std::vector<TrialOperation> operations;  // in the order in which they began, if asked for
    std::vector<Checkpoint> checkpoints;     // if asked for
    Duration cpu;                            // of the process; never compared

    [[nodiscard]] bool red() const {
        return verdict == Verdict::safety || verdict == Verdict::liveness ||
               verdict == Verdict::crash;
    }
    [[nodiscard]] bool shows(const std::string& rule) const;
    /// One sentence: the first finding, the complaint, or "passed".
    [[nodiscard]] std::string sentence() const;
};

struct TrialOptions {
    bool operations = false;
    bool checkpoints = false;
    bool unavailable = false;
};

/// The run in this process.
Trial run_trial(const RunPlan& plan, const TrialOptions& options = {});

/// A summary as bytes; cpu is not among them.
std::string to_bytes(const Trial& trial);
Trial trial_from_bytes(const std::string& bytes);

/// What a job that returned to_bytes(run_trial(...)) came to; a job that did not finish is a crash
/// of that seed and token.
Trial trial_from_result(const ForkedResult& result, std::uint64_t seed, const std::string& token);

/// The run in a process of its own.
Trial run_forked_trial(const RunPlan& plan, const TrialOptions& options = {},
                       const ForkLimits& limits = {});

}  // namespace klamm::sim
