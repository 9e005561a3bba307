#pragma once
// Walks the batches of one log file in slices of bounded size. It checks only that a batch could
// stand there (length, magic, room in the file); checksums and offsets are the caller's.

#include "core/base/bytes.h"
#include "core/env/env.h"
#include "core/record/batch.h"

namespace klamm::storage {

class Scanner {
  public:
    enum class Step : std::uint8_t {
        batch,  // a whole batch, given in `batch`
        more,   // ask() for the next slice
        end,    // the range ends after the last batch
        bad,    // what stands at position() is no batch, or a cut one
    };

    void begin(env::FileId file, std::uint64_t from, std::uint64_t to, std::uint64_t slice_bytes);
    /// Asks the disk for the next slice.
    void ask(env::Disk& disk, env::Token token);
    Status take(const env::ReadDone& done);
    Step next(ByteView& batch);
    /// Where the batch last given begins, or where the scan stopped.
    [[nodiscard]] std::uint64_t position() const { return position_; }
    /// The bytes of the batch last given, sharing the slice.
    [[nodiscard]] Buffer share(ByteView batch) const { return slice_.slice_of(batch); }

  private:
    env::FileId file_ = env::FileId::none;
    std::uint64_t position_ = 0;
    std::uint64_t next_ = 0;  // of the first byte not walked over
    std::uint64_t to_ = 0;
    std::uint64_t slice_bytes_ = 0;
    std::uint64_t needed_ = 0;
    std::uint64_t slice_at_ = 0;
    Buffer slice_;
};

}  // namespace klamm::storage
