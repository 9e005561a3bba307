#pragma once
// A file descriptor with an owner. Everything that still needs the file (a read or sync under way,
// a file range waiting to leave) holds a share of it, so that close() of the node's handle takes
// nothing away from them; the descriptor is closed with the last share.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace klamm::runtime {

/// What every use of a file says that nobody has open.
inline Error file_not_open() { return {Failure::closed, "the file is not open"}; }

class OpenFile {
  public:
    /// Takes the descriptor over; `path` is for error texts.
    OpenFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
    ~OpenFile();
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] const std::string& path() const { return path_; }

    /// Fills `out` from `position`; less only at the end of the file.
    [[nodiscard]] Result<std::size_t> read(std::uint64_t position, MutableByteView out) const;
    /// As read, but Failure::limit when any byte would have to come from the device, or when the
    /// file system cannot tell.
    [[nodiscard]] Result<std::size_t> read_if_cached(std::uint64_t position,
                                                     MutableByteView out) const;
    /// Writes `parts` one after another, gathered.
    [[nodiscard]] Status write(std::uint64_t position, std::span<const ByteView> parts) const;
    [[nodiscard]] Status truncate(std::uint64_t length) const;
    [[nodiscard]] Status allocate(std::uint64_t length) const;
    /// A lock of the open file description, which also meets the locks of other programs (Java's
    /// FileLock among them).
    [[nodiscard]] Status lock() const;
    void unlock() const;
    [[nodiscard]] Result<std::uint64_t> length() const;
    /// fdatasync: data, and of the metadata what finding the data again needs, the length included.
    /// Times are not kept, which nobody promised.
    [[nodiscard]] Status sync() const;

  private:
    int descriptor_;
    std::string path_;
};

using OpenFilePointer = std::shared_ptr<const OpenFile>;

}  // namespace klamm::runtime
