#pragma once
// Histories of operations as files: our JSON lines (FORMAT.md), Jepsen's and Porcupine's EDN (a map
// an event, in lines or in one vector), and the log lines of Jepsen's etcd runs that Porcupine and
// Knossos are tested with. Which one it is, the first character tells.
//
// Not here: histories of partition logs (jsonl.h).

#include <string_view>

#include "checkers/operation.h"
#include "core/base/result.h"

namespace klamm::checkers {

/// Failure::invalid names the line and what was expected. Of Jepsen's events: `ok` returned;
/// `info` is of unknown outcome; `fail` had no effect and is left out, save for a compare-and-set,
/// which found another value (as Porcupine reads etcd's), and for reads, which say nothing.
Result<OperationHistory> read_operations(std::string_view text);

}  // namespace klamm::checkers
