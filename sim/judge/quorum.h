#pragma once
// I10 (internal to sim/judge): the quorum of controllers, by what its replicas state and by the
// books of the metadata log's partition, whose chain is what was committed. What is asked:
//
//   one leader an epoch, over all incarnations, and one vote; no vote that was told is forgotten;
//   who comes to lead holds all that was committed (leader completeness);
//   what is committed reaches into the leader's own epoch, and a majority of voters has synced it;
//   whoever knows something to be committed holds it as the others do (state-machine safety);
//   what was committed does not leave a log by truncation to a leader's.
//
// Decisions are kept by offset and epoch until one of that place is committed, by whomever: then
// they are facts of the metadata (take_decided).

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/base/facts.h"
#include "sim/judge/books.h"
#include "sim/judge/violation.h"

namespace klamm::sim {

class QuorumMonitor {
  public:
    QuorumMonitor(Findings& findings, std::vector<BrokerId> voters)
        : findings_(findings), voters_(std::move(voters)) {}

    void started(const facts::QuorumStarted& fact, Instant now, BrokerId node);
    void voted(const facts::QuorumVoted& fact, Instant now, BrokerId node);
    void leading(const PartitionBook& book, const facts::QuorumLeading& fact, Instant now,
                 BrokerId node);
    /// Lengthens the book's chain.
    void committed(PartitionBook& book, const facts::QuorumCommitted& fact, Instant now,
                   BrokerId node);
    void decided(const facts::MetadataDecided& fact);
    /// Batches that left the replica's log because a leader's differs.
    void cut(const PartitionBook& book, const std::vector<Removed>& removed, Instant now,
             BrokerId node);
    /// Its log begins at `start`: a snapshot has what was below. Until that is on the disk a
    /// restart may bring the older start back, with all that lay above it.
    void start_moved(BrokerId node, Offset start);
    /// It has forgotten its votes, and nobody is to blame but the fault.
    void wiped(BrokerId node);

    [[nodiscard]] std::vector<facts::Fact> take_decided() { return std::exchange(due_, {}); }
    /// Epochs that had a leader.
    [[nodiscard]] std::size_t elections() const { return leaders_.size(); }

  private:
    struct Leader {
        BrokerId node;
        Offset start;
    };

    void red(std::string sentence, Instant now, BrokerId node) {
        findings_.report("I10", std::move(sentence), now, node);
    }
    /// Whether the replica's log has the batch, or has it in a snapshot.
    [[nodiscard]] bool has(const ReplicaBook& replica, const ChainLink& link) const;
    void lengthen(PartitionBook& book, const facts::QuorumCommitted& fact, Instant now,
                  BrokerId node);
    void check_synced(const PartitionBook& book, const ChainLink& link, Instant now, BrokerId node);

    Findings& findings_;
    std::vector<BrokerId> voters_;
    std::map<std::pair<BrokerId, LeaderEpoch>, BrokerId> votes_;
    std::map<LeaderEpoch, Leader> leaders_;
    std::map<BrokerId, Offset> starts_;
    std::map<Offset, std::map<LeaderEpoch, std::vector<facts::Fact>>> decided_;
    std::vector<facts::Fact> due_;
};

}  // namespace klamm::sim
