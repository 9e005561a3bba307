#pragma once
// The connections of a replica of the quorum to the others: one each, made when there is something
// to ask. Requests leave in Kafka's frames; each ends in one outcome, an answer or a failure, but
// for one that a newer request to the same replica has overtaken before it left: the core asks a
// replica anew only when it has forgotten what it asked before.

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/net/channel.h"
#include "core/raft/effects.h"
#include "core/raft/wire.h"

namespace klamm::server {

class QuorumLines {
  public:
    QuorumLines(raft::WireNames names, BrokerId self, Duration request_timeout)
        : names_(std::move(names)), self_(self), request_timeout_(request_timeout) {}

    /// Asks `to`, which listens at `at`; without a place to ask at it fails at once.
    void send(env::Env& env, BrokerId to, const std::optional<env::Endpoint>& at,
              std::uint64_t request, raft::Request body);

    struct Outcome {
        BrokerId from;
        std::uint64_t request = 0;
        std::optional<raft::Response> response;  // nothing: it failed, or nobody knows
        Buffer bytes;                            // records, or the piece of a snapshot
    };
    std::vector<Outcome> take_outcomes() { return std::exchange(outcomes_, {}); }

    // Events of the seam; false when the connection is another's.
    bool on_event(env::Env& env, const env::Connected& event);
    bool on_event(env::Env& env, const env::Received& event);
    bool on_event(env::Env& env, const env::Closed& event);
    void tick(env::Env& env);
    [[nodiscard]] Instant deadline() const;

  private:
    struct Waiting {
        std::uint64_t request;
        raft::Request body;
    };
    struct Line {
        std::unique_ptr<net::Channel> channel;
        std::optional<Waiting> waiting;  // for the connection
    };

    void pump(env::Env& env, BrokerId to, Line& line);
    void fail(BrokerId from, const std::vector<net::Sent>& sent);
    void take(env::Env& env, BrokerId from, Line& line, const net::Answer& answer);

    raft::WireNames names_;
    BrokerId self_;
    Duration request_timeout_;
    std::map<BrokerId, Line> lines_;
    std::vector<Outcome> outcomes_;
};

}  // namespace klamm::server
