#pragma once
// The partitions of a shard, and what of them wants attention, so that a turn costs what it touches
// and no more: which were touched since they last ticked, whose deadline has come, who follows
// whom, how many logs are still being opened.
//
// Always holds: whoever may change a partition finds it here, which marks it, or its log tells of
// its new phase through the log directory; what is kept beside a partition is that of its state
// when it was last looked at, and marked ones are looked at before anything is answered from it.

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "core/server/replica_host.h"

namespace klamm::server {

/// In their order.
using Hosts = std::map<TopicPartition, std::unique_ptr<ReplicaHost>>;
using Followers = std::map<TopicPartition, const ReplicaHost*>;

class Partitions {
  public:
    /// The directory whose logs tell of their phases here; set before the first partition is added.
    void watch(storage::LogDirectory& directory) { directory_ = &directory; }
    void emplace(const TopicPartition& partition, std::unique_ptr<ReplicaHost> host);

    /// Forgets a partition; its host has left.
    void erase(const TopicPartition& partition);

    /// The partition, to be changed; nullptr when it is not here.
    [[nodiscard]] ReplicaHost* find(const TopicPartition& partition);
    [[nodiscard]] bool contains(const TopicPartition& partition) const {
        return hosts_.contains(partition);
    }
    /// To look at, not to change.
    [[nodiscard]] const Hosts& hosts() const { return hosts_; }
    /// Lets every partition follow the newest image.
    void follow_image();
    /// Lets those tick that were touched since they last did, or whose deadline has come, in their
    /// order. To the others a tick would do nothing.
    void tick(Instant now);

    /// The earliest of their deadlines, or instant_never.
    [[nodiscard]] Instant deadline_min();
    /// Those that are ready to fetch from `leader`. Valid until the next partition is touched.
    [[nodiscard]] const Followers& following(BrokerId leader);
    /// Whether every log is open, or will never be.
    [[nodiscard]] bool settled();

    /// Of the state of all of them, as last looked at; in whatever order it came to be.
    [[nodiscard]] std::uint64_t digest() const { return digest_; }
    /// How many partitions were ticked or looked at so far: the measure of the work done here.
    [[nodiscard]] std::uint64_t visits() const { return visits_; }

  private:
    struct Row {
        ReplicaHost* host = nullptr;
        std::uint64_t key = 0;  // of its part in the digest
        bool ticks = false;     // in to_tick_
        bool stale = false;     // in to_look_at_
        Instant deadline = instant_never;
        BrokerId follows = no_broker;
        bool settled = false;
        std::uint64_t digest = 0;
    };
    using Rows = std::map<TopicPartition, Row>;
    void touch(Rows::value_type& entry);
    void mark_stale(Rows::value_type& entry);
    void take_new_phases();
    void look();

    storage::LogDirectory* directory_ = nullptr;
    Hosts hosts_;
    Rows rows_;
    std::set<TopicPartition> to_tick_;
    std::vector<Rows::value_type*> to_look_at_;
    std::set<std::pair<Instant, TopicPartition>> deadlines_;
    std::map<BrokerId, Followers> followers_;
    std::size_t unsettled_ = 0;
    std::uint64_t digest_ = 0;  // the sum of theirs
    std::uint64_t visits_ = 0;
};

}  // namespace klamm::server
