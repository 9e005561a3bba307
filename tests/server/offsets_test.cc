// ListOffsets, as Kafka 4.1 answers it without tiered storage.
#include <catch2/catch.hpp>

#include "tests/server/requests_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

constexpr int newest_list_offsets = 10;
constexpr std::int64_t start = 1'735'689'600'000;

struct OffsetsWorld {
    explicit OffsetsWorld(ClusterOptions options = {})
        : cluster(std::move(options)), client(cluster.world) {
        ready = cluster.ready();
        line = client.connect("broker-1");
    }
    void produce(const std::vector<std::string>& values, std::int64_t time,
                 std::int16_t acks = -1) {
        const Bytes batch = batch_of(values, {}, Timestamp(start + time));
        const auto answer = client.call(line, produce_of(batch, acks), 12);
        REQUIRE(answer);
        REQUIRE(only(answer->body).error_code == ErrorCode::none);
    }
    protocol::ListOffsetsResponsePartition list(std::int64_t time,
                                                int version = newest_list_offsets,
                                                BrokerId replica = no_broker) {
        auto request = list_of(time);
        request.replica_id = replica;
        const auto answer = client.call(line, request, version);
        REQUIRE(answer);
        return only(answer->body);
    }
    Cluster cluster;
    ScriptClient client;
    bool ready = false;
    std::size_t line = 0;
};

protocol::ListOffsetsResponsePartition row(std::int64_t offset, std::int64_t time,
                                           LeaderEpoch epoch) {
    protocol::ListOffsetsResponsePartition partition;
    partition.offset = Offset(offset);
    partition.timestamp = Timestamp(time);
    partition.leader_epoch = epoch;
    return partition;
}

}  // namespace

TEST_CASE("offsets: the ends, times, the greatest time, and tiers that are not there") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 3U);
    options.tail_cache_bytes = GENERATE(0U, 1U << 20);
    options.topic = {{"internal.segment.bytes", "1024"}, {"index.interval.bytes", "100"}};
    options.disk.would_block_rate = 500'000;
    OffsetsWorld world(options);
    REQUIRE(world.ready);
    const LeaderEpoch epoch = world.cluster.partition()->leader_epoch;
    CHECK(world.list(-1) == row(0, -1, epoch));
    CHECK(world.list(-2) == row(0, -1, epoch));
    CHECK(world.list(-3) == row(-1, -1, no_leader_epoch));
    CHECK(world.list(0) == row(-1, -1, no_leader_epoch));
    for (int i = 0; i < 20; ++i)  // 0, 100, …, one record each 1 ms; batch 12 is the latest
        world.produce({std::string(60, 'a'), "b", "c"}, i == 12 ? 5'000 : i * 100);
    CHECK(world.list(-1) == row(60, -1, epoch));
    CHECK(world.list(-2) == row(0, -1, epoch));
    CHECK(world.list(-3) == row(38, start + 5'002, epoch));
    CHECK(world.list(-4) == row(0, -1, epoch));
    CHECK(world.list(-5) == row(-1, -1, no_leader_epoch));
    CHECK(world.list(0) == row(0, start, epoch));
    CHECK(world.list(start + 1) == row(1, start + 1, epoch));
    CHECK(world.list(start + 103) == row(6, start + 200, epoch));
    CHECK(world.list(start + 1'200) == row(36, start + 5'000, epoch));
    CHECK(world.list(start + 5'003) == row(-1, -1, no_leader_epoch));
}

TEST_CASE("offsets: a special time is refused by versions that lack it, and unknown ones by all") {
    OffsetsWorld world;
    REQUIRE(world.ready);
    const auto refused = [&](std::int64_t time, int version) {
        return world.list(time, version).error_code == ErrorCode::unsupported_version;
    };
    CHECK_FALSE(refused(-2, 1));
    CHECK(refused(-3, 6));
    CHECK_FALSE(refused(-3, 7));
    CHECK(refused(-4, 7));
    CHECK_FALSE(refused(-4, 8));
    CHECK(refused(-5, 8));
    CHECK_FALSE(refused(-5, 9));
    CHECK(refused(-6, newest_list_offsets));
    CHECK(refused(INT64_MIN, newest_list_offsets));
}

TEST_CASE("offsets: a client sees what is below the watermark, a replica the whole log") {
    OffsetsWorld world;
    REQUIRE(world.ready);
    world.produce({"a"}, 0);
    world.cluster.world.cut(world.cluster.brokers[1], world.cluster.brokers[0]);
    world.produce({"b"}, 1000, 1);
    CHECK(world.list(-1).offset == Offset(1));
    CHECK(world.list(-3).offset == no_offset);
    CHECK(world.list(start + 1).offset == no_offset);
    CHECK(world.list(-1, newest_list_offsets, BrokerId(2)).offset == Offset(2));
    CHECK(world.list(start + 1, newest_list_offsets, BrokerId(2)).offset == Offset(1));
}

TEST_CASE("offsets: epochs, other leaders, unknown partitions and doubled ones") {
    OffsetsWorld world;
    REQUIRE(world.ready);
    const LeaderEpoch epoch = world.cluster.partition()->leader_epoch;
    auto request = list_of(-1);
    auto& partition = request.topics[0].partitions[0];
    partition.current_leader_epoch = epoch + 1;
    CHECK(only(world.client.call(world.line, request, newest_list_offsets)->body).error_code ==
          ErrorCode::unknown_leader_epoch);
    partition.current_leader_epoch = epoch;
    CHECK(only(world.client.call(world.line, request, newest_list_offsets)->body).error_code ==
          ErrorCode::none);
    const std::size_t other = world.client.connect("broker-3");
    CHECK(only(world.client.call(other, request, newest_list_offsets)->body).error_code ==
          ErrorCode::not_leader_or_follower);
    request.topics[0].partitions.push_back(partition);
    request.topics[0].partitions.push_back({PartitionIndex(5), no_leader_epoch, Timestamp(-1)});
    const auto answer = world.client.call(world.line, request, newest_list_offsets);
    REQUIRE(answer);
    CHECK(answer->body.topics[0].partitions[0].error_code == ErrorCode::none);
    CHECK(answer->body.topics[0].partitions[1].error_code == ErrorCode::invalid_request);
    CHECK(answer->body.topics[0].partitions[2].error_code == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE(
    "offsets: after an election LATEST waits for the watermark to reach the epoch (KIP-207)") {
    OffsetsWorld world;
    REQUIRE(world.ready);
    world.produce({"a"}, 0);
    // Broker 2 has a record of which it does not know that the watermark has passed it, and when it
    // leads, nobody fetches from it.
    auto& w = world.cluster.world;
    const auto& nodes = world.cluster.brokers;
    w.cut(nodes[2], nodes[0]);
    world.produce({"b"}, 1000, 1);
    w.run_for(milliseconds(100));
    w.cut(nodes[2], nodes[1]);
    w.kill(nodes[0]);
    REQUIRE(w.run_until([&] { return world.cluster.leader() == BrokerId(2); }, seconds(10)));
    world.line = world.client.connect("broker-2");
    w.run_for(milliseconds(50));
    const auto latest = world.list(-1);
    CHECK(latest.error_code == ErrorCode::offset_not_available);
    CHECK(latest.offset == no_offset);
    CHECK(world.list(-1, 4).error_code == ErrorCode::leader_not_available);
    CHECK(world.list(start + 1).error_code == ErrorCode::offset_not_available);
    CHECK(world.list(-3).error_code == ErrorCode::offset_not_available);
    CHECK(world.list(-2).offset == Offset(0));
    CHECK(world.list(0).offset == Offset(0));
    w.heal_all();
    w.run_for(seconds(5));
    CHECK(world.list(-1).offset == Offset(2));
    CHECK(world.list(start + 1).offset == Offset(1));
}
