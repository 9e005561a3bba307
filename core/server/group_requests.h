#pragma once
// The client side of groups: FindCoordinator, the classic group protocol, offsets, and what
// administrators ask of groups. A request becomes commands for the shards that hold its groups'
// partitions of __consumer_offsets, one row keeps it until all have answered, and the answer is
// made from the request and theirs.
//
// Whether a topic is there is checked here, against the newest image; all else is the
// coordinator's.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/group/commands.h"
#include "core/net/inbound.h"
#include "core/protocol/frame.h"
#include "core/server/context.h"
#include "core/server/incoming.h"

namespace klamm::server {

class GroupRequests {
  public:
    GroupRequests(Context& context, net::Inbound& inbound) : context_(context), inbound_(inbound) {}

    /// Takes a request of a group's API; false when it is none. Why a request cannot be understood
    /// is in `problem`: its connection is to be closed.
    [[nodiscard]] bool handle(protocol::ApiKey api, const Incoming& request,
                              std::optional<std::string>& problem);
    void on(const GroupOutcome& outcome);
    [[nodiscard]] std::size_t waiting() const { return pending_.size(); }

  private:
    struct Pending {
        protocol::ApiKey api;
        Incoming request;
        std::vector<group::AnswerBody> parts;
        std::size_t outstanding = 0;
        std::vector<ErrorCode> refused;  // of each partition named; none: it was asked for
    };

    template <class Request, class Begin>
    void begin(protocol::ApiKey api, const Incoming& request, std::optional<std::string>& problem,
               Begin&& commands);
    void find_coordinator(const Incoming& request, std::optional<std::string>& problem);
    /// Sends a command for a group; its answer is the next part.
    void ask(Pending& pending, std::uint64_t id, std::string_view group, group::Command command);
    void list(Pending& pending, std::uint64_t id, const group::List& command);
    void finish(std::uint64_t id);
    [[nodiscard]] std::optional<Uuid> offsets_topic() const;
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

    template <class Response>
    void answer(const Incoming& request, const Response& response) {
        inbound_.respond(context_.env(), request.key,
                         net::to_pieces(protocol::encode_response_frame(response, request.version,
                                                                        request.correlation)));
    }

    Context& context_;
    net::Inbound& inbound_;
    std::map<std::uint64_t, Pending> pending_;
    std::uint64_t pending_made_ = 0;
};

}  // namespace klamm::server
