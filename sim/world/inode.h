#pragma once
// Files and directories of a simulated disk, and the names that mean them. A name in a directory
// means one inode to the page cache and perhaps another to the disk; where the two differ the entry
// stands in the disk's list, so that a loss of power looks at those names and at no others.
//
// Always holds: an entry that means nothing to either is gone; an inode knows every entry that
// means it; entries are ordered by name, and the hash table is for finding only.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "sim/world/blemishes.h"
#include "sim/world/file_image.h"

namespace klamm::sim {

struct Inode;
using InodePointer = std::shared_ptr<Inode>;

struct Entry {
    static constexpr std::size_t alike = static_cast<std::size_t>(-1);

    Inode* directory;
    std::string name;
    InodePointer live;            // what it means in the page cache
    InodePointer durable;         // what it means on the disk
    std::size_t differs = alike;  // place in the disk's list of those that differ
};

/// Either side of an entry.
using EntrySide = InodePointer Entry::*;

/// The entries of one disk that mean different things to its cache and to itself, in no order.
using Differing = std::vector<Entry*>;

/// The names in one directory.
class NameTable {
  public:
    NameTable(Inode& owner, Differing& differing) : owner_(owner), differing_(differing) {}
    ~NameTable();
    NameTable(const NameTable&) = delete;
    NameTable& operator=(const NameTable&) = delete;

    /// nullptr when neither the cache nor the disk has the name.
    [[nodiscard]] Entry* find(std::string_view name) const;
    /// What the name means in the cache; nullptr: nothing.
    [[nodiscard]] InodePointer live(std::string_view name) const;
    void set_live(std::string_view name, InodePointer inode);
    void set_durable(std::string_view name, InodePointer inode);
    /// By name.
    [[nodiscard]] const std::vector<std::unique_ptr<Entry>>& entries() const { return ordered_; }
    [[nodiscard]] std::size_t live_count() const { return live_count_; }
    [[nodiscard]] std::size_t durable_count() const { return durable_count_; }

  private:
    using Ordered = std::vector<std::unique_ptr<Entry>>;

    [[nodiscard]] Ordered::iterator place_of(std::string_view name);
    void set(std::string_view name, EntrySide side, InodePointer inode);
    void note(Entry& entry);

    Inode& owner_;
    Differing& differing_;
    Ordered ordered_;
    std::unordered_map<std::string_view, Entry*> by_name_;
    std::size_t live_count_ = 0;
    std::size_t durable_count_ = 0;
};

struct Inode : std::enable_shared_from_this<Inode> {
    Inode(std::uint64_t key_, std::uint32_t unit_bytes) : key(key_), file(unit_bytes) {}
    Inode(const Inode&) = delete;
    Inode& operator=(const Inode&) = delete;

    [[nodiscard]] bool is_directory() const { return names != nullptr; }
    /// Reads as a node does; gives how much. Failure::io where the medium cannot be read.
    Result<std::size_t> read(std::uint64_t position, MutableByteView out) const;

    std::uint64_t key;  // of its draws: digest of the path it was made with
    bool linked = true;
    bool listed = false;  // among the disk's files that may have unsynced changes
    std::uint64_t reserved = 0;
    FileImage file;
    bool write_back_failed = false;        // told by the next sync, once
    std::uint64_t lied_names = 0;          // of a directory: names up to here are said to be synced
    std::unique_ptr<NameTable> names;      // of a directory
    std::unique_ptr<Blemishes> blemishes;  // nullptr: the medium is sound
    std::vector<Entry*> places;            // the entries that mean it
};

}  // namespace klamm::sim
