#pragma once
// What the rules of the transaction checker look things up in (internal to checkers/): for each
// append its transaction and its place in its list, for each key the order of its elements.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkers/transaction_checker.h"

namespace klamm::checkers {

constexpr std::uint32_t no_append = UINT32_MAX;

struct ListAppend {
    std::uint32_t transaction = 0;
    std::uint32_t key = 0;
    std::uint32_t element = 0;
    std::uint32_t place = no_append;  // in its key's order; no_append: not known
    std::int64_t offset = -1;
    bool last = true;    // of its transaction's to this key
    bool shown = false;  // a read of a transaction that succeeded has it
};

/// An element of an order; `append` is no_append when nobody has appended it.
struct ListVersion {
    std::uint32_t element = 0;
    std::uint32_t append = no_append;
};

struct ListKey {
    std::uint32_t longest = no_append;  // the action that read most
    std::uint32_t read_count = 0;       // versions that were read; those behind have offsets alone
    std::uint32_t first_failed = UINT32_MAX;   // place of the first version of a failed append
    std::uint32_t first_unknown = UINT32_MAX;  // of the first that nobody has appended
    std::uint32_t first_repeat = UINT32_MAX;   // place in the longest read of the first repetition
    std::vector<ListVersion> order;
    std::vector<std::uint32_t> unplaced;  // committed appends that lie behind, in no order
};

struct TransactionTables {
    explicit TransactionTables(const TransactionHistory& history);

    const TransactionHistory& history;
    std::vector<ListAppend> appends;
    std::vector<std::uint32_t> append_of;  // by action
    std::vector<ListKey> keys;             // by text
    std::vector<bool> committed;           // by transaction: ok, or unknown and shown by a read
    std::vector<bool> prefix;              // by action: a read that its key's longest begins with

    [[nodiscard]] std::uint32_t find(std::uint32_t key, std::uint32_t element) const;
    [[nodiscard]] std::span<const ListAction> actions(const ListTransaction& one) const {
        return std::span(history.actions).subspan(one.begin, one.count);
    }
    [[nodiscard]] std::span<const std::uint32_t> elements(const ListAction& read) const {
        return std::span(history.elements).subspan(read.begin, read.count);
    }
    [[nodiscard]] bool read_ok(const ListTransaction& one, const ListAction& action) const {
        return action.kind == ListAction::Kind::read && action.told && one.outcome == Outcome::ok;
    }
    /// How many elements of the order a read has seen, told by its last one; UINT32_MAX when that
    /// has no place.
    [[nodiscard]] std::uint32_t seen(std::uint32_t action) const;

    /// "append 3 to x", "read y: 1 2"
    [[nodiscard]] std::string name(const ListAction& action) const;
    /// "process 2's transaction (line 7)"
    [[nodiscard]] std::string name(const ListTransaction& one) const;

  private:
    void order_keys();

    std::vector<std::uint32_t> table_;  // open addressing: indexes of appends
};

/// The dependencies between committed transactions, up to `order`.
DependencyGraph dependencies_of(const TransactionTables& tables, CycleOrder order);

}  // namespace klamm::checkers
