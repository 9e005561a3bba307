#pragma once
// A node's root directory: every path of the node is resolved below it. Shared by the shards of a
// node and by the pool; holds no state but the descriptor, so any thread may call it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/env/disk.h"
#include "core/runtime/open_file.h"

namespace klamm::runtime {

/// The file of the root that counts the starts of a node; not listed.
constexpr std::string_view incarnation_file_name = ".incarnation";

class Directory {
  public:
    /// Opens the directory at `root`, made (with its parents) if missing.
    static Result<std::shared_ptr<const Directory>> make(const std::string& root);

    explicit Directory(int descriptor) : descriptor_(descriptor) {}
    ~Directory();
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    // Paths are checked: relative, no empty, "." or ".." component; else Failure::invalid. Links
    // are followed, so that an operator may put a directory elsewhere.
    [[nodiscard]] Result<OpenFilePointer> open(std::string_view path, env::OpenMode mode) const;
    [[nodiscard]] Status mkdir(std::string_view path) const;
    [[nodiscard]] Status rename(std::string_view from, std::string_view to) const;
    [[nodiscard]] Status remove(std::string_view path) const;
    [[nodiscard]] Result<std::uint64_t> space() const;
    /// "" is the root itself, here and in list.
    [[nodiscard]] Status sync(std::string_view path) const;
    [[nodiscard]] Result<std::vector<env::DirectoryEntry>> list(std::string_view path) const;

    /// Raises the counter of starts durably and returns it; 1 the first time.
    [[nodiscard]] Result<std::uint64_t> next_incarnation() const;

  private:
    [[nodiscard]] Result<OpenFilePointer> open_directory(std::string_view path) const;

    int descriptor_;
};

using DirectoryPointer = std::shared_ptr<const Directory>;

}  // namespace klamm::runtime
