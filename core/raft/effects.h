#pragma once
// What a step of the quorum asks of its node, as values, in this order:
//
//   1. on the log: truncate, restart, append. When they are done, on_log() is called with the log
//      as it is then, before anything else is told to the core: at once after an append; a cut of
//      files may take some turns, and what comes meanwhile waits.
//   2. persist: the quorum-state file is written anew. It need not be durable yet.
//   3. sends and answers. Each names the number of the newest quorum-state that it rests on, and
//      leaves only when that one, or a newer one, is durable: "durable before acting" is an edge
//      in the data, not an order of calls. In order of their numbers they leave in the order in
//      which they were given. When the node has died in between, nothing was said.
//
// That the log is durable before it is spoken of needs no edge: the core does not fetch, campaign
// or count itself beyond what the LogView says is flushed.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/raft/messages.h"

namespace klamm::raft {

/// The number of a quorum-state: they rise by one with each that is to be written; 0 is none.
using StateNumber = std::uint64_t;

/// Who is to be answered; given by the node with a request and given back.
using Ticket = std::uint64_t;

struct Send {
    BrokerId to;                // a voter, the leader, or a negative id of a bootstrap server
    std::uint64_t request = 0;  // its number, to be given back with the response
    Request body;
    StateNumber after = 0;
};

struct Answer {
    Ticket ticket = 0;
    Response body;
    StateNumber after = 0;
};

struct StateWrite {
    StateNumber number = 0;
    ElectionState state;
    int file_version = 0;          // quorum_state_version()
    std::vector<BrokerId> voters;  // for version 0 of the file
};

/// The epoch has a leader, from `offset` on.
struct LeaderChange {
    BrokerId leader = no_broker;
    std::vector<BrokerId> voters;
    std::vector<BrokerId> granting;
    friend bool operator==(const LeaderChange&, const LeaderChange&) = default;
};
struct VersionChange {
    std::int16_t version = 0;
    friend bool operator==(const VersionChange&, const VersionChange&) = default;
};
struct VotersChange {
    VoterSet voters;
    friend bool operator==(const VotersChange&, const VotersChange&) = default;
};
using ControlValue = std::variant<LeaderChange, VersionChange, VotersChange>;

/// One control batch, to be appended at the log's end, whose offset is `base`.
struct ControlAppend {
    LeaderEpoch epoch;
    Offset base;
    std::vector<ControlValue> records;
};

/// A control record that a follower finds in what it has just appended, or a node in its log when
/// it starts.
struct ControlEntry {
    Offset offset;
    ControlValue value;
};

/// What a snapshot says of the voters, when a log starts with it.
struct SnapshotContent {
    Offset end;
    std::optional<VoterSet> voters;
    std::int16_t version = 0;
};

struct Effects {
    std::optional<Offset> truncate;       // cut the log to this end
    std::optional<LogId> restart;         // drop the log: it starts anew after this snapshot, the
                                          // pieces of which are complete with the last one
    std::optional<ControlAppend> append;  // as leader
    bool append_records = false;          // as follower: those of the response just given, up to
                                          // the first that is not whole
    std::optional<std::uint64_t> keep_piece;  // of the response just given: at this position
    bool drop_pieces = false;                 // of the snapshot that was being fetched

    std::optional<StateWrite> persist;
    std::vector<Send> sends;
    std::vector<Answer> answers;

    bool leader_changed = false;           // leader() or epoch() is another; is_leader() with it
    std::optional<Offset> high_watermark;  // it moved to here; what is below is committed
    std::string fault;  // what must not be has happened: the node stops. Empty: it has not.
};

}  // namespace klamm::raft
