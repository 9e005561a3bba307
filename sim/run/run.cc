// The phases of a run: a cluster comes up, faults fall while clients work; then everything is
// mended and all must be well within a bound; then everything promised is read back.

#include "sim/run/run.h"

#include <algorithm>

#include "sim/run/session.h"

namespace klamm::sim {

namespace {

RunResult take(const RunPlan& plan, const RunHooks& hooks, Director* director) {
    Session session(plan, hooks, director);
    session.begin();
    const Instant healing = Instant{} + plan.safety;
    const Instant end = std::min(plan.edits.cut.value_or(instant_never), healing);
    const bool heals = session.run_to(end) && end == healing;
    const bool read_to_end = heals && session.heal_and_read();
    return session.finish(read_to_end);
}

}  // namespace

RunResult run_plan(const RunPlan& plan, const RunHooks& hooks) {
    if (!plan.director) return take(plan, hooks, nullptr);
    std::vector<std::uint64_t> moments;
    while (moments.size() < plan.director.rehearsals) {
        const std::unique_ptr<Director> director = plan.director.make(moments);
        RunHooks nobody_watches;
        nobody_watches.events_max = hooks.events_max;
        (void)take(plan, nobody_watches, director.get());
        moments.push_back(director->rehearsed().value_or(never_rehearsed));
    }
    const std::unique_ptr<Director> director = plan.director.make(moments);
    return take(plan, hooks, director.get());
}

}  // namespace klamm::sim
