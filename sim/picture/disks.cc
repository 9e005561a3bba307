#include "sim/picture/disks.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <system_error>

namespace klamm::sim {

namespace {

namespace fs = std::filesystem;

Status make(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) return Error{Failure::io, fmt::format("{}: {}", path.string(), error.message())};
    return {};
}

}  // namespace

Status make_room_for_disks(const std::string& directory) {
    KLAMM_TRY(make(directory));
    std::error_code error;
    const bool empty = fs::is_empty(directory, error);
    if (error) return Error{Failure::io, fmt::format("{}: {}", directory, error.message())};
    if (!empty) return Error{Failure::exists, fmt::format("{}: is not empty", directory)};
    return {};
}

Status export_disks(const World& world, const std::string& directory) {
    for (std::uint32_t i = 0; i < world.nodes(); ++i) {
        const NodeId node(i);
        const fs::path home = fs::path(directory) / world.name(node);
        for (const std::string& path : world.paths(node)) {
            if (path.ends_with('/')) {
                KLAMM_TRY(make(home / path));
                continue;
            }
            const fs::path file = home / path;
            KLAMM_TRY(make(file.parent_path()));
            const Bytes* bytes = world.file_bytes(node, path);
            KLAMM_ASSERT(bytes != nullptr);
            std::ofstream out(file, std::ios::binary | std::ios::trunc);
            out.write(reinterpret_cast<const char*>(bytes->data()),
                      static_cast<std::streamsize>(bytes->size()));
            out.close();
            if (out.fail())
                return Error{Failure::io, fmt::format("{}: cannot be written", file.string())};
        }
    }
    return {};
}

}  // namespace klamm::sim
