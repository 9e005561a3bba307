#pragma once
// A cluster image for tests: brokers 1 to 3, registered and active, and topic "t" with one
// partition on all of them.

#include "core/controller/partition_control.h"

namespace klamm::controller {

inline const Uuid test_topic = uuid_from_halves(1, 2);
inline const TopicPartition test_partition{test_topic, PartitionIndex(0)};

inline BrokerIds ids(std::initializer_list<int> numbers) {
    BrokerIds brokers;
    for (const int number : numbers) brokers.push_back(BrokerId(number));
    return brokers;
}

struct Cluster {
    ClusterImage image;

    explicit Cluster(bool elr, int min_isr = 2, bool unclean = false) {
        for (int i = 1; i <= 3; ++i) {
            metadata::BrokerRegistered registered;
            registered.broker = BrokerId(i);
            registered.incarnation = uuid_from_halves(7, static_cast<std::uint64_t>(i));
            registered.epoch = BrokerEpoch(image.offset() + 1);
            registered.fenced = false;
            put(registered);
        }
        if (elr) put(metadata::FeatureSet{std::string(metadata::elr_feature), 1});
        put(create_topic(image, test_topic, "t", {ids({1, 2, 3})}));
        config("min.insync.replicas", std::to_string(min_isr));
        config("unclean.leader.election.enable", unclean ? "true" : "false");
    }

    void put(const metadata::Change& change) {
        const Status applied = image.apply(change, image.offset() + 1);
        KLAMM_ASSERT(applied.ok());
    }
    void put(const Decisions& decisions) {
        for (const Decided& decided : decisions) put(decided.change);
    }
    void config(const std::string& key, const std::string& value) {
        put(metadata::ConfigSet{{metadata::ResourceType::topic, "t"}, key, value});
    }
    [[nodiscard]] const metadata::PartitionImage& partition() const {
        return *image.partition(test_partition);
    }
    void fence(int broker) { put(fence_broker(image, BrokerId(broker))); }
    void unfence(int broker) { put(unfence_broker(image, BrokerId(broker))); }
    /// A new incarnation registers, fenced.
    void register_again(int broker, bool proven) {
        put(end_incarnation(image, BrokerId(broker), proven));
        metadata::BrokerRegistered registered;
        registered.broker = BrokerId(broker);
        registered.epoch = BrokerEpoch(image.offset() + 1);
        registered.incarnation =
            uuid_from_halves(8, static_cast<std::uint64_t>(registered.epoch.value));
        put(registered);
    }
    [[nodiscard]] AlterPartition alter(std::initializer_list<int> isr) const {
        AlterPartition request;
        request.partition = test_partition;
        request.broker = partition().leader;
        request.leader_epoch = partition().leader_epoch;
        request.partition_epoch = partition().partition_epoch;
        for (const int member : isr)
            request.isr.push_back({BrokerId(member), image.broker(BrokerId(member))->epoch});
        return request;
    }
    [[nodiscard]] BrokerEpoch epoch_of(BrokerId broker) const {
        return image.broker(broker)->epoch;
    }
};

}  // namespace klamm::controller
