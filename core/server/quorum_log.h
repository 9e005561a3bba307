#pragma once
// What a replica of the quorum keeps on its disk: the log __cluster_metadata-0 in Kafka's files,
// and beside it the file quorum-state. A log directory of its own, with identity, lock, clean-stop
// marker and recovery as any other.
//
// Phases: starting (the directory, the log, then the file and every control record are read) →
// ready → closing → closed; any → failed, and then nothing here is trusted before a restart.
// What always holds: a quorum-state counts as durable after its file is synced, named, and the
// name synced; a newer one waits for the one being written. While cutting() the log says nothing
// of itself: a cut takes turns, and the core is told when it is over.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/effects.h"
#include "core/storage/log_directory.h"

namespace klamm::server {

constexpr const char* quorum_state_file = "quorum-state";

class QuorumLog {
  public:
    enum class Phase : std::uint8_t { starting, ready, closing, closed, failed };

    explicit QuorumLog(std::string directory);

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

    std::deque<Reading> readings_;
    env::Token reads_made_ = 0;
    std::vector<Read> reads_done_;
};

}  // namespace klamm::server
