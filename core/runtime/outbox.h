#pragma once
// What waits to leave on one connection: buffers and pinned file ranges, in order. pump() hands the
// socket as much as it takes without waiting: runs of buffers and small file ranges gathered into
// one call, larger ranges by sendfile, both read only now. It knows no loop; who owns it waits for
// the socket. Not bounded here: a node bounds what it queues by the Drained events it waits for.

#include <cstdint>
#include <deque>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/env/disk.h"
#include "core/runtime/open_file.h"

namespace klamm::runtime {

/// A file range with its share of the file; no file (the node named one that is not open) breaks
/// the connection when its turn comes.
struct PinnedRange {
    OpenFilePointer file;
    std::uint64_t position;
    std::uint64_t length;
};

using PinnedPiece = std::variant<Buffer, PinnedRange>;

/// Bytes that one pump hands over at most, so that other connections get their turns.
constexpr std::uint64_t pump_bytes_max = 4U << 20;
/// Up to here reading a range, to send it with what stands around it in one call, costs less than
/// sendfile and two more calls (tests/bench/broker_bench.cc).
constexpr std::uint64_t range_read_bytes_max = 32U << 10;

enum class Pumped : std::uint8_t {
    all,      // nothing waits any more
    blocked,  // the socket takes no more for now
    paused,   // pump_bytes_max is reached; the socket may take more
    broken,   // the socket failed, or a file is shorter than its range
};

class Outbox {
  public:
    [[nodiscard]] bool empty() const { return entries_.empty(); }

    /// Queues `pieces`; `token` other than 0 is reported by pump() once the last byte has been
    /// handed over.
    void push(std::vector<PinnedPiece> pieces, env::Token token);

    /// Hands over what `socket` (non-blocking) takes; appends the tokens of what has left to
    /// `drained`.
    Pumped pump(int socket, std::vector<env::Token>& drained);

    /// Forgets everything, and gives up the shares of the files.
    void clear() { entries_.clear(); }

  private:
    /// The end of one push, reported when nothing is before it.
    struct Mark {
        env::Token token;
    };
    using Entry = std::variant<Buffer, PinnedRange, Mark>;
    enum class Step : std::uint8_t { went_on, blocked, broken };

    /// Turns a small range into a buffer; false, and nothing changed, where that cannot be.
    static bool read_small(Entry& entry);
    Step pump_buffers(int socket, std::uint64_t& budget);
    Step pump_range(int socket, std::uint64_t& budget);

    std::deque<Entry> entries_;
};

}  // namespace klamm::runtime
