// A broker's life as a client sees it: idle, stopping, its disk failing, starting again.
#include <catch2/catch.hpp>

#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/metadata.h"
#include "tests/server/requests_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

constexpr int newest_metadata = 12;

ErrorCode produce(ScriptClient& client, std::size_t line, const std::string& value) {
    const Bytes batch = batch_of({value});
    const auto answer = client.call(line, produce_of(batch), newest_metadata);
    return answer ? only(answer->body).error_code : ErrorCode::unknown_server_error;
}

std::size_t records_at(ScriptClient& client, std::size_t line) {
    const auto answer = client.call(line, fetch_of(Offset(0)), newest_metadata);
    return answer ? records_in(only(answer->body).records).size() : 0;
}

}  // namespace

TEST_CASE("life: a cluster with nothing to do does next to nothing") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 3U);
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    const std::uint64_t before = cluster.world.events();
    cluster.world.run_for(seconds(60));
    // Two followers ask five times a second, three brokers beat twice a second.
    CHECK(cluster.world.events() - before < 30'000);
    CHECK(cluster.world.events() - before > 1'000);
}

TEST_CASE("life: a cluster whose leader and controller are away does not spin") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    cluster.world.kill(cluster.controller);
    cluster.world.kill(cluster.brokers[0]);
    const std::uint64_t before = cluster.world.events();
    cluster.world.run_for(seconds(60));
    CHECK(cluster.world.events() - before < 15'000);
}

TEST_CASE("life: a follower whose connection breaks fetches again at once, on every shard") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 2U, 3U, 4U, 5U);
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    REQUIRE(produce(client, line, "a") == ErrorCode::none);
    for (const std::size_t follower : {1U, 2U})
        for (const sim::ConnectionView& connection :
             cluster.world.connections(cluster.brokers[follower], cluster.brokers[0]))
            cluster.world.reset_connection(connection.key);
    const Instant before = cluster.world.now();
    CHECK(produce(client, line, "b") == ErrorCode::none);
    CHECK(cluster.world.now() - before < milliseconds(300));
}

TEST_CASE("life: without a controller a producer id is refused for now, not awaited") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    cluster.world.kill(cluster.controller);
    cluster.world.run_for(milliseconds(100));
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    protocol::InitProducerIdRequest request;
    request.transactional_id = std::nullopt;
    const auto answer = client.call(line, request, 4, seconds(10));
    REQUIRE(answer);
    CHECK((*answer)->error_code == ErrorCode::coordinator_load_in_progress);
    cluster.world.start(cluster.controller);
    cluster.world.run_for(seconds(10));
    CHECK(client.call(line, request, 4)->body.error_code == ErrorCode::none);
}

TEST_CASE("life: readers that wait for ever-more cost nothing while nothing comes") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 3U);
    options.tail_cache_bytes = GENERATE(0U, 1U << 20);
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    REQUIRE(produce(client, line, "a") == ErrorCode::none);
    std::uint64_t turns = 0;
    cluster.world.set_event_sink([&](const sim::EventRecord& event) {
        if (event.node == cluster.brokers[0]) ++turns;
    });
    for (int i = 0; i < 20; ++i)
        client.send(client.connect("broker-1"), fetch_of(Offset(0), false, 60'000, 10'000),
                    newest_metadata);
    cluster.world.run_for(seconds(30));
    CHECK(turns < 5'000);
    // Each record that comes is looked at once by each of them, and is not enough.
    turns = 0;
    for (int i = 0; i < 20; ++i) REQUIRE(produce(client, line, "b") == ErrorCode::none);
    CHECK(turns < 5'000);
}

TEST_CASE("life: a controlled shutdown hands the leadership over and wakes who waits") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 2U);
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    REQUIRE(produce(client, line, "a") == ErrorCode::none);
    const std::size_t reader = client.connect("broker-1");
    client.send(reader, fetch_of(Offset(1), false, 30'000), newest_metadata);
    cluster.world.run_for(milliseconds(100));
    cluster.world.ask_stop(cluster.brokers[0]);
    const auto woken = client.take<protocol::FetchRequest>(reader, 0, newest_metadata, seconds(3));
    REQUIRE(woken);
    CHECK(only(woken->body).error_code == ErrorCode::not_leader_or_follower);
    REQUIRE(cluster.world.run_until([&] { return !cluster.world.alive(cluster.brokers[0]); },
                                    seconds(10)));
    CHECK(cluster.world.stop_status(cluster.brokers[0]) == 0);
    CHECK(cluster.leader() == BrokerId(2));
    const std::size_t next = client.connect("broker-2");
    CHECK(produce(client, next, "b") == ErrorCode::none);
    CHECK(records_at(client, next) == 2);
    cluster.world.start(cluster.brokers[0]);
    CHECK(cluster.world.run_until([&] { return cluster.in_sync(); }, seconds(10)));
}

TEST_CASE("life: a directory that fails ends the broker with status 1, a restart recovers it") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 3U);
    options.tail_cache_bytes = 0;
    options.topic = {{"min.insync.replicas", "2"}, {"flush.messages", "1"}};
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    for (int i = 0; i < 5; ++i) REQUIRE(produce(client, line, "a") == ErrorCode::none);
    const sim::DiskOptions healthy = cluster.world.disk_options(cluster.brokers[0]);
    sim::DiskOptions sick = healthy;
    const int what = GENERATE(0, 1);
    if (what == 0) sick.write_error_rate = 1'000'000;
    if (what == 1) sick.sync_error_rate = 1'000'000;
    INFO("what fails: " << what << ", shards " << options.shards);
    cluster.world.set_disk_options(cluster.brokers[0], sick);
    const Bytes batch = batch_of({"lost?"});
    client.send(line, produce_of(batch), newest_metadata);
    REQUIRE(cluster.world.run_until([&] { return !cluster.world.alive(cluster.brokers[0]); },
                                    seconds(20)));
    CHECK(cluster.world.stop_status(cluster.brokers[0]) == 1);
    REQUIRE(cluster.world.run_until([&] { return cluster.leader() == BrokerId(2); }, seconds(10)));
    cluster.world.run_for(seconds(1));
    const std::size_t next = client.connect("broker-2");
    REQUIRE(produce(client, next, "b") == ErrorCode::none);
    CHECK(records_at(client, next) >= 6);
    cluster.world.set_disk_options(cluster.brokers[0], healthy);
    cluster.world.start(cluster.brokers[0]);
    REQUIRE(cluster.world.run_until([&] { return cluster.in_sync(); }, seconds(20)));
    CHECK(produce(client, next, "c") == ErrorCode::none);
    cluster.world.run_for(seconds(1));
    CHECK(cluster.host(BrokerId(1))->high_watermark() ==
          cluster.host(BrokerId(2))->high_watermark());
}

TEST_CASE("life: a partition whose file is damaged says so and nothing else of the broker does") {
    ClusterOptions options;
    options.brokers = 1;
    options.shards = GENERATE(1U, 3U);
    options.tail_cache_bytes = 0;
    options.more_topics = {{.name = "more",
                            .id = uuid_from_halves(8, 8),
                            .assignments = {{BrokerId(1)}},
                            .configs = {}}};
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    std::size_t line = client.connect("broker-1");
    for (int i = 0; i < 3; ++i) REQUIRE(produce(client, line, "a") == ErrorCode::none);
    cluster.world.ask_stop(cluster.brokers[0]);
    cluster.world.run_for(seconds(5));
    REQUIRE(cluster.world.stop_status(cluster.brokers[0]) == 0);
    const std::uint64_t batch_at = GENERATE(0U, 1U, 2U) * batch_of({"a"}).size();
    bool rotten = false;
    for (const std::string& path : cluster.world.paths(cluster.brokers[0]))
        if (path.find("trial-0/") != std::string::npos && path.ends_with(".log"))
            rotten = cluster.world.rot_file(cluster.brokers[0], path, batch_at + 8, Bytes(4, 0));
    REQUIRE(rotten);
    cluster.world.start(cluster.brokers[0]);
    cluster.world.run_for(seconds(5));
    REQUIRE(cluster.leader() == BrokerId(1));
    line = client.connect("broker-1");
    const std::size_t waiting = client.connect("broker-1");
    client.send(waiting, fetch_of(Offset(3), false, 30'000), newest_metadata);
    cluster.world.run_for(milliseconds(50));
    const auto fetched = client.call(line, fetch_of(Offset(0), false, 5'000), newest_metadata);
    REQUIRE(fetched);
    CHECK(only(fetched->body).error_code == ErrorCode::kafka_storage_error);
    const auto woken = client.take<protocol::FetchRequest>(waiting, 0, newest_metadata, seconds(1));
    REQUIRE(woken);
    CHECK(only(woken->body).error_code == ErrorCode::kafka_storage_error);
    CHECK(produce(client, line, "b") == ErrorCode::kafka_storage_error);
    CHECK(only(client.call(line, list_of(-1), 10)->body).error_code ==
          ErrorCode::kafka_storage_error);
    // The other topic is served by the same process.
    const Bytes batch = batch_of({"fine"});
    auto other = produce_of(batch);
    other.topic_data[0].name = "more";
    CHECK(only(client.call(line, other, newest_metadata)->body).error_code == ErrorCode::none);
    CHECK(cluster.world.alive(cluster.brokers[0]));
}

TEST_CASE("life: what was acknowledged before everybody was killed is read after they are back") {
    ClusterOptions options;
    options.shards = GENERATE(1U, 3U);
    options.topic = {{"min.insync.replicas", "2"}};
    Cluster cluster(options);
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    for (int i = 0; i < 10; ++i) REQUIRE(produce(client, line, "a") == ErrorCode::none);
    for (const sim::NodeId broker : cluster.brokers) cluster.world.kill(broker);
    cluster.world.run_for(seconds(1));
    for (const sim::NodeId broker : cluster.brokers) cluster.world.start(broker);
    REQUIRE(cluster.world.run_until(
        [&] {
            const ReplicaHost* host =
                cluster.leader() == no_broker ? nullptr : cluster.host(cluster.leader());
            return cluster.in_sync() && host != nullptr && host->high_watermark() == Offset(10);
        },
        seconds(20)));
    const std::size_t next = client.connect("broker-" + std::to_string(cluster.leader().value));
    CHECK(records_at(client, next) == 10);
}
