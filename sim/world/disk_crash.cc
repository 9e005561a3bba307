// What happens to a disk when its machine or its process ends: a kill within a turn takes the
// turn's operations back and applies a prefix again; a loss of power replays what was not synced,
// each name, truncate and unit by the rules of the disk's crash mode. Both report what is no longer
// as the page cache had it.

#include <algorithm>
#include <map>
#include <set>

#include "sim/world/disk_image.h"

namespace klamm::sim {

namespace {
constexpr DrawDomain name_domain = draw_domain("world.disk.name");
constexpr DrawDomain journal_domain = draw_domain("world.disk.journal");

struct Before {
    InodePointer inode;
    bool remembered;  // else the inode's content does not change
    Bytes content;
    std::uint64_t synced_length;
    std::uint64_t answered_length;
};

using Paths = std::map<std::string, InodePointer>;

template <class Changes>
std::map<std::string, Before> remember(const Paths& paths, const Changes& may_change) {
    std::map<std::string, Before> before;
    for (const auto& [path, inode] : paths) {
        Before was{inode, false, {}, 0, 0};
        if (!inode->is_directory()) {
            was.synced_length = inode->file.synced_length();
            was.answered_length = inode->file.answered_length();
            was.remembered = may_change(*inode);
            if (was.remembered) was.content = inode->file.live();
        }
        before.emplace_hint(before.end(), path, std::move(was));
    }
    return before;
}

DamageReport compare(const std::map<std::string, Before>& before, const Paths& after) {
    DamageReport report;
    for (const auto& [path, was] : before) {
        auto found = after.find(path);
        const bool is_directory = was.inode->is_directory();
        if (found == after.end()) {
            report.names.push_back({path, NameChange::lost});
        } else if (found->second != was.inode) {
            report.names.push_back({path, NameChange::replaced});
        }
        if (is_directory) continue;
        static const Bytes nothing;
        const bool there = found != after.end() && !found->second->is_directory();
        const Bytes& now = there ? found->second->file.live() : nothing;
        const bool same = there && found->second == was.inode;
        if (same && !was.remembered) continue;
        const Bytes& old = was.remembered ? was.content : was.inode->file.live();
        auto changed = differences(old, now);
        if (there && changed.empty()) continue;
        report.files.push_back({path, same ? was.synced_length : 0, old.size(), now.size(),
                                std::move(changed), same ? was.answered_length : 0});
    }
    for (const auto& [path, inode] : after)
        if (!before.contains(path)) report.names.push_back({path, NameChange::came_back});
    return report;
}
}  // namespace

// --- Where names are

// The path of a directory, with its last slash, in a tree whose directories are alike to cache and
// disk; nothing when it is not in the tree.
std::optional<std::string> DiskImage::path_of(const Inode& directory) const {
    if (&directory == root_.get()) return std::string();
    for (const Entry* place : directory.places) {
        if (place->live.get() != &directory) continue;
        auto above = path_of(*place->directory);
        if (above) return *above + place->name + "/";
    }
    return std::nullopt;
}

void DiskImage::add_names(Scope& scope, const NameChangeOp& change) {
    if (change.inode->is_directory()) scope.whole = true;
    if (change.from) scope.names.emplace_back(change.from, change.from_name);
    if (change.to) scope.names.emplace_back(change.to, change.to_name);
}

/// By path, on the given side: what the scope names.
Paths DiskImage::gather(const Scope& scope, EntrySide side) const {
    Paths paths;
    if (scope.whole) {
        collect(*root_, "", side, paths);
        return paths;
    }
    for (const InodePointer& file : scope.files)
        for (const Entry* place : file->places)
            if (place->*side == file)
                if (const auto above = path_of(*place->directory))
                    paths.emplace(*above + place->name, file);
    for (const auto& [directory, name] : scope.names) {
        const Entry* entry = directory->names->find(name);
        if (entry == nullptr || !(entry->*side) || (entry->*side)->is_directory()) continue;
        if (const auto above = path_of(*directory)) paths.emplace(*above + name, entry->*side);
    }
    return paths;
}

// --- A turn that is cut

void DiskImage::touch(const InodePointer& inode) {
    if (!recording_) [[likely]]
        return;
    if (std::find(touched_.begin(), touched_.end(), inode) == touched_.end())
        touched_.push_back(inode);
}

void DiskImage::touch_content(const InodePointer& inode) {
    touch(inode);
    if (!recording_) [[likely]]
        return;
    for (const ContentBackup& backup : contents_backup_)
        if (backup.inode == inode) return;
    contents_backup_.push_back({inode, inode->file, inode->reserved, std::nullopt});
    if (inode->blemishes) contents_backup_.back().blemishes = *inode->blemishes;
}

void DiskImage::begin_recording() {
    end_recording();
    recording_ = true;
    pending_backup_ = pending_names_.size();
    used_backup_ = used_;
}

void DiskImage::end_recording() {
    recording_ = false;
    operations_.clear();
    touched_.clear();
    contents_backup_.clear();
    names_backup_.clear();
    links_backup_.clear();
}

std::uint64_t DiskImage::recorded_bytes(std::size_t n) const {
    KLAMM_ASSERT(n < operations_.size());
    return operations_[n].bytes.size();
}

void DiskImage::take_back() {
    recording_ = false;
    for (auto name = names_backup_.rbegin(); name != names_backup_.rend(); ++name)
        name->directory->names->set_live(name->name, std::move(name->live));
    for (auto link = links_backup_.rbegin(); link != links_backup_.rend(); ++link)
        link->inode->linked = link->linked;
    for (ContentBackup& content : contents_backup_) {
        content.inode->file = std::move(content.file);
        content.inode->reserved = content.reserved;
        if (content.blemishes) *content.inode->blemishes = *content.blemishes;
    }
    misdirected_.clear();  // of earlier turns they have been taken
    KLAMM_ASSERT(pending_names_.size() >= pending_backup_);
    pending_names_.erase(pending_names_.begin() + static_cast<std::ptrdiff_t>(pending_backup_),
                         pending_names_.end());
    used_ = used_backup_;
}

void DiskImage::apply_again(const Recorded& operation, bool whole, std::uint64_t bytes) {
    switch (operation.kind) {
        case Recorded::Kind::name:
            if (whole) change_name(operation.name);
            break;
        case Recorded::Kind::write: {
            const std::uint64_t size = whole ? operation.bytes.size() : bytes;
            KLAMM_ASSERT(size <= operation.bytes.size());
            const ByteView part = ByteView(operation.bytes).first(size);
            if (size > 0) raw_write(operation.inode, operation.position, {&part, 1}, size);
            break;
        }
        case Recorded::Kind::truncate:
            if (whole) raw_truncate(operation.inode, operation.position);
            break;
        case Recorded::Kind::allocate:
            if (whole) (void)allocate(operation.inode, operation.position);
            break;
    }
}

DamageReport DiskImage::keep_prefix(std::size_t keep, std::uint64_t bytes) {
    KLAMM_ASSERT(recording_);
    KLAMM_ASSERT(keep <= operations_.size());
    Scope scope;
    for (const InodePointer& inode : touched_)
        if (!inode->is_directory()) scope.files.push_back(inode);
    for (const Recorded& operation : operations_)
        if (operation.kind == Recorded::Kind::name) add_names(scope, operation.name);
    std::set<const Inode*> touched;
    for (const InodePointer& inode : touched_) touched.insert(inode.get());
    const auto before = remember(gather(scope, &Entry::live),
                                 [&](const Inode& inode) { return touched.contains(&inode); });
    take_back();
    const std::vector<Recorded> operations = std::move(operations_);
    end_recording();
    for (std::size_t i = 0; i < operations.size() && i <= keep; ++i)
        apply_again(operations[i], i < keep, bytes);
    const Paths after = gather(scope, &Entry::live);
    looked_at_ = before.size() + after.size();
    return compare(before, after);
}

// --- Power

void DiskImage::recount(const Inode& directory) {
    for (const auto& entry : directory.names->entries()) {
        if (!entry->live) continue;
        Inode& inode = *entry->live;
        inode.linked = true;
        inode.reserved = 0;
        if (inode.is_directory())
            recount(inode);
        else
            used_ += footprint(inode);
    }
}

DiskImage::Scope DiskImage::scope_of_power_loss() const {
    Scope scope;
    for (const std::weak_ptr<Inode>& one : unsynced_)
        if (InodePointer inode = one.lock(); inode && !inode->file.is_durable())
            scope.files.push_back(std::move(inode));
    for (const Entry* entry : differing_) {
        const bool of_directories = (entry->live && entry->live->is_directory()) ||
                                    (entry->durable && entry->durable->is_directory());
        if (of_directories) scope.whole = true;
    }
    if (!scope.whole)
        for (const Entry* entry : differing_)
            scope.names.emplace_back(entry->directory->shared_from_this(), entry->name);
    for (const NameChangeOp& change : pending_names_) add_names(scope, change);
    return scope;
}

/// ext4_ordered: the place in the journal up to which everything survives, drawn among the
/// operations that are pending, so that every prefix of them occurs.
std::uint64_t DiskImage::draw_cut(const Paths& files, const Draws& draws,
                                  std::uint64_t entity) const {
    std::vector<std::uint64_t> pending;
    for (const NameChangeOp& change : pending_names_) pending.push_back(change.sequence);
    for (const auto& [path, inode] : files)
        if (!inode->is_directory() && inode->file.pending_max() > journal_.committed)
            inode->file.pending_sequences(pending);
    std::erase_if(pending, [this](std::uint64_t s) { return s <= journal_.committed; });
    std::sort(pending.begin(), pending.end());
    pending.erase(std::unique(pending.begin(), pending.end()), pending.end());
    const std::uint64_t n = draws.below(pending.size() + 1, journal_domain, entity, pending.size());
    return n == pending.size() ? journal_.sequence : pending[n] - 1;
}

/// Which of the pending names reach the disk.
void DiskImage::settle_names(const Draws& draws, std::uint64_t entity, std::uint64_t cut) {
    const bool ordered = journal_.mode == CrashMode::ext4_ordered;
    std::map<std::uint64_t, std::uint64_t> repeats;
    for (const NameChangeOp& change : pending_names_) {
        const std::uint64_t name = fold64(
            change.inode->key,
            digest64(as_bytes(change.to ? change.to_name : change.from_name), change.to ? 1 : 0));
        const bool kept = ordered ? change.sequence <= cut
                                  : draws.happens(options_.name_keep_rate, name_domain,
                                                  fold64(entity, name), repeats[name]++);
        if (kept) apply_durable(change);
    }
    pending_names_.clear();
}

void DiskImage::forget_unsynced() {
    for (const std::weak_ptr<Inode>& one : unsynced_)
        if (const InodePointer inode = one.lock()) inode->listed = false;
    unsynced_.clear();
}

DamageReport DiskImage::power_loss(const Draws& draws, std::uint64_t entity) {
    end_recording();
    Scope scope = scope_of_power_loss();
    const Paths paths = gather(scope, &Entry::live);
    const auto before =
        remember(paths, [](const Inode& inode) { return !inode.file.is_durable(); });
    const std::uint64_t cut = journal_.mode == CrashMode::ext4_ordered
                                  ? draw_cut(paths, draws, entity)
                                  : journal_.sequence;
    // Files whose name nobody has called durable, though syncs lie.
    std::set<const Inode*> unnamed;
    bool any_directory = false;
    for (const NameChangeOp& change : pending_names_) {
        if (!lied_ || answered(change)) continue;
        unnamed.insert(change.inode.get());
        any_directory = any_directory || change.inode->is_directory();
    }
    std::vector<FileDamage> blemished = blemished_files();
    settle_names(draws, entity, cut);
    const Paths survivors = gather(scope, &Entry::durable);
    const bool whole = scope.whole || any_reserved_;
    if (!whole)
        for (const auto& [path, inode] : paths) used_ -= footprint(*inode);
    // Nothing differs afterwards. A directory that is lost takes its entries out of the list.
    while (!differing_.empty()) {
        const Entry& entry = *differing_.back();
        entry.directory->names->set_live(entry.name, entry.durable);
    }
    std::vector<TruncateUndone> undone;
    for (const auto& [path, inode] : survivors) {
        if (inode->is_directory() || inode->file.is_durable()) continue;
        std::vector<TruncateUndone> of_file;
        inode->file.crash({&options_, draws, fold64(entity, inode->key), cut}, of_file);
        if (of_file.empty()) continue;
        std::string shown = path;
        for (const auto& [was_path, was] : before)
            if (was.inode == inode) shown = was_path;
        for (TruncateUndone& one : of_file) {
            one.path = shown;
            undone.push_back(std::move(one));
        }
    }
    forget_unsynced();
    journal_.committed = journal_.sequence;
    scope.files.clear();
    for (const Paths* side : {&paths, &survivors})
        for (const auto& [path, inode] : *side)
            if (!inode->is_directory()) scope.files.push_back(inode);
    const Paths after = gather(scope, &Entry::live);
    if (whole) {
        used_ = 0;
        recount(*root_);
        any_reserved_ = false;
    } else {
        for (const auto& [path, inode] : after) {
            inode->linked = true;
            used_ += footprint(*inode);
        }
    }
    looked_at_ = paths.size() + survivors.size() + after.size();
    DamageReport report = compare(before, after);
    report.truncates_undone = std::move(undone);
    report.blemished = std::move(blemished);
    if (lied_ && !any_directory)
        for (FileDamage& file : report.files) {
            const Before& was = before.at(file.path);
            if (!unnamed.contains(was.inode.get())) file.answered_length = was.answered_length;
        }
    return report;
}

}  // namespace klamm::sim
