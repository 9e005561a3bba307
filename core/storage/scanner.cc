// See scanner.h. A slice is read again from the first byte not walked over, so a batch that a slice
// cuts is read whole the next time; a batch larger than a slice gets a slice of its own size.

#include "core/storage/scanner.h"

#include <algorithm>

namespace klamm::storage {

void Scanner::begin(env::FileId file, std::uint64_t from, std::uint64_t to,
                    std::uint64_t slice_bytes) {
    KLAMM_ASSERT(from <= to);
    file_ = file;
    position_ = next_ = slice_at_ = from;
    to_ = to;
    slice_bytes_ = std::max<std::uint64_t>(slice_bytes, record::batch_prefix_bytes);
    needed_ = 0;
    slice_ = {};
}

void Scanner::ask(env::Disk& disk, env::Token token) {
    const std::uint64_t size = std::min(to_ - next_, std::max(slice_bytes_, needed_));
    KLAMM_ASSERT(size > 0);
    disk.read(file_, next_, MutableBuffer(static_cast<std::size_t>(size)), token);
}

Status Scanner::take(const env::ReadDone& done) {
    if (!done.count.ok()) return done.count.error();
    slice_ = done.out.freeze(*done.count);
    slice_at_ = next_;
    // A short answer means that the file ends there, whatever its length was said to be.
    if (*done.count < done.out.size()) to_ = next_ + *done.count;
    return {};
}

Scanner::Step Scanner::next(ByteView& batch) {
    position_ = next_;
    if (next_ == to_) return Step::end;
    const ByteView rest = slice_.view().subspan(static_cast<std::size_t>(next_ - slice_at_));
    std::size_t size = 0;
    switch (record::peek_batch(rest, size)) {
        case record::Peek::bad: return Step::bad;
        case record::Peek::incomplete:
            if (size > to_ - next_) return Step::bad;
            needed_ = size;
            return Step::more;
        case record::Peek::ok: break;
    }
    batch = rest.first(size);
    next_ += size;
    return Step::batch;
}

}  // namespace klamm::storage
