#pragma once
// The disk of one simulated machine: a tree of names over file images, as the page cache shows it
// and as the disk would have it. Names are durable after a sync of their directory; a rename across
// directories after a sync of either. It acts and keeps the record; durations, failures and chance
// but for crashes are decided by who calls it.
//
// For a kill within a turn the turn's changes are recorded: first touch keeps the old content of a
// file and the old meaning of a name, and the operations can be applied again up to a prefix.
//
// A crash costs what it may change: the unsynced files and the names that differ. Only where a
// directory's own name is among these is the whole tree gone through.

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/env/disk.h"
#include "sim/world/inode.h"

namespace klamm::sim {

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
    /// More was written than there is room for; only where space is looked for late.
    [[nodiscard]] bool overfull() const {
        return options_.allocates_late && used_ > options_.capacity_bytes;
    }

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
    /// The sync answers ok and has done nothing.
    void lie_about_sync(Inode& inode, SyncMark mark);

    // --- What the medium does. False where there is no such file, or no such place in it.
    /// Bytes read as `seen`; the file keeps what they should be.
    bool rot(std::string_view path, std::uint64_t position, ByteView seen);
    bool break_range(std::string_view path, ByteRange range);
    bool misdirect_next_write(std::string_view path, std::uint64_t lands_at);
    /// Writing back what is dirty fails though no sync asked for it: as after a sync that failed
    /// and told nobody. The next sync of the file writes what is dirty then, and answers io.
    bool fail_write_back(std::string_view path, const Draws& draws, std::uint64_t entity);
    /// What could not be read can be, and no write goes astray any more; rot stays.
    void mend();
    /// A write that went elsewhere: where it belongs and where it landed.
    struct Misdirected {
        InodePointer inode;
        ByteRange belongs;
        ByteRange landed;
    };
    /// Those since the last call. One that a cut turn took back is not among them.
    [[nodiscard]] std::vector<Misdirected> take_misdirected() {
        return std::exchange(misdirected_, {});
    }
    /// The file as a report has it, with `changed`; nothing when it has no name.
    [[nodiscard]] std::optional<FileDamage> describe(const InodePointer& inode,
                                                     std::vector<ByteRange> changed) const;
    /// Every file that reads otherwise than it should.
    [[nodiscard]] std::vector<FileDamage> blemished_files() const;

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
    /// How many names the last crash had to look at: the measure of its cost.
    [[nodiscard]] std::size_t looked_at() const { return looked_at_; }

    // --- For judges and tests.
    [[nodiscard]] std::map<std::string, InodePointer> files() const;
    [[nodiscard]] std::vector<std::string> paths() const;
    [[nodiscard]] std::optional<Bytes> durable_bytes(std::string_view path) const;
    void put(std::string_view path, ByteView bytes);
    /// Every file as a node reads it (what cannot be read: as it should be), by path.
    [[nodiscard]] std::map<std::string, Bytes> contents() const;

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
    struct ContentBackup {
        InodePointer inode;
        FileImage file;
        std::uint64_t reserved;
        std::optional<Blemishes> blemishes;
    };
    struct NameBackup {
        InodePointer directory;
        std::string name;
        InodePointer live;
    };
    struct LinkBackup {
        InodePointer inode;
        bool linked;
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
    void touch_content(const InodePointer& inode);
    void set_live(const InodePointer& directory, const std::string& name, InodePointer inode);
    void raw_write(const InodePointer& inode, std::uint64_t position,
                   std::span<const ByteView> parts, std::uint64_t size);
    void raw_truncate(const InodePointer& inode, std::uint64_t length);
    [[nodiscard]] static std::uint64_t footprint(const Inode& inode);
    void link(const InodePointer& inode, bool linked);
    void note_unsynced(const InodePointer& inode);
    [[nodiscard]] Inode* blemished(std::string_view path);
    void misdirect(const InodePointer& inode, std::uint64_t position, std::uint64_t lands_at,
                   std::uint64_t size, const Bytes& before);
    /// Whether a sync has said of this change of a name that it is durable.
    [[nodiscard]] bool answered(const NameChangeOp& change) const;
    void forget_synced();
    void forget_unsynced();
    void take_back();
    void apply_again(const Recorded& operation, bool whole, std::uint64_t bytes);
    [[nodiscard]] std::optional<std::string> path_of(const Inode& directory) const;
    static void collect(const Inode& directory, const std::string& prefix, EntrySide side,
                        std::map<std::string, InodePointer>& into);
    void recount(const Inode& directory);

    /// What a crash may change: all of the tree (`whole`), or these files and these names.
    struct Scope {
        bool whole = false;
        std::vector<InodePointer> files;
        std::vector<std::pair<InodePointer, std::string>> names;  // by directory
    };
    static void add_names(Scope& scope, const NameChangeOp& change);
    [[nodiscard]] std::map<std::string, InodePointer> gather(const Scope& scope,
                                                             EntrySide side) const;
    [[nodiscard]] Scope scope_of_power_loss() const;
    [[nodiscard]] std::uint64_t draw_cut(const std::map<std::string, InodePointer>& files,
                                         const Draws& draws, std::uint64_t entity) const;
    void settle_names(const Draws& draws, std::uint64_t entity, std::uint64_t cut);

    std::uint64_t key_;
    DiskOptions options_;
    Journal journal_;
    Differing differing_;
    InodePointer root_;
    std::vector<NameChangeOp> pending_names_;
    std::vector<std::weak_ptr<Inode>> unsynced_;  // every file that may have unsynced changes
    std::size_t unsynced_max_ = 0;                // at which those that have none are dropped
    bool any_reserved_ = false;
    std::uint64_t used_ = 0;
    bool blemished_ = false;  // some file is, or was
    bool lied_ = false;       // some sync has
    std::vector<Misdirected> misdirected_;

    std::size_t looked_at_ = 0;
    bool recording_ = false;
    std::vector<Recorded> operations_;
    std::vector<InodePointer> touched_;
    std::vector<ContentBackup> contents_backup_;
    std::vector<NameBackup> names_backup_;
    std::vector<LinkBackup> links_backup_;
    std::size_t pending_backup_ = 0;  // how many names were pending
    std::uint64_t used_backup_ = 0;
};

}  // namespace klamm::sim
