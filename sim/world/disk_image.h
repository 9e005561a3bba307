#pragma once
// The disk of one simulated machine: a tree of names over file images, as the page cache shows it
// and as the disk would have it. Names are durable after a sync of their directory; a rename across
// directories after a sync of either. It acts and keeps the record; durations, failures and chance
// but for crashes are decided by who calls it.
//
// For a kill within a turn the turn's changes are recorded: first touch keeps the old state of an
// inode, and the operations can be applied again up to a prefix.

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/env/disk.h"
#include "sim/world/file_image.h"

namespace klamm::sim {

struct Inode;
using InodePointer = std::shared_ptr<Inode>;
using Entries = std::map<std::string, InodePointer, std::less<>>;

struct Inode {
    std::uint64_t key;  // of its draws: digest of the path it was made with
    bool is_directory;
    bool linked = true;
    std::uint64_t reserved = 0;
    FileImage file;
    Entries entries;  // of a directory: as the cache shows it
    Entries durable;  // as the disk has it
};

class DiskImage {
  public:
    explicit DiskImage(std::uint64_t key);

    void set_options(const DiskOptions& options);
    [[nodiscard]] const DiskOptions& options() const { return options_; }

    // Failures: not_found, exists (also: not empty), invalid (a bad path; a file for a directory or
    // the reverse), no_space.
    Result<InodePointer> open(std::string_view path, env::OpenMode mode);
    Status mkdir(std::string_view path);
    /// On no_space the prefix that fits is written. At most `limit` bytes are (a failing disk).
    Status write(const InodePointer& inode, std::uint64_t position, std::span<const ByteView> parts,
                 std::uint64_t limit = std::numeric_limits<std::uint64_t>::max());
    Status truncate(const InodePointer& inode, std::uint64_t length);
    Status rename(std::string_view from, std::string_view to);
    Status remove(std::string_view path);
    Status allocate(const InodePointer& inode, std::uint64_t length);
    [[nodiscard]] std::uint64_t used() const { return used_; }
    [[nodiscard]] std::uint64_t space() const;

    [[nodiscard]] InodePointer find(std::string_view path) const;
    Result<std::vector<env::DirectoryEntry>> list(std::string_view path) const;

    // --- Syncs: begun when called, completed later.
    struct SyncMark {
        std::uint64_t layer;
        std::uint64_t sequence;
    };
    SyncMark begin_sync(Inode& inode);
    void complete_sync(Inode& inode, SyncMark mark);
    void fail_sync(Inode& inode, SyncMark mark, const Draws& draws, std::uint64_t entity);

    // --- A turn that will be cut.
    void begin_recording();
    [[nodiscard]] std::size_t recorded() const { return operations_.size(); }
    /// Bytes of recorded operation `n`, 0 if it is no write.
    [[nodiscard]] std::uint64_t recorded_bytes(std::size_t n) const;
    /// Takes the recorded operations back and applies the first `keep` again, and of the next, if a
    /// write, `bytes`.
    DamageReport keep_prefix(std::size_t keep, std::uint64_t bytes);
    void end_recording();

    /// Loses power. `entity` names machine and incarnation.
    DamageReport power_loss(const Draws& draws, std::uint64_t entity);
    void wipe();

    // --- For judges and tests.
    [[nodiscard]] std::map<std::string, InodePointer> files() const;
    [[nodiscard]] std::vector<std::string> paths() const;
    [[nodiscard]] std::optional<Bytes> durable_bytes(std::string_view path) const;
    void put(std::string_view path, ByteView bytes);

  private:
    struct NameChangeOp {
        InodePointer from;  // directory that loses the name; nullptr: none
        std::string from_name;
        InodePointer to;  // directory that gains it; nullptr: none
        std::string to_name;
        InodePointer inode;
        std::uint64_t sequence;
    };
    struct Recorded {
        enum class Kind : std::uint8_t { name, write, truncate, allocate } kind;
        NameChangeOp name;
        InodePointer inode;
        std::uint64_t position = 0;  // or length
        Bytes bytes;
    };
    struct Backup {
        InodePointer inode;
        Inode state;
    };
    struct Place {
        InodePointer directory;
        std::string_view name;
    };

    InodePointer make_inode(std::string_view path, bool is_directory);
    [[nodiscard]] Result<Place> locate(std::string_view path) const;
    void change_name(NameChangeOp change);
    static void apply_durable(const NameChangeOp& change);
    void commit_names(const Inode* directory, std::uint64_t sequence);
    void touch(const InodePointer& inode);
    void raw_write(const InodePointer& inode, std::uint64_t position,
                   std::span<const ByteView> parts, std::uint64_t size);
    void raw_truncate(const InodePointer& inode, std::uint64_t length);
    [[nodiscard]] static std::uint64_t footprint(const Inode& inode);
    void link(Inode& inode, bool linked);
    static void collect(const Inode& directory, const std::string& prefix, bool durable,
                        std::map<std::string, InodePointer>& into);
    void recount(const Inode& directory);

    std::uint64_t key_;
    DiskOptions options_;
    Journal journal_;
    InodePointer root_;
    std::vector<NameChangeOp> pending_names_;
    std::uint64_t used_ = 0;

    bool recording_ = false;
    std::vector<Recorded> operations_;
    std::vector<Backup> backups_;
    std::vector<NameChangeOp> names_backup_;
    std::uint64_t used_backup_ = 0;
};

}  // namespace klamm::sim
