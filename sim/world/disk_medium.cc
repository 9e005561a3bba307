// What the medium does to a disk by itself: see blemishes.h for how it is kept.

#include <algorithm>

#include "sim/world/disk_image.h"

namespace klamm::sim {

/// The file, with blemishes to lay upon; nullptr: there is none.
Inode* DiskImage::blemished(std::string_view path) {
    const InodePointer inode = find(path);
    if (!inode || inode->is_directory()) return nullptr;
    if (!inode->blemishes) inode->blemishes = std::make_unique<Blemishes>();
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

void DiskImage::misdirect(Inode& inode, std::uint64_t position, std::uint64_t lands_at,
                          std::uint64_t size, const Bytes& before) {
    const Bytes& live = inode.file.live();
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

}  // namespace klamm::sim
