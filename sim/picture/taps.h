#pragma once
// Several taps on one network: each is told everything, in the order in which they were added.

#include <vector>

#include "sim/world/tap.h"

namespace klamm::sim {

class Taps final : public NetworkTap {
  public:
    void add(NetworkTap* tap) { taps_.push_back(tap); }
    [[nodiscard]] bool empty() const { return taps_.empty(); }

    void on_connect(Instant at, const TappedConnection& made) override {
        for (NetworkTap* tap : taps_) tap->on_connect(at, made);
    }
    void on_accept(Instant at, std::uint32_t made) override {
        for (NetworkTap* tap : taps_) tap->on_accept(at, made);
    }
    void on_established(Instant at, std::uint32_t made) override {
        for (NetworkTap* tap : taps_) tap->on_established(at, made);
    }
    void on_packet_left(Instant at, std::uint32_t made, std::uint32_t way,
                        ByteView bytes) override {
        for (NetworkTap* tap : taps_) tap->on_packet_left(at, made, way, bytes);
    }
    void on_packet_held(Instant at, std::uint32_t made, std::uint32_t way) override {
        for (NetworkTap* tap : taps_) tap->on_packet_held(at, made, way);
    }
    void on_packet_arrived(Instant at, std::uint32_t made, std::uint32_t way,
                           std::uint64_t size) override {
        for (NetworkTap* tap : taps_) tap->on_packet_arrived(at, made, way, size);
    }
    void on_fin_left(Instant at, std::uint32_t made, std::uint32_t way) override {
        for (NetworkTap* tap : taps_) tap->on_fin_left(at, made, way);
    }
    void on_reset_left(Instant at, std::uint32_t made, std::uint32_t way) override {
        for (NetworkTap* tap : taps_) tap->on_reset_left(at, made, way);
    }
    void on_over(Instant at, std::uint32_t made, std::uint32_t way) override {
        for (NetworkTap* tap : taps_) tap->on_over(at, made, way);
    }

  private:
    std::vector<NetworkTap*> taps_;
};

}  // namespace klamm::sim
