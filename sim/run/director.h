#pragma once
// Whoever steers a run beside its plan: a scenario. It sees the world as an observer does and acts
// through World::schedule, but between two events, where it may act at once.
//
// Some moments are known only when they have come: to act just before one, the run is made once
// without, up to it, and then anew. Such a run is a rehearsal; nobody else watches it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/world/observer.h"

namespace klamm::sim {

class Cluster;
class Judge;
class Listener;
class Storm;
struct RunResult;

/// What there is on the stage; it outlives the director's last call.
struct Stage {
    Cluster& cluster;
    Storm& storm;
    Judge& judge;
    Listener& listener;
};

class Director : public WorldObserver {
  public:
    /// Everything is there and nothing has started.
    virtual void begin(const Stage& stage) = 0;
    /// After each event of the world, and before the first. May act.
    virtual void between_events() {}
    /// A rehearsal has seen what it was made for: the number of calls of between_events() before
    /// the event that brought it.
    [[nodiscard]] virtual std::optional<std::uint64_t> rehearsed() const { return std::nullopt; }
    /// The faults are over; the healing comes next.
    virtual void before_healing() {}
    /// The verdict is there; adds what this director asks of a run.
    virtual void finish(RunResult&) {}
};

constexpr std::uint64_t never_rehearsed = ~std::uint64_t{0};

/// Makes directors of one kind.
struct DirectorFactory {
    std::size_t rehearsals = 0;
    /// `moments`: what the rehearsals so far have found, never_rehearsed where it did not come.
    std::function<std::unique_ptr<Director>(const std::vector<std::uint64_t>& moments)> make;

    explicit operator bool() const { return static_cast<bool>(make); }
};

}  // namespace klamm::sim
