#pragma once
// Monotonic time: Instant and Duration in nanoseconds. Wall time is a Timestamp (ids.h), in
// milliseconds, and may jump.

#include <compare>
#include <cstdint>
#include <limits>

namespace klamm {

struct Duration {
    std::int64_t nanoseconds = 0;
    friend constexpr auto operator<=>(Duration, Duration) = default;
    friend constexpr Duration operator+(Duration a, Duration b) {
        return {a.nanoseconds + b.nanoseconds};
    }
    friend constexpr Duration operator-(Duration a, Duration b) {
        return {a.nanoseconds - b.nanoseconds};
    }
    friend constexpr Duration operator*(Duration a, std::int64_t n) { return {a.nanoseconds * n}; }
    friend constexpr Duration operator/(Duration a, std::int64_t n) { return {a.nanoseconds / n}; }
    [[nodiscard]] constexpr std::int64_t to_milliseconds() const { return nanoseconds / 1'000'000; }
};

constexpr Duration nanoseconds(std::int64_t n) { return {n}; }
constexpr Duration microseconds(std::int64_t n) { return {n * 1'000}; }
constexpr Duration milliseconds(std::int64_t n) { return {n * 1'000'000}; }
constexpr Duration seconds(std::int64_t n) { return {n * 1'000'000'000}; }

/// A point of a node's monotonic clock; its zero means nothing.
struct Instant {
    std::int64_t nanoseconds = 0;
    friend constexpr auto operator<=>(Instant, Instant) = default;
    friend constexpr Instant operator+(Instant a, Duration d) {
        return {a.nanoseconds + d.nanoseconds};
    }
    friend constexpr Instant operator-(Instant a, Duration d) {
        return {a.nanoseconds - d.nanoseconds};
    }
    friend constexpr Duration operator-(Instant a, Instant b) {
        return {a.nanoseconds - b.nanoseconds};
    }
};

constexpr Instant instant_never{std::numeric_limits<std::int64_t>::max()};

}  // namespace klamm
