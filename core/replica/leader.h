#pragma once
// One partition's leader in one epoch (Kafka's Partition as leader): who is in sync, and up to
// where everyone in sync holds the log. It knows no storage, no network and no clock: log facts,
// metadata and time come in, decisions go out as values.
//
// What always holds:
//   - the high watermark is monotone, and moves only while the committed ISR has effective
//     min.insync.replicas members (KIP-966), to the least end over the maximal ISR: the committed
//     one plus an addition in flight (KIP-497), plus whoever is caught up and may join;
//   - at most one AlterPartition is in flight;
//   - a replica is proposed for the ISR only at or past the high watermark and the epoch's start,
//     by a fetch in this epoch, unfenced, not leaving, in its registered broker epoch (KIP-841,
//     KIP-903);
//   - a fetch that is answered with a divergence leaves no trace in what is known of the follower.
//
// It does not append, read or wait: rows that wait are in waiters.h, followers in follower.h.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/turn.h"
#include "core/metadata/image.h"
#include "core/protocol/error_code.h"
#include "core/replica/log_facts.h"

namespace klamm::replica {

using metadata::BrokerIds;
using protocol::ErrorCode;

struct LeaderSettings {
    Duration lag_max = seconds(30);  // replica.lag.time.max.ms
    std::int32_t min_isr = 1;        // min.insync.replicas; bounded here by the replication factor
    bool flush_each = false;         // flush.messages=1
    friend bool operator==(const LeaderSettings&, const LeaderSettings&) = default;
};

/// What the leader knows of another replica, all of it from fetches in this epoch.
struct RemoteReplica {
    Offset log_end = no_offset;  // its last fetch offset
    Offset log_start = no_offset;
    std::optional<Instant> last_fetch;
    std::optional<Instant> last_caught_up;    // newest moment at which it held all the leader held
    Offset leader_end_at_fetch = no_offset;   // the leader's end at its last fetch
    std::optional<BrokerEpoch> broker_epoch;  // as fetched; no_broker_epoch: an old fetch version
    friend bool operator==(const RemoteReplica&, const RemoteReplica&) = default;
};

struct IsrMember {
    BrokerId broker = no_broker;
    BrokerEpoch epoch = no_broker_epoch;  // -1 when not known: the controller then does not check
    friend bool operator==(const IsrMember&, const IsrMember&) = default;
};

/// What to send as AlterPartition. It is its own identity: an answer is matched by equality.
struct IsrProposal {
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;  // the one it builds on
    std::vector<IsrMember> isr;      // ascending by broker
    BrokerId joining = no_broker;    // no_broker: it shrinks
    friend bool operator==(const IsrProposal&, const IsrProposal&) = default;
};

/// The controller's answer; everything but `error` counts only when that is none.
struct AlterPartitionAnswer {
    ErrorCode error = ErrorCode::none;
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch = no_leader_epoch;
    PartitionEpoch partition_epoch;
    BrokerIds isr;
};

struct HighWatermarkMove {
    Offset from;
    Offset to;
    friend bool operator==(const HighWatermarkMove&, const HighWatermarkMove&) = default;
};

/// What the node has to do after a step: settle waiters when the watermark moved, send a proposal.
struct LeaderEffects {
    std::optional<HighWatermarkMove> moved;
    std::optional<IsrProposal> propose;
};

/// A follower's fetch of this partition. `epoch_end` is the leader's own cache asked for
/// `last_fetched_epoch`; it is not looked at when the fetch carries none.
struct FollowerFetch {
    BrokerId replica = no_broker;
    BrokerEpoch broker_epoch = no_broker_epoch;
    LeaderEpoch current_leader_epoch = no_leader_epoch;  // -1: not checked
    Offset fetch_offset{0};
    LeaderEpoch last_fetched_epoch = no_leader_epoch;  // -1: absent
    Offset log_start{0};
    EpochEnd epoch_end;
};

/// With an error or a divergence nothing is read; else the fetch is served from fetch_offset.
/// The effects are those of having recorded the fetch.
struct FetchDecision {
    ErrorCode error = ErrorCode::none;
    std::optional<EpochEnd> diverging;
    LeaderEffects effects;
};

struct LatestAnswer {
    ErrorCode error = ErrorCode::none;
    Offset offset = no_offset;
};

class LeaderState {
  public:
    /// Takes up `state.leader_epoch`, whose leader must be `self`; the epoch starts at the log's
    /// end, and `high_watermark` is what this replica knew before. Call begin() next.
    LeaderState(BrokerId self, TopicPartition partition, const metadata::PartitionImage& state,
                const LeaderSettings& settings, const LogEnds& log, Offset high_watermark,
                Instant now);
    /// States the fact, and moves the watermark if the leader alone is in sync. The node assigns
    /// the epoch, from this start on, in the log's epoch cache; so it does when on_metadata() has
    /// raised epoch().
    LeaderEffects begin(const Turn& turn, const metadata::ClusterImage& image);

    /// Newer metadata of this partition that still names this broker: a new ISR, or a new epoch,
    /// which starts at the log's end and forgets what was known of the others. Metadata that is not
    /// newer than this state's partition epoch is ignored.
    LeaderEffects on_metadata(const Turn& turn, const metadata::ClusterImage& image,
                              const metadata::PartitionImage& state, const LogEnds& log);
    /// Brokers, or settings, changed, and with them who is waited for.
    LeaderEffects on_surroundings(const Turn& turn, const metadata::ClusterImage& image,
                                  const LeaderSettings& settings);
    /// Records were appended, or a sync returned, or the log start moved.
    LeaderEffects on_log(const Turn& turn, const metadata::ClusterImage& image, const LogEnds& log);

    /// Judges a fetch and records it. Errors: fenced_leader_epoch, unknown_leader_epoch (also for a
    /// replica that is not assigned), offset_out_of_range, not_leader_or_follower (stale broker
    /// epoch).
    FetchDecision on_follower_fetch(const Turn& turn, const metadata::ClusterImage& image,
                                    const FollowerFetch& fetch);

    /// Proposes to drop those who have not caught up for lag_max; call it every lag_max / 2.
    LeaderEffects check_lag(const Turn& turn, const metadata::ClusterImage& image);
    /// The answer to `proposal`; a proposal in the effects is to be sent again after a back-off. A
    /// lost connection is answered with unknown_server_error.
    LeaderEffects on_alter_partition_answer(const Turn& turn, const metadata::ClusterImage& image,
                                            const IsrProposal& proposal,
                                            const AlterPartitionAnswer& answer);

    /// Checks the epoch of a request: none, fenced_leader_epoch or unknown_leader_epoch; -1 passes.
    [[nodiscard]] ErrorCode check_epoch(LeaderEpoch current_leader_epoch) const;
    /// Before an append: not_enough_replicas when acks is -1 and the ISR is too small.
    [[nodiscard]] ErrorCode admit_produce(std::int16_t acks) const;
    /// What acks=all is answered for an append that ends at `required` (one past its last offset):
    /// nothing yet, none, or not_enough_replicas_after_append.
    [[nodiscard]] std::optional<ErrorCode> acks_all_answer(const Turn& turn, Offset required) const;
    /// Whether acks=1 may be answered: with flush.messages=1 only when it is flushed.
    [[nodiscard]] bool acks_one_satisfied(const Turn& turn, Offset required) const;
    /// The least log start of this replica and of those whose brokers are up: what DeleteRecords
    /// waits for (KIP-107).
    [[nodiscard]] Offset low_watermark(const metadata::ClusterImage& image) const;
    /// ListOffsets(LATEST) for a consumer: offset_not_available until the watermark has reached the
    /// epoch's start (KIP-207).
    [[nodiscard]] LatestAnswer latest(const Turn& turn) const;

    [[nodiscard]] BrokerId self() const { return self_; }
    [[nodiscard]] LeaderEpoch epoch() const { return epoch_; }
    [[nodiscard]] Offset epoch_start() const { return epoch_start_; }
    [[nodiscard]] PartitionEpoch partition_epoch() const { return partition_epoch_; }
    [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
    [[nodiscard]] const LogEnds& log() const { return log_; }
    [[nodiscard]] const BrokerIds& committed_isr() const { return isr_; }
    /// The committed ISR and an addition in flight, ascending.
    [[nodiscard]] BrokerIds maximal_isr() const;
    [[nodiscard]] std::int32_t effective_min_isr() const;
    [[nodiscard]] const std::optional<IsrProposal>& in_flight() const { return in_flight_; }
    [[nodiscard]] const std::map<BrokerId, RemoteReplica>& remotes() const { return remotes_; }

    friend bool operator==(const LeaderState&, const LeaderState&) = default;
    /// One line for people and golden files.
    [[nodiscard]] std::string print() const;

  private:
    void take_assignment(const metadata::PartitionImage& state, bool new_epoch, Instant now);
    void record_fetch(const Turn& turn, const FollowerFetch& fetch, RemoteReplica& remote);
    std::optional<HighWatermarkMove> advance(const Turn& turn, const metadata::ClusterImage& image);
    std::optional<IsrProposal> propose_expand(const Turn& turn, const metadata::ClusterImage& image,
                                              BrokerId replica);
    IsrProposal make_proposal(const metadata::ClusterImage& image, const BrokerIds& isr,
                              BrokerId joining) const;
    [[nodiscard]] bool caught_up(const RemoteReplica& remote, Instant now) const;
    [[nodiscard]] static bool eligible(const metadata::ClusterImage& image, BrokerId replica,
                                       const RemoteReplica& remote);

    BrokerId self_;
    TopicPartition partition_;
    LeaderSettings settings_;
    LogEnds log_;
    LeaderEpoch epoch_;
    Offset epoch_start_;
    PartitionEpoch partition_epoch_;
    Offset high_watermark_;
    BrokerIds replicas_;
    BrokerIds isr_;  // ascending
    std::optional<IsrProposal> in_flight_;
    std::map<BrokerId, RemoteReplica> remotes_;
};

}  // namespace klamm::replica
