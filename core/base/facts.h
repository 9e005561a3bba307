#pragma once
// Facts: typed events of what happened in a node, for judges, traces and goals. A node states what
// it did; it never asks who listens. In the simulator every fact is delivered; in the real world
// wanted() is a mask test.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/ids.h"

namespace klamm::facts {

/// A batch is in this replica's log (page cache). Its bytes lie at [position, position + size) of
/// the segment file whose name carries `segment_base`.
struct BatchAppended {
    TopicPartition partition;
    LeaderEpoch epoch;
    Offset base_offset;
    Offset last_offset;
    std::uint32_t crc;  // of the batch: with (epoch, base offset) its identity
    ProducerId producer_id;
    ProducerEpoch producer_epoch;
    std::int32_t base_sequence;
    bool as_leader;
    Offset segment_base;
    std::uint64_t position;
    std::uint64_t size;
};

enum class TruncateReason : std::uint8_t {
    divergence,
    recovery,
    out_of_range,
    reset,
    failed_write,  // a write that failed: what it was to append does not count, though some of it
                   // may be there
};

/// The log now ends at `end`; everything from there up is gone from this replica.
struct LogTruncated {
    TopicPartition partition;
    Offset end;
    TruncateReason reason;
};

enum class LogStartReason : std::uint8_t { retention, delete_records, leader_start };

struct LogStartMoved {
    TopicPartition partition;
    Offset start;
    LogStartReason reason;
};

/// A replica's log is open: after a clean stop as it was, else after recovery (contract I5).
struct LogOpened {
    TopicPartition partition;
    Offset start;
    Offset end;
    Offset recovery_point;
    bool clean;    // by a marker of the previous broker epoch
    bool created;  // there was no log before
};

/// Everything below `end` was covered by a sync that succeeded.
struct LogFlushed {
    TopicPartition partition;
    Offset end;
};

/// This replica will not serve the partition until it is repaired (contract I5: damage below the
/// recovery point).
struct LogOffline {
    TopicPartition partition;
    std::string file;
    std::uint64_t position;
    Offset offset;
};

/// A leader has taken up an epoch; `start` is its log end at that moment.
struct Leading {
    TopicPartition partition;
    LeaderEpoch epoch;
    Offset start;
};

struct Following {
    TopicPartition partition;
    LeaderEpoch epoch;
    BrokerId leader;
};

/// A leader's high watermark moved, decided over `maximal_isr`; `committed_isr` is what metadata
/// says.
struct HighWatermarkMoved {
    TopicPartition partition;
    LeaderEpoch epoch;
    Offset from;
    Offset to;
    std::vector<BrokerId> committed_isr;
    std::vector<BrokerId> maximal_isr;
    std::int32_t min_isr;  // effective
};

/// A leader asks the controller to admit or drop replicas.
struct IsrProposed {
    TopicPartition partition;
    LeaderEpoch epoch;
    std::vector<BrokerId> isr;
    BrokerId joining;        // no_broker when it shrinks
    Offset joining_log_end;  // of the joining replica, as last fetched in this epoch
    Offset high_watermark;
    Offset epoch_start;
};

/// A produce answer was handed to the network; without an error it starts a promise (weak when acks
/// is 1).
struct ProduceAnswered {
    TopicPartition partition;
    LeaderEpoch epoch;
    Offset base_offset;
    Offset last_offset;
    std::int16_t acks;
    std::int16_t error;
    bool duplicate;                       // answered from producer state, nothing was appended
    std::vector<BrokerId> committed_isr;  // as the leader knew it when it answered
    std::int32_t min_isr;
};

/// A consumer's fetch answer with batches in [from, to) was handed to the network.
struct ConsumerServed {
    TopicPartition partition;
    LeaderEpoch epoch;
    Offset from;
    Offset to;
    Offset high_watermark;
};

/// Bytes came over a connection as a batch whose checksum does not hold, or to a follower as one
/// that does not follow its log's end or is of a later epoch than the leader answered in.
/// Connections carry bytes faithfully, so whoever sent them sent something other than its log was
/// then.
struct CorruptReceived {
    TopicPartition partition;
    Offset offset;  // that was fetched
    BrokerId from;
};

/// A leader has judged a follower's fetch: served from `offset`, or told where the logs part.
struct FollowerFetched {
    TopicPartition partition;
    LeaderEpoch epoch;
    BrokerId replica;
    Offset offset;
    bool diverging;
};

/// Why the controller wrote a partition's record.
enum class PartitionChangeCause : std::uint8_t {
    created,
    isr_changed,
    broker_fenced,
    broker_unfenced,
    broker_registered,
    controlled_shutdown,
    elected,
    elected_last_known,
    elected_unclean,
    elected_by_administrator,
    preferred,
    configuration,
};

/// The state of a partition as the newest committed metadata has it.
struct PartitionCommitted {
    std::int64_t metadata_offset;
    TopicPartition partition;
    BrokerId leader;  // no_broker when there is none
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> isr;
    std::vector<BrokerId> elr;
    std::vector<BrokerId> last_known_elr;
    bool elr_enabled;
    bool unclean_enabled;  // unclean.leader.election.enable as the controller held it
    std::int32_t min_isr;  // effective
    std::int64_t flush_messages;
    PartitionChangeCause cause;
};

/// A broker registered. `proven` is whether its previous stop was proven clean (contract I4).
struct BrokerRegistered {
    std::int64_t metadata_offset;
    BrokerId broker;
    BrokerEpoch epoch;
    bool proven;
};

struct BrokerFencing {
    std::int64_t metadata_offset;
    BrokerId broker;
    BrokerEpoch epoch;
    bool fenced;
};

/// A replica of the metadata quorum has read what it keeps and begins anew: the file that says of
/// `epoch` whom it voted for and who led, as far as either is known.
struct QuorumStarted {
    LeaderEpoch epoch;
    BrokerId voted;
    BrokerId leader;
};

/// Its vote of `epoch` was handed to the network: to the candidate, or, as that, with its campaign.
struct QuorumVoted {
    LeaderEpoch epoch;
    BrokerId candidate;
};

/// It leads the quorum, from `start` on, and has appended nothing yet.
struct QuorumLeading {
    LeaderEpoch epoch;
    Offset start;
};

/// It knows everything of the metadata log below `to` to be committed. `from` is what it knew
/// before; the log's start in an incarnation that has just begun.
struct QuorumCommitted {
    LeaderEpoch epoch;
    Offset from;
    Offset to;
    bool leads;
};

/// The leader of `epoch` is about to append a record at `offset` that will mean this once it is
/// committed, by this leader or by another: the record itself does not say why it was written.
struct MetadataDecided {
    LeaderEpoch epoch;
    Offset offset;
    std::variant<PartitionCommitted, BrokerRegistered, BrokerFencing> what;
};

/// A client's view, for histories. `operation` is unique within the client; `value` identifies the
/// record written.
struct SendInvoked {
    std::uint64_t operation;
    std::int32_t partition;
    std::uint64_t value;
    std::int16_t acks;
};
enum class Outcome : std::uint8_t { ok, failed, unknown };
struct SendReturned {
    std::uint64_t operation;
    Outcome outcome;  // failed: certainly not written; unknown: may or may not be there
    Offset offset;    // when ok and acks is not 0
    std::int16_t error;
};
struct PollInvoked {
    std::uint64_t operation;
    std::int32_t partition;
    Offset offset;
};
struct PolledRecord {
    Offset offset;
    std::uint64_t value;
};
struct PollReturned {
    std::uint64_t operation;
    std::int32_t partition;
    Outcome outcome;
    std::int16_t error;
    Offset log_start;
    Offset high_watermark;
    bool reset;  // the consumer was told that what it had read is gone, and starts anew
    std::vector<PolledRecord> records;
};
/// A ListOffsets(LATEST) answer.
struct LatestReturned {
    std::uint64_t operation;
    std::int32_t partition;
    Outcome outcome;
    std::int16_t error;
    LeaderEpoch epoch;
    Offset offset;
};
struct LatestInvoked {
    std::uint64_t operation;
    std::int32_t partition;
};

/// A partition as members of a consumer group speak of it, and an offset where there is one.
struct GroupOffset {
    std::string topic;
    std::int32_t partition;
    Offset offset;
};
/// A member was told its part of a generation: `owned` is all that it owns from now on.
struct GroupAssigned {
    std::string group;
    std::int32_t generation;
    std::string member;
    std::vector<GroupOffset> owned;
};
/// A member of this generation owns these no more; `lost`: somebody else may have had them before.
struct GroupRevoked {
    std::string group;
    std::int32_t generation;
    std::string member;
    std::vector<GroupOffset> given_up;
    bool lost;
};
/// A member commits. `operation` is unique within the incarnation of its node.
struct GroupCommitInvoked {
    std::uint64_t operation;
    std::string group;
    std::int32_t generation;
    std::string member;
    std::vector<GroupOffset> offsets;
};
struct GroupCommitReturned {
    std::uint64_t operation;
    std::string group;
    Outcome outcome;  // failed: without effect, now and later
    std::int16_t error;
    bool doubtful;  // an attempt was never answered: it may take effect, or take it once more
};
/// A client asks its group's coordinator for committed offsets.
struct GroupOffsetsAsked {
    std::uint64_t operation;
    std::string group;
};
struct GroupOffsetsReturned {
    std::uint64_t operation;
    std::string group;
    Outcome outcome;
    std::int16_t error;
    BrokerId from;                     // who answered
    std::vector<GroupOffset> offsets;  // no_offset: none is committed
};

using Fact =
    std::variant<BatchAppended, LogTruncated, LogStartMoved, LogOpened, LogFlushed, LogOffline,
                 Leading, Following, HighWatermarkMoved, IsrProposed, ProduceAnswered,
                 ConsumerServed, PartitionCommitted, BrokerRegistered, BrokerFencing, SendInvoked,
                 SendReturned, PollInvoked, PollReturned, LatestInvoked, LatestReturned,
                 CorruptReceived, FollowerFetched, QuorumStarted, QuorumVoted, QuorumLeading,
                 QuorumCommitted, MetadataDecided, GroupAssigned, GroupRevoked, GroupCommitInvoked,
                 GroupCommitReturned, GroupOffsetsAsked, GroupOffsetsReturned>;

/// Where facts go. `wanted()` is a plain load: nobody builds a fact that nobody wants.
class Facts {
  public:
    explicit Facts(bool wanted) : wanted_(wanted) {}
    virtual ~Facts() = default;
    Facts(const Facts&) = delete;
    Facts& operator=(const Facts&) = delete;

    [[nodiscard]] bool wanted() const { return wanted_; }
    virtual void emit(const Fact& fact) = 0;

  private:
    bool wanted_;
};

/// Drops everything.
class NoFacts final : public Facts {
  public:
    NoFacts() : Facts(false) {}
    void emit(const Fact&) override {}
};

}  // namespace klamm::facts
