#pragma once
// The monitors: invariants I1, I2, I3, I5, I6 and I7 of CONTRACT.md, held against each fact and the
// books, touching what the fact touched. What they ask, where the contract leaves room:
//
//   I1  One (epoch, base offset) names one batch, for ever and everywhere. Above its own high
//       watermark a follower may lawfully hold batches of another epoch until it truncates, so
//       across epochs agreement is asked of what came below a high watermark (the chain): when a
//       high watermark moves, every member of the committed ISR that did not stop without proof
//       holds the leader's batch at its end; a new leader holds the whole chain, unless the ledger
//       permits a loss; check_all() compares every such member with the whole chain.
//   I2  One leader an epoch; the high watermark moves on from where it was, within the leader's
//       log, over a maximal ISR that covers the committed one, with at least the effective
//       min.insync.replicas in the latter; acks=all is answered under the same conditions, for a
//       batch that every member of the committed ISR holds (those that stopped without proof since
//       are not asked); a leader outside ISR and ELR was elected by configuration or an
//       administrator, or is the last known one with ELR on.
//   I3  A replica that is proposed has its log end at or past the high watermark and the epoch
//       start, and holds the chain below the high watermark; one that is admitted is unfenced. With
//       ELR on no member of an ISR is fenced, with ELR off only a sole one.
//   I5  A log is flushed no further than it reaches; after a power loss no batch that was claimed
//       to be synced is damaged where no sync had been; recovery starts no later than a sync once
//       reached, and keeps no damaged batch at or above the recovery point; no log with damage is
//       opened as cleanly stopped.
//   I6  Consumers are served below the high watermark, and of the chain.
//   I7  In each replica's log the batches of a producer go on with the next sequence, or with 0 in
//       a later producer epoch. The first batch of a producer that a log holds may have any
//       sequence: what was before may be gone.
//
// Not here: I4 and I9; I8 is in groups.h, I10 in quorum.h.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/facts.h"
#include "sim/judge/books.h"
#include "sim/judge/violation.h"

namespace klamm::sim {

class Monitors {
  public:
    Monitors(Findings& findings, std::string topic)
        : findings_(findings), topic_(std::move(topic)) {}

    /// After the books have taken it.
    void appended(PartitionBook& book, std::size_t slot, const facts::BatchAppended& fact,
                  const Appended& result, Instant now);
    void high_watermark_moved(PartitionBook& book, const facts::HighWatermarkMoved& fact,
                              Instant now, BrokerId node);
    void produce_answered(PartitionBook& book, const facts::ProduceAnswered& fact, Instant now,
                          BrokerId node);
    void consumer_served(PartitionBook& book, const facts::ConsumerServed& fact, Instant now,
                         BrokerId node);
    void isr_proposed(PartitionBook& book, const facts::IsrProposed& fact, Instant now,
                      BrokerId node);
    /// After the books have taken it; `before` is the state that it replaced.
    void committed(PartitionBook& book, const std::optional<facts::PartitionCommitted>& before,
                   Instant now);
    void broker_registered(const facts::BrokerRegistered& fact);
    void broker_fencing(const facts::BrokerFencing& fact);
    /// A second leader of one epoch; before the books take the fact.
    void leading(PartitionBook& book, const facts::Leading& fact, Instant now, BrokerId node);
    /// Shortens the chain to what the new leader holds, after the ledger has judged the loss.
    /// `excused`: the ledger permits a loss here. Returns where the chain was cut, if it was.
    std::optional<Offset> cut_chain(PartitionBook& book, const facts::Leading& fact, bool excused,
                                    Instant now, BrokerId node);
    void flushed(PartitionBook& book, std::size_t slot, Offset end, Instant now);
    /// After recovery, before doubts are lifted; `known` is whether the books explain its end.
    void opened(PartitionBook& book, std::size_t slot, const facts::LogOpened& fact, bool known,
                Instant now);
    void claimed(PartitionBook& book, std::size_t slot, std::span<const BatchId> batches,
                 Instant now);

    /// Facts that have reached them, for the audit.
    [[nodiscard]] std::uint64_t taken() const { return taken_; }

    /// Everything, in full: O(replicas × batches).
    void check_all(PartitionBook& book, Instant now);

  private:
    struct Broker {
        bool fenced = true;
    };
    struct Watermark {
        LeaderEpoch epoch = no_leader_epoch;
        Offset at = no_offset;
    };

    void red(const char* rule, std::string sentence, Instant now, BrokerId node) {
        findings_.report(rule, std::move(sentence), now, node);
    }
    [[nodiscard]] std::string name(const PartitionBook& book) const;
    void check_sequence(PartitionBook& book, const ReplicaBook& replica, const Batch& batch,
                        Instant now);
    void check_isr_holds(PartitionBook& book, const Batch& batch, const char* what, Instant now,
                         BrokerId node);
    void extend_chain(PartitionBook& book, const ReplicaBook& leader, Offset to, Instant now);
    void check_election(PartitionBook& book, const facts::PartitionCommitted& before, Instant now);

    /// The next metadata fact must be what cost `member` its place, or the election was wrong.
    void settle_awaited(const facts::BrokerRegistered* registered,
                        const TopicPartition* changed = nullptr);

    /// A last known leader was elected by the record that took the last other candidate out: Kafka
    /// does so when that one registers without proof of a clean stop, whose own record follows.
    struct Awaited {
        TopicPartition partition;
        BrokerId member;
        BrokerId leader;
        Instant time;
        std::string sentence;
    };

    Findings& findings_;
    std::string topic_;
    std::uint64_t taken_ = 0;
    std::map<BrokerId, Broker> brokers_;
    std::vector<Awaited> awaited_;
    std::map<TopicPartition, Watermark> watermarks_;
};

/// How `after` elected its leader, given the state before it; nothing if it elected nobody.
std::optional<ElectionClass> election_class(const facts::PartitionCommitted& before,
                                            const facts::PartitionCommitted& after);

}  // namespace klamm::sim
