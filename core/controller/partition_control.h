#pragma once
// Partitions of the whole cluster, as far as the controller changes them (Kafka's
// ReplicationControlManager): what fencing, unfencing, registration and controlled shutdown of a
// broker mean for its partitions, AlterPartition, and elections on request. Every function reads an
// image that has all decided records applied, and gives the records to append, in order, each with
// the cause that judges want to know. Nothing here keeps state.

#include <vector>

#include "core/base/facts.h"
#include "core/controller/partition_change.h"
#include "core/metadata/image.h"
#include "core/protocol/error_code.h"

namespace klamm::controller {

using facts::PartitionChangeCause;
using metadata::ClusterImage;
using protocol::ErrorCode;

/// One record to append. `cause` means something for partitions only.
struct Decided {
    metadata::Change change;
    PartitionChangeCause cause = PartitionChangeCause::configuration;
};
using Decisions = std::vector<Decided>;

/// Brokers that are active, ascending.
[[nodiscard]] BrokerIds active_brokers(const ClusterImage& image);

// `turn` is for plants.

/// Takes the broker out of every ISR and elects, then fences it.
[[nodiscard]] Decisions fence_broker(const ClusterImage& image, BrokerId broker,
                                     const Turn* turn = nullptr);
/// Unfences it, then elects where there is no leader.
[[nodiscard]] Decisions unfence_broker(const ClusterImage& image, BrokerId broker,
                                       const Turn* turn = nullptr);
/// Marks it as leaving, takes it out of every ISR and elects.
[[nodiscard]] Decisions begin_controlled_shutdown(const ClusterImage& image, BrokerId broker,
                                                  const Turn* turn = nullptr);
/// What a new incarnation of `broker` costs the old one, before it is registered: with ELR on and
/// an unproven stop the ISR and ELR membership, else what fencing costs.
[[nodiscard]] Decisions end_incarnation(const ClusterImage& image, BrokerId broker, bool proven,
                                        const Turn* turn = nullptr);

/// One partition of an AlterPartition request.
struct AlterPartition {
    TopicPartition partition;
    BrokerId broker = no_broker;  // who asks
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;
    struct Member {
        BrokerId broker = no_broker;
        BrokerEpoch epoch = no_broker_epoch;  // -1: not checked
        friend bool operator==(const Member&, const Member&) = default;
    };
    std::vector<Member> isr;
    metadata::LeaderRecoveryState recovery = metadata::LeaderRecoveryState::recovered;
};

/// With error none the answer carries `partition` as it is after `decisions`. new_leader_elected
/// comes with decisions, every other error without.
struct AlterPartitionOutcome {
    ErrorCode error = ErrorCode::none;
    metadata::PartitionImage partition;
    Decisions decisions;
};
/// Errors: stale_broker_epoch (when `broker_epoch` is not the sender's), unknown_topic_id,
/// unknown_topic_or_partition, not_controller, fenced_leader_epoch, invalid_request,
/// invalid_update_version, ineligible_replica.
[[nodiscard]] AlterPartitionOutcome alter_partition(const ClusterImage& image,
                                                    const AlterPartition& request,
                                                    BrokerEpoch broker_epoch);

struct ElectionOutcome {
    ErrorCode error = ErrorCode::none;
    Decisions decisions;
};
/// ElectLeaders: preferred or unclean. Errors: unknown_topic_or_partition, election_not_needed,
/// preferred_leader_not_available, eligible_leaders_not_available.
[[nodiscard]] ElectionOutcome elect_leader(const ClusterImage& image,
                                           const TopicPartition& partition, Election election);
/// Elections for partitions without a leader whose topic allows unclean ones (Kafka does this
/// periodically, and when the configuration changes).
[[nodiscard]] Decisions elect_leaderless(const ClusterImage& image);
/// The wish that changes nothing of the partition, which there is.
[[nodiscard]] PartitionWish present_wish(const ClusterImage& image, const TopicPartition& id);
/// Hands partitions back to their preferred leaders where those are in sync.
[[nodiscard]] Decisions balance_leaders(const ClusterImage& image);
/// What a change of `topic`'s min.insync.replicas means: with ELR on, ELRs are cleared (KIP-966).
[[nodiscard]] Decisions min_isr_changed(const ClusterImage& image, const std::string& topic);

/// A new topic with these assignments (first replica preferred), led where an active broker is.
[[nodiscard]] Decisions create_topic(const ClusterImage& image, const Uuid& topic,
                                     const std::string& name,
                                     const std::vector<BrokerIds>& assignments);

/// The fact that `change` committed at `metadata_offset`, read from an image that has it applied.
[[nodiscard]] facts::PartitionCommitted committed_fact(const ClusterImage& image,
                                                       const TopicPartition& partition,
                                                       std::int64_t metadata_offset,
                                                       PartitionChangeCause cause);

}  // namespace klamm::controller
