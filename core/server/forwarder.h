#pragma once
// A broker's line to the active controller for what clients ask of it (KIP-590), on its first
// shard: requests go on as they came, each in an envelope, and the answers come back as they are.
// It also asks for topics that the broker itself wants made.
//
// What always holds: every request comes back exactly once. One whose answer was lost, or that met
// a controller which is not active, is asked again until request.timeout.ms is over, as Kafka does:
// so a topic that is there by the first attempt may be answered as existing. A topic that the
// broker wants is asked for once at a time.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/net/channel.h"
#include "core/server/context.h"

namespace klamm::server {

/// What a broker asks for when it misses a topic of this name.
CreateTopicCommand creatable_topic(const config::BrokerOptions& options, std::string_view name);

class Forwarder {
  public:
    explicit Forwarder(Context& context) : context_(context) {}

    /// Where the controller is, as far as the broker knows; a change loses what was asked there.
    void set_controller(const env::Endpoint& endpoint);
    [[nodiscard]] const env::Endpoint& controller() const { return controller_; }

    void on(ForwardCommand command);
    void on(CreateTopicCommand command);

    bool connected(const env::Connected& event);
    bool received(const env::Received& event);
    bool closed(const env::Closed& event);
    void tick();
    [[nodiscard]] Instant deadline_min() const;
    /// Whether the controller asked was not the active one, since this was last looked at.
    [[nodiscard]] bool take_doubt() { return std::exchange(doubt_, false); }

  private:
    struct Waiting {
        std::optional<ForwardCommand> forward;
        std::optional<CreateTopicCommand> topic;
        Instant deadline;
    };

    void send(Waiting waiting);
    void answered(const net::Answer& answer);
    void ask_again(const std::vector<net::Sent>& lost);
    void finish(const Waiting& waiting, ErrorCode error, Buffer frame);

    Context& context_;
    std::optional<net::Channel> line_;  // made when there is something to ask
    env::Endpoint controller_;
    std::deque<Waiting> queue_;
    std::map<std::uint64_t, Waiting> asked_;
    std::uint64_t asked_made_ = 0;
    std::set<std::string> making_;  // topics that are being asked for
    Instant not_before_{0};
    bool doubt_ = false;
};

}  // namespace klamm::server
