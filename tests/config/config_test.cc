// The configuration table and the option structs: rows are sound, texts parse or say why not,
// hostile options are lawful, and the document in the tree is the table's.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include <fstream>
#include <set>
#include <sstream>

#include "core/config/table.h"

using namespace klamm;
using namespace klamm::config;

namespace {

/// One of every struct, with the pointers that rows go through.
struct All {
    HostileOptions options;
    Owners owners{.broker = &options.broker,
                  .topic = &options.topic,
                  .features = &options.features,
                  .client = &options.producer.client,
                  .producer = &options.producer,
                  .consumer = &options.consumer};
};

}  // namespace

TEST_CASE("config: each row's default lies in its range and is what the structs hold") {
    All all;
    for (const Row& row : table()) {
        INFO(row.name);
        const auto parsed = parse_value(row, row.default_text);
        REQUIRE(parsed.ok());
        CHECK(*parsed == row.load(all.owners));
        CHECK(print_value(row, *parsed) == row.default_text);
        CHECK_FALSE(row.sentence.empty());
        CHECK(row.sentence.back() == '.');
    }
}

TEST_CASE("config: each hostile value lies in the valid range and survives the struct") {
    All all;
    for (const Row& row : table()) {
        for (const std::int64_t number : row.hostile.span()) {
            INFO(row.name << " " << number);
            row.store(all.owners, {number, {}});
            CHECK(row.load(all.owners).number == number);
            const auto back = parse_value(row, print_value(row, {number, {}}));
            REQUIRE(back.ok());
            CHECK(back->number == number);
        }
    }
}

TEST_CASE("config: names are unique in what one file may say, and rows write only their own") {
    for (const Scope scope :
         {Scope::broker, Scope::topic, Scope::feature, Scope::producer, Scope::consumer}) {
        std::set<std::string_view> names;
        for (const Row& row : table()) {
            const bool client = scope == Scope::producer || scope == Scope::consumer;
            if (row.scope == scope || (client && row.scope == Scope::client))
                CHECK(names.insert(row.name).second);
            if (scope == Scope::broker && !row.broker_spelling.empty())
                CHECK(names.insert(row.broker_spelling).second);
        }
    }
    // A row that shared another's member would move it.
    for (const Row& row : table()) {
        if (row.hostile.size == 0) continue;
        All all;
        for (const std::int64_t number : row.hostile.span()) row.store(all.owners, {number, {}});
        const All untouched;
        for (const Row& other : table()) {
            INFO(row.name << " moved " << other.name);
            if (&other != &row) CHECK(other.load(all.owners) == other.load(untouched.owners));
        }
    }
}

TEST_CASE("config: a broker takes its own keys and the broker's names of topic keys") {
    BrokerOptions broker;
    CHECK(set(broker, "node.id", " 3 ").ok());
    CHECK(set(broker, "log.segment.bytes", "2097152").ok());
    CHECK(set(broker, "log.flush.interval.messages", "1").ok());
    CHECK(set(broker, "message.max.bytes", "5000").ok());
    CHECK(set(broker, "min.insync.replicas", "2").ok());
    CHECK(set(broker, "unclean.leader.election.enable", "TRUE").ok());
    CHECK(set(broker, "log.dirs", "/a , /b,").ok());
    CHECK(broker.node_id == 3);
    CHECK(broker.topic.segment_bytes == 2'097'152);
    CHECK(broker.topic.flush_messages == 1);
    CHECK(broker.topic.max_message_bytes == 5'000);
    CHECK(broker.topic.min_insync_replicas == 2);
    CHECK(broker.topic.unclean_leader_election_enable);
    CHECK(broker.log_dirs == std::vector<std::string>{"/a", "/b"});
    CHECK(set(broker, "segment.bytes", "2097152").failure() == Failure::not_found);

    TopicOptions topic;
    CHECK(set(topic, "segment.bytes", "2097152").ok());
    CHECK(topic.effective_segment_bytes() == 2'097'152);
    CHECK(set(topic, "internal.segment.bytes", "100").ok());
    CHECK(topic.effective_segment_bytes() == 100);
    CHECK(set(topic, "log.segment.bytes", "2097152").failure() == Failure::not_found);
}

TEST_CASE("config: clients share their keys, and one name may mean two things") {
    ProducerOptions producer;
    CHECK(set(producer, "acks", "1").ok());
    CHECK(producer.acks == 1);
    CHECK(set(producer, "acks", "all").ok());
    CHECK(producer.acks == -1);
    CHECK(set(producer, "compression.type", "zstd").ok());
    CHECK(producer.compression_type == Compression::zstd);
    CHECK(set(producer, "metadata.max.age.ms", "7").ok());
    CHECK(producer.client.metadata_max_age_ms == 7);
    CHECK(set(producer, "fetch.min.bytes", "7").failure() == Failure::not_found);

    ConsumerOptions consumer;
    CHECK(set(consumer, "fetch.max.bytes", "10").ok());
    CHECK(set(consumer, "isolation.level", "read_committed").ok());
    CHECK(consumer.fetch_max_bytes == 10);
    CHECK(consumer.isolation_level == Isolation::read_committed);
    BrokerOptions broker;
    CHECK(set(broker, "fetch.max.bytes", "10").failure() == Failure::invalid);
}

TEST_CASE("config: a bad value is one sentence and changes nothing") {
    BrokerOptions broker;
    const auto sentence = [&](std::string_view key, std::string_view value) {
        const Status status = set(broker, key, value);
        return status.ok() ? std::string("accepted") : status.error().text;
    };
    CHECK(sentence("log.segment.bytes", "12") ==
          "segment.bytes=12 is not valid: expected an integer from 1048576 to 2147483647");
    CHECK(sentence("klamm.shards", "two") ==
          "klamm.shards=two is not valid: expected an integer from 1 to 64");
    CHECK(sentence("klamm.shards", "") ==
          "klamm.shards= is not valid: expected an integer from 1 to 64");
    CHECK(sentence("klamm.shards", "1x") ==
          "klamm.shards=1x is not valid: expected an integer from 1 to 64");
    CHECK(sentence("log.flush.interval.messages", "9223372036854775808") ==
          "flush.messages=9223372036854775808 is not valid: expected an integer from 1 up");
    CHECK(sentence("unclean.leader.election.enable", "yes") ==
          "unclean.leader.election.enable=yes is not valid: expected true or false");
    CHECK(sentence("compression.type", "brotli") ==
          "compression.type=brotli is not valid: expected one of producer, uncompressed, gzip, "
          "snappy, lz4, zstd");
    CHECK(sentence("no.such.key", "1") == "no.such.key is not a broker option");
    CHECK(broker == BrokerOptions{});
}

TEST_CASE("config: options that contradict each other are refused") {
    CHECK(check(BrokerOptions{}).ok());
    CHECK(check(ProducerOptions{}).ok());

    BrokerOptions broker;
    broker.replica_lag_time_max_ms = 499;
    CHECK(check(broker).failure() == Failure::invalid);
    broker = {};
    broker.queued_max_request_bytes = 1'000;
    CHECK(check(broker).failure() == Failure::invalid);
    broker = {};
    broker.log_dirs.clear();
    CHECK(check(broker).failure() == Failure::invalid);
    broker = {};
    broker.listeners.clear();
    CHECK(check(broker).failure() == Failure::invalid);

    ProducerOptions producer;
    producer.acks = 1;
    CHECK(check(producer).error().text == "enable.idempotence needs acks=all");
    producer.enable_idempotence = false;
    CHECK(check(producer).ok());
    producer = {};
    producer.retries = 0;
    CHECK(check(producer).failure() == Failure::invalid);
    producer = {};
    producer.max_in_flight_requests_per_connection = 6;
    CHECK(check(producer).failure() == Failure::invalid);
    producer = {};
    producer.delivery_timeout_ms = 30'004;
    CHECK(check(producer).failure() == Failure::invalid);
    producer = {};
    producer.linger_ms = never;
    CHECK(check(producer).failure() == Failure::invalid);
}

TEST_CASE("config: properties are read as Kafka reads them") {
    const auto pairs = parse_properties(
        "# a comment\n\n! another\nnode.id=1\n  listeners = PLAINTEXT://:9092,\\\n    B://:1 \n"
        "client.id=a b=c\r\nempty=\nnode.id=2");
    REQUIRE(pairs.ok());
    CHECK(*pairs == std::vector<KeyValue>{{"node.id", "1"},
                                          {"listeners", "PLAINTEXT://:9092,B://:1"},
                                          {"client.id", "a b=c"},
                                          {"empty", ""},
                                          {"node.id", "2"}});
    const auto bad = parse_properties("node.id=1\n\nnonsense\n");
    REQUIRE_FALSE(bad.ok());
    CHECK(bad.error().text == "line 3: \"nonsense\" is not key=value");
    CHECK_FALSE(parse_key_value("=1").ok());
}

TEST_CASE("config: hostile options are lawful, differ, and depend on nothing but seed and entity") {
    std::set<std::int64_t> flushes, shards, segments, acks;
    for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
        INFO(seed);
        const HostileOptions options = draw_hostile(Draws(seed), 1);
        REQUIRE(options == draw_hostile(Draws(seed), 1));
        REQUIRE(check(options.broker).ok());
        REQUIRE(check(options.producer).ok());
        REQUIRE(options.broker.broker_heartbeat_interval_ms * 2 <=
                options.broker.broker_session_timeout_ms);
        REQUIRE(options.consumer.fetch_max_wait_ms <= options.consumer.client.request_timeout_ms);
        REQUIRE(options.producer.batch_size <= options.topic.effective_segment_bytes() / 2);
        All all{options};
        for (const Row& row : table()) {
            if (row.type == Type::text || row.type == Type::list) continue;
            INFO(row.name);
            REQUIRE(parse_value(row, print_value(row, row.load(all.owners))).ok());
        }
        flushes.insert(options.topic.flush_messages);
        shards.insert(options.broker.shards);
        segments.insert(options.topic.effective_segment_bytes());
        acks.insert(options.producer.acks);
    }
    CHECK(flushes == std::set<std::int64_t>{1, 2, 10, never});
    CHECK(shards == std::set<std::int64_t>{1, 2, 3});
    CHECK(acks == std::set<std::int64_t>{-1, 0, 1});
    CHECK(segments.count(1'024) == 1);
    CHECK_FALSE(draw_hostile(Draws(1), 1) == draw_hostile(Draws(1), 2));
}

TEST_CASE("config: core/config/OPTIONS.md is what the table prints") {
    const std::string printed = document();
    for (const Row& row : table()) {
        INFO(row.name);
        CHECK(printed.find("| `" + std::string(row.name) + "` |") != std::string::npos);
        CHECK(printed.find(std::string(row.sentence)) != std::string::npos);
    }
    const std::string fresh = KLAMM_BINARY_DIR "/OPTIONS.md";
    std::ofstream(fresh) << printed;
    std::stringstream kept;
    kept << std::ifstream(KLAMM_SOURCE_DIR "/core/config/OPTIONS.md").rdbuf();
    INFO("to renew it: cp " << fresh << " " << KLAMM_SOURCE_DIR << "/core/config/OPTIONS.md");
    CHECK((kept.str() == printed));
}

TEST_CASE("config: cleanup policies in either order, ratios in millionths, hours give way to ms") {
    TopicOptions topic;
    REQUIRE(set(topic, "cleanup.policy", "compact,delete").ok());
    REQUIRE(topic.compacts());
    REQUIRE(topic.deletes());
    REQUIRE(set(topic, "cleanup.policy", "delete,compact").ok());
    REQUIRE(topic.cleanup_policy == CleanupPolicy::compact_and_delete);
    REQUIRE(set(topic, "cleanup.policy", "compact").ok());
    REQUIRE_FALSE(topic.deletes());
    REQUIRE_FALSE(set(topic, "cleanup.policy", "shrink").ok());
    for (const auto& [text, millionths] :
         {std::pair("0.01", 10'000), {"0.5", 500'000}, {"1", 1'000'000}, {"0.0000019", 1}}) {
        REQUIRE(set(topic, "min.cleanable.dirty.ratio", text).ok());
        REQUIRE(topic.min_cleanable_dirty_ratio.millionths == millionths);
    }
    for (const char* text : {"1.1", "-0.1", "", ".", "0.5x", "99999999999999999999"})
        REQUIRE_FALSE(set(topic, "min.cleanable.dirty.ratio", text).ok());

    BrokerOptions broker;
    REQUIRE(broker.topic_defaults() == broker.topic);
    REQUIRE(set(broker, "log.retention.hours", "2").ok());
    REQUIRE(broker.topic_defaults().retention_ms == 7'200'000);
    REQUIRE(set(broker, "log.retention.minutes", "3").ok());
    REQUIRE(broker.topic_defaults().retention_ms == 180'000);
    REQUIRE(set(broker, "log.retention.ms", "5").ok());
    REQUIRE(broker.topic_defaults().retention_ms == 5);
    REQUIRE(set(broker, "log.roll.hours", "1").ok());
    REQUIRE(broker.topic_defaults().segment_ms == 3'600'000);
}
