#pragma once
// A run's network as a capture that Wireshark and tshark read (pcapng): Ethernet, IPv4 and TCP with
// sequence numbers, checksums and the run's virtual time, to the nanosecond.
//
//   10.1.0.0 + n     node n of the world, by name in the capture's table of names
//   10.1.255.254     the harness: each fault is a syslog datagram, beside the packets it concerns
//
// A packet is captured when its sender lets go of it, its acknowledgement when it arrives, so a
// stall is a late acknowledgement. What a cut link has held is captured again as a retransmission
// when it goes through; a connection that breaks meanwhile is never acknowledged. Ports of the
// connecting side are made up here. Brokers listen on 9092, which Wireshark takes for Kafka; for
// the controller add -d tcp.port==9093,kafka.
//
// Not here: acknowledgements of FIN, congestion, retransmissions by chance.

#include <cstdint>
#include <deque>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "sim/world/tap.h"
#include "sim/world/world.h"

namespace klamm::sim {

class Capture final : public NetworkTap {
  public:
    /// `out` outlives the capture; whether it could take everything is its own to say.
    explicit Capture(std::ostream& out) : out_(out) {}

    /// The head of the file: who is who. Before anything else.
    void begin(const World& world);
    /// A line of the harness, e.g. a fault that fell.
    void note(Instant at, std::string_view text);

    void on_connect(Instant at, const TappedConnection& made) override;
    void on_accept(Instant at, std::uint32_t made) override;
    void on_established(Instant at, std::uint32_t made) override;
    void on_packet_left(Instant at, std::uint32_t made, std::uint32_t way, ByteView bytes) override;
    void on_packet_held(Instant at, std::uint32_t made, std::uint32_t way) override;
    void on_packet_arrived(Instant at, std::uint32_t made, std::uint32_t way,
                           std::uint64_t size) override;
    void on_fin_left(Instant at, std::uint32_t made, std::uint32_t way) override;
    void on_reset_left(Instant at, std::uint32_t made, std::uint32_t way) override;

  private:
    struct Underway {
        std::uint32_t sequence;
        Bytes bytes;
        bool held = false;
    };
    struct Way {
        std::uint32_t next = 0;      // sequence number of what comes next
        std::uint32_t received = 0;  // by the other side, the next it expects
        std::deque<Underway> underway;
    };
    struct Connection {
        TappedConnection made;
        std::uint16_t port = 0;  // of the connecting side
        Way ways[2];
    };

    void segments(Instant at, const Connection& one, std::uint32_t way, std::uint32_t sequence,
                  ByteView bytes);
    void segment(Instant at, const Connection& one, std::uint32_t way, std::uint32_t sequence,
                 std::uint8_t flags, ByteView bytes);
    void packet(Instant at, std::uint32_t from, std::uint32_t to, std::uint8_t protocol,
                const Bytes& payload);
    void block(std::uint32_t type, const Bytes& body);

    std::ostream& out_;
    std::map<std::uint32_t, Connection> connections_;
    std::map<std::uint32_t, std::uint16_t> ports_;  // the last made up, by node
    std::uint16_t packets_ = 0;                     // for the identification of IPv4
};

}  // namespace klamm::sim
