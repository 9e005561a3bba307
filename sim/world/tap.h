#pragma once
// A tap on the network: sees every packet with its bytes when it leaves and when it arrives, and
// how connections begin and end. It changes nothing; a run with a tap has the hash of one without.
//
// A way is what one side sends: 0 the side that connected, 1 the side that accepted. Packets of a
// way leave and arrive in the same order. What is on the way when a connection ends never arrives.

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "sim/world/options.h"

namespace klamm::sim {

struct TappedConnection {
    std::uint32_t number = 0;  // unique in the run, from 0
    NodeId from;               // who connected
    NodeId to;
    std::uint16_t port = 0;  // at `to`
    std::uint64_t key = 0;   // as World's faults name it
};

class NetworkTap {
  public:
    virtual ~NetworkTap() = default;

    virtual void on_connect(Instant, const TappedConnection&) {}
    /// The accepting side answers; from here it may send.
    virtual void on_accept(Instant, std::uint32_t /*connection*/) {}
    /// The answer has come; from here the connecting side may send.
    virtual void on_established(Instant, std::uint32_t /*connection*/) {}
    virtual void on_packet_left(Instant, std::uint32_t /*connection*/, std::uint32_t /*way*/,
                                ByteView) {}
    /// The oldest packet of the way that is not held meets a cut link or a machine without power.
    virtual void on_packet_held(Instant, std::uint32_t /*connection*/, std::uint32_t /*way*/) {}
    virtual void on_packet_arrived(Instant, std::uint32_t /*connection*/, std::uint32_t /*way*/,
                                   std::uint64_t /*size*/) {}
    virtual void on_fin_left(Instant, std::uint32_t /*connection*/, std::uint32_t /*way*/) {}
    virtual void on_reset_left(Instant, std::uint32_t /*connection*/, std::uint32_t /*way*/) {}
    /// The side that sends on `way` holds the connection no longer: it hung up, was told of an end,
    /// gave up or died.
    virtual void on_over(Instant, std::uint32_t /*connection*/, std::uint32_t /*way*/) {}
};

}  // namespace klamm::sim
