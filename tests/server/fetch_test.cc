// What readers are given, by a client made of script.
#include <catch2/catch.hpp>

#include "tests/server/requests_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

constexpr int with_names = 12;  // the last version with names

struct FetchWorld {
    explicit FetchWorld(ClusterOptions options = {})
        : cluster(std::move(options)), client(cluster.world) {
        ready = cluster.ready();
        line = client.connect("broker-1");
    }
    void produce(const std::string& value, int times = 1) {
        for (int i = 0; i < times; ++i) {
            const Bytes batch = batch_of({value + std::to_string(made++)});
            const auto answer = client.call(line, produce_of(batch), with_names);
            REQUIRE(answer);
            REQUIRE(only(answer->body).error_code == ErrorCode::none);
        }
    }
    auto fetch(const protocol::FetchRequest& request, int version = with_names) {
        return client.call(line, request, version);
    }
    protocol::FetchRequestPartition& row(protocol::FetchRequest& request) {
        return request.topics[0].partitions[0];
    }
    /// Rows that wait, but for the two followers' fetches.
    bool idle() {
        for (env::ShardIndex s = 0; s < cluster.shards; ++s) {
            const Broker* broker = cluster.broker(BrokerId(1), s);
            if (broker->requests().waiting() > 2 || broker->pins().size() > 0) return false;
        }
        return cluster.host(BrokerId(1))->waiting() <= 2;
    }
    Cluster cluster;
    ScriptClient client;
    bool ready = false;
    std::size_t line = 0;
    int made = 0;
};

ClusterOptions options_of(env::ShardIndex shards, std::uint64_t tail_cache_bytes,
                          std::map<std::string, std::string> topic = {}) {
    ClusterOptions options;
    options.shards = shards;
    options.tail_cache_bytes = tail_cache_bytes;
    options.topic = std::move(topic);
    return options;
}

}  // namespace

TEST_CASE("fetch: a reader waits until a record is below the high watermark") {
    FetchWorld world(options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20)));
    REQUIRE(world.ready);
    const std::size_t reader = world.client.connect("broker-1");
    world.client.send(reader, fetch_of(Offset(0), false, 20'000), with_names);
    world.cluster.world.run_for(seconds(1));
    REQUIRE_FALSE(world.client.has(reader, 0));
    // With the followers away, it is in the log and may not be read.
    for (const int follower : {1, 2})
        world.cluster.world.cut(world.cluster.brokers[static_cast<std::size_t>(follower)],
                                world.cluster.brokers[0]);
    const Bytes batch = batch_of({"a"});
    world.client.send(world.line, produce_of(batch), with_names);
    world.cluster.world.run_for(milliseconds(200));
    CHECK_FALSE(world.client.has(reader, 0));
    world.cluster.world.heal_all();
    const auto answer =
        world.client.take<protocol::FetchRequest>(reader, 0, with_names, seconds(5));
    REQUIRE(answer);
    CHECK(records_in(only(answer->body).records).size() == 1);
    CHECK(only(answer->body).high_watermark == Offset(1));
    CHECK(only(answer->body).last_stable_offset == Offset(1));
    CHECK(only(answer->body).log_start_offset == Offset(0));
    CHECK_FALSE(only(answer->body).aborted_transactions);
    world.cluster.world.run_for(milliseconds(100));
    CHECK(world.idle());
}

TEST_CASE("fetch: max_wait ends the wait on time, with what there is") {
    FetchWorld world(options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20)));
    REQUIRE(world.ready);
    world.produce("a");
    for (const int wait : {0, 300}) {
        const Instant before = world.cluster.world.now();
        const auto answer = world.fetch(fetch_of(Offset(0), false, wait, 100'000));
        REQUIRE(answer);
        CHECK(records_in(only(answer->body).records).size() == 1);
        CHECK(world.cluster.world.now() - before >= milliseconds(wait));
        CHECK(world.cluster.world.now() - before < milliseconds(wait + 20));
    }
}

TEST_CASE("fetch: min_bytes is gathered over several appends, from files too") {
    FetchWorld world(options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20)));
    REQUIRE(world.ready);
    world.produce("first");
    const std::size_t reader = world.client.connect("broker-1");
    world.client.send(reader, fetch_of(Offset(0), false, 20'000, 300), with_names);
    world.cluster.world.run_for(milliseconds(100));
    world.produce("second");
    world.cluster.world.run_for(milliseconds(100));
    REQUIRE_FALSE(world.client.has(reader, 0));
    world.produce("more", 3);
    const auto answer =
        world.client.take<protocol::FetchRequest>(reader, 0, with_names, seconds(1));
    REQUIRE(answer);
    CHECK(only(answer->body).records.size() >= 300);
    CHECK(records_in(only(answer->body).records).size() < 6);
    world.cluster.world.run_for(milliseconds(100));
    CHECK(world.idle());
}

TEST_CASE("fetch: who is behind the active segment is not parked, whatever it waits for") {
    FetchWorld world(
        options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20), {{"internal.segment.bytes", "1024"}}));
    REQUIRE(world.ready);
    world.produce(std::string(100, 'x'), 10);
    const auto waits = [&](std::int64_t from) {
        const auto request = fetch_of(Offset(from), false, 2'000, 1'000'000);
        const Instant before = world.cluster.world.now();
        const auto answer = world.fetch(request);
        REQUIRE(answer);
        CHECK_FALSE(records_in(only(answer->body).records).empty());
        return world.cluster.world.now() - before >= seconds(2);
    };
    CHECK_FALSE(waits(0));
    CHECK(waits(9));
}

TEST_CASE("fetch: who may be given no more than min_bytes does not wait for it") {
    FetchWorld world(options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20)));
    REQUIRE(world.ready);
    world.produce(std::string(100, 'x'), 10);
    // Neither what a request may hold nor what a batch boundary leaves of it is waited for.
    const auto waits = [&](std::int64_t from, std::int32_t bytes) {
        auto request = fetch_of(Offset(from), false, 2'000, 1'000'000);
        request.max_bytes = bytes;
        const Instant before = world.cluster.world.now();
        REQUIRE(world.fetch(request));
        return world.cluster.world.now() - before >= seconds(2);
    };
    CHECK_FALSE(waits(0, 500));
    CHECK_FALSE(waits(0, 1));
    CHECK(waits(9, 500));
}

TEST_CASE("fetch: limits hold, but the first batch is given whole (KIP-74)") {
    FetchWorld world(options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20)));
    REQUIRE(world.ready);
    world.produce(std::string(100, 'x'), 10);
    const auto count = [&](std::int32_t partition_bytes, std::int32_t bytes) {
        auto request = fetch_of(Offset(0));
        world.row(request).partition_max_bytes = partition_bytes;
        request.max_bytes = bytes;
        const auto answer = world.fetch(request);
        return records_in(only(answer->body).records).size();
    };
    const std::size_t size = batch_of({std::string(100, 'x') + "0"}).size();
    const auto bytes = [&](std::size_t batches) {
        return static_cast<std::int32_t>(batches * size);
    };
    CHECK(count(1, 1 << 20) == 1);
    CHECK(count(1 << 20, 1) == 1);
    CHECK(count(0, 0) == 1);
    CHECK(count(-5, 1 << 20) == 1);
    CHECK(count(bytes(3), 1 << 20) == 3);
    CHECK(count(bytes(4) - 1, 1 << 20) == 3);
    CHECK(count(1 << 20, bytes(5)) == 5);
}

TEST_CASE("fetch: the limit of a request is shared by its partitions in their order") {
    TopicPlan more{.name = "more",
                   .id = uuid_from_halves(8, 8),
                   .assignments = {{BrokerId(1)}, {BrokerId(1)}, {BrokerId(2)}},
                   .configs = {}};
    ClusterOptions options = options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20));
    options.more_topics = {more};
    FetchWorld world(options);
    REQUIRE(world.ready);
    const Bytes batch = batch_of({std::string(1000, 'x')});
    for (const int partition : {0, 1}) {
        auto produce = produce_of(batch);
        produce.topic_data[0].name = "more";
        produce.topic_data[0].partition_data[0].index = PartitionIndex(partition);
        REQUIRE(only(world.client.call(world.line, produce, with_names)->body).error_code ==
                ErrorCode::none);
    }
    auto request = fetch_of(Offset(0));
    request.topics[0].topic = "more";
    request.topics[0].partitions.push_back(request.topics[0].partitions[0]);
    request.topics[0].partitions[1].partition = PartitionIndex(1);
    auto answer = world.fetch(request);
    REQUIRE(answer);
    auto rows = answer->body.responses[0].partitions;
    REQUIRE(rows.size() == 2);
    CHECK(records_in(rows[0].records).size() == 1);
    CHECK(records_in(rows[1].records).size() == 1);
    request.max_bytes = 1500;
    answer = world.fetch(request);
    rows = answer->body.responses[0].partitions;
    CHECK(records_in(rows[0].records).size() == 1);
    CHECK(rows[1].error_code == ErrorCode::none);
    CHECK(rows[1].records.size() == 0);
    // An empty partition leaves the first batch to the next one.
    request.topics[0].partitions[0].fetch_offset = Offset(1);
    request.max_bytes = 1;
    answer = world.fetch(request);
    rows = answer->body.responses[0].partitions;
    CHECK(rows[0].records.size() == 0);
    CHECK(records_in(rows[1].records).size() == 1);
    // One that is led elsewhere, and one that is not there, do not wait for the others.
    request.topics[0].partitions[0].partition = PartitionIndex(2);
    request.topics[0].partitions[1].partition = PartitionIndex(7);
    request.max_wait_ms = 10'000;
    request.min_bytes = 1 << 20;
    const Instant before = world.cluster.world.now();
    answer = world.fetch(request);
    rows = answer->body.responses[0].partitions;
    CHECK(rows[0].error_code == ErrorCode::not_leader_or_follower);
    CHECK(rows[1].error_code == ErrorCode::unknown_topic_or_partition);
    CHECK(world.cluster.world.now() - before < milliseconds(100));
}

TEST_CASE("fetch: positions and epochs that do not fit") {
    FetchWorld world;
    REQUIRE(world.ready);
    world.produce("a", 3);
    const LeaderEpoch epoch = world.cluster.partition()->leader_epoch;
    const auto error = [&](Offset offset, LeaderEpoch current, LeaderEpoch last = no_leader_epoch,
                           const char* host = "broker-1") {
        auto request = fetch_of(offset, false, 5'000);
        world.row(request).current_leader_epoch = current;
        world.row(request).last_fetched_epoch = last;
        const std::size_t line = world.client.connect(host);
        const Instant before = world.cluster.world.now();
        const auto answer = world.client.call(line, request, with_names);
        CHECK(world.cluster.world.now() - before < seconds(1));
        return answer ? only(answer->body).error_code : ErrorCode::unknown_server_error;
    };
    CHECK(error(Offset(0), epoch) == ErrorCode::none);
    CHECK(error(Offset(4), epoch) == ErrorCode::offset_out_of_range);
    CHECK(error(Offset(-1), epoch) == ErrorCode::offset_out_of_range);
    CHECK(error(Offset(0), epoch + 1) == ErrorCode::unknown_leader_epoch);
    CHECK(error(Offset(0), epoch, epoch + 1) == ErrorCode::offset_out_of_range);
    CHECK(error(Offset(0), epoch, no_leader_epoch, "broker-2") ==
          ErrorCode::not_leader_or_follower);
    if (epoch > LeaderEpoch(0))
        CHECK(error(Offset(0), epoch - 1) == ErrorCode::fenced_leader_epoch);
}

TEST_CASE("fetch: after an election old epochs are fenced and a diverging reader is told where") {
    FetchWorld world;
    REQUIRE(world.ready);
    world.produce("a", 3);
    const LeaderEpoch old = world.cluster.partition()->leader_epoch;
    world.cluster.world.kill(world.cluster.brokers[0]);
    REQUIRE(world.cluster.world.run_until([&] { return world.cluster.leader() == BrokerId(2); },
                                          seconds(10)));
    world.cluster.world.run_for(seconds(2));
    world.line = world.client.connect("broker-2");
    world.produce("b", 2);
    const LeaderEpoch now = world.cluster.partition()->leader_epoch;
    auto request = fetch_of(Offset(0));
    world.row(request).current_leader_epoch = old;
    CHECK(only(world.fetch(request)->body).error_code == ErrorCode::fenced_leader_epoch);
    // Which leader is said by id from version 16 on.
    auto by_id = fetch_of(Offset(0), true);
    world.row(by_id).current_leader_epoch = old;
    const auto told = world.fetch(by_id, 16);
    REQUIRE(told);
    CHECK(only(told->body).current_leader.leader_id == BrokerId(2));
    CHECK(only(told->body).current_leader.leader_epoch == now);
    // A reader that has read more in the old epoch than there is of it.
    request = fetch_of(Offset(5), false, 5'000);
    world.row(request).current_leader_epoch = now;
    world.row(request).last_fetched_epoch = old;
    const auto diverging = world.fetch(request);
    REQUIRE(diverging);
    CHECK(only(diverging->body).error_code == ErrorCode::none);
    CHECK(only(diverging->body).diverging_epoch.epoch == old);
    CHECK(only(diverging->body).diverging_epoch.end_offset == Offset(3));
    CHECK(only(diverging->body).records.size() == 0);
    // The same from OffsetForLeaderEpoch.
    const auto end = world.client.call(world.line, epoch_end_of(old), 4);
    REQUIRE(end);
    CHECK(only(end->body).leader_epoch == old);
    CHECK(only(end->body).end_offset == Offset(3));
    const auto current = world.client.call(world.line, epoch_end_of(now), 2);
    CHECK(only(current->body).end_offset == Offset(5));
    const auto unknown = world.client.call(world.line, epoch_end_of(now + 5), 4);
    CHECK(only(unknown->body).error_code == ErrorCode::none);
    CHECK(only(unknown->body).end_offset == no_offset);
    CHECK(only(unknown->body).leader_epoch == no_leader_epoch);
}

TEST_CASE("fetch: a follower reads to the log's end, a consumer to the high watermark") {
    FetchWorld world;
    REQUIRE(world.ready);
    world.produce("a");
    world.cluster.world.cut(world.cluster.brokers[1], world.cluster.brokers[0]);
    const Bytes batch = batch_of({"b"});
    REQUIRE(
        only(world.client.call(world.line, produce_of(batch, 1), with_names)->body).error_code ==
        ErrorCode::none);
    auto request = fetch_of(Offset(0));
    CHECK(records_in(only(world.fetch(request)->body).records).size() == 1);
    request.replica_id = BrokerId(2);
    const auto follower = world.fetch(request);
    REQUIRE(follower);
    CHECK(records_in(only(follower->body).records).size() == 2);
    CHECK(only(follower->body).high_watermark == Offset(1));
    // Beyond the watermark a consumer is given nothing, which is no error.
    request = fetch_of(Offset(2));
    CHECK(only(world.fetch(request)->body).error_code == ErrorCode::none);
    CHECK(only(world.fetch(request)->body).records.size() == 0);
    // Nor is a broker served that has no replica.
    request.replica_id = BrokerId(77);
    CHECK(only(world.fetch(request)->body).error_code == ErrorCode::not_leader_or_follower);
}

TEST_CASE("fetch: all is read in order across segments, from memory and from files") {
    FetchWorld world(options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20, 600U),
                                {{"internal.segment.bytes", "1024"}}));
    REQUIRE(world.ready);
    world.produce(std::string(50, 'x'), 60);
    // Chunks that the disk would have to be waited for, often.
    sim::DiskOptions disk = world.cluster.world.disk_options(world.cluster.brokers[0]);
    disk.would_block_rate = 700'000;
    world.cluster.world.set_disk_options(world.cluster.brokers[0], disk);
    for (const bool restarted : {false, true}) {
        if (restarted) {
            world.cluster.world.ask_stop(world.cluster.brokers[0]);
            world.cluster.world.run_for(seconds(5));
            world.cluster.world.start(world.cluster.brokers[0]);
            world.cluster.world.run_for(seconds(5));
            world.line =
                world.client.connect("broker-" + std::to_string(world.cluster.leader().value));
        }
        Offset next(0);
        int rounds = 0;
        while (next < Offset(60) && ++rounds < 200) {
            auto request = fetch_of(next, false, 5'000);
            world.row(request).partition_max_bytes = 700;
            const Instant before = world.cluster.world.now();
            const auto answer = world.fetch(request);
            REQUIRE(answer);
            REQUIRE(only(answer->body).error_code == ErrorCode::none);
            // There is more, so nobody is made to wait for it.
            REQUIRE(world.cluster.world.now() - before < seconds(1));
            for (const auto& [offset, value] : records_in(only(answer->body).records)) {
                REQUIRE(offset == next);
                REQUIRE(value == std::string(50, 'x') + std::to_string(next.value));
                next = next + 1;
            }
        }
        CHECK(next == Offset(60));
    }
    world.cluster.world.run_for(seconds(1));
    CHECK(world.idle());
}

TEST_CASE("fetch: connections that go while they wait leave nothing behind") {
    FetchWorld world(options_of(GENERATE(1U, 3U), GENERATE(0U, 1U << 20)));
    REQUIRE(world.ready);
    world.produce("a", 5);
    for (int i = 0; i < 5; ++i) {
        const std::size_t reader = world.client.connect("broker-1");
        world.client.send(reader, fetch_of(Offset(0), false, 3'000, 100'000), with_names);
        world.client.send(reader, fetch_of(Offset(5), false, 3'000), with_names);
        const Bytes batch = batch_of({"b"});
        world.client.send(reader, produce_of(batch), with_names);
        world.cluster.world.run_for(milliseconds(20));
        world.client.close(reader);
    }
    world.cluster.world.run_for(milliseconds(100));
    CHECK_FALSE(world.idle());
    world.cluster.world.run_for(seconds(7));
    CHECK(world.idle());
    for (env::ShardIndex s = 0; s < world.cluster.shards; ++s)
        CHECK(world.cluster.broker(BrokerId(1), s)->requests().inbound().size() <= 3);
}

TEST_CASE("fetch: a session is never made, so every fetch is whole") {
    FetchWorld world;
    REQUIRE(world.ready);
    world.produce("a");
    auto request = fetch_of(Offset(0));
    request.session_epoch = 0;
    const auto answer = world.fetch(request);
    REQUIRE(answer);
    CHECK((*answer)->session_id == 0);
    CHECK((*answer)->error_code == ErrorCode::none);
    request.topics.clear();
    CHECK(world.fetch(request)->body.responses.empty());
}

TEST_CASE("fetch: a follower waits for an answer as replica.socket.timeout.ms says") {
    ClusterOptions options;
    options.request_timeout_ms = 500;
    FetchWorld world(options);
    REQUIRE(world.ready);
    // What the leader sends takes longer than request.timeout.ms to arrive.
    sim::LinkOptions slow;
    slow.delay_base = milliseconds(700);
    world.cluster.world.set_link(world.cluster.brokers[0], world.cluster.brokers[1], slow);
    world.produce("a", 3);
    world.cluster.world.run_for(seconds(10));
    CHECK(world.cluster.in_sync());
    CHECK(world.cluster.broker(BrokerId(2))->hosts().at(trial)->log().log_end() == Offset(3));
}

TEST_CASE("fetch: epochs that a leader took up and wrote nothing in do not hold a follower up") {
    ClusterOptions options;
    for (const int to : {2, 1, 2})
        options.script.push_back({seconds(static_cast<std::int64_t>(6 + options.script.size())),
                                  MoveLeader{trial, BrokerId(to)}});
    FetchWorld world(options);
    REQUIRE(world.ready);
    world.produce("a", 3);
    REQUIRE(world.cluster.world.run_until(Instant{} + seconds(9)));
    REQUIRE(world.cluster.leader() == BrokerId(2));
    CHECK(world.cluster.partition()->leader_epoch == LeaderEpoch(3));
    world.line = world.client.connect("broker-2");
    const Instant before = world.cluster.world.now();
    world.produce("b", 3);  // acks=all: every follower has them
    CHECK(world.cluster.world.now() - before < seconds(1));
    CHECK(world.cluster.in_sync());
    CHECK(world.cluster.broker(BrokerId(1))->hosts().at(trial)->log().log_end() == Offset(6));
}
