// An administrator's client in the simulated world, against real brokers and a controller.
#include <catch2/catch.hpp>

#include "core/client/admin_node.h"
#include "tests/server/cluster.h"

using namespace klamm;
using namespace klamm::client;

namespace {

/// Runs one administrator to its end; its status.
std::optional<int> administer(server::test::Cluster& cluster, std::vector<AdminCall> calls,
                              AdminResults& results, const std::string& bootstrap,
                              const std::string& name = "admin", Duration patience = seconds(30)) {
    config::ClientOptions options;
    options.bootstrap_servers = {bootstrap};
    const sim::NodeId node = cluster.world.add_node(
        {.name = name,
         .factory = [&](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
             return std::make_unique<AdminNode>(options, calls, patience, results);
         },
         .clock = {},
         .disk = {},
         .cpu = {}});
    cluster.world.start(node);
    cluster.world.run_until([&] { return cluster.world.stop_status(node).has_value(); },
                            cluster.world.now() + patience + seconds(5));
    return cluster.world.stop_status(node);
}

}  // namespace

TEST_CASE("admin: one thing after another, of any broker or of one") {
    server::test::Cluster cluster;
    REQUIRE(cluster.ready());
    protocol::CreateTopicsRequest create;
    create.topics.emplace_back();
    create.topics[0].name = "orders";
    create.topics[0].num_partitions = 2;
    create.topics[0].replication_factor = 3;
    protocol::DescribeConfigsRequest describe;
    describe.resources.push_back(
        {.resource_type = 4, .resource_name = "3", .configuration_keys = std::nullopt});
    AdminResults results;
    CHECK(administer(cluster, {{create}, {describe, BrokerId(3)}, {create}}, results,
                     "broker-1:9092") == 0);
    REQUIRE(results.replies.size() == 3);
    const auto created = decode_reply<protocol::CreateTopicsResponse>(results.replies[0]);
    REQUIRE(created.ok());
    CHECK(created->topics.at(0).error_code == protocol::ErrorCode::none);
    const auto described = decode_reply<protocol::DescribeConfigsResponse>(results.replies[1]);
    REQUIRE(described.ok());
    CHECK(described->results.at(0).error_code == protocol::ErrorCode::none);
    CHECK(described->results.at(0).configs.size() > 20);
    const auto again = decode_reply<protocol::CreateTopicsResponse>(results.replies[2]);
    REQUIRE(again.ok());
    CHECK(again->topics.at(0).error_code == protocol::ErrorCode::topic_already_exists);
}

TEST_CASE("admin: without an answer, or without the broker, it says so in time") {
    server::test::Cluster cluster;
    REQUIRE(cluster.ready());
    AdminResults lost;
    CHECK(administer(cluster, {{protocol::MetadataRequest{}}}, lost, "nowhere:1", "lost",
                     seconds(5)) == 1);
    CHECK(lost.problem == "no answer from the cluster");
    AdminResults absent;
    CHECK(administer(cluster, {{protocol::DescribeConfigsRequest{}, BrokerId(9)}}, absent,
                     "broker-2:9092") == 1);
    CHECK(absent.problem == "there is no broker 9");
}
