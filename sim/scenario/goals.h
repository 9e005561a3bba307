#pragma once
// The catalogue of goals: what runs must reach to mean anything, as data (scenarios/goals.json,
// its form in scenarios/GOALS.md). It is the dual of a judge: a judge asks whether anything wrong
// has happened, a goal whether anything rare has.
//
//   reachable  its moment comes in some run
//   sometimes  some run ends with its counts within their bounds (and its moment came)
//   always     every run ends with its counts within their bounds, of those in which its moment
//              came; and there is such a run
//
// Watching changes nothing in a run: tokens and hashes are those of runs that nobody watches.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "sim/run/swarm.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

enum class GoalKind : std::uint8_t { always, sometimes, reachable };

struct Goal {
    std::string name;  // unique in its catalogue
    std::string says;  // a sentence for a person
    GoalKind kind = GoalKind::reachable;
    std::optional<Moment> moment;
    std::map<std::string, Bounds> counts;
    std::uint64_t after_runs = 0;  // a swarm of so many must have reached it
    std::size_t line = 0;
};

using GoalCatalogue = std::vector<Goal>;

/// `invalid` with one sentence, "FILE:LINE: ...", that names the key and what was expected.
Result<GoalCatalogue> parse_goals(std::string_view text, std::string_view file);

/// A count of a finished run: those of RunCounts by their names, "promised", "stranded", "lost.O2",
/// "avoidable.O2", "fired.kill-in-turn". Nothing when there is no such count.
std::optional<std::int64_t> goal_count(const RunResult& result, std::string_view name);

/// Has each run watched, and says of each goal in RunResult::goals what came of it there.
DirectorFactory watch_goals(const GoalCatalogue& goals);

/// What a swarm that was watched came to: reached, never reached, broken.
std::string goals_text(const GoalCatalogue& goals, const SwarmReport& report);

/// safety: a goal of kind always was broken. harness_error: one was not reached although the swarm
/// was long enough. Else passed.
Verdict goals_verdict(const GoalCatalogue& goals, const SwarmReport& report);

}  // namespace klamm::sim
