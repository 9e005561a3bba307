#pragma once
// Orders that a world could also have taken: events that lie within a window of virtual time may
// happen in any order that keeps each chain's own. A chain is one way of a connection, the alarms
// of a shard, what a disk does for it, its turns' ends, its mail. An event that others overtake
// happens late, at most by the window; none happens early. What the harness does is never moved,
// and nothing is moved across it.
//
// Which chain goes next is drawn by identities (the chain, and the n-th event of it), so that a
// fault or an operation less leaves most choices as they were:
//   random  each time anew
//   pos     partial-order sampling: each event has a priority, drawn again when one goes before it
//           that races with it (for the same machine)
//   pct     each chain has a priority; at `depth` of the run's events, about, a chain falls behind
//           all others for good

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "core/base/draws.h"
#include "core/base/time.h"
#include "sim/world/options.h"

namespace klamm::sim {

template <class Payload>
class Explorer {
  public:
    Explorer(const ExploreOptions& options, const Draws& draws)
        : options_(options), draws_(draws.fork(draw_domain("world.explore"), 0)) {}

    [[nodiscard]] bool empty() const { return chains_.empty(); }
    [[nodiscard]] Duration window() const { return options_.window; }
    /// Of the events that may go next.
    [[nodiscard]] Instant time_min() const {
        Instant least = instant_never;
        for (const auto& [key, chain] : chains_) least = std::min(least, chain.front().time);
        return least;
    }

    /// In the order of their times.
    void take(Instant time, std::uint64_t chain, std::uint32_t machine, Payload payload) {
        const std::uint64_t n = ++numbers_[chain];
        if (options_.how == ExploreOptions::How::pct &&
            draws_.below(events_a_run, fall_domain, chain, n) < options_.depth)
            fallen_.emplace(chain, ++falls_);
        chains_[chain].push_back({time, n, 0, machine, std::move(payload)});
    }

    std::pair<Instant, Payload> choose() {
        auto best = chains_.begin();
        std::uint64_t most = 0;
        for (auto at = chains_.begin(); at != chains_.end(); ++at) {
            const std::uint64_t priority = priority_of(at->first, at->second.front());
            if (at == chains_.begin() || priority > most) {
                best = at;
                most = priority;
            }
        }
        Staged chosen = std::move(best->second.front());
        best->second.pop_front();
        if (best->second.empty()) chains_.erase(best);
        const bool all = options_.how == ExploreOptions::How::random;
        for (auto& [key, chain] : chains_)
            if (all || chain.front().machine == chosen.machine) ++chain.front().passed;
        return {chosen.time, std::move(chosen.payload)};
    }

  private:
    static constexpr std::uint64_t events_a_run = 100'000;
    static constexpr DrawDomain fall_domain = draw_domain("world.explore.fall");
    static constexpr DrawDomain priority_domain = draw_domain("world.explore.priority");
    struct Staged {
        Instant time;
        std::uint64_t n;       // of its chain
        std::uint64_t passed;  // how often it was drawn anew
        std::uint32_t machine;
        Payload payload;
    };

    [[nodiscard]] std::uint64_t priority_of(std::uint64_t chain, const Staged& head) const {
        if (options_.how != ExploreOptions::How::pct)
            return draws_.word(priority_domain, fold64(chain, head.n), head.passed);
        const auto fallen = fallen_.find(chain);
        // Below all others, and each below those that fell before it.
        if (fallen != fallen_.end()) return falls_max - std::min(fallen->second, falls_max);
        return draws_.word(priority_domain, chain, 0) | (std::uint64_t{1} << 63);
    }
    static constexpr std::uint64_t falls_max = std::uint64_t{1} << 40;

    ExploreOptions options_;
    Draws draws_;
    std::map<std::uint64_t, std::deque<Staged>> chains_;
    std::map<std::uint64_t, std::uint64_t> numbers_;
    std::map<std::uint64_t, std::uint64_t> fallen_;  // chains, and which fall it was
    std::uint64_t falls_ = 0;
};

}  // namespace klamm::sim
