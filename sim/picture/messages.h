#pragma once
// Kafka's messages as they crossed the network: each frame of a connection, when its first byte
// left and its last arrived. Frames are found by their length, requests by the header of the
// protocol (what the connecting side sends), responses by their correlation id.
//
// Always: a message that never arrived whole has `arrived` at instant_never; one of which only a
// part ever left is there too, with the length that it announced.

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "core/base/time.h"
#include "sim/world/tap.h"

namespace klamm::sim {

struct Message {
    Instant left;
    Instant arrived = instant_never;
    NodeId from;
    NodeId to;
    std::uint32_t connection = 0;
    bool response = false;
    std::int16_t api = -1;  // its key; -1: a response to nothing known, or no header left
    std::int16_t version = -1;
    std::int32_t correlation = -1;
    std::uint32_t bytes = 0;  // without the length before it
};

class Messages final : public NetworkTap {
  public:
    /// In the order in which they began to leave.
    [[nodiscard]] const std::vector<Message>& all() const { return all_; }

    void on_connect(Instant at, const TappedConnection& made) override;
    void on_packet_left(Instant at, std::uint32_t made, std::uint32_t way, ByteView bytes) override;
    void on_packet_arrived(Instant at, std::uint32_t made, std::uint32_t way,
                           std::uint64_t size) override;

  private:
    struct Frame {
        std::size_t message;  // in all_
        std::uint64_t end;    // position in the way after its last byte
    };
    struct Way {
        std::uint64_t left = 0;     // bytes, in all
        std::uint64_t arrived = 0;  // bytes, in all
        std::uint64_t frame = 0;    // where the frame begins that is leaving
        Bytes head;                 // its first bytes
        bool known = false;         // its header is read
        std::deque<Frame> underway;
    };
    struct Connection {
        TappedConnection made;
        Way ways[2];
        std::map<std::int32_t, std::pair<std::int16_t, std::int16_t>> asked;  // api and version
    };
    void read_header(Connection& one, std::uint32_t way);

    std::map<std::uint32_t, Connection> connections_;
    std::vector<Message> all_;
};

}  // namespace klamm::sim
