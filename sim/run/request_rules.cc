#include "sim/run/request_rules.h"

#include <algorithm>

namespace klamm::sim {

namespace {

constexpr std::size_t size_bytes = 4;
/// Size, API key, version, correlation id, and the client id behind its length; of an answer: size,
/// correlation id.
constexpr std::size_t request_head = size_bytes + 8;
constexpr std::size_t client_length_bytes = 2;
constexpr std::size_t response_head = size_bytes + 4;

/// How much of a frame is read, as far as that can be told from what is there of it.
std::size_t head_bytes(std::uint32_t way, ByteView there) {
    if (way == 1) return response_head;
    if (there.size() < size_bytes) return request_head;
    const auto whole = size_bytes + load_big_endian<std::uint32_t>(there.data());
    std::size_t head = request_head + client_length_bytes;
    if (there.size() >= head) {
        const auto length = load_big_endian<std::int16_t>(there.data() + request_head);
        head += static_cast<std::size_t>(std::max<std::int16_t>(length, 0));
    }
    return std::max(request_head, std::min<std::size_t>(head, whole));
}

std::string_view client_of(ByteView head) {
    const std::size_t before = request_head + client_length_bytes;
    if (head.size() <= before) return {};
    return {reinterpret_cast<const char*>(head.data() + before), head.size() - before};
}

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
    for (ByteView rest = bytes; !rest.empty();) {
        if (frames.left > 0) {
            const auto skip = std::min<std::uint64_t>(frames.left, rest.size());
            frames.left -= skip;
            rest = rest.subspan(skip);
            continue;
        }
        const std::size_t head = head_bytes(way, frames.head);
        const std::size_t take = std::min(head - frames.head.size(), rest.size());
        frames.head.insert(frames.head.end(), rest.begin(),
                           rest.begin() + static_cast<std::ptrdiff_t>(take));
        rest = rest.subspan(take);
        if (frames.head.size() < head_bytes(way, frames.head)) continue;
        const auto size = load_big_endian<std::uint32_t>(frames.head.data());
        frames.left =
            size_bytes + size - std::min<std::size_t>(frames.head.size(), size_bytes + size);
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
        const auto correlation = load_big_endian<std::int32_t>(head.data() + size_bytes + 4);
        if (row.rule.error != 0)
            refuse(on, row,
                   {api, correlation, digest64(as_bytes(client_of(head))), row.rule.error});
        else if (row.rule.point == RequestRule::Point::after)
            on.answers[correlation] = i;
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

/// Before the request has arrived: then the node that is asked knows what to say.
void RequestRules::refuse(const Watched& on, Row& row, const Refusal& refusal) {
    if (ended_) return;
    world_.schedule(world_.now(), row.rule.tag,
                    [this, to = on.made.to, met = row.rule.met, refusal] {
                        world_.maybes(to).refuse(refusal);
                        if (met) met();
                    });
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
