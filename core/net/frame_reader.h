#pragma once
// Cuts a connection's bytes into frames: a 4-byte big-endian length, then that many bytes. After
// the length, one buffer of exactly that size is lent to the network, so a frame is received in
// place and its request decodes as views into it. A length that is negative or above the limit is
// refused before anything is allocated. It never reads ahead: the owner says when the next frame
// may begin, and that is the back pressure.

#include <optional>

#include "core/env/env.h"

namespace klamm::net {

class FrameReader {
  public:
    explicit FrameReader(std::size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

    /// Lends room for the next frame's length. Call once at the start and once after each frame.
    void begin(env::Network& network, env::ConnectionId connection);

    /// Takes `count` bytes that arrived in the lent buffer. Gives the whole frame (without its
    /// length) when it is complete, nothing while it is not, Failure::invalid or Failure::limit for
    /// a hostile length.
    Result<std::optional<Buffer>> received(env::Network& network, env::ConnectionId connection,
                                           std::size_t count);

    /// Bytes of memory lent for the frame being received.
    [[nodiscard]] std::size_t lent_bytes() const { return frame_.size(); }

  private:
    std::size_t frame_bytes_max_;
    MutableBuffer length_{4};
    MutableBuffer frame_;  // empty while the length is being received
    std::size_t filled_ = 0;
};

}  // namespace klamm::net
