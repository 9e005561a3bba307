#pragma once
// The coordinator of the groups of one partition of __consumer_offsets: the classic group protocol,
// offsets and their expiry, also those of transactions, as Kafka 4.1 has them
// (GroupMetadataManager, OffsetMetadataManager, ClassicGroup). A value: commands, time and the
// log's progress go in; writes and answers come out.
//
// Who owns it takes a write after each call, appends its records as one batch, and says written()
// or write_failed() before the next call. An answer that speaks of a record waits for its commit.
// Group's soft state (members that join, deadlines, heartbeats) is not in the log and is lost on
// failover; so members are given a session's time when it is loaded.
//
// Where it differs from Kafka: a request whose row another of the same member replaces is answered
// REBALANCE_IN_PROGRESS, and one whose member leaves is answered UNKNOWN_MEMBER_ID (Kafka never
// answers them); it leads only when all that lay in its log is committed.

#include <deque>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/base/timer_queue.h"
#include "core/base/turn.h"
#include "core/group/commands.h"
#include "core/group/group.h"
#include "core/group/records.h"
#include "core/replicated/replicated.h"

namespace klamm::group {

struct Settings {
    std::int32_t session_ms_min = 6'000;      // group.min.session.timeout.ms
    std::int32_t session_ms_max = 1'800'000;  // group.max.session.timeout.ms
    Duration initial_delay = milliseconds(3'000);
    Duration new_member_timeout = seconds(300);
    std::size_t members_max = 2'147'483'647;
    std::size_t metadata_bytes_max = 4'096;  // offset.metadata.max.bytes
    Duration retention = seconds(7 * 24 * 3'600);
    Duration retention_check = seconds(600);
    Duration commit_timeout = seconds(5);  // offsets.commit.timeout.ms
};

struct Answer {
    Caller caller;
    AnswerBody body;
};

/// What follows when a write's records are committed, or could not be.
struct Reply {  // the answer; `command` would be refused with it
    Answer answer;
    Command command;
};
struct AssignmentStored {
    std::string group;
    std::int32_t generation;
    std::map<std::string, Bytes> assignments;
};
struct StaticMemberStored {
    std::string group;
    std::string instance;
    std::string old_member, new_member;
    Member before;  // protocols and times of the old member
    std::optional<std::string> old_leader;
    Caller caller;
    bool can_skip_assignment;
};
struct Nothing {};
using Consequence = std::variant<Nothing, Reply, AssignmentStored, StaticMemberStored>;

/// Records to be appended as one batch.
struct Write {
    std::vector<GroupLogRecord> records;
    Consequence then;
    Transactional transaction{};  // whose batch it is; a marker is alone in its batch
};

class Coordinator {
  public:
    explicit Coordinator(Settings settings) : settings_(settings) {}

    // --- its life: core/replicated's
    void begin_loading(LeaderEpoch epoch, Offset start) { log_.begin_loading(epoch, start); }
    void load(const GroupLogRecord& record) { log_.load(record); }
    void loaded_to(Offset end) { log_.loaded_to(end); }
    /// The log is loaded, and all of it is committed: groups get their members' sessions.
    void lead(const Turn& turn);
    /// It leads no more: whoever waits is told NOT_COORDINATOR.
    void resign();

    /// Decides. Commands that come while it does not lead are refused.
    void handle(const Turn& turn, Caller caller, Command command);
    /// Lets due timers fire.
    void advance(const Turn& turn);
    [[nodiscard]] Instant deadline_min() const;
    void on_high_watermark(const Turn& turn, Offset high_watermark);
    /// Offsets of topics that are deleted are forgotten.
    void forget_topics(const std::set<std::string>& topics);

    [[nodiscard]] bool has_write() const { return !writes_.empty(); }
    [[nodiscard]] Write take_write();
    /// The records were appended, the last of them at `last`.
    void written(const Turn& turn, Write write, Offset last);
    void write_failed(const Turn& turn, Write write, ErrorCode append_error);
    [[nodiscard]] std::vector<Answer> take_answers() { return std::exchange(answers_, {}); }

    [[nodiscard]] const replicated::Replicated<GroupLog, Consequence>& log() const { return log_; }
    [[nodiscard]] const std::map<std::string, Group>& groups() const { return groups_; }
    [[nodiscard]] const Settings& settings() const { return settings_; }

  private:
    enum class TimerKind : std::uint8_t { session, join, initial_join, sync, retention };
    struct Timer {
        TimerKind kind;
        std::string group{};
        std::string member{};
        std::int32_t generation = 0;
        Duration delay{};      // of the first rebalance: what has passed
        Duration remaining{};  // and what may still
    };

    void decide(const Turn& turn, Caller caller, const Join& join);
    void decide(const Turn& turn, Caller caller, const Sync& sync);
    void decide(const Turn& turn, Caller caller, const Heartbeat& heartbeat);
    void decide(const Turn& turn, Caller caller, const Leave& leave);
    void decide(const Turn& turn, Caller caller, const Commit& commit);
    void decide(const Turn& turn, Caller caller, const Fetch& fetch);
    void decide(const Turn& turn, Caller caller, const DeleteOffsets& request);
    void decide(const Turn& turn, Caller caller, const Describe& describe);
    void decide(const Turn& turn, Caller caller, const List& list);
    void decide(const Turn& turn, Caller caller, const Delete& request);
    void decide(const Turn& turn, Caller caller, const EndTransaction& end);

    // Joining.
    void join_new(const Turn& turn, Caller caller, const Join& join, Group& group);
    void join_existing(const Turn& turn, Caller caller, const Join& join, Group& group);
    [[nodiscard]] bool accepts(Group& group, const std::string& member) const;
    [[nodiscard]] std::string name_member(const Turn& turn, const Join& join, Group& group) const;
    void add_member(const Turn& turn, Caller caller, const Join& join, Group& group,
                    const std::string& member);
    void update_member(Member& member, const Join& join, std::optional<Caller> caller);
    void replace_static_member(const Turn& turn, Caller caller, const Join& join, Group& group,
                               const std::string& new_id);
    void static_member_stored(const Turn& turn, const StaticMemberStored& stored, ErrorCode error);
    [[nodiscard]] JoinAnswer current_generation(const Group& group, const std::string& member,
                                                bool with_members) const;

    // Rebalancing.
    void rebalance_or_complete(const Turn& turn, Group& group);
    void prepare_rebalance(const Turn& turn, Group& group);
    void maybe_complete_join(const Turn& turn, Group& group);
    void complete_join(const Turn& turn, Group& group);
    void extend_or_complete_join(const Turn& turn, Group& group, const Timer& timer);
    void member_gone(const Turn& turn, Group& group);
    void drop_member(Group& group, const std::string& member);
    void assignment_stored(const Turn& turn, const AssignmentStored& stored, ErrorCode error);
    void propagate(const Turn& turn, Group& group, ErrorCode error);
    void sync_received(Group& group, const std::string& member);

    // Timers, one of each kind a group or member.
    void schedule_session(const Turn& turn, Group& group, Member& member);
    void schedule_join(Group& group, Instant deadline, Timer timer);
    void cancel(std::optional<TimerId>& timer);
    void fire(const Turn& turn, const Timer& timer);
    void expire_session(const Turn& turn, Group& group, const std::string& member);
    void expire_sync(const Turn& turn, Group& group, std::int32_t generation);
    void expire_offsets(const Turn& turn);
    [[nodiscard]] bool expire_offsets_of(const Turn& turn, const Group& group,
                                         std::vector<GroupLogRecord>& records) const;

    // Offsets and groups.
    [[nodiscard]] static ErrorCode validate_commit(const Turn& turn, const Commit& commit,
                                                   const Group& group);
    [[nodiscard]] Group* find(const std::string& group);
    Group& create(const Turn& turn, const std::string& group);
    void forget(const std::string& group);
    void forget_if_void(const std::string& group);
    void write_tombstones(std::vector<GroupLogRecord> records);

    void write(std::vector<GroupLogRecord> records, Consequence then,
               const Transactional& transaction = {}) {
        writes_.push_back({std::move(records), std::move(then), transaction});
    }
    void answer(Caller caller, AnswerBody body) { answers_.push_back({caller, std::move(body)}); }
    void answer_join(std::optional<Caller>& caller, JoinAnswer body);
    void answer_sync(std::optional<Caller>& caller, SyncAnswer body);
    void conclude(const Turn& turn, const Consequence& then, ErrorCode error);

    Settings settings_;
    replicated::Replicated<GroupLog, Consequence> log_;
    std::map<std::string, Group> groups_;
    TimerQueue<Timer> timers_;
    std::deque<Write> writes_;
    std::vector<Answer> answers_;
};

}  // namespace klamm::group
