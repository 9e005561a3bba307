// Topics as an administrator asks for them: placement by its promises over drawn clusters, names,
// refusals in Kafka's words, and dynamic configurations with what they do to the ELR.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include <set>

#include "core/controller/config_control.h"
#include "tests/controller/cluster.h"

using namespace klamm;
using namespace klamm::controller;

namespace {

Turn turn_of(std::uint64_t seed) {
    return {.now = Instant{}, .wall = Timestamp(0), .draws = Draws(seed)};
}

/// Knows two keys of topics: a number and a list.
class TwoKeys final : public ConfigRules {
  public:
    [[nodiscard]] std::optional<std::string> problem(metadata::ResourceType, bool,
                                                     const ConfigValues& values) const override {
        for (const auto& [key, value] : values)
            if (key != "min.insync.replicas" && key != "cleanup.policy" &&
                key != "unclean.leader.election.enable")
                return "Unknown topic config name: " + key;
        return std::nullopt;
    }
    [[nodiscard]] bool is_list(metadata::ResourceType, const std::string& key) const override {
        return key == "cleanup.policy";
    }
    [[nodiscard]] std::string default_of(metadata::ResourceType,
                                         const std::string&) const override {
        return "delete";
    }
};

ConfigChanges change(std::int8_t type, std::string name, std::string key, ConfigOperation operation,
                     std::optional<std::string> value) {
    return {type, std::move(name), {{std::move(key), operation, std::move(value)}}};
}

template <class T>
const T* find_change(const Decisions& decisions) {
    for (const Decided& decided : decisions)
        if (const auto* found = std::get_if<T>(&decided.change)) return found;
    return nullptr;
}

}  // namespace

TEST_CASE("placement: what holds of every one, over drawn clusters") {
    rc::check("distinct brokers, an active one first, as many racks as can be", [] {
        const auto count = *rc::gen::inRange(1, 13);
        const auto racks = *rc::gen::inRange(1, 5);
        std::vector<UsableBroker> brokers;
        std::set<std::optional<std::string>> all_racks;
        for (int i = 0; i < count; ++i) {
            UsableBroker broker{BrokerId(i * 3), std::nullopt,
                                *rc::gen::weightedElement<bool>({{4, false}, {1, true}})};
            if (racks > 1) broker.rack = "r" + std::to_string(*rc::gen::inRange(0, racks));
            all_racks.insert(broker.rack);
            brokers.push_back(broker);
        }
        brokers.front().fenced = false;
        const auto factor = *rc::gen::inRange(1, count + 1);
        const auto partitions = *rc::gen::inRange<std::size_t>(1, 40);
        const Placement placed =
            place_replicas(brokers, partitions, factor, Draws(*rc::gen::arbitrary<std::uint64_t>()),
                           *rc::gen::arbitrary<std::uint64_t>());
        RC_ASSERT(placed.answer.ok());
        RC_ASSERT(placed.replicas.size() == partitions);
        for (const BrokerIds& replicas : placed.replicas) {
            RC_ASSERT(replicas.size() == static_cast<std::size_t>(factor));
            std::set<BrokerId> distinct(replicas.begin(), replicas.end());
            RC_ASSERT(distinct.size() == replicas.size());
            std::set<std::optional<std::string>> used;
            for (const BrokerId id : replicas)
                for (const UsableBroker& broker : brokers)
                    if (broker.id == id) {
                        used.insert(broker.rack);
                        if (id == replicas.front()) RC_ASSERT(!broker.fenced);
                    }
            RC_ASSERT(used.size() == std::min(all_racks.size(), replicas.size()));
        }
    });
}

TEST_CASE("placement: brokers that are alike carry alike") {
    rc::check("without racks and fences, replicas and leaders differ by one in a round", [] {
        const auto count = *rc::gen::inRange(1, 10);
        std::vector<UsableBroker> brokers;
        for (int i = 0; i < count; ++i) brokers.push_back({BrokerId(i), std::nullopt, false});
        const auto factor = *rc::gen::inRange(1, count + 1);
        const auto rounds = *rc::gen::inRange(1, 4);
        const Placement placed =
            place_replicas(brokers, static_cast<std::size_t>(rounds * count), factor,
                           Draws(*rc::gen::arbitrary<std::uint64_t>()), 7);
        std::map<BrokerId, int> leads;
        std::map<BrokerId, int> holds;
        for (const BrokerIds& replicas : placed.replicas) {
            ++leads[replicas.front()];
            for (const BrokerId id : replicas) ++holds[id];
        }
        for (int i = 0; i < count; ++i) {
            RC_ASSERT(leads[BrokerId(i)] == rounds);
            RC_ASSERT(holds[BrokerId(i)] == rounds * factor);
        }
    });
}

TEST_CASE("placement: the stripes of Kafka's own example, and starts that are drawn") {
    // Racks A, B, C with three brokers each: each partition begins one rack further, and each rack
    // one broker further.
    std::vector<UsableBroker> brokers;
    for (int i = 0; i < 9; ++i)
        brokers.push_back({BrokerId(i), std::string(1, static_cast<char>('A' + i / 3)), false});
    std::set<BrokerId> firsts;
    for (std::uint64_t entity = 0; entity < 40; ++entity) {
        const auto placed = place_replicas(brokers, 3, 3, Draws(5), entity).replicas;
        firsts.insert(placed[0][0]);
        for (int p = 1; p < 3; ++p) {
            CHECK(placed[p][0].value / 3 == (placed[p - 1][0].value / 3 + 1) % 3);
            for (int rack = 0; rack < 3; ++rack) {
                const auto of = [&](const BrokerIds& replicas) {
                    for (const BrokerId id : replicas)
                        if (id.value / 3 == rack) return id.value % 3;
                    return -1;
                };
                CHECK(of(placed[p]) == (of(placed[p - 1]) + 1) % 3);
            }
        }
    }
    CHECK(firsts.size() == 9);
    CHECK(place_replicas(brokers, 3, 3, Draws(5), 1).replicas ==
          place_replicas(brokers, 3, 3, Draws(5), 1).replicas);
}

TEST_CASE("placement: refused in Kafka's words") {
    std::vector<UsableBroker> brokers{{BrokerId(1), std::nullopt, false}};
    CHECK(place_replicas(brokers, 1, 2, Draws(1), 1).answer.text ==
          "The target replication factor of 2 cannot be reached because only 1 broker(s) are "
          "registered.");
    brokers[0].fenced = true;
    CHECK(place_replicas(brokers, 1, 1, Draws(1), 1).answer.text ==
          "All brokers are currently fenced.");
    CHECK(place_replicas({}, 1, 1, Draws(1), 1).answer.error ==
          ErrorCode::invalid_replication_factor);
}

TEST_CASE("topics: made with a leader and an ISR of those that are active") {
    Cluster cluster(true);
    cluster.fence(2);
    const auto outcome =
        new_topic(turn_of(3), cluster.image, {"orders", 4, 3, {}}, {}, cluster.image.offset() + 1);
    REQUIRE(outcome.answer.ok());
    CHECK(outcome.partitions == 4);
    CHECK(outcome.replication_factor == 3);
    cluster.put(outcome.topic);
    cluster.put(outcome.partition_decisions);
    REQUIRE(cluster.image.topic(outcome.id) != nullptr);
    for (const auto& [index, partition] : cluster.image.topic(outcome.id)->partitions) {
        CHECK(partition.replicas.size() == 3);
        CHECK(metadata::sorted(partition.isr) == ids({1, 3}));
        CHECK(partition.leader == partition.replicas.front());
        CHECK(partition.leader != BrokerId(2));
    }
    // A name that is gone may come back: its id is another.
    cluster.put(delete_topics(cluster.image, {{"orders", Uuid{}}}).decisions);
    const auto again =
        new_topic(turn_of(3), cluster.image, {"orders", 4, 3, {}}, {}, cluster.image.offset() + 1);
    CHECK(again.id != outcome.id);
}

TEST_CASE("topics: what is refused, and in which words") {
    Cluster cluster(true);
    const auto answer = [&](const NewTopic& topic) {
        return new_topic(turn_of(1), cluster.image, topic, {2, 3}, 100).answer;
    };
    CHECK(answer({"fine", -1, -1, {}}).ok());
    CHECK(answer({"t", 1, 1, {}}) ==
          Answer{ErrorCode::topic_already_exists, "Topic 't' already exists."});
    CHECK(answer({"a/b", 1, 1, {}}) ==
          Answer{ErrorCode::invalid_topic_exception,
                 "Topic name is invalid: 'a/b' contains one or more characters other than ASCII "
                 "alphanumerics, '.', '_' and '-'"});
    CHECK(answer({"..", 1, 1, {}}).text == "Topic name is invalid: '..' is not allowed");
    CHECK(answer({"", 1, 1, {}}).text == "Topic name is invalid: the empty string is not allowed");
    CHECK(answer({std::string(250, 'x'), 1, 1, {}}).error == ErrorCode::invalid_topic_exception);
    cluster.put(metadata::TopicCreated{uuid_from_halves(4, 4), "a.b"});
    CHECK(answer({"a_b", 1, 1, {}}) == Answer{ErrorCode::invalid_topic_exception,
                                              "Topic 'a_b' collides with existing topic: a.b"});
    CHECK(answer({"x", 0, 1, {}}) ==
          Answer{ErrorCode::invalid_partitions,
                 "Number of partitions was set to an invalid non-positive value."});
    CHECK(answer({"x", 1, 0, {}}).error == ErrorCode::invalid_replication_factor);
    CHECK(answer({"x", 1, 4, {}}).text ==
          "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot "
          "be reached because only 3 broker(s) are registered.");
    CHECK(answer({"x", 10'001, 1, {}}) == too_many_records());
    SECTION("assignments by hand") {
        CHECK(answer({"x", -1, -1, {{0, ids({3, 1})}, {1, ids({1, 2})}}}).ok());
        CHECK(answer({"x", 1, -1, {{0, ids({1})}}}).error == ErrorCode::invalid_request);
        CHECK(answer({"x", -1, 1, {{0, ids({1})}}}).error == ErrorCode::invalid_request);
        const auto wrong = [&](std::vector<std::pair<std::int32_t, BrokerIds>> assignments) {
            const Answer refused = answer({"x", -1, -1, std::move(assignments)});
            CHECK(refused.error == ErrorCode::invalid_replica_assignment);
            return refused.text.value_or("");
        };
        CHECK(wrong({{1, ids({1})}}) ==
              "partitions should be a consecutive 0-based integer sequence");
        CHECK(wrong({{0, ids({1})}, {0, ids({2})}}) ==
              "Found multiple manual partition assignments for partition 0");
        CHECK(wrong({{0, ids({})}}) ==
              "The manual partition assignment includes an empty replica list.");
        CHECK(wrong({{0, ids({1, 1})}}) ==
              "The manual partition assignment includes the broker 1 more than once.");
        CHECK(wrong({{0, ids({9})}}) ==
              "The manual partition assignment includes broker 9, but no such broker is "
              "registered.");
        CHECK(wrong({{0, ids({1, 2})}, {1, ids({1})}}) ==
              "The manual partition assignment includes a partition with 1 replica(s), but this is "
              "not consistent with previous partitions, which have 2 replica(s).");
        cluster.fence(2);
        CHECK(wrong({{0, ids({2})}}) ==
              "All brokers specified in the manual partition assignment for partition 0 are fenced "
              "or in controlled shutdown.");
    }
}

TEST_CASE("topics: more partitions") {
    Cluster cluster(true);
    const auto more = [&](MorePartitions request) {
        return more_partitions(turn_of(1), cluster.image, request, 100);
    };
    CHECK(more({"gone", 2, std::nullopt}).answer.error == ErrorCode::unknown_topic_or_partition);
    CHECK(more({"t", 1, std::nullopt}).answer ==
          Answer{ErrorCode::invalid_partitions, "Topic already has 1 partition(s)."});
    CHECK(more({"t", 0, std::nullopt}).answer.text ==
          "The topic t currently has 1 partition(s); 0 would not be an increase.");
    CHECK(more({"t", 3, std::vector<BrokerIds>{ids({1, 2, 3})}}).answer.text ==
          "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.");
    CHECK(more({"t", 2, std::vector<BrokerIds>{ids({1, 2})}}).answer.error ==
          ErrorCode::invalid_replica_assignment);
    const AdminOutcome outcome = more({"t", 4, std::nullopt});
    REQUIRE(outcome.answer.ok());
    cluster.put(outcome.decisions);
    const auto& partitions = cluster.image.topic(test_topic)->partitions;
    CHECK(partitions.size() == 4);
    CHECK(partitions.rbegin()->first == PartitionIndex(3));
    CHECK(partitions.rbegin()->second.replicas.size() == 3);
}

TEST_CASE("topics: deleted by name or by id, never by both, never twice") {
    Cluster cluster(true);
    const auto only = [&](std::vector<TopicToDelete> topics) {
        const DeleteOutcome outcome = delete_topics(cluster.image, topics);
        REQUIRE(outcome.topics.size() == 1);
        CHECK(outcome.topics[0].answer.ok() == !outcome.decisions.empty());
        return outcome.topics[0].answer;
    };
    CHECK(only({{"gone", Uuid{}}}).error == ErrorCode::unknown_topic_or_partition);
    CHECK(only({{std::nullopt, uuid_from_halves(5, 5)}}).error == ErrorCode::unknown_topic_id);
    CHECK(only({{std::nullopt, Uuid{}}}).text == "Neither topic name nor id were specified.");
    CHECK(only({{"t", test_topic}}).text == "You may not specify both topic name and topic id.");
    CHECK(only({{"t", Uuid{}}, {"t", Uuid{}}}).text == "Duplicate topic name.");
    CHECK(only({{"t", Uuid{}}, {std::nullopt, test_topic}}).text ==
          "The provided topic name maps to an ID that was already supplied.");
    CHECK(only({{std::nullopt, test_topic}}).ok());
    cluster.put(delete_topics(cluster.image, {{"t", Uuid{}}}).decisions);
    CHECK(cluster.image.topic(test_topic) == nullptr);
    CHECK(cluster.image.configs().empty());
}

TEST_CASE("configs: set, removed, appended to, subtracted from, whole or not at all") {
    Cluster cluster(true);
    const TwoKeys rules;
    const auto alter = [&](ConfigChanges changes, bool replaces = false) {
        ConfigOutcome outcome = alter_configs(rules, cluster.image, {changes}, replaces);
        cluster.put(outcome.decisions);
        return outcome.answers.at(0);
    };
    const auto value = [&](const std::string& key) -> std::string {
        const std::string* found = cluster.image.topic_config("t", key);
        return found == nullptr ? "-" : *found;
    };
    using Op = ConfigOperation;
    CHECK(alter(change(2, "t", "cleanup.policy", Op::append, "compact")).ok());
    CHECK(value("cleanup.policy") == "delete,compact");
    CHECK(alter(change(2, "t", "cleanup.policy", Op::subtract, "delete")).ok());
    CHECK(value("cleanup.policy") == "compact");
    CHECK(alter(change(2, "t", "min.insync.replicas", Op::append, "1")).text ==
          "Can't APPEND to key min.insync.replicas because its type is not LIST.");
    CHECK(alter(change(2, "t", "colour", Op::set, "red")) ==
          Answer{ErrorCode::invalid_config, "Unknown topic config name: colour"});
    CHECK(alter(change(2, "t", "cleanup.policy", Op::set, std::nullopt)).text ==
          "Null value not supported for : cleanup.policy");
    CHECK(alter(change(2, "gone", "cleanup.policy", Op::set, "compact")).text ==
          "The topic 'gone' does not exist.");
    CHECK(alter(change(4, "9", "cleanup.policy", Op::set, "compact")).text ==
          "No node with id 9 found.");
    CHECK(alter(change(4, "x", "cleanup.policy", Op::set, "compact")).error ==
          ErrorCode::invalid_request);
    CHECK(alter(change(7, "t", "cleanup.policy", Op::set, "compact")).error ==
          ErrorCode::invalid_request);
    // One wrong key, and nothing of the resource is taken.
    ConfigChanges two = change(2, "t", "cleanup.policy", Op::set, "delete");
    two.changes.push_back({"colour", Op::set, "red"});
    CHECK_FALSE(alter(two).ok());
    CHECK(value("cleanup.policy") == "compact");
    two.changes[1] = two.changes[0];
    CHECK(alter(two).text == "Error due to duplicate config keys");
    // The old way: what is not named goes.
    CHECK(alter(change(2, "t", "min.insync.replicas", Op::set, "2"), true).ok());
    CHECK(value("cleanup.policy") == "-");
    CHECK(value("min.insync.replicas") == "2");
    const ConfigOutcome twice = alter_configs(rules, cluster.image,
                                              {change(2, "t", "cleanup.policy", Op::set, "compact"),
                                               change(2, "t", "cleanup.policy", Op::set, "delete")},
                                              false);
    CHECK(twice.answers[1].text == "Each resource must appear at most once.");
    CHECK(twice.decisions.empty());
}

TEST_CASE("configs: another min.insync.replicas clears ELRs, and is the cluster's with ELR on") {
    using Op = ConfigOperation;
    const TwoKeys rules;
    const auto alter = [&](const Cluster& cluster, const ConfigChanges& changes) {
        return alter_configs(rules, cluster.image, {changes}, false);
    };
    const auto min_isr = [](std::string name, std::int8_t type, std::optional<std::string> value) {
        return change(type, std::move(name), "min.insync.replicas", value ? Op::set : Op::remove,
                      value);
    };
    Cluster on(true, 2);
    on.fence(2);
    on.fence(3);
    REQUIRE_FALSE(on.partition().elr.empty());
    const ConfigOutcome same = alter(on, min_isr("t", 2, "2"));
    CHECK(same.decisions.empty());
    const ConfigOutcome topic = alter(on, min_isr("t", 2, "1"));
    REQUIRE(find_change<metadata::ElrCleared>(topic.decisions) != nullptr);
    CHECK(find_change<metadata::ElrCleared>(topic.decisions)->topic == "t");
    const ConfigOutcome all = alter(on, min_isr("", 4, "1"));
    REQUIRE(find_change<metadata::ElrCleared>(all.decisions) != nullptr);
    CHECK(find_change<metadata::ElrCleared>(all.decisions)->topic.empty());
    on.put(all.decisions);
    CHECK(on.partition().elr.empty());
    CHECK(alter(on, min_isr("", 4, std::nullopt)).answers[0].text ==
          "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    CHECK(alter(on, min_isr("1", 4, "2")).answers[0].text ==
          "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    Cluster off(false, 2);
    CHECK(find_change<metadata::ElrCleared>(alter(off, min_isr("t", 2, "1")).decisions) == nullptr);
    CHECK(alter(off, min_isr("1", 4, "2")).answers[0].ok());
    CHECK(alter(off, change(2, "t", "unclean.leader.election.enable", Op::set, "true")).elects);
}

TEST_CASE("brokers: one that is unregistered leads nothing, and is gone") {
    Cluster cluster(true);
    CHECK(unregister_broker(cluster.image, BrokerId(9)).answer ==
          Answer{ErrorCode::broker_id_not_registered, "Broker ID 9 is not currently registered"});
    cluster.put(unregister_broker(cluster.image, BrokerId(1)).decisions);
    CHECK(cluster.image.broker(BrokerId(1)) == nullptr);
    CHECK(cluster.partition().leader == BrokerId(2));
    CHECK(cluster.partition().isr == ids({2, 3}));
}
