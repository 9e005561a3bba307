#pragma once
// A swarm: many seeds, each run in a process of its own, and what came of them together.
//
// Always: what is reported of a set of seeds does not depend on the order in which they ended or on
// how many ran at a time; only CPU and wall time do.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/run/forked.h"
#include "sim/run/plan.h"
#include "sim/run/trial.h"

namespace klamm::sim {

struct SwarmProgress {
    std::uint64_t runs = 0;
    std::uint64_t red = 0;
    Duration wall;
    Duration cpu;
};

struct SwarmOptions {
    std::uint64_t first_seed = 1;  // seeds count up from here
    /// Ends at whichever limit is met first; at least one must be set. Runs that have begun are
    /// finished.
    std::optional<std::uint64_t> seeds;
    std::optional<Duration> wall;
    std::optional<Duration> cpu;  // of all runs together
    std::size_t jobs = 1;
    std::optional<Profile> profile;  // absent: drawn by the seed
    std::optional<Bug> plant;
    std::set<FaultKind> off;
    std::optional<Duration> length;
    ExploreOptions::How explore = ExploreOptions::How::timed;
    DirectorFactory watch;  // of every run; may fill RunResult::goals and changes nothing
    bool stop_at_first_red = false;
    ForkLimits limits;
    std::function<bool()> stopped;  // asked often; true ends the swarm at once
    std::function<void(const SwarmProgress&)> progress;
    std::function<void(const Trial&)> on_trial;  // in the order of seeds
};

/// One goal over all runs.
struct GoalSum {
    std::uint64_t reached = 0;  // runs
    std::uint64_t broken = 0;
    std::uint64_t first = 0;  // how many runs it took, that one included
    std::string first_token;
    std::string broken_token;  // of the first
};

/// Totals and medians over the trials; the same for any order of them.
struct SwarmReport {
    std::uint64_t first_seed = 0;
    std::uint64_t runs = 0;
    std::array<std::uint64_t, 6> verdicts{};  // by Verdict
    std::array<std::uint64_t, static_cast<std::size_t>(Profile::count_)> profiles{};
    std::uint64_t faults_fired_median = 0;
    std::uint64_t records_acknowledged_median = 0;
    std::uint64_t elections_median = 0;
    std::uint64_t truncations_median = 0;
    std::uint64_t isr_changes_median = 0;
    std::int64_t records_promised = 0;
    std::array<std::int64_t, rule_count> records_lost{};
    std::array<std::int64_t, rule_count> records_avoidable{};
    std::array<std::uint64_t, fault_kind_count> planned{};
    std::array<std::uint64_t, fault_kind_count> fired{};
    std::array<std::uint64_t, bug_count> plants_taken{};
    std::vector<GoalSum> goals;  // in the watcher's order
    /// Goals reached and rules found broken, each where it showed first; and what it took.
    std::array<std::uint64_t, static_cast<std::size_t>(Profile::count_)> discoveries{};
    std::array<Duration, static_cast<std::size_t>(Profile::count_)> cpu_by_profile{};
    std::uint64_t hash = 0;       // over the hashes of all runs, in the order of seeds
    std::vector<Trial> failures;  // red ones and harness errors, by seed; a bounded number
    std::optional<std::uint64_t> first_red;  // how many runs it took, the red one included
    Duration cpu_to_first_red;               // of the runs up to it, in the order of seeds
    Duration cpu;
    Duration wall;
    bool interrupted = false;

    [[nodiscard]] std::uint64_t count(Verdict verdict) const {
        return verdicts[static_cast<std::size_t>(verdict)];
    }
    [[nodiscard]] std::uint64_t red() const;
    /// Of records lost under O1 to O4.
    [[nodiscard]] std::int64_t permitted() const;
    /// passed; else what is worst: crash, safety, liveness, harness error.
    [[nodiscard]] Verdict verdict() const;
};

/// The profile of a seed when none is asked for.
Profile profile_of_seed(std::uint64_t seed);

/// The plan of one seed of the swarm.
RunPlan swarm_plan(const SwarmOptions& options, std::uint64_t seed);

SwarmReport run_swarm(const SwarmOptions& options);

/// Totals of trials that are already there, given in the order of seeds.
SwarmReport aggregate(const std::vector<Trial>& trials);

/// "1.07 s"
std::string seconds_of(Duration duration);

/// The report for a person: counts, medians, the permitted column, the first failures with their
/// tokens.
std::string to_text(const SwarmReport& report);

}  // namespace klamm::sim
