// Replicas that are moved while a producer writes: asked for through a broker, as
// kafka-reassign-partitions does.
#include <catch2/catch.hpp>

#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/list_partition_reassignments.h"
#include "tests/server/admin_for_tests.h"
#include "tests/server/cluster.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;

namespace {

protocol::AlterPartitionReassignmentsRequest move_request(
    std::string_view topic, std::optional<metadata::BrokerIds> replicas) {
    protocol::AlterPartitionReassignmentsRequest request;
    request.topics.push_back({.name = topic, .partitions = {}});
    auto& partition = request.topics[0].partitions.emplace_back();
    partition.partition_index = PartitionIndex(0);
    partition.replicas = std::move(replicas);
    return request;
}

metadata::BrokerIds brokers_of(std::initializer_list<int> numbers) {
    metadata::BrokerIds brokers;
    for (const int number : numbers) brokers.push_back(BrokerId(number));
    return brokers;
}

}  // namespace

TEST_CASE("reassignment: replicas move to other brokers, and all that was written is there") {
    for (const int controllers : {0, 3}) {
        ClusterOptions options;
        options.brokers = 5;
        options.controllers = controllers;
        Cluster cluster(options);
        REQUIRE(cluster.ready());
        ScriptClient client(cluster.world);
        const std::size_t line = client.connect("broker-5");
        auto request = topic_request("moved", -1, -1);
        request.topics[0].num_partitions = -1;
        request.topics[0].assignments.push_back(
            {.partition_index = PartitionIndex(0), .broker_ids = brokers_of({1, 2, 3})});
        REQUIRE(client.call(line, request, 7));
        auto row = await_topic(cluster, client, line, "moved", 1);
        REQUIRE(row);
        for (int i = 0; i < 5; ++i)
            REQUIRE(produced(client, cluster, "moved", *row, 0) == ErrorCode::none);
        const TopicPartition moved{row->topic_id, PartitionIndex(0)};
        const Offset end = cluster.host(BrokerId(1), moved)->log_end();
        CHECK(end == Offset(10));

        for (int version = 0; version <= 1; ++version) {
            const auto absent = client.call(line, move_request("absent", brokers_of({1})), version);
            REQUIRE(absent);
            CHECK((*absent)->responses[0].partitions[0].error_code ==
                  ErrorCode::unknown_topic_or_partition);
        }
        const auto asked = client.call(line, move_request("moved", brokers_of({4, 5})), 1);
        REQUIRE(asked);
        REQUIRE((*asked)->error_code == ErrorCode::none);
        REQUIRE((*asked)->responses[0].partitions[0].error_code == ErrorCode::none);
        bool listed = false;
        bool over = false;
        for (int i = 0; i < 400 && !over; ++i) {
            protocol::ListPartitionReassignmentsRequest list;
            const auto answer = client.call(line, list, 0);
            REQUIRE(answer);
            over = (*answer)->topics.empty();
            if (over) break;
            listed = true;
            const auto& partition = (*answer)->topics[0].partitions[0];
            CHECK((*answer)->topics[0].name == "moved");
            CHECK(partition.adding_replicas == brokers_of({4, 5}));
            CHECK(partition.removing_replicas == brokers_of({1, 2, 3}));
            cluster.world.run_for(milliseconds(20));
        }
        CHECK(over);
        CHECK(listed);
        cluster.world.run_for(seconds(2));
        row = shown(client, line, "moved");
        REQUIRE(row);
        CHECK(row->partitions[0].replica_nodes == brokers_of({4, 5}));
        CHECK(metadata::sorted(row->partitions[0].isr_nodes) == brokers_of({4, 5}));
        // Whoever is a replica no more has nothing of it left.
        for (const int gone : {1, 2, 3}) CHECK(cluster.host(BrokerId(gone), moved) == nullptr);
        for (const int here : {4, 5}) {
            REQUIRE(cluster.host(BrokerId(here), moved) != nullptr);
            CHECK(cluster.host(BrokerId(here), moved)->log_end() == end);
        }
        CHECK(produced(client, cluster, "moved", *row, 0) == ErrorCode::none);
    }
}

TEST_CASE("reassignment: a move to a broker that is down waits, and is taken back") {
    ClusterOptions options;
    options.brokers = 4;
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    cluster.world.kill(cluster.brokers[3]);
    cluster.world.run_for(seconds(5));
    REQUIRE(client.call(line, move_request("trial", brokers_of({1, 2})), 1));
    cluster.world.run_for(seconds(1));
    CHECK(cluster.partition()->replicas == brokers_of({1, 2}));
    REQUIRE(client.call(line, move_request("trial", brokers_of({1, 4})), 1));
    cluster.world.run_for(seconds(3));
    CHECK(cluster.partition()->adding == brokers_of({4}));
    const auto back = client.call(line, move_request("trial", std::nullopt), 1);
    REQUIRE(back);
    CHECK((*back)->responses[0].partitions[0].error_code == ErrorCode::none);
    CHECK(metadata::sorted(cluster.partition()->replicas) == brokers_of({1, 2}));
    const auto again = client.call(line, move_request("trial", std::nullopt), 1);
    REQUIRE(again);
    CHECK((*again)->responses[0].partitions[0].error_code ==
          ErrorCode::no_reassignment_in_progress);
}
