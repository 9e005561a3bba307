#pragma once
// Moves of replicas as an administrator asks for them (KIP-455, as Kafka 4.1's
// ReplicationControlManager): a partition gets the target's replicas beside those it has, and when
// all of the target are in sync those that are not in it go (partition_change.h). One that is under
// way can be changed, or taken back.

#include "core/controller/topic_control.h"

namespace klamm::controller {

struct Reassignment {
    std::string topic;
    PartitionIndex partition;
    std::optional<BrokerIds> replicas;  // the target; nothing: what is under way is taken back
};
/// One partition of AlterPartitionReassignments. Errors: unknown_topic_or_partition,
/// no_reassignment_in_progress, invalid_replica_assignment, and invalid_replication_factor when
/// that may not change.
[[nodiscard]] AdminOutcome reassign(const ClusterImage& image, const Reassignment& request,
                                    bool replication_factor_may_change);

}  // namespace klamm::controller
