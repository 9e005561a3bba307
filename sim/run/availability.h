#pragma once
// How long nothing was acknowledged: the longest time between two acknowledgements of any
// partition, until an end.

#include <algorithm>
#include <optional>
#include <variant>

#include "core/base/facts.h"
#include "core/base/time.h"

namespace klamm::sim {

class Availability {
  public:
    /// `acks_1`: those of acks=1 count beside those of acks=all.
    explicit Availability(bool acks_1 = false) : acks_1_(acks_1) {}

    void on_fact(Instant time, const facts::Fact& fact) {
        const auto* answered = std::get_if<facts::ProduceAnswered>(&fact);
        if (answered == nullptr || answered->error != 0) return;
        if (answered->acks != -1 && !(acks_1_ && answered->acks == 1)) return;
        end(time);
        acknowledged_ = time;
    }
    /// What was looked at is over.
    void end(Instant time) {
        if (acknowledged_) longest_ = std::max(longest_, time - *acknowledged_);
    }
    [[nodiscard]] Duration longest() const { return longest_; }

  private:
    bool acks_1_;
    std::optional<Instant> acknowledged_;
    Duration longest_;
};

}  // namespace klamm::sim
