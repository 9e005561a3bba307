// Groups as a client sees them, over a broker that holds __consumer_offsets, and over three of
// them.
#include <catch2/catch.hpp>

#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/list_groups.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"
#include "tests/server/requests_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

const Uuid offsets_id = uuid_from_halves(9, 9);

/// A cluster with __consumer_offsets, of one partition by default.
ClusterOptions with_offsets(int brokers, env::ShardIndex shards = 1, int partitions = 1,
                            std::map<std::string, std::string> configs = {}) {
    ClusterOptions options;
    options.brokers = brokers;
    options.shards = shards;
    configs["cleanup.policy"] = "compact";
    TopicPlan topic{.name = "__consumer_offsets",
                    .id = offsets_id,
                    .assignments = {},
                    .configs = std::move(configs)};
    for (int p = 0; p < partitions; ++p) {
        topic.assignments.emplace_back();
        for (int i = 0; i < brokers; ++i)
            topic.assignments.back().push_back(BrokerId(1 + (p + i) % brokers));
    }
    options.more_topics.push_back(std::move(topic));
    return options;
}

struct World {
    explicit World(ClusterOptions options) : cluster(std::move(options)), client(cluster.world) {
        ready = cluster.ready();
        line = client.connect("broker-1");
        other = client.connect("broker-1");
    }
    template <class Request>
    auto call(const Request& request, int version) {
        return client.call(line, request, version);
    }
    /// Calls until the answer is not that the coordinator is elsewhere or loads.
    ErrorCode commit(std::int64_t offset, std::int32_t generation = -1,
                     std::string_view member = "") {
        protocol::OffsetCommitRequest request;
        request.group_id = "g";
        request.generation_id_or_member_epoch = generation;
        request.member_id = member;
        protocol::OffsetCommitRequestTopic topic{.name = "trial", .topic_id = {}, .partitions = {}};
        topic.partitions.push_back({.partition_index = PartitionIndex(0),
                                    .committed_offset = Offset(offset),
                                    .committed_leader_epoch = LeaderEpoch(3),
                                    .committed_metadata = "note"});
        request.topics.push_back(topic);
        const auto answer = call(request, 8);
        if (!answer) return ErrorCode::network_exception;
        return answer->body.topics.at(0).partitions.at(0).error_code;
    }
    std::pair<ErrorCode, std::int64_t> fetch(bool stable = false) {
        protocol::OffsetFetchRequest request;
        protocol::OffsetFetchRequestGroup group;
        group.group_id = "g";
        group.topics.emplace();
        group.topics->push_back(
            {.name = "trial", .topic_id = {}, .partition_indexes = {PartitionIndex(0)}});
        request.groups.push_back(group);
        request.require_stable = stable;
        const auto answer = call(request, 9);
        if (!answer) return {ErrorCode::network_exception, -1};
        const auto& row = answer->body.groups.at(0);
        if (row.error_code != ErrorCode::none) return {row.error_code, -1};
        return {ErrorCode::none, row.topics.at(0).partitions.at(0).committed_offset.value};
    }
    bool settles(const std::function<bool()>& condition, Duration limit = seconds(20)) {
        const Instant until = cluster.world.now() + limit;
        while (cluster.world.now() < until) {
            if (condition()) return true;
            if (!cluster.world.run_for(milliseconds(100))) return false;
        }
        return false;
    }

    Cluster cluster;
    ScriptClient client;
    bool ready = false;
    std::size_t line = 0;
    std::size_t other = 0;  // a second connection
};

protocol::JoinGroupRequest join_of(std::string_view member = "") {
    protocol::JoinGroupRequest request;
    request.group_id = "g";
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 30'000;
    request.member_id = member;
    request.protocol_type = "consumer";
    request.protocols.push_back({.name = "range", .metadata = {}});
    return request;
}

protocol::SyncGroupRequest sync_of(const protocol::JoinGroupResponse& joined, ByteView assignment) {
    protocol::SyncGroupRequest request;
    request.group_id = "g";
    request.generation_id = joined.generation_id;
    request.member_id = joined.member_id;
    for (const auto& member : joined.members)
        request.assignments.push_back({.member_id = member.member_id, .assignment = {assignment}});
    return request;
}

protocol::HeartbeatRequest heartbeat_of(const protocol::JoinGroupResponse& joined) {
    protocol::HeartbeatRequest request;
    request.group_id = "g";
    request.generation_id = joined.generation_id;
    request.member_id = joined.member_id;
    return request;
}

}  // namespace

TEST_CASE("groups: offsets are committed, fetched, listed, described, deleted, in every version") {
    for (const env::ShardIndex shards : {1, 3}) {
        World world(with_offsets(1, shards, 3));
        REQUIRE(world.ready);
        REQUIRE(world.settles([&] { return world.commit(41) == ErrorCode::none; }));
        CHECK(world.fetch() == std::pair(ErrorCode::none, std::int64_t{41}));
        CHECK(world.fetch(true) == std::pair(ErrorCode::none, std::int64_t{41}));
        for (int version = 1; version < 8; ++version) {
            protocol::OffsetFetchRequest request;
            request.group_id = "g";
            request.topics.emplace();
            request.topics->push_back(
                {.name = "trial", .partition_indexes = {PartitionIndex(0), PartitionIndex(7)}});
            const auto answer = world.call(request, version);
            REQUIRE(answer);
            const auto& rows = answer->body.topics.at(0).partitions;
            CHECK(rows.at(0).committed_offset == Offset(41));
            CHECK(rows.at(0).metadata == "note");
            CHECK(rows.at(1).committed_offset == no_offset);
            if (version >= 5) CHECK(rows.at(0).committed_leader_epoch == LeaderEpoch(3));
        }
        protocol::OffsetFetchRequest all;
        all.group_id = "g";
        all.topics = std::nullopt;
        CHECK(world.call(all, 2)->body.topics.at(0).name == "trial");
        for (int version = 0; version <= 5; ++version) {
            const auto listed = world.call(protocol::ListGroupsRequest(), version);
            REQUIRE(listed->body.groups.size() == 1U);
            CHECK(listed->body.groups[0].group_id == "g");
            if (version >= 4) CHECK(listed->body.groups[0].group_state == "Empty");
            if (version >= 5) CHECK(listed->body.groups[0].group_type == "classic");
        }
        protocol::DescribeGroupsRequest describe;
        describe.groups = {"g", "none"};
        for (int version = 0; version <= 6; ++version) {
            const auto described = world.call(describe, version);
            CHECK(described->body.groups.at(0).group_state == "Empty");
            CHECK(described->body.groups.at(1).group_state == "Dead");
            CHECK(described->body.groups.at(1).error_code ==
                  (version >= 6 ? ErrorCode::group_id_not_found : ErrorCode::none));
        }
        protocol::OffsetDeleteRequest forget;
        forget.group_id = "g";
        forget.topics.push_back({.name = "trial",
                                 .partitions = {{.partition_index = PartitionIndex(0)},
                                                {.partition_index = PartitionIndex(9)}}});
        const auto forgotten = world.call(forget, 0);
        CHECK(forgotten->body.topics.at(0).partitions.at(0).error_code == ErrorCode::none);
        CHECK(forgotten->body.topics.at(0).partitions.at(1).error_code ==
              ErrorCode::unknown_topic_or_partition);
        CHECK(world.fetch() == std::pair(ErrorCode::none, std::int64_t{-1}));
        protocol::DeleteGroupsRequest remove;
        remove.groups_names = {"g", "none"};
        for (int version = 0; version <= 2; ++version) {
            const auto removed = world.call(remove, version);
            CHECK(removed->body.results.at(0).error_code ==
                  (version == 0 ? ErrorCode::none : ErrorCode::group_id_not_found));
            CHECK(removed->body.results.at(1).error_code == ErrorCode::group_id_not_found);
        }
    }
}

TEST_CASE("groups: a commit of what is not there is refused, partition by partition") {
    World world(with_offsets(1));
    REQUIRE(world.ready);
    REQUIRE(world.settles([&] { return world.commit(1) == ErrorCode::none; }));
    protocol::OffsetCommitRequest request;
    request.group_id = "g";
    request.topics.push_back({.name = "nowhere",
                              .topic_id = {},
                              .partitions = {{.partition_index = PartitionIndex(0),
                                              .committed_offset = Offset(1),
                                              .committed_metadata = std::nullopt}}});
    request.topics.push_back({.name = "trial",
                              .topic_id = {},
                              .partitions = {{.partition_index = PartitionIndex(4),
                                              .committed_offset = Offset(1),
                                              .committed_metadata = std::nullopt},
                                             {.partition_index = PartitionIndex(0),
                                              .committed_offset = Offset(2),
                                              .committed_metadata = std::nullopt}}});
    for (int version = 2; version <= 9; ++version) {
        const auto answer = world.call(request, version);
        REQUIRE(answer);
        CHECK(answer->body.topics.at(0).partitions.at(0).error_code ==
              ErrorCode::unknown_topic_or_partition);
        CHECK(answer->body.topics.at(1).partitions.at(0).error_code ==
              ErrorCode::unknown_topic_or_partition);
        CHECK(answer->body.topics.at(1).partitions.at(1).error_code == ErrorCode::none);
    }
    CHECK(world.fetch().second == 2);
}

TEST_CASE("groups: two members join, sync, beat and leave, in every version") {
    for (int version = 0; version <= 9; ++version) {
        World world(with_offsets(1));
        REQUIRE(world.ready);
        REQUIRE(world.settles([&] { return world.commit(1) == ErrorCode::none; }));
        std::string named[2];
        const std::size_t lines[] = {world.line, world.other};
        if (version >= 4)
            for (int i = 0; i < 2; ++i) {
                const auto answer = world.client.call(lines[i], join_of(), version);
                REQUIRE(answer->body.error_code == ErrorCode::member_id_required);
                named[i] = answer->body.member_id;
            }
        std::size_t numbers[2];
        for (int i = 0; i < 2; ++i)
            numbers[i] = world.client.send(lines[i], join_of(named[i]), version);
        const auto first = world.client.take<protocol::JoinGroupRequest>(lines[0], numbers[0],
                                                                         version, seconds(20));
        const auto second = world.client.take<protocol::JoinGroupRequest>(lines[1], numbers[1],
                                                                          version, seconds(20));
        REQUIRE(first);
        REQUIRE(second);
        CHECK(first->body.error_code == ErrorCode::none);
        CHECK(first->body.generation_id == second->body.generation_id);
        CHECK(first->body.leader == second->body.leader);
        CHECK(first->body.members.size() + second->body.members.size() == 2U);
        CHECK(first->body.protocol_name == "range");
        const Bytes assignment = {1, 2, 3};
        const int sync_version = std::min(version, 5);
        const std::size_t a =
            world.client.send(lines[0], sync_of(first->body, assignment), sync_version);
        const std::size_t b =
            world.client.send(lines[1], sync_of(second->body, assignment), sync_version);
        for (const auto& [at, number] : {std::pair(lines[0], a), std::pair(lines[1], b)}) {
            const auto synced = world.client.take<protocol::SyncGroupRequest>(
                at, number, sync_version, seconds(20));
            REQUIRE(synced);
            CHECK(synced->body.error_code == ErrorCode::none);
            CHECK(Bytes(synced->body.assignment.bytes.begin(),
                        synced->body.assignment.bytes.end()) == assignment);
        }
        protocol::DescribeGroupsRequest describe;
        describe.groups = {"g"};
        const auto described = world.call(describe, 5);
        CHECK(described->body.groups.at(0).group_state == "Stable");
        REQUIRE(described->body.groups.at(0).members.size() == 2U);
        CHECK(described->body.groups.at(0).members[0].client_id == "test");
        CHECK(described->body.groups.at(0).members[0].client_host.starts_with("/"));
        CHECK(world.call(heartbeat_of(first->body), std::min(version, 4))->body.error_code ==
              ErrorCode::none);
        CHECK(world.commit(5, first->body.generation_id, first->body.member_id) == ErrorCode::none);
        CHECK(world.commit(6, first->body.generation_id - 1, first->body.member_id) ==
              ErrorCode::illegal_generation);
        protocol::LeaveGroupRequest leave;
        leave.group_id = "g";
        const int leave_version = std::min(version, 5);
        if (leave_version < 3)
            leave.member_id = first->body.member_id;
        else
            leave.members.push_back({.member_id = first->body.member_id,
                                     .group_instance_id = std::nullopt,
                                     .reason = std::nullopt});
        CHECK(world.call(leave, leave_version)->body.error_code == ErrorCode::none);
        CHECK(world.call(heartbeat_of(second->body), 3)->body.error_code ==
              ErrorCode::rebalance_in_progress);
        CHECK(world.call(heartbeat_of(first->body), 3)->body.error_code ==
              ErrorCode::unknown_member_id);
        CHECK(world.fetch().second == 5);
    }
}

TEST_CASE("groups: offsets and members outlive the coordinator, which is found where it is") {
    for (const env::ShardIndex shards : {1, 2}) {
        World world(with_offsets(3, shards, 1, {{"min.insync.replicas", "2"}}));
        REQUIRE(world.ready);
        const auto coordinator = [&](std::size_t line) {
            protocol::FindCoordinatorRequest request;
            request.coordinator_keys = {"g"};
            const auto answer = world.client.call(line, request, 4);
            return answer ? answer->body.coordinators.at(0).node_id : no_broker;
        };
        REQUIRE(world.settles([&] { return coordinator(world.line) == BrokerId(1); }));
        REQUIRE(world.settles([&] { return world.commit(41) == ErrorCode::none; }));
        const auto joining = world.client.send(world.other, join_of(), 3);
        const auto joined =
            world.client.take<protocol::JoinGroupRequest>(world.other, joining, 3, seconds(20));
        REQUIRE(joined);
        const Bytes assignment = {7};
        REQUIRE(
            world.client.call(world.other, sync_of(joined->body, assignment), 3)->body.error_code ==
            ErrorCode::none);
        REQUIRE(world.commit(42, joined->body.generation_id, joined->body.member_id) ==
                ErrorCode::none);
        world.cluster.world.kill(world.cluster.node_of(BrokerId(1)));
        const std::size_t second = world.client.connect("broker-2");
        REQUIRE(world.settles([&] {
            const BrokerId at = coordinator(second);
            return at == BrokerId(2) || at == BrokerId(3);
        }));
        const bool two = coordinator(second) == BrokerId(2);
        world.line = two ? second : world.client.connect("broker-3");
        REQUIRE(world.settles([&] { return world.fetch().first == ErrorCode::none; }));
        CHECK(world.fetch().second == 42);
        CHECK(world.call(heartbeat_of(joined->body), 3)->body.error_code == ErrorCode::none);
        CHECK(world.commit(43, joined->body.generation_id, joined->body.member_id) ==
              ErrorCode::none);
        // Who does not lead says so.
        world.line = world.client.connect(two ? "broker-3" : "broker-2");
        CHECK(world.commit(44) == ErrorCode::not_coordinator);
        CHECK(world.fetch().first == ErrorCode::not_coordinator);
    }
}

TEST_CASE("groups: a restart loads what was committed, in slices") {
    World world(with_offsets(1));
    REQUIRE(world.ready);
    REQUIRE(world.settles([&] { return world.commit(0) == ErrorCode::none; }));
    // More than a slice.
    for (int i = 1; i <= 40; ++i) {
        protocol::OffsetCommitRequest request;
        const std::string group = fmt::format("g{}", i);
        request.group_id = group;
        const std::string note(4'000, 'x');
        protocol::OffsetCommitRequestTopic topic{.name = "trial", .topic_id = {}, .partitions = {}};
        for (int n = 0; n < 10; ++n)
            topic.partitions.push_back({.partition_index = PartitionIndex(0),
                                        .committed_offset = Offset(100 + i),
                                        .committed_metadata = note});
        request.topics.push_back(topic);
        REQUIRE(world.call(request, 8)->body.topics.at(0).partitions.at(0).error_code ==
                ErrorCode::none);
    }
    REQUIRE(world.commit(41) == ErrorCode::none);
    world.cluster.world.kill(world.cluster.node_of(BrokerId(1)));
    world.cluster.world.start(world.cluster.node_of(BrokerId(1)));
    world.line = world.client.connect("broker-1");
    REQUIRE(world.settles([&] {
        if (world.client.line(world.line).closed) world.line = world.client.connect("broker-1");
        return world.fetch().first == ErrorCode::none;
    }));
    CHECK(world.fetch().second == 41);
    CHECK(world.call(protocol::ListGroupsRequest(), 4)->body.groups.size() == 41U);
}

TEST_CASE("groups: the topic of offsets is made when a coordinator is first asked for") {
    ClusterOptions options;
    options.brokers = 3;
    World world(options);
    REQUIRE(world.ready);
    for (int version = 0; version <= 6; ++version) {
        protocol::FindCoordinatorRequest request;
        if (version < 4)
            request.key = "g";
        else
            request.coordinator_keys = {"g", "h"};
        if (version == 0)
            REQUIRE(world.call(request, version)->body.error_code ==
                    ErrorCode::coordinator_not_available);
        REQUIRE(world.settles([&] {
            const auto answer = world.call(request, version);
            if (!answer) return false;
            if (version < 4) return answer->body.error_code == ErrorCode::none;
            return answer->body.coordinators.at(0).error_code == ErrorCode::none &&
                   answer->body.coordinators.at(1).error_code == ErrorCode::none;
        }));
    }
    const auto& image = world.cluster.metadata().image();
    const auto id = image.topic_id("__consumer_offsets");
    REQUIRE(id);
    CHECK(image.topic(*id)->partitions.size() == 50U);
    CHECK(*image.topic_config("__consumer_offsets", "cleanup.policy") == "compact");
    protocol::FindCoordinatorRequest share;
    share.coordinator_keys = {"s"};
    share.key_type = 2;
    CHECK(world.call(share, 6)->body.coordinators.at(0).error_code == ErrorCode::invalid_request);
}

TEST_CASE("groups: nobody but the coordinator writes to the topic of offsets") {
    World world(with_offsets(1));
    REQUIRE(world.ready);
    REQUIRE(world.settles([&] { return world.commit(41) == ErrorCode::none; }));
    record::BatchBuilder builder;
    builder.append(Timestamp(1), as_bytes("key"), as_bytes("value"));
    const Bytes batch = builder.build();
    for (const int version : {12, 13}) {
        auto request = produce_of(batch, -1, version >= 13);
        request.topic_data[0].name = version >= 13 ? "" : "__consumer_offsets";
        if (version >= 13) request.topic_data[0].topic_id = offsets_id;
        const auto answer = world.call(request, version);
        REQUIRE(answer);
        CHECK(answer->body.responses.at(0).partition_responses.at(0).error_code ==
              ErrorCode::invalid_topic_exception);
    }
    CHECK(world.fetch().second == 41);
}
