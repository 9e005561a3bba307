#include "sim/run/request_rules.h"

#include <algorithm>

namespace klamm::sim {

namespace {

constexpr std::size_t size_bytes = 4;
/// Size, API key, version, correlation id; of an answer: size, correlation id.
constexpr std::size_t request_head = size_bytes + 8;
constexpr std::size_t response_head = size_bytes + 4;

bool among(const std::vector<NodeId>& nodes, NodeId node) {
    return nodes.empty() || std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

void RequestRules::on_connect(Instant now, const TappedConnection& made) {
    connections_[made.number].made = made;
    if (next_ != nullptr) next_->on_connect(now, made);
}
void RequestRules::on_accept(Instant now, std::uint32_t connection) {
    if (next_ != nullptr) next_->on_accept(now, connection);
}
void RequestRules::on_established(Instant now, std::uint32_t connection) {
    if (next_ != nullptr) next_->on_established(now, connection);
}
void RequestRules::on_packet_held(Instant now, std::uint32_t connection, std::uint32_t way) {
    if (next_ != nullptr) next_->on_packet_held(now, connection, way);
}
void RequestRules::on_packet_arrived(Instant now, std::uint32_t connection, std::uint32_t way,
                                     std::uint64_t size) {
    if (next_ != nullptr) next_->on_packet_arrived(now, connection, way, size);
}
void RequestRules::on_fin_left(Instant now, std::uint32_t connection, std::uint32_t way) {
    if (next_ != nullptr) next_->on_fin_left(now, connection, way);
}
void RequestRules::on_reset_left(Instant now, std::uint32_t connection, std::uint32_t way) {
    if (next_ != nullptr) next_->on_reset_left(now, connection, way);
}
void RequestRules::on_over(Instant now, std::uint32_t connection, std::uint32_t way) {
    if (next_ != nullptr) next_->on_over(now, connection, way);
}

void RequestRules::on_packet_left(Instant now, std::uint32_t connection, std::uint32_t way,
                                  ByteView bytes) {
    if (next_ != nullptr) next_->on_packet_left(now, connection, way, bytes);
    const auto found = connections_.find(connection);
    if (found == connections_.end()) return;
    Watched& on = found->second;
    Frames& frames = on.ways[way];
    const std::size_t head = way == 0 ? request_head : response_head;
    for (ByteView rest = bytes; !rest.empty();) {
        if (frames.left > 0) {
            const auto skip = std::min<std::uint64_t>(frames.left, rest.size());
            frames.left -= skip;
            rest = rest.subspan(skip);
            continue;
        }
        const std::size_t take = std::min(head - frames.head.size(), rest.size());
        frames.head.insert(frames.head.end(), rest.begin(),
                           rest.begin() + static_cast<std::ptrdiff_t>(take));
        rest = rest.subspan(take);
        if (frames.head.size() < head) return;
        const auto size = load_big_endian<std::uint32_t>(frames.head.data());
        frames.left = size_bytes + size - std::min<std::size_t>(head, size_bytes + size);
        const Bytes whole = std::exchange(frames.head, {});
        if (way == 0)
            request(on, whole);
        else
            response(on, whole);
    }
}

void RequestRules::request(Watched& on, ByteView head) {
    const auto api = load_big_endian<std::int16_t>(head.data() + size_bytes);
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        Row& row = rules_[i];
        if (row.over || row.rule.api != api || !among(row.rule.from, on.made.from) ||
            !among(row.rule.to, on.made.to) || ++row.seen < row.rule.nth)
            continue;
        row.over = true;
        if (row.rule.point == RequestRule::Point::after)
            on.answers[load_big_endian<std::int32_t>(head.data() + size_bytes + 4)] = i;
        else
            act(on, row);
    }
}

void RequestRules::response(Watched& on, ByteView head) {
    const auto waits = on.answers.find(load_big_endian<std::int32_t>(head.data() + size_bytes));
    if (waits == on.answers.end()) return;
    Row& row = rules_[waits->second];
    on.answers.erase(waits);
    act(on, row);
}

/// A tap changes nothing: the fault is an event of its own, at this moment.
void RequestRules::act(const Watched& on, Row& row) {
    if (ended_) return;
    const std::uint64_t key = on.made.key;
    world_.schedule(world_.now(), row.rule.tag, [this, key, rule = row.rule] {
        if (rule.reset)
            world_.reset_connection(key);
        else
            world_.stall_connection(key, rule.duration);
        if (rule.met) rule.met();
    });
}

}  // namespace klamm::sim
