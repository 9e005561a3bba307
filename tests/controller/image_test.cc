// The image, and the records that carry its changes.

#include "core/metadata/image.h"

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/metadata/change_records.h"
#include "core/metadata/image_records.h"
#include "tests/controller/cluster.h"

namespace {

using namespace klamm;
using namespace klamm::metadata;

BrokerIds some_brokers() {
    BrokerIds brokers;
    for (const int id : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 9)))
        brokers.push_back(BrokerId(id));
    return brokers;
}

std::optional<BrokerIds> maybe_brokers() {
    if (*rc::gen::arbitrary<bool>()) return std::nullopt;
    return some_brokers();
}

std::string some_text() { return *rc::gen::container<std::string>(rc::gen::inRange('a', 'z')); }

Change some_change() {
    const TopicPartition id{uuid_from_halves(*rc::gen::arbitrary<std::uint64_t>(), 3),
                            PartitionIndex(*rc::gen::inRange(0, 9))};
    const BrokerId broker(*rc::gen::inRange(0, 9));
    const BrokerEpoch epoch(*rc::gen::inRange(0, 1000));
    const bool yes = *rc::gen::arbitrary<bool>();
    switch (*rc::gen::inRange(0, 10)) {
        case 0: {
            BrokerRegistered change{broker, id.topic, epoch, {}, {}, yes, !yes, {id.topic}};
            change.endpoints.push_back({"PLAINTEXT", some_text(), 9092, 0});
            if (yes) change.rack = some_text();
            return change;
        }
        case 1: {
            BrokerChanged change{broker, epoch, std::nullopt, yes};
            if (*rc::gen::arbitrary<bool>()) change.fenced = *rc::gen::arbitrary<bool>();
            return change;
        }
        case 2: return BrokerUnregistered{broker, epoch};
        case 3: return TopicCreated{id.topic, some_text()};
        case 4: return TopicRemoved{id.topic};
        case 5:
            return PartitionCreated{
                id,
                some_brokers(),
                some_brokers(),
                some_brokers(),
                some_brokers(),
                broker,
                LeaderEpoch(4),
                PartitionEpoch(7),
                yes ? LeaderRecoveryState::recovering : LeaderRecoveryState::recovered,
                {id.topic},
                some_brokers(),
                some_brokers()};
        case 6: {
            PartitionChanged change;
            change.partition = id;
            change.isr = maybe_brokers();
            if (yes) change.leader = *rc::gen::arbitrary<bool>() ? broker : no_broker;
            change.replicas = maybe_brokers();
            if (*rc::gen::arbitrary<bool>()) change.recovery = LeaderRecoveryState::recovered;
            change.elr = maybe_brokers();
            change.last_known_elr = maybe_brokers();
            change.removing = maybe_brokers();
            change.adding = maybe_brokers();
            return change;
        }
        case 7: {
            ConfigSet change{{yes ? ResourceType::topic : ResourceType::broker, some_text()},
                             some_text(),
                             std::nullopt};
            if (*rc::gen::arbitrary<bool>()) change.value = some_text();
            return change;
        }
        case 8: return FeatureSet{some_text(), 1};
        default: return ElrCleared{some_text()};
    }
}

}  // namespace

TEST_CASE("changes: out in a frame and back they are the same") {
    rc::prop("round trip", [] {
        const Change change = some_change();
        const auto decoded = decode_change(encode_change(change));
        RC_ASSERT(decoded.ok());
        RC_ASSERT(decoded->has_value());
        RC_ASSERT(**decoded == change);
    });
}

TEST_CASE("changes: records that the image does not keep make none") {
    const auto decoded = decode_change(encode_record(NoOpRecord{}));
    REQUIRE(decoded.ok());
    CHECK_FALSE(decoded->has_value());
    CHECK_FALSE(decode_change({}).ok());
}

TEST_CASE("image: what is not there cannot be changed, and nothing changes by trying") {
    controller::Cluster cluster(true);
    ClusterImage image = cluster.image;
    const std::int64_t next = image.offset() + 1;
    CHECK_FALSE(image.apply(BrokerChanged{BrokerId(9), BrokerEpoch(0), true, false}, next).ok());
    CHECK_FALSE(image.apply(BrokerChanged{BrokerId(1), BrokerEpoch(77), true, false}, next).ok());
    CHECK_FALSE(image.apply(BrokerUnregistered{BrokerId(9), BrokerEpoch(0)}, next).ok());
    CHECK_FALSE(image.apply(TopicCreated{uuid_from_halves(5, 5), "t"}, next).ok());
    CHECK_FALSE(image.apply(TopicRemoved{uuid_from_halves(5, 5)}, next).ok());
    CHECK_FALSE(image.apply(ElrCleared{"nobody"}, next).ok());
    PartitionChanged change;
    change.partition = {controller::test_topic, PartitionIndex(4)};
    CHECK_FALSE(image.apply(change, next).ok());
    CHECK_FALSE(image.apply(TopicCreated{uuid_from_halves(5, 5), "u"}, image.offset()).ok());
    CHECK(image == cluster.image);
}

TEST_CASE("image: each change raises the partition epoch, a named leader the leader epoch") {
    controller::Cluster cluster(true);
    PartitionChanged change;
    change.partition = controller::test_partition;
    change.isr = controller::ids({1, 2});
    cluster.put(change);
    CHECK(cluster.partition().partition_epoch == PartitionEpoch(1));
    CHECK(cluster.partition().leader_epoch == LeaderEpoch(0));
    change.leader = BrokerId(1);
    cluster.put(change);
    CHECK(cluster.partition().partition_epoch == PartitionEpoch(2));
    CHECK(cluster.partition().leader_epoch == LeaderEpoch(1));
}

TEST_CASE("image: a topic's own configuration comes before the one for all brokers") {
    controller::Cluster cluster(true, 2);
    cluster.put(ConfigSet{{ResourceType::broker, ""}, "min.insync.replicas", "3"});
    cluster.put(ConfigSet{{ResourceType::broker, ""}, "log.flush.interval.messages", "7"});
    CHECK(cluster.image.min_insync_replicas(controller::test_topic) == 2);
    CHECK(cluster.image.flush_messages(controller::test_topic) == 7);
    cluster.put(ConfigSet{{ResourceType::topic, "t"}, "min.insync.replicas", std::nullopt});
    CHECK(cluster.image.min_insync_replicas(controller::test_topic) == 3);
    cluster.config("flush.messages", "1");
    CHECK(cluster.image.flush_messages(controller::test_topic) == 1);
    cluster.config("min.insync.replicas", "nonsense");
    CHECK(cluster.image.min_insync_replicas(controller::test_topic) == 1);
}

TEST_CASE("image: a removed topic takes its configuration with it") {
    controller::Cluster cluster(true);
    cluster.put(TopicRemoved{controller::test_topic});
    CHECK(cluster.image.topics().empty());
    CHECK_FALSE(cluster.image.topic_id("t").has_value());
    CHECK(cluster.image.configs().empty());
    CHECK(cluster.image.effective_min_isr(controller::test_partition) == 0);
}

TEST_CASE("image: its records make it again, through their bytes and in any state it can have") {
    rc::prop("drawn changes, those that apply", [] {
        ClusterImage image = controller::Cluster(*rc::gen::arbitrary<bool>()).image;
        const auto count = *rc::gen::inRange(0, 60);
        for (int i = 0; i < count; ++i) {
            Change change = some_change();
            if (auto* created = std::get_if<PartitionCreated>(&change))
                created->partition.topic = controller::test_topic;
            if (auto* changed = std::get_if<PartitionChanged>(&change))
                changed->partition.topic = controller::test_topic;
            (void)image.apply(change, image.offset() + 1);
        }
        const auto all_of = [](const ClusterImage& of) {
            std::vector<Change> all;
            ImageRecords records(of);
            while (auto change = records.next()) all.push_back(std::move(*change));
            return all;
        };
        const std::vector<Change> records = all_of(image);
        ClusterImage again;
        for (const Change& change : records) {
            const auto read = decode_change(encode_change(change));
            RC_ASSERT(read.ok() && read->has_value());
            RC_ASSERT(again.restore(**read, image.offset()).ok());
        }
        RC_ASSERT(again.topics() == image.topics());
        RC_ASSERT(again.features() == image.features());
        RC_ASSERT(again.configs() == image.configs());
        RC_ASSERT(all_of(again) == records);
        RC_ASSERT(records.empty() || again.offset() == image.offset());
    });
}
