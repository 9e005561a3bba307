// See directory.h.

#include "core/runtime/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/runtime/os_error.h"

namespace klamm::runtime {

namespace {

constexpr mode_t file_mode = 0644;
constexpr mode_t directory_mode = 0755;

Status check_path(std::string_view path) {
    std::string_view rest = path;
    while (true) {
        const std::size_t slash = rest.find('/');
        const std::string_view name = rest.substr(0, slash);
        if (name.empty() || name == "." || name == ".." ||
            name.find('\0') != std::string_view::npos) {
            return Error{Failure::invalid, "'" + std::string(path) + "' is no path below a root"};
        }
        if (slash == std::string_view::npos) return {};
        rest = rest.substr(slash + 1);
    }
}

int open_flags(env::OpenMode mode) {
    switch (mode) {
        case env::OpenMode::read: return O_RDONLY;
        case env::OpenMode::write: return O_RDWR;
        case env::OpenMode::create: return O_RDWR | O_CREAT;
        case env::OpenMode::create_new: return O_RDWR | O_CREAT | O_EXCL;
    }
    KLAMM_UNREACHABLE();
}

}  // namespace

Result<DirectoryPointer> Directory::make(const std::string& root) {
    std::error_code failed;
    std::filesystem::create_directories(root, failed);
    if (failed) return error_from_errno(failed.value(), "make directory", root);
    const int descriptor = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return error_from_errno(errno, "open directory", root);
    return std::make_shared<const Directory>(descriptor);
}

Directory::~Directory() { ::close(descriptor_); }

Result<OpenFilePointer> Directory::open(std::string_view path, env::OpenMode mode) const {
    KLAMM_TRY(check_path(path));
    std::string name(path);
    const int descriptor =
        ::openat(descriptor_, name.c_str(), open_flags(mode) | O_CLOEXEC, file_mode);
    if (descriptor < 0) return error_from_errno(errno, "open", path);
    auto file = std::make_shared<const OpenFile>(descriptor, std::move(name));
    struct stat about {};
    if (::fstat(descriptor, &about) != 0) return error_from_errno(errno, "open", path);
    if (S_ISDIR(about.st_mode)) return error_from_errno(EISDIR, "open", path);
    return OpenFilePointer(std::move(file));
}

Status Directory::mkdir(std::string_view path) const {
    KLAMM_TRY(check_path(path));
    if (::mkdirat(descriptor_, std::string(path).c_str(), directory_mode) != 0) {
        return error_from_errno(errno, "make directory", path);
    }
    return {};
}

Status Directory::rename(std::string_view from, std::string_view to) const {
    KLAMM_TRY(check_path(from));
    KLAMM_TRY(check_path(to));
    if (::renameat(descriptor_, std::string(from).c_str(), descriptor_, std::string(to).c_str()) !=
        0) {
        return error_from_errno(errno, "rename", from);
    }
    return {};
}

Status Directory::remove(std::string_view path) const {
    KLAMM_TRY(check_path(path));
    const std::string name(path);
    if (::unlinkat(descriptor_, name.c_str(), 0) == 0) return {};
    if (errno == EISDIR && ::unlinkat(descriptor_, name.c_str(), AT_REMOVEDIR) == 0) return {};
    return error_from_errno(errno, "remove", path);
}

Result<std::uint64_t> Directory::space() const {
    struct statvfs about {};
    if (::fstatvfs(descriptor_, &about) != 0) return error_from_errno(errno, "space of", ".");
    return std::uint64_t{about.f_bavail} * about.f_frsize;
}

Result<OpenFilePointer> Directory::open_directory(std::string_view path) const {
    if (!path.empty()) KLAMM_TRY(check_path(path));
    std::string name(path.empty() ? "." : path);
    const int descriptor = ::openat(descriptor_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return error_from_errno(errno, "open directory", path);
    return OpenFilePointer(std::make_shared<const OpenFile>(descriptor, std::move(name)));
}

Status Directory::sync(std::string_view path) const {
    const Result<OpenFilePointer> directory = open_directory(path);
    if (!directory.ok()) return directory.error();
    while (::fsync((*directory)->descriptor()) != 0) {
        if (errno != EINTR) return error_from_errno(errno, "sync directory", path);
    }
    return {};
}

Result<std::vector<env::DirectoryEntry>> Directory::list(std::string_view path) const {
    const Result<OpenFilePointer> directory = open_directory(path);
    if (!directory.ok()) return directory.error();
    // The stream takes a descriptor of its own over, with a position of its own.
    const int stream_descriptor =
        ::openat((*directory)->descriptor(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stream_descriptor < 0) return error_from_errno(errno, "list", path);
    DIR* stream = ::fdopendir(stream_descriptor);
    if (stream == nullptr) {
        const int number = errno;
        ::close(stream_descriptor);
        return error_from_errno(number, "list", path);
    }
    std::vector<env::DirectoryEntry> entries;
    errno = 0;
    while (const dirent* row = ::readdir(stream)) {
        std::string name = row->d_name;
        if (name == "." || name == "..") continue;
        if (path.empty() && name.starts_with(incarnation_file_name)) continue;
        struct stat about {};
        // A name that went away between the two calls is not listed.
        if (::fstatat((*directory)->descriptor(), name.c_str(), &about, 0) == 0) {
            const bool is_directory = S_ISDIR(about.st_mode);
            const auto size = is_directory ? 0 : static_cast<std::uint64_t>(about.st_size);
            entries.push_back({std::move(name), is_directory, size});
        }
        errno = 0;
    }
    const int number = errno;
    ::closedir(stream);
    if (number != 0) return error_from_errno(number, "list", path);
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
}

Result<std::uint64_t> Directory::next_incarnation() const {
    std::uint64_t incarnation = 0;
    const Result<OpenFilePointer> old = open(incarnation_file_name, env::OpenMode::read);
    if (old.ok()) {
        std::array<std::uint8_t, 32> text;
        const Result<std::size_t> size = (*old)->read(0, text);
        if (!size.ok()) return size.error();
        const std::string_view line = as_text(ByteView(text).first(*size));
        const auto parsed = std::from_chars(line.data(), line.data() + line.size(), incarnation);
        if (parsed.ec != std::errc{} || incarnation == 0) {
            return Error{Failure::corrupt, "the file .incarnation holds no number"};
        }
    } else if (old.failure() != Failure::not_found) {
        return old.error();
    }
    ++incarnation;

    const std::string new_name = std::string(incarnation_file_name) + ".new";
    const Result<OpenFilePointer> file = open(new_name, env::OpenMode::create);
    if (!file.ok()) return file.error();
    const std::string line = std::to_string(incarnation) + "\n";
    const ByteView part = as_bytes(line);
    KLAMM_TRY((*file)->truncate(0));
    KLAMM_TRY((*file)->write(0, {&part, 1}));
    KLAMM_TRY((*file)->sync());
    KLAMM_TRY(rename(new_name, incarnation_file_name));
    KLAMM_TRY(sync(""));
    return incarnation;
}

}  // namespace klamm::runtime
