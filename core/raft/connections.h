#pragma once
// Who was asked what (Kafka's RequestManager): at most one request under way to each node, a
// back-off after a failure, a time limit. A response is taken only if it is to the request under
// way, so that late answers to forgotten questions change nothing.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/draws.h"
#include "core/raft/types.h"

namespace klamm::raft {

class Connections {
  public:
    Connections(Duration retry_backoff, Duration request_timeout)
        : retry_backoff_(retry_backoff), request_timeout_(request_timeout) {}

    /// No request is under way to `node` and it is not backing off.
    [[nodiscard]] bool ready(BrokerId node, Instant now) const;
    [[nodiscard]] bool backing_off(BrokerId node, Instant now) const;
    /// Its request was given no answer in time; ready() is true then.
    [[nodiscard]] bool timed_out(BrokerId node, Instant now) const;
    /// Whether a request that has not timed out is under way to anyone.
    [[nodiscard]] bool any_in_flight(Instant now) const;
    [[nodiscard]] bool expected(BrokerId node, std::uint64_t request) const;

    /// The number of a new request to `node`, which must be ready.
    std::uint64_t sent(BrokerId node, Instant now);
    /// The request was answered; not `well`: back off.
    void answered(BrokerId node, std::uint64_t request, bool well, Instant now);
    void reset(BrokerId node) { rows_.erase(node); }
    void reset_all() { rows_.clear(); }

    /// The next moment at which something of the above changes by itself.
    [[nodiscard]] Instant deadline_min(Instant now) const;

    friend bool operator==(const Connections&, const Connections&) = default;
    [[nodiscard]] std::string print() const;

  private:
    struct Row {
        std::uint64_t in_flight = 0;  // 0: backing off
        Instant until;                // of the request, or of the back-off
        friend bool operator==(const Row&, const Row&) = default;
    };
    Duration retry_backoff_;
    Duration request_timeout_;
    std::uint64_t requests_ = 0;
    std::map<BrokerId, Row> rows_;
};

}  // namespace klamm::raft
