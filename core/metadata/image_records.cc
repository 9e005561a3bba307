#include "core/metadata/image_records.h"

#include <utility>

namespace klamm::metadata {

ImageRecords::ImageRecords(ClusterImage image)
    : image_(std::move(image)),
      feature_(image_.features().begin()),
      broker_(image_.brokers().begin()),
      topic_(image_.topics().begin()),
      resource_(image_.configs().begin()) {}

std::optional<Change> ImageRecords::next() {
    // Features first: they say what the rest means (Kafka's order, too).
    if (feature_ != image_.features().end()) {
        const auto& [name, level] = *feature_++;
        return FeatureSet{name, level};
    }
    if (broker_ != image_.brokers().end()) {
        const auto& [id, broker] = *broker_++;
        return BrokerRegistered{.broker = id,
                                .incarnation = broker.incarnation,
                                .epoch = broker.epoch,
                                .endpoints = broker.endpoints,
                                .rack = broker.rack,
                                .fenced = broker.fenced,
                                .in_controlled_shutdown = broker.in_controlled_shutdown,
                                .log_dirs = broker.log_dirs};
    }
    if (auto change = next_partition()) return change;
    while (resource_ != image_.configs().end()) {
        if (!in_resource_) config_ = resource_->second.begin();
        in_resource_ = true;
        if (config_ != resource_->second.end()) {
            const auto& [key, value] = *config_++;
            return ConfigSet{resource_->first, key, value};
        }
        in_resource_ = false;
        ++resource_;
    }
    return std::nullopt;
}

/// A topic, then its partitions.
std::optional<Change> ImageRecords::next_partition() {
    while (topic_ != image_.topics().end()) {
        const auto& [id, topic] = *topic_;
        if (!in_topic_) {
            in_topic_ = true;
            partition_ = topic.partitions.begin();
            return TopicCreated{id, topic.name};
        }
        if (partition_ != topic.partitions.end()) {
            const auto& [index, partition] = *partition_++;
            return PartitionCreated{.partition = {id, index},
                                    .replicas = partition.replicas,
                                    .isr = partition.isr,
                                    .elr = partition.elr,
                                    .last_known_elr = partition.last_known_elr,
                                    .leader = partition.leader,
                                    .leader_epoch = partition.leader_epoch,
                                    .partition_epoch = partition.partition_epoch,
                                    .recovery = partition.recovery,
                                    .directories = partition.directories,
                                    .removing = partition.removing,
                                    .adding = partition.adding};
        }
        in_topic_ = false;
        ++topic_;
    }
    return std::nullopt;
}

}  // namespace klamm::metadata
