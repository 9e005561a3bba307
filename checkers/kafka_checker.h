#pragma once
// Judges histories of Jepsen's Kafka workload: its anomalies by their published names, and what its
// own checker is blind to or wrong about (torn transactions, real-time order, double consumption
// within a group, stale reads; an unknown send that is first read last, a far offset).
//
// Offsets give the version order of each key, so every rule is one pass or one sort, and cycles are
// found by strongly connected components; nothing is searched and nothing times out. Differences of
// position are counted in versions, never in offsets: control records leave holes.
//
// Lawful in Kafka and so never red: G0 and its kin, int-send-skip (transactions do not isolate
// writes); with subscriptions poll-skip and nonmonotonic-poll (a rebalance may come between); stale
// reads (counted); a transaction that reads its own sends when isolation is read_uncommitted.

#include <string>
#include <vector>

#include "checkers/kafka_history.h"

namespace klamm::checkers {

struct KafkaOptions {
    bool read_committed = true;
    bool idempotent = true;     // one value at two offsets is an error
    bool strict = false;        // stale reads are errors
    bool compacted = false;     // what nobody reads may have been compacted or deleted
    std::size_t kept_max = 20;  // of each name; further ones are counted
};

struct KafkaAnomaly {
    std::string name;  // "lost-write", as Jepsen publishes it, or ours: "torn", "realtime-order",
                       // "double-consumption", "stale-read", "garbage-read"
    bool lawful = false;
    std::string sentence;
};

struct KafkaJudgement {
    std::vector<KafkaAnomaly> anomalies;  // by name
    std::uint64_t found = 0;              // unlawful ones, those that were not kept included
    std::uint64_t operations = 0;
    std::uint64_t sends = 0;
    std::uint64_t records_read = 0;
    std::uint64_t stale = 0;
};

KafkaJudgement check_kafka(const KafkaHistory& history, const KafkaOptions& options = {});

/// Every name that check_kafka can report, sorted.
std::vector<std::string> kafka_anomaly_names();

}  // namespace klamm::checkers
