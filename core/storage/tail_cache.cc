// See tail_cache.h. Rows are found by binary search; a read copies references, never bytes.

#include "core/storage/tail_cache.h"

#include <algorithm>

namespace klamm::storage {

void TailCache::append(Offset base, Offset last, Buffer head, Buffer rest,
                       std::uint64_t bytes_max) {
    if (!rows_.empty()) KLAMM_ASSERT(rows_.back().last < base);
    Row row{base, last, std::move(head), std::move(rest)};
    bytes_ += row.size();
    rows_.push_back(std::move(row));
    while (bytes_ > bytes_max) {
        bytes_ -= rows_.front().size();
        rows_.pop_front();
    }
}

void TailCache::truncate(Offset end) {
    while (!rows_.empty() && rows_.back().last >= end) {
        bytes_ -= rows_.back().size();
        rows_.pop_back();
    }
}

void TailCache::clear() {
    rows_.clear();
    bytes_ = 0;
}

bool TailCache::holds(Offset offset) const {
    return !rows_.empty() && offset >= rows_.front().base && offset <= rows_.back().last;
}

void TailCache::read(Offset from, std::uint64_t bytes_max, Offset limit, bool min_one,
                     ReadPlan& plan) const {
    KLAMM_ASSERT(holds(from));
    auto row = std::lower_bound(rows_.begin(), rows_.end(), from,
                                [](const Row& r, Offset offset) { return r.last < offset; });
    for (; row != rows_.end(); ++row) {
        if (row->last >= limit) break;
        if (plan.bytes + row->size() > bytes_max && !(min_one && plan.bytes == 0)) break;
        if (plan.bytes == 0) plan.from = row->base;
        if (!row->head.empty()) plan.pieces.emplace_back(row->head);
        if (!row->rest.empty()) plan.pieces.emplace_back(row->rest);
        plan.bytes += row->size();
        plan.to = row->last + 1;
    }
}

}  // namespace klamm::storage
