#pragma once
// The zoo: historical mistakes are planted by name and looked for by the same swarm that must find
// nothing without them. What it takes is the measure of the harness. The counter-check takes away
// the kinds of faults without which a mistake does no harm.

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

/// The kinds of faults each of which can make this mistake show; without all of them it cannot.
const std::set<FaultKind>& needed_kinds(Bug bug);

/// Whether a finding's rule speaks of harm done (records lost, erased, changed or told twice), not
/// of an invariant broken on the way to it: some mistakes break those in fair weather, harmlessly.
bool is_harm(const std::string& rule);

struct ZooOptions {
    Bug bug = Bug::acks_all_like_one;
    Duration cpu_budget = seconds(60);
    bool without_needed = false;  // the counter-check: needed_kinds() are off, and harm is sought
    SwarmOptions swarm;           // plant and limits are set by the zoo
};

struct ZooResult {
    Bug bug = Bug::acks_all_like_one;
    bool without_needed = false;
    bool found = false;
    std::uint64_t runs = 0;     // up to the one that found it
    std::uint64_t reached = 0;  // runs that took the wrong branch
    Duration cpu;               // of those runs
    Trial trial;                // that found it
    /// Red, but the wrong branch was not taken, or the seed is red without the plant too: a mistake
    /// that nobody planted.
    std::vector<Trial> unplanted;
    bool interrupted = false;

    /// The counter-check succeeds by not finding.
    [[nodiscard]] bool as_expected() const {
        return found != without_needed && unplanted.empty() && !(interrupted && !found);
    }
};

ZooResult visit(const ZooOptions& options);

/// "R2 truncate-to-hw: found in 12 runs, 3.41 s of CPU", the sentence and the replay line.
std::string to_text(const ZooResult& result);

/// All results as a table.
std::string table_text(const std::vector<ZooResult>& results);

}  // namespace klamm::sim
