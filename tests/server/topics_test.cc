// What administrators ask, of a broker that passes it on: topics that come and go at run time,
// configurations that take effect, in each version, alone and with a quorum of controllers.
#include <catch2/catch.hpp>

#include <set>

#include "core/protocol/api_versions.h"
#include "core/protocol/messages/alter_configs.h"
#include "core/protocol/messages/create_partitions.h"
#include "core/protocol/messages/describe_cluster.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/envelope.h"
#include "core/protocol/messages/list_config_resources.h"
#include "core/protocol/messages/unregister_broker.h"
#include "tests/server/admin_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ApiKey;

TEST_CASE("topics: made through any broker, used at once, with a quorum and without") {
    const int controllers = GENERATE(0, 3);
    Cluster cluster({.topic = {}, .script = {}, .controllers = controllers});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-3");
    auto request = topic_request("orders", 4, 2);
    request.topics[0].configs.push_back({.name = "segment.bytes", .value = "2097152"});
    const auto answer = client.call(line, request, 7);
    REQUIRE(answer);
    REQUIRE((*answer)->topics.size() == 1);
    const auto& made = (*answer)->topics[0];
    CHECK(made.error_code == ErrorCode::none);
    CHECK(made.name == "orders");
    CHECK(made.num_partitions == 4);
    CHECK(made.replication_factor == 2);
    CHECK_FALSE(made.topic_id.is_zero());
    REQUIRE(made.configs);
    bool own = false;
    for (const auto& config : *made.configs)
        if (config.name == "segment.bytes")
            own = config.value == "2097152" && config.config_source == 1;
    CHECK(own);
    const auto topic = await_topic(cluster, client, line, "orders", 4);
    REQUIRE(topic);
    CHECK(topic->topic_id == made.topic_id);
    for (int partition = 0; partition < 4; ++partition)
        CHECK(produced(client, cluster, "orders", *topic, partition) == ErrorCode::none);
    // Asked for again it is there already; asked what would be, nothing happens.
    const auto again = client.call(line, request, 7);
    CHECK((*again)->topics[0].error_code == ErrorCode::topic_already_exists);
    CHECK((*again)->topics[0].error_message == "Topic 'orders' already exists.");
    request = topic_request("dry", 1, 1);
    request.validate_only = true;
    const auto dry = client.call(line, request, 7);
    CHECK((*dry)->topics[0].error_code == ErrorCode::none);
    cluster.world.run_for(seconds(1));
    CHECK_FALSE(shown(client, line, "dry"));
}

TEST_CASE("topics: more partitions, then none: deleted, and made again under another id") {
    Cluster cluster({.shards = 2, .topic = {}, .script = {}});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    REQUIRE(client.call(line, topic_request("orders", 1, 3), 7));
    auto topic = await_topic(cluster, client, line, "orders", 1);
    REQUIRE(topic);
    const Uuid first = topic->topic_id;
    protocol::CreatePartitionsRequest more;
    more.topics.push_back({.name = "orders", .count = 3, .assignments = std::nullopt});
    const auto grown = client.call(line, more, 3);
    REQUIRE(grown);
    CHECK((*grown)->results[0].error_code == ErrorCode::none);
    topic = await_topic(cluster, client, line, "orders", 3);
    REQUIRE(topic);
    CHECK(produced(client, cluster, "orders", *topic, 2) == ErrorCode::none);
    protocol::DeleteTopicsRequest gone;
    gone.topics.push_back({.name = "orders", .topic_id = {}});
    const auto deleted = client.call(line, gone, 6);
    REQUIRE(deleted);
    CHECK((*deleted)->responses[0].error_code == ErrorCode::none);
    CHECK((*deleted)->responses[0].topic_id == first);
    REQUIRE(cluster.world.run_until(
        [&] {
            for (int i = 1; i <= 3; ++i)
                if (cluster.broker(BrokerId(i))->image().topic(first) != nullptr) return false;
            return true;
        },
        cluster.world.now() + seconds(10)));
    CHECK_FALSE(shown(client, line, "orders"));
    REQUIRE(client.call(line, topic_request("orders", 1, 3), 7));
    topic = await_topic(cluster, client, line, "orders", 1);
    REQUIRE(topic);
    CHECK(topic->topic_id != first);
    CHECK(produced(client, cluster, "orders", *topic, 0) == ErrorCode::none);
}

TEST_CASE("topics: placed over racks") {
    Cluster cluster({.topic = {}, .script = {}, .racks = {"a", "a", "b"}});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    REQUIRE(client.call(line, topic_request("orders", 6, 2), 7));
    const auto topic = await_topic(cluster, client, line, "orders", 6);
    REQUIRE(topic);
    for (const auto& partition : topic->partitions)
        CHECK(std::count(partition.replica_nodes.begin(), partition.replica_nodes.end(),
                         BrokerId(3)) == 1);
}

TEST_CASE("topics: made by being asked for, where the broker and the client allow it") {
    const bool allowed = GENERATE(true, false);
    Cluster cluster({.topic = {}, .script = {}, .auto_create = allowed});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-2");
    CHECK_FALSE(shown(client, line, "quiet", false));
    CHECK_FALSE(shown(client, line, "wanted", true));
    CHECK_FALSE(shown(client, line, "wanted", true));
    cluster.world.run_for(seconds(2));
    CHECK(shown(client, line, "wanted").has_value() == allowed);
    CHECK_FALSE(shown(client, line, "quiet"));
}

TEST_CASE("configs: shown with where they come from, and changed while the broker runs") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-2");
    const auto look = [&](std::int8_t type, std::string_view name, std::string_view key) {
        protocol::DescribeConfigsRequest request;
        request.include_synonyms = true;
        request.resources.push_back({.resource_type = type,
                                     .resource_name = name,
                                     .configuration_keys = std::vector<std::string_view>{key}});
        const auto answer = client.call(line, request, 4);
        REQUIRE(answer);
        REQUIRE((*answer)->results.size() == 1);
        REQUIRE((*answer)->results[0].configs.size() == 1);
        const auto& config = (*answer)->results[0].configs[0];
        std::string text = std::string(config.value.value_or("null")) + " from " +
                           std::to_string(config.config_source) + ":";
        for (const auto& synonym : config.synonyms)
            text += " " + std::string(synonym.name) + "=" +
                    std::string(synonym.value.value_or("null")) + "/" +
                    std::to_string(synonym.source);
        return text;
    };
    const auto alter = [&](std::int8_t type, std::string_view name, std::string_view key,
                           std::string_view value) {
        const auto answer = client.call(line, alter_request(type, name, key, value), 1);
        REQUIRE(answer);
        cluster.world.run_for(seconds(1));
        const auto& row = (*answer)->responses.at(0);
        return row.error_code == ErrorCode::none ? std::string("done")
                                                 : std::string(row.error_message.value_or("-"));
    };
    CHECK(look(topic_type, "trial", "max.message.bytes") ==
          "1048588 from 5: message.max.bytes=1048588/5");
    CHECK(alter(broker_type, "", "message.max.bytes", "5000") == "done");
    CHECK(alter(broker_type, "2", "message.max.bytes", "4000") == "done");
    CHECK(look(topic_type, "trial", "max.message.bytes") ==
          "4000 from 2: message.max.bytes=4000/2 message.max.bytes=5000/3 "
          "message.max.bytes=1048588/5");
    CHECK(look(broker_type, "2", "message.max.bytes") ==
          "4000 from 2: message.max.bytes=4000/2 message.max.bytes=5000/3 "
          "message.max.bytes=1048588/5");
    CHECK(look(broker_type, "", "message.max.bytes") == "5000 from 3: message.max.bytes=5000/3");
    // It takes effect: broker 1 leads the topic, and has what is for all brokers.
    const Bytes large = batch_of({std::string(6'000, 'x')});
    const std::size_t leader = client.connect("broker-1");
    CHECK(only(client.call(leader, produce_of(large), 9)->body).error_code ==
          ErrorCode::message_too_large);
    CHECK(alter(topic_type, "trial", "max.message.bytes", "7000") == "done");
    CHECK(only(client.call(leader, produce_of(large), 9)->body).error_code == ErrorCode::none);
    CHECK(look(topic_type, "trial", "max.message.bytes") ==
          "7000 from 1: max.message.bytes=7000/1 message.max.bytes=4000/2 "
          "message.max.bytes=5000/3 message.max.bytes=1048588/5");
    // What is refused, and in which words.
    CHECK(alter(topic_type, "trial", "max.message.bytes", "many") ==
          "Invalid value many for configuration max.message.bytes: Not a number of type INT");
    CHECK(alter(topic_type, "trial", "max.message.bytes", "-1") ==
          "Invalid value -1 for configuration max.message.bytes: Value must be at least 0");
    CHECK(alter(topic_type, "trial", "compression.type", "rar") ==
          "Invalid value rar for configuration compression.type: String must be one of: producer, "
          "uncompressed, gzip, snappy, lz4, zstd");
    CHECK(alter(topic_type, "trial", "no.such.key", "1") ==
          "Unknown topic config name: no.such.key");
    CHECK(alter(broker_type, "2", "log.dirs", "/x") ==
          "Cannot update these configs dynamically: Set(log.dirs)");
    CHECK(alter(topic_type, "absent", "max.message.bytes", "1") ==
          "The topic 'absent' does not exist.");
}

TEST_CASE("topics: every version of what administrators ask is answered") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    const auto each = [&](auto request, auto sound) {
        using Request = decltype(request);
        const protocol::ApiInfo* api = protocol::find_api(protocol::Api<Request>::key);
        for (int version = api->served_min; version <= api->served_max; ++version) {
            INFO(api->name << " version " << version);
            const auto answer = client.call(line, request, version);
            REQUIRE(answer);
            CHECK(sound(answer->body, version));
        }
    };
    each(topic_request("trial", 1, 1), [](const auto& body, int) {
        return body.topics.size() == 1 &&
               body.topics[0].error_code == ErrorCode::topic_already_exists;
    });
    protocol::DeleteTopicsRequest by_name;
    by_name.topic_names.push_back("absent");
    for (int version = 1; version <= 5; ++version)
        CHECK(client.call(line, by_name, version)->body.responses.at(0).error_code ==
              ErrorCode::unknown_topic_or_partition);
    protocol::DeleteTopicsRequest by_id;
    by_id.topics.push_back({.name = std::nullopt, .topic_id = uuid_from_halves(1, 1)});
    CHECK(client.call(line, by_id, 6)->body.responses.at(0).error_code ==
          ErrorCode::unknown_topic_id);
    protocol::CreatePartitionsRequest partitions;
    partitions.topics.push_back({.name = "trial", .count = 1, .assignments = std::nullopt});
    each(partitions, [](const auto& body, int) {
        return body.results[0].error_code == ErrorCode::invalid_partitions;
    });
    protocol::DescribeConfigsRequest configs;
    configs.resources.push_back({.resource_type = topic_type,
                                 .resource_name = "trial",
                                 .configuration_keys = std::nullopt});
    configs.resources.push_back(
        {.resource_type = broker_type, .resource_name = "1", .configuration_keys = std::nullopt});
    each(configs, [](const auto& body, int version) {
        return body.results[0].configs.size() > 10 && body.results[1].configs.size() > 20 &&
               (version < 3 || body.results[0].configs[0].config_type != 0);
    });
    protocol::AlterConfigsRequest alter;
    alter.resources.push_back(
        {.resource_type = topic_type, .resource_name = "trial", .configs = {}});
    alter.resources[0].configs.push_back({.name = "min.insync.replicas", .value = "2"});
    each(alter,
         [](const auto& body, int) { return body.responses[0].error_code == ErrorCode::none; });
    each(alter_request(topic_type, "trial", "min.insync.replicas", "x"), [](const auto& body, int) {
        return body.responses[0].error_code == ErrorCode::invalid_config;
    });
    each(protocol::DescribeClusterRequest{.include_cluster_authorized_operations = true},
         [](const auto& body, int) {
             return body.cluster_id == "test" && body.brokers.size() == 3 &&
                    body.cluster_authorized_operations == 8096;
         });
    each(protocol::ListConfigResourcesRequest{}, [](const auto& body, int version) {
        return body.error_code == ErrorCode::none &&
               body.config_resources.size() == (version == 0 ? 0U : 7U);
    });
    protocol::ElectLeadersRequest elect;
    elect.topic_partitions.emplace();
    elect.topic_partitions->push_back({.topic = "trial", .partitions = {PartitionIndex(0)}});
    elect.topic_partitions->push_back({.topic = "absent", .partitions = {PartitionIndex(0)}});
    each(elect, [](const auto& body, int) {
        const auto& rows = body.replica_election_results;
        return rows.size() == 2 &&
               rows[0].partition_result[0].error_code == ErrorCode::election_not_needed &&
               rows[1].partition_result[0].error_code == ErrorCode::unknown_topic_or_partition;
    });
    each(protocol::UnregisterBrokerRequest{.broker_id = BrokerId(9)}, [](const auto& body, int) {
        return body.error_code == ErrorCode::broker_id_not_registered;
    });
    each(protocol::DescribeTopicPartitionsRequest{}, [](const auto& body, int) {
        return body.topics.size() == 1 && body.topics[0].name == "trial" &&
               body.topics[0].partitions.size() == 1 && !body.next_cursor &&
               body.topics[0].topic_authorized_operations == 3576;
    });
}

TEST_CASE("topics: described page by page") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    for (const char* name : {"a", "b"}) REQUIRE(client.call(line, topic_request(name, 3, 1), 7));
    REQUIRE(await_topic(cluster, client, line, "b", 3));
    protocol::DescribeTopicPartitionsRequest request;
    request.response_partition_limit = 2;
    std::vector<std::string> seen;
    std::string cursor;
    for (int page = 0; page < 10; ++page) {
        const auto answer = client.call(line, request, 0);
        REQUIRE(answer);
        for (const auto& topic : (*answer)->topics)
            for (const auto& partition : topic.partitions)
                seen.push_back(std::string(*topic.name) + "-" +
                               std::to_string(partition.partition_index.value));
        if (!(*answer)->next_cursor) break;
        cursor = (*answer)->next_cursor->topic_name;
        request.cursor.emplace();
        request.cursor->topic_name = cursor;
        request.cursor->partition_index = (*answer)->next_cursor->partition_index;
    }
    CHECK(seen == std::vector<std::string>{"a-0", "a-1", "a-2", "b-0", "b-1", "b-2", "trial-0"});
}

TEST_CASE("topics: asked for while the controller is being replaced") {
    Cluster cluster({.topic = {}, .script = {}, .controllers = 3});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    const int active = cluster.active();
    REQUIRE(active >= 0);
    cluster.world.kill(cluster.controllers[static_cast<std::size_t>(active)]);
    const auto answer = client.call(line, topic_request("orders", 2, 3), 7);
    REQUIRE(answer);
    // A first attempt may have been committed by the one that was killed.
    const ErrorCode error = (*answer)->topics[0].error_code;
    CHECK((error == ErrorCode::none || error == ErrorCode::topic_already_exists));
    CHECK(await_topic(cluster, client, line, "orders", 2));
}

TEST_CASE("topics: without a controller the request is over when its time is") {
    Cluster cluster({.topic = {}, .script = {}, .request_timeout_ms = 3'000});
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    cluster.world.kill(cluster.controller);
    const Instant before = cluster.world.now();
    const auto answer = client.call(line, topic_request("orders", 1, 1), 7);
    REQUIRE(answer);
    CHECK((*answer)->topics[0].error_code == ErrorCode::request_timed_out);
    CHECK((*answer)->topics[0].name == "orders");
    CHECK(cluster.world.now() - before >= seconds(3));
    CHECK(cluster.world.now() - before < seconds(5));
}

TEST_CASE("topics: an envelope carries nothing but what administrators ask") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("controller", 9093);
    const auto wrap = [&](const Bytes& frame) {
        protocol::EnvelopeRequest envelope;
        envelope.request_data = protocol::Blob{ByteView(frame).subspan(4)};
        return client.call(line, envelope, 0);
    };
    const auto sound =
        wrap(protocol::encode_request_frame(topic_request("orders", 1, 1), 7, 41, "c").bytes);
    REQUIRE(sound);
    REQUIRE((*sound)->error_code == ErrorCode::none);
    const auto inner = protocol::decode_response_frame<protocol::CreateTopicsResponse>(
        (*sound)->response_data->bytes, 7, 41);
    REQUIRE(inner.ok());
    CHECK(inner->topics.at(0).error_code == ErrorCode::none);
    const auto foreign = wrap(
        protocol::encode_request_frame(protocol::ApiVersionsRequest{"a", "1"}, 4, 1, "c").bytes);
    CHECK((*foreign)->error_code == ErrorCode::invalid_request);
    CHECK((*wrap(Bytes(7, 0xff)))->error_code == ErrorCode::invalid_request);
}
