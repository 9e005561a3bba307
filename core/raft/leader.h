#pragma once
// What the leader of an epoch knows of the other replicas, all of it from their fetches in this
// epoch (Kafka's LeaderState), and what follows: how far a majority of the voters holds the log,
// and whether a majority still fetches.
//
// What always holds:
//   - the high watermark is monotone, and is none before a majority of the voters holds durably a
//     record of this epoch; from there on it is what the majority holds (Raft 5.4.2);
//   - the leader's own log counts up to its flushed end, a voter's up to the offset it fetches
//     from, which it has flushed; a leader that is no voter any more does not count;
//   - a replica is known by id and directory; a voter in another directory is an observer.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/raft/voters.h"

namespace klamm::raft {

struct ReplicaProgress {
    ReplicaKey key;
    std::optional<Offset> end;
    std::optional<Instant> last_fetch;
    std::optional<Instant> last_caught_up;
    Offset leader_end_at_fetch = no_offset;
    bool acknowledged = false;  // has fetched, or answered BeginQuorumEpoch
    friend bool operator==(const ReplicaProgress&, const ReplicaProgress&) = default;
};

/// An observer is forgotten when it has not fetched for as long as this.
constexpr Duration observer_session = seconds(300);
/// A replica may be added as a voter when it was caught up once and fetched within this time.
constexpr Duration caught_up_within = seconds(3600);

class LeaderState {
  public:
    /// Leads from `epoch_start` on, the log's end when it was elected.
    LeaderState(const ReplicaKey& self, Offset epoch_start, const VoterSet& voters,
                std::set<BrokerId> granting, Duration fetch_timeout, Instant now);

    /// The log's ends, or the voters in it, have changed. True when the watermark moved.
    bool update_local(const Turn& turn, Offset end, Offset flushed, const VoterSet& voters);
    /// A replica fetches from `offset`, below which it holds this log. True when the watermark
    /// moved.
    bool record_fetch(const Turn& turn, const ReplicaKey& replica, Offset offset);
    /// A voter fetches a piece of a snapshot, or has told its endpoints: it still follows.
    void note_following(const ReplicaKey& replica, Instant now);
    void acknowledge(BrokerId voter);
    /// Forgets observers that have not fetched for a session.
    void forget_observers(Instant now);

    [[nodiscard]] Offset epoch_start() const { return epoch_start_; }
    [[nodiscard]] std::optional<Offset> high_watermark() const { return high_watermark_; }
    [[nodiscard]] const std::set<BrokerId>& granting() const { return granting_; }
    /// From this moment on too few voters have fetched for 1.5 fetch timeouts; never with one
    /// voter.
    [[nodiscard]] Instant check_quorum_deadline() const;
    /// Voters but this one, the one with the longest log first.
    [[nodiscard]] std::vector<ReplicaKey> successors() const;
    /// Whether this observer has caught up, so that it may be made a voter.
    [[nodiscard]] bool caught_up(const ReplicaKey& replica, Instant now) const;
    [[nodiscard]] const std::map<BrokerId, ReplicaProgress>& voters() const { return voters_; }
    [[nodiscard]] const std::map<ReplicaKey, ReplicaProgress>& observers() const {
        return observers_;
    }
    /// kraft.version 0 only: what voters have said of themselves, for the day of the upgrade.
    std::optional<VoterSet> volatile_voters;

    friend bool operator==(const LeaderState&, const LeaderState&) = default;
    [[nodiscard]] std::string print() const;

  private:
    [[nodiscard]] std::vector<const ReplicaProgress*> by_end() const;
    ReplicaProgress& progress_of(const ReplicaKey& replica);
    bool advance(const Turn& turn);
    void take_voters(const VoterSet& voters);

    ReplicaKey self_;
    Offset epoch_start_;
    std::set<BrokerId> granting_;
    Duration check_quorum_timeout_;
    Instant check_quorum_at_;
    std::optional<Offset> high_watermark_;
    Offset log_end_;
    std::map<BrokerId, ReplicaProgress> voters_;
    std::map<ReplicaKey, ReplicaProgress> observers_;
    std::set<BrokerId> fetched_;  // voters that have fetched since check-quorum was last satisfied
};

}  // namespace klamm::raft
