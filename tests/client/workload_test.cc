// The nodes that drive clients: moments, draws, final reads, probes.

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <tuple>

#include "tests/client/harness.h"

namespace klamm::client::test {

namespace {

using workload::FinalReaderNode;
using workload::ProbeNode;
using workload::ProducerNode;

/// When each record was sent, where to, and its value.
using Sent = std::map<std::uint64_t, std::tuple<std::int64_t, std::int32_t, std::uint64_t>>;

workload::ProducerWorkload drawn(const Harness& harness) {
    auto made = harness.producer(40);
    made.records_max = 3;
    made.value_bytes_max = 200;
    made.pacing.gap = {microseconds(10), milliseconds(3)};
    return made;
}

Sent sent_in(const workload::ProducerWorkload& made) {
    Harness harness(5);
    const auto id = harness.add("client", workload::producer_factory(made));
    REQUIRE(harness.world.run_until(
        [&] { return harness.up(id) && harness.node<ProducerNode>(id).done(); }, seconds(60)));
    Sent sent;
    for (const StatedFact& one : harness.stated) {
        if (const auto* fact = std::get_if<facts::SendInvoked>(&one.fact))
            sent[fact->operation] = {one.time.nanoseconds, fact->partition, fact->value};
    }
    return sent;
}

}  // namespace

TEST_CASE("workload: leaving out one operation leaves what the others send as it was") {
    Harness harness;
    auto workload = drawn(harness);
    const Sent all = sent_in(workload);
    workload.pacing.skip = {7};
    const Sent fewer = sent_in(workload);
    CHECK(fewer.size() < all.size());
    for (const auto& [operation, what] : all) {
        if (operation / workload.records_max == 7) {
            CHECK(fewer.count(operation) == 0);
            continue;
        }
        REQUIRE(fewer.count(operation) == 1);
        CHECK(std::get<1>(fewer.at(operation)) == std::get<1>(what));
        CHECK(std::get<2>(fewer.at(operation)) == std::get<2>(what));
        // A turn under way may hold a due operation up, never by more than that turn.
        const auto apart = std::get<0>(fewer.at(operation)) - std::get<0>(what);
        CHECK(std::abs(apart) < microseconds(500).nanoseconds);
    }
}

TEST_CASE("workload: moments do not wait for answers, and a limit drops what comes on top") {
    Harness harness;
    harness.cluster.leader = no_broker;
    auto workload = harness.producer(100);
    workload.outstanding_max = 30;
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(harness.world.run_for(seconds(1)));
    const auto counts = harness.node<ProducerNode>(id).counts();
    CHECK(counts.invoked == 30);
    CHECK(counts.dropped == 70);
    CHECK(counts.outstanding() == 30);
    CHECK_FALSE(harness.node<ProducerNode>(id).done());
}

TEST_CASE("workload: nothing begins after the stop, and a second life does nothing") {
    Harness harness;
    auto workload = harness.producer(1000);
    workload.pacing.stop_after = milliseconds(50);
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(harness.world.run_for(seconds(1)));
    const auto counts = harness.node<ProducerNode>(id).counts();
    CHECK(counts.invoked > 30);
    CHECK(counts.invoked < 50);
    CHECK(harness.node<ProducerNode>(id).done());
    harness.world.kill(id);
    harness.world.start(id);
    const std::size_t before = harness.stated.size();
    REQUIRE(harness.world.run_for(seconds(1)));
    CHECK(harness.stated.size() == before);
    CHECK(harness.node<ProducerNode>(id).done());
}

TEST_CASE("workload: the final reader reads to the end that LATEST told, whatever fails first") {
    Harness harness;
    for (std::uint64_t i = 0; i < 20; ++i) harness.cluster.append({3 * i, 3 * i + 1, 3 * i + 2});
    harness.cluster.fetch_acts = {{protocol::ErrorCode::kafka_storage_error},
                                  {},
                                  {protocol::ErrorCode::not_leader_or_follower}};
    workload::FinalReaderWorkload workload;
    workload.options.client = harness.client();
    const auto id = harness.add("reader", workload::final_reader_factory(workload));
    REQUIRE(harness.world.run_until(
        [&] { return harness.up(id) && harness.node<FinalReaderNode>(id).done(); }, seconds(30)));
    CHECK(harness.node<FinalReaderNode>(id).records() == 60);
    CHECK(harness.all<facts::LatestReturned>().at(0).offset == Offset(60));
}

TEST_CASE("workload: the final reader of an empty log is done at once") {
    Harness harness;
    workload::FinalReaderWorkload workload;
    workload.options.client = harness.client();
    const auto id = harness.add("reader", workload::final_reader_factory(workload));
    REQUIRE(harness.world.run_until(
        [&] { return harness.up(id) && harness.node<FinalReaderNode>(id).done(); }, seconds(2)));
}

TEST_CASE("workload: a probe is done when its record is acknowledged, overdue when it is late") {
    for (const bool late : {false, true}) {
        Harness harness;
        if (late) harness.cluster.leader = no_broker;
        workload::ProbeWorkload workload;
        workload.options.client = harness.client();
        workload.bound = seconds(5);
        const auto id = harness.add("probe", workload::probe_factory(workload));
        harness.world.schedule(Instant{0} + seconds(8), 1,
                               [&] { harness.cluster.leader = BrokerId(0); });
        REQUIRE(harness.world.run_until(
            [&] { return harness.up(id) && harness.node<ProbeNode>(id).done(); }, seconds(30)));
        CHECK(harness.node<ProbeNode>(id).overdue() == late);
        CHECK(harness.cluster.values().size() == 1);
    }
}

TEST_CASE("workload: a consumer that begins anew is told of a reset, and its polls stay apart") {
    Harness harness;
    harness.cluster.append({1, 2, 3});
    auto workload = harness.consumer(200);
    workload.restart_rate = per_million / 5;
    workload.latest_rate = per_million / 5;
    const auto id = harness.add("client", workload::consumer_factory(workload));
    REQUIRE(harness.world.run_for(seconds(5)));
    CHECK(harness.node<workload::ConsumerNode>(id).resets() > 10);
    CHECK(harness.node<workload::ConsumerNode>(id).records() > 3);
    bool open = false;
    for (const StatedFact& one : harness.stated) {
        if (std::holds_alternative<facts::PollInvoked>(one.fact)) {
            REQUIRE_FALSE(open);
            open = true;
        }
        if (std::holds_alternative<facts::PollReturned>(one.fact)) open = false;
    }
}

TEST_CASE("workload: the same seed gives the same run") {
    const auto hash_of = [] {
        Harness harness(11, 2);
        harness.cluster.produce_acts = {{}, {{}, true, ProduceAct::Then::close}};
        harness.add("producer", workload::producer_factory(drawn(harness)));
        harness.add("consumer", workload::consumer_factory(harness.consumer(50)));
        REQUIRE(harness.world.run_for(seconds(3)));
        return harness.world.hash();
    };
    CHECK(hash_of() == hash_of());
}

}  // namespace klamm::client::test
