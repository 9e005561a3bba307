#pragma once
// The small files beside the batches: their texts, and the steps of replacing one so that a reader
// finds either the old content or the new (temporary file, sync, rename, sync of the directory; the
// syncs are the caller's, being waits).

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/env/disk.h"
#include "core/log/producer_state.h"
#include "core/storage/segment.h"

namespace klamm::storage {

constexpr const char* epoch_checkpoint_file = "leader-epoch-checkpoint";
constexpr const char* partition_metadata_file = "partition.metadata";
constexpr const char* recovery_points_file = "recovery-point-offset-checkpoint";
constexpr const char* high_watermarks_file = "replication-offset-checkpoint";
constexpr const char* log_starts_file = "log-start-offset-checkpoint";
constexpr const char* cleaned_ends_file = "cleaner-offset-checkpoint";
constexpr const char* meta_properties_file = "meta.properties";
constexpr const char* clean_shutdown_file = ".kafka_cleanshutdown";
constexpr const char* lock_file = ".lock";
constexpr const char* temporary_suffix = ".tmp";
constexpr const char* deleted_suffix = ".deleted";
constexpr const char* cleaned_suffix = ".cleaned";
constexpr const char* swap_suffix = ".swap";

/// What meta.properties holds (version 1).
struct DirectoryIdentity {
    std::string cluster_id;
    BrokerId node;
    Uuid directory;
    friend bool operator==(const DirectoryIdentity&, const DirectoryIdentity&) = default;
};

/// `directory/name`, or `name` when the directory is the root.
std::string join_path(std::string_view directory, std::string_view name);

/// Writes `bytes` to a fresh `path`.tmp and leaves it open for a sync.
Result<env::FileId> write_temporary(env::Disk& disk, const std::string& path, ByteView bytes);
/// Closes the temporary file, now synced, and gives it its name.
Status rename_temporary(env::Disk& disk, const std::string& path, env::FileId file);
/// Makes `path` hold `bytes`, in place, and leaves it open.
Result<env::FileId> write_in_place(env::Disk& disk, const std::string& path, ByteView bytes);
/// Removes `path`; no error when it is not there.
Status remove_if_there(env::Disk& disk, const std::string& path);

constexpr const char* txn_index_suffix = ".txnindex";

/// Opens log and indexes of the segment at `base`, made and emptied if they are to be `fresh`; not
/// the index of aborted transactions.
Result<Segment> open_segment(env::Disk& disk, const std::string& directory, Offset base,
                             bool fresh);
void close_segment(env::Disk& disk, Segment& segment);
Status remove_segment(env::Disk& disk, const std::string& directory, Segment& segment);
/// Gives the segment's files names that end in `.deleted`; its handles go on.
Status rename_deleted(env::Disk& disk, const std::string& directory, const Segment& segment);
/// Opens the index of aborted transactions, which may be made by that.
Status open_txn_index(env::Disk& disk, const std::string& directory, Segment& segment);
/// Makes the index files hold exactly the segment's entries.
Status rewrite_indexes(env::Disk& disk, const std::string& directory, Segment& segment);
/// Writes `<end>.snapshot` and leaves it open for a sync.
Result<env::FileId> write_snapshot(env::Disk& disk, const std::string& directory,
                                   const log::ProducerStateTable& producers);

/// Kafka's offset checkpoints: version 0, a count, one "topic partition offset" a line; keyed by
/// the partition's directory name.
using OffsetsByName = std::map<std::string, Offset, std::less<>>;
std::string offsets_to_text(const OffsetsByName& offsets);
Result<OffsetsByName> offsets_from_text(std::string_view text);

std::string partition_metadata_text(const Uuid& topic);
/// Nothing when the text is not whole.
std::optional<Uuid> partition_metadata_topic(std::string_view text);

std::string meta_properties_text(const DirectoryIdentity& identity);
Result<DirectoryIdentity> meta_properties_from_text(std::string_view text);

std::string clean_shutdown_text(BrokerEpoch epoch);
/// The epoch in the marker: -1 when it holds none that can be read.
BrokerEpoch clean_shutdown_epoch(std::string_view text);

}  // namespace klamm::storage
