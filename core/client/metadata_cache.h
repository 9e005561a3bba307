#pragma once
// What a client knows of the cluster: brokers' addresses and partitions' leaders, as the newest
// answers told. A partition's leader epoch never goes back as long as its topic keeps its id; an
// older answer is not believed about it.

#include <map>
#include <string>

#include "core/base/ids.h"
#include "core/env/network.h"
#include "core/protocol/messages/metadata.h"

namespace klamm::client {

struct PartitionState {
    BrokerId leader = no_broker;  // no_broker while there is none
    LeaderEpoch epoch = no_leader_epoch;
    protocol::ErrorCode error = protocol::ErrorCode::none;
    friend bool operator==(const PartitionState&, const PartitionState&) = default;
};

class MetadataCache {
  public:
    struct Topic {
        Uuid id;
        protocol::ErrorCode error = protocol::ErrorCode::none;
        std::map<std::int32_t, PartitionState> partitions;
        friend bool operator==(const Topic&, const Topic&) = default;
    };

    /// Takes an answer in. Returns whether anything that is kept here has changed.
    bool update(const protocol::MetadataResponse& response);
    /// A broker said who leads (KIP-951). Believed when `epoch` is newer; returns whether it was.
    bool learn_leader(const std::string& topic, std::int32_t partition, BrokerId leader,
                      LeaderEpoch epoch);
    void learn_broker(BrokerId broker, env::Endpoint endpoint) {
        brokers_[broker] = std::move(endpoint);
    }

    [[nodiscard]] const std::map<BrokerId, env::Endpoint>& brokers() const { return brokers_; }
    [[nodiscard]] const Topic* topic(const std::string& name) const;
    /// The name of the topic with this id, or nullptr.
    [[nodiscard]] const std::string* topic_name(const Uuid& id) const;
    [[nodiscard]] const PartitionState* partition(const std::string& topic,
                                                  std::int32_t index) const;
    /// Whether every topic is known with a leader for each partition.
    [[nodiscard]] bool complete() const;

  private:
    std::map<BrokerId, env::Endpoint> brokers_;
    std::map<std::string, Topic> topics_;
};

}  // namespace klamm::client
