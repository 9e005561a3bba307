// What a producer is told, by a client made of script.
#include <catch2/catch.hpp>

#include <set>

#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/metadata.h"
#include "tests/server/requests_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

constexpr int newest_produce = 12;  // the last version with names
constexpr int newest_by_id = 13;    // with ids

struct ProduceWorld {
    explicit ProduceWorld(ClusterOptions options = {})
        : cluster(std::move(options)), client(cluster.world) {
        ready = cluster.ready();
        line = client.connect("broker-1");
    }
    /// Produces one batch and gives what the one partition answered.
    protocol::ProduceResponsePartition produce(const Bytes& batch, std::int16_t acks = -1,
                                               int version = newest_produce) {
        const auto answer = client.call(line, produce_of(batch, acks, version >= 13), version);
        if (!answer) {
            protocol::ProduceResponsePartition nothing;
            nothing.error_code = ErrorCode::unknown_server_error;
            return nothing;
        }
        return only(answer->body);
    }
    std::vector<std::string> values(Offset from = Offset(0)) {
        const auto answer = client.call(line, fetch_of(from), 12);
        std::vector<std::string> all;
        for (const auto& [offset, value] : records_in(only(answer->body).records))
            all.push_back(value);
        return all;
    }
    Cluster cluster;
    ScriptClient client;
    bool ready = false;
    std::size_t line = 0;
};

record::BatchOptions from_producer(std::int64_t id, std::int16_t epoch, std::int32_t sequence) {
    record::BatchOptions options;
    options.producer_id = ProducerId(id);
    options.producer_epoch = ProducerEpoch(epoch);
    options.base_sequence = sequence;
    return options;
}

record::BatchOptions control() {
    record::BatchOptions options;
    options.control = true;
    return options;
}

record::BatchOptions compressed(record::Compression compression) {
    record::BatchOptions options;
    options.compression = compression;
    return options;
}

using Values = std::vector<std::string>;

}  // namespace

TEST_CASE("produce: acks 0, 1 and all append, and acks 0 is not answered") {
    ProduceWorld world;
    REQUIRE(world.ready);
    CHECK(world.produce(batch_of({"a", "b"}), -1).base_offset == Offset(0));
    CHECK(world.produce(batch_of({"c"}), 1).base_offset == Offset(2));
    world.client.send(world.line, produce_of(batch_of({"d"}), 0), newest_produce, false);
    const auto last = world.produce(batch_of({"e"}), -1);
    CHECK(last.error_code == ErrorCode::none);
    CHECK(last.base_offset == Offset(4));
    CHECK(last.log_start_offset == Offset(0));
    CHECK(last.log_append_time_ms == no_timestamp);
    CHECK(world.client.line(world.line).frames.size() == 3);
    CHECK(world.values() == Values{"a", "b", "c", "d", "e"});
}

TEST_CASE("produce: with acks 0 an error closes the connection") {
    ProduceWorld world;
    REQUIRE(world.ready);
    Bytes bad = batch_of({"a"});
    bad.back() ^= 1;
    world.client.send(world.line, produce_of(bad, 0), newest_produce, false);
    CHECK(world.cluster.world.run_until([&] { return world.client.line(world.line).closed; },
                                        seconds(2)));
    CHECK(world.client.line(world.line).frames.empty());
}

TEST_CASE(
    "produce: with fewer in sync than min.insync.replicas, acks all is refused and 1 is not") {
    ProduceWorld world({.topic = {{"min.insync.replicas", "2"}}, .script = {}});
    REQUIRE(world.ready);
    world.cluster.world.kill(world.cluster.brokers[1]);
    world.cluster.world.kill(world.cluster.brokers[2]);
    REQUIRE(
        world.cluster.world.run_until([&] { return world.cluster.isr_size() == 1; }, seconds(10)));
    world.cluster.world.run_for(seconds(1));
    CHECK(world.produce(batch_of({"a"}), -1).error_code == ErrorCode::not_enough_replicas);
    const auto weak = world.produce(batch_of({"b"}), 1);
    CHECK(weak.error_code == ErrorCode::none);
    CHECK(weak.base_offset == Offset(0));
    CHECK(world.values().empty());  // the watermark waits for two
}

TEST_CASE("produce: acks all that followers do not reach in time is told REQUEST_TIMED_OUT") {
    ProduceWorld world;
    REQUIRE(world.ready);
    world.cluster.world.cut(world.cluster.brokers[1], world.cluster.brokers[0]);
    const Instant before = world.cluster.world.now();
    const auto answer =
        world.client.call(world.line, produce_of(batch_of({"a"}), -1, false, 300), newest_produce);
    REQUIRE(answer);
    CHECK(only(answer->body).error_code == ErrorCode::request_timed_out);
    CHECK(world.cluster.world.now() - before < milliseconds(500));
    CHECK(world.cluster.host(BrokerId(1))->waiting() <= 3);  // no produce is left behind
}

TEST_CASE("produce: who does not lead says so, and who does") {
    ProduceWorld world;
    REQUIRE(world.ready);
    const std::size_t line = world.client.connect("broker-2");
    for (const int version : {3, 9, 10, newest_produce, newest_by_id}) {
        const auto answer = world.client.call(
            line, produce_of(batch_of({"a"}), -1, version >= newest_by_id), version);
        REQUIRE(answer);
        CHECK(only(answer->body).error_code == ErrorCode::not_leader_or_follower);
        CHECK(only(answer->body).base_offset == no_offset);
        if (version >= 10)
            CHECK(only(answer->body).current_leader.leader_id == BrokerId(1));
        else
            CHECK(only(answer->body).current_leader.leader_id == no_broker);
    }
}

TEST_CASE("produce: topics and partitions that are not there") {
    ProduceWorld world;
    REQUIRE(world.ready);
    const Bytes batch = batch_of({"a"});
    auto request = produce_of(batch);
    request.topic_data[0].name = "absent";
    auto answer = world.client.call(world.line, request, newest_produce);
    REQUIRE(answer);
    CHECK(only(answer->body).error_code == ErrorCode::unknown_topic_or_partition);
    request = produce_of(batch);
    request.topic_data[0].partition_data[0].index = PartitionIndex(9);
    answer = world.client.call(world.line, request, newest_produce);
    CHECK(only(answer->body).error_code == ErrorCode::unknown_topic_or_partition);
    for (const Uuid& id : {uuid_from_halves(1, 2), Uuid{}}) {
        request = produce_of(batch, -1, true);
        request.topic_data[0].topic_id = id;
        answer = world.client.call(world.line, request, newest_by_id);
        CHECK(only(answer->body).error_code == ErrorCode::unknown_topic_id);
        CHECK(answer->body.responses[0].topic_id == id);
    }
}

TEST_CASE("produce: batches that are unfit are refused with Kafka's errors") {
    ProduceWorld world({.topic = {{"max.message.bytes", "200"}}, .script = {}});
    REQUIRE(world.ready);
    Bytes corrupt = batch_of({"a"});
    corrupt.back() ^= 1;
    CHECK(world.produce(corrupt).error_code == ErrorCode::corrupt_message);
    CHECK(world.produce(batch_of({std::string(300, 'x')})).error_code ==
          ErrorCode::message_too_large);
    Bytes two = batch_of({"a"});
    const Bytes second = batch_of({"b"});
    two.insert(two.end(), second.begin(), second.end());
    CHECK(world.produce(two).error_code == ErrorCode::invalid_record);
    CHECK(world.produce(Bytes{}).error_code == ErrorCode::invalid_record);
    CHECK(world.produce(batch_of({"a"}, control())).error_code == ErrorCode::invalid_record);
    CHECK(world.produce(batch_of({"a"}), 2).error_code == ErrorCode::invalid_required_acks);
    CHECK(world.produce(batch_of({"a"}), -2).error_code == ErrorCode::invalid_required_acks);
    const auto future =
        world.produce(batch_of({"a"}, {}, Timestamp(1'735'689'600'000 + 7'200'000)));
    CHECK(future.error_code == ErrorCode::invalid_timestamp);
    CHECK(future.record_errors.size() == 1);
    // None of them has left anything.
    CHECK(world.produce(batch_of({"fine"})).base_offset == Offset(0));
    CHECK(world.values() == Values{"fine"});
}

TEST_CASE("produce: an idempotent producer's repeats get the old offset, gaps are refused") {
    ProduceWorld world;
    REQUIRE(world.ready);
    const Bytes first = batch_of({"a", "b"}, from_producer(5, 0, 0));
    CHECK(world.produce(first).base_offset == Offset(0));
    for (int i = 1; i <= 4; ++i)
        CHECK(world.produce(batch_of({"c"}, from_producer(5, 0, 1 + i))).base_offset ==
              Offset(1 + i));
    // Five batches are remembered.
    const auto repeat = world.produce(first);
    CHECK(repeat.error_code == ErrorCode::none);
    CHECK(repeat.base_offset == Offset(0));
    CHECK(world.produce(first, 1).base_offset == Offset(0));
    CHECK(world.produce(batch_of({"gap"}, from_producer(5, 0, 7))).error_code ==
          ErrorCode::out_of_order_sequence_number);
    CHECK(world.produce(batch_of({"new"}, from_producer(5, 1, 0))).base_offset == Offset(6));
    CHECK(world.produce(batch_of({"old"}, from_producer(5, 0, 6))).error_code ==
          ErrorCode::invalid_producer_epoch);
    CHECK(world.produce(batch_of({"gap"}, from_producer(5, 2, 3))).error_code ==
          ErrorCode::out_of_order_sequence_number);
    CHECK(world.values() == Values{"a", "b", "c", "c", "c", "c", "new"});
}

TEST_CASE("produce: a repeat that is not yet below the watermark waits as the first did") {
    ProduceWorld world;
    REQUIRE(world.ready);
    world.cluster.world.cut(world.cluster.brokers[1], world.cluster.brokers[0]);
    world.cluster.world.cut(world.cluster.brokers[2], world.cluster.brokers[0]);
    const Bytes batch = batch_of({"a"}, from_producer(5, 0, 0));
    world.client.send(world.line, produce_of(batch), newest_produce);
    const std::size_t other = world.client.connect("broker-1");
    world.client.send(other, produce_of(batch), newest_produce);
    world.cluster.world.run_for(milliseconds(300));
    CHECK_FALSE(world.client.has(world.line, 0));
    CHECK_FALSE(world.client.has(other, 0));
    world.cluster.world.heal_all();
    for (const std::size_t line : {world.line, other}) {
        const auto answer = world.client.take<protocol::ProduceRequest>(line, 0, newest_produce);
        REQUIRE(answer);
        CHECK(only(answer->body).error_code == ErrorCode::none);
        CHECK(only(answer->body).base_offset == Offset(0));
    }
}

TEST_CASE("produce: requests that are pipelined are appended and answered in their order") {
    ProduceWorld world({.shards = 3, .topic = {}, .script = {}});
    REQUIRE(world.ready);
    constexpr int count = 40;  // fewer than may be in flight
    for (int i = 0; i < count; ++i)
        world.client.send(world.line, produce_of(batch_of({"x"}, from_producer(9, 0, i))),
                          newest_produce);
    for (std::size_t i = 0; i < count; ++i) {
        const auto answer =
            world.client.take<protocol::ProduceRequest>(world.line, i, newest_produce);
        REQUIRE(answer);
        CHECK(only(answer->body).error_code == ErrorCode::none);
        CHECK(only(answer->body).base_offset == Offset(static_cast<std::int64_t>(i)));
    }
}

TEST_CASE("produce: with log append time, the broker's clock is in the batch and the answer") {
    ProduceWorld world({.topic = {{"message.timestamp.type", "LogAppendTime"}}, .script = {}});
    REQUIRE(world.ready);
    const auto answer = world.produce(batch_of({"a", "b"}, {}, Timestamp(1000)));
    CHECK(answer.error_code == ErrorCode::none);
    CHECK(answer.log_append_time_ms > Timestamp(1'735'689'600'000));
    CHECK(answer.log_append_time_ms <= world.cluster.world.wall(world.cluster.brokers[0]));
    const auto fetched = world.client.call(world.line, fetch_of(Offset(0)), 12);
    REQUIRE(fetched);
    const record::BatchView batch(only(fetched->body).records.bytes);
    CHECK(batch.is_log_append_time());
    CHECK(batch.crc_holds());
    CHECK(batch.max_timestamp() == answer.log_append_time_ms);
}

TEST_CASE("produce: a compression.type of the topic's own writes the records anew") {
    ProduceWorld world({.topic = {{"compression.type", "lz4"}}, .script = {}});
    REQUIRE(world.ready);
    const std::string value(500, 'v');
    CHECK(
        world.produce(batch_of({value, value}, compressed(record::Compression::gzip))).error_code ==
        ErrorCode::none);
    CHECK(world.produce(batch_of({value})).base_offset == Offset(2));
    const auto fetched = world.client.call(world.line, fetch_of(Offset(0)), 12);
    REQUIRE(fetched);
    CHECK(record::BatchView(only(fetched->body).records.bytes).compression() ==
          record::Compression::lz4);
    CHECK(world.values() == Values{value, value, value});
}

TEST_CASE("produce: several topics and partitions in one request, each with its own outcome") {
    TopicPlan more{.name = "more",
                   .id = uuid_from_halves(8, 8),
                   .assignments = {{BrokerId(1)}, {BrokerId(2)}, {BrokerId(1), BrokerId(2)}},
                   .configs = {}};
    const auto shards = GENERATE(env::ShardIndex{1}, env::ShardIndex{3});
    ProduceWorld world({.shards = shards, .topic = {}, .script = {}, .more_topics = {more}});
    REQUIRE(world.ready);
    const Bytes good = batch_of({"good"});
    Bytes bad = good;
    bad.back() ^= 1;
    auto request = produce_of(good);
    protocol::ProduceRequestTopic topic{.name = "more", .topic_id = {}, .partition_data = {}};
    topic.partition_data.push_back({PartitionIndex(0), protocol::Records::of(good)});
    topic.partition_data.push_back({PartitionIndex(1), protocol::Records::of(good)});
    topic.partition_data.push_back({PartitionIndex(2), protocol::Records::of(bad)});
    topic.partition_data.push_back({PartitionIndex(3), protocol::Records::of(good)});
    request.topic_data.push_back(topic);
    const auto answer = world.client.call(world.line, request, newest_produce);
    REQUIRE(answer);
    REQUIRE((*answer)->responses.size() == 2);
    CHECK(only(answer->body).error_code == ErrorCode::none);
    const auto& rows = (*answer)->responses[1].partition_responses;
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].error_code == ErrorCode::none);
    CHECK(rows[0].base_offset == Offset(0));
    CHECK(rows[1].error_code == ErrorCode::not_leader_or_follower);
    CHECK(rows[2].error_code == ErrorCode::corrupt_message);
    CHECK(rows[3].error_code == ErrorCode::unknown_topic_or_partition);
    // Only the two followers' fetches wait.
    CHECK(world.cluster.broker(BrokerId(1))->requests().waiting() <= 2);
}

TEST_CASE("producer ids: no two are equal, on any broker, before or after a restart") {
    ProduceWorld world({.shards = 2, .topic = {}, .script = {}});
    REQUIRE(world.ready);
    protocol::InitProducerIdRequest request;
    request.transactional_id = std::nullopt;
    std::set<ProducerId> ids;
    const auto ask = [&](const std::string& host, int count) {
        const std::size_t line = world.client.connect(host);
        for (int i = 0; i < count; ++i) {
            const auto answer = world.client.call(line, request, 4);
            REQUIRE(answer);
            // A client asks again while a block is fetched.
            if ((*answer)->error_code == ErrorCode::coordinator_load_in_progress) continue;
            REQUIRE((*answer)->error_code == ErrorCode::none);
            CHECK((*answer)->producer_epoch == ProducerEpoch(0));
            CHECK(ids.insert((*answer)->producer_id).second);
        }
    };
    for (const char* host : {"broker-1", "broker-2", "broker-3"}) ask(host, 20);
    world.cluster.world.kill(world.cluster.brokers[1]);
    world.cluster.world.run_for(seconds(4));
    world.cluster.world.start(world.cluster.brokers[1]);
    world.cluster.world.run_for(seconds(4));
    ask("broker-2", 20);
    world.cluster.world.kill(world.cluster.controller);
    world.cluster.world.start(world.cluster.controller);
    world.cluster.world.run_for(seconds(4));
    ask("broker-3", 20);
    CHECK(ids.size() >= 95);
}

TEST_CASE("producer ids: what Kafka refuses is refused") {
    ProduceWorld world;
    REQUIRE(world.ready);
    protocol::InitProducerIdRequest request;
    request.transactional_id = "";
    CHECK(world.client.call(world.line, request, 4)->body.error_code == ErrorCode::invalid_request);
    request.transactional_id = std::nullopt;
    request.producer_id = ProducerId(3);
    const auto half = world.client.call(world.line, request, 4);
    REQUIRE(half);
    CHECK((*half)->error_code == ErrorCode::invalid_request);
    CHECK((*half)->producer_id == no_producer_id);
    CHECK((*half)->producer_epoch == no_producer_epoch);
}
