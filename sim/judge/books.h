#pragma once
// The books (internal to sim/judge): what each replica of a partition truly holds, batch by batch,
// and which of it is GOOD or DUR (CONTRACT.md, Terms); what metadata has committed; the chain of
// batches that came below a high watermark. Ledger and monitors read them and add their own marks.
//
// Always: a replica's batches are sorted by offset and do not overlap; a batch's `good` has the bit
// of a replica exactly when that replica holds it undamaged. Truncation and recovery take from the
// end, retention from the front.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/base/facts.h"
#include "core/base/time.h"
#include "sim/judge/bill.h"
#include "sim/judge/damage.h"

namespace klamm::sim {

using BatchId = std::uint32_t;
constexpr BatchId batch_none = UINT32_MAX;
using ReplicaMask = std::uint32_t;
constexpr ReplicaMask bit_of(std::size_t slot) { return ReplicaMask{1} << slot; }
constexpr std::size_t replicas_max = 32;

enum class PromiseState : std::uint8_t { none, live, lost, ended };

struct Batch {
    LeaderEpoch epoch;
    Offset base;
    Offset last;
    std::uint32_t crc = 0;
    std::int32_t producer = -1;  // dense, in the partition; -1: none
    std::int32_t base_sequence = -1;
    ProducerEpoch producer_epoch;
    ReplicaMask good = 0;
    // The ledger's marks.
    PromiseKind promise = PromiseKind::none;
    PromiseState state = PromiseState::none;
    bool stranded = false;
    Instant promised;
    BrokerId promised_by = no_broker;

    [[nodiscard]] std::int64_t records() const { return last - base + 1; }
    [[nodiscard]] bool live() const { return state == PromiseState::live; }
    [[nodiscard]] bool strong() const {
        return promise == PromiseKind::acks_all || promise == PromiseKind::consumer;
    }
};

enum class Health : std::uint8_t {
    good,
    bad,       // its bytes are damaged
    doubtful,  // written in the turn that a kill may have cut; known again when the log opens
};

struct Held {
    BatchId id = batch_none;
    Health health = Health::good;
    Offset base;
    Offset last;
    Offset segment_base;
    std::uint64_t position = 0;
    std::uint64_t size = 0;
    Instant appended;
    std::int64_t producer_previous = -1;  // number (see ReplicaBook) of its producer's batch before
};

enum class DamageKind : std::uint8_t { kill, power, rot, wipe };

/// Offsets that a replica has lost through damage.
struct DamagedRange {
    Offset from;
    Offset to;
    DamageKind kind = DamageKind::power;
    Instant time;
    FaultId fault = fault_none;
};

struct ReplicaBook {
    BrokerId node = no_broker;
    std::vector<Held> held;        // [first, size) are in the log
    std::size_t first = 0;         // those before were taken by retention
    std::int64_t number_base = 0;  // number of held[0]: numbers outlive trimming of the vector
    std::vector<Held> ghosts;      // truncated, and not known to be synced: they may come back
    std::vector<std::int64_t> producer_last;  // number of a producer's last batch; -1: none
    std::vector<DamagedRange> damaged;
    Offset start{0};
    Offset end{0};
    Offset flushed{0};           // DUR below: synced, or read back from disk after a power loss
    Offset claimed{0};           // synced, by the node's own word
    Offset flushed_max{0};       // the furthest it ever claimed
    bool ended = false;          // the process that is registered has ended
    bool unproven = false;       // its incarnation ended without proof since it joined ISR or ELR
    FaultId fault = fault_none;  // the fault that last hit it
    Instant fault_time;
    std::size_t matched = 0;  // the ledger's: it is without none of the promised before this one

    [[nodiscard]] bool empty() const { return first == held.size(); }
    /// Index of the batch that holds `offset`, or of the first one after it; held.size() if none.
    [[nodiscard]] std::size_t find(Offset offset) const;
    [[nodiscard]] const Held* at(Offset offset) const;
    [[nodiscard]] const DamagedRange* damage_at(Offset offset) const;
};

/// How a leader came to be elected.
enum class ElectionClass : std::uint8_t { clean, unclean, last_known };

struct Election {
    LeaderEpoch epoch;
    Instant time;
    BrokerId leader = no_broker;
    ElectionClass kind = ElectionClass::clean;
    std::int64_t metadata_offset = -1;
    std::vector<BrokerId> isr_before;
    std::vector<BrokerId> isr_after;
    bool elr_enabled = false;
    std::int32_t min_isr = 1;
};

/// A replica left ISR ∪ ELR and took it below the effective min.insync.replicas.
struct Departure {
    Instant time;
    BrokerId node;
    bool lawful = false;  // damaged, stopped without proof, or by a change of configuration
};

struct ChainLink {
    BatchId id = batch_none;
    Offset base;
    Offset last;
};

/// Where leader epochs begin in a log, as its leader epoch cache has them: which batches it held,
/// since (epoch, base offset) names one batch.
struct EpochStart {
    LeaderEpoch epoch;
    Offset from;
};
using Lineage = std::vector<EpochStart>;

struct PartitionBook {
    TopicPartition partition;
    std::vector<ReplicaBook> replicas;  // the index is the bit of ReplicaMask
    std::vector<Batch> batches;
    std::unordered_map<std::uint64_t, BatchId> by_place;  // (epoch, base) → the first such batch
    std::unordered_map<std::int64_t, std::int32_t> producers;
    std::vector<ChainLink> chain;  // what came below a high watermark, in order of offset
    std::optional<facts::PartitionCommitted> committed;
    ReplicaMask candidates = 0;  // CAND
    std::map<LeaderEpoch, Election> elections;
    std::vector<Departure> departures;
    std::map<LeaderEpoch, BrokerId> leaders;  // who has taken up which epoch
    std::map<LeaderEpoch, Offset> starts;     // and where its log ended then
    std::map<LeaderEpoch, Lineage> lineages;  // and of which epochs its batches were
    LeaderEpoch leading_epoch = no_leader_epoch;
    BrokerId leading = no_broker;
    // The ledger's.
    std::vector<BatchId> promised;  // by (base, epoch)
    std::vector<BatchId> weak;      // live weak promises, oldest first
    std::size_t weak_first = 0;
    bool any_stranded = false;

    [[nodiscard]] std::size_t slot(BrokerId node);  // makes one if need be
    [[nodiscard]] const ReplicaBook* replica(BrokerId node) const;
    [[nodiscard]] ReplicaMask mask_of(std::span<const BrokerId> nodes);
    /// DUR is read for GOOD.
    [[nodiscard]] bool durable_only() const {
        return committed.has_value() && committed->flush_messages == 1;
    }
    /// The replicas that have the batch, GOOD or, where durable_only, DUR.
    [[nodiscard]] ReplicaMask covering(const Batch& batch) const;
};

struct Appended {
    BatchId id = batch_none;
    BatchId conflict = batch_none;  // another batch of the same (epoch, base offset)
    bool gap = false;               // it does not start at the log's end
};

/// Takes a batch that left a replica's log, before its bit is cleared.
struct Removed {
    BatchId id = batch_none;
    Health health = Health::good;
};

Appended append(PartitionBook& book, std::size_t slot, const facts::BatchAppended& fact,
                Instant now);
/// The log of the replica now ends at `end`; gives what left it. What a batch crosses goes whole.
std::vector<Removed> truncate(PartitionBook& book, std::size_t slot, Offset end, bool may_return);
/// The log of the replica now starts at `start`; gives what left it.
std::vector<Removed> trim(PartitionBook& book, std::size_t slot, Offset start);
/// Marks what the damage costs. Returns the batches that were claimed to be synced although no sync
/// had covered them (contract I5).
std::vector<BatchId> damage(PartitionBook& book, std::size_t slot, const Damage& what,
                            DamageKind kind, FaultId fault, Instant now);
/// Brings back truncated batches that lie in the bytes that returned.
void undo_truncate(PartitionBook& book, std::size_t slot, const UndoneTruncate& what);
/// The log was opened up to `end` although the books end before: truncated batches came back.
/// False if none of them explains it.
bool extend_to(PartitionBook& book, std::size_t slot, Offset end);
/// The replica has again what it had when `image` was taken, and nothing that came after it.
void roll_back(PartitionBook& book, std::size_t slot, const ReplicaBook& image, FaultId fault,
               Instant now);
/// All files are gone.
void wipe(PartitionBook& book, std::size_t slot, FaultId fault, Instant now);
/// What was written at `now`, the turn of the kill, may be cut.
void doubt(PartitionBook& book, std::size_t slot, Instant now);
/// The batch is in the replica's log, and the medium has damaged its bytes there.
bool holds_rotten(const ReplicaBook& replica, const Batch& batch, BatchId id);
/// Of some replica that may lead the medium has damaged the batch.
bool candidate_spoiled(const PartitionBook& book, const Batch& batch);
/// Doubts are over: what the opened log holds is there.
void trust(PartitionBook& book, std::size_t slot);

/// The elections of epochs in (after, until), unclean or of a last known leader, that nobody took
/// up, in their order. Whoever leads next leads by their candidates: what those lacked then, they
/// have given up.
std::vector<const Election*> never_led_between(const PartitionBook& book, LeaderEpoch after,
                                               LeaderEpoch until);

/// Whether who was elected then had the batch: he has it still, or damage since took it. Read as
/// DUR, he had nothing that a power loss or a kill could take.
bool had_then(const PartitionBook& book, const Batch& batch, const Election& then);

}  // namespace klamm::sim
