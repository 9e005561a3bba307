#pragma once
// What every part of a broker's shard may reach during a turn: the seam, the settings, the newest
// image, and the way to other parts. Parts never call into each other: they post values, to their
// own shard too, and the broker delivers them one after another, so that nothing is re-entered.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/config/options.h"
#include "core/env/env.h"
#include "core/metadata/image.h"
#include "core/net/inbound.h"
#include "core/server/mail.h"
#include "core/server/quorum_voter.h"

namespace klamm::server {

/// A broker's settings, by value.
struct BrokerSettings {
    config::BrokerOptions options;
    /// What of them the node's file says, by key in its spelling: where a value comes from.
    std::map<std::string, std::string> given;
    env::Endpoint listen;      // clients and brokers; port 0 takes any free one
    env::Endpoint advertised;  // what others are told; port 0: the one listened on
    env::Endpoint controller;  // where the metadata node listens
    /// The controllers of a quorum, one of which is active; empty: `controller` is alone.
    std::vector<QuorumVoter> controllers;
    std::string cluster;  // cluster.id of meta.properties
    /// Paths of the log directories under the node's root, one a shard: the shard with index i has
    /// the i-th. A directory keeps its shard for life.
    std::vector<std::string> log_dirs = {"data-0"};
    std::uint64_t tail_cache_bytes = 4 << 20;  // a partition's fresh batches kept in memory
    net::InboundLimits limits;
};

class Context {
  public:
    explicit Context(BrokerSettings broker_settings) : settings(std::move(broker_settings)) {}

    const BrokerSettings settings;
    std::shared_ptr<const metadata::ClusterImage> image =
        std::make_shared<const metadata::ClusterImage>();
    BrokerEpoch broker_epoch = no_broker_epoch;  // -1 until registered
    bool caught_up = false;                      // the image has what was committed at the start

    [[nodiscard]] BrokerId self() const { return BrokerId(settings.options.node_id); }

    void begin_turn(env::Env& env) { env_ = &env; }
    void end_turn() { env_ = nullptr; }
    [[nodiscard]] env::Env& env() const {
        KLAMM_ASSERT(env_ != nullptr);
        return *env_;
    }
    [[nodiscard]] const Turn& turn() const { return env().turn(); }
    [[nodiscard]] Instant now() const { return turn().now; }

    /// The shard that holds a partition: hash(topic id, partition) mod S.
    [[nodiscard]] env::ShardIndex owner_of(const TopicPartition& partition) const;

    /// Sends a value to a shard of this broker, this one included.
    void post(env::ShardIndex to, MailValue value);
    /// Sends a value to this shard, to be taken in a later turn, when this turn's effects have
    /// left.
    void post_later(MailValue value);
    /// Takes the oldest value posted to this shard by itself.
    [[nodiscard]] bool pop_local(MailValue& value);
    [[nodiscard]] bool has_local() const { return !local_.empty(); }

    /// A token for a read of this partition's own, below those of the log directory.
    env::Token await_copy(const TopicPartition& partition) {
        copies_.emplace(++copies_made_, partition);
        return copies_made_;
    }
    /// Whose read the token was; nothing for a token of the log directory.
    std::optional<TopicPartition> take_copy(env::Token token) {
        const auto row = copies_.extract(token);
        if (row.empty()) return std::nullopt;
        return row.mapped();
    }

    /// The role or the watermark of a coordinator's partition may have changed.
    void note_coordinated(Coordinates kind, const TopicPartition& partition) {
        coordinated_[kind].insert(partition);
    }
    std::set<TopicPartition> take_coordinated(Coordinates kind) {
        return std::exchange(coordinated_[kind], {});
    }

  private:
    env::Env* env_ = nullptr;  // of the turn that is running
    std::deque<MailValue> local_;
    std::map<env::Token, TopicPartition> copies_;
    env::Token copies_made_ = 0;
    std::map<Coordinates, std::set<TopicPartition>> coordinated_;
};

/// The cluster's level of the feature transaction.version; 0 when it has none.
std::int16_t transaction_version(const metadata::ClusterImage& image);

/// Of a topic of this name.
Coordinates coordinates(std::string_view topic);

/// The name of a partition as directories and checkpoints spell it, "orders-0".
std::string partition_name(std::string_view topic, PartitionIndex partition);

}  // namespace klamm::server
