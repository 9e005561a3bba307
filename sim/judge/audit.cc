// What must be equal, and the sentence when it is not.
#include "sim/judge/audit.h"

#include <fmt/format.h>

#include <variant>

namespace klamm::sim {

namespace {

/// Records of promised batches, by what became of the promise.
struct Tally {
    std::int64_t live = 0;
    std::int64_t lost = 0;
    std::int64_t ended = 0;
};

Tally tally(const std::map<TopicPartition, PartitionBook>& books) {
    Tally sums;
    for (const auto& [partition, book] : books) {
        for (const Batch& batch : book.batches) {
            switch (batch.state) {
                case PromiseState::none: break;
                case PromiseState::live: sums.live += batch.records(); break;
                case PromiseState::lost: sums.lost += batch.records(); break;
                case PromiseState::ended: sums.ended += batch.records(); break;
            }
        }
    }
    return sums;
}

template <class Number>
std::string differ(const char* what, Number one, const char* where, Number other) {
    if (one == other) return {};
    return fmt::format("{}: {} by the judge's count, {} {}", what, one, other, where);
}

std::string audit_bill(const AuditInput& input) {
    const Bill& bill = input.bill;
    const Tally books = tally(input.books);
    std::int64_t listed = 0;
    std::int64_t by_rule = 0;
    for (const Loss& loss : bill.losses) {
        listed += loss.records();
        // Such a loss is one by damage: somebody has done it.
        if (loss.rule == Rule::sole_damaged && loss.fault_node == no_broker)
            return "a loss through damage is billed to no fault: " + to_sentence(loss, "trial");
    }
    for (const std::int64_t lost : bill.records_lost) by_rule += lost;
    std::string out = differ("records lost", books.lost, "in the bill's list", listed);
    if (out.empty()) out = differ("records lost", books.lost, "in the bill's sums", by_rule);
    if (out.empty())
        out = differ("records whose promise ended", books.ended, "in the bill", bill.records_ended);
    if (out.empty())
        out = differ("records promised", books.live + books.lost + books.ended, "in the bill",
                     bill.records_promised + bill.records_weak);
    return out;
}

}  // namespace

bool for_monitors(const facts::Fact& fact) {
    using namespace facts;
    return std::holds_alternative<BatchAppended>(fact) || std::holds_alternative<LogOpened>(fact) ||
           std::holds_alternative<LogFlushed>(fact) || std::holds_alternative<Leading>(fact) ||
           std::holds_alternative<HighWatermarkMoved>(fact) ||
           std::holds_alternative<IsrProposed>(fact) ||
           std::holds_alternative<ProduceAnswered>(fact) ||
           std::holds_alternative<ConsumerServed>(fact) ||
           std::holds_alternative<PartitionCommitted>(fact) ||
           std::holds_alternative<BrokerRegistered>(fact) ||
           std::holds_alternative<BrokerFencing>(fact);
}

std::string audit(const AuditInput& input) {
    const char* const checker = "by the history's checker";
    std::string out = differ("sends", input.counts.sends, checker, input.checker.sends);
    if (out.empty()) out = differ("polls", input.counts.polls, checker, input.checker.polls);
    if (out.empty())
        out =
            differ("records read", input.counts.records_read, checker, input.checker.records_read);
    if (out.empty() && input.read_to_end)
        out =
            differ("sends asked for at the end", input.counts.sends, checker, input.checker.judged);
    if (out.empty())
        out = differ("facts for the monitors", input.for_monitors, "reached them", input.monitored);
    return out.empty() ? audit_bill(input) : out;
}

}  // namespace klamm::sim
