#pragma once
// The ledger (CONTRACT.md, "Events that the ledger judges"): which batches are promised, and what
// happens to the promises. It judges at the event itself and keeps each loss with its evidence.
//
//   a promise      starts by ProduceAnswered (acks=all strong, acks=1 weak until a high watermark
//                  passes it) or ConsumerServed; ends by LogStartMoved (retention, DeleteRecords)
//   stranded       GOOD ∩ CAND of a strong promise becomes empty; red when nothing lawful has
//                  contributed: damage, an unproven stop, a directory offline, a configuration, an
//                  election against CAND (which is judged as an override when it leads)
//   erasure        an undamaged promised batch leaves a log; red unless overridden, ended, or the
//                  replica is out of CAND and CAND ∩ GOOD stays non-empty
//   override       Leading, of a later epoch, by a node where the batch is not GOOD: O1 to O5
//
// Decided where the contract leaves room:
// - Weak promises are judged by override (O1) and erasure only; stranding does not touch them.
// - O2 covers batches at or past the new leader's end, and those at whose offset the new leader
//   holds an undamaged batch of another identity: its log diverged below its end.
// - O3 asks of those that left ISR ∪ ELR and took it below the effective min.insync.replicas that
//   they were damaged or stopped without proof. One that lagged behind and left a sufficient ISR
//   costs nothing by itself, and Kafka 4.1 forgets it.
// - A promise that is made after an override (by a deposed leader) is judged by it at once.
// - Who leads with a copy that rot has damaged overrides nothing: the batch stands in its log, and
//   the sound copies of others are kept. That it cannot be read is for liveness to find.
// - With flush.messages=1, O3 and O4 need damage to what was synced (rot, a wipe).

#include <span>
#include <string>
#include <vector>

#include "core/base/facts.h"
#include "core/base/slips.h"
#include "sim/judge/bill.h"
#include "sim/judge/books.h"
#include "sim/judge/violation.h"

namespace klamm::sim {

/// What the log checker of the clients' history has to be told.
struct Excuse {
    std::int32_t partition = 0;
    Offset from;
    Offset to;
    bool cut = false;  // the high watermark went back to `from` in leader epoch `epoch`
    LeaderEpoch epoch;
};

class Ledger {
  public:
    Ledger(Findings& findings, std::string topic, Slip slip = Slip::none)
        : findings_(findings), topic_(std::move(topic)), slip_(slip) {}

    void produce_answered(PartitionBook& book, const facts::ProduceAnswered& fact, Instant now,
                          BrokerId node);
    void consumer_served(PartitionBook& book, const facts::ConsumerServed& fact, Instant now,
                         BrokerId node);
    void high_watermark_moved(PartitionBook& book, const facts::HighWatermarkMoved& fact,
                              Instant now, BrokerId node);
    /// Metadata has changed; the books hold the new state, `before` is the one replaced.
    void committed(PartitionBook& book, ReplicaMask candidates_before, Instant now);
    /// A leader took up a later epoch; the books know its election.
    void leading(PartitionBook& book, const facts::Leading& fact, Instant now, BrokerId node);
    /// Batches left the replica's log by truncation or recovery.
    void removed(PartitionBook& book, std::size_t slot, std::span<const Removed> removed,
                 const char* how, Instant now);
    /// Batches left the replica's log at its start.
    void start_moved(PartitionBook& book, std::size_t slot, std::span<const Removed> removed,
                     bool ends_promises, Instant now);
    /// Bytes were damaged on the replica.
    void damaged(PartitionBook& book, std::size_t slot, DamageKind kind, Instant now);
    /// The sums of what the end of the run decides.
    void finish(const PartitionBook& book);

    [[nodiscard]] const Bill& bill() const { return bill_; }
    /// Takes the excuses since the last call.
    [[nodiscard]] std::vector<Excuse> take_excuses();

  private:
    void promise(PartitionBook& book, BatchId id, PromiseKind kind, Instant now, BrokerId node);
    void strengthen(Batch& batch, PromiseKind kind);
    void check_birth(PartitionBook& book, BatchId id, Instant now, BrokerId node);
    void strand(PartitionBook& book, bool lawful, Instant now, BrokerId node, const char* cause);
    bool departure_lawful(const PartitionBook& book, const Batch& batch,
                          ReplicaMask candidates_before) const;
    Rule rule_of(const PartitionBook& book, const Batch& batch, const Election* election,
                 const ReplicaBook& leader, Offset start) const;
    void override_batch(PartitionBook& book, BatchId id, const Election* election,
                        const ReplicaBook& leader, Offset start, Instant now);
    [[nodiscard]] std::string name(const PartitionBook& book) const;
    void excuse(const PartitionBook& book, Offset from, Offset to);

    Findings& findings_;
    std::string topic_;
    Slip slip_;
    Bill bill_;
    std::vector<Excuse> excuses_;
};

/// The first batch of `book.promised`, by index, that is live and not GOOD at the replica.
std::size_t first_missing(PartitionBook& book, std::size_t slot);

}  // namespace klamm::sim
