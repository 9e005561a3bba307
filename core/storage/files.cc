// See files.h.

#include "core/storage/files.h"

#include <charconv>

namespace klamm::storage {

std::string join_path(std::string_view directory, std::string_view name) {
    std::string path;
    path.reserve(directory.size() + 1 + name.size());
    path += directory;
    if (!path.empty()) path += '/';
    return path.append(name);
}

Result<env::FileId> write_in_place(env::Disk& disk, const std::string& path, ByteView bytes) {
    const auto file = disk.open(path, env::OpenMode::create);
    if (!file.ok()) return file.error();
    KLAMM_TRY(disk.truncate(*file, 0));
    if (!bytes.empty()) KLAMM_TRY(disk.write(*file, 0, bytes));
    return *file;
}

Result<env::FileId> write_temporary(env::Disk& disk, const std::string& path, ByteView bytes) {
    const std::string temporary = path + temporary_suffix;
    KLAMM_TRY(remove_if_there(disk, temporary));
    return write_in_place(disk, temporary, bytes);
}

Status rename_temporary(env::Disk& disk, const std::string& path, env::FileId file) {
    disk.close(file);
    return disk.rename(path + temporary_suffix, path);
}

Status remove_if_there(env::Disk& disk, const std::string& path) {
    const Status removed = disk.remove(path);
    if (!removed.ok() && removed.failure() == Failure::not_found) return {};
    return removed;
}

Result<Segment> open_segment(env::Disk& disk, const std::string& directory, Offset base,
                             bool fresh) {
    Segment segment;
    segment.base = base;
    segment.end = base;
    const struct {
        const char* suffix;
        env::FileId* file;
    } files[] = {
        {".log", &segment.log}, {".index", &segment.index}, {".timeindex", &segment.time_index}};
    for (const auto& [suffix, file] : files) {
        const auto opened =
            disk.open(join_path(directory, segment_file(base, suffix)), env::OpenMode::create);
        if (!opened.ok()) return opened.error();
        *file = *opened;
        if (fresh) KLAMM_TRY(disk.truncate(*opened, 0));
    }
    return segment;
}

void close_segment(env::Disk& disk, Segment& segment) {
    for (env::FileId* file :
         {&segment.log, &segment.index, &segment.time_index, &segment.txn_index}) {
        if (*file != env::FileId::none) disk.close(*file);
        *file = env::FileId::none;
    }
}

Status remove_segment(env::Disk& disk, const std::string& directory, Segment& segment) {
    const bool has_txn_index = segment.txn_index != env::FileId::none;
    close_segment(disk, segment);
    for (const char* suffix : {".log", ".index", ".timeindex"}) {
        KLAMM_TRY(remove_if_there(disk, join_path(directory, segment_file(segment.base, suffix))));
    }
    if (!has_txn_index) return {};
    return remove_if_there(disk,
                           join_path(directory, segment_file(segment.base, txn_index_suffix)));
}

Status rename_deleted(env::Disk& disk, const std::string& directory, const Segment& segment) {
    // The log last: without it the others mean nothing.
    for (const char* suffix : {txn_index_suffix, ".index", ".timeindex", ".log"}) {
        if (suffix == txn_index_suffix && segment.txn_index == env::FileId::none) continue;
        const std::string path = join_path(directory, segment_file(segment.base, suffix));
        KLAMM_TRY(disk.rename(path, path + deleted_suffix));
    }
    return {};
}

Status open_txn_index(env::Disk& disk, const std::string& directory, Segment& segment) {
    const auto opened = disk.open(
        join_path(directory, segment_file(segment.base, txn_index_suffix)), env::OpenMode::create);
    if (!opened.ok()) return opened.error();
    segment.txn_index = *opened;
    return {};
}

Status rewrite_indexes(env::Disk& disk, const std::string& directory, Segment& segment) {
    KLAMM_TRY(disk.truncate(segment.index, 0));
    KLAMM_TRY(disk.truncate(segment.time_index, 0));
    const Bytes index = segment.encode_index(0);
    const Bytes time_index = segment.encode_time_index(0);
    if (!index.empty()) KLAMM_TRY(disk.write(segment.index, 0, index));
    if (!time_index.empty()) KLAMM_TRY(disk.write(segment.time_index, 0, time_index));
    if (segment.txn_index == env::FileId::none && !segment.aborted.empty())
        KLAMM_TRY(open_txn_index(disk, directory, segment));
    if (segment.txn_index != env::FileId::none) {
        KLAMM_TRY(disk.truncate(segment.txn_index, 0));
        const Bytes aborted = segment.aborted.encode(0);
        if (!aborted.empty()) KLAMM_TRY(disk.write(segment.txn_index, 0, aborted));
    }
    segment.aborted_written = segment.aborted.size();
    segment.entries_written = segment.entries.size();
    segment.time_entries_written = segment.time_entries.size();
    segment.index_dirty = true;
    return {};
}

Result<env::FileId> write_snapshot(env::Disk& disk, const std::string& directory,
                                   const log::ProducerStateTable& producers) {
    return write_in_place(disk, join_path(directory, segment_file(producers.end(), ".snapshot")),
                          producers.to_snapshot());
}

namespace {

std::string_view take_line(std::string_view& text) {
    const std::size_t stop = text.find('\n');
    const std::string_view line = text.substr(0, stop);
    text.remove_prefix(stop == std::string_view::npos ? text.size() : stop + 1);
    return line;
}

template <class Number>
bool whole_number(std::string_view text, Number& out) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && stop == text.data() + text.size();
}

constexpr std::string_view metadata_version_line = "version: 0";
constexpr std::string_view topic_id_key = "topic_id: ";
constexpr std::size_t uuid_text_size = 22;

}  // namespace

std::string offsets_to_text(const OffsetsByName& offsets) {
    std::string text = "0\n" + std::to_string(offsets.size()) + "\n";
    for (const auto& [name, offset] : offsets) {
        const std::size_t dash = name.rfind('-');
        KLAMM_ASSERT(dash != std::string::npos);
        text += name.substr(0, dash) + " " + name.substr(dash + 1) + " " +
                std::to_string(offset.value) + "\n";
    }
    return text;
}

Result<OffsetsByName> offsets_from_text(std::string_view text) {
    const Error malformed{Failure::invalid, "an offset checkpoint is malformed"};
    std::int64_t count = 0;
    if (take_line(text) != "0" || !whole_number(take_line(text), count) || count < 0) {
        return malformed;
    }
    OffsetsByName offsets;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::string_view line = take_line(text);
        const std::size_t second = line.rfind(' ');
        if (second == std::string_view::npos || second == 0) return malformed;
        const std::size_t first = line.rfind(' ', second - 1);
        if (first == std::string_view::npos || first == 0) return malformed;
        std::int32_t partition = 0;
        Offset offset;
        if (!whole_number(line.substr(first + 1, second - first - 1), partition)) return malformed;
        if (!whole_number(line.substr(second + 1), offset.value)) return malformed;
        if (partition < 0 || offset.value < 0) return malformed;
        std::string name(line.substr(0, first));
        name += "-" + std::to_string(partition);
        offsets[name] = offset;
    }
    if (!text.empty()) return malformed;
    return offsets;
}

std::string partition_metadata_text(const Uuid& topic) {
    return std::string(metadata_version_line) + "\n" + std::string(topic_id_key) + to_string(topic);
}

std::optional<Uuid> partition_metadata_topic(std::string_view text) {
    if (take_line(text) != metadata_version_line) return std::nullopt;
    std::string_view line = take_line(text);
    if (!line.starts_with(topic_id_key)) return std::nullopt;
    line.remove_prefix(topic_id_key.size());
    if (line.size() != uuid_text_size) return std::nullopt;
    return uuid_from_string(line);
}

std::string meta_properties_text(const DirectoryIdentity& identity) {
    return "#\ncluster.id=" + identity.cluster_id +
           "\ndirectory.id=" + to_string(identity.directory) +
           "\nnode.id=" + std::to_string(identity.node.value) + "\nversion=1\n";
}

Result<DirectoryIdentity> meta_properties_from_text(std::string_view text) {
    DirectoryIdentity identity;
    identity.node = no_broker;
    bool versioned = false;
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        const std::size_t equals = line.find('=');
        if (line.empty() || line.front() == '#' || equals == std::string_view::npos) continue;
        const std::string_view key = line.substr(0, equals);
        const std::string_view value = line.substr(equals + 1);
        if (key == "cluster.id") identity.cluster_id = value;
        if (key == "directory.id") identity.directory = uuid_from_string(value);
        if (key == "version") versioned = value == "1";
        if (key == "node.id" && !whole_number(value, identity.node.value)) {
            identity.node = no_broker;
        }
    }
    if (!versioned || identity.cluster_id.empty() || identity.node == no_broker) {
        return Error{Failure::invalid, "meta.properties is malformed"};
    }
    return identity;
}

std::string clean_shutdown_text(BrokerEpoch epoch) {
    return "{\"version\":0,\"brokerEpoch\":" + std::to_string(epoch.value) + "}";
}

BrokerEpoch clean_shutdown_epoch(std::string_view text) {
    constexpr std::string_view key = "\"brokerEpoch\":";
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos || !text.ends_with('}')) return no_broker_epoch;
    text.remove_prefix(at + key.size());
    BrokerEpoch epoch;
    const std::size_t stop = text.find_first_of(",}");
    if (!whole_number(text.substr(0, stop), epoch.value)) return no_broker_epoch;
    return epoch;
}

}  // namespace klamm::storage
