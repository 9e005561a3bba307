#pragma once
// A broker's line to the controller, on its first shard: registration, heartbeats, the metadata log
// as an observer reads it, AlterPartition, blocks of producer ids. Two connections, so that a fetch
// that waits for metadata delays nothing else.
//
// Of a quorum's controllers one is active. The link learns which from the leader that fetches are
// told of; as long as it knows none, it tries one after another. What it has asked one is lost when
// it turns to another. A leader hands out more than is committed: that waits here until it is.
//
// What always holds: the image is a prefix of the committed metadata log; a heartbeat asks to be
// unfenced only when the broker is ready; AlterPartition answers go back to the shard that asked,
// also when they are lost.

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/metadata/metadata_topic.h"
#include "core/net/channel.h"
#include "core/protocol/messages/fetch.h"
#include "core/server/context.h"

namespace klamm::server {

/// Between two attempts at the controller, as retry.backoff.ms.
constexpr Duration retry_backoff = milliseconds(100);

using metadata::metadata_topic;
using metadata::metadata_topic_name;

class ControllerLink {
  public:
    explicit ControllerLink(Context& context);

    /// Begins to register; `previous_epoch` proves a clean stop, or is -1.
    void start(BrokerEpoch previous_epoch, std::uint16_t port);
    /// The broker has read its metadata and opened its logs: it may be unfenced.
    void set_ready();
    /// Begins a controlled shutdown; may_stop() becomes true when the controller lets go, or after
    /// a while without it.
    void ask_shutdown();
    [[nodiscard]] bool may_stop() const { return may_stop_; }
    /// The metadata log has been read once up to what was committed when it was asked.
    [[nodiscard]] bool caught_up() const { return caught_up_; }
    [[nodiscard]] bool registered() const { return context_.broker_epoch != no_broker_epoch; }

    /// Where the controller is that is asked now.
    [[nodiscard]] const env::Endpoint& controller() const {
        return in_quorum() ? context_.settings.controllers[target_].at
                           : context_.settings.controller;
    }
    /// The controller at `where` was found not to be the active one.
    void doubt_controller(const env::Endpoint& where) {
        if (where == controller()) want_controller(no_broker);
    }

    void on(AlterIsrCommand command);
    void on(const ProducerIdsCommand& command);

    bool connected(const env::Connected& event);
    bool received(const env::Received& event);
    bool closed(const env::Closed& event);
    void tick();
    [[nodiscard]] Instant deadline_min() const;

  private:
    enum class Tag : std::uint8_t {
        registration,
        heartbeat,
        alter_partition,
        producer_ids,
        fetch,
        fetch_snapshot,
    };
    struct Snapshot {  // that the leader sends in place of what its log has no more
        Offset end;
        LeaderEpoch epoch;
        Bytes bytes;  // so far
    };
    struct Asked {  // one request in flight on the line
        Tag tag;
        std::vector<AlterIsrCommand> alters;
        std::optional<ReplyTo> producer_ids;
    };

    void send_requests();
    void send_registration();
    void send_heartbeat();
    void send_alter_partition();
    void send_producer_ids();
    void send_fetch();
    std::uint64_t note(Asked asked);
    [[nodiscard]] net::Channel make_line(std::uint64_t line) const;
    [[nodiscard]] bool in_quorum() const { return !context_.settings.controllers.empty(); }
    /// Asks for another controller: the one with this id, or with no_broker the next of the list.
    void want_controller(BrokerId id);
    void turn_to_wanted();
    /// Whether the answer is of a controller that is not active; looks for another one then.
    bool not_active(ErrorCode error);
    /// An answer of one that does not lead the epoch asked for; true when that is what it was.
    bool learn_leader(const protocol::FetchResponsePartition& row);

    void answered(const net::Answer& answer);
    void failed(const std::vector<net::Sent>& sent);
    void on_registration(const net::Answer& answer);
    void on_heartbeat(const net::Answer& answer);
    void on_alter_partition(const net::Answer& answer, const std::vector<AlterIsrCommand>& alters);
    void on_producer_ids(const net::Answer& answer, const ReplyTo& reply);
    void on_fetch(const net::Answer& answer);
    void send_fetch_snapshot();
    void on_fetch_snapshot(const net::Answer& answer);
    /// Puts the snapshot in the image's place; false when it cannot be read.
    bool restore(const Snapshot& snapshot);
    /// Applies committed batches; false when they cannot be read.
    bool apply(ByteView batches, Offset committed);
    void fail_alter(const AlterIsrCommand& command);
    void publish();

    Context& context_;
    std::size_t target_ = 0;             // among the controllers
    std::optional<std::size_t> wanted_;  // to be turned to
    Instant turn_due_{0};                // not before
    net::Channel line_;
    net::Channel log_line_;
    bool started_ = false;
    bool ready_ = false;
    bool shutting_down_ = false;
    bool may_stop_ = false;
    bool caught_up_ = false;
    BrokerEpoch previous_epoch_ = no_broker_epoch;
    std::uint16_t port_ = 0;
    Uuid incarnation_;

    std::uint64_t asked_made_ = 0;
    std::map<std::uint64_t, Asked> asked_;
    bool registering_ = false;
    bool heartbeating_ = false;
    bool altering_ = false;
    bool fetching_ = false;
    Instant registration_due_{0};
    Instant heartbeat_due_{0};
    Instant fetch_due_{0};
    Instant alter_due_{0};
    Instant shutdown_deadline_ = instant_never;
    std::deque<AlterIsrCommand> alters_;
    std::deque<ReplyTo> producer_ids_;

    Offset next_{0};  // of the metadata log
    LeaderEpoch last_epoch_ = no_leader_epoch;
    LeaderEpoch leader_epoch_{0};  // of the quorum
    Offset committed_ = no_offset;
    Bytes uncommitted_;  // whole batches from next_ on
    std::optional<Snapshot> snapshot_;
    Offset goal_ = no_offset;  // caught_up_ when next_ has reached it
};

}  // namespace klamm::server
