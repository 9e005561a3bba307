#pragma once
// Objects whose histories need no search, because each answer names the operation it came from:
// registers whose writes differ (Gibbons and Korach 1997), first-in-first-out queues whose elements
// differ (Henzinger, Sezgin and Vafeiadis 2013), sets that only grow and are read whole (like a
// log, the answers order themselves). O(n log n) each, and a witness of two to a few operations.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkers/operation.h"

namespace klamm::checkers {

struct Quick {
    bool legal = true;
    std::string sentence;                // why not
    std::vector<std::uint32_t> witness;  // indices of operations that suffice, by call
};

/// Nothing when the history is not of that kind. `operations` is one part of `history`; those of
/// unknown outcome never return.
std::optional<Quick> quick_register(const OperationHistory& history,
                                    std::span<const Operation> operations);
std::optional<Quick> quick_queue(const OperationHistory& history,
                                 std::span<const Operation> operations);
std::optional<Quick> quick_set(const OperationHistory& history,
                               std::span<const Operation> operations);

}  // namespace klamm::checkers
