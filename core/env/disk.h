#pragma once
// The disk, as a node may use it. Paths are relative to the node's own root, with '/' between
// names.
//
// D calls act when made, in program order, and return their error. E calls are handed to the world
// in order after the turn and answered by an event with the caller's token. Both worlds promise
// this and no more:
//   a write is durable after a later sync of that file succeeds; a name after a sync of its
//   directory; a truncate too: unsynced, it may be undone and bring valid old bytes back. A failed
//   sync leaves the pages' fate unknown. A killed process leaves its page cache; a machine without
//   power keeps, loses or tears each unsynced unit on its own.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace klamm::env {

/// An open file of one incarnation of one shard. 0 is no file. Never reused within an incarnation.
enum class FileId : std::uint64_t { none = 0 };

/// Chosen by the node, handed back by the world, never looked into.
using Token = std::uint64_t;

enum class OpenMode : std::uint8_t {
    read,        // must exist
    write,       // must exist; read and write
    create,      // made if missing; read and write
    create_new,  // must not exist; read and write
};

struct DirectoryEntry {
    std::string name;  // last component only
    bool is_directory;
    std::uint64_t size;  // bytes; 0 for a directory
};

class Disk {
  public:
    virtual ~Disk() = default;

    // D: these act now.
    virtual Result<FileId> open(std::string_view path, OpenMode mode) = 0;
    /// Forgets the handle; writes stay in the page cache. Pending reads and syncs of it still
    /// answer.
    virtual void close(FileId file) = 0;
    /// Makes one directory; exists is an error, so is a missing parent.
    virtual Status mkdir(std::string_view path) = 0;
    /// Writes `parts` one after another from `position` on; beyond the end, the gap reads as zeros.
    /// On no_space or io a prefix may have been written.
    virtual Status write(FileId file, std::uint64_t position, std::span<const ByteView> parts) = 0;
    Status write(FileId file, std::uint64_t position, ByteView bytes) {
        return write(file, position, std::span<const ByteView>(&bytes, 1));
    }
    /// Cuts or extends (with zeros) to `length` bytes.
    virtual Status truncate(FileId file, std::uint64_t length) = 0;
    /// Atomically gives `from` the name `to`, replacing what was there. Directories too.
    virtual Status rename(std::string_view from, std::string_view to) = 0;
    /// Removes a file or an empty directory.
    virtual Status remove(std::string_view path) = 0;
    /// Reserves room for `length` bytes without changing the file's length.
    virtual Status allocate(FileId file, std::uint64_t length) = 0;
    /// Takes the file's exclusive lock until close or the process ends; locked when another process
    /// has it.
    virtual Status lock(FileId file) = 0;
    virtual Result<std::uint64_t> length(FileId file) = 0;
    /// Free bytes of the file system.
    virtual Result<std::uint64_t> space() = 0;
    /// Copies up to out.size() bytes at `position` if that needs no waiting. Returns the count
    /// (less than asked only at the end of the file), or Failure::limit when it would block: then
    /// use read().
    virtual Result<std::size_t> read_if_cached(FileId file, std::uint64_t position,
                                               MutableByteView out) = 0;

    // E: after the turn, in order; answered by ReadDone, Synced, Listed.
    /// Fills `out` from `position`; the count is less only at the end of the file.
    virtual void read(FileId file, std::uint64_t position, MutableBuffer out, Token token) = 0;
    /// Makes every write and truncate that returned before this call durable.
    virtual void sync(FileId file, Token token) = 0;
    /// Makes the names in this directory durable ("" is the root).
    virtual void sync_directory(std::string_view path, Token token) = 0;
    /// Entries in ascending order of their names.
    virtual void list(std::string_view path, Token token) = 0;
};

}  // namespace klamm::env
