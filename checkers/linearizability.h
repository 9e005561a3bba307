#pragma once
// Linearizability of histories of named objects: parts are found from the model, those that need no
// search are swept (quick.h), the others are searched (search.h) in turns with growing budgets, so
// that one hard part does not hide a wrong one. What is wrong comes with a minimal counterexample.
//
// Minimal: the operations shown cannot be ordered whatever those that were invoked before the last
// return did: even if each of these had happened at any time, or never. Each shown one is needed
// for that (unless the budget of shrinking ran out, which is said). One that returned later than
// that is shown as still open.

#include <cstdint>
#include <string>
#include <vector>

#include "checkers/model.h"
#include "checkers/operation.h"
#include "core/base/slips.h"

namespace klamm::checkers {

enum class Verdict : std::uint8_t { linearizable, not_linearizable, unknown };

struct LinearizabilityOptions {
    std::uint64_t steps_max = 50'000'000;  // configurations in all
    std::uint64_t shrink_steps = 200'000;  // configurations for each try at leaving one out
    bool quick = true;                     // sweeps where they apply
    bool shrink = true;                    // else the counterexample is the whole part
    Slip slip = Slip::none;                // for tests of the harness
};

struct Counterexample {
    std::string sentence;
    std::vector<Operation> operations;  // by call
    std::size_t left_out = 0;           // of the same part: whatever they did, it does not help
    bool minimal = true;
};

struct Linearizability {
    Verdict verdict = Verdict::linearizable;
    std::size_t parts = 0;
    std::size_t parts_quick = 0;  // decided without a search
    std::uint64_t steps = 0;      // configurations that were searched
    Counterexample counterexample;
};

/// The first operation that `model` has no meaning for; -1: none.
std::int64_t first_unknown(ModelName model, const OperationHistory& history);

/// `history` holds only operations that the model knows. With Verdict::unknown the budget ran out.
Linearizability check_linearizability(ModelName model, const OperationHistory& history,
                                      const LinearizabilityOptions& options = {});

}  // namespace klamm::checkers
