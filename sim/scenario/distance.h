#pragma once
// How far a topic's settings are from losing a record: the fewest physical faults after which a
// record that was acknowledged is lost, by search. What the cluster does after each fault is not
// known here: every step of the search is a run of the simulator, with the real code, judged by the
// ledger, and the answer is the scenario of such a run.
//
// The faults: a machine loses power with all that is unsynced, or its disk, alone or with others at
// one moment, and comes back soon or only when all is over; or the links between one broker and the
// others are cut, for some seconds or until all is over. What hits n machines is n faults. Between
// steps the cluster has time to change its ISR. Schedules are searched by their number of faults;
// those that leave the metadata and the machines in the same state are continued once.
//
// Always: the answer is a function of the settings. It is the least within this space of schedules
// and one seed, which a shorter one outside of it would refute.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace klamm::sim {

struct DistanceConfig {
    std::int32_t replication_factor = 3;  // as many brokers
    std::int32_t min_insync_replicas = 2;
    std::string acks = "all";  // of the producer: "all" or "1"
    bool flush_each = false;   // flush.messages=1
    bool unclean = false;      // unclean.leader.election.enable
    bool elr = true;           // eligible leader replicas (KIP-966)
    bool disks_die = false;    // a broker that fails comes back with an empty disk
};

/// Kafka's names and "replication.factor", "acks", "eligible.leader.replicas", "disks.die".
/// `invalid` with one sentence, "FILE:LINE: ...".
Result<DistanceConfig> parse_distance_config(std::string_view text, std::string_view file);

struct DistanceOptions {
    std::uint32_t faults_max = 3;
    std::size_t jobs = 1;
    std::function<bool()> stopped = {};  // asked often; true ends the search
    std::function<void(const std::string&)> progress = {};
};

struct Distance {
    std::optional<std::uint32_t> faults;  // nothing: no schedule of up to `searched` loses a record
    std::uint32_t searched = 0;           // all schedules of so many faults have been tried
    std::vector<std::string> schedule;    // sentences
    std::string loss;                     // what the ledger says of the first lost record
    std::string scenario;                 // the file of that run, for `klamm sim`
    bool red = false;                     // a run broke the contract: a bug, not a distance
    std::uint64_t runs = 0;
};

Distance distance(const DistanceConfig& config, const DistanceOptions& options);

struct Remedy {
    std::string setting;  // "min.insync.replicas=2"
    std::string costs;    // what it costs, in words
    DistanceConfig config;
};

/// Changes of one setting that may help, the cheapest first.
std::vector<Remedy> remedies(const DistanceConfig& config);

/// The settings on one line.
std::string to_text(const DistanceConfig& config);

}  // namespace klamm::sim
