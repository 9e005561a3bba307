#pragma once
// Which transactions of a segment were aborted: what a reader with isolation.level=read_committed
// is told to leave out. The file `<base>.txnindex` has an entry for each, in the order of their
// markers; formats and rules are Kafka 4.1's (TransactionIndex, AbortedTxn).
//
// Always: an index is what the batches up to its segment's end make of it (see
// ProducerStateTable::append), so recovery makes it anew.

#include <cstdint>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"

namespace klamm::log {

constexpr std::size_t aborted_entry_bytes = 34;

struct AbortedTransaction {
    ProducerId producer{};
    Offset first{};        // of its records
    Offset last{};         // of its marker
    Offset last_stable{};  // when the marker was appended: everything below was decided
    friend bool operator==(const AbortedTransaction&, const AbortedTransaction&) = default;
};

class AbortedIndex {
  public:
    /// Its marker lies above those of all before it; one that is here already changes nothing.
    void append(const AbortedTransaction& aborted);
    [[nodiscard]] const std::vector<AbortedTransaction>& entries() const { return entries_; }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    void clear() { entries_.clear(); }
    /// Forgets those whose marker lies at or above `end`.
    void truncate(Offset end);

    /// Adds to `found` those that a reader of [from, to) may meet. False when the next segment's
    /// index may have more of them.
    bool collect(Offset from, Offset to, std::vector<AbortedTransaction>& found) const;

    /// The file's content from entry `first` on.
    [[nodiscard]] Bytes encode(std::size_t first) const;
    /// The reverse, of a segment of [base, end). Failure::corrupt unless the entries fill the file,
    /// rise, and have their markers in the segment.
    static Result<AbortedIndex> decode(ByteView bytes, Offset base, Offset end);

    friend bool operator==(const AbortedIndex&, const AbortedIndex&) = default;

  private:
    std::vector<AbortedTransaction> entries_;
};

}  // namespace klamm::log
