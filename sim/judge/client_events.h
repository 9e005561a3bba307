#pragma once
// Clients' facts as events of a history (checkers/history.h).

#include <vector>

#include "checkers/history.h"
#include "core/base/facts.h"
#include "core/base/time.h"

namespace klamm::sim {

/// The events of a client's fact, none for a broker's: one, or two where a poll tells of a reset.
/// The topic is not kept: a history knows partitions by their index.
std::vector<checkers::Event> client_events(Instant now, BrokerId client, const facts::Fact& fact);

}  // namespace klamm::sim
