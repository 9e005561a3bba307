#pragma once
// What a replica of the quorum keeps on its disk: the log __cluster_metadata-0 in Kafka's files,
// its snapshots, and beside them the file quorum-state. A log directory of its own, with identity,
// lock, clean-stop marker and recovery as any other.
//
// Phases: starting (the directory, the log, its snapshots, then the file and every control record
// are read) → ready → closing → closed; any → failed, and then nothing here is trusted before a
// restart.
// What always holds: a quorum-state counts as durable after its file is synced, named, and the
// name synced; a newer one waits for the one being written. While cutting() the log says nothing
// of itself: a cut takes turns, and the core is told when it is over. A log that does not begin at
// 0 begins where a snapshot ends that counts; a log that is behind its newest snapshot, because the
// process died between the two, is dropped for it at the start.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/effects.h"
#include "core/server/quorum_snapshots.h"
#include "core/storage/log_directory.h"

namespace klamm::server {

constexpr const char* quorum_state_file = "quorum-state";

struct QuorumLogSettings {
    std::uint64_t segment_bytes = 1U << 30;  // metadata.log.segment.bytes
    /// metadata.max.retention.bytes: what log and snapshots may have together before older
    /// snapshots go, and the log below the oldest that is left.
    std::uint64_t retention_bytes = 100U << 20;
};

class QuorumLog {
  public:
    enum class Phase : std::uint8_t { starting, ready, closing, closed, failed };

    explicit QuorumLog(std::string directory, QuorumLogSettings settings = {});

    /// Begins. A new directory gets the id that `identity` has.
    void start(env::Env& env, const storage::DirectoryIdentity& identity);
    // Events of the seam; false when they are another's.
    bool on_event(env::Env& env, const env::ReadDone& done);
    bool on_event(env::Env& env, const env::Synced& done);
    bool on_event(env::Env& env, const env::Listed& done);

    [[nodiscard]] Phase phase() const { return phase_; }
    /// One sentence, in phase failed.
    [[nodiscard]] const std::string& failure() const { return failure_; }

    // --- when ready, as it was found; each may be taken once
    [[nodiscard]] const Uuid& directory_id() const { return directory_.identity().directory; }
    std::optional<raft::ElectionState> take_stored() { return std::exchange(stored_, {}); }
    std::vector<raft::ControlEntry> take_entries() { return std::exchange(entries_, {}); }
    /// What the snapshot says with which the log begins, if it does not begin at 0; after a restart
    /// by a snapshot, what that one says.
    std::optional<raft::SnapshotContent> take_content() { return std::exchange(content_, {}); }

    // --- when ready
    /// Lives as long as the turn.
    [[nodiscard]] raft::LogView view() const;
    /// A cut is under way: nothing may be appended, nor the log looked at.
    [[nodiscard]] bool cutting() const;
    [[nodiscard]] Offset end() const { return log_->log_end(); }

    // These append at the end and ask for a sync. On a failure the phase is failed.
    void append_control(env::Env& env, const raft::ControlAppend& append);
    /// One batch of records with these values, as the leader of `epoch`. False when it is too large
    /// for the log, or the disk failed.
    bool append_values(env::Env& env, const std::vector<Bytes>& values, LeaderEpoch epoch);
    /// What a leader of `epoch` sent. Gives the control records among it; batches that are not
    /// whole, or do not follow the log's end, are left out with all that comes after them.
    std::vector<raft::ControlEntry> append_fetched(env::Env& env, const Buffer& batches,
                                                   LeaderEpoch epoch);
    void truncate(env::Env& env, Offset end);
    /// All pieces of this snapshot are there: the log is dropped, and begins anew after it.
    void restart(env::Env& env, const raft::LogId& id);

    [[nodiscard]] QuorumSnapshots& snapshots() { return snapshots_; }
    [[nodiscard]] const QuorumSnapshots& snapshots() const { return snapshots_; }
    std::vector<QuorumSnapshots::Read> take_snapshot_reads() {
        return std::exchange(snapshot_reads_, {});
    }
    /// Removes what is not to be kept any longer, and files whose time has come.
    void clean(env::Env& env);
    /// When clean() has something to do that only time brings.
    [[nodiscard]] Instant clean_due() const;

    void write_state(env::Env& env, const raft::StateWrite& write);
    /// The number of the newest quorum-state that a loss of power cannot take back.
    [[nodiscard]] raft::StateNumber durable_state() const { return durable_state_; }

    struct Read {
        std::uint64_t tag = 0;
        std::vector<Buffer> pieces;  // of whole batches, the first of which holds what was asked
        /// As one.
        [[nodiscard]] Buffer joined() const;
    };
    /// Asks for whole batches from `from` up to `limit`, at least one and about `bytes_max` of
    /// them; take_reads() has them, in this turn or a later one, in any order. What lies above the
    /// high watermark may have been cut meanwhile: then there is nothing, or what was there.
    void read(env::Env& env, std::uint64_t tag, Offset from, std::uint64_t bytes_max, Offset limit);
    std::vector<Read> take_reads() { return std::exchange(reads_done_, {}); }

    /// A clean stop. Ends closed, or failed.
    void close(env::Env& env);
    [[nodiscard]] std::uint64_t digest() const;

  private:
    enum class Step : std::uint8_t { none, synced, named };
    struct Reading {
        std::uint64_t tag;
        Offset from;
        std::uint64_t bytes_max;
        Offset limit;
        env::Token token = 0;  // 0: not asked yet, the log was waiting for the disk
    };

    void after_event(env::Env& env);
    bool settle_snapshots(env::Env& env);
    void read_content(env::Env& env, const raft::LogId& id);
    void take_content(const raft::LogId& id, ByteView bytes);
    void advance_restart(env::Env& env);
    void fail(std::string why);
    void open_state(env::Env& env);
    void take_state(ByteView text);
    void load(env::Env& env);
    void begin_write(env::Env& env);
    void advance_write(env::Env& env, const Status& status, bool named);
    bool try_read(env::Env& env, Reading& reading);
    void retry_reads(env::Env& env);
    void note_entries(ByteView batches, Offset end, std::vector<raft::ControlEntry>& into);

    std::string path_;        // of the log directory
    std::string state_path_;  // of the file
    std::string partition_;   // the log's own directory
    QuorumLogSettings settings_;
    storage::LogDirectory directory_;
    storage::PartitionLog* log_ = nullptr;
    Phase phase_ = Phase::starting;
    std::string failure_;

    bool state_asked_ = false;
    bool state_read_ = false;
    env::FileId state_file_ = env::FileId::none;
    std::optional<raft::ElectionState> stored_;
    Offset loaded_ = no_offset;
    bool loading_ = false;
    std::vector<raft::ControlEntry> entries_;

    std::optional<raft::StateWrite> writing_;
    std::optional<raft::StateWrite> waiting_;
    raft::StateNumber durable_state_ = 0;

    QuorumSnapshots snapshots_;
    std::vector<QuorumSnapshots::Read> snapshot_reads_;
    enum class Content : std::uint8_t { unknown, reading, known };
    Content content_state_ = Content::unknown;
    std::optional<raft::LogId> content_of_;  // being read
    std::optional<raft::SnapshotContent> content_;
    bool dropped_ = false;  // at the start: the log for a newer snapshot
    enum class Restart : std::uint8_t { none, completing, cutting, reading };
    Restart restart_ = Restart::none;
    raft::LogId restart_at_;

    std::deque<Reading> readings_;
    env::Token reads_made_ = 0;
    std::vector<Read> reads_done_;
};

}  // namespace klamm::server
