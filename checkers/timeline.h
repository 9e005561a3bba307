#pragma once
// A counterexample as a picture in text: a lane a client, a bar an operation, time to the right.

#include <span>
#include <string>

#include "checkers/operation.h"

namespace klamm::checkers {

/// Events are equally far apart, whatever the time between them. An operation that never returned
/// runs to the edge.
///
///     client 1  |- write 1 -|
///     client 2                |- write 2 -|
///     client 3                              |- read -> 1 -|
std::string draw(const OperationHistory& history, std::span<const Operation> operations);

}  // namespace klamm::checkers
