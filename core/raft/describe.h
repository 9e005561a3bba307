#pragma once
// Who leads, who votes and observes, and how far each one is, as DescribeQuorum answers it
// (KIP-595, KIP-836, KIP-853).

#include "core/protocol/messages/quorum_describe.h"
#include "core/raft/raft.h"

namespace klamm::raft {

/// The answer to `request`: of a replica that does not lead NOT_LEADER_OR_FOLLOWER, for another
/// topic UNKNOWN_TOPIC_OR_PARTITION. Its strings are views into `raft` and `request`. Before
/// version 2 there are no texts and no nodes.
[[nodiscard]] protocol::DescribeQuorumResponse describe(
    const Raft& raft, const LogView& log, const Turn& turn,
    const protocol::DescribeQuorumRequest& request, int version);

}  // namespace klamm::raft
