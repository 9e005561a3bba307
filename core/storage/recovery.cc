// Listing and loading; recovery_scan.cc goes on from there.

#include "core/storage/recovery.h"

#include <algorithm>
#include <charconv>

namespace klamm::storage {

namespace {

/// The files of a segment, in the order of their names, and the snapshots.
enum class Kind : std::uint8_t { index, log, snapshot, time_index, txn_index };

struct SegmentName {
    Offset base;
    Kind kind;
};

/// What `name` says, when it is the name of such a file.
std::optional<SegmentName> segment_name(std::string_view name) {
    if (name.size() <= offset_digits) return std::nullopt;
    SegmentName parsed;
    const std::string_view suffix = name.substr(offset_digits);
    if (suffix == ".log")
        parsed.kind = Kind::log;
    else if (suffix == ".index")
        parsed.kind = Kind::index;
    else if (suffix == ".timeindex")
        parsed.kind = Kind::time_index;
    else if (suffix == ".snapshot")
        parsed.kind = Kind::snapshot;
    else if (suffix == txn_index_suffix)
        parsed.kind = Kind::txn_index;
    else
        return std::nullopt;
    const char* stop = name.data() + offset_digits;
    const auto [at, error] = std::from_chars(name.data(), stop, parsed.base.value);
    if (error != std::errc{} || at != stop || parsed.base.value < 0) return std::nullopt;
    return parsed;
}

struct SegmentEntry {
    SegmentName name;
    std::uint64_t size;
    [[nodiscard]] auto order() const { return std::pair(name.base, name.kind); }
};

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
    if (check(sort_entries(env, *done.entries), path_)) check(next_swap(env), path_);
}

/// The segments are those that are to stay: opens them and begins to load.
Status Recovery::open_found(env::Env& env) {
    KLAMM_TRY(remove_below_start(env));
    for (std::size_t i = 0; i < segments.size(); ++i) {
        auto opened = open_segment(env.disk(), path_, segments[i].base, false);
        if (!opened.ok()) return opened.error();
        opened->size = segments[i].size;
        if (found_[i].txn_index) KLAMM_TRY(open_txn_index(env.disk(), path_, *opened));
        if (i > 0) segments[i - 1].end = opened->base;
        segments[i] = std::move(*opened);
    }
    if (segments.empty()) {
        if (hints_.recovery_point > Offset(0)) {
            fail({Failure::corrupt, "the log's files are gone, though synced"}, path_, false, 0,
                 Offset(0));
            return {};
        }
        return make(env);
    }
    phase_ = Phase::loading;
    return start_loading(env);
}

Status Recovery::remove(env::Env& env, const std::string& name) {
    rewritten_ = true;
    return env.disk().remove(join_path(path_, name));
}

Status Recovery::sort_entries(env::Env& env, const std::vector<env::DirectoryEntry>& entries) {
    std::vector<SegmentEntry> files;
    files.reserve(entries.size());
    for (const env::DirectoryEntry& entry : entries) {
        if (entry.is_directory) continue;
        const std::string_view name_text = entry.name;
        if (entry.name.ends_with(temporary_suffix) || entry.name.ends_with(deleted_suffix) ||
            entry.name.ends_with(cleaned_suffix)) {
            KLAMM_TRY(remove(env, entry.name));
        } else if (entry.name.ends_with(swap_suffix)) {
            const auto swap = segment_name(
                name_text.substr(0, name_text.size() - std::string_view(swap_suffix).size()));
            if (!swap) continue;
            SwapFound& found = swaps_[swap->base];
            if (swap->kind == Kind::log) found.log = entry.size;
            if (swap->kind == Kind::index) found.index = entry.size;
            if (swap->kind == Kind::time_index) found.time_index = entry.size;
            if (swap->kind == Kind::txn_index) found.txn_index = true;
        } else if (const auto name = segment_name(entry.name)) {
            files.push_back({*name, entry.size});
        } else {
            sizes_[entry.name] = entry.size;
        }
    }
    const auto before = [](const SegmentEntry& a, const SegmentEntry& b) {
        return a.order() < b.order();
    };
    if (!std::is_sorted(files.begin(), files.end(), before))
        std::sort(files.begin(), files.end(), before);
    for (std::size_t from = 0, to = 0; from < files.size(); from = to) {
        const Offset base = files[from].name.base;
        Found found;
        for (; to < files.size() && files[to].name.base == base; ++to) {
            switch (files[to].name.kind) {
                case Kind::index: found.index = files[to].size; break;
                case Kind::log: found.log = files[to].size; break;
                case Kind::time_index: found.time_index = files[to].size; break;
                case Kind::txn_index: found.txn_index = files[to].size; break;
                case Kind::snapshot:
                    snapshots.insert(snapshots.end(), base);
                    candidates_.push_back({base, files[to].size});
                    break;
            }
        }
        if (!found.log) {
            // Indexes that outlived their log.
            if (found.index) KLAMM_TRY(remove(env, segment_file(base, ".index")));
            if (found.time_index) KLAMM_TRY(remove(env, segment_file(base, ".timeindex")));
            if (found.txn_index) KLAMM_TRY(remove(env, segment_file(base, txn_index_suffix)));
            continue;
        }
        Segment segment;
        segment.base = base;
        segment.size = *found.log;
        segments.push_back(std::move(segment));
        found_.push_back(std::move(found));
    }
    return {};
}

/// What lies wholly below the checkpointed log start was being removed. The renames may have become
/// durable in any order, and a hole among segments that stay would be damage.
Status Recovery::remove_below_start(env::Env& env) {
    std::size_t gone = 0;
    for (; gone + 1 < segments.size() && segments[gone + 1].base <= hints_.log_start; ++gone) {
        KLAMM_TRY(remove_segment_files(env, gone));
    }
    const auto count = static_cast<std::ptrdiff_t>(gone);
    segments.erase(segments.begin(), segments.begin() + count);
    found_.erase(found_.begin(), found_.begin() + count);
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
    indexed_ = tail_only_ ? segments.size() : scan_from_;
    for (std::size_t i = 0; i < indexed_; ++i) {
        const Segment& segment = segments[i];
        const std::uint64_t index = found_[i].index.value_or(0);
        const std::uint64_t time_index = found_[i].time_index.value_or(0);
        if (index > 0) load(env, File::index, segment.index, false, index, i);
        if (time_index > 0) load(env, File::time_index, segment.time_index, false, time_index, i);
        if (const std::uint64_t size = found_[i].txn_index.value_or(0); size > 0)
            load(env, File::txn_index, segment.txn_index, false, size, i);
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
    if (phase_ == Phase::swapping) {
        if (check(scanner_.take(done), path_)) scan_swap(env);
        return;
    }
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
        const Offset at = candidates_.back().at;
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
        candidates_.pop_back();
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
        case File::index: found_[load.segment].offsets.assign(bytes.begin(), bytes.end()); break;
        case File::time_index: found_[load.segment].times.assign(bytes.begin(), bytes.end()); break;
        case File::txn_index:
            found_[load.segment].aborted.assign(bytes.begin(), bytes.end());
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
        fail({Failure::exists, "the directory belongs to another topic id"},
             join_path(path_, partition_metadata_file), false);
        return;
    }
    for (std::size_t i = 0; i < indexed_; ++i) {
        Segment& segment = segments[i];
        const Found& found = found_[i];
        const Timestamp first = segment.timestamp_first;
        bool sound =
            found.index && found.time_index && segment.decode(found.offsets, found.times).ok();
        // Entries of a sealed segment stay below the next one's base.
        if (i + 1 < segments.size() && sound) {
            if (!segment.entries.empty()) sound = segment.entries.back().last < segment.end;
            if (!segment.time_entries.empty() && segment.time_entries.back().offset >= segment.end)
                sound = false;
            // A segment that holds batches has at least the time entry of its sealing.
            if (segment.size > 0 && segment.time_entries.empty()) sound = false;
        }
        if (sound) {
            auto aborted = log::AbortedIndex::decode(
                found.aborted, segment.base,
                i + 1 < segments.size() ? segment.end : Offset(INT64_MAX));
            sound = aborted.ok();
            if (sound) segment.aborted = std::move(*aborted);
        }
        if (sound) {
            segment.timestamp_first = first;
            segment.aborted_written = segment.aborted.size();
            continue;
        }
        if (i < scan_from_ || (i == scan_from_ && tail_only_)) {
            scan_from_ = std::min(scan_from_, i);
            tail_only_ = false;
        }
    }
    found_.clear();
    for (const Segment& segment : segments) file_sizes_.push_back(segment.size);
    if (!epochs_found_) {
        scan_from_ = 0;
        tail_only_ = false;
        epochs.clear();
    }
    while (!candidates_.empty() && candidates_.back().at > hints_.recovery_point)
        candidates_.pop_back();
    next_snapshot(env);
}

void Recovery::next_snapshot(env::Env& env) {
    while (!candidates_.empty() && candidates_.back().size == 0) candidates_.pop_back();
    if (candidates_.empty()) {
        producers.clear(segments.front().base);
        start_scan(env);
        return;
    }
    const std::string name = segment_file(candidates_.back().at, ".snapshot");
    phase_ = Phase::snapshot;
    const auto opened = env.disk().open(join_path(path_, name), env::OpenMode::read);
    if (!opened.ok()) {
        fail(opened.error(), name, true);
        return;
    }
    snapshot_file_ = *opened;
    env.disk().read(*opened, 0, MutableBuffer(static_cast<std::size_t>(candidates_.back().size)),
                    tokens_.issue(Work::recovery));
}

}  // namespace klamm::storage
