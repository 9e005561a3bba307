#include "core/workload/schedule.h"

namespace klamm::workload {

void Schedule::start(Instant now, const Draws& draws) {
    if (pacing_.stop_after > Duration{}) stop_ = now + pacing_.stop_after;
    due_ = now + pacing_.start + gap(draws, 0);
}

std::optional<std::uint32_t> Schedule::take_due(Instant now, const Draws& draws,
                                                std::uint64_t& skipped) {
    while (!finished() && due_ <= now) {
        const std::uint32_t operation = next_++;
        due_ = due_ + gap(draws, next_);
        if (pacing_.skip.count(operation) == 0) return operation;
        ++skipped;
    }
    return std::nullopt;
}

bool Schedule::finished() const { return next_ >= pacing_.operations || due_ > stop_; }

Duration Schedule::gap(const Draws& draws, std::uint32_t operation) const {
    if (pacing_.gap.mean <= Duration{}) return pacing_.gap.base;
    return pacing_.gap.base +
           Duration{draws.exponential(pacing_.gap.mean.nanoseconds, draw_domain("workload.gap"),
                                      client_, operation)};
}

}  // namespace klamm::workload
