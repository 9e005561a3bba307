#pragma once
// The coordinators of transactions: one for each partition of __transaction_state that is led here
// (see coordinator_host.h). Markers go to the shard's lines, which say when all are written;
// producer ids come in blocks from the controller.

#include "core/server/coordinator_host.h"
#include "core/transaction/coordinator.h"

namespace klamm::server {

struct TransactionKind {
    using Coordinator = transaction::Coordinator;
    using CommandMail = TransactionCommand;
    struct Extra {};
    static constexpr Coordinates coordinates = Coordinates::transactions;
    static constexpr std::uint64_t read_mark = std::uint64_t{1} << 62;
    static constexpr const char* noun = "transactions";

    static transaction::Settings settings(const Context& context);
    static std::string describe(const transaction::Coordinator& coordinator);
    static Bytes batch_of(const transaction::Coordinator& coordinator,
                          const transaction::Write& write, const Turn& turn);
    static Status load(transaction::Coordinator& coordinator, const record::BatchView& batch,
                       Offset from);
    static void answer(Context& context, const ReplyTo& reply, transaction::AnswerBody body);
    static void resigned(Context&, Extra&) {}
    static void carry_out(Context& context, const TopicPartition& partition,
                          transaction::Coordinator& coordinator, Extra&);
};

class TransactionHost final : public CoordinatorHost<TransactionKind> {
  public:
    using CoordinatorHost::CoordinatorHost;
    using CoordinatorHost::on;

    void on(const MarkersOutcome& outcome);
    /// Gives a block of producer ids to those that want some; false when the outcome is of another
    /// part of the broker.
    bool take_ids(const ProducerIdsOutcome& outcome);
    void tick();

  private:
    static constexpr std::uint64_t ids_mark = std::uint64_t{1} << 62;  // of a reply
    /// Ids of a block that one coordinator takes at once.
    static constexpr std::int32_t ids_given = 20;

    void give_ids();

    bool asking_ = false;
    Instant ask_due_{0};
    ProducerId next_id_{0};
    ProducerId end_id_{0};
};

}  // namespace klamm::server
