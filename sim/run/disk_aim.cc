#include "sim/run/disk_aim.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <set>
#include <vector>

#include "core/record/batch.h"
#include "core/storage/files.h"

namespace klamm::sim {

namespace {

constexpr std::array<const char*, static_cast<std::size_t>(DiskAim::File::count_)> file_names = {
    "any",
    "log",
    "index",
    "timeindex",
    "snapshot",
    "leader-epoch-checkpoint",
    "metadata",
    "recovery-points",
    "high-watermarks",
};
constexpr std::array<const char*, 7> batch_names = {"any",     "plain", "idempotent", "compressed",
                                                    "control", "first", "last"};

constexpr std::array<const char*, 4> part_names = {"any", "header", "leader epoch", "records"};

bool is_of(DiskAim::Batch kind, const record::BatchView& batch) {
    switch (kind) {
        case DiskAim::Batch::plain: return !batch.has_producer_id() && !batch.is_control();
        case DiskAim::Batch::idempotent: return batch.has_producer_id() && !batch.is_control();
        case DiskAim::Batch::compressed: return batch.compression_id() != 0;
        case DiskAim::Batch::control: return batch.is_control();
        default: return true;
    }
}

/// Whether the file is one that the aim means.
bool meant(const DiskAim& aim, std::string_view path) {
    const auto kind = file_kind(path);
    if (!kind || (aim.file != DiskAim::File::any && *kind != aim.file)) return false;
    const bool of_a_log = aim.batch != DiskAim::Batch::any || aim.part != DiskAim::Part::any;
    if (of_a_log && *kind != DiskAim::File::log) return false;
    return aim.partition < 0 || partition_of(path) == aim.partition;
}

/// The batches of a log that the aim means, as it should read.
std::vector<DiskPlace> batches_of(const std::string& path, ByteView bytes, DiskAim::Batch kind) {
    std::vector<DiskPlace> all;
    ByteView rest = bytes;
    ByteView one;
    std::uint64_t position = 0;
    while (record::next_batch(rest, one) == record::Peek::ok) {
        if (is_of(kind, record::BatchView(one)))
            all.push_back({path, position, position + one.size()});
        position += one.size();
    }
    return all;
}

/// The part of a batch that is meant.
DiskPlace part_of(DiskPlace batch, DiskAim::Part part) {
    constexpr std::uint64_t epoch_at = 12;
    constexpr std::uint64_t magic_at = 16;
    switch (part) {
        case DiskAim::Part::header: batch.to = batch.from + record::batch_header_bytes; break;
        case DiskAim::Part::leader_epoch:
            batch.to = batch.from + magic_at;
            batch.from += epoch_at;
            break;
        case DiskAim::Part::records: batch.from += record::batch_header_bytes; break;
        default: break;
    }
    return batch;
}

/// The place whose name the draw likes best.
std::optional<DiskPlace> choose(std::vector<DiskPlace> places, std::uint64_t draw) {
    DiskPlace* best = nullptr;
    std::uint64_t best_key = 0;
    for (DiskPlace& place : places) {
        const std::uint64_t key =
            fold64(fold64(digest64(as_bytes(place.path), 0), place.from), draw);
        if (best != nullptr && key >= best_key) continue;
        best = &place;
        best_key = key;
    }
    if (best == nullptr) return std::nullopt;
    return std::move(*best);
}

}  // namespace

const char* to_string(DiskAim::File file) { return file_names[static_cast<std::size_t>(file)]; }
const char* to_string(DiskAim::Batch batch) { return batch_names[static_cast<std::size_t>(batch)]; }

std::string to_string(const DiskAim& aim) {
    std::string text;
    if (aim.file != DiskAim::File::any) text += fmt::format(" {}", to_string(aim.file));
    if (aim.partition >= 0) text += fmt::format(" of trial-{}", aim.partition);
    if (aim.batch != DiskAim::Batch::any) text += fmt::format(", {} batches", to_string(aim.batch));
    if (aim.part != DiskAim::Part::any)
        text += fmt::format(", {}", part_names[static_cast<std::size_t>(aim.part)]);
    return text;
}

std::optional<DiskAim::File> file_kind(std::string_view path) {
    const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
    if (name.ends_with(".log")) return DiskAim::File::log;
    if (name.ends_with(".index")) return DiskAim::File::index;
    if (name.ends_with(".timeindex")) return DiskAim::File::time_index;
    if (name.ends_with(".snapshot")) return DiskAim::File::snapshot;
    if (name == storage::epoch_checkpoint_file) return DiskAim::File::epochs;
    if (name == storage::partition_metadata_file || name == storage::meta_properties_file)
        return DiskAim::File::metadata;
    if (name == storage::recovery_points_file) return DiskAim::File::recovery_points;
    if (name == storage::high_watermarks_file) return DiskAim::File::watermarks;
    return std::nullopt;
}

std::optional<std::int32_t> partition_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return std::nullopt;
    std::string_view folder = path.substr(0, slash);
    const std::size_t above = folder.rfind('/');
    if (above == std::string_view::npos) return std::nullopt;  // of the log directory itself
    folder = folder.substr(above + 1);
    const std::size_t dash = folder.rfind('-');
    if (dash == std::string_view::npos || is_internal(folder)) return std::nullopt;
    folder.remove_prefix(dash + 1);
    std::int32_t number = 0;
    const auto [end, error] = std::from_chars(folder.data(), folder.data() + folder.size(), number);
    if (error != std::errc{} || end != folder.data() + folder.size()) return std::nullopt;
    return number;
}

std::optional<DiskPlace> aimed(const World& world, NodeId node, const DiskAim& aim,
                               std::uint64_t draw) {
    std::vector<DiskPlace> places;
    for (const std::string& path : world.paths(node)) {
        const Bytes* bytes = world.file_bytes(node, path);
        if (bytes == nullptr || bytes->empty() || !meant(aim, path)) continue;
        if (file_kind(path) != DiskAim::File::log) {
            places.push_back({path, 0, bytes->size()});
            continue;
        }
        std::vector<DiskPlace> batches = batches_of(path, *bytes, aim.batch);
        const bool first = aim.batch == DiskAim::Batch::first;
        if (batches.empty() || (first && !places.empty())) continue;
        if (first) batches.resize(1);
        if (aim.batch == DiskAim::Batch::last) {
            places.clear();
            batches = {batches.back()};
        }
        for (DiskPlace& batch : batches) places.push_back(part_of(std::move(batch), aim.part));
    }
    return choose(std::move(places), draw);
}

std::optional<DiskPlace> aimed_at_written(const World& world, NodeId node, const DiskAim& aim,
                                          std::uint64_t draw, bool dirty) {
    std::vector<DiskPlace> places;
    std::set<std::string> written;  // by folder and kind; names rise with offsets
    const std::vector<std::string> paths = world.paths(node);
    for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
        const Bytes* bytes = world.file_bytes(node, *path);
        if (bytes == nullptr || !meant(aim, *path)) continue;
        const std::string key =
            path->substr(0, path->rfind('/') + 1) + to_string(*file_kind(*path));
        if (!written.insert(key).second) continue;
        if (dirty && world.file_state(node, *path)->synced_length >= bytes->size()) continue;
        places.push_back({*path, 0, std::max<std::uint64_t>(bytes->size(), 1)});
    }
    return choose(std::move(places), draw);
}

std::optional<std::string> aimed_directory(const World& world, NodeId node, std::uint64_t draw) {
    std::set<std::string> directories;
    std::vector<DiskPlace> places;
    for (const std::string& path : world.paths(node)) {
        const std::size_t slash = path.find('/');
        if (slash == std::string::npos || path.back() == '/') continue;
        if (directories.insert(path.substr(0, slash)).second)
            places.push_back({path.substr(0, slash), 0, 1});
    }
    auto chosen = choose(std::move(places), draw);
    if (!chosen) return std::nullopt;
    return std::move(chosen->path);
}

}  // namespace klamm::sim
