#pragma once
// Opens one partition's files and finds what may be trusted (contract I5). FORMAT.md tells the
// rules; the steps are
//
//     listing → swapping (finishing a cleaning's swap) → loading (metadata, epochs, indexes, then
//     the best producer snapshot) → scanning (from the recovery point's segment, or the tail after
//     a clean stop) → copying (what no sync is known to cover, into fresh files) → settling (syncs,
//     then names) → done
//
// and at any step failed. Everything that is accepted is synced before it is called durable, and
// never by a sync of pages that an earlier, failed sync may have given up.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/env/env.h"
#include "core/log/leader_epoch_cache.h"
#include "core/log/producer_state.h"
#include "core/storage/files.h"
#include "core/storage/log_config.h"
#include "core/storage/offline_reason.h"
#include "core/storage/scanner.h"
#include "core/storage/segment.h"
#include "core/storage/token_book.h"

namespace klamm::storage {

struct OpenHints {
    bool clean_stop = false;   // the directory was stopped cleanly and nothing ran since
    Offset recovery_point{0};  // from the checkpoint; 0 when it names no such partition
    Offset cleaned_to{0};      // the same
    Offset log_start{0};       // from the checkpoint: segments wholly below are to be removed
    /// The highest leader epoch that the partition has had: no batch of it can have a higher one.
    LeaderEpoch leader_epoch_max{INT32_MAX};
};

class Recovery {
  public:
    enum class Phase : std::uint8_t {
        listing,
        swapping,
        loading,
        snapshot,
        scanning,
        copying,
        settling,
        done,
        failed
    };

    /// `directory` is the log directory's path, `path` the partition's in it.
    Recovery(TopicPartition partition, std::string directory, std::string path,
             const LogConfig& config, const OpenHints& hints, TokenBook& tokens);

    void begin(env::Env& env);
    void take(env::Env& env, const env::Listed& done);
    void take(env::Env& env, const env::ReadDone& done);
    void take(env::Env& env, const env::Synced& done);

    [[nodiscard]] Phase phase() const { return phase_; }

    // --- when failed
    OfflineReason failure;

    // --- when done
    std::vector<Segment> segments;
    log::LeaderEpochCache epochs;
    log::ProducerStateTable producers;
    std::set<Offset> snapshots;
    Offset end{0};
    bool created = false;  // there was no log before
    bool cut = false;      // something was cut: the stop was not clean, whatever the marker said
    bool settled = false;  // everything below `end` was synced here

  private:
    enum class File : std::uint8_t { metadata, epochs, index, time_index, txn_index, first_batch };
    struct Load {
        File file;
        env::FileId id;
        bool own_handle;  // to be closed when read
        std::size_t segment;
    };

    /// What the listing and the index files say of one segment.
    struct Found {
        std::optional<std::uint64_t> log;  // sizes; nothing: no such file
        std::optional<std::uint64_t> index;
        std::optional<std::uint64_t> time_index;
        std::optional<std::uint64_t> txn_index;
        Bytes offsets;  // content of the indexes, as far as it is loaded
        Bytes times;
        Bytes aborted;
    };

    void fail(const Error& error, const std::string& file, bool disk_failed,
              std::uint64_t position = 0, Offset offset = no_offset);
    /// Fails on an error; true when all is well.
    bool check(const Status& status, const std::string& file);
    Status make(env::Env& env);
    Status remove(env::Env& env, const std::string& name);
    Status sort_entries(env::Env& env, const std::vector<env::DirectoryEntry>& entries);
    // recovery_swap.cc
    struct SwapFound {  // sizes of what lies there under a `.swap` name
        std::optional<std::uint64_t> log;
        std::optional<std::uint64_t> index;
        std::optional<std::uint64_t> time_index;
        bool txn_index = false;
    };
    Status next_swap(env::Env& env);
    void scan_swap(env::Env& env);
    Status cover(env::Env& env);
    Status place(env::Env& env);
    Status abandon_swap(env::Env& env);
    Status remove_segment_files(env::Env& env, std::size_t segment);
    Status forget_indexes(env::Env& env, std::size_t segment);

    Status open_found(env::Env& env);
    Status remove_below_start(env::Env& env);
    Status start_loading(env::Env& env);
    void load(env::Env& env, File file, env::FileId id, bool own_handle, std::uint64_t size,
              std::size_t segment);
    void loaded(env::Env& env, const Load& load, ByteView bytes);
    void decide(env::Env& env);
    void next_snapshot(env::Env& env);
    void start_scan(env::Env& env);
    void start_segment(env::Env& env);
    void scan(env::Env& env);
    bool accept(env::Env& env, ByteView batch);
    /// Takes an earlier snapshot, from before the segment that is being scanned.
    void look_further_back(env::Env& env);
    void bad(env::Env& env, const char* what);
    Status cut_at(env::Env& env, std::size_t segment, std::uint64_t position);
    void finish_scan(env::Env& env);
    /// Whether the segment holds bytes that only the page cache is known to have.
    [[nodiscard]] bool doubtful(const Segment& segment) const;
    Status copy(env::Env& env);
    void copied(env::Env& env, const env::ReadDone& done);
    Status settle(env::Env& env);
    Status finish_copy(env::Env& env);
    Status name_copy(env::Disk& disk);
    void sync(env::Disk& disk, const Segment& files);
    [[nodiscard]] std::size_t segment_of(Offset offset) const;

    TopicPartition partition_;
    std::string directory_;
    std::string path_;
    LogConfig config_;
    OpenHints hints_;
    TokenBook& tokens_;
    Phase phase_ = Phase::listing;

    std::map<std::string, std::uint64_t, std::less<>> sizes_;  // of files found, but for segments'
    std::vector<Found> found_;                                 // by segment
    std::size_t indexed_ = 0;                                  // of the first so many, the indexes
    std::unordered_map<std::uint32_t, Load> loads_;            // by the low half of the token
    std::map<Offset, SwapFound> swaps_;                        // not yet finished
    env::FileId swap_file_ = env::FileId::none;
    Offset swap_end_;
    std::optional<Uuid> topic_found_;
    bool epochs_found_ = false;
    struct Candidate {
        Offset at;
        std::uint64_t size;
    };
    std::vector<Candidate> candidates_;  // snapshots not yet tried, ascending
    env::FileId snapshot_file_ = env::FileId::none;

    std::size_t scan_from_ = 0;
    std::size_t scanning_ = 0;
    std::vector<std::uint64_t> file_sizes_;  // of the segments' logs, before the scan
    bool tail_only_ = false;   // the scan of scan_from_ begins at its last index entry
    bool tail_first_ = false;  // the next batch is that entry's
    bool rewritten_ = false;   // files were changed, so the directory must be synced
    Scanner scanner_;
    std::optional<Segment> copy_;  // of segment copying_: the fresh files and how much is copied
    std::size_t copying_ = 0;
    std::uint32_t outstanding_ = 0;
    bool naming_ = false;
    env::FileId epoch_file_ = env::FileId::none;
    env::FileId metadata_file_ = env::FileId::none;
};

}  // namespace klamm::storage
