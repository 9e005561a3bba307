#pragma once
// One replica of the quorum on a node: raft::Raft, which decides, with the log and the file that it
// is told of, the connections to the others, and the requests of others. Above it stands a state
// machine, the controller: it is given what is committed, is told when it leads, and then appends.
//
//   the core's effects → QuorumLog, QuorumLines, answers ; their outcomes → the core
//   what is committed, elections → news for the state machine
//
// What always holds:
//   a message leaves when the quorum-state that it rests on is durable;
//   the core hears of nothing while its log is being cut: what comes waits in order;
//   committed batches are handed out in order, whole, once each, until Deposed: then anew;
//   Elected comes when everything before the epoch's start was handed out, and Deposed before
//   anything that another leader has committed.
// A failure of the disk, or a contradiction among replicas, ends the process: failure() says why.
//
// Snapshots are the state machine's to make, in slices, from what it was handed out; a replica that
// is behind the leader's log fetches one, and its state machine is given it as SnapshotPart.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/net/inbound.h"
#include "core/protocol/frame.h"
#include "core/raft/raft.h"
#include "core/server/quorum_lines.h"
#include "core/server/quorum_log.h"
#include "core/server/quorum_voter.h"

namespace klamm::server {

struct QuorumSettings {
    std::string cluster;  // cluster.id
    BrokerId node;
    std::string log_dir = "metadata";
    std::vector<QuorumVoter> voters;
    std::string listener = "CONTROLLER";  // its name, in requests and records
    QuorumLogSettings log = {};
    /// Timeouts. Its endpoints, the bootstrap servers and the incarnation are set by the host.
    raft::Settings raft;
};

/// Whole batches, the first of which may begin below what was handed out last.
struct Committed {
    Buffer batches;
    Offset from;  // what lies below was handed out before
    Offset next;  // everything below is handed out now
};
/// A snapshot, in place of everything before its end: whole batches, one part after the other.
struct SnapshotPart {
    raft::LogId id;
    Buffer batches;
    bool first = false;  // what was handed out before counts no more
    bool last = false;
};
/// It leads: what it appends from now on may be committed.
struct Elected {
    LeaderEpoch epoch;
};
/// What it has appended and not yet seen committed may be gone, or be committed by another. All
/// that is committed is handed out anew from here on.
struct Deposed {
    LeaderEpoch epoch;  // in which it led
};
using QuorumNews = std::variant<Committed, SnapshotPart, Elected, Deposed>;

/// A request of the quorum, whose header has been read.
struct QuorumAsked {
    net::RequestKey key;
    protocol::RequestHeader header;
    ByteView body;
};

class Quorum {
  public:
    /// `inbound` has the connections that requests come by, and outlives this.
    Quorum(QuorumSettings settings, net::Inbound& inbound);

    /// `new_directory` becomes the directory's id if it has none.
    void start(env::Env& env, std::uint64_t incarnation, const Uuid& new_directory);
    /// Takes an event of the disk or of its own connections; false when it is another's. tick() is
    /// due after each event of the node.
    bool on_event(env::Env& env, const env::Event& event);
    void on_request(env::Env& env, const QuorumAsked& asked);
    /// Does everything that this turn has made possible.
    void tick(env::Env& env);
    /// When tick() is due at the latest.
    [[nodiscard]] Instant deadline() const { return alarm_; }

    std::vector<QuorumNews> take_news() { return std::exchange(news_, {}); }

    // --- for the state machine that was Elected, until Deposed
    /// Appends one batch of records with these values. The offset after it; nothing, and nothing is
    /// appended, when it does not lead any more or the batch is too large.
    std::optional<Offset> append(env::Env& env, const std::vector<Bytes>& values);
    /// Gives up leadership, if it has it, with the next tick().
    void resign() { inbox_.emplace_back(Resign{}); }

    // --- snapshots; by whoever was handed out everything below `end`
    [[nodiscard]] bool making_snapshot() const { return log_.snapshots().making(); }
    /// Begins a snapshot of what lies below `end`; false when there may be none.
    bool begin_snapshot(env::Env& env, Offset end, Timestamp last);
    /// The records that make the state, in slices; then finish_snapshot().
    void add_to_snapshot(env::Env& env, const std::vector<Bytes>& values);
    void finish_snapshot(env::Env& env);
    void abandon_snapshot(env::Env& env) { log_.snapshots().abandon(env); }

    /// Leaves in order, from the next tick() on: see raft::Raft::shut_down.
    void shut_down(Duration timeout) { inbox_.emplace_back(ShutDown{timeout}); }
    [[nodiscard]] bool may_stop(Instant now) const { return !raft_ || raft_->may_stop(now); }
    /// Closes the log; closed() or failure() follow.
    void close(env::Env& env);
    [[nodiscard]] bool closed() const { return log_.phase() == QuorumLog::Phase::closed; }
    /// Why the process must end; empty: it need not.
    [[nodiscard]] const std::string& failure() const { return failure_; }

    /// Nothing until the log has been read.
    [[nodiscard]] const raft::Raft* raft() const { return raft_.get(); }
    [[nodiscard]] const QuorumLog& log() const { return log_; }
    [[nodiscard]] std::uint64_t digest() const;

  private:
    struct Asked {  // a request under way
        net::RequestKey key;
        protocol::ApiKey api{};
        std::int16_t version = 0;
        std::int32_t correlation = 0;
        std::uint32_t bytes_max = 0;
        std::optional<facts::QuorumVoted> vote = {};  // that is asked for, and no pre-vote
    };
    struct TakeRequest {
        raft::Ticket ticket;
        raft::Request body;
    };
    struct Resign {};
    struct ShutDown {
        Duration timeout;
    };
    using Input = std::variant<TakeRequest, QuorumLines::Outcome, Resign, ShutDown>;
    using Message = std::variant<raft::Send, raft::Answer>;
    struct Serving {  // an answer whose records are being read
        raft::Ticket ticket;
        std::variant<raft::FetchResponse, raft::FetchSnapshotResponse> body;
    };

    template <class Fn>
    void tell(Fn&& fn, const Buffer& records = {});
    void apply(raft::Effects effects, const Buffer& records);
    void describe(env::Env& env, const QuorumAsked& asked);
    void begin();
    void step();
    void take(const Input& input);
    void release();
    void leave(raft::Send send);
    void leave(raft::Answer answer);
    void respond(raft::Ticket ticket, const raft::Response& response,
                 std::vector<Buffer> records = {});
    void take_reads();
    /// Everything committed is handed out anew, from the newest snapshot or the log's start.
    void replay();
    void hand_out();
    void hand_out_snapshot();
    void take_snapshot_reads();
    void note_leadership();
    void check();
    [[nodiscard]] bool ready() const { return raft_ != nullptr && failure_.empty() && !closing_; }

    QuorumSettings settings_;
    raft::WireNames names_;
    net::Inbound& inbound_;
    env::Env* env_ = nullptr;  // of the turn that is running
    QuorumLog log_;
    QuorumLines lines_;
    std::unique_ptr<raft::Raft> raft_;
    std::uint64_t incarnation_ = 0;
    std::string failure_;
    bool closing_ = false;

    Instant alarm_ = instant_never;
    Instant raft_alarm_ = instant_never;
    bool cut_pending_ = false;  // the core waits for on_log()
    Offset end_told_{0};        // as the core knows the log
    Offset flushed_told_{0};
    Offset start_told_{0};
    raft::LogId piece_id_;  // of the piece that was received last
    std::deque<Input> inbox_;
    struct Held {
        raft::StateNumber after;
        Message message;
    };
    std::deque<Held> held_;

    raft::Ticket tickets_ = 0;
    std::map<raft::Ticket, Asked> asked_;
    std::map<std::uint64_t, Serving> serving_;  // by the tag of the read
    std::uint64_t tags_ = 0;

    Offset high_watermark_{0};
    Offset handed_out_{0};
    std::uint64_t handing_out_ = 0;  // the tag of the read that is under way
    struct SnapshotDue {             // to be handed out before anything else
        raft::LogId id;
        std::uint64_t position = 0;
        std::uint64_t reading = 0;  // the tag of the read that is under way
    };
    std::optional<SnapshotDue> snapshot_due_;
    struct Making {
        raft::LogId id;
        Offset next{0};  // of the snapshot's own records
    };
    Making making_;
    std::optional<LeaderEpoch> elected_;
    LeaderEpoch led_told_ = no_leader_epoch;  // of which it was stated that it leads
    std::vector<QuorumNews> news_;
};

}  // namespace klamm::server
