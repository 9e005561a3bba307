// The producer against brokers that misbehave by script.

#include <rapidcheck/catch.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/client/harness.h"

namespace klamm::client::test {

namespace {

using facts::Outcome;
using protocol::ErrorCode;
using Then = ProduceAct::Then;
using workload::ProducerNode;

/// What must hold of any run of one producer: each send returned once; what is ok lies at its
/// offset; what failed lies nowhere; with idempotence no value lies twice.
void check_outcomes(const Harness& harness, bool duplicates_allowed = false) {
    std::map<std::uint64_t, std::uint64_t> value_of;
    for (const auto& sent : harness.all<facts::SendInvoked>())
        value_of[sent.operation] = sent.value;
    const auto values = harness.cluster.values();
    std::set<std::uint64_t> returned;
    for (const auto& done : harness.all<facts::SendReturned>()) {
        RC_ASSERT(returned.insert(done.operation).second);
        const std::uint64_t value = value_of.at(done.operation);
        const auto times = std::count(values.begin(), values.end(), value);
        if (!duplicates_allowed) RC_ASSERT(times <= 1);
        if (done.outcome == Outcome::failed) RC_ASSERT(times == 0);
        if (done.outcome == Outcome::ok) {
            RC_ASSERT(done.offset >= Offset(0));
            RC_ASSERT(values.at(static_cast<std::size_t>(done.offset.value)) == value);
        }
    }
    RC_ASSERT(returned.size() == value_of.size());
}

void check_order(const Harness& harness) {
    const auto values = harness.cluster.values();
    RC_ASSERT(std::is_sorted(values.begin(), values.end()));
}

bool run_producer(Harness& harness, sim::NodeId producer, Duration limit = seconds(400)) {
    return harness.world.run_until(
        [&] { return harness.up(producer) && harness.node<ProducerNode>(producer).done(); }, limit);
}

}  // namespace

TEST_CASE("producer: records are acknowledged at their offsets, in order") {
    Harness harness;
    auto workload = harness.producer(50);
    workload.options.linger_ms = 5;
    workload.records_max = 3;
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(run_producer(harness, id));
    const auto& counts = harness.node<ProducerNode>(id).counts();
    CHECK(counts.invoked >= 50);
    CHECK(counts.ok == counts.invoked);
    check_outcomes(harness);
    check_order(harness);
    CHECK(harness.cluster.produced.size() < 50);  // lingering has made batches of several
    CHECK(harness.cluster.identities == 1);
}

TEST_CASE("producer: a retry on a new connection keeps its sequence and makes no duplicate") {
    for (const bool append : {false, true}) {
        Harness harness;
        harness.cluster.produce_acts = {{}, {ErrorCode::none, append, Then::close}};
        const auto id = harness.add("client", workload::producer_factory(harness.producer(20)));
        REQUIRE(run_producer(harness, id));
        CHECK(harness.node<ProducerNode>(id).counts().ok == 20);
        check_outcomes(harness);
        check_order(harness);
        CHECK(harness.cluster.values().size() == 20);
        std::int32_t next = 0;
        for (const Stored& stored : harness.cluster.log) {
            const record::BatchView batch(stored.bytes);
            CHECK(batch.producer_epoch() == ProducerEpoch(0));
            CHECK(batch.base_sequence() == next);
            next += batch.record_count();
        }
    }
}

TEST_CASE("producer: a request that is never answered is retried after request.timeout.ms") {
    Harness harness;
    harness.cluster.produce_acts = {{ErrorCode::none, true, Then::silence}};
    auto workload = harness.producer(10);
    workload.options.client.request_timeout_ms = 1000;
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(run_producer(harness, id));
    CHECK(harness.node<ProducerNode>(id).counts().ok == 10);
    check_outcomes(harness);
    check_order(harness);
    CHECK(harness.world.now() > Instant{0} + seconds(1));
}

TEST_CASE("producer: errors before the append fail, errors that may follow it are unknown") {
    struct Row {
        ErrorCode error;
        bool append;
        Outcome outcome;
    };
    const Row rows[] = {{ErrorCode::message_too_large, false, Outcome::failed},
                        {ErrorCode::invalid_record, false, Outcome::failed},
                        {ErrorCode::unknown_server_error, true, Outcome::unknown},
                        {ErrorCode::unknown_server_error, false, Outcome::unknown}};
    for (const Row& row : rows) {
        Harness harness;
        harness.cluster.produce_acts = {{row.error, row.append, Then::answer}};
        auto workload = harness.producer(1);
        const auto id = harness.add("client", workload::producer_factory(workload));
        REQUIRE(run_producer(harness, id));
        REQUIRE(harness.all<facts::SendReturned>().size() == 1);
        const auto done = harness.all<facts::SendReturned>().front();
        CHECK(done.outcome == row.outcome);
        CHECK(done.error == static_cast<std::int16_t>(row.error));
    }
}

TEST_CASE("producer: a definite error after a doubtful attempt is unknown") {
    Harness harness;
    harness.cluster.produce_acts = {{ErrorCode::none, true, Then::close},
                                    {ErrorCode::message_too_large, false, Then::answer}};
    const auto id = harness.add("client", workload::producer_factory(harness.producer(1)));
    REQUIRE(run_producer(harness, id));
    CHECK(harness.all<facts::SendReturned>().at(0).outcome == Outcome::unknown);
    CHECK(harness.cluster.values().size() == 1);
}

TEST_CASE("producer: a batch refused for good bumps the epoch, and the next ones go on from 0") {
    Harness harness;
    harness.cluster.produce_acts = {{}, {ErrorCode::invalid_record, false, Then::answer}};
    const auto id = harness.add("client", workload::producer_factory(harness.producer(20)));
    REQUIRE(run_producer(harness, id));
    const auto& counts = harness.node<ProducerNode>(id).counts();
    CHECK(counts.failed >= 1);
    CHECK(counts.unknown == 0);
    CHECK(counts.ok + counts.failed == 20);
    check_outcomes(harness);
    check_order(harness);
    CHECK(harness.cluster.identities == 1);  // the client bumps by itself
    const record::BatchView last(harness.cluster.log.back().bytes);
    CHECK(last.producer_epoch() == ProducerEpoch(1));
}

TEST_CASE("producer: delivery.timeout.ms ends a send as failed if it never left") {
    Harness harness;
    harness.cluster.leader = no_broker;
    auto workload = harness.producer(5);
    workload.options.delivery_timeout_ms = 2000;
    workload.options.client.request_timeout_ms = 1000;
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(run_producer(harness, id, seconds(10)));
    CHECK(harness.node<ProducerNode>(id).counts().failed == 5);
    CHECK(harness.world.now() < Instant{0} + seconds(3));
    CHECK(harness.cluster.produced.empty());
}

TEST_CASE("producer: delivery.timeout.ms ends a send as unknown if it left, then bumps the epoch") {
    for (const bool append : {false, true}) {
        Harness harness;
        for (int i = 0; i < 3; ++i)
            harness.cluster.produce_acts.push_back({ErrorCode::none, append, Then::silence});
        auto workload = harness.producer(2);
        workload.options.delivery_timeout_ms = 2000;
        workload.options.client.request_timeout_ms = 900;
        workload.pacing.gap = {milliseconds(2500), {}};
        const auto id = harness.add("client", workload::producer_factory(workload));
        REQUIRE(run_producer(harness, id, seconds(20)));
        const auto done = harness.all<facts::SendReturned>();
        REQUIRE(done.size() == 2);
        CHECK(done[0].outcome == Outcome::unknown);
        CHECK(done[1].outcome == Outcome::ok);
        check_outcomes(harness);
        const record::BatchView last(harness.cluster.log.back().bytes);
        CHECK(last.producer_epoch() == ProducerEpoch(1));
        CHECK(last.base_sequence() == 0);
    }
}

TEST_CASE("producer: while it is open whether a batch was written, none gets a number behind it") {
    for (const bool append : {false, true}) {
        Harness harness;
        harness.cluster.produce_acts = {
            {}, {ErrorCode::none, append, Then::silence}, {ErrorCode::none, append, Then::silence}};
        auto workload = harness.producer(4);
        workload.options.delivery_timeout_ms = 2000;
        workload.options.client.request_timeout_ms = 1950;
        workload.pacing.gap = {milliseconds(1000), {}};
        const auto id = harness.add("client", workload::producer_factory(workload));
        // The second expires just before its retry; the third is then sent again, alone.
        REQUIRE(run_producer(harness, id, seconds(20)));
        const auto done = harness.all<facts::SendReturned>();
        REQUIRE(done.size() == 4);
        CHECK(done[1].outcome == Outcome::unknown);
        CHECK(done[2].outcome == (append ? Outcome::ok : Outcome::unknown));
        CHECK(done[3].outcome == Outcome::ok);
        check_outcomes(harness);
        const SeenProduce& last = harness.cluster.produced.back();
        CHECK(last.answer == ErrorCode::none);
        CHECK(last.producer_epoch == (append ? 0 : 1));
        CHECK(last.sequence == (append ? 3 : 0));
        for (const SeenProduce& seen : harness.cluster.produced)
            CHECK((append || seen.sequence != 3));
    }
}

TEST_CASE("producer: records follow the leader to another broker") {
    for (const bool hints : {false, true}) {
        Harness harness(3, 2);
        harness.cluster.truthful_hints = hints;
        const auto id = harness.add("client", workload::producer_factory(harness.producer(60)));
        harness.world.schedule(Instant{0} + milliseconds(30), 1, [&] {
            harness.cluster.leader = BrokerId(1);
            harness.cluster.leader_epoch = LeaderEpoch(1);
        });
        REQUIRE(run_producer(harness, id));
        CHECK(harness.node<ProducerNode>(id).counts().ok == 60);
        check_outcomes(harness);
        check_order(harness);
        CHECK(harness.cluster.log.back().epoch == LeaderEpoch(1));
        CHECK(harness.cluster.produced.back().broker == BrokerId(1));
    }
}

TEST_CASE("producer: OUT_OF_ORDER after a loss of acknowledged records starts a new epoch") {
    Harness harness;
    auto workload = harness.producer(4);
    workload.pacing.gap = {milliseconds(100), {}};
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(harness.world.run_until([&] { return harness.cluster.log.size() == 2; }, seconds(5)));
    harness.cluster.truncate(Offset(1));
    harness.cluster.producers.at(1000).next = 1;
    harness.cluster.producers.at(1000).recent.pop_back();
    REQUIRE(run_producer(harness, id));
    CHECK(harness.node<ProducerNode>(id).counts().ok == 4);
    const record::BatchView last(harness.cluster.log.back().bytes);
    CHECK(last.producer_epoch() == ProducerEpoch(1));
    CHECK(last.base_sequence() == 1);  // the third record began the epoch
}

TEST_CASE("producer: without idempotence, one request in flight keeps the order over retries") {
    Harness harness;
    harness.cluster.produce_acts = {{ErrorCode::not_enough_replicas, false, Then::answer},
                                    {},
                                    {ErrorCode::none, false, Then::close}};
    auto workload = harness.producer(20);
    workload.options.enable_idempotence = false;
    workload.options.acks = 1;
    workload.options.max_in_flight_requests_per_connection = 1;
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(run_producer(harness, id));
    CHECK(harness.node<ProducerNode>(id).counts().ok == 20);
    check_outcomes(harness);
    check_order(harness);
    CHECK(harness.cluster.identities == 0);
}

TEST_CASE("producer: acks=0 is done when it is sent") {
    Harness harness;
    auto workload = harness.producer(5);
    workload.options.enable_idempotence = false;
    workload.options.acks = 0;
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(run_producer(harness, id));
    for (const auto& done : harness.all<facts::SendReturned>()) {
        CHECK(done.outcome == Outcome::ok);
        CHECK(done.offset == no_offset);
    }
    REQUIRE(harness.world.run_for(seconds(1)));
    CHECK(harness.cluster.values().size() == 5);
}

TEST_CASE("producer: versions are agreed with old brokers too") {
    Harness harness;
    harness.cluster.api_versions_max = 2;  // answers version 4 with version 0 (KIP-511)
    harness.cluster.produce_max = 9;       // topics by name
    const auto id = harness.add("client", workload::producer_factory(harness.producer(3)));
    REQUIRE(run_producer(harness, id));
    CHECK(harness.node<ProducerNode>(id).counts().ok == 3);
}

TEST_CASE("producer: a broker without a version in common is fatal, and says so") {
    Harness harness;
    harness.cluster.produce_max = 2;
    const auto id = harness.add("client", workload::producer_factory(harness.producer(3)));
    REQUIRE(run_producer(harness, id));
    CHECK(harness.node<ProducerNode>(id).counts().failed == 3);
    CHECK(harness.all<facts::SendReturned>().at(0).error ==
          static_cast<std::int16_t>(ErrorCode::unsupported_version));
}

TEST_CASE("producer: an identity is asked for again until it is given") {
    Harness harness;
    harness.cluster.identity_failures = 3;
    const auto id = harness.add("client", workload::producer_factory(harness.producer(3)));
    REQUIRE(run_producer(harness, id));
    CHECK(harness.node<ProducerNode>(id).counts().ok == 3);
    CHECK(harness.world.now() > Instant{0} + milliseconds(500));  // three back-offs
}

TEST_CASE("producer: metadata is not asked for faster than the back-off allows") {
    Harness harness;
    harness.cluster.leader = no_broker;
    auto workload = harness.producer(5);
    workload.options.delivery_timeout_ms = 30'000;
    harness.add("client", workload::producer_factory(workload));
    REQUIRE(harness.world.run_for(seconds(20)));
    CHECK(harness.cluster.metadata_requests > 10);
    CHECK(harness.cluster.metadata_requests < 40);
}

TEST_CASE("producer: until the first batch is acknowledged, none is sent behind it") {
    // A log that knows nothing of a producer takes any sequence number from it: were the second
    // batch sent too, it would be written while the first is to be tried again.
    Harness harness;
    harness.cluster.produce_acts = {{ErrorCode::not_enough_replicas, false, Then::answer},
                                    {ErrorCode::none, true, Then::silence},
                                    {ErrorCode::none, false, Then::close}};
    auto workload = harness.producer(20);
    workload.options.client.request_timeout_ms = 500;
    const auto id = harness.add("client", workload::producer_factory(workload));
    REQUIRE(run_producer(harness, id));
    CHECK(harness.node<ProducerNode>(id).counts().ok == 20);
    check_outcomes(harness);
    check_order(harness);
    REQUIRE(harness.cluster.produced.size() > 3);
    for (std::size_t i = 0; i < 4; ++i) CHECK(harness.cluster.produced[i].sequence == 0);
    CHECK(harness.cluster.log.back().epoch == LeaderEpoch(0));
}

TEST_CASE("producer: whatever the brokers do, outcomes are true and idempotence holds") {
    rc::prop("outcomes", [] {
        const auto seed = *rc::gen::inRange<std::uint64_t>(1, 1'000'000);
        Harness harness(seed, 2);
        const auto acts = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12));
        for (const int kind : acts) {
            switch (kind) {
                case 0: harness.cluster.produce_acts.push_back({{}, false, Then::close}); break;
                case 1: harness.cluster.produce_acts.push_back({{}, true, Then::close}); break;
                case 2: harness.cluster.produce_acts.push_back({{}, true, Then::silence}); break;
                case 3: harness.cluster.produce_acts.push_back({{}, false, Then::silence}); break;
                case 4:
                    harness.cluster.produce_acts.push_back(
                        {ErrorCode::not_enough_replicas, false, Then::answer});
                    break;
                case 5:
                    harness.cluster.produce_acts.push_back(
                        {ErrorCode::not_enough_replicas_after_append, true, Then::answer});
                    break;
                case 6:
                    harness.cluster.produce_acts.push_back(
                        {ErrorCode::not_leader_or_follower, true, Then::answer});
                    break;
                case 7:
                    harness.cluster.produce_acts.push_back(
                        {ErrorCode::invalid_record, false, Then::answer});
                    break;
                case 8:
                    harness.cluster.produce_acts.push_back(
                        {ErrorCode::request_timed_out, true, Then::answer});
                    break;
                default: harness.cluster.produce_acts.push_back({}); break;
            }
        }
        auto workload = harness.producer(40);
        workload.records_max = 2;
        workload.options.client.request_timeout_ms = 500;
        workload.options.delivery_timeout_ms = *rc::gen::element(1500, 5000, 60'000);
        workload.options.batch_size = *rc::gen::element(100, 16'384);
        workload.options.compression_type =
            *rc::gen::element(config::Compression::none, config::Compression::zstd);
        const auto id = harness.add("client", workload::producer_factory(workload));
        const auto moves = *rc::gen::container<std::vector<int>>(rc::gen::inRange(10, 4000));
        std::int32_t epoch = 0;
        std::set<int> moments(moves.begin(), moves.end());
        for (const int at : moments) {
            ++epoch;
            harness.world.schedule(Instant{0} + milliseconds(at), 1, [&harness, epoch] {
                harness.cluster.leader = BrokerId(epoch % 2);
                harness.cluster.leader_epoch = LeaderEpoch(epoch);
            });
        }
        RC_ASSERT(run_producer(harness, id));
        check_outcomes(harness);
        check_order(harness);
    });
}

}  // namespace klamm::client::test
