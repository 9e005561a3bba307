#pragma once
// Texts of scenario files that mean more than themselves: durations and whom.

#include <optional>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

/// "200us", "1500ms", "2s", "10m"; a minus sign before it goes back in time. At most 30 days.
std::optional<Duration> read_duration(std::string_view text);

/// "leader", "follower of trial-1", "broker-2", "client producer-1"; any other word is a name.
/// Nothing when it is no such word at all.
std::optional<Who> read_who(std::string_view text);

/// The words that mean whom, for near misses and the document.
std::span<const std::string_view> who_words();

}  // namespace klamm::sim
