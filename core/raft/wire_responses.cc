// Answers, each way.
#include <algorithm>

#include "core/metadata/metadata_topic.h"
#include "core/protocol/api_versions.h"
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

constexpr std::string_view kraft_version = "kraft.version";

/// The leader's endpoint on the quorum's listener, if the answer knows it.
const Endpoint* endpoint_of(const QuorumView& view, const WireNames& names) {
    if (view.leader.value < 0) return nullptr;
    for (const Endpoint& one : view.endpoints)
        if (one.name == names.listener) return &one;
    return nullptr;
}

/// What a controller serves, and a replica of the quorum beside it; ordered by key.
std::vector<protocol::ApiVersionsResponseApi> served_apis() {
    auto rows = protocol::advertised_apis(protocol::Listener::controller);
    for (const protocol::ApiInfo& info : protocol::api_table()) {
        const bool listed = info.served_min <= info.served_max;
        if (info.on_controller && !listed && is_quorum_api(info.key))
            rows.push_back({info.key, info.version_min, info.version_max});
    }
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.api_key < b.api_key; });
    return rows;
}

bool of_whole_request(const QuorumView& view) { return view.epoch == no_leader_epoch; }

// --- writing

struct ResponseEncoder {
    ApiKey key;
    int version;
    std::int32_t correlation;
    const WireNames& names;
    std::uint64_t external_bytes;

    template <class Message>
    [[nodiscard]] protocol::Encoded frame(const Message& message) const {
        return protocol::encode_response_frame(message, version, correlation);
    }
    /// A message whose partition row has error, leader and epoch by these names.
    template <class Message, class Row>
    [[nodiscard]] protocol::Encoded frame_of(ErrorCode error, const QuorumView& view,
                                             Row row) const {
        Message message;
        if (of_whole_request(view)) {
            message.error_code = error;
            return frame(message);
        }
        row.error_code = error;
        row.leader_id = view.leader;
        row.leader_epoch = view.epoch;
        message.topics.push_back({metadata_topic_name, {row}});
        if (const Endpoint* at = endpoint_of(view, names); at != nullptr && version >= 1)
            message.node_endpoints.push_back({view.leader, at->host, at->port});
        return frame(message);
    }

    [[nodiscard]] protocol::Encoded operator()(const VoteResponse& from) const {
        protocol::VoteResponsePartition row;
        row.vote_granted = from.granted;
        return frame_of<protocol::VoteResponse>(from.error, from.view, row);
    }
    [[nodiscard]] protocol::Encoded operator()(const BeginQuorumEpochResponse& from) const {
        return frame_of<protocol::BeginQuorumEpochResponse>(
            from.error, from.view, protocol::BeginQuorumEpochResponsePartition{});
    }
    [[nodiscard]] protocol::Encoded operator()(const EndQuorumEpochResponse& from) const {
        return frame_of<protocol::EndQuorumEpochResponse>(
            from.error, from.view, protocol::EndQuorumEpochResponsePartition{});
    }
    [[nodiscard]] protocol::Encoded operator()(const FetchResponse& from) const {
        protocol::FetchResponse message;
        if (of_whole_request(from.view)) {
            message.error_code = from.error;
            return frame(message);
        }
        protocol::FetchResponsePartition row;
        row.error_code = from.error;
        row.high_watermark = from.high_watermark;
        row.last_stable_offset = from.high_watermark;
        row.log_start_offset = from.log_start;
        if (from.diverging) row.diverging_epoch = {from.diverging->epoch, from.diverging->offset};
        if (from.snapshot) row.snapshot_id = {from.snapshot->offset, from.snapshot->epoch};
        row.current_leader = {from.view.leader, from.view.epoch};
        row.aborted_transactions = std::nullopt;
        row.records = protocol::Records::elsewhere(external_bytes);
        message.responses.push_back({{}, metadata_topic, {std::move(row)}});
        if (const Endpoint* at = endpoint_of(from.view, names); at != nullptr && version >= 16)
            message.node_endpoints.push_back({from.view.leader, at->host, at->port, std::nullopt});
        return frame(message);
    }
    [[nodiscard]] protocol::Encoded operator()(const FetchSnapshotResponse& from) const {
        protocol::FetchSnapshotResponse message;
        if (of_whole_request(from.view)) {
            message.error_code = from.error;
            return frame(message);
        }
        protocol::FetchSnapshotResponsePartition row;
        row.error_code = from.error;
        row.snapshot_id = {from.id.offset, from.id.epoch};
        row.current_leader = {from.view.leader, from.view.epoch};
        row.size = static_cast<std::int64_t>(from.size);
        row.position = static_cast<std::int64_t>(from.position);
        row.unaligned_records = protocol::Records::elsewhere(external_bytes);
        message.topics.push_back({metadata_topic_name, {std::move(row)}});
        if (const Endpoint* at = endpoint_of(from.view, names); at != nullptr && version >= 1)
            message.node_endpoints.push_back({from.view.leader, at->host, at->port});
        return frame(message);
    }
    [[nodiscard]] protocol::Encoded operator()(const ChangeVoterResponse& from) const {
        const auto with = [&](auto message) {
            message.error_code = from.error;
            if (!from.text.empty()) message.error_message = from.text;
            return frame(message);
        };
        if (key == ApiKey::add_raft_voter) return with(protocol::AddRaftVoterResponse{});
        return with(protocol::RemoveRaftVoterResponse{});
    }
    [[nodiscard]] protocol::Encoded operator()(const UpdateVoterResponse& from) const {
        protocol::UpdateRaftVoterResponse message;
        message.error_code = from.error;
        message.current_leader.leader_id = from.view.leader;
        message.current_leader.leader_epoch = from.view.epoch;
        if (const Endpoint* at = endpoint_of(from.view, names)) {
            message.current_leader.host = at->host;
            message.current_leader.port = at->port;
        }
        return frame(message);
    }
    [[nodiscard]] protocol::Encoded operator()(const ApiVersionsResponse& from) const {
        protocol::ApiVersionsResponse message;
        message.error_code = from.error;
        message.api_keys = served_apis();
        if (from.has_range && version >= 3)
            message.supported_features.push_back(
                {kraft_version, from.version_min, from.version_max});
        return frame(message);
    }
};

// --- reading

bool is_port(std::int64_t number) { return number > 0 && number <= 0xffff; }

/// The view that a message has of its leader, with the endpoint that it names for it.
template <class Message>
QuorumView view_in(const Message& message, BrokerId leader, LeaderEpoch epoch,
                   const WireNames& names) {
    QuorumView view{epoch, leader, {}};
    for (const auto& row : message.node_endpoints)
        if (row.node_id == leader && leader.value >= 0 && is_port(row.port))
            view.endpoints.push_back(
                {names.listener, std::string(row.host), static_cast<std::uint16_t>(row.port)});
    return view;
}

const Error not_ours{Failure::invalid, "an answer of the quorum is not about its one partition"};

/// The one row of an answer. Nothing with an error of the whole request.
template <class Rows>
auto only_row(const Rows& topics, std::string_view name) -> decltype(&topics[0].partitions[0]) {
    if (topics.size() != 1 || topics.front().partitions.size() != 1) return nullptr;
    if constexpr (requires { topics[0].topic_name; })
        return topics.front().topic_name == name ? &topics.front().partitions.front() : nullptr;
    else
        return topics.front().name == name ? &topics.front().partitions.front() : nullptr;
}

template <class Answer, class Message>
Result<WireResponse> read_simple(const Message& message, const WireNames& names) {
    Answer answer;
    if (message.error_code != ErrorCode::none) {
        answer.error = message.error_code;
        return WireResponse{answer, {}};
    }
    const auto* row = only_row(message.topics, metadata_topic_name);
    if (row == nullptr) return not_ours;
    answer.error = row->error_code;
    answer.view = view_in(message, row->leader_id, row->leader_epoch, names);
    if constexpr (requires { answer.granted = row->vote_granted; })
        answer.granted = row->vote_granted;
    return WireResponse{std::move(answer), {}};
}

Result<WireResponse> read(const protocol::VoteResponse& message, const WireNames& names) {
    return read_simple<VoteResponse>(message, names);
}
Result<WireResponse> read(const protocol::BeginQuorumEpochResponse& message,
                          const WireNames& names) {
    return read_simple<BeginQuorumEpochResponse>(message, names);
}
Result<WireResponse> read(const protocol::EndQuorumEpochResponse& message, const WireNames& names) {
    return read_simple<EndQuorumEpochResponse>(message, names);
}

Result<WireResponse> read(const protocol::FetchResponse& message, const WireNames& names) {
    FetchResponse answer;
    if (message.error_code != ErrorCode::none) {
        answer.error = message.error_code;
        return WireResponse{answer, {}};
    }
    if (message.responses.size() != 1 || message.responses.front().topic_id != metadata_topic ||
        message.responses.front().partitions.size() != 1)
        return not_ours;
    const auto& row = message.responses.front().partitions.front();
    answer.error = row.error_code;
    answer.view =
        view_in(message, row.current_leader.leader_id, row.current_leader.leader_epoch, names);
    answer.high_watermark = row.high_watermark;
    answer.log_start = row.log_start_offset;
    if (row.diverging_epoch.epoch.value >= 0 || row.diverging_epoch.end_offset.value >= 0)
        answer.diverging = LogId{row.diverging_epoch.epoch, row.diverging_epoch.end_offset};
    if (row.snapshot_id.epoch.value >= 0 || row.snapshot_id.end_offset.value >= 0)
        answer.snapshot = LogId{row.snapshot_id.epoch, row.snapshot_id.end_offset};
    answer.has_records = !row.records.bytes.empty() && !answer.diverging && !answer.snapshot &&
                         row.error_code == ErrorCode::none;
    return WireResponse{answer, answer.has_records ? row.records.bytes : ByteView{}};
}

Result<WireResponse> read(const protocol::FetchSnapshotResponse& message, const WireNames& names) {
    FetchSnapshotResponse answer;
    if (message.error_code != ErrorCode::none) {
        answer.error = message.error_code;
        return WireResponse{answer, {}};
    }
    const auto* row = only_row(message.topics, metadata_topic_name);
    if (row == nullptr || row->size < 0 || row->position < 0) return not_ours;
    answer.error = row->error_code;
    answer.view =
        view_in(message, row->current_leader.leader_id, row->current_leader.leader_epoch, names);
    answer.id = {row->snapshot_id.epoch, row->snapshot_id.end_offset};
    answer.size = static_cast<std::uint64_t>(row->size);
    answer.position = static_cast<std::uint64_t>(row->position);
    answer.bytes = row->unaligned_records.bytes.size();
    return WireResponse{answer, row->unaligned_records.bytes};
}

template <class Message>
Result<WireResponse> read_change(const Message& message) {
    return WireResponse{
        ChangeVoterResponse{message.error_code, std::string(message.error_message.value_or(""))},
        {}};
}
Result<WireResponse> read(const protocol::AddRaftVoterResponse& message, const WireNames&) {
    return read_change(message);
}
Result<WireResponse> read(const protocol::RemoveRaftVoterResponse& message, const WireNames&) {
    return read_change(message);
}

Result<WireResponse> read(const protocol::UpdateRaftVoterResponse& message,
                          const WireNames& names) {
    const auto& leader = message.current_leader;
    UpdateVoterResponse answer{message.error_code, {leader.leader_epoch, leader.leader_id, {}}};
    if (leader.leader_id.value >= 0 && !leader.host.empty() && is_port(leader.port))
        answer.view.endpoints.push_back(
            {names.listener, std::string(leader.host), static_cast<std::uint16_t>(leader.port)});
    return WireResponse{std::move(answer), {}};
}

Result<WireResponse> read(const protocol::ApiVersionsResponse& message, const WireNames&) {
    ApiVersionsResponse answer;
    answer.error = message.error_code;
    for (const auto& feature : message.supported_features) {
        if (feature.name != kraft_version) continue;
        answer.has_range = true;
        answer.version_min = feature.min_version;
        answer.version_max = feature.max_version;
    }
    return WireResponse{answer, {}};
}

template <class Message>
Result<WireResponse> read_as(int version, std::int32_t correlation, ByteView frame,
                             const WireNames& names) {
    const auto message = protocol::decode_response_frame<Message>(frame, version, correlation);
    KLAMM_TRY(message);
    return read(*message, names);
}

}  // namespace

protocol::Encoded encode_response(const Response& response, protocol::ApiKey key, int version,
                                  std::int32_t correlation, const WireNames& names,
                                  std::uint64_t external_bytes) {
    return std::visit(ResponseEncoder{key, version, correlation, names, external_bytes}, response);
}

Response refusal_of(protocol::ApiKey key, ErrorCode error) {
    const auto with = [error](auto response) -> Response {
        response.error = error;
        return response;
    };
    switch (key) {
        case ApiKey::vote: return with(VoteResponse{});
        case ApiKey::begin_quorum_epoch: return with(BeginQuorumEpochResponse{});
        case ApiKey::end_quorum_epoch: return with(EndQuorumEpochResponse{});
        case ApiKey::fetch: return with(FetchResponse{});
        case ApiKey::fetch_snapshot: return with(FetchSnapshotResponse{});
        case ApiKey::update_raft_voter: return with(UpdateVoterResponse{});
        case ApiKey::api_versions: return with(ApiVersionsResponse{});
        default: return with(ChangeVoterResponse{});
    }
}

Result<WireResponse> decode_response(protocol::ApiKey key, int version, std::int32_t correlation,
                                     ByteView frame, const WireNames& names) {
    switch (key) {
        case ApiKey::vote:
            return read_as<protocol::VoteResponse>(version, correlation, frame, names);
        case ApiKey::begin_quorum_epoch:
            return read_as<protocol::BeginQuorumEpochResponse>(version, correlation, frame, names);
        case ApiKey::end_quorum_epoch:
            return read_as<protocol::EndQuorumEpochResponse>(version, correlation, frame, names);
        case ApiKey::fetch:
            return read_as<protocol::FetchResponse>(version, correlation, frame, names);
        case ApiKey::fetch_snapshot:
            return read_as<protocol::FetchSnapshotResponse>(version, correlation, frame, names);
        case ApiKey::add_raft_voter:
            return read_as<protocol::AddRaftVoterResponse>(version, correlation, frame, names);
        case ApiKey::remove_raft_voter:
            return read_as<protocol::RemoveRaftVoterResponse>(version, correlation, frame, names);
        case ApiKey::update_raft_voter:
            return read_as<protocol::UpdateRaftVoterResponse>(version, correlation, frame, names);
        case ApiKey::api_versions:
            return read_as<protocol::ApiVersionsResponse>(version, correlation, frame, names);
        default: return Error{Failure::unsupported, "not an answer of the quorum"};
    }
}

}  // namespace klamm::raft
