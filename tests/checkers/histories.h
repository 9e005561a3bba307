#pragma once
// Small histories of named objects and their judgement by brute force, for the linearizability
// checker to agree with: every order of every choice of operations is tried on a plain object.

#include <array>
#include <cstdint>
#include <span>

#include "checkers/linearizability.h"

namespace klamm::checkers {

enum class SmallKind : std::uint8_t {
    register_unique,  // writes differ
    register_mixed,   // few values, compare-and-set
    map,              // put, append, get
    queue_unique,
    queue_repeated,  // equal elements, dequeues of unknown outcome
    set_elements,    // add, remove, contains
    set_growing,     // different adds, read whole
    set_mixed,       // add, remove, read whole
};
inline constexpr std::array small_kinds{
    SmallKind::register_unique, SmallKind::register_mixed, SmallKind::map,
    SmallKind::queue_unique,    SmallKind::queue_repeated, SmallKind::set_elements,
    SmallKind::set_growing,     SmallKind::set_mixed};

const char* to_string(SmallKind kind);
ModelName model_name(SmallKind kind);
/// Whether histories of this kind are mostly decided without a search.
bool has_quick(SmallKind kind);

/// KLAMM_CASES of the environment, else `otherwise`.
std::uint64_t cases(std::uint64_t otherwise);

/// `operations` operations of `clients` on one real object; answers are what it gave.
OperationHistory lawful_history(SmallKind kind, std::uint64_t seed, int operations, int clients);

/// 1 to 6 operations whose answers may be false.
OperationHistory small_history(SmallKind kind, std::uint64_t seed);

/// Whether any order of `tight` and of any of `loose` is lawful; loose ones at any time.
bool brute_force(const OperationHistory& history, std::span<const Operation> tight,
                 std::span<const Operation> loose = {});

struct Agreement {
    std::uint64_t cases = 0;
    std::uint64_t linearizable = 0;   // by brute force
    std::uint64_t disagreements = 0;  // of search or sweep
    std::uint64_t quick = 0;          // cases where a sweep decided some part
};
Agreement agree(SmallKind kind, std::uint64_t cases, std::uint64_t first_seed);

/// Holds counterexamples of small histories to what linearizability.h says of them, by brute force;
/// returns how many there were, or -1 at the first that is not so.
int counterexamples_are_minimal(SmallKind kind, std::uint64_t cases, std::uint64_t first_seed);

}  // namespace klamm::checkers
