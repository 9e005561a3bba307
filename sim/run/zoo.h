#pragma once
// The zoo: historical mistakes are planted by name and looked for by the same swarm that must find
// nothing without them. What it takes is the measure of the harness. The counter-check takes away
// the kinds of faults that a mistake needs, and says what became of the wrong branch: never
// reached, or taken without harm.

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/plants.h"
#include "sim/run/plan.h"
#include "sim/run/swarm.h"

namespace klamm::sim {

/// What a mistake needs to be found.
struct Need {
    /// Each of these kinds can make it show; without all of them it cannot.
    std::set<FaultKind> kinds;
    /// Why not. True: without them it is made and does no harm. Invariants may break in fair
    /// weather then, so that the counter-check looks for harm alone. False: without them nobody
    /// gets to where it could be made, and whatever is red counts.
    bool for_harm = false;
    /// Harm alone counts with the kinds on, too: it is easily come by. Else an invariant does.
    bool found_by_harm = false;
    /// Where it is looked for when no profile is asked for; else each seed has its own.
    std::optional<Profile> profile = std::nullopt;
};
const Need& need_of(Bug bug);

/// Whether a finding's rule speaks of harm done (records lost, erased, changed or told twice), not
/// of an invariant broken on the way to it.
bool is_harm(const std::string& rule);

/// The first finding by which a run of a plan with this plant (or none) counts as red; nullptr when
/// there is none.
const TrialFinding* counted_finding(const Trial& trial, std::optional<Bug> plant);

struct ZooOptions {
    Bug bug = Bug::acks_all_like_one;
    Duration cpu_budget = seconds(60);
    bool without_needed = false;  // the counter-check: the kinds of need_of() are off
    SwarmOptions swarm;           // plant and limits are set by the zoo
};

struct ZooResult {
    Bug bug = Bug::acks_all_like_one;
    bool without_needed = false;
    bool found = false;
    std::uint64_t runs = 0;     // up to the one that found it
    std::uint64_t reached = 0;  // runs that took the wrong branch
    std::string reached_by;     // the token of the first of them
    Duration cpu;               // of those runs
    Trial trial;                // that found it
    /// Red, but the wrong branch was not taken, or the seed is red without the plant too: a mistake
    /// that nobody planted.
    std::vector<Trial> unplanted;
    bool interrupted = false;

    /// The counter-check succeeds by not finding, in runs that took the wrong branch if the need is
    /// one for harm, and never took it if not.
    [[nodiscard]] bool as_expected() const;
};

ZooResult visit(const ZooOptions& options);

/// "R2 truncate-to-hw: found in 12 runs, 3.41 s of CPU", the sentence and the replay line.
std::string to_text(const ZooResult& result);

/// All results as a table.
std::string table_text(const std::vector<ZooResult>& results);

}  // namespace klamm::sim
