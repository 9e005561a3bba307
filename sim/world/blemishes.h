#pragma once
// What is wrong with the medium under one file: bytes that read as others (rot, writes that went
// elsewhere) and ranges that cannot be read at all. The file itself keeps the pristine bytes: a
// blemish is laid over them when they are read, the same each time, in whatever incarnation.
//
// A write over a byte that reads wrongly heals it, for good: a loss of power that loses the write
// does not bring the blemish back. A range that cannot be read stays so.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "sim/world/observer.h"

namespace klamm::sim {

class Blemishes {
  public:
    /// The byte at `position`, `pristine` in the file, reads as `seen`.
    void lay(std::uint64_t position, std::uint8_t pristine, std::uint8_t seen);
    /// What overlaps `range` cannot be read.
    void break_range(ByteRange range) { broken_.push_back(range); }
    /// The next write of the file lands at this position: there it is what is read, and where it
    /// belongs the bytes before it are.
    void misdirect(std::uint64_t lands_at) { lands_at_ = lands_at; }
    std::optional<std::uint64_t> take_misdirected() { return std::exchange(lands_at_, {}); }

    void rewritten(std::uint64_t from, std::uint64_t to);
    /// All of it can be read again, and no write is waited for.
    void mend();
    /// What reads otherwise than it should: ascending and apart.
    [[nodiscard]] std::vector<ByteRange> wrong() const;
    [[nodiscard]] bool broken(ByteRange range) const;
    /// Lays the blemishes over pristine bytes that were read from `position`.
    void show(std::uint64_t position, MutableByteView bytes) const;

  private:
    std::map<std::uint64_t, std::uint8_t> flips_;  // position → bits
    std::vector<ByteRange> broken_;
    std::optional<std::uint64_t> lands_at_;
};

}  // namespace klamm::sim
