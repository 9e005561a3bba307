#include "sim/world/disk_image.h"

#include <algorithm>

namespace klamm::sim {

namespace {
constexpr DrawDomain unit_size_domain = draw_domain("world.disk.unit_size");

bool valid_component(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find('\0') == std::string_view::npos;
}
}  // namespace

DiskImage::DiskImage(std::uint64_t key) : key_(key) { wipe(); }

void DiskImage::set_options(const DiskOptions& options) {
    options_ = options;
    journal_.mode = options.crash_mode;
}

void DiskImage::wipe() {
    end_recording();
    pending_names_.clear();
    used_ = 0;
    unsynced_.clear();
    any_reserved_ = false;
    root_ = make_inode("", true);
}

InodePointer DiskImage::make_inode(std::string_view path, bool is_directory) {
    const std::uint64_t key = digest64(as_bytes(path), key_);
    std::uint32_t unit = options_.unit_bytes;
    if (unit == 0) unit = Draws(key_).happens(500'000, unit_size_domain, key, 0) ? 512 : 4096;
    auto inode = std::make_shared<Inode>(key, unit);
    if (is_directory) inode->names = std::make_unique<NameTable>(*inode, differing_);
    return inode;
}

Result<DiskImage::Place> DiskImage::locate(std::string_view path) const {
    InodePointer directory = root_;
    for (;;) {
        const std::size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        if (!valid_component(name)) return Failure::invalid;
        if (slash == std::string_view::npos) return Place{std::move(directory), name};
        InodePointer found = directory->names->live(name);
        if (!found) return Failure::not_found;
        if (!found->is_directory()) return Failure::invalid;
        directory = std::move(found);
        path.remove_prefix(slash + 1);
    }
}

InodePointer DiskImage::find(std::string_view path) const {
    if (path.empty()) return root_;
    auto place = locate(path);
    if (!place) return nullptr;
    return place->directory->names->live(place->name);
}

Result<InodePointer> DiskImage::open(std::string_view path, env::OpenMode mode) {
    auto place = locate(path);
    if (!place) return place.error();
    if (InodePointer found = place->directory->names->live(place->name)) {
        if (mode == env::OpenMode::create_new) return Failure::exists;
        if (found->is_directory()) return Failure::invalid;
        return found;
    }
    if (mode == env::OpenMode::read || mode == env::OpenMode::write) return Failure::not_found;
    InodePointer inode = make_inode(path, false);
    inode->linked = false;
    change_name({nullptr, {}, place->directory, std::string(place->name), inode, 0});
    return inode;
}

Status DiskImage::mkdir(std::string_view path) {
    auto place = locate(path);
    if (!place) return place.error();
    if (place->directory->names->live(place->name)) return Failure::exists;
    InodePointer inode = make_inode(path, true);
    change_name({nullptr, {}, place->directory, std::string(place->name), inode, 0});
    return {};
}

Status DiskImage::rename(std::string_view from, std::string_view to) {
    auto source = locate(from);
    if (!source) return source.error();
    const InodePointer inode = source->directory->names->live(source->name);
    if (!inode) return Failure::not_found;
    auto target = locate(to);
    if (!target) return target.error();
    if (inode->is_directory() && to.size() > from.size() && to.starts_with(from) &&
        to[from.size()] == '/')
        return Failure::invalid;
    if (const InodePointer old = target->directory->names->live(target->name)) {
        if (old == inode) return {};
        if (old->is_directory() != inode->is_directory()) return Failure::invalid;
        if (old->is_directory() && old->names->live_count() > 0) return Failure::exists;
    }
    change_name({source->directory, std::string(source->name), target->directory,
                 std::string(target->name), inode, 0});
    return {};
}

Status DiskImage::remove(std::string_view path) {
    auto place = locate(path);
    if (!place) return place.error();
    const InodePointer inode = place->directory->names->live(place->name);
    if (!inode) return Failure::not_found;
    if (inode->is_directory() && inode->names->live_count() > 0) return Failure::exists;
    change_name({place->directory, std::string(place->name), nullptr, {}, inode, 0});
    return {};
}

void DiskImage::link(const InodePointer& inode, bool linked) {
    if (inode->linked == linked) return;
    if (recording_) links_backup_.push_back({inode, inode->linked});
    inode->linked = linked;
    if (linked)
        used_ += footprint(*inode);
    else
        used_ -= footprint(*inode);
}

std::uint64_t DiskImage::footprint(const Inode& inode) {
    return std::max(inode.file.length(), inode.reserved);
}

void DiskImage::set_live(const InodePointer& directory, const std::string& name,
                         InodePointer inode) {
    touch(directory);
    if (recording_) names_backup_.push_back({directory, name, directory->names->live(name)});
    directory->names->set_live(name, std::move(inode));
}

void DiskImage::change_name(NameChangeOp change) {
    touch(change.inode);
    if (change.from) set_live(change.from, change.from_name, nullptr);
    if (change.to) {
        if (const InodePointer old = change.to->names->live(change.to_name)) {
            touch(old);
            link(old, false);
        }
        set_live(change.to, change.to_name, change.inode);
        link(change.inode, true);
    } else {
        link(change.inode, false);
    }
    change.sequence = ++journal_.sequence;
    if (recording_) operations_.push_back({Recorded::Kind::name, change, nullptr, 0, {}});
    pending_names_.push_back(std::move(change));
}

Status DiskImage::write(const InodePointer& inode, std::uint64_t position,
                        std::span<const ByteView> parts, std::uint64_t limit) {
    std::uint64_t size = 0;
    for (const ByteView part : parts) size += part.size();
    std::uint64_t fits = std::min(size, limit);
    bool full = false;
    const std::uint64_t held = footprint(*inode);
    if (fits > 0 && position + fits > held && !options_.allocates_late) {
        const std::uint64_t room = held + space();
        if (position + fits > room) {
            full = true;
            fits = room > position ? room - position : 0;
        }
    }
    if (fits > 0) raw_write(inode, position, parts, fits);
    if (full) return Failure::no_space;
    return {};
}

void DiskImage::raw_write(const InodePointer& inode, std::uint64_t position,
                          std::span<const ByteView> parts, std::uint64_t size) {
    touch_content(inode);
    note_unsynced(inode);
    std::vector<ByteView> shorter;
    std::uint64_t total = 0;
    for (const ByteView part : parts) total += part.size();
    if (size < total) {
        std::uint64_t left = size;
        for (const ByteView part : parts) {
            const std::size_t take = std::min<std::uint64_t>(left, part.size());
            shorter.push_back(part.first(take));
            left -= take;
        }
        parts = shorter;
    }
    const std::uint64_t before = footprint(*inode);
    std::optional<std::uint64_t> lands_at;
    Bytes content_before;
    if (inode->blemishes) [[unlikely]] {
        inode->blemishes->rewritten(position, position + size);
        lands_at = inode->blemishes->take_misdirected();
        if (lands_at) content_before = inode->file.live();
    }
    inode->file.write(position, parts, journal_);
    if (lands_at) misdirect(inode, position, *lands_at, size, content_before);
    if (inode->linked) used_ += footprint(*inode) - before;
    if (!recording_) return;
    Recorded record{Recorded::Kind::write, {}, inode, position, {}};
    for (const ByteView part : parts)
        record.bytes.insert(record.bytes.end(), part.begin(), part.end());
    operations_.push_back(std::move(record));
}

Status DiskImage::truncate(const InodePointer& inode, std::uint64_t length) {
    const std::uint64_t held = footprint(*inode);
    if (length > held && length - held > space()) return Failure::no_space;
    raw_truncate(inode, length);
    return {};
}

void DiskImage::raw_truncate(const InodePointer& inode, std::uint64_t length) {
    touch_content(inode);
    note_unsynced(inode);
    const std::uint64_t before = footprint(*inode);
    if (length < inode->file.length()) inode->reserved = 0;
    if (inode->blemishes) inode->blemishes->rewritten(length, UINT64_MAX);
    inode->file.truncate(length, journal_);
    if (inode->linked) used_ = used_ - before + footprint(*inode);
    if (recording_) operations_.push_back({Recorded::Kind::truncate, {}, inode, length, {}});
}

Status DiskImage::allocate(const InodePointer& inode, std::uint64_t length) {
    const std::uint64_t held = footprint(*inode);
    if (length <= held) return {};
    if (length - held > space()) return Failure::no_space;
    touch_content(inode);
    inode->reserved = length;
    any_reserved_ = true;
    if (inode->linked) used_ += length - held;
    if (recording_) operations_.push_back({Recorded::Kind::allocate, {}, inode, length, {}});
    return {};
}

std::uint64_t DiskImage::space() const {
    return used_ < options_.capacity_bytes ? options_.capacity_bytes - used_ : 0;
}

Result<std::vector<env::DirectoryEntry>> DiskImage::list(std::string_view path) const {
    const InodePointer directory = find(path);
    if (!directory) return Failure::not_found;
    if (!directory->is_directory()) return Failure::invalid;
    std::vector<env::DirectoryEntry> result;
    result.reserve(directory->names->live_count());
    for (const auto& entry : directory->names->entries()) {
        if (!entry->live) continue;
        const bool is_directory = entry->live->is_directory();
        result.push_back(
            {entry->name, is_directory, is_directory ? 0 : entry->live->file.length()});
    }
    return result;
}

// Called before a change. What is synced meanwhile stays in the list until it has grown again.
void DiskImage::note_unsynced(const InodePointer& inode) {
    if (inode->listed) return;
    if (unsynced_.size() >= unsynced_max_) forget_synced();
    inode->listed = true;
    unsynced_.push_back(inode);
}

void DiskImage::forget_synced() {
    constexpr std::size_t unsynced_max_least = 64;
    std::erase_if(unsynced_, [](const std::weak_ptr<Inode>& one) {
        const InodePointer inode = one.lock();
        if (inode && !inode->file.is_durable()) return false;
        if (inode) inode->listed = false;
        return true;
    });
    unsynced_max_ = std::max(unsynced_max_least, 2 * unsynced_.size());
}

DiskImage::SyncMark DiskImage::begin_sync(Inode& inode) {
    return {inode.is_directory() ? 0 : inode.file.seal(), journal_.sequence++};
}

void DiskImage::complete_sync(Inode& inode, SyncMark mark) {
    if (!inode.is_directory()) inode.file.synced(mark.layer);
    if (journal_.mode == CrashMode::ext4_ordered) {
        journal_.committed = std::max(journal_.committed, mark.sequence);
        commit_names(nullptr, mark.sequence);
    } else if (inode.is_directory()) {
        commit_names(&inode, mark.sequence);
    }
}

void DiskImage::fail_sync(Inode& inode, SyncMark mark, const Draws& draws, std::uint64_t entity) {
    if (!inode.is_directory()) inode.file.sync_failed(mark.layer, draws, fold64(entity, inode.key));
}

void DiskImage::apply_durable(const NameChangeOp& change) {
    const InodePointer& inode = change.inode;
    if (change.from) {
        const Entry* entry = change.from->names->find(change.from_name);
        if (entry != nullptr && entry->durable == inode) {
            const bool emptied = change.to != nullptr || !inode->is_directory() ||
                                 inode->names->durable_count() == 0;
            if (emptied) change.from->names->set_durable(change.from_name, nullptr);
        } else if (change.to) {
            // An earlier rename of it was lost: it must not keep two names.
            const std::vector<Entry*> places = inode->places;
            for (Entry* place : places)
                if (place->directory == change.from.get() && place->durable == inode)
                    change.from->names->set_durable(std::string(place->name), nullptr);
        }
    }
    if (change.to) change.to->names->set_durable(change.to_name, inode);
}

void DiskImage::commit_names(const Inode* directory, std::uint64_t sequence) {
    std::erase_if(pending_names_, [&](const NameChangeOp& change) {
        const bool covered = change.sequence <= sequence &&
                             (directory == nullptr || change.from.get() == directory ||
                              change.to.get() == directory);
        if (covered) apply_durable(change);
        return covered;
    });
}

void DiskImage::collect(const Inode& directory, const std::string& prefix, EntrySide side,
                        std::map<std::string, InodePointer>& into) {
    for (const auto& entry : directory.names->entries()) {
        const InodePointer& inode = (*entry).*side;
        if (!inode) continue;
        if (inode->is_directory()) {
            into.emplace(prefix + entry->name + "/", inode);
            collect(*inode, prefix + entry->name + "/", side, into);
        } else {
            into.emplace(prefix + entry->name, inode);
        }
    }
}

std::map<std::string, InodePointer> DiskImage::files() const {
    std::map<std::string, InodePointer> all;
    collect(*root_, "", &Entry::live, all);
    return all;
}

std::vector<std::string> DiskImage::paths() const {
    std::vector<std::string> result;
    for (const auto& [path, inode] : files()) result.push_back(path);
    return result;
}

std::optional<Bytes> DiskImage::durable_bytes(std::string_view path) const {
    std::map<std::string, InodePointer> all;
    collect(*root_, "", &Entry::durable, all);
    auto found = all.find(std::string(path));
    if (found == all.end() || found->second->is_directory()) return std::nullopt;
    return found->second->file.durable();
}

void DiskImage::put(std::string_view path, ByteView bytes) {
    InodePointer directory = root_;
    std::string_view rest = path;
    std::string so_far;
    for (std::size_t slash = rest.find('/'); slash != std::string_view::npos;
         slash = rest.find('/')) {
        const std::string name(rest.substr(0, slash));
        so_far += name;
        InodePointer next = directory->names->live(name);
        if (!next) next = make_inode(so_far, true);
        KLAMM_ASSERT(next->is_directory());
        directory->names->set_live(name, next);
        directory->names->set_durable(name, next);
        directory = std::move(next);
        so_far += '/';
        rest.remove_prefix(slash + 1);
    }
    InodePointer inode = directory->names->live(rest);
    if (!inode) inode = make_inode(path, false);
    KLAMM_ASSERT(!inode->is_directory());
    directory->names->set_live(rest, inode);
    directory->names->set_durable(rest, inode);
    used_ -= std::min(used_, footprint(*inode));
    inode->file.put(bytes);
    used_ += footprint(*inode);
}

}  // namespace klamm::sim
