#pragma once
// The events of a world, ordered by (time, sequence): ties fall in the order of pushing. Payloads
// live in slots that are used again; pushing allocates only while the world grows.

#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/time.h"

namespace klamm::sim {

template <class Payload>
class EventHeap {
  public:
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    [[nodiscard]] std::size_t size() const { return rows_.size(); }
    [[nodiscard]] Instant time_min() const {
        return rows_.empty() ? instant_never : Instant{rows_.front().time};
    }

    /// The earliest event.
    [[nodiscard]] const Payload& front() const {
        KLAMM_ASSERT(!rows_.empty());
        return slots_[rows_.front().slot];
    }

    /// A slot for the payload of an event at `when`; valid until the next push.
    Payload& push(Instant when) {
        std::uint32_t slot;
        if (free_.empty()) {
            slot = static_cast<std::uint32_t>(slots_.size());
            slots_.emplace_back();
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        rows_.push_back({});
        sift_up(rows_.size() - 1, {when.nanoseconds, ++sequence_, slot});
        return slots_[slot];
    }
    void push(Instant when, Payload payload) { push(when) = std::move(payload); }

    /// Takes the earliest event.
    std::pair<Instant, Payload> pop() {
        KLAMM_ASSERT(!rows_.empty());
        const Row first = rows_.front();
        const Row last = rows_.back();
        rows_.pop_back();
        if (!rows_.empty()) sift_down(last);
        free_.push_back(first.slot);
        return {Instant{first.time}, std::move(slots_[first.slot])};
    }

  private:
    struct Row {
        std::int64_t time;
        std::uint64_t sequence;
        std::uint32_t slot;
    };
    static bool before(const Row& a, const Row& b) {
        return a.time != b.time ? a.time < b.time : a.sequence < b.sequence;
    }
    void sift_up(std::size_t at, const Row& row) {
        while (at > 0) {
            const std::size_t parent = (at - 1) / arity;
            if (!before(row, rows_[parent])) break;
            rows_[at] = rows_[parent];
            at = parent;
        }
        rows_[at] = row;
    }
    void sift_down(const Row& row) {
        std::size_t at = 0;
        const std::size_t size = rows_.size();
        for (;;) {
            const std::size_t first = at * arity + 1;
            if (first >= size) break;
            std::size_t least = first;
            const std::size_t end = first + arity < size ? first + arity : size;
            for (std::size_t child = first + 1; child < end; ++child)
                if (before(rows_[child], rows_[least])) least = child;
            if (!before(rows_[least], row)) break;
            rows_[at] = rows_[least];
            at = least;
        }
        rows_[at] = row;
    }

    static constexpr std::size_t arity = 4;
    std::vector<Row> rows_;
    std::vector<Payload> slots_;
    std::vector<std::uint32_t> free_;
    std::uint64_t sequence_ = 0;
};

}  // namespace klamm::sim
