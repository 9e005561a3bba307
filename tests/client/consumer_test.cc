// The consumer against brokers that misbehave by script, through the facts of its node.

#include <catch2/catch.hpp>
#include <map>

#include "tests/client/harness.h"

namespace klamm::client::test {

namespace {

using facts::Outcome;
using protocol::ErrorCode;
using workload::ConsumerNode;

bool run_consumer(Harness& harness, sim::NodeId consumer, Duration limit = seconds(400)) {
    return harness.world.run_until(
        [&] { return harness.up(consumer) && harness.node<ConsumerNode>(consumer).done(); }, limit);
}

std::vector<std::uint64_t> read_values(const Harness& harness) {
    std::vector<std::uint64_t> values;
    for (const auto& poll : harness.all<facts::PollReturned>())
        for (const auto& record : poll.records) values.push_back(record.value);
    return values;
}

std::vector<facts::PollReturned> resets(const Harness& harness) {
    std::vector<facts::PollReturned> found;
    for (const auto& poll : harness.all<facts::PollReturned>())
        if (poll.reset) found.push_back(poll);
    return found;
}

/// Where the first poll after the last reset began.
Offset position_after_reset(const Harness& harness) {
    Offset position = no_offset;
    bool after = false;
    for (const StatedFact& one : harness.stated) {
        const auto* invoked = std::get_if<facts::PollInvoked>(&one.fact);
        const auto* returned = std::get_if<facts::PollReturned>(&one.fact);
        if (invoked != nullptr && after) position = invoked->offset;
        if (invoked != nullptr) after = false;
        if (returned != nullptr && returned->reset) after = true;
    }
    return position;
}

}  // namespace

TEST_CASE("consumer: reads from the log's start in order, once, and goes on where it was") {
    Harness harness;
    harness.cluster.append({1, 2, 3});
    harness.cluster.append({4});
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(10)));
    harness.world.schedule(Instant{0} + milliseconds(150), 1, [&] {
        harness.cluster.append({5, 6});
    });
    REQUIRE(run_consumer(harness, id));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6});
    const auto polls = harness.all<facts::PollReturned>();
    CHECK(polls.back().high_watermark == Offset(6));
    CHECK(polls.back().log_start == Offset(0));
    CHECK(harness.cluster.validations == 0);
}

TEST_CASE("consumer: each answer names its partition, and each partition is read by itself") {
    Harness harness;
    harness.cluster.partitions = 2;
    harness.cluster.append({1, 2, 3});
    auto workload = harness.consumer(30);
    workload.partitions = 2;
    const auto id = harness.add("client", workload::consumer_factory(workload));
    REQUIRE(run_consumer(harness, id));
    std::map<std::uint64_t, std::int32_t> asked;
    for (const auto& poll : harness.all<facts::PollInvoked>())
        asked[poll.operation] = poll.partition;
    std::map<std::int32_t, std::size_t> records;
    for (const auto& poll : harness.all<facts::PollReturned>()) {
        CHECK(poll.partition == asked.at(poll.operation));
        records[poll.partition] += poll.records.size();
    }
    CHECK(records == std::map<std::int32_t, std::size_t>{{0, 3}, {1, 3}});
}

TEST_CASE("consumer: from LATEST it sees only what comes later") {
    Harness harness;
    harness.cluster.append({1, 2, 3});
    auto workload = harness.consumer(10);
    workload.from_earliest = false;
    const auto id = harness.add("client", workload::consumer_factory(workload));
    harness.world.schedule(Instant{0} + milliseconds(150), 1, [&] { harness.cluster.append({4}); });
    REQUIRE(run_consumer(harness, id));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{4});
}

TEST_CASE("consumer: a position in the middle of a batch skips the records below it") {
    Harness harness;
    harness.cluster.append({1, 2});
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(12)));
    REQUIRE(harness.world.run_until([&] { return read_values(harness).size() == 2; }, seconds(2)));
    harness.cluster.truncate(Offset(0));
    harness.cluster.append({1, 2, 3, 4});  // the same records, now in one batch
    REQUIRE(run_consumer(harness, id));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2, 3, 4});
    CHECK(resets(harness).empty());
}

TEST_CASE("consumer: OFFSET_OUT_OF_RANGE resets by auto.offset.reset and is told") {
    Harness harness;
    harness.cluster.append({1, 2});
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(20)));
    harness.world.schedule(Instant{0} + milliseconds(150), 1, [&] {
        harness.cluster.append({3, 4});
        harness.cluster.append({5});
        harness.cluster.log.erase(harness.cluster.log.begin(), harness.cluster.log.begin() + 2);
        harness.cluster.log_start = Offset(4);
    });
    REQUIRE(run_consumer(harness, id));
    REQUIRE(resets(harness).size() == 1);
    CHECK(resets(harness)[0].outcome == Outcome::failed);
    CHECK(position_after_reset(harness) == Offset(4));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2, 5});
}

TEST_CASE("consumer: without a reset policy it is told too, and begins anew") {
    Harness harness;
    harness.cluster.append({1, 2});
    auto workload = harness.consumer(20);
    workload.options.auto_offset_reset = config::OffsetReset::none;
    const auto id = harness.add("client", workload::consumer_factory(workload));
    harness.world.schedule(Instant{0} + milliseconds(150), 1, [&] {
        harness.cluster.append({3});
        harness.cluster.log.erase(harness.cluster.log.begin());
        harness.cluster.log_start = Offset(2);
        harness.cluster.fetch_acts = {{ErrorCode::offset_out_of_range}};
    });
    REQUIRE(run_consumer(harness, id));
    REQUIRE(resets(harness).size() == 1);
    CHECK(resets(harness)[0].error == static_cast<std::int16_t>(ErrorCode::offset_out_of_range));
    CHECK(position_after_reset(harness) == Offset(2));
}

TEST_CASE("consumer: a new leader epoch is validated before reading on, and nothing is lost") {
    Harness harness(1, 2);
    harness.cluster.append({1, 2});
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(60)));
    harness.world.schedule(Instant{0} + milliseconds(150), 1, [&] {
        harness.cluster.leader = BrokerId(1);
        harness.cluster.leader_epoch = LeaderEpoch(1);
        harness.cluster.append({3});
    });
    REQUIRE(run_consumer(harness, id));
    CHECK(harness.cluster.validations == 1);
    CHECK(resets(harness).empty());
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(harness.node<ConsumerNode>(id).counts().failed >=
          1);  // NOT_LEADER, told as a failed poll
}

TEST_CASE("consumer: a truncation by a new leader is told as a reset to where the logs part") {
    Harness harness;
    harness.cluster.append({1, 2});
    harness.cluster.append({3, 4});
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(60)));
    harness.world.schedule(Instant{0} + milliseconds(150), 1, [&] {
        harness.cluster.truncate(Offset(2));
        harness.cluster.leader_epoch = LeaderEpoch(1);
        harness.cluster.append({5, 6, 7});
    });
    REQUIRE(run_consumer(harness, id));
    REQUIRE(resets(harness).size() == 1);
    CHECK(position_after_reset(harness) == Offset(2));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7});
    CHECK(harness.cluster.validations >= 1);
}

TEST_CASE("consumer: a diverging epoch in a fetch is told as a reset too") {
    Harness harness;
    harness.cluster.append({1, 2});
    harness.cluster.append({3, 4});
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(30)));
    // The epoch of the log changes under the same leader epoch: only the fetch can tell.
    harness.world.schedule(Instant{0} + milliseconds(150), 1, [&] {
        harness.cluster.truncate(Offset(2));
        harness.cluster.leader_epoch = LeaderEpoch(1);
        harness.cluster.append({5, 6});
        harness.cluster.leader_epoch = LeaderEpoch(0);
    });
    REQUIRE(run_consumer(harness, id));
    CHECK(harness.cluster.validations == 0);
    REQUIRE(resets(harness).size() == 1);
    CHECK(position_after_reset(harness) == Offset(2));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("consumer: a batch with a wrong checksum is stated and never handed out") {
    Harness harness;
    harness.cluster.append({1, 2});
    harness.cluster.fetch_acts = {{ErrorCode::none, true}};
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(40)));
    REQUIRE(run_consumer(harness, id));
    const auto corrupt = harness.all<facts::CorruptReceived>();
    REQUIRE(corrupt.size() == 1);
    CHECK(corrupt[0].partition.topic == harness.cluster.topic_id);
    CHECK(corrupt[0].offset == Offset(0));
    CHECK(corrupt[0].from == BrokerId(0));
    CHECK(harness.all<facts::PollReturned>()[0].error ==
          static_cast<std::int16_t>(ErrorCode::corrupt_message));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("consumer: old fetch versions by name are read too") {
    Harness harness;
    harness.cluster.append({1, 2});
    harness.cluster.fetch_max = 12;
    const auto id = harness.add("client", workload::consumer_factory(harness.consumer(5)));
    REQUIRE(run_consumer(harness, id));
    CHECK(read_values(harness) == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("consumer: LATEST is asked and told with the leader's epoch") {
    Harness harness;
    harness.cluster.append({1, 2, 3});
    auto workload = harness.consumer(5);
    workload.latest_rate = per_million;
    const auto id = harness.add("client", workload::consumer_factory(workload));
    REQUIRE(run_consumer(harness, id));
    const auto told = harness.all<facts::LatestReturned>();
    REQUIRE(told.size() == 5);
    CHECK(harness.all<facts::LatestInvoked>().size() == 5);
    CHECK(told[0].outcome == Outcome::ok);
    CHECK(told[0].offset == Offset(3));
    CHECK(told[0].epoch == LeaderEpoch(0));
}

TEST_CASE("consumer: polls and queries of a cluster that is gone end by themselves") {
    Harness harness;
    harness.cluster.append({1});
    auto workload = harness.consumer(100);
    workload.latest_rate = per_million / 2;
    workload.options.client.request_timeout_ms = 1000;
    const auto id = harness.add("client", workload::consumer_factory(workload));
    harness.world.schedule(Instant{0} + milliseconds(300), 1,
                           [&] { harness.world.kill(harness.ids[0]); });
    REQUIRE(run_consumer(harness, id, seconds(10)));
    const auto& counts = harness.node<ConsumerNode>(id).counts();
    CHECK(counts.ok > 0);
    CHECK(counts.failed > 0);
    CHECK(counts.outstanding() == 0);
}

}  // namespace klamm::client::test
