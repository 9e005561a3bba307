#pragma once
// What the log checker remembers (internal to checkers/): values, the offsets that show them, the
// mark M, consumers' positions, permitted losses. Only plain lookups here; the rules are in
// log_checker.cc.
//
// Always: a slot of a page holds 0 or 1 + the index of a value; a value knows its latest offset.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "checkers/history.h"
#include "checkers/log_tables.h"

namespace klamm::checkers {

using ValueIndex = std::uint32_t;
constexpr ValueIndex value_none = 0;  // indexes count from 1

/// A completion that moved the mark: an event without what completions have not, kept small because
/// there are as many as operations.
struct Witness {
    std::int64_t time = 0;
    std::uint64_t operation = 0;
    std::int32_t client = 0;
    Kind kind = Kind::send_returned;
    std::int32_t epoch = -1;
    std::int64_t offset = -1;
    std::int64_t log_start = -1;
    std::int64_t high_watermark = -1;
};

/// Value → its index, by open addressing: it is looked up for each record that is read.
class ValueTable {
  public:
    /// value_none when the value is not there.
    [[nodiscard]] ValueIndex find(std::uint64_t value) const {
        if (rows_.empty()) return value_none;
        for (std::size_t at = place(value);; at = (at + 1) & (rows_.size() - 1)) {
            if (rows_[at].index == value_none) return value_none;
            if (rows_[at].value == value) return rows_[at].index;
        }
    }
    /// False when it is there already.
    bool add(std::uint64_t value, ValueIndex index) {
        if (2 * (count_ + 1) > rows_.size()) grow();
        std::size_t at = place(value);
        for (; rows_[at].index != value_none; at = (at + 1) & (rows_.size() - 1)) {
            if (rows_[at].value == value) return false;
        }
        rows_[at] = {value, index};
        ++count_;
        return true;
    }

  private:
    struct Row {
        std::uint64_t value = 0;
        ValueIndex index = value_none;
    };

    /// Four values in a row share a line of the processor's cache: mostly they are counted up.
    [[nodiscard]] std::size_t place(std::uint64_t value) const {
        const std::uint64_t four = value >> 2;
        const std::uint64_t mixed = (four ^ (four >> 31)) * 0x9e3779b97f4a7c15ULL;
        return ((static_cast<std::size_t>(mixed >> 20) << 2) | (value & 3)) & (rows_.size() - 1);
    }
    void grow() {
        std::vector<Row> old(rows_.empty() ? 64 : 2 * rows_.size());
        old.swap(rows_);
        for (const Row& row : old) {
            if (row.index == value_none) continue;
            std::size_t at = place(row.value);
            while (rows_[at].index != value_none) at = (at + 1) & (rows_.size() - 1);
            rows_[at] = row;
        }
    }

    std::vector<Row> rows_;
    std::size_t count_ = 0;
};

struct Value {
    std::uint64_t value = 0;
    std::int32_t partition = 0;
    std::int32_t client = 0;
    std::uint64_t operation = 0;
    std::int64_t invoked = 0;
    std::int64_t returned = -1;
    std::int64_t read = -1;  // when it was read first; -1: never
    std::int32_t reader = 0;
    std::uint64_t read_operation = 0;
    std::int64_t offset = -1;  // where it is held to be: acknowledged with acks=all, or read
    std::int64_t acked_offset = -1;
    std::uint32_t losses_before = 0;  // permitted losses known when it was invoked
    std::int16_t acks = -1;
    Outcome outcome = Outcome::unknown;
    bool excused = false;  // what held it at `offset` was lost lawfully
    bool seen_finally = false;
    bool order_checked = false;
    std::int64_t mark = -1;  // M when it was invoked
    std::uint32_t cuts_before = 0;
    std::uint32_t mark_witness = 0;  // index of Partition::witnesses
};

/// An operation that was invoked and has not returned.
struct Open {
    Kind kind = Kind::send_invoked;
    std::int32_t partition = 0;
    std::int64_t time = 0;
    std::int64_t offset = -1;
    ValueIndex value = value_none;
    std::int64_t mark = -1;
    std::uint32_t mark_witness = 0;
    std::uint32_t cuts_before = 0;
    std::uint64_t latest_before = 0;  // LATEST answers complete by then
};

struct OpenKey {
    std::int32_t client = 0;
    std::uint64_t operation = 0;
    friend bool operator==(const OpenKey&, const OpenKey&) = default;
};

struct OpenKeyHash {
    std::size_t operator()(const OpenKey& key) const {
        return (key.operation * 0x9e3779b97f4a7c15ULL) ^
               (static_cast<std::uint64_t>(static_cast<std::uint32_t>(key.client)) << 17);
    }
};

/// Offset → value, in pages, so that neither a far offset nor a hole costs anything.
class Slots {
  public:
    static constexpr std::int64_t page_size = 1024;

    struct Slot {
        std::uint64_t value = 0;
        ValueIndex index = value_none;
        /// It was read here and every rule has been asked, so that reading it again says nothing
        /// new; the same of final reads. Void once a loss is permitted.
        bool settled = false;
        bool settled_finally = false;
    };

    [[nodiscard]] ValueIndex at(std::int64_t offset) const {
        const Page* page = find(offset / page_size);
        return page == nullptr ? value_none
                               : (*page)[static_cast<std::size_t>(offset % page_size)].index;
    }
    /// Null when nothing near is known.
    [[nodiscard]] Slot* slot(std::int64_t offset) {
        const std::int64_t number = offset / page_size;
        if (number != last_number_ || last_ == nullptr) {
            const auto page = pages_.find(number);
            if (page == pages_.end()) return nullptr;
            last_number_ = number;
            last_ = page->second.get();
        }
        return &(*last_)[static_cast<std::size_t>(offset % page_size)];
    }
    void set(std::int64_t offset, ValueIndex index, std::uint64_t value) {
        const std::int64_t number = offset / page_size;
        if (number != last_number_ || last_ == nullptr) {
            auto& page = pages_[number];
            if (page == nullptr) page = std::make_unique<Page>();
            last_number_ = number;
            last_ = page.get();
        }
        (*last_)[static_cast<std::size_t>(offset % page_size)] = {value, index};
    }
    /// The first offset in [from, to) that holds a value, or `to`.
    [[nodiscard]] std::int64_t next(std::int64_t from, std::int64_t to) const {
        auto page = pages_.lower_bound(from / page_size);
        for (; page != pages_.end() && page->first * page_size < to; ++page) {
            const std::int64_t base = page->first * page_size;
            const std::int64_t begin = from > base ? from - base : 0;
            for (std::int64_t i = begin; i < page_size && base + i < to; ++i) {
                if ((*page->second)[static_cast<std::size_t>(i)].index != value_none)
                    return base + i;
            }
        }
        return to;
    }

  private:
    using Page = std::array<Slot, page_size>;

    [[nodiscard]] const Page* find(std::int64_t number) const {
        if (number == last_number_ && last_ != nullptr) return last_;
        const auto page = pages_.find(number);
        return page == pages_.end() ? nullptr : page->second.get();
    }

    std::map<std::int64_t, std::unique_ptr<Page>> pages_;
    std::int64_t last_number_ = -1;
    Page* last_ = nullptr;
};

struct OffsetRange {
    std::int64_t from = 0;
    std::int64_t to = 0;
};

struct Cut {
    std::int64_t end = 0;
    std::int32_t epoch = 0;
};

/// Offsets that a poll passed over, and that poll.
struct Gap {
    std::int64_t to = 0;
    Event poll;
};

/// A LATEST answer that was higher than those of its epoch before it.
struct LatestAnswer {
    std::uint64_t sequence = 0;
    std::int64_t offset = -1;
    Event witness;
};

/// Where a consumer is.
struct Position {
    std::int64_t next = -1;  // -1: anywhere
    Witness last;            // the poll or the reset that brought it there
    std::uint32_t losses_before = 0;
    std::int64_t lost_from = -1;  // the lowest record it has read and that was lost since; -1: none
};

/// Where each consumer is: found by index, as clients and partitions are numbered from 0.
class Positions {
  public:
    Position& of(std::int32_t client, std::int32_t partition) {
        return (*by_client_)[client][partition];
    }
    void clear() { by_client_ = std::make_unique<Dense<Dense<Position>>>(); }

  private:
    std::unique_ptr<Dense<Dense<Position>>> by_client_ = std::make_unique<Dense<Dense<Position>>>();
};

struct Partition {
    Slots slots;
    // The furthest place in the order that is complete: an append at o is place 2o + 1, a read with
    // high watermark t is place 2t.
    std::int64_t mark_place = -1;
    // Completions that moved the mark.
    Chunks<Witness, 7> witnesses;
    std::vector<OffsetRange> losses;                           // permitted, in order of time
    std::vector<Cut> cuts;                                     // permitted, in order of time
    std::map<std::int64_t, Gap> gaps;                          // by first offset
    std::map<std::int32_t, std::vector<LatestAnswer>> latest;  // by epoch
    std::uint64_t latest_count = 0;
    std::int64_t log_start_max = -1;
    std::int64_t fresh_end = 0;  // the end of what is known to have been written since the last cut
};

}  // namespace klamm::checkers
