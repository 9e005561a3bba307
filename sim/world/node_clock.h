#pragma once
// The clocks of one machine against true time: a monotonic one that drifts and never goes back, and
// a wall clock that is the monotonic one plus an offset that may be stepped.

#include <limits>

#include "core/base/ids.h"
#include "core/base/time.h"

namespace klamm::sim {

class NodeClock {
  public:
    NodeClock(Instant start, Timestamp start_wall, Duration wall_offset, std::int64_t drift_ppm)
        : local_base_(start),
          wall_base_nanoseconds_(start_wall.value * 1'000'000 - start.nanoseconds +
                                 wall_offset.nanoseconds),
          ppm_(drift_ppm) {}

    [[nodiscard]] Instant monotonic(Instant truth) const {
        const std::int64_t passed = (truth - true_base_).nanoseconds;
        if (ppm_ == 0) return local_base_ + Duration{passed};
        return local_base_ + Duration{scale(passed, million + ppm_, million)};
    }
    [[nodiscard]] Timestamp wall(Instant truth) const {
        const std::int64_t now = wall_base_nanoseconds_ + monotonic(truth).nanoseconds;
        return Timestamp(now >= 0 ? now / 1'000'000 : -((-now + 999'999) / 1'000'000));
    }
    /// The first true moment at which monotonic() has reached `local`.
    [[nodiscard]] Instant truth_of(Instant local) const {
        if (local.nanoseconds >= std::numeric_limits<std::int64_t>::max() / 2) return instant_never;
        const std::int64_t left = (local - local_base_).nanoseconds;
        if (ppm_ == 0) return true_base_ + Duration{left};
        Instant truth = true_base_ + Duration{scale(left, million, million + ppm_)};
        while (monotonic(truth) < local) truth = truth + Duration{1};
        return truth;
    }
    void step_wall(Duration by) { wall_base_nanoseconds_ += by.nanoseconds; }
    void set_drift(Instant truth, std::int64_t ppm) {
        local_base_ = monotonic(truth);
        true_base_ = truth;
        ppm_ = ppm;
    }

  private:
    static constexpr std::int64_t million = 1'000'000;
    static std::int64_t scale(std::int64_t value, std::int64_t by, std::int64_t over) {
        return static_cast<std::int64_t>(static_cast<__int128>(value) * by / over);
    }

    Instant true_base_;
    Instant local_base_;
    std::int64_t wall_base_nanoseconds_;
    std::int64_t ppm_;
};

}  // namespace klamm::sim
