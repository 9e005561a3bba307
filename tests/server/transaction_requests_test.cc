// What is asked of coordinators and partitions about transactions beside producing: offsets of
// groups that join, administration, every version.
#include <catch2/catch.hpp>

#include "core/protocol/messages/add_offsets_to_txn.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/describe_producers.h"
#include "core/protocol/messages/list_transactions.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/txn_offset_commit.h"
#include "core/protocol/messages/write_txn_markers.h"
#include "tests/server/transaction_world.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

TEST_CASE(
    "transactions: administrators see ids, transactions and producers, and may end a hanging one") {
    TransactionWorld world(with_transactions(1));
    REQUIRE(world.ready);
    const Identity who = world.init("one");
    world.init("two");
    REQUIRE(world.add("one", who) == ErrorCode::none);
    REQUIRE(world.produce("one", who, 0, "a") == ErrorCode::none);
    protocol::ListTransactionsRequest list;
    list.state_filters = {"Ongoing", "Imaginary"};
    const auto listed = world.once(state_id, list, 1);
    REQUIRE(listed);
    REQUIRE(listed->body.transaction_states.size() == 1);
    CHECK(listed->body.transaction_states[0].transactional_id == "one");
    CHECK(listed->body.unknown_state_filters.at(0) == "Imaginary");
    protocol::DescribeProducersRequest describe;
    describe.topics.push_back(
        {.name = "trial", .partition_indexes = {PartitionIndex(0), PartitionIndex(7)}});
    const auto described = world.once(trial.topic, describe, 0);
    REQUIRE(described);
    const auto& rows = described->body.topics.at(0).partitions;
    CHECK(rows.at(1).error_code == ErrorCode::unknown_topic_or_partition);
    REQUIRE(rows.at(0).active_producers.size() == 1);
    CHECK(rows[0].active_producers[0].producer_id == who.producer);
    CHECK(rows[0].active_producers[0].current_txn_start_offset == Offset(0));
    // As kafka-transactions aborts one: a marker, from whoever sees the partition.
    protocol::WriteTxnMarkersRequest abort;
    abort.markers.push_back(
        {.producer_id = who.producer,
         .producer_epoch = who.epoch,
         .transaction_result = false,
         .topics = {{.name = "trial", .partition_indexes = {PartitionIndex(0), PartitionIndex(7)}}},
         .coordinator_epoch = 0});
    const auto aborted = world.once(trial.topic, abort, 1);
    REQUIRE(aborted);
    const auto& marked = aborted->body.markers.at(0).topics.at(0).partitions;
    CHECK(marked.at(0).error_code == ErrorCode::none);
    CHECK(marked.at(1).error_code == ErrorCode::unknown_topic_or_partition);
    CHECK(world.latest(true) == world.latest(false));
}

TEST_CASE(
    "transactions: offsets of a group wait for the marker, and are fenced by its generation") {
    TransactionWorld world(with_transactions());
    REQUIRE(world.ready);
    const auto commit = [&](const Identity& who, std::int64_t offset, std::int32_t generation) {
        protocol::TxnOffsetCommitRequest request;
        request.transactional_id = "one";
        request.group_id = "g";
        request.producer_id = who.producer;
        request.producer_epoch = who.epoch;
        request.generation_id = generation;
        request.member_id = generation < 0 ? "" : "stranger";
        request.topics.push_back({.name = "trial",
                                  .partitions = {{.partition_index = PartitionIndex(0),
                                                  .committed_offset = Offset(offset),
                                                  .committed_metadata = ""}}});
        const auto error = [](const auto& body) {
            return body.topics.at(0).partitions.at(0).error_code;
        };
        return error(world.served(group_offsets_id, request, 3, error).body);
    };
    const auto fetch = [&](bool stable) -> std::pair<ErrorCode, std::int64_t> {
        protocol::OffsetFetchRequest request;
        protocol::OffsetFetchRequestGroup group;
        group.group_id = "g";
        group.topics.emplace();
        group.topics->push_back(
            {.name = "trial", .topic_id = {}, .partition_indexes = {PartitionIndex(0)}});
        request.groups.push_back(group);
        request.require_stable = stable;
        const auto answer = world.served(group_offsets_id, request, 9, [](const auto& body) {
            return body.groups.at(0).error_code;
        });
        const auto& row = answer->groups.at(0).topics.at(0).partitions.at(0);
        return {row.error_code, row.committed_offset.value};
    };
    const auto join = [&](const Identity& who) {
        protocol::AddOffsetsToTxnRequest request;
        request.transactional_id = "one";
        request.producer_id = who.producer;
        request.producer_epoch = who.epoch;
        request.group_id = "g";
        return world.served(state_id, request, 3, [](const auto& body) { return body.error_code; })
            ->error_code;
    };
    const Identity who = world.init("one");
    // Not before the group's partition is part of the transaction.
    CHECK(commit(who, 5, -1) == ErrorCode::transaction_abortable);
    REQUIRE(join(who) == ErrorCode::none);
    CHECK(commit(who, 5, -1) == ErrorCode::none);
    CHECK(fetch(false) == std::pair(ErrorCode::none, std::int64_t{-1}));
    CHECK(fetch(true).first == ErrorCode::unstable_offset_commit);
    REQUIRE(world.end("one", who, true) == ErrorCode::none);
    REQUIRE(world.comes_to("one", "CompleteCommit"));
    CHECK(fetch(true) == std::pair(ErrorCode::none, std::int64_t{5}));
    REQUIRE(join(who) == ErrorCode::none);
    CHECK(commit(who, 9, -1) == ErrorCode::none);
    REQUIRE(world.end("one", who, false) == ErrorCode::none);
    REQUIRE(world.comes_to("one", "CompleteAbort"));
    CHECK(fetch(true) == std::pair(ErrorCode::none, std::int64_t{5}));
    // KIP-447: who is no member of the group's generation commits nothing.
    REQUIRE(join(who) == ErrorCode::none);
    CHECK(commit(who, 9, 3) == ErrorCode::unknown_member_id);
    // Also after the group's coordinator has moved, with the offset still waiting.
    CHECK(commit(who, 11, -1) == ErrorCode::none);
    const BrokerId leader = world.leader_of(group_offsets_id);
    world.cluster.world.kill(world.cluster.node_of(leader));
    REQUIRE(world.cluster.world.run_until(
        [&] { return world.leader_of(group_offsets_id) != leader; }, seconds(20)));
    CHECK(fetch(true).first == ErrorCode::unstable_offset_commit);
    REQUIRE(world.end("one", who, true) == ErrorCode::none);
    REQUIRE(world.comes_to("one", "CompleteCommit"));
    CHECK(fetch(true) == std::pair(ErrorCode::none, std::int64_t{11}));
}

TEST_CASE("transactions: every version of every request of theirs is answered") {
    TransactionWorld world(with_transactions(1));
    REQUIRE(world.ready);
    const Identity who = world.init("one");
    const auto answered = [&](const Uuid& topic, const auto& request, int version,
                              auto&& error_of) {
        INFO("version " << version);
        for (int i = 0; i < 50; ++i) {
            const auto answer = world.once(topic, request, version);
            REQUIRE(answer);
            if (error_of(answer->body) != ErrorCode::concurrent_transactions) {
                CHECK(error_of(answer->body) == ErrorCode::none);
                return;
            }
            world.cluster.world.run_for(milliseconds(50));
        }
        FAIL("it takes too long");
    };
    const auto plain = [](const auto& body) { return body.error_code; };
    for (int version = 0; version <= 5; ++version) {
        protocol::InitProducerIdRequest init;
        init.transactional_id = "versions";
        init.transaction_timeout_ms = 1'000;
        answered(state_id, init, version, plain);
        protocol::AddPartitionsToTxnRequest add;
        if (version < 4) {
            add.v3_and_below_transactional_id = "one";
            add.v3_and_below_producer_id = who.producer;
            add.v3_and_below_producer_epoch = who.epoch;
            add.v3_and_below_topics.push_back({.name = "trial", .partitions = {PartitionIndex(0)}});
        } else {
            add.transactions.push_back(
                {.transactional_id = "one",
                 .producer_id = who.producer,
                 .producer_epoch = who.epoch,
                 .verify_only = false,
                 .topics = {{.name = "trial", .partitions = {PartitionIndex(0)}}}});
        }
        answered(state_id, add, version, [&](const auto& body) {
            if (version < 4)
                return body.results_by_topic_v3_and_below.at(0)
                    .results_by_partition.at(0)
                    .partition_error_code;
            return body.results_by_transaction.at(0)
                .topic_results.at(0)
                .results_by_partition.at(0)
                .partition_error_code;
        });
        protocol::AddOffsetsToTxnRequest offsets;
        offsets.transactional_id = "one";
        offsets.producer_id = who.producer;
        offsets.producer_epoch = who.epoch;
        offsets.group_id = "g";
        answered(state_id, offsets, std::min(version, 4), plain);
        protocol::TxnOffsetCommitRequest commit;
        commit.transactional_id = "one";
        commit.group_id = "g";
        commit.producer_id = who.producer;
        commit.producer_epoch = who.epoch;
        commit.topics.push_back({.name = "trial",
                                 .partitions = {{.partition_index = PartitionIndex(0),
                                                 .committed_offset = Offset(version),
                                                 .committed_metadata = ""}}});
        answered(group_offsets_id, commit, version,
                 [](const auto& body) { return body.topics.at(0).partitions.at(0).error_code; });
        const auto end =
            world.served(state_id, TransactionWorld::end_of("one", who, true), version, plain);
        CHECK(end->error_code == ErrorCode::none);
        REQUIRE(world.comes_to("one", "CompleteCommit"));
        if (version >= 5) CHECK(end->producer_epoch.value == who.epoch.value + 1);
    }
    for (int version = 0; version <= 2; ++version)
        answered(state_id, protocol::ListTransactionsRequest{}, version, plain);
}

TEST_CASE(
    "transactions: what the cluster speaks is told to clients, to old ones without what they "
    "refuse") {
    for (const std::int16_t level : {std::int16_t{0}, std::int16_t{2}}) {
        ClusterOptions options = with_transactions(1);
        options.transaction_version = level;
        TransactionWorld world(options);
        REQUIRE(world.ready);
        for (int version = 0; version <= 4; ++version) {
            const auto answer =
                world.once(trial.topic, protocol::ApiVersionsRequest{"klamm-test", "1.0"}, version);
            REQUIRE(answer);
            const bool tells = level > 0 && version >= 3;
            CHECK(answer->body.finalized_features.size() == (tells ? 1 : 0));
            CHECK(answer->body.supported_features.size() == (tells && version >= 4 ? 1 : 0));
            if (!tells) continue;
            CHECK(answer->body.finalized_features[0].name == "transaction.version");
            CHECK(answer->body.finalized_features[0].max_version_level == level);
            CHECK(answer->body.finalized_features_epoch >= 0);
        }
        // The records of ids are in the form of that level.
        world.init("one");
        CHECK(world.state_of("one") == "Empty");
    }
}
