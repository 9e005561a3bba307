#pragma once
// The kill matrix: every planted bug of the cluster, looked for in each profile by the same swarm;
// how many seeds and how much CPU it took until the judge saw it with everything it knows, and
// until the clients' history alone showed it. One row a profile is without a plant: there nothing
// may be found. `klamm zoo` writes it as scenarios/zoo/README.md.
//
// By the history alone: what `checkers/` finds in what clients asked and were told, neither facts
// of nodes nor their disks; of the ledger it is told which losses the contract permits, since a
// history cannot know them.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/plants.h"
#include "sim/run/swarm.h"

namespace klamm::sim {

struct Kill {
    bool found = false;
    std::uint64_t runs = 0;  // up to the one that found it, or all
    Duration cpu;            // of those runs
    std::string rule;
    std::string token;
};

struct KillRow {
    std::optional<Bug> bug;  // nothing: no plant
    Profile profile = Profile::storm;
    Kill judge;
    Kill history;
    std::uint64_t reached = 0;  // runs in which the wrong branch was taken
    /// Red though the wrong branch was not taken, or without the plant too.
    std::vector<std::string> unplanted;
    bool interrupted = false;
};

struct KillOptions {
    Duration cpu_budget = seconds(60);  // of a row
    SwarmOptions swarm;                 // first seed, jobs, limits; the rest is set here
    std::function<void(const KillRow&)> on_row;
};

/// Whether the clients' history shows it when this rule is broken.
bool shows_in_history(const std::string& rule);

/// All bugs of the cluster in all profiles, or in the one that `swarm.profile` names.
std::vector<KillRow> kill_matrix(const KillOptions& options);

/// Whether each plant was found by the judge and by the history in some profile, and nothing was
/// red without one.
bool all_killed(const std::vector<KillRow>& rows);

/// The document.
std::string matrix_document(const std::vector<KillRow>& rows, const KillOptions& options);

/// One row, for a terminal.
std::string to_text(const KillRow& row);

}  // namespace klamm::sim
