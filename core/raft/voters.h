#pragma once
// Who votes. A VoterSet is what a VotersRecord says, or the static configuration; a VoterHistory is
// the sets and kraft.versions that one log holds, uncommitted ones included: a replica goes by the
// newest one in its log from the moment it is appended (KIP-853).
//
// What always holds: ids in a set differ and ascend; a set differs from the one before it by at
// most one voter, so that any two majorities of neighbours meet; the history loses its newest
// entries with the log's tail, and never its last one to a snapshot.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/types.h"

namespace klamm::raft {

struct Voter {
    ReplicaKey key;
    Endpoints endpoints;
    std::int16_t version_min = 0;  // of kraft.version that it knows
    std::int16_t version_max = 0;
    friend bool operator==(const Voter&, const Voter&) = default;
};

class VoterSet {
  public:
    VoterSet() = default;
    /// Ids must differ; they are put in order.
    explicit VoterSet(std::vector<Voter> voters);
    /// Static voters: ids alone, whichever directory they have.
    static VoterSet of_ids(const std::vector<BrokerId>& ids);

    [[nodiscard]] const std::vector<Voter>& voters() const { return voters_; }
    [[nodiscard]] std::size_t size() const { return voters_.size(); }
    [[nodiscard]] bool empty() const { return voters_.empty(); }
    [[nodiscard]] const Voter* find(BrokerId id) const;
    [[nodiscard]] bool contains(const ReplicaKey& replica) const;
    [[nodiscard]] bool is_only(const ReplicaKey& replica) const;
    /// Whether the set has this voter's key, but says something else of it.
    [[nodiscard]] bool needs_update(const Voter& voter) const;
    /// More than half.
    [[nodiscard]] std::size_t majority() const { return voters_.size() / 2 + 1; }

    /// Nothing when the id votes already.
    [[nodiscard]] std::optional<VoterSet> with(const Voter& voter) const;
    /// Nothing when that replica (id and directory) is no voter, or the only one.
    [[nodiscard]] std::optional<VoterSet> without(const ReplicaKey& replica) const;
    /// Nothing when that replica is no voter; `any_directory` compares ids only.
    [[nodiscard]] std::optional<VoterSet> updated(const Voter& voter, bool any_directory) const;
    /// Whether no more than one voter was added and one removed.
    [[nodiscard]] bool overlaps(const VoterSet& other) const;

    friend bool operator==(const VoterSet&, const VoterSet&) = default;
    [[nodiscard]] std::string print() const;

  private:
    std::vector<Voter> voters_;  // ascending by id
};

class VoterHistory {
  public:
    /// What is configured, for as long as the log says nothing.
    explicit VoterHistory(VoterSet configured = {}) : configured_(std::move(configured)) {}

    /// A VotersRecord at `offset`; false, and nothing changes, when the two sets' majorities need
    /// not meet. Offsets rise.
    [[nodiscard]] bool add_voters(Offset offset, VoterSet voters);
    /// A KRaftVersionRecord at `offset`.
    void add_version(Offset offset, std::int16_t version);
    /// The log was cut to `end`.
    void truncate_from_end(Offset end);
    /// The log starts anew after a snapshot that ends at `end` and says this; no voters: none were
    /// recorded.
    void start_at(Offset end, const std::optional<VoterSet>& voters, std::int16_t version);
    /// A snapshot at `start` replaces what lies before it.
    void truncate_from_start(Offset start);

    [[nodiscard]] const VoterSet& last() const;
    /// Where the last set was recorded; nothing when it is the configured one, -1 when the snapshot
    /// of offset 0 has it.
    [[nodiscard]] std::optional<Offset> last_offset() const;
    [[nodiscard]] std::int16_t version() const;
    /// Whether voters may be added and removed: kraft.version 1.
    [[nodiscard]] bool dynamic() const { return version() >= 1; }
    /// What a snapshot that ends at `end` has to say.
    [[nodiscard]] std::optional<VoterSet> voters_at(Offset end) const;
    [[nodiscard]] std::int16_t version_at(Offset end) const;

    friend bool operator==(const VoterHistory&, const VoterHistory&) = default;

  private:
    VoterSet configured_;
    std::map<Offset, VoterSet> voters_;
    std::map<Offset, std::int16_t> versions_;
};

}  // namespace klamm::raft
