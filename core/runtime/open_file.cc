// See open_file.h.

#include "core/runtime/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/runtime/os_error.h"

namespace klamm::runtime {

namespace {

constexpr std::size_t parts_per_call_max = 64;
constexpr std::uint64_t position_max = INT64_MAX;

}  // namespace

OpenFile::~OpenFile() { ::close(descriptor_); }

Result<std::size_t> OpenFile::read(std::uint64_t position, MutableByteView out) const {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t n = ::pread(descriptor_, out.data() + done, out.size() - done,
                                  static_cast<off_t>(position + done));
        if (n == 0) break;
        if (n > 0) {
            done += static_cast<std::size_t>(n);
        } else if (errno != EINTR) {
            return error_from_errno(errno, "read", path_);
        }
    }
    return done;
}

Result<std::size_t> OpenFile::read_if_cached(std::uint64_t position, MutableByteView out) const {
    iovec part{out.data(), out.size()};
    const ssize_t n = ::preadv2(descriptor_, &part, 1, static_cast<off_t>(position), RWF_NOWAIT);
    if (n < 0) {
        if (errno == EAGAIN || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) {
            return Failure::limit;
        }
        return error_from_errno(errno, "read", path_);
    }
    const auto count = static_cast<std::size_t>(n);
    if (count < out.size()) {
        // Short for one of two reasons: the end of the file, or a page that is not in memory.
        const Result<std::uint64_t> end = length();
        if (!end.ok()) return end.error();
        if (position + count < *end) return Failure::limit;
    }
    return count;
}

Status OpenFile::write(std::uint64_t position, std::span<const ByteView> parts) const {
    std::size_t index = 0;
    std::size_t taken = 0;  // of parts[index]
    while (true) {
        std::array<iovec, parts_per_call_max> vectors;
        std::size_t count = 0;
        for (std::size_t i = index; i < parts.size() && count < vectors.size(); ++i) {
            const ByteView rest = i == index ? parts[i].subspan(taken) : parts[i];
            // The system does not write to what it is given here, though its type says so.
            if (!rest.empty()) {
                vectors[count++] = {const_cast<std::uint8_t*>(rest.data()), rest.size()};
            }
        }
        if (count == 0) return {};
        const ssize_t n = ::pwritev(descriptor_, vectors.data(), static_cast<int>(count),
                                    static_cast<off_t>(position));
        if (n < 0) {
            if (errno == EINTR) continue;
            return error_from_errno(errno, "write", path_);
        }
        position += static_cast<std::uint64_t>(n);
        auto left = static_cast<std::size_t>(n);
        while (index < parts.size() && left >= parts[index].size() - taken) {
            left -= parts[index].size() - taken;
            taken = 0;
            ++index;
        }
        taken += left;
    }
}

Status OpenFile::truncate(std::uint64_t length) const {
    if (length > position_max) return Failure::invalid;
    if (::ftruncate(descriptor_, static_cast<off_t>(length)) != 0) {
        return error_from_errno(errno, "truncate", path_);
    }
    return {};
}

Status OpenFile::allocate(std::uint64_t length) const {
    if (length == 0) return {};
    if (length > position_max) return Failure::invalid;
    while (::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(length)) != 0) {
        if (errno != EINTR) return error_from_errno(errno, "allocate", path_);
    }
    return {};
}

Status OpenFile::lock() const {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(descriptor_, F_OFD_SETLK, &whole) == 0) return {};
    if (errno == EAGAIN || errno == EACCES) {
        return Error{Failure::locked, "lock '" + path_ + "': somebody else holds it"};
    }
    return error_from_errno(errno, "lock", path_);
}

void OpenFile::unlock() const {
    struct flock whole {};
    whole.l_type = F_UNLCK;
    whole.l_whence = SEEK_SET;
    ::fcntl(descriptor_, F_OFD_SETLK, &whole);
}

Result<std::uint64_t> OpenFile::length() const {
    struct stat about {};
    if (::fstat(descriptor_, &about) != 0) return error_from_errno(errno, "length of", path_);
    return static_cast<std::uint64_t>(about.st_size);
}

Status OpenFile::sync() const {
    while (::fdatasync(descriptor_) != 0) {
        if (errno != EINTR) return error_from_errno(errno, "sync", path_);
    }
    return {};
}

}  // namespace klamm::runtime
