#pragma once
// The quorum's requests and answers as Kafka's messages: Vote, BeginQuorumEpoch, EndQuorumEpoch,
// Fetch, FetchSnapshot, AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter, ApiVersions. Frames in and
// out, in every version that Kafka 4.1 understands; what a version lacks is left out, and read as
// unknown.
//
// An answer whose view has no epoch is an error of the whole request (INCONSISTENT_CLUSTER_ID,
// another topic): it says nothing of the quorum, on the wire or to the core. Endpoints travel
// without a listener's name: they are those of the one listener that the quorum speaks on.

#include <optional>
#include <string>

#include "core/base/result.h"
#include "core/protocol/api.h"
#include "core/raft/messages.h"

namespace klamm::raft {

/// What frames carry of the cluster, and the listener whose endpoints they name.
struct WireNames {
    std::string cluster;
    std::string listener = "CONTROLLER";
};

struct WireApi {
    protocol::ApiKey key;
    std::int16_t version;  // the newest of Kafka 4.1
};
[[nodiscard]] WireApi api_of(const Request& request);

/// Whether `key` is one of the requests above, or DescribeQuorum (describe.h): what a replica of
/// the quorum serves, and what its ApiVersions answers name beside what every controller serves.
[[nodiscard]] bool is_quorum_api(protocol::ApiKey key);

/// The whole frame of a request. Nothing when that version cannot say it: a pre-vote before Vote 2,
/// a fetch before topics had ids (Fetch 13).
[[nodiscard]] std::optional<Bytes> encode_request(const Request& request, int version,
                                                  std::int32_t correlation, const WireNames& names);

/// A request that was read: for the core, or to be refused with an error of the whole.
struct WireRequest {
    std::optional<Request> request;
    ErrorCode refusal = ErrorCode::none;
    std::uint32_t bytes_max = 0;  // of the records that a fetch wants
};
/// From a body, after its header. Failure::invalid, truncated or unsupported: not to be answered.
[[nodiscard]] Result<WireRequest> decode_request(protocol::ApiKey key, int version, ByteView body,
                                                 const WireNames& names);

/// The whole frame of an answer to a request of this key and version. Records, and pieces of
/// snapshots, are `external_bytes` at the frame's one splice.
[[nodiscard]] protocol::Encoded encode_response(const Response& response, protocol::ApiKey key,
                                                int version, std::int32_t correlation,
                                                const WireNames& names,
                                                std::uint64_t external_bytes = 0);
/// The answer that refuses the whole of such a request.
[[nodiscard]] Response refusal_of(protocol::ApiKey key, ErrorCode error);

struct WireResponse {
    Response response;
    ByteView bytes;  // of the frame: records of a fetch, the piece of a snapshot
};
/// From a frame without its length. Failure::invalid, truncated or unsupported.
[[nodiscard]] Result<WireResponse> decode_response(protocol::ApiKey key, int version,
                                                   std::int32_t correlation, ByteView frame,
                                                   const WireNames& names);

}  // namespace klamm::raft
