#pragma once
// Rules about requests by what they ask: the n-th request of an API that one node sends to another
// is held before it is applied, or its answer after it was; or the connection breaks at either
// point; or it is not looked at and answered with an error. It reads the frames of every connection
// as they leave, and acts by faults that connections have anyway.

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "sim/world/tap.h"
#include "sim/world/world.h"

namespace klamm::sim {

struct RequestRule {
    enum class Point : std::uint8_t {
        before,  // the request has left and has not arrived
        after,   // it was applied; its answer has left and has not arrived
    };
    std::int16_t api = 0;
    std::vector<NodeId> from;  // who asks; empty: anybody
    std::vector<NodeId> to;
    std::uint32_t nth = 1;  // from when the rule is laid down
    Point point = Point::before;
    bool reset = false;      // the connection breaks; else both its ways stall for `duration`
    Duration duration;       // of a stall
    std::int16_t error = 0;  // not 0: it is answered with this error instead of being looked at
    std::uint64_t tag = 0;
    std::function<void()> met;  // is called when the rule has acted
};

class RequestRules final : public NetworkTap {
  public:
    /// Hands everything on to `next`, if there is one.
    RequestRules(World& world, NetworkTap* next) : world_(world), next_(next) {}

    /// Reads along from here on: before the first connection is made.
    void watch() { world_.set_tap(this); }
    /// No rule acts any more.
    void end() { ended_ = true; }
    /// Those that are still to come act again.
    void go_on() { ended_ = false; }
    void add(RequestRule rule) { rules_.push_back({std::move(rule), 0, false}); }

    void on_connect(Instant now, const TappedConnection& made) override;
    void on_accept(Instant now, std::uint32_t connection) override;
    void on_established(Instant now, std::uint32_t connection) override;
    void on_packet_left(Instant now, std::uint32_t connection, std::uint32_t way,
                        ByteView bytes) override;
    void on_packet_held(Instant now, std::uint32_t connection, std::uint32_t way) override;
    void on_packet_arrived(Instant now, std::uint32_t connection, std::uint32_t way,
                           std::uint64_t size) override;
    void on_fin_left(Instant now, std::uint32_t connection, std::uint32_t way) override;
    void on_reset_left(Instant now, std::uint32_t connection, std::uint32_t way) override;
    void on_over(Instant now, std::uint32_t connection, std::uint32_t way) override;

  private:
    struct Row {
        RequestRule rule;
        std::uint32_t seen;
        bool over;
    };
    /// Where the reading of one way stands.
    struct Frames {
        Bytes head;              // of the frame under way, as far as it is needed
        std::uint64_t left = 0;  // of its body, to be passed over
    };
    struct Watched {
        TappedConnection made;
        Frames ways[2];
        std::map<std::int32_t, std::size_t> answers;  // correlation id → rule that waits for it
    };
    void request(Watched& on, ByteView head);
    void response(Watched& on, ByteView head);
    void act(const Watched& on, Row& row);
    void refuse(const Watched& on, Row& row, const Refusal& refusal);

    World& world_;
    NetworkTap* next_;
    bool ended_ = false;
    std::vector<Row> rules_;
    std::map<std::uint32_t, Watched> connections_;
};

}  // namespace klamm::sim
