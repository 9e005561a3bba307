#pragma once
// One partition's log on one disk, in Kafka's files: batches in segments, two sparse indexes each,
// producer snapshots, the leader epoch checkpoint. FORMAT.md draws the files and says what each
// step makes durable.
//
// Phases: closed → opening → open ⇄ truncating; open → closing → closed; any → offline.
// Always holds:
//   log_start() <= log_end(), and recovery point = flushed_end() <= log_end(); everything below
//   flushed_end() was covered by a sync that succeeded, names and cut tails included;
//   a segment's files go only when the checkpoint durably has a log start at or above its end;
//   nothing is appended over a cut before the cut is durable;
//   after a failed write or sync the log is offline and trusts nothing until it is opened again.
// Effects go to env::Disk: D calls at once, reads and syncs with tokens of this log's owner, whose
// answers come back through on_event. Never blocks; a turn reads or scans a bounded slice.
// It does not know who leads: high watermarks, waiting rows and connections are its caller's.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/env/env.h"
#include "core/log/leader_epoch_cache.h"
#include "core/log/producer_state.h"
#include "core/storage/cleaning.h"
#include "core/storage/log_config.h"
#include "core/storage/offline_reason.h"
#include "core/storage/read_plan.h"
#include "core/storage/recovery.h"
#include "core/storage/rescan.h"
#include "core/storage/segment.h"
#include "core/storage/tail_cache.h"
#include "core/storage/token_book.h"

namespace klamm::storage {

enum class LogPhase : std::uint8_t { closed, opening, open, truncating, closing, offline };

enum class AppendOutcome : std::uint8_t {
    appended,
    duplicate,               // base and last are those of the batch that is here already
    out_of_order_sequence,   // nothing was appended, by the producer's state
    invalid_producer_epoch,  //
    invalid_transaction,     //
    coordinator_fenced,      //
    too_large,               // above max.message.bytes
    corrupt,                 // a fetched batch whose checksum or form is wrong
    misplaced,               // does not follow the log's end, or is of an epoch below its last
    offline,                 // the log is not open, or the write failed (then it is offline now)
};

struct Appended {
    AppendOutcome outcome = AppendOutcome::appended;
    Offset base = no_offset;  // as a follower, refused: where the first unsound batch should stand
    Offset last = no_offset;
    std::uint64_t bytes = 0;
    std::uint32_t batches = 0;
    bool later_epoch = false;  // fetched batches of a later epoch were left out, as in KAFKA-18723
};

class PartitionLog;

/// Keeps recovery points on disk for the logs of a directory, and hears of their phases (see
/// LogDirectory).
class RecoveryPoints {
  public:
    virtual ~RecoveryPoints() = default;
    /// The greatest point that the checkpoint may hold for the log `name`, now or after a crash.
    [[nodiscard]] virtual Offset durable_at_most(std::string_view name) const = 0;
    /// The log start that the checkpoint has durably, whatever happens, and the greatest that it
    /// may have now or after a crash.
    struct DurableStart {
        Offset least;
        Offset most;
    };
    [[nodiscard]] virtual DurableStart durable_start(std::string_view name) const = 0;
    /// Asks for the checkpoint to be rewritten from PartitionLog::recovery_point() of every log;
    /// PartitionLog::on_checkpointed follows when that is durable.
    virtual void checkpoint(env::Env& env) = 0;
    /// The log has entered another phase.
    virtual void phase_changed(const PartitionLog& log) = 0;
};

class PartitionLog {
  public:
    /// `directory` is the log directory's path ("" is the root), `name` the partition's directory
    /// in it, `<topic>-<partition>`. Tokens carry `owner`. `points` outlives the log.
    PartitionLog(TopicPartition partition, std::string directory, std::string name,
                 LogConfig config, TokenOwner owner, RecoveryPoints& points);
    ~PartitionLog();
    PartitionLog(const PartitionLog&) = delete;
    PartitionLog& operator=(const PartitionLog&) = delete;

    // --- life
    /// Begins to open, making what is missing. Ends in phase open (LogOpened is stated) or offline.
    void open(env::Env& env, const OpenHints& hints);
    /// True when the token is this log's; the answer has then been taken.
    bool on_event(env::Env& env, const env::ReadDone& done);
    bool on_event(env::Env& env, const env::Synced& done);
    bool on_event(env::Env& env, const env::Listed& done);
    /// The checkpoint durably holds `point` for this log.
    void on_checkpointed(env::Env& env, Offset point);
    /// Flushes everything, writes the producer snapshot, ends in phase closed. Only from open.
    void close(env::Env& env);
    /// Closes its files as they are: the log is about to be destroyed, and its directory to go.
    void discard(env::Disk& disk);
    /// The directory failed elsewhere: this log is offline too.
    void fail(const Turn& turn, OfflineReason reason);

    [[nodiscard]] LogPhase phase() const { return phase_; }
    [[nodiscard]] bool opened() const {
        return phase_ == LogPhase::open || phase_ == LogPhase::truncating;
    }
    /// Set exactly in phase offline.
    [[nodiscard]] const std::optional<OfflineReason>& offline() const { return offline_; }

    // --- writing; only in phase open, else the outcome is offline
    /// Appends one validated batch at the end, giving it its offsets and `epoch`. Its payload is
    /// written from where it is and kept in the tail cache, not copied.
    Appended append_as_leader(const Turn& turn, env::Disk& disk, const Buffer& batch,
                              LeaderEpoch epoch, log::Origin origin = log::Origin::client);
    /// Appends fetched batches as they are: the first must continue the log, epochs must not
    /// fall, every checksum must hold. All or nothing, but for what comes from the first batch on
    /// whose epoch exceeds `epoch`; a cut last batch is ignored.
    Appended append_as_follower(const Turn& turn, env::Disk& disk, const Buffer& batches,
                                LeaderEpoch epoch);
    /// Notes that a leader took up `epoch` at the log's end.
    void assign_epoch(LeaderEpoch epoch);
    /// Begins to cut everything from `end` up, which lies in [log_start, log_end]. Until phase is
    /// open again nothing may be appended; log_end() falls some turns later. Close what
    /// pinned_above(end) names first.
    void truncate_to(env::Env& env, Offset end);
    /// Begins to drop everything and to start anew, empty, at `start`.
    void truncate_fully_and_start_at(env::Env& env, Offset start);

    // --- the front (partition_front.cc)
    /// Raises the log start, to at most the log end and the high watermark; false when it does not
    /// lie above the present one. Segments wholly below are removed in later turns.
    bool raise_log_start(env::Env& env, Offset start, facts::LogStartReason reason);
    /// Raises the log start past the segments that size and time no longer keep, as Kafka 4.1 does:
    /// only those wholly below `high_watermark`, from the front. Rolls when all of them go.
    void retain(env::Env& env, Offset high_watermark);
    /// Removes the files of segments that were deleted file.delete.delay.ms ago.
    void remove_deleted(env::Env& env);
    /// When remove_deleted() has something to do; instant_never when there is nothing.
    [[nodiscard]] Instant deleted_due() const;
    /// What the checkpoint may hold as log start.
    [[nodiscard]] Offset checkpoint_start() const;
    /// Of all segments' logs.
    [[nodiscard]] std::uint64_t size_bytes() const;

    // --- compaction (partition_clean.cc)
    /// What a cleaning would find now; nothing when there is nothing, one is running, or the log is
    /// not compacted.
    [[nodiscard]] std::optional<log::CleanRange> dirty(const Turn& turn,
                                                       Offset high_watermark) const;
    /// Begins a cleaning if one is due; whether it did. It goes on by itself, a slice a turn. What
    /// is not flushed is flushed first, and cleaned when asked again.
    bool clean(env::Env& env, Offset high_watermark);
    [[nodiscard]] bool cleaning() const { return cleaning_ != nullptr; }
    /// Where the last cleaning ended: cleaner-offset-checkpoint.
    [[nodiscard]] Offset cleaned_to() const { return cleaned_to_; }

    // --- durability
    /// Asks that everything appended so far be made durable. One flush runs, at most one waits.
    void flush(env::Env& env);
    /// Flushes if flush.messages is reached; to be called at the end of a turn that appended.
    void maybe_flush(env::Env& env);
    [[nodiscard]] bool flushing() const { return flush_.running; }
    /// Everything below was covered by a sync that succeeded.
    [[nodiscard]] Offset flushed_end() const { return flushed_end_; }
    /// What the checkpoint may hold: flushed_end(), or less while a cut below it is under way.
    [[nodiscard]] Offset recovery_point() const;

    // --- reading
    [[nodiscard]] Offset log_start() const { return log_start_; }
    [[nodiscard]] Offset log_end() const { return log_end_; }
    /// Whole batches from the one that holds `from`, below `limit`, at most `bytes_max`; with
    /// `min_one` the first of them whatever its size. `from` at the limit gives an empty plan.
    ReadPlan read(env::Env& env, Offset from, std::uint64_t bytes_max, Offset limit, bool min_one);
    /// The first record at or after `from` whose timestamp is at least `timestamp`.
    TimestampLookup offset_for_timestamp(env::Env& env, Timestamp timestamp);
    /// Tickets of plans and lookups that waited and may be asked for again now.
    std::vector<ReadTicket> take_ready() { return std::exchange(ready_, {}); }
    /// While pinned, the plan's file range must not be cut under the network.
    PinId pin(const ReadPlan& plan);
    void unpin(PinId pin);
    /// The pins of ranges that reach past `end`, ascending.
    [[nodiscard]] std::vector<PinId> pinned_above(Offset end) const;

    /// Where what is decided ends, for a reader with isolation.level=read_committed: at most the
    /// high watermark (see log::ProducerStateTable::stable_end).
    [[nodiscard]] Offset stable_end(Offset high_watermark) const {
        const Offset end = std::max(log_start_, producers_.stable_end(high_watermark));
        return std::min(end, high_watermark);
    }
    /// The aborted transactions that a reader of [from, to) may meet.
    [[nodiscard]] std::vector<log::AbortedTransaction> aborted_in(Offset from, Offset to) const;
    /// The high watermark has moved.
    void note_high_watermark(Offset high_watermark) { producers_.forget_decided(high_watermark); }
    /// Forgets producers whose last batch is older than `expiration_ms` and that are in no
    /// transaction (producer.id.expiration.ms).
    void forget_idle_producers(Timestamp now, std::int64_t expiration_ms) {
        producers_.remove_expired(now, expiration_ms);
    }

    [[nodiscard]] const log::LeaderEpochCache& epoch_cache() const { return epochs_; }
    [[nodiscard]] const log::ProducerStateTable& producer_state() const { return producers_; }
    [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
    /// Whether the log was opened after a clean stop with nothing cut; else the stop was unproven.
    [[nodiscard]] bool opened_clean() const { return clean_; }
    [[nodiscard]] TopicPartition partition() const { return partition_; }
    [[nodiscard]] TokenOwner owner() const { return tokens_.owner(); }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const LogConfig& config() const { return config_; }
    void set_config(const LogConfig& config) { config_ = config; }
    /// Digest of offsets and epochs, for comparing runs.
    [[nodiscard]] std::uint64_t digest() const;

  private:
    struct Flush {
        bool running = false;
        bool again = false;
        Offset target{0};
        std::uint32_t outstanding = 0;
        bool naming = false;  // files are synced, the directory is being
        env::FileId epoch_file = env::FileId::none;
        std::vector<env::FileId> loose_files;
    };
    struct Cut {
        Offset end{0};
        bool fully = false;
        bool begun = false;     // past the wait for a running flush
        bool lowering = false;  // waiting for the recovery point to come down durably
        bool renamed = false;   // files are synced, names are being
        std::uint32_t outstanding = 0;
        env::FileId epoch_file = env::FileId::none;
    };
    struct Pin {
        PinId id;
        Offset end;
        env::FileId file;
    };
    struct Deleted {  // its files have their other names
        Segment segment;
        Instant due;
    };
    struct Chunk {  // bytes of a log file, read on the way to a batch
        env::FileId file;
        std::uint64_t position;
        Buffer bytes;
    };
    enum class Walk : std::uint8_t { ok, waiting, failed };

    // partition_log.cc
    void enter(LogPhase phase);
    void after_recovery(env::Env& env);
    void finish_open(env::Env& env);
    void go_offline(const Turn& turn, OfflineReason reason);
    void disk_failed(const Turn& turn, const Error& error, const std::string& file,
                     std::uint64_t position);
    [[nodiscard]] Segment& active() { return segments_.back(); }
    [[nodiscard]] std::size_t segment_of(Offset offset) const;
    void finish_close(env::Env& env);

    // partition_append.cc
    struct Incoming {
        Buffer head;  // at least the whole header, as it is to be written
        Buffer rest;  // what follows it; empty when `head` is the whole batch
        [[nodiscard]] std::uint64_t size() const { return head.size() + rest.size(); }
    };
    bool append_all(const Turn& turn, env::Disk& disk, const std::vector<Incoming>& batches,
                    bool as_leader);
    bool write_run(const Turn& turn, env::Disk& disk, const std::vector<Incoming>& batches,
                   std::size_t from, std::size_t to, bool as_leader);
    void note_appended(const Turn& turn, const Incoming& batch, bool as_leader);
    void state_doubtful(const Turn& turn, const std::vector<Incoming>& batches, std::size_t from,
                        std::size_t to, bool as_leader) const;
    struct Planned {  // what the active segment will be when a run is written
        Offset base;
        std::uint64_t size;
        Timestamp timestamp_first;
        std::size_t entries;
    };
    [[nodiscard]] Planned plan() const;
    [[nodiscard]] bool must_roll(const record::BatchView& batch, const Planned& segment) const;
    Status roll(env::Disk& disk);
    Status write_index_entries(env::Disk& disk, Segment& segment);

    // partition_flush.cc
    void start_flush(env::Env& env);
    void advance_flush(env::Env& env, const Status& status);
    Status name_flushed(env::Env& env);
    void finish_flush(env::Env& env);
    void begin_cut(env::Env& env);
    void lower_then_cut(env::Env& env);
    void advance_rescan(env::Env& env);
    void cut_now(env::Env& env);
    Status cut_files(env::Env& env);
    Status start_anew(env::Disk& disk);
    Status sync_cut(env::Env& env);
    void advance_cut(env::Env& env, const Status& status);

    // partition_clean.cc
    enum class Swap : std::uint8_t {
        none,
        promised,  // an opening would finish it, once the names are durable
        covered,   // the other segments of the group have gone
        placed,    // the cleaned segment has its names
    };
    void advance_cleaning(env::Env& env);
    void sync_swap(env::Env& env, const Status& status);
    void advance_swap(env::Env& env, const Status& synced);
    void swap_in(const Turn& turn, const log::SegmentGroup& group);
    void give_up_cleaning(env::Disk& disk);
    /// A cut waits until no name is on its way.
    [[nodiscard]] bool may_cut() const {
        return !flush_.running && !front_naming_ && swap_ == Swap::none;
    }

    // partition_front.cc
    [[nodiscard]] std::size_t deletable(Timestamp wall, Offset high_watermark) const;
    void advance_front(env::Env& env);
    Status delete_front(env::Env& env);

    // partition_read.cc
    Walk bytes_at(env::Env& env, const Segment& segment, std::uint64_t position, std::uint64_t size,
                  Buffer& out, ReadTicket& ticket);
    Walk header_at(env::Env& env, const Segment& segment, std::uint64_t position, Buffer& out,
                   ReadTicket& ticket);
    void chunk_read(env::Env& env, const env::ReadDone& done);
    void read_range(env::Env& env, Offset from, std::uint64_t bytes_max, Offset limit, bool min_one,
                    ReadPlan& plan);
    Walk search_batch(env::Env& env, const Segment& segment, std::uint64_t position,
                      Timestamp timestamp, TimestampLookup& lookup);
    void forget_chunks();

    TopicPartition partition_;
    std::string name_;
    std::string path_;    // of the partition's directory
    std::string parent_;  // of the log directory
    LogConfig config_;
    RecoveryPoints& points_;

    LogPhase phase_ = LogPhase::closed;
    std::optional<OfflineReason> offline_;
    OpenHints hints_;
    bool clean_ = false;
    std::unique_ptr<Recovery> recovery_;
    std::unique_ptr<Rescan> rescan_;

    std::vector<Segment> segments_;  // ascending; the last is active
    log::LeaderEpochCache epochs_;
    log::ProducerStateTable producers_;
    std::set<Offset> snapshots_;
    Offset log_start_{0};
    Offset log_end_{0};
    Offset flushed_end_{0};
    bool names_dirty_ = false;              // names in the directory not yet synced
    bool epochs_dirty_ = false;             // the cache is newer than its file
    std::vector<env::FileId> loose_files_;  // snapshots written but not yet synced, while closing
    Flush flush_;
    std::optional<Cut> cut_;
    bool front_naming_ = false;  // the directory is being synced after delete_front()
    std::vector<Deleted> deleted_;
    std::unique_ptr<Cleaning> cleaning_;
    Swap swap_ = Swap::none;
    Offset cleaned_to_{0};

    TailCache tail_;
    std::deque<Chunk> chunks_;
    std::map<std::uint32_t, Chunk> chunk_reads_;  // by the low half of the token
    std::vector<ReadTicket> ready_;
    std::vector<Pin> pins_;
    std::uint64_t pins_made_ = 0;

    TokenBook tokens_;
};

}  // namespace klamm::storage
