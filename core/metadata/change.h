#pragma once
// Changes of the cluster's metadata, as values: one struct for each kind of metadata record that
// the image understands, with ids by their types. An absent optional means "as before". They carry
// what Kafka's records of the same meaning carry; how those lie in bytes is the protocol's matter.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"

namespace klamm::metadata {

/// Few brokers, in an order that means something (assignment order for replicas; ISR as proposed).
using BrokerIds = std::vector<BrokerId>;

[[nodiscard]] bool contains(const BrokerIds& brokers, BrokerId broker);
/// `brokers` without `broker`, order kept.
[[nodiscard]] BrokerIds without(const BrokerIds& brokers, BrokerId broker);
/// The same members in ascending order.
[[nodiscard]] BrokerIds sorted(BrokerIds brokers);
/// "[1,2,3]"
[[nodiscard]] std::string to_string(const BrokerIds& brokers);

enum class LeaderRecoveryState : std::int8_t { recovered = 0, recovering = 1 };

struct Endpoint {
    std::string listener;
    std::string host;
    std::uint16_t port = 0;
    std::int16_t security_protocol = 0;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// RegisterBrokerRecord.
struct BrokerRegistered {
    BrokerId broker = no_broker;
    Uuid incarnation;
    BrokerEpoch epoch = no_broker_epoch;
    std::vector<Endpoint> endpoints;
    std::optional<std::string> rack;
    bool fenced = true;
    bool in_controlled_shutdown = false;
    std::vector<Uuid> log_dirs;
    friend bool operator==(const BrokerRegistered&, const BrokerRegistered&) = default;
};

/// BrokerRegistrationChangeRecord. Controlled shutdown is only ever entered.
struct BrokerChanged {
    BrokerId broker = no_broker;
    BrokerEpoch epoch = no_broker_epoch;
    std::optional<bool> fenced;
    bool enters_controlled_shutdown = false;
    friend bool operator==(const BrokerChanged&, const BrokerChanged&) = default;
};

/// UnregisterBrokerRecord.
struct BrokerUnregistered {
    BrokerId broker = no_broker;
    BrokerEpoch epoch = no_broker_epoch;
    friend bool operator==(const BrokerUnregistered&, const BrokerUnregistered&) = default;
};

/// TopicRecord.
struct TopicCreated {
    Uuid topic;
    std::string name;
    friend bool operator==(const TopicCreated&, const TopicCreated&) = default;
};

/// RemoveTopicRecord.
struct TopicRemoved {
    Uuid topic;
    friend bool operator==(const TopicRemoved&, const TopicRemoved&) = default;
};

/// PartitionRecord: the whole state of a partition.
struct PartitionCreated {
    TopicPartition partition;
    BrokerIds replicas;
    BrokerIds isr;
    BrokerIds elr;
    BrokerIds last_known_elr;
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch{0};
    PartitionEpoch partition_epoch{0};
    LeaderRecoveryState recovery = LeaderRecoveryState::recovered;
    std::vector<Uuid> directories;
    BrokerIds removing;  // of `replicas`, when the reassignment under way is over
    BrokerIds adding;    // of `replicas`, by that reassignment
    friend bool operator==(const PartitionCreated&, const PartitionCreated&) = default;
};

/// PartitionChangeRecord. A `leader` that is present raises the leader epoch even if it is the same
/// broker; no_broker means that there is none. Each one raises the partition epoch.
struct PartitionChanged {
    TopicPartition partition;
    std::optional<BrokerIds> isr;
    std::optional<BrokerId> leader;
    std::optional<BrokerIds> replicas;
    std::optional<LeaderRecoveryState> recovery;
    std::optional<BrokerIds> elr;
    std::optional<BrokerIds> last_known_elr;
    std::optional<BrokerIds> removing;
    std::optional<BrokerIds> adding;
    friend bool operator==(const PartitionChanged&, const PartitionChanged&) = default;
};

/// Config scopes by their number on the wire.
enum class ResourceType : std::int8_t { topic = 2, broker = 4 };

struct ConfigResource {
    ResourceType type = ResourceType::topic;
    std::string name;  // of the topic, or the broker's id; "" means all brokers
    friend auto operator<=>(const ConfigResource&, const ConfigResource&) = default;
};

/// ConfigRecord; no value removes the key.
struct ConfigSet {
    ConfigResource resource;
    std::string key;
    std::optional<std::string> value;
    friend bool operator==(const ConfigSet&, const ConfigSet&) = default;
};

/// FeatureLevelRecord; level 0 removes it. "eligible.leader.replicas.version" at 1 is ELR on.
struct FeatureSet {
    std::string name;
    std::int16_t level = 0;
    friend bool operator==(const FeatureSet&, const FeatureSet&) = default;
};

/// ClearElrRecord: forgets ELR and last known ELR of one topic, or of all when `topic` is empty.
struct ElrCleared {
    std::string topic;
    friend bool operator==(const ElrCleared&, const ElrCleared&) = default;
};

using Change =
    std::variant<BrokerRegistered, BrokerChanged, BrokerUnregistered, TopicCreated, TopicRemoved,
                 PartitionCreated, PartitionChanged, ConfigSet, FeatureSet, ElrCleared>;

}  // namespace klamm::metadata
