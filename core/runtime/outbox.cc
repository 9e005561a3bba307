// See outbox.h.

#include "core/runtime/outbox.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace klamm::runtime {

namespace {

constexpr std::size_t buffers_per_call_max = 64;

}  // namespace

void Outbox::push(std::vector<PinnedPiece> pieces, env::Token token) {
    for (PinnedPiece& piece : pieces) {
        if (auto* buffer = std::get_if<Buffer>(&piece)) {
            if (!buffer->empty()) entries_.emplace_back(std::move(*buffer));
        } else if (auto* range = std::get_if<PinnedRange>(&piece)) {
            if (range->length > 0) entries_.emplace_back(std::move(*range));
        }
    }
    if (token != 0) entries_.emplace_back(Mark{token});
}

Pumped Outbox::pump(int socket, std::vector<env::Token>& drained) {
    std::uint64_t budget = pump_bytes_max;
    while (!entries_.empty()) {
        Step step = Step::went_on;
        if (const Mark* mark = std::get_if<Mark>(&entries_.front())) {
            drained.push_back(mark->token);
            entries_.pop_front();
            continue;
        }
        if (budget == 0) return Pumped::paused;
        if (std::holds_alternative<Buffer>(entries_.front()) || read_small(entries_.front())) {
            step = pump_buffers(socket, budget);
        } else {
            step = pump_range(socket, budget);
        }
        if (step == Step::blocked) return Pumped::blocked;
        if (step == Step::broken) return Pumped::broken;
    }
    return Pumped::all;
}

bool Outbox::read_small(Entry& entry) {
    const PinnedRange* range = std::get_if<PinnedRange>(&entry);
    if (range == nullptr || range->file == nullptr) return false;
    if (range->length > range_read_bytes_max) return false;
    const MutableBuffer bytes(static_cast<std::size_t>(range->length));
    const Result<std::size_t> count = range->file->read(range->position, bytes.span());
    if (!count.ok() || *count < bytes.size()) return false;
    entry = bytes.freeze();
    return true;
}

Outbox::Step Outbox::pump_buffers(int socket, std::uint64_t& budget) {
    std::array<iovec, buffers_per_call_max> vectors;
    std::size_t count = 0;
    bool more = false;  // a file range follows: the head of a frame waits for its body
    for (Entry& entry : entries_) {
        if (std::holds_alternative<Mark>(entry)) continue;
        if (count == vectors.size()) break;
        more = !std::holds_alternative<Buffer>(entry) && !read_small(entry);
        if (more) break;
        const Buffer* buffer = std::get_if<Buffer>(&entry);
        // The system does not write to what it is given here, though its type says so.
        vectors[count++] = {const_cast<std::uint8_t*>(buffer->data()), buffer->size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t n =
        ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    if (n < 0) {
        if (errno == EINTR) return Step::went_on;
        return errno == EAGAIN || errno == EWOULDBLOCK ? Step::blocked : Step::broken;
    }
    budget -= std::min(budget, static_cast<std::uint64_t>(n));
    // Marks between the buffers stay for pump(), so only the front run of buffers is taken here.
    auto left = static_cast<std::size_t>(n);
    for (auto entry = entries_.begin(); left > 0;) {
        auto* buffer = std::get_if<Buffer>(&*entry);
        if (buffer == nullptr) {
            ++entry;
            continue;
        }
        const std::size_t taken = std::min(left, buffer->size());
        left -= taken;
        if (taken < buffer->size()) {
            *buffer = buffer->slice(taken, buffer->size() - taken);
            ++entry;
        } else {
            entry = entries_.erase(entry);
        }
    }
    return Step::went_on;
}

Outbox::Step Outbox::pump_range(int socket, std::uint64_t& budget) {
    PinnedRange& range = std::get<PinnedRange>(entries_.front());
    if (range.file == nullptr) return Step::broken;
    auto position = static_cast<off_t>(range.position);
    const auto count = static_cast<std::size_t>(std::min(range.length, budget));
    const ssize_t n = ::sendfile(socket, range.file->descriptor(), &position, count);
    if (n < 0) {
        if (errno == EINTR) return Step::went_on;
        return errno == EAGAIN || errno == EWOULDBLOCK ? Step::blocked : Step::broken;
    }
    if (n == 0) return Step::broken;  // the file ends before its range does
    const auto taken = static_cast<std::uint64_t>(n);
    budget -= taken;
    range.position += taken;
    range.length -= taken;
    if (range.length == 0) entries_.pop_front();
    return Step::went_on;
}

}  // namespace klamm::runtime
