#pragma once
// One log directory: its identity, lock, clean-stop marker and checkpoints, and the partitions in
// it. Routes the disk's answers to them. Checkpoints are replaced by temporary file, sync, rename,
// sync of the directory.
//
// Always holds: the marker is durably gone before any log opens, so a crash later is unproven; a
// recovery point stands in the checkpoint only after the sync that it promises; when one log's disk
// fails, the directory and all its logs are offline.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/storage/partition_log.h"

namespace klamm::storage {

enum class DirectoryPhase : std::uint8_t { fresh, starting, ready, closing, closed, offline };

class LogDirectory final : public RecoveryPoints {
  public:
    /// Tokens carry owners from `owner_first` up, below `owner_end`: the first is the directory's,
    /// each log opened takes the next.
    LogDirectory(std::string path, TokenOwner owner_first, TokenOwner owner_end);
    ~LogDirectory() override;

    /// Begins: makes the directory if it is missing, locks it, reads identity, marker and
    /// checkpoints, removes the marker durably. Ends ready or offline. `expected.directory` is used
    /// only when there is no meta.properties yet; another cluster or node is an error.
    void start(env::Env& env, const DirectoryIdentity& expected);
    /// Whether this token belongs here. on_event() ignores foreign tokens.
    [[nodiscard]] bool owns(env::Token token) const {
        return owner_of(token) >= owner_first_ && owner_of(token) < owner_next_;
    }
    /// Gives the answer to whom it concerns. Returns the log that it touched, or nullptr.
    PartitionLog* on_event(env::Env& env, const env::ReadDone& done);
    PartitionLog* on_event(env::Env& env, const env::Synced& done);
    PartitionLog* on_event(env::Env& env, const env::Listed& done);
    /// Takes a log's failure over to the directory and all its logs; to be called after a turn in
    /// which an append answered offline. on_event() does it by itself.
    void settle(const Turn& turn);

    /// Opens (or makes) a partition's log; needs phase ready. `name` is `<topic>-<partition>`.
    /// A batch of an epoch above `leader_epoch_max` is damaged.
    PartitionLog& open_log(env::Env& env, TopicPartition partition, const std::string& name,
                           const LogConfig& config,
                           LeaderEpoch leader_epoch_max = LeaderEpoch{INT32_MAX});
    [[nodiscard]] PartitionLog* find(TopicPartition partition);

    // --- partitions that go (directory_removal.cc)
    /// Forgets a partition's log, whatever it is at; nothing of it may be pinned. When the
    /// checkpoints have forgotten it too its directory gets another name: as Kafka's,
    /// `<name>.<32 hex digits>-delete`, whose files are removed file.delete.delay.ms later, or with
    /// `keep` -stray, which stays for a person.
    void remove_log(env::Env& env, TopicPartition partition, bool keep);
    /// The partitions' directories that were there at start and were not opened since: they belong
    /// to nobody once all that should be here is open.
    [[nodiscard]] std::vector<std::string> unopened() const;
    /// Gives one of them its other name, -stray.
    void set_aside(env::Env& env, const std::string& name);
    /// Removes the files of what was deleted long enough ago.
    void remove_doomed(env::Env& env);
    /// When remove_doomed() has something to do, or instant_never.
    [[nodiscard]] Instant doomed_due() const;
    /// Whether nothing is left here of an earlier log of this name; before that a new one must not
    /// be opened.
    [[nodiscard]] bool name_free(const std::string& name) const { return !going_.contains(name); }

    /// Begins to write the recovery points of all logs, and the noted high watermarks, to their
    /// checkpoints. One runs, at most one waits. To be called from time to time
    /// (log.flush.offset.checkpoint.interval.ms).
    void checkpoint(env::Env& env) override;
    void note_high_watermark(const std::string& name, Offset high_watermark);
    /// As read at start; nothing for an unknown partition.
    [[nodiscard]] std::optional<Offset> checkpointed_high_watermark(const std::string& name) const;

    /// Clean stop: closes all logs, writes the checkpoints, then the marker with `epoch`. Ends in
    /// phase closed; if any log is not open then, without a marker. Without one, too, when not
    /// `all_opened` (a log that belongs here was never opened) and the previous stop was not clean:
    /// nobody has recovered that log since (as in Kafka's LogManager.shutdown).
    void close(env::Env& env, BrokerEpoch epoch, bool all_opened = true);

    [[nodiscard]] DirectoryPhase phase() const { return phase_; }
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
    [[nodiscard]] const DirectoryIdentity& identity() const { return identity_; }
    /// Whether the previous stop was proven clean by a marker.
    [[nodiscard]] bool clean_start() const { return clean_; }
    /// The broker epoch in that marker, or -1: what registration sends (contract I4).
    [[nodiscard]] BrokerEpoch previous_epoch() const { return previous_epoch_; }

    /// The logs that entered another phase since this was last asked.
    std::set<TopicPartition> take_changed() { return std::exchange(changed_, {}); }

    // RecoveryPoints
    [[nodiscard]] Offset durable_at_most(std::string_view name) const override;
    [[nodiscard]] DurableStart durable_start(std::string_view name) const override;
    void phase_changed(const PartitionLog& log) override;

  private:
    enum class Work : std::uint8_t {
        list,
        read_identity,
        read_marker,
        read_points,
        read_watermarks,
        read_starts,
        read_cleaned,
        sync_identity,
        sync_start,
        sync_file,
        sync_names,
        sync_marker,
        sync_marker_name,
        list_doomed,
        sync_removal,
    };
    struct Going {  // a directory that keeps its name until then
        bool keep;
        Duration delay;
    };
    struct Checkpointing {
        bool running = false;
        bool again = false;
        std::uint32_t outstanding = 0;
        OffsetsByName points;   // being written
        OffsetsByName starts;   // the same; of logs that do not start at 0
        OffsetsByName cleaned;  // the same; of logs that were cleaned
        std::vector<std::pair<const char*, env::FileId>> files;
    };

    [[nodiscard]] env::Token token(Work work) const {
        return (env::Token{owner_first_} << 32) | static_cast<env::Token>(work);
    }
    [[nodiscard]] static Work work_of(env::Token token) { return static_cast<Work>(token & 0xff); }
    [[nodiscard]] std::string path_of(std::string_view file) const;
    PartitionLog* log_of(env::Token token);
    void fail(const Turn& turn, const Error& error, const std::string& file);
    void take_over(const Turn& turn, const PartitionLog& log);
    template <class Done>
    PartitionLog* route(env::Env& env, const Done& done);
    Status identity_synced(env::Env& env);
    Status marker_synced(env::Env& env);
    Status begin(env::Env& env);
    Status listed(env::Env& env, const std::vector<env::DirectoryEntry>& entries);
    Status took_file(env::Env& env, Work work, ByteView bytes);
    Status loaded(env::Env& env);
    Status start_checkpoint(env::Env& env);
    Status checkpoint_synced(env::Env& env);
    void finish_checkpoint(env::Env& env);
    void advance_close(env::Env& env);
    Status write_marker(env::Env& env);
    std::string other_name(const Turn& turn, const std::string& name, std::string_view suffix);
    void find_partitions(const std::vector<env::DirectoryEntry>& entries);
    void forget(env::Env& env, const std::string& name, Going how);
    Status rename_going(env::Env& env);
    Status doomed_listed(env::Env& env, const env::Listed& done);

    std::string path_;
    TokenOwner owner_first_;
    TokenOwner owner_next_;
    TokenOwner owner_end_;
    DirectoryPhase phase_ = DirectoryPhase::fresh;
    std::optional<Error> failure_;
    DirectoryIdentity identity_;
    bool identity_found_ = false;
    bool clean_ = false;
    BrokerEpoch previous_epoch_ = no_broker_epoch;
    env::FileId starting_file_ = env::FileId::none;
    std::map<std::uint8_t, env::FileId> reading_;
    std::uint32_t starting_ = 0;  // answers still awaited while starting

    std::vector<std::unique_ptr<PartitionLog>>
        logs_;  // in the order of opening; index = owner - first - 1; nullptr when it has gone
    std::map<TopicPartition, PartitionLog*> by_partition_;
    std::set<TopicPartition> changed_;  // of phase
    std::set<TokenOwner> gone_;         // logs that went offline, not yet taken over
    OffsetsByName points_;              // as the checkpoint durably has them
    OffsetsByName starts_;              // the same
    OffsetsByName cleaned_;             // the same
    OffsetsByName watermarks_;          // noted
    OffsetsByName watermarks_loaded_;   // as found at start
    Checkpointing checkpointing_;
    struct Doomed {  // a directory with its other name
        std::string name;
        Instant due;
    };
    std::deque<Doomed> doomed_;           // in the order of being deleted
    bool listing_doomed_ = false;         // the first of them is being looked into
    std::map<std::string, bool> found_;   // partitions' directories at start; true: opened since
    std::map<std::string, Going> going_;  // directories that keep their names until then
    bool closing_checkpoint_ = false;
    BrokerEpoch closing_epoch_ = no_broker_epoch;
    bool all_recovered_ = false;  // when closing: no log is left as an unclean stop left it
    env::FileId marker_file_ = env::FileId::none;
};

}  // namespace klamm::storage
