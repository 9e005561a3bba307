// Every API that a broker advertises, in every version, and what it says of the cluster.
#include <catch2/catch.hpp>

#include <set>

#include "core/protocol/api_versions.h"
#include "core/protocol/messages/alter_partition.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "core/protocol/messages/produce.h"
#include "tests/server/cluster.h"
#include "tests/server/requests_for_tests.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ApiKey;
using protocol::ErrorCode;

TEST_CASE("versions: every advertised version of every API answers, and only those") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    const Bytes batch = batch_of({"a"});
    const auto listed = client.call(line, protocol::ApiVersionsRequest{"klamm-test", "1.0"}, 4);
    REQUIRE(listed);
    std::set<ApiKey> served;
    for (const auto& api : (*listed)->api_keys) {
        served.insert(api.api_key);
        for (int version = api.min_version; version <= api.max_version; ++version) {
            INFO("key " << static_cast<int>(api.api_key) << " version " << version);
            switch (api.api_key) {
                case ApiKey::produce: {
                    const auto request = produce_of(batch, -1, version >= 13);
                    if (version < 3) {
                        // Advertised for old librdkafka's sake (KAFKA-18659), but not served.
                        const std::size_t own = client.connect("broker-1");
                        CHECK_FALSE(client.call(own, request, version));
                        CHECK(client.line(own).closed);
                        break;
                    }
                    const auto answer = client.call(line, request, version);
                    REQUIRE(answer);
                    CHECK(only(answer->body).error_code == ErrorCode::none);
                    break;
                }
                case ApiKey::fetch: {
                    const auto answer =
                        client.call(line, fetch_of(Offset(0), version >= 13), version);
                    REQUIRE(answer);
                    CHECK(only(answer->body).error_code == ErrorCode::none);
                    CHECK(records_in(only(answer->body).records).size() >= 1);
                    break;
                }
                case ApiKey::list_offsets: {
                    const auto answer = client.call(line, list_of(-1), version);
                    REQUIRE(answer);
                    CHECK(only(answer->body).error_code == ErrorCode::none);
                    CHECK(only(answer->body).offset == Offset(11));
                    break;
                }
                case ApiKey::metadata: {
                    protocol::MetadataRequest request;
                    request.topics->push_back({Uuid{}, "trial"});
                    const auto answer = client.call(line, request, version);
                    REQUIRE(answer);
                    REQUIRE((*answer)->topics.size() == 1);
                    CHECK((*answer)->topics[0].error_code == ErrorCode::none);
                    CHECK((*answer)->topics[0].partitions[0].leader_id == BrokerId(1));
                    CHECK((*answer)->brokers.size() == 3);
                    break;
                }
                case ApiKey::api_versions: {
                    const auto answer =
                        client.call(line, protocol::ApiVersionsRequest{"a", "1"}, version);
                    REQUIRE(answer);
                    CHECK((*answer)->api_keys == (*listed)->api_keys);
                    break;
                }
                case ApiKey::init_producer_id: {
                    protocol::InitProducerIdRequest request;
                    request.transactional_id = std::nullopt;
                    const auto answer = client.call(line, request, version);
                    REQUIRE(answer);
                    CHECK((*answer)->error_code == ErrorCode::none);
                    CHECK((*answer)->producer_id >= ProducerId(0));
                    break;
                }
                case ApiKey::offset_for_leader_epoch: {
                    const auto answer = client.call(line, epoch_end_of(LeaderEpoch(0)), version);
                    REQUIRE(answer);
                    CHECK(only(answer->body).error_code == ErrorCode::none);
                    break;
                }
                // In each version: tests/server/groups_test.cc.
                case ApiKey::find_coordinator:
                case ApiKey::join_group:
                case ApiKey::sync_group:
                case ApiKey::heartbeat:
                case ApiKey::leave_group:
                case ApiKey::offset_commit:
                case ApiKey::offset_fetch:
                case ApiKey::offset_delete:
                case ApiKey::describe_groups:
                case ApiKey::list_groups:
                case ApiKey::delete_groups:
                // In each version: tests/server/transaction_requests_test.cc.
                case ApiKey::add_partitions_to_txn:
                case ApiKey::add_offsets_to_txn:
                case ApiKey::end_txn:
                case ApiKey::txn_offset_commit:
                case ApiKey::write_txn_markers:
                case ApiKey::describe_producers:
                case ApiKey::describe_transactions:
                case ApiKey::list_transactions:
                // In each version: tests/server/log_admin_test.cc.
                case ApiKey::delete_records:
                case ApiKey::describe_log_dirs:
                case ApiKey::alter_replica_log_dirs:
                // In each version: tests/server/reassignment_test.cc.
                case ApiKey::alter_partition_reassignments:
                case ApiKey::list_partition_reassignments:
                // In each version: tests/server/topics_test.cc.
                case ApiKey::create_topics:
                case ApiKey::delete_topics:
                case ApiKey::create_partitions:
                case ApiKey::describe_configs:
                case ApiKey::alter_configs:
                case ApiKey::incremental_alter_configs:
                case ApiKey::describe_cluster:
                case ApiKey::list_config_resources:
                case ApiKey::elect_leaders:
                case ApiKey::unregister_broker:
                case ApiKey::describe_topic_partitions: break;
                default: FAIL("an API without a test");
            }
        }
    }
    CHECK(served.size() >= 18);
}

TEST_CASE("versions: a version of ApiVersions from the future is told the newest in version 0") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    Bytes frame =
        protocol::encode_request_frame(protocol::ApiVersionsRequest{"a", "1"}, 4, 7, "c").bytes;
    store_big_endian<std::int16_t>(frame.data() + 6, 5);
    client.send_bytes(line, frame);
    REQUIRE(cluster.world.run_until([&] { return client.has(line, 0); }, seconds(1)));
    const auto answer = protocol::decode_response_frame<protocol::ApiVersionsResponse>(
        client.line(line).frames[0], 0, 7);
    REQUIRE(answer.ok());
    CHECK(answer->error_code == ErrorCode::unsupported_version);
    REQUIRE(answer->api_keys.size() == 1);
    CHECK(answer->api_keys[0] == protocol::ApiVersionsResponseApi{ApiKey::api_versions, 0, 4});
    // The connection lives on: the client asks again in a version that is known.
    client.send_bytes(
        line,
        protocol::encode_request_frame(protocol::ApiVersionsRequest{"a", "1"}, 3, 8, "c").bytes);
    CHECK(cluster.world.run_until([&] { return client.has(line, 1); }, seconds(1)));
}

TEST_CASE("versions: from ApiVersions 3 on a client must name itself properly") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-1");
    for (const char* name : {"", "-a", "a-", "a b", "a\n", "\xc3\xa4"}) {
        const auto answer = client.call(line, protocol::ApiVersionsRequest{name, "1.0"}, 3);
        REQUIRE(answer);
        CHECK((*answer)->error_code == ErrorCode::invalid_request);
        CHECK((*answer)->api_keys.empty());
    }
    const auto answer = client.call(line, protocol::ApiVersionsRequest{"apache-kafka.x", "4"}, 3);
    REQUIRE(answer);
    CHECK((*answer)->error_code == ErrorCode::none);
}

TEST_CASE("versions: unknown APIs, those of controllers and unknown versions close") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const auto refused = [&](std::int16_t key, std::int16_t version) {
        const std::size_t line = client.connect("broker-1");
        Bytes frame =
            protocol::encode_request_frame(protocol::ApiVersionsRequest{"a", "1"}, 0, 1, "c").bytes;
        store_big_endian(frame.data() + 4, key);
        store_big_endian(frame.data() + 6, version);
        client.send_bytes(line, frame);
        cluster.world.run_until([&] { return client.line(line).closed; }, seconds(1));
        return client.line(line).closed && client.line(line).frames.empty();
    };
    CHECK(refused(9999, 0));
    CHECK(refused(-1, 0));
    CHECK(refused(static_cast<std::int16_t>(ApiKey::alter_partition), 2));
    CHECK(refused(static_cast<std::int16_t>(ApiKey::fetch), 3));
    CHECK(refused(static_cast<std::int16_t>(ApiKey::fetch), 99));
    CHECK(refused(static_cast<std::int16_t>(ApiKey::metadata), -1));
    CHECK(refused(static_cast<std::int16_t>(ApiKey::init_producer_id), 6));
}

TEST_CASE("metadata: by name, by id, all, none, and what is not there") {
    Cluster cluster;
    REQUIRE(cluster.ready());
    ScriptClient client(cluster.world);
    const std::size_t line = client.connect("broker-2");
    protocol::MetadataRequest request;
    SECTION("null is all, and from version 1 on an empty list is none") {
        request.topics = std::nullopt;
        for (const int version : {1, 9, 13}) {
            const auto answer = client.call(line, request, version);
            REQUIRE(answer);
            REQUIRE((*answer)->topics.size() == 1);
            CHECK((*answer)->topics[0].name == "trial");
        }
        request.topics.emplace();
        CHECK(client.call(line, request, 0)->body.topics.size() == 1);
        CHECK(client.call(line, request, 1)->body.topics.empty());
        CHECK(client.call(line, request, 12)->body.topics.empty());
    }
    SECTION("an id finds the topic from version 12 on") {
        request.topics->push_back({trial.topic, std::nullopt});
        const auto answer = client.call(line, request, 12);
        REQUIRE(answer);
        CHECK((*answer)->topics[0].name == "trial");
        CHECK((*answer)->topics[0].topic_id == trial.topic);
        for (const int version : {10, 11}) {
            const auto early = client.call(line, request, version);
            REQUIRE(early);
            CHECK((*early)->topics[0].error_code == ErrorCode::invalid_request);
            CHECK((*early)->topics[0].name == "");
        }
    }
    SECTION("topics that are not there say so") {
        request.topics->push_back({Uuid{}, "absent"});
        request.topics->push_back({Uuid{}, "no topic name"});
        request.topics->push_back({uuid_from_halves(1, 1), std::nullopt});
        const auto answer = client.call(line, request, 12);
        REQUIRE(answer);
        CHECK((*answer)->topics[0].error_code == ErrorCode::unknown_topic_or_partition);
        CHECK((*answer)->topics[0].name == "absent");
        CHECK((*answer)->topics[1].error_code == ErrorCode::invalid_topic_exception);
        CHECK((*answer)->topics[2].error_code == ErrorCode::unknown_topic_id);
        CHECK((*answer)->topics[2].topic_id == uuid_from_halves(1, 1));
        CHECK_FALSE((*answer)->topics[2].name);
    }
    SECTION("the controller is one of the brokers, operations are not told") {
        request.topics = std::nullopt;
        const auto answer = client.call(line, request, 10);
        REQUIRE(answer);
        std::set<BrokerId> ids;
        for (const auto& broker : (*answer)->brokers) ids.insert(broker.node_id);
        CHECK(ids.count((*answer)->controller_id) == 1);
        CHECK((*answer)->cluster_id == "test");
        CHECK((*answer)->cluster_authorized_operations == INT32_MIN);
        CHECK((*answer)->topics[0].topic_authorized_operations == INT32_MIN);
    }
    SECTION("a partition without a leader says LEADER_NOT_AVAILABLE, with its epoch") {
        cluster.world.kill(cluster.brokers[0]);
        cluster.world.kill(cluster.brokers[2]);
        cluster.world.run_for(seconds(6));
        request.topics = std::nullopt;
        auto answer = client.call(line, request, 12);
        REQUIRE(answer);
        const auto& row = (*answer)->topics[0].partitions[0];
        CHECK(row.leader_id == BrokerId(2));
        CHECK(row.leader_epoch > LeaderEpoch(0));
        CHECK(row.isr_nodes == std::vector<BrokerId>{BrokerId(2)});
        CHECK(row.offline_replicas == std::vector<BrokerId>{BrokerId(1), BrokerId(3)});
        CHECK((*answer)->brokers.size() == 1);
    }
}
