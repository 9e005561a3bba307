#include "core/client/metadata_cache.h"

namespace klamm::client {

bool MetadataCache::update(const protocol::MetadataResponse& response) {
    std::map<BrokerId, env::Endpoint> brokers;
    for (const auto& broker : response.brokers) {
        brokers[broker.node_id] = {std::string(broker.host),
                                   static_cast<std::uint16_t>(broker.port)};
    }
    bool changed = false;
    if (!brokers.empty() && brokers != brokers_) {
        brokers_ = std::move(brokers);
        changed = true;
    }
    for (const auto& told : response.topics) {
        if (!told.name.has_value()) continue;
        Topic& known = topics_[std::string(*told.name)];
        Topic next{told.topic_id, told.error_code, {}};
        for (const auto& part : told.partitions) {
            PartitionState state{part.leader_id, part.leader_epoch, part.error_code};
            const auto before = known.partitions.find(part.partition_index.value);
            if (before != known.partitions.end() && known.id == next.id &&
                before->second.epoch > state.epoch) {
                state = before->second;
            }
            next.partitions[part.partition_index.value] = state;
        }
        if (told.error_code != protocol::ErrorCode::none) {
            next.id = known.id;
            next.partitions = known.partitions;
        }
        if (next != known) {
            known = std::move(next);
            changed = true;
        }
    }
    return changed;
}

bool MetadataCache::learn_leader(const std::string& topic, std::int32_t partition, BrokerId leader,
                                 LeaderEpoch epoch) {
    if (leader < BrokerId(0) || brokers_.find(leader) == brokers_.end()) return false;
    const auto known = topics_.find(topic);
    if (known == topics_.end()) return false;
    const auto state = known->second.partitions.find(partition);
    if (state == known->second.partitions.end() || state->second.epoch >= epoch) return false;
    state->second = {leader, epoch, protocol::ErrorCode::none};
    return true;
}

const MetadataCache::Topic* MetadataCache::topic(const std::string& name) const {
    const auto found = topics_.find(name);
    return found == topics_.end() ? nullptr : &found->second;
}

const std::string* MetadataCache::topic_name(const Uuid& id) const {
    for (const auto& [name, topic] : topics_) {
        if (topic.id == id) return &name;
    }
    return nullptr;
}

const PartitionState* MetadataCache::partition(const std::string& topic_of,
                                               std::int32_t index) const {
    const Topic* known = topic(topic_of);
    if (known == nullptr) return nullptr;
    const auto state = known->partitions.find(index);
    return state == known->partitions.end() ? nullptr : &state->second;
}

bool MetadataCache::complete() const {
    for (const auto& [name, topic] : topics_) {
        if (topic.error != protocol::ErrorCode::none || topic.partitions.empty()) return false;
        for (const auto& [index, state] : topic.partitions) {
            if (state.leader < BrokerId(0)) return false;
        }
    }
    return true;
}

}  // namespace klamm::client
