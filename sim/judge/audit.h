#pragma once
// The judge's books held against each other. Its parts take the same facts and count for
// themselves: what one of them has left out shows as a difference. A difference is an error of the
// harness, whatever the run came to.

#include <cstdint>
#include <map>
#include <string>

#include "checkers/log_checker.h"
#include "sim/judge/bill.h"
#include "sim/judge/books.h"
#include "sim/judge/counts.h"

namespace klamm::sim {

/// Whether the monitors have a rule about such facts.
bool for_monitors(const facts::Fact& fact);

struct AuditInput {
    const RunCounts& counts;
    const checkers::Totals& checker;
    const Bill& bill;
    const std::map<TopicPartition, PartitionBook>& books;
    std::uint64_t for_monitors = 0;  // facts of which for_monitors() is true
    std::uint64_t monitored = 0;     // facts that reached them
    bool read_to_end = false;
};

/// The first difference, as a sentence; empty when there is none.
std::string audit(const AuditInput& input);

}  // namespace klamm::sim
