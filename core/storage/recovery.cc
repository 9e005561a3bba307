// Listing and loading; recovery_scan.cc goes on from there.

#include "core/storage/recovery.h"

#include <algorithm>
#include <charconv>

namespace klamm::storage {

namespace {

constexpr std::size_t offset_digits = 20;

/// The offset that a file of a segment is named by, when `name` is one with this suffix.
std::optional<Offset> offset_in(std::string_view name, std::string_view suffix) {
    if (name.size() != offset_digits + suffix.size() || !name.ends_with(suffix))
        return std::nullopt;
    Offset offset;
    const char* stop = name.data() + offset_digits;
    const auto [at, error] = std::from_chars(name.data(), stop, offset.value);
    if (error != std::errc{} || at != stop || offset.value < 0) return std::nullopt;
    return offset;
}

}  // namespace

Recovery::Recovery(TopicPartition partition, std::string directory, std::string path,
                   const LogConfig& config, const OpenHints& hints, TokenBook& tokens)
    : partition_(partition),
      directory_(std::move(directory)),
      path_(std::move(path)),
      config_(config),
      hints_(hints),
      tokens_(tokens) {}

void Recovery::fail(const Error& error, const std::string& file, bool disk_failed,
                    std::uint64_t position, Offset offset) {
    phase_ = Phase::failed;
    failure = {error, file, position, offset, disk_failed};
}

bool Recovery::check(const Status& status, const std::string& file) {
    if (status.ok()) return true;
    fail(status.error(), file, true);
    return false;
}

void Recovery::begin(env::Env& env) {
    const Status made = env.disk().mkdir(path_);
    rewritten_ = made.ok();
    if (!made.ok() && made.failure() != Failure::exists) {
        check(made, path_);
        return;
    }
    env.disk().list(path_, tokens_.issue(Work::recovery));
}

void Recovery::take(env::Env& env, const env::Listed& done) {
    if (phase_ != Phase::listing) return;
    if (!done.entries.ok()) {
        fail(done.entries.error(), path_, true);
        return;
    }
    if (!check(sort_entries(env, *done.entries), path_)) return;
    if (segments.empty()) {
        if (hints_.recovery_point > Offset(0)) {
            fail({Failure::corrupt, "the log's files are gone, though synced"}, path_, false, 0,
                 Offset(0));
            return;
        }
        check(make(env), path_);
        return;
    }
    phase_ = Phase::loading;
    check(start_loading(env), path_);
}

Status Recovery::sort_entries(env::Env& env, const std::vector<env::DirectoryEntry>& entries) {
    std::vector<Offset> bases;
    for (const env::DirectoryEntry& entry : entries) {
        if (entry.is_directory) continue;
        if (entry.name.ends_with(temporary_suffix)) {
            KLAMM_TRY(env.disk().remove(join_path(path_, entry.name)));
            rewritten_ = true;
            continue;
        }
        sizes_[entry.name] = entry.size;
        if (const auto base = offset_in(entry.name, ".log")) bases.push_back(*base);
        if (const auto at = offset_in(entry.name, ".snapshot")) snapshots.insert(*at);
    }
    std::sort(bases.begin(), bases.end());
    for (const auto& [name, size] : sizes_) {
        for (const char* suffix : {".index", ".timeindex"}) {
            const auto base = offset_in(name, suffix);
            if (!base || std::binary_search(bases.begin(), bases.end(), *base)) continue;
            KLAMM_TRY(env.disk().remove(join_path(path_, name)));
            rewritten_ = true;
        }
    }
    for (const Offset base : bases) {
        auto segment = open_segment(env.disk(), path_, base, false);
        if (!segment.ok()) return segment.error();
        segment->size = sizes_[segment_file(base, ".log")];
        if (!segments.empty()) segments.back().end = base;
        segments.push_back(std::move(*segment));
    }
    return {};
}

/// A log that was never there: one empty segment, and the topic's id.
Status Recovery::make(env::Env& env) {
    created = true;
    auto segment = open_segment(env.disk(), path_, Offset(0), true);
    if (!segment.ok()) return segment.error();
    segments.push_back(std::move(*segment));
    for (const Offset snapshot : snapshots) {
        KLAMM_TRY(
            remove_if_there(env.disk(), join_path(path_, segment_file(snapshot, ".snapshot"))));
    }
    snapshots.clear();
    scan_from_ = 0;
    return settle(env);
}

void Recovery::load(env::Env& env, File file, env::FileId id, bool own_handle, std::uint64_t size,
                    std::size_t segment) {
    const env::Token token = tokens_.issue(Work::recovery);
    loads_.emplace(tokens_.last(), Load{file, id, own_handle, segment});
    env.disk().read(id, 0, MutableBuffer(static_cast<std::size_t>(size)), token);
}

std::size_t Recovery::segment_of(Offset offset) const {
    const auto above =
        std::upper_bound(segments.begin(), segments.end(), offset,
                         [](Offset value, const Segment& segment) { return value < segment.base; });
    return above == segments.begin() ? 0 : static_cast<std::size_t>(above - segments.begin()) - 1;
}

Status Recovery::start_loading(env::Env& env) {
    // The segment that holds the last durable batch is scanned too: its indexes need not be durable
    // before a later segment's batches are.
    scan_from_ = hints_.clean_stop ? segments.size() - 1 : segment_of(hints_.recovery_point - 1);
    tail_only_ = hints_.clean_stop;
    const struct {
        File file;
        const char* name;
    } small[] = {{File::metadata, partition_metadata_file}, {File::epochs, epoch_checkpoint_file}};
    for (const auto& [file, name] : small) {
        if (!sizes_.contains(name) || sizes_[name] == 0) continue;
        const auto opened = env.disk().open(join_path(path_, name), env::OpenMode::read);
        if (!opened.ok()) return opened.error();
        load(env, file, *opened, true, sizes_[name], 0);
    }
    const std::size_t indexed = tail_only_ ? segments.size() : scan_from_;
    for (std::size_t i = 0; i < indexed; ++i) {
        const Segment& segment = segments[i];
        const std::string index_name = segment_file(segment.base, ".index");
        const std::string time_index_name = segment_file(segment.base, ".timeindex");
        indexes_[i] = {{}, {}, sizes_.contains(index_name) && sizes_.contains(time_index_name)};
        const std::uint64_t index = sizes_[index_name];
        const std::uint64_t time_index = sizes_[time_index_name];
        if (index > 0) load(env, File::index, segment.index, false, index, i);
        if (time_index > 0) load(env, File::time_index, segment.time_index, false, time_index, i);
    }
    if (tail_only_ && segments.back().size >= record::batch_header_bytes) {
        load(env, File::first_batch, segments.back().log, false, record::batch_header_bytes,
             segments.size() - 1);
    }
    if (loads_.empty()) decide(env);
    return {};
}

void Recovery::take(env::Env& env, const env::ReadDone& done) {
    const auto low = static_cast<std::uint32_t>(done.token);
    if (phase_ == Phase::scanning) {
        if (check(scanner_.take(done), path_)) scan(env);
        return;
    }
    if (phase_ == Phase::copying) {
        copied(env, done);
        return;
    }
    if (phase_ == Phase::snapshot) {
        env.disk().close(snapshot_file_);
        const Offset at = *candidates_.rbegin();
        if (!done.count.ok()) {
            fail(done.count.error(), segment_file(at, ".snapshot"), true);
            return;
        }
        auto table = log::ProducerStateTable::from_snapshot(done.out.freeze(*done.count), at);
        if (table.ok()) {
            producers = std::move(*table);
            start_scan(env);
            return;
        }
        candidates_.erase(at);
        snapshots.erase(at);
        rewritten_ = true;
        if (check(remove_if_there(env.disk(), join_path(path_, segment_file(at, ".snapshot"))),
                  path_)) {
            next_snapshot(env);
        }
        return;
    }
    const auto row = loads_.find(low);
    if (phase_ != Phase::loading || row == loads_.end()) return;
    const Load load = row->second;
    loads_.erase(row);
    if (load.own_handle) env.disk().close(load.id);
    if (!done.count.ok()) {
        fail(done.count.error(), path_, true);
        return;
    }
    loaded(env, load, done.out.freeze(*done.count));
    if (loads_.empty()) decide(env);
}

void Recovery::loaded(env::Env&, const Load& load, ByteView bytes) {
    switch (load.file) {
        case File::metadata: topic_found_ = partition_metadata_topic(as_text(bytes)); break;
        case File::epochs: {
            auto cache = log::LeaderEpochCache::from_text(as_text(bytes));
            epochs_found_ = cache.ok();
            if (cache.ok()) epochs = std::move(*cache);
            break;
        }
        case File::index: indexes_[load.segment].offsets.assign(bytes.begin(), bytes.end()); break;
        case File::time_index:
            indexes_[load.segment].times.assign(bytes.begin(), bytes.end());
            break;
        case File::first_batch:
            if (bytes.size() >= record::batch_header_bytes) {
                segments[load.segment].timestamp_first = record::BatchView(bytes).max_timestamp();
            }
            break;
    }
}

/// All is loaded: how far back must the scan begin?
void Recovery::decide(env::Env& env) {
    if (topic_found_ && *topic_found_ != partition_.topic) {
        fail({Failure::invalid, "the directory belongs to another topic id"},
             join_path(path_, partition_metadata_file), false);
        return;
    }
    for (auto& [i, bytes] : indexes_) {
        Segment& segment = segments[i];
        const Timestamp first = segment.timestamp_first;
        bool sound = bytes.found && segment.decode(bytes.offsets, bytes.times).ok();
        // Entries of a sealed segment stay below the next one's base.
        if (i + 1 < segments.size() && sound) {
            if (!segment.entries.empty()) sound = segment.entries.back().last < segment.end;
            if (!segment.time_entries.empty() && segment.time_entries.back().offset >= segment.end)
                sound = false;
            // A segment that holds batches has at least the time entry of its sealing.
            if (segment.size > 0 && segment.time_entries.empty()) sound = false;
        }
        if (sound) {
            segment.timestamp_first = first;
            continue;
        }
        if (i < scan_from_ || (i == scan_from_ && tail_only_)) {
            scan_from_ = std::min(scan_from_, i);
            tail_only_ = false;
        }
    }
    indexes_.clear();
    if (!epochs_found_) {
        scan_from_ = 0;
        tail_only_ = false;
        epochs.clear();
    }
    for (const Offset at : snapshots) {
        if (at <= hints_.recovery_point) candidates_.insert(at);
    }
    next_snapshot(env);
}

void Recovery::next_snapshot(env::Env& env) {
    if (candidates_.empty()) {
        producers.clear(segments.front().base);
        start_scan(env);
        return;
    }
    const std::string name = segment_file(*candidates_.rbegin(), ".snapshot");
    if (sizes_[name] == 0) {
        candidates_.erase(*candidates_.rbegin());
        next_snapshot(env);
        return;
    }
    phase_ = Phase::snapshot;
    const auto opened = env.disk().open(join_path(path_, name), env::OpenMode::read);
    if (!opened.ok()) {
        fail(opened.error(), name, true);
        return;
    }
    snapshot_file_ = *opened;
    env.disk().read(*opened, 0, MutableBuffer(static_cast<std::size_t>(sizes_[name])),
                    tokens_.issue(Work::recovery));
}

}  // namespace klamm::storage
