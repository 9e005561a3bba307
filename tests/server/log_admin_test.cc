// What administrators and time do to logs of a cluster: DeleteRecords, retention, compaction, and
// what DescribeLogDirs tells of them.
#include <catch2/catch.hpp>

#include "core/protocol/messages/alter_replica_log_dirs.h"
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/describe_log_dirs.h"
#include "core/protocol/messages/describe_producers.h"
#include "tests/server/requests_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

struct LogWorld {
    explicit LogWorld(ClusterOptions options = {})
        : cluster(std::move(options)), client(cluster.world) {
        ready = cluster.ready();
        line = client.connect("broker-1");
    }
    void produce(const std::string& key, const std::string& value) {
        record::BatchBuilder builder;
        builder.append(Timestamp(1'735'689'600'000), as_bytes(key), as_bytes(value));
        const auto answer = client.call(line, produce_of(builder.build(), -1), 12);
        REQUIRE(answer);
        REQUIRE(only(answer->body).error_code == ErrorCode::none);
    }
    protocol::DeleteRecordsResponsePartition delete_records(std::int64_t offset,
                                                            std::int32_t timeout_ms = 5'000) {
        protocol::DeleteRecordsRequest request;
        request.topics.push_back({"trial", {{PartitionIndex(0), Offset(offset)}}});
        request.timeout_ms = timeout_ms;
        const auto answer = client.call(line, request, 2);
        REQUIRE(answer);
        return answer->body.topics.at(0).partitions.at(0);
    }
    std::int64_t bytes_at(int broker) {
        const std::size_t to = client.connect("broker-" + std::to_string(broker));
        const auto answer = client.call(to, protocol::DescribeLogDirsRequest{.topics = {}}, 4);
        REQUIRE(answer);
        std::int64_t bytes = 0;
        for (const auto& result : answer->body.results) {
            CHECK(result.error_code == ErrorCode::none);
            CHECK(result.usable_bytes > 0);
            for (const auto& topic : result.topics)
                for (const auto& partition : topic.partitions) bytes += partition.partition_size;
        }
        return bytes;
    }
    Cluster cluster;
    ScriptClient client;
    bool ready = false;
    std::size_t line = 0;
};

}  // namespace

TEST_CASE("log admin: DeleteRecords waits until every live replica's log starts there") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 2U);
    LogWorld world(options);
    REQUIRE(world.ready);
    for (int i = 0; i < 10; ++i) world.produce("k", "v");
    const auto answer = world.delete_records(4);
    CHECK(answer.error_code == ErrorCode::none);
    CHECK(answer.low_watermark == Offset(4));
    for (int id = 1; id <= 3; ++id)
        CHECK(world.cluster.host(BrokerId(id))->log_start() == Offset(4));
    CHECK(world.delete_records(2).low_watermark == Offset(4));
    CHECK(world.delete_records(11).error_code == ErrorCode::offset_out_of_range);
    CHECK(world.delete_records(11).low_watermark == no_offset);
    CHECK(world.delete_records(-2).error_code == ErrorCode::offset_out_of_range);
    const auto all = world.delete_records(-1);
    CHECK(all.error_code == ErrorCode::none);
    CHECK(all.low_watermark == Offset(10));

    // A replica that is cut off but not yet fenced is waited for, up to the timeout.
    world.produce("k", "v");
    world.cluster.world.kill(world.cluster.node_of(BrokerId(3)));
    const auto late = world.delete_records(11, 300);
    CHECK(late.error_code == ErrorCode::request_timed_out);
    CHECK(late.low_watermark == Offset(10));
    REQUIRE(
        world.cluster.world.run_until([&] { return world.cluster.isr_size() == 2; }, seconds(20)));
    REQUIRE(world.cluster.world.run_for(seconds(5)));
    CHECK(world.delete_records(11).error_code == ErrorCode::none);
    // A broker that does not lead refuses; so does a topic that is only compacted.
    world.line = world.client.connect("broker-2");
    CHECK(world.delete_records(11).error_code == ErrorCode::not_leader_or_follower);
}

TEST_CASE("log admin: a topic that is compacted and not deleted keeps its records") {
    ClusterOptions options;
    options.topic = {{"cleanup.policy", "compact"}};
    LogWorld world(options);
    REQUIRE(world.ready);
    world.produce("k", "v");
    CHECK(world.delete_records(1).error_code == ErrorCode::policy_violation);
}

TEST_CASE("log admin: retention by size takes the oldest segments of every replica") {
    ClusterOptions options;
    options.topic = {{"internal.segment.bytes", "1024"}, {"retention.bytes", "3000"}};
    LogWorld world(options);
    REQUIRE(world.ready);
    for (int i = 0; i < 100; ++i) world.produce("k", std::string(60, 'v'));
    const std::int64_t before = world.bytes_at(2);
    CHECK(before > 10'000);
    REQUIRE(world.cluster.world.run_for(seconds(320)));
    for (int id = 1; id <= 3; ++id) {
        CHECK(world.bytes_at(id) >= 3'000);
        CHECK(world.bytes_at(id) < 3'000 + 1'024);
        CHECK(world.cluster.host(BrokerId(id))->log_start() > Offset(50));
        CHECK(world.cluster.host(BrokerId(id))->log_end() == Offset(100));
    }
    // What is left is served from where it starts.
    const Offset start = world.cluster.host(BrokerId(1))->log_start();
    auto answer = world.client.call(world.line, fetch_of(start - 1), 12);
    REQUIRE(answer);
    CHECK(only(answer->body).error_code == ErrorCode::offset_out_of_range);
    answer = world.client.call(world.line, fetch_of(start), 12);
    REQUIRE(answer);
    REQUIRE(records_in(only(answer->body).records).front().first == start);
}

TEST_CASE("log admin: a producer that was idle for producer.id.expiration.ms is forgotten") {
    LogWorld world;
    REQUIRE(world.ready);
    const auto produce_as = [&](std::int64_t producer, Timestamp at) {
        record::BatchBuilder builder;
        builder.append(at, std::nullopt, as_bytes("v"));
        builder.set_producer(ProducerId(producer), ProducerEpoch(0), 0, false);
        const auto answer = world.client.call(world.line, produce_of(builder.build(), -1), 12);
        REQUIRE(answer);
        REQUIRE(only(answer->body).error_code == ErrorCode::none);
    };
    const auto known = [&] {
        protocol::DescribeProducersRequest request;
        request.topics.push_back({.name = "trial", .partition_indexes = {PartitionIndex(0)}});
        const auto answer = world.client.call(world.line, request, 0);
        REQUIRE(answer);
        std::vector<std::int64_t> producers;
        for (const auto& row : answer->body.topics.at(0).partitions.at(0).active_producers)
            producers.push_back(row.producer_id.value);
        return producers;
    };
    const Timestamp now = world.cluster.world.wall(world.cluster.brokers[0]);
    produce_as(7, Timestamp(now.value - 86'400'000));
    produce_as(8, now);
    CHECK(known() == std::vector<std::int64_t>{7, 8});
    REQUIRE(world.cluster.world.run_for(seconds(320)));
    CHECK(known() == std::vector<std::int64_t>{8});
}

TEST_CASE("log admin: the cleaner keeps each key's last value, a replica copies what is left") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 2U);
    options.topic = {{"internal.segment.bytes", "1024"},
                     {"cleanup.policy", "compact"},
                     {"min.cleanable.dirty.ratio", "0.1"}};
    LogWorld world(options);
    REQUIRE(world.ready);
    for (int i = 0; i < 120; ++i)
        world.produce("k" + std::to_string(i % 7), std::to_string(i) + std::string(50, 'v'));
    const std::int64_t before = world.bytes_at(1);
    REQUIRE(world.cluster.world.run_for(seconds(60)));
    for (int id = 1; id <= 3; ++id) {
        CHECK(world.bytes_at(id) < before / 3);
        CHECK(world.cluster.host(BrokerId(id))->log_end() == Offset(120));
    }
    std::set<std::string> values;
    Offset from{0};
    while (from < Offset(120)) {
        const auto answer = world.client.call(world.line, fetch_of(from), 12);
        REQUIRE(answer);
        const auto& records = only(answer->body).records;
        for (const auto& [offset, value] : records_in(records))
            values.insert(value.substr(0, value.find('v')));
        ByteView rest = records.bytes;
        ByteView one;
        while (record::next_batch(rest, one) == record::Peek::ok)
            from = record::BatchView(one).next_offset();
    }
    for (int i = 113; i < 120; ++i) CHECK(values.contains(std::to_string(i)));
    CHECK(values.size() < 40);

    // A follower that has lost its disk copies the gaps along.
    const sim::NodeId third = world.cluster.node_of(BrokerId(3));
    world.cluster.world.kill(third);
    world.cluster.world.wipe(third);
    world.cluster.world.start(third);
    REQUIRE(world.cluster.world.run_until(
        [&] {
            const ReplicaHost* host = world.cluster.host(BrokerId(3));
            return host != nullptr && host->log_end() == Offset(120) && world.cluster.in_sync();
        },
        seconds(60)));
}

TEST_CASE("log admin: replicas stay in the directory that their shard has") {
    ClusterOptions options;
    options.shards = 2;
    LogWorld world(options);
    REQUIRE(world.ready);
    protocol::AlterReplicaLogDirsRequest request;
    for (const char* path : {"data-0", "data-1", "elsewhere"})
        request.dirs.push_back({path, {{"trial", {PartitionIndex(0)}}}});
    const auto answer = world.client.call(world.line, request, 2);
    REQUIRE(answer);
    std::multiset<ErrorCode> errors;
    for (const auto& topic : answer->body.results) errors.insert(topic.partitions.at(0).error_code);
    CHECK(errors == std::multiset<ErrorCode>{ErrorCode::none, ErrorCode::policy_violation,
                                             ErrorCode::log_dir_not_found});
}

TEST_CASE("log admin: a log that is found damaged is copied anew once nobody counts on it") {
    ClusterOptions options;
    options.topic = {{"flush.messages", "1"}};
    LogWorld world(options);
    REQUIRE(world.ready);
    for (int i = 0; i < 20; ++i) world.produce("k", "v");
    REQUIRE(world.cluster.world.run_for(seconds(6)));  // the recovery point is checkpointed
    const sim::NodeId third = world.cluster.node_of(BrokerId(3));
    world.cluster.world.kill(third);
    const Bytes damage = {0xee, 0xdd, 0xcc};
    REQUIRE(
        world.cluster.world.rot_file(third, "data-0/trial-0/00000000000000000000.log", 70, damage));
    for (int i = 0; i < 5; ++i) world.produce("k", "w");
    world.cluster.world.start(third);
    REQUIRE(world.cluster.world.run_until(
        [&] {
            const ReplicaHost* host = world.cluster.host(BrokerId(3));
            return host != nullptr && host->log_end() == Offset(25) && world.cluster.in_sync();
        },
        seconds(60)));
    CHECK(world.bytes_at(3) == world.bytes_at(1));
}

TEST_CASE("log admin: every advertised version answers") {
    LogWorld world;
    REQUIRE(world.ready);
    world.produce("k", "v");
    for (int version = 0; version <= 2; ++version) {
        protocol::DeleteRecordsRequest request;
        request.topics.push_back({"trial", {{PartitionIndex(0), Offset(0)}}});
        request.topics.push_back({"nowhere", {{PartitionIndex(0), Offset(0)}}});
        const auto answer = world.client.call(world.line, request, version);
        REQUIRE(answer);
        CHECK(answer->body.topics.at(0).partitions.at(0).error_code == ErrorCode::none);
        CHECK(answer->body.topics.at(1).partitions.at(0).error_code ==
              ErrorCode::unknown_topic_or_partition);
    }
    for (int version = 1; version <= 4; ++version) {
        protocol::DescribeLogDirsRequest request;
        request.topics.emplace();
        request.topics->push_back({"trial", {PartitionIndex(0), PartitionIndex(7)}});
        const auto answer = world.client.call(world.line, request, version);
        REQUIRE(answer);
        const auto& result = answer->body.results.at(0);
        CHECK(result.log_dir == "data-0");
        REQUIRE(result.topics.size() == 1);
        REQUIRE(result.topics[0].partitions.size() == 1);
        CHECK(result.topics[0].partitions[0].partition_size > 0);
        CHECK_FALSE(result.topics[0].partitions[0].is_future_key);
    }
    for (int version = 1; version <= 2; ++version) {
        protocol::AlterReplicaLogDirsRequest request;
        request.dirs.push_back({"data-0", {{"trial", {PartitionIndex(0)}}}});
        const auto answer = world.client.call(world.line, request, version);
        REQUIRE(answer);
        CHECK(answer->body.results.at(0).partitions.at(0).error_code == ErrorCode::none);
    }
}
