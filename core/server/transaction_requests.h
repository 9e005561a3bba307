#pragma once
// The client side of transactions: what producers ask of coordinators, what coordinators ask of
// leaders (markers) and of each other (verification), and what administrators look at. A request
// becomes commands for the shards that hold the partitions, one row keeps it until all have
// answered, and the answer is made from the request and theirs.

#include <optional>
#include <string>
#include <vector>

#include "core/server/coordinator_requests.h"
#include "core/transaction/commands.h"

namespace klamm::server {

struct PendingTransactionRequest : PendingRequest {
    std::vector<transaction::AnswerBody> parts = {};
    std::vector<ErrorCode> errors = {};  // of partitions, in the request's order
    std::vector<ProducersOutcome> producers = {};
};

class TransactionRequests final
    : private CoordinatorRequests<PendingTransactionRequest, TransactionCommand> {
  public:
    TransactionRequests(Context& context, net::Inbound& inbound)
        : CoordinatorRequests(context, inbound, transaction::transactions_topic) {}

    /// Takes a request of one of its APIs; false when it is none. Why a request cannot be
    /// understood is in `problem`: its connection is to be closed.
    [[nodiscard]] bool handle(protocol::ApiKey api, const Incoming& request,
                              std::optional<std::string>& problem);
    /// InitProducerId with a transactional id.
    void init_producer_id(const Incoming& request, transaction::Init command);
    void on(const TransactionOutcome& outcome);
    void on(const MarkerOutcome& outcome);
    void on(const ProducersOutcome& outcome);
    /// A marker for the offsets of groups is answered by their coordinator.
    [[nodiscard]] static bool marks(const ReplyTo& reply) {
        return (reply.pending & marker_mark) != 0;
    }
    void on(const GroupOutcome& outcome);
    using CoordinatorRequests::waiting;

  private:
    static constexpr std::uint64_t marker_mark = std::uint64_t{1} << 39;  // of a caller's number

    using Pending = PendingTransactionRequest;

    /// One command; the request's other partitions, which are not there, have their errors.
    void add(Pending& pending, std::uint64_t id, transaction::AddPartitions command);
    void mark(Pending& pending, std::uint64_t id, std::string_view topic, PartitionIndex partition,
              const MarkerCommand& marker);
    [[nodiscard]] ReplyTo next_error(Pending& pending, std::uint64_t id);
    [[nodiscard]] std::optional<TopicPartition> find(std::string_view topic,
                                                     PartitionIndex partition) const;
    void finish(const Pending& pending) override;

    void answer_init(const Pending& pending);
    void answer_add(const Pending& pending);
    void answer_add_offsets(const Pending& pending);
    void answer_end(const Pending& pending);
    void answer_markers(const Pending& pending);
    void answer_describe(const Pending& pending);
    void answer_list(const Pending& pending);
    void answer_producers(const Pending& pending);
};

}  // namespace klamm::server
