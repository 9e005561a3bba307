#pragma once
// The disk of one shard: D calls act at once on the node's root, E calls become effects. Holds the
// table of open files; what is under way holds a share of its own.

#include <cstdint>
#include <unordered_map>

#include "core/runtime/directory.h"
#include "core/runtime/effects.h"

namespace klamm::runtime {

class Disk final : public env::Disk {
  public:
    /// `root` is null for a node without a disk.
    Disk(DirectoryPointer root, Effects& effects) : root_(std::move(root)), effects_(effects) {}

    Result<env::FileId> open(std::string_view path, env::OpenMode mode) override;
    void close(env::FileId file) override;
    Status mkdir(std::string_view path) override;
    using env::Disk::write;
    Status write(env::FileId file, std::uint64_t position,
                 std::span<const ByteView> parts) override;
    Status truncate(env::FileId file, std::uint64_t length) override;
    Status rename(std::string_view from, std::string_view to) override;
    Status remove(std::string_view path) override;
    Status allocate(env::FileId file, std::uint64_t length) override;
    Status lock(env::FileId file) override;
    Result<std::uint64_t> length(env::FileId file) override;
    Result<std::uint64_t> space() override;
    Result<std::size_t> read_if_cached(env::FileId file, std::uint64_t position,
                                       MutableByteView out) override;
    void read(env::FileId file, std::uint64_t position, MutableBuffer out,
              env::Token token) override;
    void sync(env::FileId file, env::Token token) override;
    void sync_directory(std::string_view path, env::Token token) override;
    void list(std::string_view path, env::Token token) override;

    /// The file behind `id`, or null.
    [[nodiscard]] OpenFilePointer find(env::FileId id) const;
    /// The end of the process: every file and lock is given up.
    void close_all();

  private:
    DirectoryPointer root_;
    Effects& effects_;
    std::uint64_t last_file_ = 0;
    std::unordered_map<std::uint64_t, OpenFilePointer> files_;  // lookup only
};

}  // namespace klamm::runtime
