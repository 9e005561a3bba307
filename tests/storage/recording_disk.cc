#include "tests/storage/recording_disk.h"

#include <algorithm>
#include <set>

namespace klamm::tests {

RecordingDisk::RecordingDisk(const FileTree& tree) {
    for (const auto& [path, bytes] : tree) {
        const Node node = nodes_++;
        const bool directory = path.back() == '/';
        if (directory) directories_.insert(node);
        start_.files[node] = bytes;
        start_.names[directory ? path.substr(0, path.size() - 1) : path] = node;
    }
    now_ = start_;
}

bool RecordingDisk::fails() {
    ++calls_;
    if (fail_in_ == 0 || --fail_in_ > 0) return false;
    failed_ = true;
    return true;
}

std::string RecordingDisk::directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

void RecordingDisk::apply_write(Bytes& file, std::uint64_t position, ByteView bytes) {
    if (file.size() < position + bytes.size()) file.resize(position + bytes.size());
    std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(position));
}

void RecordingDisk::apply(State& state, const Operation& operation) {
    switch (operation.kind) {
        case Operation::Kind::write:
            apply_write(state.files[operation.node], operation.position, operation.bytes);
            break;
        case Operation::Kind::truncate:
            state.files[operation.node].resize(operation.position);
            break;
        case Operation::Kind::name:
            if (!operation.from.empty()) state.names.erase(operation.from);
            if (!operation.to.empty()) {
                state.names[operation.to] = operation.node;
                state.files[operation.node];
            }
            break;
        case Operation::Kind::synced:
        case Operation::Kind::synced_names:
        case Operation::Kind::forsaken: break;
    }
}

void RecordingDisk::note(Operation operation) {
    apply(now_, operation);
    operations_.push_back(std::move(operation));
}

Result<env::FileId> RecordingDisk::open(std::string_view path, env::OpenMode mode) {
    if (fails()) return Failure::io;
    const std::string name(path);
    auto row = now_.names.find(name);
    const bool may_make = mode == env::OpenMode::create || mode == env::OpenMode::create_new;
    if (row == now_.names.end()) {
        if (!may_make) return Failure::not_found;
        note({.kind = Operation::Kind::name, .node = nodes_++, .to = name});
        row = now_.names.find(name);
    } else if (mode == env::OpenMode::create_new) {
        return Failure::exists;
    }
    const env::FileId id{++opened_};
    open_[id] = row->second;
    return id;
}

void RecordingDisk::close(env::FileId file) { KLAMM_ASSERT(open_.erase(file) == 1); }

Status RecordingDisk::mkdir(std::string_view path) {
    if (fails()) return Failure::io;
    const std::string name(path);
    if (now_.names.contains(name)) return Failure::exists;
    directories_.insert(nodes_);
    note({.kind = Operation::Kind::name, .node = nodes_++, .to = name});
    return {};
}

std::uint64_t RecordingDisk::used() const {
    std::set<Node> nodes;
    for (const auto& [name, node] : now_.names) nodes.insert(node);
    for (const auto& [file, node] : open_) nodes.insert(node);
    std::uint64_t bytes = 0;
    for (const Node node : nodes)
        if (const auto content = now_.files.find(node); content != now_.files.end())
            bytes += content->second.size();
    return bytes;
}

Status RecordingDisk::write(env::FileId file, std::uint64_t position,
                            std::span<const ByteView> parts) {
    const bool failing = fails();
    Bytes bytes;
    for (const ByteView part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
    if (failing) bytes.resize(bytes.size() / 2);
    const std::uint64_t length = now_.files[open_.at(file)].size();
    const std::uint64_t grown = std::max(length, position + bytes.size()) - length;
    if (grown > 0 && used() + grown > capacity_) return Failure::no_space;
    if (!bytes.empty()) {
        note({.kind = Operation::Kind::write,
              .node = open_.at(file),
              .position = position,
              .bytes = std::move(bytes)});
    }
    if (failing) return Failure::io;
    return {};
}

Status RecordingDisk::truncate(env::FileId file, std::uint64_t length) {
    if (fails()) return Failure::io;
    const Node node = open_.at(file);
    if (now_.files[node].size() == length) return {};
    note({.kind = Operation::Kind::truncate, .node = node, .position = length});
    return {};
}

Status RecordingDisk::rename(std::string_view from, std::string_view to) {
    if (fails()) return Failure::io;
    const auto row = now_.names.find(std::string(from));
    if (row == now_.names.end()) return Failure::not_found;
    note({.kind = Operation::Kind::name,
          .node = row->second,
          .from = std::string(from),
          .to = std::string(to)});
    return {};
}

Status RecordingDisk::remove(std::string_view path) {
    if (fails()) return Failure::io;
    const auto row = now_.names.find(std::string(path));
    if (row == now_.names.end()) return Failure::not_found;
    note({.kind = Operation::Kind::name, .node = row->second, .from = std::string(path)});
    return {};
}

Result<std::uint64_t> RecordingDisk::length(env::FileId file) {
    if (fails()) return Failure::io;
    return now_.files.at(open_.at(file)).size();
}

Bytes RecordingDisk::content(env::FileId file) const { return now_.files.at(open_.at(file)); }

Result<std::size_t> RecordingDisk::read_if_cached(env::FileId file, std::uint64_t position,
                                                  MutableByteView out) {
    if (fails()) return Failure::io;
    if (block_every_ > 0 && ++cached_reads_ % block_every_ == 0) return Failure::limit;
    const Bytes& bytes = now_.files.at(open_.at(file));
    if (position >= bytes.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(out.size(), bytes.size() - position);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(position), count, out.begin());
    return count;
}

void RecordingDisk::read(env::FileId file, std::uint64_t position, MutableBuffer out,
                         env::Token token) {
    KLAMM_ASSERT(!out.empty());
    asked_.push_back({Asked::Kind::read, token, open_.at(file), position, out, {}, 0});
}

void RecordingDisk::sync(env::FileId file, env::Token token) {
    asked_.push_back({Asked::Kind::sync, token, open_.at(file), 0, {}, {}, operations_.size()});
}

void RecordingDisk::sync_directory(std::string_view path, env::Token token) {
    asked_.push_back(
        {Asked::Kind::sync_names, token, 0, 0, {}, std::string(path), operations_.size()});
}

void RecordingDisk::list(std::string_view path, env::Token token) {
    asked_.push_back({Asked::Kind::list, token, 0, 0, {}, std::string(path), 0});
}

std::optional<env::Event> RecordingDisk::answer() {
    if (asked_.empty()) return std::nullopt;
    Asked asked = std::move(asked_.front());
    asked_.pop_front();
    const bool failing = fails();
    switch (asked.kind) {
        case Asked::Kind::read: {
            if (failing) return env::ReadDone{asked.token, Failure::io, asked.out};
            const Bytes& bytes = now_.files.at(asked.node);
            std::size_t count = 0;
            if (asked.position < bytes.size()) {
                count = std::min<std::size_t>(asked.out.size(), bytes.size() - asked.position);
                std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(asked.position), count,
                            asked.out.data());
            }
            return env::ReadDone{asked.token, count, asked.out};
        }
        case Asked::Kind::sync:
            if (failing || failing_syncs_ > 0) {
                if (failing_syncs_ > 0) --failing_syncs_;
                note({.kind = Operation::Kind::forsaken, .node = asked.node, .upto = asked.upto});
                return env::Synced{asked.token, Failure::io};
            }
            note({.kind = Operation::Kind::synced, .node = asked.node, .upto = asked.upto});
            return env::Synced{asked.token, {}};
        case Asked::Kind::sync_names:
            if (failing) return env::Synced{asked.token, Failure::io};
            note({.kind = Operation::Kind::synced_names,
                  .upto = asked.upto,
                  .directory = asked.path});
            return env::Synced{asked.token, {}};
        case Asked::Kind::list: {
            if (failing) return env::Listed{asked.token, Failure::io};
            std::vector<env::DirectoryEntry> entries;
            for (const auto& [path, node] : now_.names) {
                if (path.empty() || directory_of(path) != asked.path) continue;
                const std::size_t skip = asked.path.empty() ? 0 : asked.path.size() + 1;
                entries.push_back(
                    {path.substr(skip), directories_.contains(node), now_.files.at(node).size()});
            }
            return env::Listed{asked.token, std::move(entries)};
        }
    }
    KLAMM_UNREACHABLE();
}

std::size_t RecordingDisk::units_of(const Operation& operation) {
    switch (operation.kind) {
        case Operation::Kind::write: {
            const std::uint64_t last = operation.position + operation.bytes.size() - 1;
            return static_cast<std::size_t>(last / unit_bytes - operation.position / unit_bytes) +
                   1;
        }
        case Operation::Kind::truncate:
        case Operation::Kind::name: return 1;
        default: return 0;
    }
}

/// For each of the first operations, whether a finished sync covers it: the first that came after
/// it, for a write; if that one failed, none does.
std::vector<bool> RecordingDisk::durable(std::size_t prefix) const {
    std::vector<bool> covered(prefix, false);
    std::vector<bool> forsaken(prefix, false);
    for (std::size_t i = 0; i < prefix; ++i) {
        const Operation& sync = operations_[i];
        for (std::size_t j = 0; j < std::min(i, sync.upto); ++j) {
            const Operation& operation = operations_[j];
            const bool is_name = operation.kind == Operation::Kind::name;
            const bool is_write = operation.kind == Operation::Kind::write;
            const bool is_size = operation.kind == Operation::Kind::truncate;
            switch (sync.kind) {
                case Operation::Kind::synced:
                    if ((is_write || is_size) && operation.node == sync.node && !forsaken[j]) {
                        covered[j] = true;
                    }
                    break;
                case Operation::Kind::forsaken:
                    if (is_write && operation.node == sync.node && !covered[j]) forsaken[j] = true;
                    break;
                case Operation::Kind::synced_names: {
                    if (!is_name) break;
                    const std::string& path = operation.to.empty() ? operation.from : operation.to;
                    if (directory_of(path) == sync.directory) covered[j] = true;
                    break;
                }
                default: break;
            }
        }
    }
    return covered;
}

std::size_t RecordingDisk::open_units(std::size_t prefix) const {
    const std::vector<bool> covered = durable(prefix);
    std::size_t count = 0;
    for (std::size_t i = 0; i < prefix; ++i) {
        if (!covered[i]) count += units_of(operations_[i]);
    }
    return count;
}

FileTree RecordingDisk::after_power_loss(std::size_t prefix, const std::vector<bool>& kept) const {
    const std::vector<bool> covered = durable(prefix);
    State state = start_;
    std::size_t unit = 0;
    for (std::size_t i = 0; i < prefix; ++i) {
        const Operation& operation = operations_[i];
        if (covered[i]) {
            apply(state, operation);
            continue;
        }
        if (operation.kind != Operation::Kind::write) {
            for (std::size_t n = units_of(operation); n > 0; --n) {
                if (kept[unit++]) apply(state, operation);
            }
            continue;
        }
        std::uint64_t at = operation.position;
        const std::uint64_t end = at + operation.bytes.size();
        while (at < end) {
            const std::uint64_t stop = std::min(end, (at / unit_bytes + 1) * unit_bytes);
            if (kept[unit++]) {
                apply_write(state.files[operation.node], at,
                            ByteView(operation.bytes)
                                .subspan(static_cast<std::size_t>(at - operation.position),
                                         static_cast<std::size_t>(stop - at)));
            }
            at = stop;
        }
    }
    FileTree tree;
    for (const auto& [path, node] : state.names) {
        const bool directory = directories_.contains(node);
        tree[directory ? path + "/" : path] = state.files[node];
    }
    // A name whose directory is gone is gone with it.
    std::erase_if(tree, [&](const auto& row) {
        const std::string& path = row.first;
        const std::string parent =
            directory_of(path.back() == '/' ? path.substr(0, path.size() - 1) : path);
        return !parent.empty() && !tree.contains(parent + "/");
    });
    return tree;
}

FileTree RecordingDisk::cached() const {
    FileTree tree;
    for (const auto& [path, node] : now_.names) {
        tree[directories_.contains(node) ? path + "/" : path] = now_.files.at(node);
    }
    return tree;
}

}  // namespace klamm::tests
