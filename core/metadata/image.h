#pragma once
// The image of the cluster: what applying metadata records, in order, makes. apply() is the only
// thing that changes it; equal prefixes of the metadata log give equal images (contract I10). It
// decides nothing: elections and ISR rules are the controller's, and the image takes what was
// decided.
//
// Invariants held by apply(): a partition's epoch rises by one with each change of it; its leader
// epoch rises exactly when a change names a leader; ids and names of topics are unique.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/metadata/change.h"

namespace klamm::metadata {

struct BrokerImage {
    Uuid incarnation;
    BrokerEpoch epoch = no_broker_epoch;
    bool fenced = true;
    bool in_controlled_shutdown = false;
    std::vector<Endpoint> endpoints;
    std::optional<std::string> rack;
    std::vector<Uuid> log_dirs;
    std::int64_t registered_at = -1;  // metadata offset of the registration's record

    /// May lead: neither fenced nor leaving.
    [[nodiscard]] bool active() const { return !fenced && !in_controlled_shutdown; }
    friend bool operator==(const BrokerImage&, const BrokerImage&) = default;
};

struct PartitionImage {
    BrokerIds replicas;
    BrokerIds isr;
    BrokerIds elr;
    BrokerIds last_known_elr;  // with ELR on: the last known leader, while there is none
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch{0};
    PartitionEpoch partition_epoch{0};
    LeaderRecoveryState recovery = LeaderRecoveryState::recovered;
    std::vector<Uuid> directories;
    BrokerIds removing;  // of the reassignment under way
    BrokerIds adding;

    [[nodiscard]] bool reassigning() const { return !removing.empty() || !adding.empty(); }
    friend bool operator==(const PartitionImage&, const PartitionImage&) = default;
};

/// What `change` makes of `partition`: the one place where epochs rise.
[[nodiscard]] PartitionImage merge(const PartitionImage& partition, const PartitionChanged& change);
/// "leader=1 epoch=3/7 isr=[1,2] elr=[3] last=[]"
[[nodiscard]] std::string to_string(const PartitionImage& partition);

struct TopicImage {
    std::string name;
    std::map<PartitionIndex, PartitionImage> partitions;
    friend bool operator==(const TopicImage&, const TopicImage&) = default;
};

constexpr std::string_view elr_feature = "eligible.leader.replicas.version";
constexpr std::string_view transaction_feature = "transaction.version";  // KIP-890

class ClusterImage {
  public:
    /// Applies one record, which lies at `offset` of the metadata log. Fails (and changes nothing)
    /// with `invalid` when it speaks of what is not there, or creates what is.
    Status apply(const Change& change, std::int64_t offset);

    /// Applies a record of a snapshot that ends after `offset`: all of its records have that one.
    Status restore(const Change& change, std::int64_t offset);

    /// The offset of the last record applied; -1 before the first.
    [[nodiscard]] std::int64_t offset() const { return offset_; }
    [[nodiscard]] const std::map<BrokerId, BrokerImage>& brokers() const { return brokers_; }
    [[nodiscard]] const std::map<Uuid, TopicImage>& topics() const { return topics_; }
    [[nodiscard]] const std::map<std::string, std::int16_t>& features() const { return features_; }
    [[nodiscard]] const std::map<ConfigResource, std::map<std::string, std::string>>& configs()
        const {
        return configs_;
    }

    /// nullptr when there is none.
    [[nodiscard]] const BrokerImage* broker(BrokerId id) const;
    [[nodiscard]] const TopicImage* topic(const Uuid& id) const;
    [[nodiscard]] const PartitionImage* partition(const TopicPartition& id) const;
    [[nodiscard]] std::optional<Uuid> topic_id(const std::string& name) const;

    /// A topic's own value of `key`, else the one set for all brokers; nullptr when neither is set.
    [[nodiscard]] const std::string* topic_config(const std::string& topic,
                                                  const std::string& key) const;
    [[nodiscard]] bool elr_enabled() const;
    /// unclean.leader.election.enable, default false.
    [[nodiscard]] bool unclean_election_enabled(const Uuid& topic) const;
    /// min.insync.replicas as configured, default 1; not yet bounded by the replication factor.
    [[nodiscard]] std::int32_t min_insync_replicas(const Uuid& topic) const;
    /// min(replication factor, min.insync.replicas); 0 for an unknown partition.
    [[nodiscard]] std::int32_t effective_min_isr(const TopicPartition& partition) const;
    /// flush.messages, default 2^63-1 (never).
    [[nodiscard]] std::int64_t flush_messages(const Uuid& topic) const;
    /// Whether `broker` leads any partition.
    [[nodiscard]] bool leads_any(BrokerId broker) const;

    friend bool operator==(const ClusterImage&, const ClusterImage&) = default;

  private:
    Status apply_one(const BrokerRegistered& change);
    Status apply_one(const BrokerChanged& change);
    Status apply_one(const BrokerUnregistered& change);
    Status apply_one(const TopicCreated& change);
    Status apply_one(const TopicRemoved& change);
    Status apply_one(const PartitionCreated& change);
    Status apply_one(const PartitionChanged& change);
    Status apply_one(const ConfigSet& change);
    Status apply_one(const FeatureSet& change);
    Status apply_one(const ElrCleared& change);

    std::int64_t offset_ = -1;
    std::map<BrokerId, BrokerImage> brokers_;
    std::map<Uuid, TopicImage> topics_;
    std::map<std::string, Uuid> topic_ids_;
    std::map<ConfigResource, std::map<std::string, std::string>> configs_;
    std::map<std::string, std::int16_t> features_;
};

}  // namespace klamm::metadata
