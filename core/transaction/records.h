#pragma once
// What __transaction_state holds: a transactional id's transaction, as a value of our own and as
// Kafka's bytes (TransactionLog, TransactionLogValue of 4.1), and what applying the records makes.
//
// A record without a value is a tombstone: the id is forgotten.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"

namespace klamm::transaction {

constexpr std::string_view transactions_topic = "__transaction_state";

/// With Kafka's numbers. `dead` and `prepare_epoch_fence` are never written.
enum class State : std::int8_t {
    empty = 0,
    ongoing = 1,
    prepare_commit = 2,
    prepare_abort = 3,
    complete_commit = 4,
    complete_abort = 5,
    dead = 6,
    prepare_epoch_fence = 7,
};
/// As ListTransactions spells it, "PrepareCommit".
const char* to_string(State state);
/// Nothing for a name that is none.
std::optional<State> state_of(std::string_view name);

using TopicAndPartition = std::pair<std::string, PartitionIndex>;

struct Transaction {
    ProducerId producer = no_producer_id;
    ProducerId previous_producer = no_producer_id;  // before the last change (KIP-360)
    ProducerId next_producer = no_producer_id;      // from its end on: the epochs are used up
    ProducerEpoch epoch = no_producer_epoch;
    ProducerEpoch last_epoch = no_producer_epoch;  // not in the log: lost on failover, as in Kafka
    std::int32_t timeout_ms = 0;
    State state = State::empty;
    std::set<TopicAndPartition> partitions{};
    Timestamp updated_at = no_timestamp;
    Timestamp started_at = no_timestamp;
    std::int16_t client_version = 0;  // transaction.version as its producer speaks it

    [[nodiscard]] bool prepared() const {
        return state == State::prepare_commit || state == State::prepare_abort;
    }
    [[nodiscard]] bool completed() const {
        return state == State::complete_commit || state == State::complete_abort;
    }
    friend bool operator==(const Transaction&, const Transaction&) = default;
};

struct TransactionRecord {
    std::string id{};
    std::optional<Transaction> value{};
    friend bool operator==(const TransactionRecord&, const TransactionRecord&) = default;
};

struct KeyAndValue {
    Bytes key;
    std::optional<Bytes> value;
};
/// With the value in form 1, which transaction.version 1 brought, or 0 for `version` 0.
KeyAndValue encode(const TransactionRecord& record, std::int16_t version);
/// Nothing for a key of a kind that nobody knows. Fails with `invalid` or `truncated` on bytes that
/// are no record, and with `unsupported` on a form that nobody knows.
Result<std::optional<TransactionRecord>> decode(ByteView key, std::optional<ByteView> value);

/// What the records of a partition make, one after another.
class TransactionLog {
  public:
    using Record = TransactionRecord;

    void apply(const TransactionRecord& record);
    [[nodiscard]] const std::map<std::string, Transaction>& transactions() const {
        return transactions_;
    }
    /// nullptr when there is none.
    [[nodiscard]] const Transaction* find(const std::string& id) const;
    friend bool operator==(const TransactionLog&, const TransactionLog&) = default;

  private:
    std::map<std::string, Transaction> transactions_;
};

}  // namespace klamm::transaction
