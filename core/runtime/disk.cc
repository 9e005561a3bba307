// See disk.h.

#include "core/runtime/disk.h"

#include <utility>

namespace klamm::runtime {

namespace {

Error no_disk() { return {Failure::unsupported, "this node has no disk"}; }
}  // namespace

OpenFilePointer Disk::find(env::FileId id) const {
    const auto row = files_.find(static_cast<std::uint64_t>(id));
    return row == files_.end() ? nullptr : row->second;
}

Result<env::FileId> Disk::open(std::string_view path, env::OpenMode mode) {
    if (root_ == nullptr) return no_disk();
    Result<OpenFilePointer> file = root_->open(path, mode);
    if (!file.ok()) return file.error();
    files_.emplace(++last_file_, *std::move(file));
    return env::FileId{last_file_};
}

void Disk::close(env::FileId file) {
    const auto row = files_.find(static_cast<std::uint64_t>(file));
    if (row == files_.end()) return;
    if (row->second.use_count() > 1) row->second->unlock();  // others keep the descriptor open
    files_.erase(row);
}

Status Disk::mkdir(std::string_view path) {
    if (root_ == nullptr) return no_disk();
    return root_->mkdir(path);
}

Status Disk::write(env::FileId file, std::uint64_t position, std::span<const ByteView> parts) {
    const OpenFilePointer open_file = find(file);
    if (open_file == nullptr) return file_not_open();
    return open_file->write(position, parts);
}

Status Disk::truncate(env::FileId file, std::uint64_t length) {
    const OpenFilePointer open_file = find(file);
    if (open_file == nullptr) return file_not_open();
    return open_file->truncate(length);
}

Status Disk::rename(std::string_view from, std::string_view to) {
    if (root_ == nullptr) return no_disk();
    return root_->rename(from, to);
}

Status Disk::remove(std::string_view path) {
    if (root_ == nullptr) return no_disk();
    return root_->remove(path);
}

Status Disk::allocate(env::FileId file, std::uint64_t length) {
    const OpenFilePointer open_file = find(file);
    if (open_file == nullptr) return file_not_open();
    return open_file->allocate(length);
}

Status Disk::lock(env::FileId file) {
    const OpenFilePointer open_file = find(file);
    if (open_file == nullptr) return file_not_open();
    return open_file->lock();
}

Result<std::uint64_t> Disk::length(env::FileId file) {
    const OpenFilePointer open_file = find(file);
    if (open_file == nullptr) return file_not_open();
    return open_file->length();
}

Result<std::uint64_t> Disk::space() {
    if (root_ == nullptr) return no_disk();
    return root_->space();
}

Result<std::size_t> Disk::read_if_cached(env::FileId file, std::uint64_t position,
                                         MutableByteView out) {
    const OpenFilePointer open_file = find(file);
    if (open_file == nullptr) return file_not_open();
    return open_file->read_if_cached(position, out);
}

void Disk::read(env::FileId file, std::uint64_t position, MutableBuffer out, env::Token token) {
    effects_.in_order.emplace_back(ReadAsked{find(file), position, std::move(out), token});
}

void Disk::sync(env::FileId file, env::Token token) {
    effects_.in_order.emplace_back(SyncAsked{find(file), token});
}

void Disk::sync_directory(std::string_view path, env::Token token) {
    effects_.in_order.emplace_back(DirectorySyncAsked{std::string(path), token});
}

void Disk::list(std::string_view path, env::Token token) {
    effects_.in_order.emplace_back(ListAsked{std::string(path), token});
}

void Disk::close_all() {
    for (auto& [id, file] : files_) {
        if (file.use_count() > 1) file->unlock();
    }
    files_.clear();
}

}  // namespace klamm::runtime
