#pragma once
// A follower's line to one leader, for all partitions of this shard that follow it: one fetch in
// flight for all of them, a new one as soon as the last is answered. Partitions that need a
// back-off, or wait for their own sync, are left out until then. Knows connections and requests;
// what an answer means is the partition's affair.

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/net/channel.h"
#include "core/server/context.h"
#include "core/server/partitions.h"

namespace klamm::server {

class Fetcher {
  public:
    Fetcher(Context& context, Partitions& partitions, BrokerId leader,
            const env::Endpoint& endpoint);

    [[nodiscard]] const env::Endpoint& endpoint() const { return line_.endpoint(); }
    void close();

    bool connected(const env::Connected& event);
    bool received(const env::Received& event);
    bool closed(const env::Closed& event);
    /// Sends the next fetch if there is one to send; also to be called when a partition has
    /// changed.
    void tick();
    [[nodiscard]] Instant deadline_min() const;

  private:
    struct Asked {
        std::map<TopicPartition, replica::FetchPosition> positions;
    };
    struct Held {
        Instant until;
        LeaderEpoch epoch;  // a newer one ends the back-off
    };
    void send_fetch();
    void send_ends();
    void on_fetch(const net::Answer& answer);
    void on_ends(const net::Answer& answer);
    void lost(const std::vector<net::Sent>& sent);
    void back_off(const TopicPartition& partition);
    [[nodiscard]] bool held(const TopicPartition& partition, LeaderEpoch epoch);
    void release(std::map<TopicPartition, Held>::iterator row);

    Context& context_;
    Partitions& hosts_;
    BrokerId leader_;
    net::Channel line_;
    bool wanted_ = false;  // some partition here follows this leader
    bool fetching_ = false;
    Asked asked_;
    std::map<TopicPartition, Held> held_;  // left out until then
    std::set<std::pair<Instant, TopicPartition>> held_until_;
    std::set<TopicPartition> ends_wanted_;  // whose leader's log start and end are to be asked
    std::optional<TopicPartition> ends_asked_;
    // Whose EARLIEST is known; its LATEST is asked next, whatever else is wanted meanwhile.
    std::optional<std::pair<TopicPartition, Offset>> leader_start_;
};

}  // namespace klamm::server
