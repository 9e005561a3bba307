// Topics that are deleted, on the brokers' disks: other names, strays, and whoever was reading.
#include "tests/server/admin_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;

TEST_CASE("topics: a deleted one's files get another name, and go when their time is over") {
    Cluster cluster({.topic = {}, .script = {}});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    auto request = topic_request("orders", 1, 3);
    request.topics[0].configs.push_back({.name = "file.delete.delay.ms", .value = "20000"});
    REQUIRE(client.call(line, request, 7));
    const auto topic = await_topic(cluster, client, line, "orders", 1);
    REQUIRE(topic);
    REQUIRE(produced(client, cluster, "orders", *topic, 0) == ErrorCode::none);
    const auto count = [&](int broker, const std::string& part) {
        std::size_t files = 0;
        for (const auto& [path, bytes] :
             cluster.world.disk_contents(cluster.node_of(BrokerId(broker))))
            files += path.find(part) != std::string::npos ? 1 : 0;
        return files;
    };
    CHECK(count(2, "data-0/orders-0/") > 0);
    protocol::DeleteTopicsRequest gone;
    gone.topics.push_back({.name = "orders", .topic_id = {}});
    REQUIRE(client.call(line, gone, 6));
    cluster.world.run_for(seconds(5));
    for (int broker = 1; broker <= 3; ++broker) {
        CHECK(count(broker, "data-0/orders-0/") == 0);
        CHECK(count(broker, "-delete/") > 0);
        CHECK(cluster.broker(BrokerId(broker))->hosts().size() == 1);
    }
    // A broker that was killed meanwhile removes what it finds at its next start, later.
    cluster.world.kill(cluster.node_of(BrokerId(3)));
    cluster.world.start(cluster.node_of(BrokerId(3)));
    cluster.world.run_for(seconds(20));
    CHECK(count(2, "orders-0") == 0);
    CHECK(count(3, "-delete/") > 0);
    cluster.world.run_for(seconds(60));
    CHECK(count(3, "orders-0") == 0);
    CHECK(cluster.in_sync());
}

TEST_CASE("topics: what a broker holds of a topic that is gone, or is another now, is set aside") {
    const bool again = GENERATE(false, true);
    Cluster cluster({.topic = {}, .script = {}});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    REQUIRE(client.call(line, topic_request("orders", 1, 3), 7));
    auto topic = await_topic(cluster, client, line, "orders", 1);
    REQUIRE(topic);
    REQUIRE(produced(client, cluster, "orders", *topic, 0) == ErrorCode::none);
    cluster.world.run_for(seconds(1));
    const bool powered = GENERATE(false, true);
    const sim::NodeId third = cluster.node_of(BrokerId(3));
    if (powered)
        cluster.world.power_loss({third});
    else
        cluster.world.kill(third);
    protocol::DeleteTopicsRequest gone;
    gone.topics.push_back({.name = "orders", .topic_id = {}});
    cluster.world.run_for(seconds(5));
    REQUIRE(client.call(line, gone, 6));
    if (again) {
        protocol::CreateTopicsRequest by_hand = topic_request("orders", -1, -1);
        by_hand.topics[0].assignments.push_back(
            {.partition_index = PartitionIndex(0),
             .broker_ids = {BrokerId(1), BrokerId(2), BrokerId(3)}});
        cluster.world.run_for(seconds(2));
        REQUIRE(client.call(line, by_hand, 7)->body.topics[0].error_code == ErrorCode::none);
    }
    cluster.world.run_for(seconds(1));
    cluster.world.start(third);
    REQUIRE(cluster.world.run_until([&] { return cluster.in_sync(); },
                                    cluster.world.now() + seconds(20)));
    cluster.world.run_for(seconds(6));
    std::size_t strays = 0;
    std::size_t fresh = 0;
    for (const auto& [path, bytes] : cluster.world.disk_contents(third)) {
        if (path.find("-stray/") != std::string::npos && path.find(".log") != std::string::npos)
            strays += powered ? 1 : bytes.size();  // what was not synced went with the power
        if (path.find("orders-0/") != std::string::npos) ++fresh;
    }
    CHECK(strays > 0);  // nothing is thrown away
    CHECK((fresh > 0) == again);
    if (!again) return;
    topic = await_topic(cluster, client, line, "orders", 1);
    REQUIRE(topic);
    CHECK(topic->partitions[0].isr_nodes.size() == 3);
    CHECK(produced(client, cluster, "orders", *topic, 0) == ErrorCode::none);
}

TEST_CASE("topics: deleted under a consumer that is being sent its files") {
    Cluster cluster({.topic = {}, .script = {}, .tail_cache_bytes = 0});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    REQUIRE(client.call(line, topic_request("orders", 1, 3), 7));
    auto topic = await_topic(cluster, client, line, "orders", 1);
    REQUIRE(topic);
    const BrokerId leader = topic->partitions[0].leader_id;
    const std::size_t at = client.connect("broker-" + std::to_string(leader.value));
    REQUIRE(produced(client, cluster, "orders", *topic, 0) == ErrorCode::none);
    const Bytes batch = batch_of({std::string(400'000, 'x')});
    for (int i = 0; i < 4; ++i) {
        const auto answer = client.call(at, produce_to("orders", 0, batch), 9);
        REQUIRE(answer);
        REQUIRE(only(answer->body).error_code == ErrorCode::none);
    }
    // One reader that does not read, and one that waits for more.
    const std::size_t slow = client.connect("broker-" + std::to_string(leader.value));
    client.line(slow).read_paused = true;
    protocol::FetchRequest fetch = fetch_of(Offset(0));
    fetch.topics[0].topic = "orders";
    fetch.max_bytes = fetch.topics[0].partitions[0].partition_max_bytes = 4 << 20;
    for (int i = 0; i < 8; ++i) client.send(slow, fetch, 12);
    fetch.topics[0].partitions[0].fetch_offset = Offset(6);
    fetch.max_wait_ms = 20'000;
    const std::size_t waits = client.connect("broker-" + std::to_string(leader.value));
    const std::size_t parked = client.send(waits, fetch, 12);
    cluster.world.run_for(seconds(1));
    protocol::DeleteTopicsRequest gone;
    gone.topics.push_back({.name = "orders", .topic_id = {}});
    REQUIRE(client.call(line, gone, 6));
    const auto answer = client.take<protocol::FetchRequest>(waits, parked, 12, seconds(10));
    REQUIRE(answer);
    CHECK(only(answer->body).error_code != ErrorCode::none);
    cluster.world.run_for(seconds(70));
    CHECK(cluster.broker(leader)->pins().size() == 0);
    CHECK(cluster.in_sync());
}
