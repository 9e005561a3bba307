#pragma once
// Judges transactions over named lists by the isolation that they were promised, as jepsen-io/elle
// does and by its names: aborted and intermediate reads, lost and dirty updates, and cycles of
// dependencies (G0, G1c, G-single-item, G-nonadjacent-item, G2-item; with -process and -realtime
// what only those orders show), each drawn as a short cycle.
//
// The versions of a list are its prefixes. The longest that was read orders its elements; what was
// told an offset and never read follows in the order of offsets; what is left follows in no order.
// So every dependency is known from one pass, and nothing is searched for but cycles that exist
// (dependencies.h). Sound: each edge of a told cycle holds in every explanation of the history.
//
// Kafka promises less than any of these: its transactions do not isolate writes from each other,
// nor are reads validated when one commits. Isolation::kafka reports as lawful what follows from
// that.

#include <string>
#include <string_view>
#include <vector>

#include "checkers/dependencies.h"
#include "checkers/transaction_history.h"

namespace klamm::checkers {

enum class Isolation : std::uint8_t {
    kafka,               // nothing aborted, intermediate or circularly read
    read_uncommitted,    // no G0, lists are lists
    read_committed,      // besides no G1
    repeatable_read,     // besides no G2 of items, no lost updates
    snapshot_isolation,  // read_committed; no G-single or G-nonadjacent, no lost updates
    serializable,        // none at all
};

struct TransactionOptions {
    Isolation isolation = Isolation::serializable;
    /// What else a cycle may not contradict: nothing, processes ("strong session"), real time
    /// ("strong"; with serializable, strict serializability).
    CycleOrder order = CycleOrder::realtime;
    std::size_t kept_max = 8;  // of each name; further ones are counted
};

struct TransactionAnomaly {
    std::string name;  // "G1b", as Elle publishes it; ours: "garbage-read", "offset-order"
    bool lawful = false;
    std::string sentence;
    std::string drawing;  // of a cycle: its transactions below each other; else empty
};

struct TransactionJudgement {
    std::vector<TransactionAnomaly> anomalies;  // by name
    std::uint64_t found = 0;                    // unlawful ones, those that were not kept included
    std::uint64_t transactions = 0;
    std::uint64_t appends = 0;
    std::uint64_t reads = 0;
    std::uint64_t elements_read = 0;
    /// The weakest isolations that the history rules out, by name; empty when none.
    std::vector<std::string> ruled_out;
};

TransactionJudgement check_transactions(const TransactionHistory& history,
                                        const TransactionOptions& options = {});

/// Every name that check_transactions can report, sorted.
std::vector<std::string> transaction_anomaly_names();

/// "read-committed", "strong-session-snapshot-isolation", "strict-serializable" and so on.
std::string isolation_name(Isolation isolation, CycleOrder order);
/// False when there is no such isolation.
bool isolation_of(std::string_view name, Isolation& isolation, CycleOrder& order);

}  // namespace klamm::checkers
