#pragma once
// Histories of transactions over named lists, as values: each appends elements and reads whole
// lists (Elle's list-append). A Kafka partition that is read from its start is such a list, and an
// append that was told its offset has its place in it, read or not.
//
// Always: transactions are in order of invocation; `call` and `ret` number events, each number
// once; keys and elements are interned texts; an element is appended to a key at most once.
//
// Not here: what is lawful (transaction_checker.h).

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkers/history.h"
#include "core/base/result.h"

namespace klamm::checkers {

struct ListAction {
    enum class Kind : std::uint8_t { append, read };

    Kind kind = Kind::append;
    bool told = false;  // of a read: what it gave is known
    std::uint32_t key = 0;
    std::uint32_t element = 0;  // of an append
    std::uint32_t begin = 0;    // of a read: its elements are those of the history from here
    std::uint32_t count = 0;
    std::int64_t offset = -1;  // of an append; -1: not told
};

struct ListTransaction {
    std::int64_t process = 0;
    std::int64_t call = 0;
    std::int64_t ret = INT64_MAX;  // INT64_MAX: never; then of unknown outcome
    std::uint32_t line = 0;        // of the completion, or of the invocation
    std::uint32_t begin = 0;       // its actions are those of the history from here
    std::uint32_t count = 0;
    Outcome outcome = Outcome::unknown;
};

struct TransactionHistory {
    std::vector<ListTransaction> transactions;
    std::vector<ListAction> actions;
    std::vector<std::uint32_t> elements;
    std::vector<std::string> texts;

    std::uint32_t intern(std::string_view text);

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> ids_;
};

/// Reads Jepsen's EDN (maps in lines or in one vector, tagged or not; `[:append k e]`,
/// `[:r k [e ...]]`) or our JSON lines (FORMAT.md); the first character tells which.
/// Failure::invalid names the line and what was expected.
Result<TransactionHistory> read_transactions(std::string_view text);

/// Whether a file is of this kind: its first actions are appends or reads of lists.
bool tells_transactions(std::string_view text);

}  // namespace klamm::checkers
