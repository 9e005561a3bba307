#pragma once
// Operations on an object that anybody may name (a register, a map, a queue, a set): what was
// asked, what was answered, and when, as values. The general checkers (linearizability.h) judge
// them; partition logs have events of their own (history.h).
//
// Always: `call` and `ret` number the events of the history from 0, each number once, so that the
// order of real time is the order of numbers; call < ret. Texts are interned: equal texts have
// equal ids, and id 0 is nil.
//
// Not here: how a history is stored (operation_reader.h, FORMAT.md), what is legal (model.h).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkers/history.h"

namespace klamm::checkers {

enum class Function : std::uint8_t {
    read,      // output; of a set: list, all its elements
    write,     // input
    cas,       // expected, input; swapped
    append,    // input, a string, at the end of the value
    enqueue,   // input
    dequeue,   // output, nil when the queue was empty
    add,       // input
    remove,    // input
    contains,  // input; output true or false
};

using TextId = std::uint32_t;
constexpr TextId nil = 0;
constexpr std::int64_t never = INT64_MAX;

/// One operation with both its halves. A field means something only for the functions named above.
struct Operation {
    std::int32_t client = 0;
    Function function = Function::read;
    Outcome outcome = Outcome::unknown;  // failed ones are no part of a history
    bool swapped = false;                // of a compare-and-set that returned
    TextId key = nil;
    TextId input = nil;
    TextId expected = nil;
    TextId output = nil;
    std::uint32_t list = 0;  // of `lists`, for a read that gives many elements; 0: none
    std::int64_t call = 0;   // number of the event that invoked it
    std::int64_t ret = never;
    std::int64_t call_time = -1;  // nanoseconds, or -1 where not told
    std::int64_t return_time = -1;
};

struct OperationHistory {
    std::vector<Operation> operations;  // by call
    std::vector<std::string> texts{"nil"};
    std::vector<std::vector<TextId>> lists{{}};
    std::map<std::string, TextId, std::less<>> text_ids;

    /// The id of a text as it is printed: `3`, `nil`, or `"in quotes"` for a string.
    TextId intern(std::string_view text);
};

/// "read", "write" and so on, as FORMAT.md spells them.
const char* to_string(Function function);

/// "read → 3", "cas 1 2 → refused", "write 4 → ?": what was asked and what came back.
std::string describe(const OperationHistory& history, const Operation& operation);

}  // namespace klamm::checkers
