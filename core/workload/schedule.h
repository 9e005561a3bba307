#pragma once
// The moments of a client's operations (options.h, Pacing): operation i is due at the sum of the
// drawn gaps up to it, each keyed by (client, i), whatever became of the others.

#include <optional>

#include "core/base/draws.h"
#include "core/workload/options.h"

namespace klamm::workload {

class Schedule {
  public:
    Schedule(const Pacing& pacing, std::uint32_t client) : pacing_(pacing), client_(client) {}

    void start(Instant now, const Draws& draws);
    /// Takes the next operation that is due, skipped ones counted in `skipped` on the way.
    std::optional<std::uint32_t> take_due(Instant now, const Draws& draws, std::uint64_t& skipped);
    /// When the next operation is due, or instant_never.
    [[nodiscard]] Instant deadline() const { return finished() ? instant_never : due_; }
    /// Every operation has had its turn.
    [[nodiscard]] bool finished() const;

  private:
    [[nodiscard]] Duration gap(const Draws& draws, std::uint32_t operation) const;

    Pacing pacing_;
    std::uint32_t client_;
    std::uint32_t next_ = 0;
    Instant due_ = instant_never;
    Instant stop_ = instant_never;
};

}  // namespace klamm::workload
