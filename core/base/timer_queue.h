#pragma once
// A node's timers, ordered by (deadline, sequence): the one alarm of the seam is set to
// deadline_min(). Ties are broken by the order of adding, never by chance. Add and cancel are O(log
// n).

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "core/base/time.h"

namespace klamm {

struct TimerId {
    Instant deadline;
    std::uint64_t sequence = 0;
    friend constexpr auto operator<=>(const TimerId&, const TimerId&) = default;
};

template <class Value>
class TimerQueue {
  public:
    TimerId add(Instant deadline, Value value) {
        const TimerId id{deadline, ++sequence_};
        rows_.emplace(id, std::move(value));
        return id;
    }
    /// Removes the timer; false when it has fired or was cancelled already.
    bool cancel(TimerId id) { return rows_.erase(id) > 0; }

    /// The earliest deadline, or instant_never.
    [[nodiscard]] Instant deadline_min() const {
        return rows_.empty() ? instant_never : rows_.begin()->first.deadline;
    }
    /// Takes the earliest timer whose deadline is at or before `now`.
    std::optional<Value> pop_due(Instant now) {
        if (rows_.empty() || rows_.begin()->first.deadline > now) return std::nullopt;
        auto row = rows_.extract(rows_.begin());
        return std::move(row.mapped());
    }
    [[nodiscard]] std::size_t size() const { return rows_.size(); }

  private:
    std::map<TimerId, Value> rows_;
    std::uint64_t sequence_ = 0;
};

}  // namespace klamm
