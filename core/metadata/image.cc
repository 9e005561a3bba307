#include "core/metadata/image.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace klamm::metadata {

namespace {

Error invalid(std::string text) { return {Failure::invalid, std::move(text)}; }

/// The integer that `text` spells, or `otherwise`.
std::int64_t integer_or(const std::string* text, std::int64_t otherwise) {
    if (text == nullptr) return otherwise;
    std::int64_t value = 0;
    const char* end = text->data() + text->size();
    const auto [at, error] = std::from_chars(text->data(), end, value);
    return error == std::errc{} && at == end ? value : otherwise;
}

}  // namespace

PartitionImage merge(const PartitionImage& partition, const PartitionChanged& change) {
    PartitionImage next = partition;
    if (change.isr) next.isr = *change.isr;
    if (change.replicas) next.replicas = *change.replicas;
    if (change.elr) next.elr = *change.elr;
    if (change.last_known_elr) next.last_known_elr = *change.last_known_elr;
    if (change.recovery) next.recovery = *change.recovery;
    if (change.removing) next.removing = *change.removing;
    if (change.adding) next.adding = *change.adding;
    if (change.leader) {
        next.leader = *change.leader;
        ++next.leader_epoch;
    }
    ++next.partition_epoch;
    return next;
}

std::string to_string(const PartitionImage& partition) {
    return "leader=" + std::to_string(partition.leader.value) +
           " epoch=" + std::to_string(partition.leader_epoch.value) + "/" +
           std::to_string(partition.partition_epoch.value) + " isr=" + to_string(partition.isr) +
           " elr=" + to_string(partition.elr) + " last=" + to_string(partition.last_known_elr) +
           (partition.recovery == LeaderRecoveryState::recovering ? " recovering" : "");
}

Status ClusterImage::apply(const Change& change, std::int64_t offset) {
    if (offset <= offset_) return invalid("a metadata record is applied out of order");
    return restore(change, offset);
}

Status ClusterImage::restore(const Change& change, std::int64_t offset) {
    KLAMM_TRY(std::visit([this](const auto& one) { return apply_one(one); }, change));
    offset_ = offset;
    if (const auto* registered = std::get_if<BrokerRegistered>(&change))
        brokers_[registered->broker].registered_at = offset;
    return {};
}

Status ClusterImage::apply_one(const BrokerRegistered& change) {
    BrokerImage broker;
    broker.incarnation = change.incarnation;
    broker.epoch = change.epoch;
    broker.fenced = change.fenced;
    broker.in_controlled_shutdown = change.in_controlled_shutdown;
    broker.endpoints = change.endpoints;
    broker.rack = change.rack;
    broker.log_dirs = change.log_dirs;
    brokers_[change.broker] = std::move(broker);
    return {};
}

Status ClusterImage::apply_one(const BrokerChanged& change) {
    const auto found = brokers_.find(change.broker);
    if (found == brokers_.end() || found->second.epoch != change.epoch)
        return invalid("a registration is changed that is not there");
    if (change.fenced) found->second.fenced = *change.fenced;
    if (change.enters_controlled_shutdown) found->second.in_controlled_shutdown = true;
    return {};
}

Status ClusterImage::apply_one(const BrokerUnregistered& change) {
    const auto found = brokers_.find(change.broker);
    if (found == brokers_.end() || found->second.epoch != change.epoch)
        return invalid("a registration is removed that is not there");
    brokers_.erase(found);
    return {};
}

Status ClusterImage::apply_one(const TopicCreated& change) {
    if (topics_.contains(change.topic) || topic_ids_.contains(change.name))
        return invalid("a topic is created that is there: " + change.name);
    topics_[change.topic].name = change.name;
    topic_ids_[change.name] = change.topic;
    return {};
}

Status ClusterImage::apply_one(const TopicRemoved& change) {
    const auto found = topics_.find(change.topic);
    if (found == topics_.end()) return invalid("a topic is removed that is not there");
    configs_.erase(ConfigResource{ResourceType::topic, found->second.name});
    topic_ids_.erase(found->second.name);
    topics_.erase(found);
    return {};
}

Status ClusterImage::apply_one(const PartitionCreated& change) {
    const auto found = topics_.find(change.partition.topic);
    if (found == topics_.end()) return invalid("a partition of an unknown topic");
    found->second.partitions[change.partition.partition] =
        PartitionImage{change.replicas,        change.isr,      change.elr,
                       change.last_known_elr,  change.leader,   change.leader_epoch,
                       change.partition_epoch, change.recovery, change.directories,
                       change.removing,        change.adding};
    return {};
}

Status ClusterImage::apply_one(const PartitionChanged& change) {
    const auto topic = topics_.find(change.partition.topic);
    if (topic == topics_.end()) return invalid("a change of an unknown topic");
    const auto found = topic->second.partitions.find(change.partition.partition);
    if (found == topic->second.partitions.end()) return invalid("a change of an unknown partition");
    found->second = merge(found->second, change);
    return {};
}

Status ClusterImage::apply_one(const ConfigSet& change) {
    if (change.value) {
        configs_[change.resource][change.key] = *change.value;
        return {};
    }
    const auto found = configs_.find(change.resource);
    if (found == configs_.end()) return {};
    found->second.erase(change.key);
    if (found->second.empty()) configs_.erase(found);
    return {};
}

Status ClusterImage::apply_one(const FeatureSet& change) {
    if (change.level == 0)
        features_.erase(change.name);
    else
        features_[change.name] = change.level;
    return {};
}

Status ClusterImage::apply_one(const ElrCleared& change) {
    if (!change.topic.empty() && !topic_ids_.contains(change.topic))
        return invalid("ELR is cleared for an unknown topic: " + change.topic);
    for (auto& [id, topic] : topics_) {
        if (!change.topic.empty() && topic.name != change.topic) continue;
        for (auto& [index, partition] : topic.partitions) {
            if (partition.elr.empty() && partition.last_known_elr.empty()) continue;
            // As in Kafka the record changes the partition without being a change of its own:
            // neither epoch rises.
            partition.elr.clear();
            partition.last_known_elr.clear();
        }
    }
    return {};
}

const BrokerImage* ClusterImage::broker(BrokerId id) const {
    const auto found = brokers_.find(id);
    return found == brokers_.end() ? nullptr : &found->second;
}

const TopicImage* ClusterImage::topic(const Uuid& id) const {
    const auto found = topics_.find(id);
    return found == topics_.end() ? nullptr : &found->second;
}

const PartitionImage* ClusterImage::partition(const TopicPartition& id) const {
    const TopicImage* found_topic = topic(id.topic);
    if (found_topic == nullptr) return nullptr;
    const auto found = found_topic->partitions.find(id.partition);
    return found == found_topic->partitions.end() ? nullptr : &found->second;
}

std::optional<Uuid> ClusterImage::topic_id(const std::string& name) const {
    const auto found = topic_ids_.find(name);
    if (found == topic_ids_.end()) return std::nullopt;
    return found->second;
}

const std::string* ClusterImage::topic_config(const std::string& topic_name,
                                              const std::string& key) const {
    for (const ConfigResource& resource : {ConfigResource{ResourceType::topic, topic_name},
                                           ConfigResource{ResourceType::broker, ""}}) {
        const auto found = configs_.find(resource);
        if (found == configs_.end()) continue;
        const auto value = found->second.find(key);
        if (value != found->second.end()) return &value->second;
    }
    return nullptr;
}

bool ClusterImage::elr_enabled() const {
    const auto found = features_.find(std::string(elr_feature));
    return found != features_.end() && found->second >= 1;
}

bool ClusterImage::unclean_election_enabled(const Uuid& id) const {
    const TopicImage* found = topic(id);
    if (found == nullptr) return false;
    const std::string* value = topic_config(found->name, "unclean.leader.election.enable");
    return value != nullptr && *value == "true";
}

std::int32_t ClusterImage::min_insync_replicas(const Uuid& id) const {
    const TopicImage* found = topic(id);
    if (found == nullptr) return 1;
    const std::int64_t value = integer_or(topic_config(found->name, "min.insync.replicas"), 1);
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(value, 1, std::numeric_limits<std::int32_t>::max()));
}

std::int32_t ClusterImage::effective_min_isr(const TopicPartition& id) const {
    const PartitionImage* found = partition(id);
    if (found == nullptr) return 0;
    return std::min(static_cast<std::int32_t>(found->replicas.size()),
                    min_insync_replicas(id.topic));
}

std::int64_t ClusterImage::flush_messages(const Uuid& id) const {
    constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
    const TopicImage* found = topic(id);
    if (found == nullptr) return never;
    const std::string* value = topic_config(found->name, "flush.messages");
    // As a broker's default the same thing is called log.flush.interval.messages.
    if (value == nullptr) value = topic_config(found->name, "log.flush.interval.messages");
    return integer_or(value, never);
}

bool ClusterImage::leads_any(BrokerId broker) const {
    for (const auto& [id, topic] : topics_)
        for (const auto& [index, partition] : topic.partitions)
            if (partition.leader == broker) return true;
    return false;
}

}  // namespace klamm::metadata
