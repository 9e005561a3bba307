// What others ask a controller of a quorum: what it serves, who leads and votes, and what it
// refuses.
#include <catch2/catch.hpp>

#include "core/protocol/messages/allocate_producer_ids.h"
#include "core/protocol/messages/alter_partition.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/broker_heartbeat.h"
#include "core/protocol/messages/broker_registration.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/quorum_describe.h"
#include "core/protocol/messages/quorum_fetch_snapshot.h"
#include "core/protocol/messages/quorum_vote.h"
#include "tests/server/cluster.h"
#include "tests/server/script_client.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ApiKey;
using protocol::ErrorCode;

namespace {

/// Three controllers and three brokers, with a connection to each controller.
struct Asking {
    Asking() : cluster(options()), client(cluster.world) {
        REQUIRE(cluster.ready());
        REQUIRE(cluster.active() >= 0);
        active = static_cast<std::size_t>(cluster.active());
        for (int i = 1; i <= 3; ++i) client.connect(fmt::format("controller-{}", i), 9093);
        other = (active + 1) % 3;
    }
    static ClusterOptions options() {
        ClusterOptions options;
        options.seed = 25;
        options.controllers = 3;
        return options;
    }
    Cluster cluster;
    ScriptClient client;
    std::size_t active = 0;  // its connection too
    std::size_t other = 0;
};

protocol::DescribeQuorumRequest describe(std::string_view topic) {
    protocol::DescribeQuorumRequest request;
    request.topics.push_back({topic, {{PartitionIndex(0)}}});
    return request;
}

protocol::VoteRequest vote(std::optional<std::string_view> cluster, LeaderEpoch epoch) {
    protocol::VoteRequestPartition row;
    row.replica_epoch = epoch;
    row.replica_id = BrokerId(3009);
    protocol::VoteRequest request;
    request.cluster_id = cluster;
    request.topics.push_back({"__cluster_metadata", {row}});
    return request;
}

}  // namespace

TEST_CASE("quorum requests: ApiVersions names the quorum's APIs and kraft.version") {
    Asking asking;
    const protocol::ApiVersionsRequest request{"test", "1"};
    const auto answer = asking.client.call(asking.other, request, 4);
    REQUIRE(answer);
    std::map<ApiKey, std::int16_t> newest;
    for (const auto& row : answer->body.api_keys) newest[row.api_key] = row.max_version;
    CHECK(std::is_sorted(answer->body.api_keys.begin(), answer->body.api_keys.end(),
                         [](const auto& a, const auto& b) { return a.api_key < b.api_key; }));
    CHECK(newest.at(ApiKey::vote) == 2);
    CHECK(newest.at(ApiKey::begin_quorum_epoch) == 1);
    CHECK(newest.at(ApiKey::end_quorum_epoch) == 1);
    CHECK(newest.at(ApiKey::describe_quorum) == 2);
    CHECK(newest.at(ApiKey::fetch) == 18);
    CHECK(newest.at(ApiKey::update_raft_voter) == 0);
    CHECK(newest.contains(ApiKey::broker_registration));
    REQUIRE(answer->body.supported_features.size() == 1);
    CHECK(answer->body.supported_features[0].name == "kraft.version");
    CHECK(answer->body.supported_features[0].max_version == 1);
    // A version that nobody knows yet is answered in the oldest.
    Bytes frame = protocol::encode_request_frame(request, 4, 1, "test").bytes;
    frame[7] = 77;
    asking.client.send_bytes(asking.other, frame);
    asking.cluster.world.run_for(seconds(1));
    REQUIRE(asking.client.line(asking.other).frames.size() == 2);
    const auto oldest = protocol::decode_response_frame<protocol::ApiVersionsResponse>(
        asking.client.line(asking.other).frames[1], 0, 1);
    REQUIRE(oldest.ok());
    CHECK(oldest->error_code == ErrorCode::unsupported_version);
}

TEST_CASE("quorum requests: DescribeQuorum says who leads, votes and observes, and how far") {
    Asking asking;
    asking.cluster.world.run_for(seconds(2));
    const raft::Raft& raft = *asking.cluster.controller_at(asking.active)->quorum()->raft();
    for (const int version : {0, 1, 2}) {
        const auto answer =
            asking.client.call(asking.active, describe("__cluster_metadata"), version);
        REQUIRE(answer);
        REQUIRE(answer->body.topics.size() == 1);
        const auto& row = answer->body.topics[0].partitions.at(0);
        CHECK(row.error_code == ErrorCode::none);
        CHECK(row.leader_id == raft.self().id);
        CHECK(row.leader_epoch == raft.epoch());
        CHECK(row.high_watermark == *raft.high_watermark());
        CHECK(row.current_voters.size() == 3);
        REQUIRE(row.observers.size() == 3);
        for (const auto& voter : row.current_voters) {
            CHECK(voter.log_end_offset == row.high_watermark);
            const std::int64_t ago = asking.cluster.world.wall(asking.cluster.controllers[0]) -
                                     voter.last_fetch_timestamp;
            CHECK((version < 1 || ago < 1'500));
        }
        for (const auto& observer : row.observers) CHECK(observer.replica_id.value <= 3);
        CHECK(answer->body.nodes.size() == (version >= 2 ? 3 : 0));
    }
    const auto elsewhere = asking.client.call(asking.other, describe("__cluster_metadata"), 2);
    REQUIRE(elsewhere);
    CHECK(elsewhere->body.topics.at(0).partitions.at(0).error_code ==
          ErrorCode::not_leader_or_follower);
    const auto unknown = asking.client.call(asking.active, describe("orders"), 2);
    REQUIRE(unknown);
    CHECK(unknown->body.topics.at(0).partitions.at(0).error_code ==
          ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("quorum requests: one that is not active says so, and names the leader to who fetches") {
    Asking asking;
    protocol::BrokerHeartbeatRequest heartbeat;
    heartbeat.broker_id = BrokerId(1);
    const auto beat = asking.client.call(asking.other, heartbeat, 1);
    REQUIRE(beat);
    CHECK(beat->body.error_code == ErrorCode::not_controller);
    protocol::BrokerRegistrationRequest registration;
    registration.broker_id = BrokerId(9);
    const auto registered = asking.client.call(asking.other, registration, 4);
    REQUIRE(registered);
    CHECK(registered->body.error_code == ErrorCode::not_controller);
    const auto altered = asking.client.call(asking.other, protocol::AlterPartitionRequest{}, 3);
    REQUIRE(altered);
    CHECK(altered->body.error_code == ErrorCode::not_controller);
    const auto ids = asking.client.call(asking.other, protocol::AllocateProducerIdsRequest{}, 0);
    REQUIRE(ids);
    CHECK(ids->body.error_code == ErrorCode::not_controller);

    const raft::Raft& raft = *asking.cluster.controller_at(asking.active)->quorum()->raft();
    protocol::FetchRequestPartition row;
    row.current_leader_epoch = raft.epoch();
    row.last_fetched_epoch = LeaderEpoch(0);
    protocol::FetchRequest fetch;
    fetch.max_bytes = 1 << 20;
    fetch.topics.push_back({{}, metadata_topic, {row}});
    const auto fetched = asking.client.call(asking.other, fetch, 18);
    REQUIRE(fetched);
    const auto& said = fetched->body.responses.at(0).partitions.at(0);
    CHECK(said.error_code == ErrorCode::not_leader_or_follower);
    CHECK(said.current_leader.leader_id == raft.self().id);
    CHECK(said.current_leader.leader_epoch == raft.epoch());
    REQUIRE(fetched->body.node_endpoints.size() == 1);
    CHECK(fetched->body.node_endpoints[0].host == fmt::format("controller-{}", asking.active + 1));
    // From the leader there are records; the first of them says who was elected.
    const auto records = asking.client.call(asking.active, fetch, 18);
    REQUIRE(records);
    const auto& read = records->body.responses.at(0).partitions.at(0);
    CHECK(read.error_code == ErrorCode::none);
    REQUIRE(read.records.bytes.size() > record::batch_header_bytes);
    CHECK(record::BatchView(read.records.bytes).is_control());
}

TEST_CASE("quorum requests: another cluster, an older epoch, garbage and snapshots nobody has") {
    Asking asking;
    const auto foreign = asking.client.call(asking.other, vote("elsewhere", LeaderEpoch(99)), 2);
    REQUIRE(foreign);
    CHECK(foreign->body.error_code == ErrorCode::inconsistent_cluster_id);
    CHECK(foreign->body.topics.empty());
    const auto old = asking.client.call(asking.other, vote("test", LeaderEpoch(0)), 2);
    REQUIRE(old);
    CHECK(old->body.error_code == ErrorCode::none);
    const auto& row = old->body.topics.at(0).partitions.at(0);
    CHECK(row.error_code != ErrorCode::none);
    CHECK_FALSE(row.vote_granted);

    const raft::Raft& raft = *asking.cluster.controller_at(asking.active)->quorum()->raft();
    CHECK(raft.epoch() < LeaderEpoch(99));
    protocol::FetchSnapshotRequestPartition piece;
    piece.current_leader_epoch = raft.epoch();
    piece.snapshot_id = {Offset(3), LeaderEpoch(1)};
    protocol::FetchSnapshotRequest snapshot;
    snapshot.topics.push_back({"__cluster_metadata", {piece}});
    const auto none = asking.client.call(asking.active, snapshot, 1);
    REQUIRE(none);
    CHECK(none->body.topics.at(0).partitions.at(0).error_code == ErrorCode::snapshot_not_found);

    Bytes garbage = protocol::encode_request_frame(vote("test", LeaderEpoch(1)), 2, 9, "t").bytes;
    for (std::size_t i = garbage.size() - 12; i < garbage.size(); ++i) garbage[i] = 0xff;
    asking.client.send_bytes(asking.other, garbage);
    asking.cluster.world.run_for(seconds(1));
    CHECK(asking.client.line(asking.other).closed);
    CHECK(asking.cluster.isr_size() == 3);
}
