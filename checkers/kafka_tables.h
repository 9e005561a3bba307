#pragma once
// What the rules of the Kafka checker look things up in (internal to checkers/): for each value its
// writer, readers and offsets; for each key its versions in order. Built in one pass and a sort.

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "checkers/kafka_checker.h"

namespace klamm::checkers {

constexpr std::uint32_t no_operation = UINT32_MAX;
constexpr std::int64_t no_index = -1;

/// A value of a key.
struct KafkaValue {
    std::uint32_t key = 0;
    std::uint32_t value = 0;
    std::uint32_t writer = no_operation;
    std::uint32_t reader = no_operation;  // the first ok operation that read it
    std::int64_t acked = -1;              // offset that its writer was told
    std::int64_t read_offset = -1;        // offset at which it was read first, by whomever
    std::int64_t first = no_index;        // positions in the version order
    std::int64_t last = no_index;
};

/// Where a version was seen.
struct Seen {
    std::uint32_t key = 0;
    std::int64_t offset = 0;
    std::uint32_t value = 0;  // index of values
    friend auto operator<=>(const Seen&, const Seen&) = default;
};

struct KafkaTables {
    explicit KafkaTables(const KafkaHistory& history);

    const KafkaHistory& history;
    std::vector<KafkaValue> values;
    std::vector<Seen> seen;                          // by key, offset, value; each once
    std::vector<std::int64_t> versions;              // by key: how many
    std::vector<std::vector<std::uint32_t>> orders;  // by key: the version at each position
    std::vector<bool> committed;  // by operation: ok, or unknown and proven by a reader

    [[nodiscard]] std::uint32_t find(std::uint32_t key, std::uint32_t value) const;
    [[nodiscard]] const KafkaValue& of(const KafkaRecord& record) const {
        return values[find(record.key, record.value)];
    }
    /// Versions from `a` to `b`: 1 is next, and 1 where it is not known.
    [[nodiscard]] std::int64_t distance(const KafkaRecord& a, const KafkaRecord& b) const;
    /// "value 3 of key 0"
    [[nodiscard]] std::string name(const KafkaRecord& record) const;
    [[nodiscard]] std::string name(const KafkaValue& value) const;
    /// "process 3's txn (line 12)"
    [[nodiscard]] std::string name(const KafkaOperation& operation) const;

  private:
    std::uint32_t intern(std::uint32_t key, std::uint32_t value);
    std::unordered_map<std::uint64_t, std::uint32_t> ids_;
};

/// Takes anomalies, keeps a few of each name.
using KafkaReport = std::function<void(const char* name, bool lawful, std::string sentence)>;

/// Cycles between transactions: G0, G1c, and with process and real-time edges.
void find_cycles(const KafkaTables& tables, const KafkaReport& report);

}  // namespace klamm::checkers
