#pragma once
// What a checker found, as a value: a code, a sentence in Kafka's words, and the events that prove
// it. A witness is small (at most a handful of events) and suffices without the history.

#include <cstdint>
#include <string>
#include <vector>

#include "checkers/history.h"

namespace klamm::checkers {

enum class Code : std::uint8_t {
    lost,       // an acknowledged record is not read back
    incons,     // one offset shows two values
    dup,        // one value at two offsets
    order,      // a record lies below one that was complete before its send was invoked
    nonmono,    // a poll, or a consumer's position, goes back
    skip,       // a poll jumps over a record
    stale,      // an answer older than one completed before it began
    regress,    // LATEST goes back although its leader epoch does not
    dirty,      // a record was delivered and is gone
    ghost,      // a failed send appears
    garbage,    // a value that nobody has sent appears
    untold,     // a consumer goes on across a permitted loss without being told
    malformed,  // the history contradicts itself: a harness error
};

/// "LOST", "INCONS" and so on, as in the bug catalogue.
const char* to_string(Code code);

struct Violation {
    Code code = Code::malformed;
    std::string sentence;
    std::int64_t time = 0;  // of the event at which it became certain
    std::int32_t partition = 0;
    std::vector<Event> events;  // invoked and returned halves as far as known, in time order
};

/// "12.304 s" for nanoseconds: milliseconds are kept, the rest is cut.
std::string seconds_text(std::int64_t nanoseconds);

}  // namespace klamm::checkers
