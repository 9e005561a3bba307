#pragma once
// Histories of Jepsen's Kafka workload (jepsen.tests.kafka), as values: transactions of sends and
// polls over many keys, each key one partition of a log. What single sends and polls need not say
// (history.h) is here: several actions an operation, aborts, assignments, subscriptions.
//
// Always: operations are in order of invocation; `call` and `ret` number events, each number once;
// keys and values are interned texts; a value is sent to a key at most once.
//
// Not here: what is lawful (kafka_checker.h).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkers/history.h"
#include "core/base/result.h"

namespace klamm::checkers {

enum class KafkaFunction : std::uint8_t { send, poll, txn, assign, subscribe, crash, other };

struct KafkaRecord {
    std::uint32_t key = 0;
    std::uint32_t value = 0;
    std::int64_t offset = -1;  // -1: not told
};

struct KafkaOperation {
    std::int64_t process = 0;
    KafkaFunction function = KafkaFunction::other;
    Outcome outcome = Outcome::unknown;
    std::int64_t call = 0;
    std::int64_t ret = INT64_MAX;  // INT64_MAX: never; then of unknown outcome
    std::int64_t time = -1;        // of the completion, nanoseconds; -1 where not told
    std::size_t line = 0;          // of the completion, or of the invocation
    std::vector<KafkaRecord> sends;
    std::vector<KafkaRecord> reads;         // in the order of polling
    std::vector<std::uint32_t> keys;        // assigned or subscribed
    std::vector<std::uint32_t> rebalanced;  // keys whose assignment changed meanwhile
};

struct KafkaHistory {
    std::vector<KafkaOperation> operations;
    std::vector<std::string> texts;
    std::map<std::string, std::uint32_t, std::less<>> text_ids;

    std::uint32_t intern(std::string_view text);
};

/// Reads Jepsen's EDN: maps in lines or in one vector, tagged or not. Failure::invalid names the
/// line and what was expected.
Result<KafkaHistory> read_kafka_edn(std::string_view text);

}  // namespace klamm::checkers
