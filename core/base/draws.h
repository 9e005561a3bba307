#pragma once
// Chance, keyed by meaning. A draw is a pure function of (seed, domain, entity, n): adding a draw
// elsewhere, or leaving out one operation, changes no other. Entities must mean the same in an
// altered run (node, incarnation, partition, epoch, logical operation); never a running counter of
// the whole run. Distributions are over integers only.

#include <cstdint>

#include "core/base/checksum.h"

namespace klamm {

/// Names a stream of draws; made from a literal, e.g. draw_domain("net.delay").
struct DrawDomain {
    std::uint64_t key;
};

consteval DrawDomain draw_domain(const char* name) {
    std::uint64_t key = 0xcbf29ce484222325ULL;
    for (; *name != 0; ++name) key = (key ^ static_cast<std::uint8_t>(*name)) * 0x100000001b3ULL;
    return {key};
}

constexpr std::int64_t per_million = 1'000'000;

class Draws {
  public:
    explicit constexpr Draws(std::uint64_t seed = 0) : seed_(seed) {}

    [[nodiscard]] constexpr std::uint64_t seed() const { return seed_; }

    /// 64 uniform bits for (domain, entity, n).
    [[nodiscard]] constexpr std::uint64_t word(DrawDomain domain, std::uint64_t entity,
                                               std::uint64_t n) const {
        return fold64(fold64(fold64(seed_, domain.key), entity), n);
    }
    /// Uniform in [0, bound), bound > 0.
    [[nodiscard]] constexpr std::uint64_t below(std::uint64_t bound, DrawDomain domain,
                                                std::uint64_t entity, std::uint64_t n) const {
        return static_cast<std::uint64_t>(
            (static_cast<unsigned __int128>(word(domain, entity, n)) * bound) >> 64);
    }
    /// Uniform in [low, high], both included.
    [[nodiscard]] constexpr std::int64_t between(std::int64_t low, std::int64_t high,
                                                 DrawDomain domain, std::uint64_t entity,
                                                 std::uint64_t n) const {
        return low + static_cast<std::int64_t>(
                         below(static_cast<std::uint64_t>(high - low) + 1, domain, entity, n));
    }
    /// True in `rate` of a million cases.
    [[nodiscard]] constexpr bool happens(std::int64_t rate, DrawDomain domain, std::uint64_t entity,
                                         std::uint64_t n) const {
        return static_cast<std::int64_t>(below(per_million, domain, entity, n)) < rate;
    }
    /// About exponential with the given mean, in integers; at most about 22 times the mean.
    [[nodiscard]] std::int64_t exponential(std::int64_t mean, DrawDomain domain,
                                           std::uint64_t entity, std::uint64_t n) const;
    /// A stream of its own for a part of the world.
    [[nodiscard]] constexpr Draws fork(DrawDomain domain, std::uint64_t entity) const {
        return Draws(word(domain, entity, 0));
    }

  private:
    std::uint64_t seed_;
};

}  // namespace klamm
