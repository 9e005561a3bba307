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
};

using Paths = std::map<std::string, InodePointer>;

/// Names that may come to mean something else, by directory.
using Names = std::map<Inode*, std::set<std::string, std::less<>>>;

/// Adds the names that mean different things in the cache and on the disk. False when a directory
/// is among them, so that whole trees may move.
bool add_differing(Inode& directory, Names& names) {
    auto live = directory.entries.begin();
    auto durable = directory.durable.begin();
    while (live != directory.entries.end() || durable != directory.durable.end()) {
        const int order = live == directory.entries.end() ? 1
                          : durable == directory.durable.end()
                              ? -1
                              : live->first.compare(durable->first);
        if (order == 0 && live->second == durable->second) {
            if (live->second->is_directory && !add_differing(*live->second, names)) return false;
            ++live;
            ++durable;
            continue;
        }
        if (order <= 0) {
            if (live->second->is_directory) return false;
            names[&directory].insert((live++)->first);
        }
        if (order >= 0) {
            if (durable->second->is_directory) return false;
            names[&directory].insert((durable++)->first);
        }
    }
    return true;
}

/// The paths that `narrow` leaves: of files that may change and of names in `names`. Without it,
/// all. What is left out costs no more than a look.
template <class Changes>
void gather(Inode& directory, const std::string& prefix, Entries Inode::*which, const Names* narrow,
            const Changes& may_change, Paths& into) {
    const std::set<std::string, std::less<>>* named = nullptr;
    if (narrow != nullptr)
        if (const auto row = narrow->find(&directory); row != narrow->end()) named = &row->second;
    for (const auto& [name, inode] : directory.*which) {
        if (inode->is_directory) {
            const std::string path = prefix + name + "/";
            if (narrow == nullptr) into.emplace(path, inode);
            gather(*inode, path, which, narrow, may_change, into);
        } else if (narrow == nullptr || may_change(*inode) ||
                   (named != nullptr && named->contains(name))) {
            into.emplace(prefix + name, inode);
        }
    }
}

template <class Changes>
std::map<std::string, Before> remember(const Paths& paths, const Changes& may_change) {
    std::map<std::string, Before> before;
    for (const auto& [path, inode] : paths) {
        Before was{inode, false, {}, 0};
        if (!inode->is_directory) {
            was.synced_length = inode->file.synced_length();
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
        const bool is_directory = was.inode->is_directory;
        if (found == after.end()) {
            report.names.push_back({path, NameChange::lost});
        } else if (found->second != was.inode) {
            report.names.push_back({path, NameChange::replaced});
        }
        if (is_directory) continue;
        static const Bytes nothing;
        const bool there = found != after.end() && !found->second->is_directory;
        const Bytes& now = there ? found->second->file.live() : nothing;
        const bool same = there && found->second == was.inode;
        if (same && !was.remembered) continue;
        const Bytes& old = was.remembered ? was.content : was.inode->file.live();
        auto changed = differences(old, now);
        if (there && changed.empty()) continue;
        report.files.push_back(
            {path, same ? was.synced_length : 0, old.size(), now.size(), std::move(changed)});
    }
    for (const auto& [path, inode] : after)
        if (!before.contains(path)) report.names.push_back({path, NameChange::came_back});
    return report;
}
}  // namespace

void DiskImage::touch(const InodePointer& inode) {
    if (!recording_) [[likely]]
        return;
    for (const Backup& backup : backups_)
        if (backup.inode == inode) return;
    backups_.push_back({inode, *inode});
}

void DiskImage::begin_recording() {
    end_recording();
    recording_ = true;
    names_backup_ = pending_names_;
    used_backup_ = used_;
}

void DiskImage::end_recording() {
    recording_ = false;
    operations_.clear();
    backups_.clear();
    names_backup_.clear();
}

std::uint64_t DiskImage::recorded_bytes(std::size_t n) const {
    KLAMM_ASSERT(n < operations_.size());
    return operations_[n].bytes.size();
}

DamageReport DiskImage::keep_prefix(std::size_t keep, std::uint64_t bytes) {
    KLAMM_ASSERT(recording_);
    KLAMM_ASSERT(keep <= operations_.size());
    std::set<const Inode*> touched;
    for (const Backup& backup : backups_) touched.insert(backup.inode.get());
    const auto may_change = [&](const Inode& inode) { return touched.contains(&inode); };
    Names names;
    bool narrow = true;
    for (const Recorded& operation : operations_) {
        if (operation.kind != Recorded::Kind::name) continue;
        const NameChangeOp& change = operation.name;
        if (change.inode->is_directory) narrow = false;
        if (change.from) names[change.from.get()].insert(change.from_name);
        if (change.to) names[change.to.get()].insert(change.to_name);
    }
    Paths paths;
    gather(*root_, "", &Inode::entries, narrow ? &names : nullptr, may_change, paths);
    const auto before = remember(paths, may_change);
    recording_ = false;
    for (Backup& backup : backups_) *backup.inode = std::move(backup.state);
    pending_names_ = std::move(names_backup_);
    used_ = used_backup_;
    const std::vector<Recorded> operations = std::move(operations_);
    end_recording();
    for (std::size_t i = 0; i < operations.size() && i <= keep; ++i) {
        const Recorded& operation = operations[i];
        const bool whole = i < keep;
        const std::uint64_t size = whole ? operation.bytes.size() : bytes;
        switch (operation.kind) {
            case Recorded::Kind::name:
                if (whole) change_name(operation.name);
                break;
            case Recorded::Kind::write: {
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
    Paths after;
    gather(*root_, "", &Inode::entries, narrow ? &names : nullptr, may_change, after);
    return compare(before, after);
}

void DiskImage::recount(const Inode& directory) {
    for (const auto& [name, inode] : directory.entries) {
        inode->linked = true;
        inode->reserved = 0;
        if (inode->is_directory)
            recount(*inode);
        else
            used_ += footprint(*inode);
    }
}

DamageReport DiskImage::power_loss(const Draws& draws, std::uint64_t entity) {
    end_recording();
    const auto not_durable = [](const Inode& inode) { return !inode.file.is_durable(); };
    Names names;
    bool narrow = add_differing(*root_, names);
    for (const NameChangeOp& change : pending_names_) {
        if (change.inode->is_directory) narrow = false;
        if (change.from) names[change.from.get()].insert(change.from_name);
        if (change.to) names[change.to.get()].insert(change.to_name);
    }
    const Names* only = narrow ? &names : nullptr;
    Paths paths;
    gather(*root_, "", &Inode::entries, only, not_durable, paths);
    const auto before = remember(paths, not_durable);
    const bool ordered = journal_.mode == CrashMode::ext4_ordered;
    std::uint64_t cut = journal_.sequence;
    if (ordered) {
        // Draw among the operations that are pending, so that every prefix of them occurs.
        std::vector<std::uint64_t> pending;
        for (const NameChangeOp& change : pending_names_) pending.push_back(change.sequence);
        for (const auto& [path, was] : before)
            if (!was.inode->is_directory && was.inode->file.pending_max() > journal_.committed)
                was.inode->file.pending_sequences(pending);
        std::erase_if(pending, [this](std::uint64_t s) { return s <= journal_.committed; });
        std::sort(pending.begin(), pending.end());
        pending.erase(std::unique(pending.begin(), pending.end()), pending.end());
        const std::uint64_t n =
            draws.below(pending.size() + 1, journal_domain, entity, pending.size());
        cut = n == pending.size() ? journal_.sequence : pending[n] - 1;
    }
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
    Paths survivors;
    gather(*root_, "", &Inode::durable, only, not_durable, survivors);
    std::set<const Inode*> touched;
    for (const auto& [path, was] : before) touched.insert(was.inode.get());
    for (const auto& [path, inode] : survivors) touched.insert(inode.get());
    if (narrow) {
        for (const auto& [directory, changed] : names) {
            for (const std::string& name : changed) {
                const auto kept = directory->durable.find(name);
                if (kept == directory->durable.end())
                    directory->entries.erase(name);
                else
                    directory->entries[name] = kept->second;
            }
        }
    } else {
        root_->entries = root_->durable;
    }
    std::vector<TruncateUndone> undone;
    std::map<const Inode*, bool> seen;
    for (const auto& [path, inode] : survivors) {
        if (!seen.emplace(inode.get(), true).second) continue;
        if (inode->is_directory) {
            inode->entries = inode->durable;
            continue;
        }
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
    used_ = 0;
    recount(*root_);
    journal_.committed = journal_.sequence;
    Paths after;
    gather(
        *root_, "", &Inode::entries, only,
        [&](const Inode& inode) { return touched.contains(&inode); }, after);
    DamageReport report = compare(before, after);
    report.truncates_undone = std::move(undone);
    return report;
}

}  // namespace klamm::sim
