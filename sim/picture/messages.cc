#include "sim/picture/messages.h"

#include <algorithm>

namespace klamm::sim {

namespace {

constexpr std::size_t length_bytes = 4;
constexpr std::size_t request_head = 12;  // length, api key, version, correlation id
constexpr std::size_t response_head = 8;  // length, correlation id

std::uint32_t number(const Bytes& bytes, std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
    return value;
}

}  // namespace

void Messages::on_connect(Instant, const TappedConnection& made) {
    connections_[made.number].made = made;
}

void Messages::read_header(Connection& one, std::uint32_t way) {
    Way& mine = one.ways[way];
    Message& message = all_[mine.underway.back().message];
    const Bytes& head = mine.head;
    mine.known = true;
    if (way == 0) {
        message.api = static_cast<std::int16_t>(number(head, 4, 2));
        message.version = static_cast<std::int16_t>(number(head, 6, 2));
        message.correlation = static_cast<std::int32_t>(number(head, 8, 4));
        one.asked[message.correlation] = {message.api, message.version};
    } else {
        message.correlation = static_cast<std::int32_t>(number(head, 4, 4));
        if (const auto asked = one.asked.extract(message.correlation)) {
            message.api = asked.mapped().first;
            message.version = asked.mapped().second;
        }
    }
}

void Messages::on_packet_left(Instant at, std::uint32_t made, std::uint32_t way, ByteView bytes) {
    Connection& one = connections_.at(made);
    Way& mine = one.ways[way];
    const std::size_t head_bytes = way == 0 ? request_head : response_head;
    while (!bytes.empty()) {
        if (mine.head.empty()) {
            mine.frame = mine.left;
            mine.known = false;
            Message message;
            message.left = at;
            message.from = way == 0 ? one.made.from : one.made.to;
            message.to = way == 0 ? one.made.to : one.made.from;
            message.connection = made;
            message.response = way == 1;
            mine.underway.push_back({all_.size(), UINT64_MAX});
            all_.push_back(message);
        }
        Frame& frame = mine.underway.back();
        // The header byte by byte, what follows at once.
        std::size_t take = 1;
        if (mine.head.size() < head_bytes && mine.left < frame.end) {
            mine.head.push_back(bytes[0]);
            if (mine.head.size() == length_bytes) {
                all_[frame.message].bytes = number(mine.head, 0, 4);
                frame.end = mine.frame + length_bytes + all_[frame.message].bytes;
            }
            if (mine.head.size() == head_bytes) read_header(one, way);
        } else {
            take = static_cast<std::size_t>(
                std::min<std::uint64_t>(bytes.size(), frame.end - mine.left));
        }
        mine.left += take;
        bytes = bytes.subspan(take);
        if (mine.left >= frame.end) mine.head.clear();
    }
}

void Messages::on_packet_arrived(Instant at, std::uint32_t made, std::uint32_t way,
                                 std::uint64_t size) {
    Way& mine = connections_.at(made).ways[way];
    mine.arrived += size;
    while (!mine.underway.empty() && mine.underway.front().end <= mine.arrived) {
        all_[mine.underway.front().message].arrived = at;
        mine.underway.pop_front();
    }
}

}  // namespace klamm::sim
