// The transaction coordinator's rules one by one, as Kafka 4.1 has them.

#include <catch2/catch.hpp>

#include "core/transaction/pattern.h"
#include "tests/transaction/bench.h"

using namespace klamm;
using namespace klamm::transaction;

namespace {

ErrorCode ended(Bench& bench, const End& command) {
    return bench.ask<ProducerAnswer>(command).error;
}
ErrorCode added(Bench& bench, const AddPartitions& command) {
    const auto body = bench.ask<PartitionsAnswer>(command);
    return body.error != ErrorCode::none ? body.error : body.partitions.at(0);
}

Bytes hex(std::string_view text) {
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(
            static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
    return bytes;
}

}  // namespace

TEST_CASE("transaction: records have Kafka's bytes, and are read again") {
    Transaction value;
    value.producer = ProducerId(4000);
    value.previous_producer = ProducerId(4000);
    value.epoch = ProducerEpoch(5);
    value.timeout_ms = 60'000;
    value.state = State::prepare_commit;
    value.partitions = {{"orders", PartitionIndex(0)}, {"orders", PartitionIndex(2)}};
    value.started_at = Timestamp(0x18bcfe5687b);
    value.updated_at = Timestamp(0x18bcfe5687c);
    value.client_version = 2;
    const TransactionRecord record{"tx", value};
    const KeyAndValue bytes = encode(record, 2);
    CHECK(bytes.key == hex("000000027478"));
    // Version 1: id, epoch, timeout, state, {orders: 0, 2}, updated, started, tags 0 (previous id)
    // and 2 (the client's version); tag 1 (the next id) is at its default.
    CHECK(*bytes.value == hex("0001"
                              "0000000000000fa0"
                              "0005"
                              "0000ea60"
                              "02"
                              "02"
                              "076f7264657273"
                              "03"
                              "00000000"
                              "00000002"
                              "00"
                              "0000018bcfe5687c"
                              "0000018bcfe5687b"
                              "02"
                              "00"
                              "08"
                              "0000000000000fa0"
                              "02"
                              "02"
                              "0002"));
    const auto again = decode(bytes.key, ByteView(*bytes.value));
    REQUIRE(again.ok());
    CHECK(**again == record);
    // Version 0 is what clusters without KIP-890 keep.
    const KeyAndValue classic = encode(record, 0);
    CHECK(*classic.value == hex("0000"
                                "0000000000000fa0"
                                "0005"
                                "0000ea60"
                                "02"
                                "00000001"
                                "00066f7264657273"
                                "00000002"
                                "00000000"
                                "00000002"
                                "0000018bcfe5687c"
                                "0000018bcfe5687b"));
    TransactionRecord gone{"tx", std::nullopt};
    CHECK(**decode(encode(gone, 2).key, std::nullopt) == gone);
    Transaction fresh;
    fresh.producer = ProducerId(1);
    fresh.epoch = ProducerEpoch(0);
    // An empty transaction's partitions are null.
    CHECK(encode({"tx", fresh}, 2).value->at(17) == 0);
    for (std::size_t cut = 0; cut < bytes.value->size(); ++cut)
        CHECK_FALSE(decode(bytes.key, ByteView(*bytes.value).first(cut)).ok());
}

TEST_CASE("transaction: a producer begins, adds, commits, and markers go where it wrote") {
    Bench bench;
    const auto who = bench.ask<ProducerAnswer>(init("tx"));
    REQUIRE(who.error == ErrorCode::none);
    CHECK(who.epoch == ProducerEpoch(0));
    CHECK(added(bench, add("tx", who, {0, 1})) == ErrorCode::none);
    CHECK(added(bench, verify("tx", who, 1)) == ErrorCode::none);
    CHECK(added(bench, verify("tx", who, 2)) == ErrorCode::transaction_abortable);
    CHECK(ended(bench, end("tx", who, true)) == ErrorCode::none);
    REQUIRE(bench.markers.size() == 1);
    CHECK(bench.markers[0].commit);
    CHECK(bench.markers[0].epoch == who.epoch);
    CHECK(bench.markers[0].partitions.size() == 2);
    // Until they are written the next one waits.
    CHECK(added(bench, add("tx", who, {0})) == ErrorCode::concurrent_transactions);
    CHECK(ended(bench, end("tx", who, true)) == ErrorCode::concurrent_transactions);
    CHECK(ended(bench, end("tx", who, false)) == ErrorCode::invalid_txn_state);
    bench.write_markers();
    CHECK(bench.latest("tx").state == State::complete_commit);
    // The classic protocol answers a repetition as done, and cannot tell it from the next.
    CHECK(ended(bench, end("tx", who, true)) == ErrorCode::none);
    CHECK(ended(bench, end("tx", who, false)) == ErrorCode::invalid_txn_state);
    CHECK(added(bench, add("tx", who, {3})) == ErrorCode::none);
    CHECK(bench.latest("tx").partitions.size() == 1);
}

TEST_CASE("transaction: nothing is said before it is committed") {
    Bench bench;
    bench.commits_at_once = false;
    const Caller first = bench.send(init("tx"));
    CHECK(bench.waits(first));
    bench.commit_all();
    const auto who = bench.take<ProducerAnswer>(first);
    const Caller adding = bench.send(add("tx", who, {0}));
    const Caller asking = bench.send(verify("tx", who, 0));
    const Caller ending = bench.send(end("tx", who, true));
    CHECK(bench.waits(adding));
    CHECK(bench.waits(asking));
    CHECK(bench.waits(ending));
    CHECK(bench.markers.empty());
    bench.commit_to(bench.log.size() - 1);
    CHECK(bench.take<PartitionsAnswer>(adding).error == ErrorCode::none);
    CHECK(bench.take<PartitionsAnswer>(asking).partitions.at(0) == ErrorCode::none);
    CHECK(bench.waits(ending));
    bench.commit_all();
    CHECK(bench.take<ProducerAnswer>(ending).error == ErrorCode::none);
    CHECK(bench.markers.size() == 1);
}

TEST_CASE(
    "transaction: a decision that takes long is answered as failed, and carried out all the same") {
    Bench bench;
    const auto who = bench.ask<ProducerAnswer>(init("tx"));
    REQUIRE(added(bench, add("tx", who, {0})) == ErrorCode::none);
    bench.commits_at_once = false;
    const Caller ending = bench.send(end("tx", who, true));
    bench.pass(bench.settings.append_timeout + milliseconds(1));
    CHECK(bench.take<ProducerAnswer>(ending).error == ErrorCode::coordinator_not_available);
    CHECK(bench.markers.empty());
    bench.commit_all();
    CHECK(bench.markers.size() == 1);
}

TEST_CASE(
    "transaction: with version 2 every end has an epoch of its own, and is known when it comes "
    "again") {
    Bench bench;
    const auto who = bench.ask<ProducerAnswer>(init("tx"));
    REQUIRE(added(bench, add("tx", who, {0}, 2)) == ErrorCode::none);
    const auto next = bench.ask<ProducerAnswer>(end("tx", who, true, 2));
    REQUIRE(next.error == ErrorCode::none);
    CHECK(next.producer == who.producer);
    CHECK(next.epoch.value == who.epoch.value + 1);
    REQUIRE(bench.markers.size() == 1);
    CHECK(bench.markers[0].epoch == next.epoch);  // so the old one is fenced at the partitions
    CHECK(ended(bench, end("tx", who, true, 2)) == ErrorCode::concurrent_transactions);
    bench.write_markers();
    const auto again = bench.ask<ProducerAnswer>(end("tx", who, true, 2));
    CHECK(again.error == ErrorCode::none);
    CHECK(again.epoch == next.epoch);
    CHECK(ended(bench, end("tx", who, false, 2)) == ErrorCode::invalid_txn_state);
    // The next transaction is not hit by what belongs to the one before.
    REQUIRE(added(bench, add("tx", next, {1}, 2)) == ErrorCode::none);
    CHECK(ended(bench, end("tx", who, true, 2)) == ErrorCode::producer_fenced);
    CHECK(added(bench, add("tx", who, {2}, 2)) == ErrorCode::producer_fenced);
    CHECK(bench.latest("tx").state == State::ongoing);
    // A commit of nothing is no transaction; an abort of nothing is one, and fences.
    const auto after = bench.ask<ProducerAnswer>(end("tx", next, false, 2));
    bench.write_markers();
    CHECK(ended(bench, end("tx", after, true, 2)) == ErrorCode::invalid_txn_state);
    const auto last = bench.ask<ProducerAnswer>(end("tx", after, false, 2));
    CHECK(last.error == ErrorCode::none);
    CHECK(last.epoch.value == after.epoch.value + 1);
    CHECK(bench.markers.at(0).partitions.empty());
}

TEST_CASE(
    "transaction: a second producer with the id fences the first, whose transaction is aborted") {
    Bench bench;
    const auto first = bench.ask<ProducerAnswer>(init("tx"));
    REQUIRE(added(bench, add("tx", first, {0})) == ErrorCode::none);
    CHECK(bench.ask<ProducerAnswer>(init("tx")).error == ErrorCode::concurrent_transactions);
    REQUIRE(bench.markers.size() == 1);
    CHECK_FALSE(bench.markers[0].commit);
    CHECK(bench.markers[0].epoch.value == first.epoch.value + 1);
    CHECK(bench.ask<ProducerAnswer>(init("tx")).error == ErrorCode::concurrent_transactions);
    bench.write_markers();
    const auto second = bench.ask<ProducerAnswer>(init("tx"));
    REQUIRE(second.error == ErrorCode::none);
    CHECK(second.producer == first.producer);
    CHECK(second.epoch.value == first.epoch.value + 2);
    CHECK(added(bench, add("tx", first, {0})) == ErrorCode::producer_fenced);
    CHECK(ended(bench, end("tx", first, true)) == ErrorCode::producer_fenced);
    CHECK(bench.ask<ProducerAnswer>(init("tx", first)).error == ErrorCode::producer_fenced);
    // Who goes on after an error keeps its place (KIP-360), also when the answer was lost.
    const auto on = bench.ask<ProducerAnswer>(init("tx", second));
    CHECK(on.epoch.value == second.epoch.value + 1);
    CHECK(bench.ask<ProducerAnswer>(init("tx", second)).epoch == on.epoch);
}

TEST_CASE("transaction: one that lasts too long is aborted, and its producer fenced") {
    Bench bench;
    const auto who = bench.ask<ProducerAnswer>(init("tx"));
    REQUIRE(added(bench, add("tx", who, {0})) == ErrorCode::none);
    bench.pass(seconds(50));
    CHECK(bench.markers.empty());
    bench.pass(seconds(25));
    REQUIRE(bench.markers.size() == 1);
    CHECK_FALSE(bench.markers[0].commit);
    CHECK(ended(bench, end("tx", who, true)) == ErrorCode::producer_fenced);
    bench.write_markers();
    CHECK(bench.latest("tx").state == State::complete_abort);
    Init wrong = init("tx");
    wrong.timeout_ms = 900'001;
    CHECK(bench.ask<ProducerAnswer>(wrong).error == ErrorCode::invalid_transaction_timeout);
}

TEST_CASE("transaction: used up epochs bring a new producer id, by either protocol") {
    Bench bench;
    auto who = bench.ask<ProducerAnswer>(init("tx"));
    const ProducerId before = who.producer;
    // As many producers as there are epochs: the last is kept for fencing.
    TransactionRecord old{"tx", bench.latest("tx")};
    old.value->epoch = ProducerEpoch(0x7ffd);
    bench.log.push_back(old);
    bench.fail_over(bench.log.size());
    who = bench.ask<ProducerAnswer>(init("tx"));
    CHECK(who.epoch == ProducerEpoch(0x7ffe));
    REQUIRE(added(bench, add("tx", who, {0}, 2)) == ErrorCode::none);
    const auto next = bench.ask<ProducerAnswer>(end("tx", who, true, 2));
    REQUIRE(next.error == ErrorCode::none);
    CHECK(next.producer != before);
    CHECK(next.epoch == ProducerEpoch(0));
    REQUIRE(bench.markers.size() == 1);
    CHECK(bench.markers[0].producer == before);
    CHECK(bench.markers[0].epoch == ProducerEpoch(0x7fff));
    bench.write_markers();
    // The same once more, although the identity is another now.
    CHECK(bench.ask<ProducerAnswer>(end("tx", who, true, 2)).producer == next.producer);

    old.value->epoch = ProducerEpoch(0x7ffe);
    old.value->state = State::empty;
    bench.log.push_back(old);
    bench.fail_over(bench.log.size());
    const auto fresh = bench.ask<ProducerAnswer>(init("tx"));
    CHECK(fresh.producer != before);
    CHECK(fresh.epoch == ProducerEpoch(0));
}

TEST_CASE("transaction: without producer ids in hand nobody new is served, and nothing breaks") {
    Bench bench;
    bench.gives_ids = false;
    for (int i = 0; i < 20; ++i)
        CHECK(bench.ask<ProducerAnswer>(init("tx" + std::to_string(i))).error == ErrorCode::none);
    CHECK(bench.ask<ProducerAnswer>(init("more")).error == ErrorCode::coordinator_load_in_progress);
    bench.gives_ids = true;
    bench.settle();
    CHECK(bench.ask<ProducerAnswer>(init("more")).error == ErrorCode::none);
}

TEST_CASE("transaction: who takes over carries out what was decided, and forgets what was not") {
    for (const std::int16_t version : {std::int16_t{0}, std::int16_t{2}}) {
        Bench bench;
        const auto who = bench.ask<ProducerAnswer>(init("tx"));
        REQUIRE(added(bench, add("tx", who, {0, 1}, version)) == ErrorCode::none);
        bench.commits_at_once = false;
        const Caller ending = bench.send(end("tx", who, true, version));
        const std::size_t decided = bench.log.size();
        SECTION("the decision was not committed") {
            bench.fail_over();
            CHECK(bench.take<ProducerAnswer>(ending).error == ErrorCode::not_coordinator);
            CHECK(bench.markers.empty());
            CHECK(bench.latest("tx").state == State::ongoing);
        }
        SECTION("it was, or comes to be") {
            bench.fail_over(decided);
            CHECK(bench.take<ProducerAnswer>(ending).error == ErrorCode::not_coordinator);
            REQUIRE(bench.markers.size() == 1);
            CHECK(bench.markers[0].commit);
            CHECK(bench.markers[0].coordinator_epoch == 2);
            CHECK(bench.markers[0].partitions.size() == 2);
            bench.append_error = ErrorCode::coordinator_not_available;
            bench.write_markers();
            bench.append_error.reset();
            CHECK(bench.latest("tx").state == State::prepare_commit);
            bench.pass(seconds(1));
            CHECK(bench.latest("tx").state == State::complete_commit);
        }
    }
}

TEST_CASE("transaction: ids that nobody uses are forgotten, administrators see the others") {
    Settings settings;
    settings.id_expiration = seconds(7'200);
    Bench bench(settings);
    const auto idle = bench.ask<ProducerAnswer>(init("idle"));
    const auto busy = bench.ask<ProducerAnswer>(init("busy"));
    REQUIRE(added(bench, add("busy", busy, {4})) == ErrorCode::none);
    auto listed = bench.ask<ListAnswer>(List{});
    CHECK(listed.transactions.size() == 2);
    CHECK(bench.ask<ListAnswer>(List{{State::ongoing}, {}, -1}).transactions.size() == 1);
    CHECK(bench.ask<ListAnswer>(List{{}, {idle.producer}, -1}).transactions.at(0).id == "idle");
    CHECK(bench.ask<ListAnswer>(List{{}, {}, -1, "b.*"}).transactions.size() == 1);
    CHECK(bench.ask<ListAnswer>(List{{}, {}, -1, "b["}).error ==
          ErrorCode::invalid_regular_expression);
    const auto described = bench.ask<DescribeAnswer>(Describe{"busy"});
    REQUIRE(described.transaction.has_value());
    CHECK(described.transaction->partitions ==
          std::set<TopicAndPartition>{{"orders", PartitionIndex(4)}});
    CHECK(bench.ask<DescribeAnswer>(Describe{"none"}).error ==
          ErrorCode::transactional_id_not_found);
    bench.pass(seconds(75));
    bench.write_markers();
    bench.pass(seconds(4 * 3'600));
    CHECK(bench.coordinator.log().latest().transactions().empty());
    CHECK(ended(bench, end("idle", idle, true)) == ErrorCode::invalid_producer_id_mapping);
}

TEST_CASE("transaction: ids are picked by patterns as RE2/J has them, whole, within bounded work") {
    const struct {
        const char* pattern;
        const char* text;
        bool matches;
    } cases[] = {
        {"orders", "orders", true},     {"orders", "orders2", false},
        {"order", "orders", false},     {"", "", true},
        {".*", "anything", true},       {"tx-[0-9]+", "tx-2024", true},
        {"tx-[0-9]+", "tx-", false},    {"tx-[^0-9]", "tx-a", true},
        {"(a|bc)*d?", "abcabcd", true}, {"(?:ab){2,3}", "abab", true},
        {"(?:ab){2,3}", "ab", false},   {"(?:ab){2}", "ababab", false},
        {"x{0,2}y", "xxy", true},       {"\\w+\\.\\d", "name_1.7", true},
        {"\\D+", "7", false},           {"[]a-]+", "]-a", true},
        {"a.?c+?", "acc", true},
    };
    for (const auto& one : cases) {
        INFO(one.pattern << " " << one.text);
        const auto result = matches(one.pattern, one.text);
        REQUIRE(result.ok());
        CHECK(*result == one.matches);
    }
    for (const char* bad :
         {"(", "a)", "[a", "*", "a**", "a{2,1}", "a{1000}", "(?=a)", "\\q", "[b-a]"})
        CHECK_FALSE(matches(bad, "a").ok());
    // What would take too long is refused.
    CHECK_FALSE(matches("((((((((a*)*)*)*)*)*)*)*b", std::string(200, 'a')).ok());
}
