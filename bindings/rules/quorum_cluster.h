#pragma once
// A small quorum for searches and random schedules: real Raft values, logs and quorum-state files
// on disks that lose what is not synced, a network that delivers in any order, late or never. A
// record is its epoch and a number that no other record has.
//
// After each event it is held against what Raft promises:
//   election safety       one leader an epoch, over all incarnations
//   log matching          records of one offset and epoch are the same, and so is all before them
//   leader completeness   a new leader holds what leaders of older epochs had committed, and every
//                         change of voters that was acknowledged
//   state-machine safety  what two replicas take for committed is the same, and stays
// and a fault of a replica is a violation too.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/assert.h"
#include "core/raft/raft.h"

namespace klamm::quorum {

using namespace klamm::raft;

struct Record {
    LeaderEpoch epoch;
    std::uint64_t number = 0;  // unique in the run
    std::optional<ControlValue> control;
    friend bool operator==(const Record&, const Record&) = default;
};

struct Snapshot {
    SnapshotInfo info;
    std::vector<Record> records;  // all that it stands for
    SnapshotContent content;
};

/// What a crash leaves of a replica.
struct Disk {
    Offset start{0};
    std::vector<Record> log;  // from `start` on
    Offset flushed{0};
    std::vector<Snapshot> snapshots;  // ascending; durable when complete
    std::optional<ElectionState> state;
    std::vector<StateWrite> state_writes;  // not durable yet
};

struct Message {
    BrokerId from;
    BrokerId to;
    bool is_request = true;
    std::uint64_t id = 0;  // the number of the request, or the one that is answered
    Request request;
    Response response;
    std::vector<Record> records;    // of a fetch response
    std::uint64_t incarnation = 0;  // of who asked
    friend bool operator==(const Message&, const Message&) = default;
};

struct Held {
    StateNumber after = 0;
    Message message;
};

struct Replica {
    ReplicaKey key;
    Settings settings;
    VoterSet configured;
    Disk disk;
    std::optional<Raft> raft;  // nothing while it is down
    std::uint64_t incarnation = 0;
    Instant clock{1'000'000'000};  // its own: nothing says that clocks go alike
    StateNumber durable_state = 0;
    LeaderEpoch spoke_as_leader{0};  // the last epoch in which it sent anything as a leader
    std::vector<Held> held;
    std::map<Ticket, Message> asked;  // 0 from: an administrator's
    log::LeaderEpochCache epochs;
    std::vector<SnapshotInfo> infos;

    [[nodiscard]] Offset end() const {
        return disk.start + static_cast<std::int64_t>(disk.log.size());
    }
    [[nodiscard]] LogView view() const { return {disk.start, end(), disk.flushed, &epochs, infos}; }
    void read_log();
};

struct Options {
    int replicas = 3;         // ids from 1 on
    std::vector<int> voters;  // the first voters; empty: all
    bool dynamic = false;     // voters by directory, in a bootstrap snapshot (kraft.version 1)
    bool sync_logs = false;   // syncs return at once
    bool sync_states = false;
    bool find_leader = true;              // whoever knows no leader asks around
    std::size_t fetch_records_max = 100;  // that an answer carries
    std::uint64_t seed = 1;
};

/// Replicas that sync what they write, and are told who leads.
inline Options plain() {
    Options options;
    options.sync_logs = true;
    options.sync_states = true;
    options.find_leader = false;
    return options;
}

/// While one lives, a failed assertion in a Cluster's event is its violation.
class AssertionsAreViolations {
  public:
    AssertionsAreViolations();
    ~AssertionsAreViolations();
    AssertionsAreViolations(const AssertionsAreViolations&) = delete;
    AssertionsAreViolations& operator=(const AssertionsAreViolations&) = delete;

  private:
    AssertionHandler before_;
};

class Cluster {
  public:
    Cluster(const Options& options, Plants* plants);

    // What may happen; each is false, and nothing, when it cannot.
    bool deliver(std::size_t message);
    bool lose(std::size_t message, bool noticed);
    bool tick(int id);    // time goes on to the alarm of this replica
    bool expire(int id);  // time goes on past all its timeouts
    bool append(int id);  // a record, if it leads
    bool sync_log(int id);
    bool sync_state(int id);
    bool kill(int id);                      // its page cache stays
    bool power_off(int id, unsigned keep);  // keeps so much of what is not durable, in percent
    bool restart(int id);
    bool snapshot(int id);
    bool resign(int id);
    bool shut_down(int id);
    bool add_voter(int id);
    bool remove_voter(int id);

    [[nodiscard]] const std::string& violation() const { return violation_; }
    [[nodiscard]] const std::vector<Message>& network() const { return network_; }
    [[nodiscard]] Replica& at(int id) { return replicas_[static_cast<std::size_t>(id - 1)]; }
    [[nodiscard]] const Replica& at(int id) const {
        return replicas_[static_cast<std::size_t>(id - 1)];
    }
    [[nodiscard]] int size() const { return static_cast<int>(replicas_.size()); }
    /// The leader of the greatest epoch among those that lead, or 0.
    [[nodiscard]] int leader() const;
    [[nodiscard]] const std::vector<Record>& committed() const { return committed_; }
    [[nodiscard]] LeaderEpoch epoch_max() const;
    [[nodiscard]] Turn turn(const Replica& replica) const;
    /// Equal for states that differ only in moments of time and numbers of requests.
    [[nodiscard]] std::uint64_t digest() const;
    [[nodiscard]] std::string print() const;
    /// What was said since the last call: a line a message, in the order of sending.
    std::string take_transcript();
    /// The answer that the last change of voters was given, if it was.
    std::optional<ErrorCode> change_answer;
    /// Delivers what there is and lets time go on, until nothing is under way or `events` are over;
    /// all syncs return.
    void settle(int events);
    /// The same until no message is under way; time stands still.
    void drain(int events);
    bool transcribe = false;

  private:
    void take(Replica& replica, Effects effects, const Message* cause);
    /// Does what the effects ask of the log; nothing when they ask for nothing.
    std::optional<Effects> change_log(Replica& replica, const Effects& effects,
                                      const Message* cause);
    void answer(Replica& replica, const Answer& answer);
    void keep_or_send(Replica& replica, StateNumber after, Message message);
    void release(Replica& replica);
    void send(Message message);
    void fail(const std::string& what);
    void check(const Replica& replica);
    void check_matching();
    template <class Fn>
    bool event(Replica& replica, const Message* cause, Fn&& fn);
    [[nodiscard]] Record fresh(LeaderEpoch epoch);
    [[nodiscard]] Voter voter_of(int id) const;
    [[nodiscard]] static std::vector<Record> all_records(const Replica& replica);

    Options options_;
    Plants* plants_;
    std::uint64_t numbers_ = 0;
    Ticket tickets_ = 0;
    std::vector<Replica> replicas_;
    std::vector<Message> network_;
    std::map<LeaderEpoch, std::pair<BrokerId, std::uint64_t>> leaders_;  // with its incarnation
    std::vector<Record> committed_;
    std::vector<LeaderEpoch> committed_in_;  // the epoch of the leader that committed it
    struct Acknowledged {
        Offset offset;
        Record record;
        LeaderEpoch in;
    };
    std::vector<Acknowledged> acknowledged_;
    std::string violation_;
    std::string transcript_;
};

}  // namespace klamm::quorum
