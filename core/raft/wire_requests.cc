// Requests: each way, and which version says what.
#include <algorithm>
#include <limits>

#include "core/metadata/metadata_topic.h"
#include "core/protocol/frame.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/quorum_add_voter.h"
#include "core/protocol/messages/quorum_begin_epoch.h"
#include "core/protocol/messages/quorum_end_epoch.h"
#include "core/protocol/messages/quorum_fetch_snapshot.h"
#include "core/protocol/messages/quorum_remove_voter.h"
#include "core/protocol/messages/quorum_update_voter.h"
#include "core/protocol/messages/quorum_vote.h"
#include "core/raft/wire.h"

namespace klamm::raft {

namespace {

using metadata::metadata_topic;
using metadata::metadata_topic_name;
using protocol::ApiKey;

constexpr PartitionIndex only{0};
constexpr std::string_view client = "klamm-quorum";
constexpr int vote_with_pre_vote = 2;
constexpr int fetch_with_topic_ids = 13;
constexpr std::int32_t fetch_bytes_max = 8 << 20;  // as Kafka's quorum asks for

template <class Row>
std::vector<Row> listeners_of(const Endpoints& endpoints) {
    std::vector<Row> rows;
    for (const Endpoint& one : endpoints) rows.push_back({one.name, one.host, one.port});
    return rows;
}

template <class Row>
Endpoints endpoints_in(const std::vector<Row>& rows) {
    Endpoints endpoints;
    for (const Row& row : rows)
        endpoints.push_back({std::string(row.name), std::string(row.host), row.port});
    return endpoints;
}

Duration duration_of(std::int32_t ms) { return milliseconds(std::int64_t{ms}); }
std::int32_t ms_of(Duration duration) {
    constexpr std::int64_t per_ms = 1'000'000;
    return static_cast<std::int32_t>(std::min<std::int64_t>(
        duration.nanoseconds / per_ms, std::numeric_limits<std::int32_t>::max()));
}

// --- writing

struct RequestEncoder {
    int version;
    std::int32_t correlation;
    const WireNames& names;

    template <class Message>
    [[nodiscard]] Bytes frame(const Message& message) const {
        return protocol::encode_request_frame(message, version, correlation, client).bytes;
    }

    [[nodiscard]] std::optional<Bytes> operator()(const VoteRequest& from) const {
        if (from.pre_vote && version < vote_with_pre_vote) return std::nullopt;
        protocol::VoteRequestPartition row;
        row.replica_epoch = from.epoch;
        row.replica_id = from.candidate.id;
        row.replica_directory_id = from.candidate.directory;
        row.voter_directory_id = from.voter.directory;
        row.last_offset_epoch = from.last.epoch;
        row.last_offset = from.last.offset;
        row.pre_vote = from.pre_vote;
        protocol::VoteRequest message;
        message.cluster_id = names.cluster;
        message.voter_id = from.voter.id;
        message.topics.push_back({metadata_topic_name, {row}});
        return frame(message);
    }
    [[nodiscard]] std::optional<Bytes> operator()(const BeginQuorumEpochRequest& from) const {
        protocol::BeginQuorumEpochRequestPartition row;
        row.voter_directory_id = from.voter.directory;
        row.leader_id = from.leader;
        row.leader_epoch = from.epoch;
        protocol::BeginQuorumEpochRequest message;
        message.cluster_id = names.cluster;
        message.voter_id = from.voter.id;
        message.topics.push_back({metadata_topic_name, {row}});
        message.leader_endpoints =
            listeners_of<protocol::BeginQuorumEpochRequestLeaderEndpoint>(from.endpoints);
        return frame(message);
    }
    [[nodiscard]] std::optional<Bytes> operator()(const EndQuorumEpochRequest& from) const {
        protocol::EndQuorumEpochRequestPartition row;
        row.leader_id = from.leader;
        row.leader_epoch = from.epoch;
        for (const ReplicaKey& one : from.preferred) {
            row.preferred_successors.push_back(one.id);
            row.preferred_candidates.push_back({one.id, one.directory});
        }
        protocol::EndQuorumEpochRequest message;
        message.cluster_id = names.cluster;
        message.topics.push_back({metadata_topic_name, {row}});
        message.leader_endpoints =
            listeners_of<protocol::EndQuorumEpochRequestLeaderEndpoint>(from.endpoints);
        return frame(message);
    }
    [[nodiscard]] std::optional<Bytes> operator()(const FetchRequest& from) const {
        if (version < fetch_with_topic_ids) return std::nullopt;
        protocol::FetchRequestPartition row;
        row.current_leader_epoch = from.epoch;
        row.fetch_offset = from.last.offset;
        row.last_fetched_epoch = from.last.epoch;
        row.replica_directory_id = from.replica.directory;
        row.high_watermark = from.high_watermark;
        protocol::FetchRequest message;
        message.cluster_id = names.cluster;
        (version < 15 ? message.replica_id : message.replica_state.replica_id) = from.replica.id;
        message.max_wait_ms = ms_of(from.wait_max);
        message.max_bytes = fetch_bytes_max;
        message.topics.push_back({{}, metadata_topic, {row}});
        return frame(message);
    }
    [[nodiscard]] std::optional<Bytes> operator()(const FetchSnapshotRequest& from) const {
        protocol::FetchSnapshotRequestPartition row;
        row.current_leader_epoch = from.epoch;
        row.snapshot_id = {from.id.offset, from.id.epoch};
        row.position = static_cast<std::int64_t>(from.position);
        row.replica_directory_id = from.replica.directory;
        protocol::FetchSnapshotRequest message;
        message.cluster_id = names.cluster;
        message.replica_id = from.replica.id;
        message.max_bytes = static_cast<std::int32_t>(
            std::min<std::uint32_t>(from.bytes_max, std::numeric_limits<std::int32_t>::max()));
        message.topics.push_back({metadata_topic_name, {row}});
        return frame(message);
    }
    [[nodiscard]] std::optional<Bytes> operator()(const AddVoterRequest& from) const {
        protocol::AddRaftVoterRequest message;
        message.cluster_id = names.cluster;
        message.timeout_ms = ms_of(from.timeout);
        message.voter_id = from.voter.id;
        message.voter_directory_id = from.voter.directory;
        message.listeners = listeners_of<protocol::AddRaftVoterRequestListener>(from.endpoints);
        return frame(message);
    }
    [[nodiscard]] std::optional<Bytes> operator()(const RemoveVoterRequest& from) const {
        return frame(
            protocol::RemoveRaftVoterRequest{names.cluster, from.voter.id, from.voter.directory});
    }
    [[nodiscard]] std::optional<Bytes> operator()(const UpdateVoterRequest& from) const {
        protocol::UpdateRaftVoterRequest message;
        message.cluster_id = names.cluster;
        message.current_leader_epoch = from.epoch;
        message.voter_id = from.voter.key.id;
        message.voter_directory_id = from.voter.key.directory;
        message.listeners =
            listeners_of<protocol::UpdateRaftVoterRequestListener>(from.voter.endpoints);
        message.kraft_version_feature = {from.voter.version_min, from.voter.version_max};
        return frame(message);
    }
    [[nodiscard]] std::optional<Bytes> operator()(const ApiVersionsRequest&) const {
        return frame(protocol::ApiVersionsRequest{.client_software_name = "klamm",
                                                  .client_software_version = "1"});
    }
};

// --- reading

/// The one partition of the one topic, or nullptr.
template <class Message>
auto only_partition(const Message& message) -> decltype(&message.topics[0].partitions[0]) {
    if (message.topics.size() != 1) return nullptr;
    const auto& topic = message.topics.front();
    if (topic.topic_name != metadata_topic_name || topic.partitions.size() != 1) return nullptr;
    return topic.partitions.front().partition_index == only ? &topic.partitions.front() : nullptr;
}

WireRequest refused(ErrorCode error) { return {std::nullopt, error, 0}; }
WireRequest taken(Request request, std::uint32_t bytes_max = 0) {
    return {std::move(request), ErrorCode::none, bytes_max};
}

WireRequest read(const protocol::VoteRequest& message) {
    const auto* row = only_partition(message);
    if (row == nullptr) return refused(ErrorCode::invalid_request);
    return taken(VoteRequest{row->replica_epoch,
                             {row->replica_id, row->replica_directory_id},
                             {message.voter_id, row->voter_directory_id},
                             {row->last_offset_epoch, row->last_offset},
                             row->pre_vote});
}

WireRequest read(const protocol::BeginQuorumEpochRequest& message) {
    const auto* row = only_partition(message);
    if (row == nullptr) return refused(ErrorCode::invalid_request);
    return taken(BeginQuorumEpochRequest{row->leader_epoch,
                                         row->leader_id,
                                         {message.voter_id, row->voter_directory_id},
                                         endpoints_in(message.leader_endpoints)});
}

WireRequest read(const protocol::EndQuorumEpochRequest& message) {
    const auto* row = only_partition(message);
    if (row == nullptr) return refused(ErrorCode::invalid_request);
    EndQuorumEpochRequest to{
        row->leader_epoch, row->leader_id, {}, endpoints_in(message.leader_endpoints)};
    for (const auto& one : row->preferred_candidates)
        to.preferred.push_back({one.candidate_id, one.candidate_directory_id});
    if (to.preferred.empty())  // version 0
        for (const BrokerId one : row->preferred_successors) to.preferred.push_back({one, {}});
    return taken(std::move(to));
}

WireRequest read(const protocol::FetchRequest& message) {
    const bool sound = message.topics.size() == 1 &&
                       message.topics.front().topic_id == metadata_topic &&
                       message.topics.front().partitions.size() == 1 &&
                       message.topics.front().partitions.front().partition == only;
    if (!sound) return refused(ErrorCode::invalid_request);
    const auto& row = message.topics.front().partitions.front();
    const BrokerId replica = message.replica_state.replica_id.value >= 0
                                 ? message.replica_state.replica_id
                                 : message.replica_id;
    return taken(FetchRequest{row.current_leader_epoch,
                              {replica, row.replica_directory_id},
                              {row.last_fetched_epoch, row.fetch_offset},
                              row.high_watermark,
                              duration_of(message.max_wait_ms)},
                 static_cast<std::uint32_t>(std::max(0, message.max_bytes)));
}

WireRequest read(const protocol::FetchSnapshotRequest& message) {
    const bool sound = message.topics.size() == 1 &&
                       message.topics.front().name == metadata_topic_name &&
                       message.topics.front().partitions.size() == 1 &&
                       message.topics.front().partitions.front().partition == only;
    if (!sound) return refused(ErrorCode::invalid_request);
    const auto& row = message.topics.front().partitions.front();
    if (row.position < 0) return refused(ErrorCode::position_out_of_range);
    return taken(FetchSnapshotRequest{row.current_leader_epoch,
                                      {message.replica_id, row.replica_directory_id},
                                      {row.snapshot_id.epoch, row.snapshot_id.end_offset},
                                      static_cast<std::uint64_t>(row.position),
                                      static_cast<std::uint32_t>(std::max(0, message.max_bytes))});
}

WireRequest read(const protocol::AddRaftVoterRequest& message) {
    return taken(AddVoterRequest{{message.voter_id, message.voter_directory_id},
                                 endpoints_in(message.listeners),
                                 duration_of(message.timeout_ms)});
}

WireRequest read(const protocol::RemoveRaftVoterRequest& message) {
    return taken(RemoveVoterRequest{{message.voter_id, message.voter_directory_id}});
}

WireRequest read(const protocol::UpdateRaftVoterRequest& message) {
    return taken(UpdateVoterRequest{message.current_leader_epoch,
                                    {{message.voter_id, message.voter_directory_id},
                                     endpoints_in(message.listeners),
                                     message.kraft_version_feature.min_supported_version,
                                     message.kraft_version_feature.max_supported_version}});
}

template <class Message>
Result<WireRequest> read_as(ByteView body, int version, const WireNames& names) {
    const auto message = protocol::decode<Message>(body, version);
    KLAMM_TRY(message);
    // Who names no cluster is taken to mean this one, as in Kafka.
    if (message->cluster_id.has_value() && *message->cluster_id != names.cluster)
        return refused(ErrorCode::inconsistent_cluster_id);
    return read(*message);
}

}  // namespace

WireApi api_of(const Request& request) {
    struct Visitor {
        WireApi operator()(const VoteRequest&) const { return {ApiKey::vote, 2}; }
        WireApi operator()(const BeginQuorumEpochRequest&) const {
            return {ApiKey::begin_quorum_epoch, 1};
        }
        WireApi operator()(const EndQuorumEpochRequest&) const {
            return {ApiKey::end_quorum_epoch, 1};
        }
        WireApi operator()(const FetchRequest&) const { return {ApiKey::fetch, 18}; }
        WireApi operator()(const FetchSnapshotRequest&) const {
            return {ApiKey::fetch_snapshot, 1};
        }
        WireApi operator()(const AddVoterRequest&) const { return {ApiKey::add_raft_voter, 0}; }
        WireApi operator()(const RemoveVoterRequest&) const {
            return {ApiKey::remove_raft_voter, 0};
        }
        WireApi operator()(const UpdateVoterRequest&) const {
            return {ApiKey::update_raft_voter, 0};
        }
        WireApi operator()(const ApiVersionsRequest&) const { return {ApiKey::api_versions, 4}; }
    };
    return std::visit(Visitor{}, request);
}

bool is_quorum_api(protocol::ApiKey key) {
    switch (key) {
        case ApiKey::vote:
        case ApiKey::begin_quorum_epoch:
        case ApiKey::end_quorum_epoch:
        case ApiKey::fetch:
        case ApiKey::fetch_snapshot:
        case ApiKey::add_raft_voter:
        case ApiKey::remove_raft_voter:
        case ApiKey::update_raft_voter:
        case ApiKey::describe_quorum:
        case ApiKey::api_versions: return true;
        default: return false;
    }
}

std::optional<Bytes> encode_request(const Request& request, int version, std::int32_t correlation,
                                    const WireNames& names) {
    return std::visit(RequestEncoder{version, correlation, names}, request);
}

Result<WireRequest> decode_request(protocol::ApiKey key, int version, ByteView body,
                                   const WireNames& names) {
    switch (key) {
        case ApiKey::vote: return read_as<protocol::VoteRequest>(body, version, names);
        case ApiKey::begin_quorum_epoch:
            return read_as<protocol::BeginQuorumEpochRequest>(body, version, names);
        case ApiKey::end_quorum_epoch:
            return read_as<protocol::EndQuorumEpochRequest>(body, version, names);
        case ApiKey::fetch: return read_as<protocol::FetchRequest>(body, version, names);
        case ApiKey::fetch_snapshot:
            return read_as<protocol::FetchSnapshotRequest>(body, version, names);
        case ApiKey::add_raft_voter:
            return read_as<protocol::AddRaftVoterRequest>(body, version, names);
        case ApiKey::remove_raft_voter:
            return read_as<protocol::RemoveRaftVoterRequest>(body, version, names);
        case ApiKey::update_raft_voter:
            return read_as<protocol::UpdateRaftVoterRequest>(body, version, names);
        case ApiKey::api_versions: {
            const auto message = protocol::decode<protocol::ApiVersionsRequest>(body, version);
            KLAMM_TRY(message);
            return taken(ApiVersionsRequest{});
        }
        default: return Error{Failure::unsupported, "not a request of the quorum"};
    }
}

}  // namespace klamm::raft
