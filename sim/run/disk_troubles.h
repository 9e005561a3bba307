#pragma once
// What the medium does to the brokers' disks, as faults: rot, ranges that cannot be read, writes
// that go astray, write-back that fails, older images, disks in the wrong machine, lost
// directories. The judge is told which good copies the medium has spoiled, as the world knows it.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/judge/judge.h"
#include "sim/run/cluster.h"
#include "sim/run/plan.h"

namespace klamm::sim {

/// Whose segment it is, of those that the judge keeps books of.
std::optional<TopicPartition> judged_partition(const SegmentPath& path);

/// What happened to segment files of the topic, and of the metadata log, as the judge takes it.
/// What nobody but the medium is to blame for is told with the length that syncs have answered for,
/// lies among them.
std::vector<Damage> damages_of(const std::vector<FileDamage>& files);
/// Of a crash's report, what only lying syncs had covered, as damage by the medium.
std::vector<Damage> lied_about(const std::vector<FileDamage>& files);
/// Of what read wrongly before a crash, what lay where no sync had answered: the recovery cuts
/// there.
std::vector<Damage> wrong_above_syncs(const std::vector<FileDamage>& blemished);

class DiskTroubles {
  public:
    DiskTroubles(Cluster& cluster, Judge& judge) : cluster_(cluster), judge_(judge) {}

    static bool handles(FaultKind kind);
    /// Those that end their targets' processes.
    static bool kills(FaultKind kind);

    /// Keeps what the disk holds now, for a rollback to come.
    void remember(const FaultEvent& fault);
    /// Whether it hit something at once. Processes of those that kill are dead by now.
    bool strike(const FaultEvent& fault);
    /// Disks that were swapped are each in their place again; ranges can be read again.
    void end(const FaultEvent& fault);
    void heal();
    /// The fault behind a write that went astray on this broker now; nullptr: none of them.
    const FaultEvent* went_astray(std::size_t broker);
    /// Its disk is in another's machine, and another's in its own.
    [[nodiscard]] bool away(std::size_t broker) const;

  private:
    bool rot(const FaultEvent& fault);
    bool make_unreadable(const FaultEvent& fault);
    bool roll_back(const FaultEvent& fault);
    bool lose_directory(const FaultEvent& fault);
    void swap(const FaultEvent& fault);
    [[nodiscard]] NodeId node(std::size_t target) const { return cluster_.node_of(target); }
    [[nodiscard]] World& world() { return cluster_.world(); }

    Cluster& cluster_;
    Judge& judge_;
    std::map<FaultId, std::map<std::string, Bytes>> images_;
    std::map<FaultId, const FaultEvent*> swapped_;
    std::map<std::size_t, std::set<FaultId>> unreadable_;  // by broker
    std::map<std::size_t, const FaultEvent*> astray_;      // by broker, armed
};

}  // namespace klamm::sim
