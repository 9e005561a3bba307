#pragma once
// The freshest batches of a log, as they were appended: what tail fetches are answered from without
// touching the disk. Bounded in bytes; the oldest leave first. Offsets in it are contiguous up to
// the log's end.

#include <cstdint>
#include <deque>

#include "core/storage/read_plan.h"

namespace klamm::storage {

class TailCache {
  public:
    /// Batch [base, last] as `head` followed by `rest`; either may be empty. Dropped at once when
    /// it alone exceeds `bytes_max`.
    void append(Offset base, Offset last, Buffer head, Buffer rest, std::uint64_t bytes_max);
    /// Drops every batch that reaches `end` or beyond.
    void truncate(Offset end);
    void clear();
    /// Whether the batch that holds `offset` is here.
    [[nodiscard]] bool holds(Offset offset) const;
    /// Fills `plan` from the batch that holds `from`; needs holds(from).
    void read(Offset from, std::uint64_t bytes_max, Offset limit, bool min_one,
              ReadPlan& plan) const;
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  private:
    struct Row {
        Offset base;
        Offset last;
        Buffer head;
        Buffer rest;
        [[nodiscard]] std::uint64_t size() const { return head.size() + rest.size(); }
    };
    std::deque<Row> rows_;
    std::uint64_t bytes_ = 0;
};

}  // namespace klamm::storage
