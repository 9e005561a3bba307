#pragma once
// The client side of groups: FindCoordinator, the classic group protocol, offsets, and what
// administrators ask of groups. A request becomes commands for the shards that hold its groups'
// partitions of __consumer_offsets, one row keeps it until all have answered, and the answer is
// made from the request and theirs.
//
// Whether a topic is there is checked here, against the newest image; all else is the
// coordinator's.

#include <optional>
#include <string>
#include <vector>

#include "core/group/commands.h"
#include "core/server/coordinator_requests.h"

namespace klamm::server {

struct PendingGroupRequest : PendingRequest {
    std::vector<group::AnswerBody> parts = {};
    std::vector<ErrorCode> refused = {};  // of each partition named; none: it was asked for
};

class GroupRequests final : private CoordinatorRequests<PendingGroupRequest, GroupCommand> {
  public:
    GroupRequests(Context& context, net::Inbound& inbound)
        : CoordinatorRequests(context, inbound, group::offsets_topic) {}

    /// Takes a request of a group's API; false when it is none. Why a request cannot be understood
    /// is in `problem`: its connection is to be closed.
    [[nodiscard]] bool handle(protocol::ApiKey api, const Incoming& request,
                              std::optional<std::string>& problem);
    void on(const GroupOutcome& outcome);
    using CoordinatorRequests::waiting;

  private:
    using Pending = PendingGroupRequest;

    void find_coordinator(const Incoming& request, std::optional<std::string>& problem);
    void finish(const Pending& pending) override;
    [[nodiscard]] ErrorCode known(std::string_view topic, const Uuid& id, bool by_id,
                                  PartitionIndex partition, std::string& name) const;

    void answer_join(const Pending& pending);
    void answer_sync(const Pending& pending);
    void answer_heartbeat(const Pending& pending);
    void answer_leave(const Pending& pending);
    void answer_commit(const Pending& pending);
    void answer_txn_commit(const Pending& pending);
    void answer_fetch(const Pending& pending);
    void answer_delete_offsets(const Pending& pending);
    void answer_describe(const Pending& pending);
    void answer_list(const Pending& pending);
    void answer_delete(const Pending& pending);
};

}  // namespace klamm::server
