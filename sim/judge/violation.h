#pragma once
// What the judge found red: an invariant of CONTRACT.md or a rule of its ledger, by id.

#include <string>

#include "core/base/ids.h"
#include "core/base/time.h"

namespace klamm::sim {

struct Violation {
    std::string rule;  // "I1" … "I7", "stranded", "erasure", "O5", or a log checker's code
    std::string sentence;
    Instant time;
    BrokerId node = no_broker;  // where it showed; no_broker when it is nobody's
};

}  // namespace klamm::sim
