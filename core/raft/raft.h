#pragma once
// One replica of the KRaft quorum (KIP-595, 630, 853, 996), as Kafka 4.1's KafkaRaftClient and
// QuorumState have it: a value that is told of time, messages and its log, and says what to do.
//
//   unattached   knows no leader; asks around. A voter whose election timeout ends → prospective
//   follower     fetches from the leader. A voter that has not fetched for fetch.timeout →
//                prospective
//   prospective  asks whether it would be voted for (pre-vote), its epoch unchanged. A majority →
//                candidate; no majority, or the timeout → follower or unattached, as before
//   candidate    in an epoch of its own, voted for itself. A majority → leader; the timeout →
//                prospective
//   leader       until a majority has not fetched for 1.5 fetch.timeout, it is told to resign, or
//                it was removed → resigned
//   resigned     tells the voters whom it would have succeed it. The timeout → unattached in the
//                next epoch
//   any          hears of a greater epoch → unattached or follower
//
// An observer is a replica that is not in the newest voter set of its log: it is unattached or a
// follower. Any replica may be given votes to grant: the asking one may know newer voters.
//
// What always holds: at most one vote an epoch, also across restarts; a leader once restarted never
// leads its epoch again; the log is cut below the high watermark never (that is a fault); no
// message rests on a log that is not flushed, nor, sent by its edge, on a state that is not.
//
// It differs from Kafka where Kafka writes and syncs within one step: a candidate that restarts
// with records of its own epoch in its log was leader, though its file does not say so yet, and
// starts as resigned.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/raft/connections.h"
#include "core/raft/effects.h"
#include "core/raft/leader.h"

namespace klamm::raft {

struct Settings {
    Duration election_timeout = milliseconds(1000);      // at least; less than twice as much
    Duration fetch_timeout = milliseconds(2000);         //
    Duration request_timeout = milliseconds(2000);       //
    Duration retry_backoff = milliseconds(20);           //
    Duration election_backoff_max = milliseconds(1000);  // after EndQuorumEpoch
    Duration fetch_wait_max = milliseconds(500);         // that a leader may hold a fetch
    std::uint32_t snapshot_piece_bytes = 8 << 20;
    std::vector<BrokerId> bootstrap;  // whom to ask for the leader: voters, or negative ids
    bool flush_always = true;         // observers flush too: one that may be made a voter must
    Endpoints endpoints;              // of this replica, as a voter
    std::int16_t version_min = 0;     // of kraft.version
    std::int16_t version_max = 1;
    std::uint64_t incarnation = 0;  // keys the draws
    friend bool operator==(const Settings&, const Settings&) = default;
};

/// At most so many fetches wait at a leader; the oldest is answered when there is one more.
constexpr std::size_t parked_fetches_max = 1024;

struct Votes {
    enum class State : std::uint8_t { open, granted, rejected };
    std::map<BrokerId, std::pair<ReplicaKey, State>> voters;

    [[nodiscard]] std::size_t count(State state) const;
    [[nodiscard]] bool won() const { return count(State::granted) > voters.size() / 2; }
    [[nodiscard]] bool lost() const {
        return count(State::granted) + count(State::open) <= voters.size() / 2;
    }
    friend bool operator==(const Votes&, const Votes&) = default;
};

struct Unattached {
    Instant deadline;  // never, for an observer
    friend bool operator==(const Unattached&, const Unattached&) = default;
};
struct SnapshotFetch {
    LogId id;
    std::uint64_t position = 0;
    friend bool operator==(const SnapshotFetch&, const SnapshotFetch&) = default;
};
struct Follower {
    Instant deadline;
    Instant update_voter_at;
    bool has_fetched = false;         // from this leader, so that it is known to be there
    bool has_updated_leader = false;  // kraft.version 0: it was told this voter's endpoints
    std::optional<SnapshotFetch> snapshot;
    friend bool operator==(const Follower&, const Follower&) = default;
};
struct Prospective {
    Instant deadline;
    Votes votes;
    friend bool operator==(const Prospective&, const Prospective&) = default;
};
struct Candidate {
    Instant deadline;
    Votes votes;
    friend bool operator==(const Candidate&, const Candidate&) = default;
};
struct ParkedFetch {
    Ticket ticket = 0;
    FetchRequest request;
    Instant deadline;
    friend bool operator==(const ParkedFetch&, const ParkedFetch&) = default;
};
/// A voter being added or removed; answered when its record is committed.
struct VoterChange {
    Ticket ticket = 0;
    bool adds = false;
    Voter voter;
    std::optional<Offset> record;  // nothing while the new voter is asked for its versions
    Instant deadline;
    friend bool operator==(const VoterChange&, const VoterChange&) = default;
};
struct Leading {
    LeaderState state;
    Instant begin_epoch_at;  // when BeginQuorumEpoch is sent again
    bool resign = false;
    std::vector<ParkedFetch> parked;
    std::optional<VoterChange> change;
    friend bool operator==(const Leading&, const Leading&) = default;
};
struct Resigned {
    Instant deadline;
    std::vector<ReplicaKey> successors;
    std::set<BrokerId> unacknowledged;
    friend bool operator==(const Resigned&, const Resigned&) = default;
};
using Role = std::variant<Unattached, Follower, Prospective, Candidate, Leading, Resigned>;

class Raft {
  public:
    /// A replica in its directory, which is not zero. `voters` are the configured ones, which count
    /// until the log has others. Call start() next.
    Raft(const ReplicaKey& self, const Settings& settings, VoterSet voters);

    /// The node starts with this log and the quorum-state that its file has, if any. `snapshot` is
    /// what the log's first snapshot says, `entries` the control records after it, in order.
    Effects start(const Turn& turn, const LogView& log, const std::optional<ElectionState>& stored,
                  const std::optional<SnapshotContent>& snapshot,
                  const std::vector<ControlEntry>& entries);
    /// The alarm has come, or anything else that only time brings. Never wrong to call.
    Effects tick(const Turn& turn, const LogView& log);
    /// What was asked for in the effects is done to the log, or records were appended as leader, or
    /// a sync has returned, or a snapshot was made and the log's start moved. `entries` are those
    /// of records appended as a follower; `snapshot` what a log that was restarted begins with.
    Effects on_log(const Turn& turn, const LogView& log,
                   const std::vector<ControlEntry>& entries = {},
                   const std::optional<SnapshotContent>& snapshot = std::nullopt);
    /// A request of another replica or of an administrator. The answer may come later.
    Effects on_request(const Turn& turn, const LogView& log, Ticket ticket, const Request& request);
    /// The answer to request number `request` to `from`.
    Effects on_response(const Turn& turn, const LogView& log, BrokerId from, std::uint64_t request,
                        const Response& response);
    /// The connection broke before an answer, or could not be made.
    Effects on_failure(const Turn& turn, const LogView& log, BrokerId from, std::uint64_t request);
    /// Gives up leadership of `epoch`, if that is what it has.
    Effects resign(const Turn& turn, const LogView& log, LeaderEpoch epoch);
    /// Leaves in order: a leader resigns and stays until another is known, or `timeout` is over.
    Effects shut_down(const Turn& turn, const LogView& log, Duration timeout);
    /// Raises kraft.version to 1, when all voters are known by their directories and support it
    /// (KIP-853). Errors: not_leader_or_follower, invalid_update_version.
    Effects upgrade(const Turn& turn, const LogView& log, ErrorCode& error);

    /// Whether the answer to request number `request` to `from` would still be taken.
    [[nodiscard]] bool expects(BrokerId from, std::uint64_t request) const {
        return connections_.expected(from, request);
    }
    /// When tick() is due.
    [[nodiscard]] Instant alarm(const Turn& turn) const;
    /// After shut_down(): nothing keeps this node any longer.
    [[nodiscard]] bool may_stop(Instant now) const;

    [[nodiscard]] const ReplicaKey& self() const { return self_; }
    [[nodiscard]] LeaderEpoch epoch() const { return election_.epoch; }
    [[nodiscard]] BrokerId leader() const { return election_.leader; }
    [[nodiscard]] const ElectionState& election() const { return election_; }
    [[nodiscard]] const Role& role() const { return role_; }
    /// May append, in this epoch, from on_log() after its LeaderChange on.
    [[nodiscard]] bool is_leader() const { return std::holds_alternative<Leading>(role_); }
    [[nodiscard]] bool is_voter() const { return voters_.last().contains(self_); }
    [[nodiscard]] std::optional<Offset> high_watermark() const { return high_watermark_; }
    [[nodiscard]] const VoterHistory& voters() const { return voters_; }
    /// Where to reach a node that Send names.
    [[nodiscard]] const Endpoints* endpoints_of(BrokerId node) const;
    /// Whether a snapshot with this end may be made: committed, in the log, of that epoch.
    [[nodiscard]] bool may_snapshot(const LogView& log, const LogId& id) const;
    /// Tells the voters' and observers' progress, for DescribeQuorum; nullptr when not leading.
    [[nodiscard]] const LeaderState* progress() const;

    friend bool operator==(const Raft&, const Raft&) = default;
    /// The whole state but for moments in time and numbers of requests, on one line.
    [[nodiscard]] std::string print() const;

  private:
    struct Step;  // one command: its turn, its log, its effects

    template <class Fn>
    Effects command(const Turn& turn, const LogView& log, Fn&& fn);

    // raft.cc: transitions
    void become_unattached(Step& step, LeaderEpoch epoch, BrokerId leader);
    void become_follower(Step& step, LeaderEpoch epoch, BrokerId leader, Endpoints endpoints);
    void become_prospective(Step& step);
    void become_candidate(Step& step);
    void become_leader(Step& step);
    void become_resigned(Step& step);
    void leave_role(Step& step);
    void enter(Step& step, Role role);
    void add_vote(Step& step, const ReplicaKey& candidate);
    void learn(Step& step, BrokerId leader, LeaderEpoch epoch, const Endpoints& endpoints);
    void persist(Step& step);
    void raise_high_watermark(Step& step, Offset to);
    void lead_on(Step& step);
    [[nodiscard]] Duration election_timeout(const Turn& turn);
    [[nodiscard]] Votes fresh_votes() const;

    // drive.cc: what time brings
    void drive(Step& step);
    bool drive_leader(Step& step);
    bool drive_nominee(Step& step);
    bool drive_follower(Step& step);
    bool drive_unattached(Step& step);
    bool drive_resigned(Step& step);
    void lose_election(Step& step);
    bool send(Step& step, BrokerId to, Request body);
    void fetch_from_any(Step& step);
    void fetch_from_leader(Step& step);
    [[nodiscard]] FetchRequest make_fetch(const LogView& log) const;
    [[nodiscard]] bool log_settled(const LogView& log) const;

    // requests.cc
    void handle(Step& step, Ticket ticket, const VoteRequest& request);
    void handle(Step& step, Ticket ticket, const BeginQuorumEpochRequest& request);
    void handle(Step& step, Ticket ticket, const EndQuorumEpochRequest& request);
    void handle(Step& step, Ticket ticket, const FetchRequest& request);
    void handle(Step& step, Ticket ticket, const FetchSnapshotRequest& request);
    void handle(Step& step, Ticket ticket, const ApiVersionsRequest& request);
    template <class FromLeader>
    [[nodiscard]] const Endpoints& endpoints_of(const FromLeader& request) const;
    [[nodiscard]] ErrorCode check_voter_request(BrokerId from, LeaderEpoch epoch) const;
    [[nodiscard]] ErrorCode check_leader_request(LeaderEpoch epoch) const;
    [[nodiscard]] bool can_grant(const VoteRequest& request, bool up_to_date) const;
    FetchResponse serve(Step& step, const FetchRequest& request);
    [[nodiscard]] FetchResponse nothing_new(const Step& step) const;
    void serve_parked(Step& step);
    [[nodiscard]] QuorumView view() const;

    // responses.cc: whether the answer was as it should be, so that there is no back-off
    bool take(Step& step, BrokerId from, const VoteResponse& response);
    bool take(Step& step, BrokerId from, const BeginQuorumEpochResponse& response);
    bool take(Step& step, BrokerId from, const EndQuorumEpochResponse& response);
    bool take(Step& step, BrokerId from, const FetchResponse& response);
    bool take(Step& step, BrokerId from, const FetchSnapshotResponse& response);
    bool take(Step& step, BrokerId from, const ChangeVoterResponse& response);
    bool take(Step& step, BrokerId from, const UpdateVoterResponse& response);
    bool take(Step& step, BrokerId from, const ApiVersionsResponse& response);
    std::optional<bool> take_common(Step& step, ErrorCode error, const QuorumView& view);

    // voter_changes.cc
    void handle(Step& step, Ticket ticket, const AddVoterRequest& request);
    void handle(Step& step, Ticket ticket, const RemoveVoterRequest& request);
    void handle(Step& step, Ticket ticket, const UpdateVoterRequest& request);
    [[nodiscard]] ChangeVoterResponse check_change(Step& step) const;
    Offset append_voters(Step& step, VoterSet voters);
    void end_change(Step& step, ErrorCode error, std::string text);
    void change_committed(Step& step);
    void append_control(Step& step, std::vector<ControlValue> records);
    bool take_entries(Step& step, const std::vector<ControlEntry>& entries);
    [[nodiscard]] Voter own_voter() const;

    ReplicaKey self_;
    Settings settings_;
    VoterHistory voters_;
    ElectionState election_;
    Endpoints leader_endpoints_;
    Role role_;
    Connections connections_;
    std::optional<Offset> high_watermark_;
    Offset leader_high_watermark_ = no_offset;  // as the leader followed said last
    std::optional<ElectionState> stored_;       // as the last StateWrite, or the file, has it
    int stored_version_ = -1;
    StateNumber state_number_ = 0;
    std::uint64_t draws_in_epoch_ = 0;
    std::optional<Instant> shutting_down_;  // until
    bool log_pending_ = false;              // effects on the log that on_log() has not confirmed
};

}  // namespace klamm::raft
