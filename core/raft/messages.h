#pragma once
// What replicas of the quorum say to one another, as values: Kafka's Vote, BeginQuorumEpoch,
// EndQuorumEpoch, Fetch, FetchSnapshot and voter changes, of one partition and without their
// versions: the node translates them. Records and pieces of snapshots travel beside them: the core
// says where they are to be read or written.

#include <variant>

#include "core/protocol/error_code.h"
#include "core/raft/voters.h"

namespace klamm::raft {

using protocol::ErrorCode;

/// What every answer says of the quorum, as the answering replica sees it.
struct QuorumView {
    LeaderEpoch epoch = no_leader_epoch;
    BrokerId leader = no_broker;
    Endpoints endpoints;  // the leader's, when they are known
    friend bool operator==(const QuorumView&, const QuorumView&) = default;
};

struct VoteRequest {
    LeaderEpoch epoch;
    ReplicaKey candidate;
    ReplicaKey voter;  // who is asked; no_broker: whoever reads it (version 0)
    LogId last;        // the end of the candidate's log
    bool pre_vote = false;
    friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
};
struct VoteResponse {
    ErrorCode error = ErrorCode::none;
    QuorumView view;
    bool granted = false;
    friend bool operator==(const VoteResponse&, const VoteResponse&) = default;
};

struct BeginQuorumEpochRequest {
    LeaderEpoch epoch;
    BrokerId leader = no_broker;
    ReplicaKey voter;  // as in VoteRequest
    Endpoints endpoints;
    friend bool operator==(const BeginQuorumEpochRequest&,
                           const BeginQuorumEpochRequest&) = default;
};
struct BeginQuorumEpochResponse {
    ErrorCode error = ErrorCode::none;
    QuorumView view;
    friend bool operator==(const BeginQuorumEpochResponse&,
                           const BeginQuorumEpochResponse&) = default;
};

struct EndQuorumEpochRequest {
    LeaderEpoch epoch;
    BrokerId leader = no_broker;
    std::vector<ReplicaKey> preferred;  // the best successor first
    Endpoints endpoints;
    friend bool operator==(const EndQuorumEpochRequest&, const EndQuorumEpochRequest&) = default;
};
struct EndQuorumEpochResponse {
    ErrorCode error = ErrorCode::none;
    QuorumView view;
    friend bool operator==(const EndQuorumEpochResponse&, const EndQuorumEpochResponse&) = default;
};

struct FetchRequest {
    LeaderEpoch epoch;
    ReplicaKey replica;  // a negative id is no replica
    LogId last;          // the offset to fetch from, and the epoch of the record before it
    Offset high_watermark = no_offset;  // that the replica knows of
    Duration wait_max;                  // zero: answer at once
    friend bool operator==(const FetchRequest&, const FetchRequest&) = default;
};
struct FetchResponse {
    ErrorCode error = ErrorCode::none;
    QuorumView view;
    Offset high_watermark = no_offset;
    Offset log_start = no_offset;
    std::optional<LogId> diverging;  // then, and with a snapshot, there are no records
    std::optional<LogId> snapshot;
    bool has_records = false;
    Offset read_from = no_offset;  // where the answering node finds the records; not on the wire
    friend bool operator==(const FetchResponse&, const FetchResponse&) = default;
};

struct FetchSnapshotRequest {
    LeaderEpoch epoch;
    ReplicaKey replica;
    LogId id;
    std::uint64_t position = 0;
    std::uint32_t bytes_max = 0;
    friend bool operator==(const FetchSnapshotRequest&, const FetchSnapshotRequest&) = default;
};
struct FetchSnapshotResponse {
    ErrorCode error = ErrorCode::none;
    QuorumView view;
    LogId id{no_leader_epoch, no_offset};
    std::uint64_t size = 0;  // of the whole snapshot
    std::uint64_t position = 0;
    std::uint64_t bytes = 0;  // that are here, beside this
    friend bool operator==(const FetchSnapshotResponse&, const FetchSnapshotResponse&) = default;
};

struct AddVoterRequest {
    ReplicaKey voter;
    Endpoints endpoints;
    Duration timeout;
    friend bool operator==(const AddVoterRequest&, const AddVoterRequest&) = default;
};
struct RemoveVoterRequest {
    ReplicaKey voter;
    friend bool operator==(const RemoveVoterRequest&, const RemoveVoterRequest&) = default;
};
/// The answer to adding or removing a voter.
struct ChangeVoterResponse {
    ErrorCode error = ErrorCode::none;
    std::string text;  // for a person; empty without an error
    friend bool operator==(const ChangeVoterResponse&, const ChangeVoterResponse&) = default;
};

struct UpdateVoterRequest {
    LeaderEpoch epoch;
    Voter voter;
    friend bool operator==(const UpdateVoterRequest&, const UpdateVoterRequest&) = default;
};
struct UpdateVoterResponse {
    ErrorCode error = ErrorCode::none;
    QuorumView view;
    friend bool operator==(const UpdateVoterResponse&, const UpdateVoterResponse&) = default;
};

/// Asks a voter to be which kraft.versions it knows (ApiVersions' supported features).
struct ApiVersionsRequest {
    friend bool operator==(const ApiVersionsRequest&, const ApiVersionsRequest&) = default;
};
struct ApiVersionsResponse {
    ErrorCode error = ErrorCode::none;
    bool has_range = false;
    std::int16_t version_min = 0;
    std::int16_t version_max = 0;
    friend bool operator==(const ApiVersionsResponse&, const ApiVersionsResponse&) = default;
};

using Request = std::variant<VoteRequest, BeginQuorumEpochRequest, EndQuorumEpochRequest,
                             FetchRequest, FetchSnapshotRequest, AddVoterRequest,
                             RemoveVoterRequest, UpdateVoterRequest, ApiVersionsRequest>;
using Response = std::variant<VoteResponse, BeginQuorumEpochResponse, EndQuorumEpochResponse,
                              FetchResponse, FetchSnapshotResponse, ChangeVoterResponse,
                              UpdateVoterResponse, ApiVersionsResponse>;

/// One line for transcripts and traces.
[[nodiscard]] std::string print(const Request& request);
[[nodiscard]] std::string print(const Response& response);

}  // namespace klamm::raft
