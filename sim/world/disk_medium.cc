// What the medium does to a disk by itself: see blemishes.h for how it is kept.

#include <algorithm>

#include "sim/world/disk_image.h"

namespace klamm::sim {

/// The file, with blemishes to lay upon; nullptr: there is none.
Inode* DiskImage::blemished(std::string_view path) {
    const InodePointer inode = find(path);
    if (!inode || inode->is_directory()) return nullptr;
    if (!inode->blemishes) inode->blemishes = std::make_unique<Blemishes>();
    blemished_ = true;
    return inode.get();
}

bool DiskImage::rot(std::string_view path, std::uint64_t position, ByteView seen) {
    Inode* inode = blemished(path);
    if (inode == nullptr || position > inode->file.length() ||
        seen.size() > inode->file.length() - position)
        return false;
    for (std::size_t i = 0; i < seen.size(); ++i)
        inode->blemishes->lay(position + i, inode->file.live()[position + i], seen[i]);
    return true;
}

bool DiskImage::break_range(std::string_view path, ByteRange range) {
    Inode* inode = blemished(path);
    if (inode == nullptr || range.from >= range.to) return false;
    inode->blemishes->break_range(range);
    return true;
}

bool DiskImage::misdirect_next_write(std::string_view path, std::uint64_t lands_at) {
    Inode* inode = blemished(path);
    if (inode == nullptr) return false;
    inode->blemishes->misdirect(lands_at);
    return true;
}

void DiskImage::misdirect(const InodePointer& target, std::uint64_t position,
                          std::uint64_t lands_at, std::uint64_t size, const Bytes& before) {
    Inode& inode = *target;
    const Bytes& live = inode.file.live();
    misdirected_.push_back({target,
                            {position, position + size},
                            {std::min<std::uint64_t>(lands_at, live.size()),
                             std::min<std::uint64_t>(lands_at + size, live.size())}});
    for (std::uint64_t i = 0; i < size; ++i) {
        const std::uint64_t at = position + i;
        inode.blemishes->lay(at, live[at], at < before.size() ? before[at] : std::uint8_t{0});
    }
    for (std::uint64_t i = 0; i < size && lands_at + i < live.size(); ++i)
        inode.blemishes->lay(lands_at + i, live[lands_at + i], live[position + i]);
}

bool DiskImage::fail_write_back(std::string_view path, const Draws& draws, std::uint64_t entity) {
    const InodePointer inode = find(path);
    if (!inode || inode->is_directory() || inode->file.is_durable()) return false;
    fail_sync(*inode, begin_sync(*inode), draws, entity);
    inode->write_back_failed = true;
    return true;
}

void DiskImage::lie_about_sync(Inode& inode, SyncMark mark) {
    lied_ = true;
    if (!inode.is_directory()) inode.file.lied(mark.layer);
    Inode& names = journal_.mode == CrashMode::ext4_ordered ? *root_ : inode;
    if (names.is_directory()) names.lied_names = std::max(names.lied_names, mark.sequence);
}

bool DiskImage::answered(const NameChangeOp& change) const {
    if (journal_.mode == CrashMode::ext4_ordered) return change.sequence <= root_->lied_names;
    const auto said = [&](const InodePointer& directory) {
        return directory && change.sequence <= directory->lied_names;
    };
    return said(change.from) || said(change.to);
}

void DiskImage::mend() {
    if (!blemished_) return;
    for (const auto& [path, inode] : files())
        if (inode->blemishes) inode->blemishes->mend();
}

std::optional<FileDamage> DiskImage::describe(const InodePointer& inode,
                                              std::vector<ByteRange> changed) const {
    for (const Entry* place : inode->places) {
        if (place->live != inode) continue;
        const auto above = path_of(*place->directory);
        if (!above) continue;
        const std::uint64_t length = inode->file.length();
        return FileDamage{*above + place->name, inode->file.synced_length(),  length, length,
                          std::move(changed),   inode->file.answered_length()};
    }
    return std::nullopt;
}

std::vector<FileDamage> DiskImage::blemished_files() const {
    std::vector<FileDamage> found;
    if (!blemished_) return found;
    for (const auto& [path, inode] : files()) {
        if (!inode->blemishes) continue;
        auto wrong = inode->blemishes->wrong();
        if (wrong.empty()) continue;
        const std::uint64_t length = inode->file.length();
        found.push_back({path, inode->file.synced_length(), length, length, std::move(wrong),
                         inode->file.answered_length()});
    }
    return found;
}

std::map<std::string, Bytes> DiskImage::contents() const {
    std::map<std::string, Bytes> all;
    for (const auto& [path, inode] : files()) {
        if (inode->is_directory()) continue;
        Bytes bytes = inode->file.live();
        if (inode->blemishes) inode->blemishes->show(0, bytes);
        all.emplace_hint(all.end(), path, std::move(bytes));
    }
    return all;
}

}  // namespace klamm::sim
