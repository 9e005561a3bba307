#include "core/net/frame_reader.h"

namespace klamm::net {

void FrameReader::begin(env::Network& network, env::ConnectionId connection) {
    // A fresh length buffer each time: the world may still hold the one that was lent before.
    length_ = MutableBuffer(4);
    frame_ = MutableBuffer();
    filled_ = 0;
    network.receive(connection, length_);
}

Result<std::optional<Buffer>> FrameReader::received(env::Network& network,
                                                    env::ConnectionId connection,
                                                    std::size_t count) {
    filled_ += count;
    if (frame_.empty()) {
        KLAMM_ASSERT(filled_ <= length_.size());
        if (filled_ < length_.size()) {
            network.receive(connection, length_.slice(filled_, length_.size() - filled_));
            return std::optional<Buffer>();
        }
        const auto length = load_big_endian<std::int32_t>(length_.data());
        if (length <= 0) return Error{Failure::invalid, "a frame's length is not positive"};
        if (static_cast<std::size_t>(length) > frame_bytes_max_)
            return Error{Failure::limit, "a frame is longer than socket.request.max.bytes"};
        frame_ = MutableBuffer(static_cast<std::size_t>(length));
        filled_ = 0;
        network.receive(connection, frame_);
        return std::optional<Buffer>();
    }
    KLAMM_ASSERT(filled_ <= frame_.size());
    if (filled_ < frame_.size()) {
        network.receive(connection, frame_.slice(filled_, frame_.size() - filled_));
        return std::optional<Buffer>();
    }
    return std::optional<Buffer>(frame_.freeze());
}

}  // namespace klamm::net
