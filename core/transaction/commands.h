#pragma once
// What a transaction coordinator is asked, and what it answers, as values. Field names are those of
// Kafka's messages where they mean the same. Whether a topic is there is the caller's check.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/protocol/error_code.h"
#include "core/transaction/records.h"

namespace klamm::transaction {

using protocol::ErrorCode;

/// Who is to be answered; means something to the caller only.
using Caller = std::uint64_t;

/// InitProducerId with a transactional id. An id and epoch of its own are those of a producer that
/// goes on after an error (KIP-360).
struct Init {
    std::string id{};
    std::int32_t timeout_ms = 0;
    ProducerId producer = no_producer_id;
    ProducerEpoch epoch = no_producer_epoch;
};
/// Of Init and End.
struct ProducerAnswer {
    ErrorCode error = ErrorCode::none;
    ProducerId producer = no_producer_id;
    ProducerEpoch epoch = no_producer_epoch;
};

/// AddPartitionsToTxn of one transaction; AddOffsetsToTxn with the group's partition. With
/// `verify_only` nothing is added: are they there?
struct AddPartitions {
    std::string id{};
    ProducerId producer = no_producer_id;
    ProducerEpoch epoch = no_producer_epoch;
    std::vector<TopicAndPartition> partitions{};
    bool verify_only = false;
    std::int16_t client_version = 0;
};
struct PartitionsAnswer {
    ErrorCode error = ErrorCode::none;    // of all of them
    std::vector<ErrorCode> partitions{};  // one each as asked; empty with an error
};

struct End {
    std::string id{};
    ProducerId producer = no_producer_id;
    ProducerEpoch epoch = no_producer_epoch;
    bool commit = false;
    std::int16_t client_version = 0;  // 2: each end has an epoch of its own (KIP-890)
};

struct Describe {
    std::string id{};
};
struct DescribeAnswer {
    ErrorCode error = ErrorCode::none;
    std::optional<Transaction> transaction{};
};

struct List {
    std::vector<State> states{};  // empty: any
    std::vector<ProducerId> producers{};
    std::int64_t duration_ms = -1;  // only those that have lasted longer
    std::string pattern{};          // of ids (pattern.h); empty: any
};
struct ListAnswer {
    struct Row {
        std::string id{};
        ProducerId producer{};
        State state{};
    };
    ErrorCode error = ErrorCode::none;
    std::vector<Row> transactions{};
};

using Command = std::variant<Init, AddPartitions, End, Describe, List>;
using AnswerBody = std::variant<ProducerAnswer, PartitionsAnswer, DescribeAnswer, ListAnswer>;

/// The answer to `command` when nothing can be done for it.
AnswerBody refusal(const Command& command, ErrorCode error);

}  // namespace klamm::transaction
