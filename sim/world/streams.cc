// Streams: bytes between two sides, honest to TCP. A side's queue waits in its node; what leaves
// goes onto the wire, at most a window of it unread; packets say how much of the wire has arrived,
// and arrive in order whatever the delays drawn. File ranges are read here, when they leave.

#include <algorithm>
#include <cstring>

#include "sim/world/impl.h"

namespace klamm::sim {

namespace {
constexpr DrawDomain delay_domain = draw_domain("world.net.delay");
constexpr DrawDomain tail_domain = draw_domain("world.net.tail");
constexpr DrawDomain tail_size_domain = draw_domain("world.net.tail_size");
constexpr DrawDomain window_domain = draw_domain("world.net.window");
constexpr DrawDomain split_domain = draw_domain("world.net.split");
constexpr DrawDomain split_at_domain = draw_domain("world.net.split_at");
constexpr DrawDomain short_domain = draw_domain("world.net.short");
constexpr DrawDomain short_size_domain = draw_domain("world.net.short_size");
constexpr DrawDomain lag_domain = draw_domain("world.net.lag");
constexpr DrawDomain lag_size_domain = draw_domain("world.net.lag_size");
constexpr DrawDomain accept_domain = draw_domain("world.net.accept");
constexpr DrawDomain timeout_domain = draw_domain("world.net.connect_timeout");
constexpr Duration local_call = microseconds(5);
constexpr Duration syn_retry = seconds(1);
constexpr LinkOptions loopback{microseconds(15), microseconds(5), 0, {}, 200};
// Draws of a handshake count from here, away from those of packets.
constexpr std::uint64_t handshake_n = std::uint64_t{1} << 62;
}  // namespace

Connection* World::Impl::connection_of(Process& process, const Shard& shard, env::ConnectionId id,
                                       ConnectionSide& where) {
    const auto at = static_cast<std::uint64_t>(id);
    if (at == 0 || at > process.connections.size()) return nullptr;
    where = process.connections[at - 1];
    Connection* found = connection(where.connection);
    if (found == nullptr || !found->sides[where.side].open) return nullptr;
    if (found->sides[where.side].shard != shard.index_) return nullptr;
    return found;
}

const LinkOptions& World::Impl::link(std::uint32_t from, std::uint32_t to) const {
    if (!links_.empty())
        if (auto own = links_.find({from, to}); own != links_.end()) return own->second;
    return from == to ? loopback : options_.network.link;
}

/// When a narrow link has taken these bytes in: after what it has taken before.
Instant World::Impl::through(const Connection& connection, std::uint32_t side, std::uint64_t size) {
    const std::uint32_t from = connection.sides[side].machine;
    const std::uint32_t to = connection.sides[1 - side].machine;
    const std::uint64_t rate = link(from, to).bytes_per_second;
    if (rate == 0) [[likely]]
        return now_;
    Instant& busy = link_busy_[{from, to}];
    busy = std::max(busy, now_) + Duration{static_cast<std::int64_t>(size * 1'000'000'000 / rate)};
    return busy;
}

Duration World::Impl::delay(const Connection& connection, std::uint32_t side, std::uint64_t size,
                            std::uint64_t n) {
    const LinkOptions* link =
        &this->link(connection.sides[side].machine, connection.sides[1 - side].machine);
    const std::uint64_t entity = fold64(connection.key, side);
    std::int64_t wait = link->delay_base.nanoseconds +
                        static_cast<std::int64_t>(size) * link->nanoseconds_per_kib / 1024;
    if (link->delay_mean.nanoseconds > 0)
        wait += draws_.exponential(link->delay_mean.nanoseconds, delay_domain, entity, n);
    if (link->tail_rate > 0 && draws_.happens(link->tail_rate, tail_domain, entity, n))
        wait += draws_.exponential(link->tail_mean.nanoseconds, tail_size_domain, entity, n);
    return {wait};
}

// --- Making connections

void World::Impl::listen(Machine& machine, Shard& shard, ListenEffect& effect) {
    Process& process = *machine.process;
    env::Listening answer{effect.listener, effect.at.port};
    const std::string& host = effect.at.host;
    if (!host.empty() && host != "0.0.0.0" && host != "::" && host != "localhost" &&
        host != "127.0.0.1" && host != machine.spec.name) {
        answer.port = Failure::invalid;
    } else {
        std::uint16_t port = effect.at.port;
        if (port == 0) {
            while (process.ports.contains(process.next_port)) ++process.next_port;
            port = process.next_port++;
        }
        std::vector<BoundListener>& listeners = process.ports[port];
        const bool twice =
            std::any_of(listeners.begin(), listeners.end(),
                        [&](const BoundListener& one) { return one.shard == shard.index_; });
        if (twice) {
            answer.port = Failure::exists;
        } else {
            listeners.push_back({shard.index_, effect.listener});
            answer.port = port;
        }
    }
    Pending& pending = push(now_ + local_call, EventKind::deliver);
    pending.machine = machine.id.value;
    pending.shard = shard.index_;
    pending.incarnation = process.incarnation;
    pending.event = std::move(answer);
}

void World::Impl::connect(Machine& machine, Shard& shard, ConnectEffect& effect) {
    Process& process = *machine.process;
    const std::string& host = effect.to.host;
    std::uint32_t target = machine.id.value;
    std::uint32_t named = target;
    if (host != "localhost" && host != "127.0.0.1") {
        auto found = names_.find(host);
        if (found == names_.end()) {
            Pending& pending = push(now_ + milliseconds(1), EventKind::deliver);
            pending.machine = machine.id.value;
            pending.shard = shard.index_;
            pending.incarnation = process.incarnation;
            pending.event = env::Closed{effect.connection};
            return;
        }
        target = named = found->second;
        if (const auto now = redirects_.find(target); now != redirects_.end()) target = now->second;
    }
    const auto index = static_cast<std::uint32_t>(connections_.size());
    auto made = std::make_unique<Connection>();
    const std::uint64_t nth = ++process.connected_to[target];
    made->key =
        fold64(fold64(machine.key, machines_[target]->key), fold64(process.incarnation, nth));
    made->port = effect.to.port;
    made->named = named;
    const NetworkOptions& net = options_.network;
    made->window = static_cast<std::uint64_t>(draws_.between(
        static_cast<std::int64_t>(net.window_bytes_min),
        static_cast<std::int64_t>(net.window_bytes_max), window_domain, made->key, 0));
    Side& side = made->sides[0];
    side.machine = machine.id.value;
    side.incarnation = process.incarnation;
    side.shard = shard.index_;
    side.id = effect.connection;
    side.open = true;
    made->sides[1].machine = target;
    process.connections[static_cast<std::uint64_t>(effect.connection) - 1] = {index, 0};
    Connection& placed = *made;
    connections_.push_back(std::move(made));
    live_connections_.insert(index);
    if (tap_ != nullptr)
        tap_->on_connect(now_, {index, machine.id, NodeId(target), effect.to.port, placed.key});
    push(now_ + delay(placed, 0, 0, handshake_n), EventKind::syn).machine = index;
    const std::int64_t timeout =
        draws_.between(net.connect_timeout_min.nanoseconds, net.connect_timeout_max.nanoseconds,
                       timeout_domain, placed.key, 0);
    push(now_ + Duration{timeout}, EventKind::connect_timeout).machine = index;
}

void World::Impl::on_syn(std::uint32_t index) {
    Connection& made = *connection(index);
    if (!made.sides[0].open) {
        retire(index);
        return;
    }
    Machine& target = *machines_[made.sides[1].machine];
    if (blocked(made, 0) || !target.powered) {
        push(now_ + syn_retry, EventKind::syn).machine = index;
        return;
    }
    Process* process = target.process.get();
    auto listeners = process == nullptr
                         ? std::map<std::uint16_t, std::vector<BoundListener>>::iterator{}
                         : process->ports.find(made.port);
    const bool refused = refused_.contains({made.sides[0].machine, made.sides[1].machine});
    if (refused || process == nullptr || process->doomed || listeners == process->ports.end()) {
        send_reset(index, 0, false);
        return;
    }
    const std::vector<BoundListener>& choice = listeners->second;
    const BoundListener& chosen = choice[draws_.below(choice.size(), accept_domain, made.key, 0)];
    process->connections.push_back({index, 1});
    Side& side = made.sides[1];
    side.incarnation = process->incarnation;
    side.shard = chosen.shard;
    side.id = env::ConnectionId{process->connections.size()};
    side.open = true;
    side.established = true;
    if (tap_ != nullptr) tap_->on_accept(now_, index);
    push(now_ + delay(made, 1, 0, handshake_n), EventKind::syn_ack).machine = index;
    const std::string peer = machines_[made.sides[0].machine]->spec.name + ":" +
                             std::to_string(32768 + made.key % 28232);
    post(target.id.value, side.incarnation, side.shard,
         env::Accepted{chosen.listener, side.id, peer});
}

void World::Impl::on_syn_ack(std::uint32_t index) {
    Connection& made = *connection(index);
    Side& side = made.sides[0];
    if (!side.open) return;
    if (blocked(made, 1)) {
        push(now_ + syn_retry, EventKind::syn_ack).machine = index;
        return;
    }
    side.established = true;
    if (tap_ != nullptr) tap_->on_established(now_, index);
    post(side.machine, side.incarnation, side.shard, env::Connected{side.id});
    pump(index, 0);
    hand_over(index, 0);
}

// --- Bytes

void World::Impl::receive(Machine& machine, Shard& shard, ReceiveEffect& effect) {
    ConnectionSide where{};
    Connection* found = connection_of(*machine.process, shard, effect.connection, where);
    if (found == nullptr) return;
    Side& side = found->sides[where.side];
    KLAMM_ASSERT(!side.lent);
    side.lent = true;
    side.buffer = std::move(effect.into);
    hand_over(where.connection, where.side);
}

void World::Impl::send(Machine& machine, Shard& shard, SendEffect& effect) {
    ConnectionSide where{};
    Connection* found = connection_of(*machine.process, shard, effect.connection, where);
    if (found == nullptr) return;
    for (OutPiece& piece : effect.pieces) found->ways[where.side].queue.push_back(std::move(piece));
    pump(where.connection, where.side);
}

// Lets bytes leave while there is room in the window.
void World::Impl::pump(std::uint32_t index, std::uint32_t side) {
    Connection* made = connection(index);
    if (made == nullptr || !made->sides[side].open || !made->sides[side].established) return;
    Direction& way = made->ways[side];
    const NetworkOptions& net = options_.network;
    std::uint64_t packet = 0;
    while (!way.queue.empty() && !way.lagging) {
        const OutPiece& piece = way.queue.front();
        const std::uint64_t unread = way.in_flight + way.arrived;
        const std::uint64_t room = made->window > unread ? made->window - unread : 0;
        const std::uint64_t size = std::min({piece.length, room, net.packet_bytes_max - packet});
        if (size == 0 && piece.length > 0) {
            if (room == 0 || packet == 0) break;
            emit_packet(index, side, packet);
            packet = 0;
            continue;
        }
        if (piece.file && !way.lag_over && net.file_range_lag_rate > 0) {
            const std::uint64_t n = ++way.lags;
            const std::uint64_t entity = fold64(made->key, side);
            if (draws_.happens(net.file_range_lag_rate, lag_domain, entity, n)) {
                way.lagging = true;
                Pending& pending =
                    push(now_ + Duration{draws_.exponential(net.file_range_lag_mean.nanoseconds,
                                                            lag_size_domain, entity, n)},
                         EventKind::lag);
                pending.machine = index;
                pending.shard = side;
                break;
            }
        }
        if (!leave_piece(index, side, size)) {
            if (packet > 0) emit_packet(index, side, packet);
            send_fin(index, side);
            tell_closed(index, side);
            return;
        }
        packet += size;
    }
    if (packet > 0) emit_packet(index, side, packet);
}

// Puts `size` bytes of the first piece on the wire; false if its file no longer has them.
bool World::Impl::leave_piece(std::uint32_t index, std::uint32_t side, std::uint64_t size) {
    Connection& made = *connection(index);
    Direction& way = made.ways[side];
    OutPiece& piece = way.queue.front();
    if (piece.bad_handle) return false;
    if (piece.file) {
        if (piece.position + piece.length > piece.file->file.length()) return false;
        Bytes read(size);
        if (!piece.file->read(piece.position, read).ok()) return false;
        Buffer bytes = Buffer::from(std::move(read));
        trace_.fold(crc32c(bytes.view()));
        way.wire.push_back(std::move(bytes));
    } else if (size > 0) {
        way.wire.push_back(size == piece.buffer.size() ? std::move(piece.buffer)
                                                       : piece.buffer.slice(0, size));
        if (size < piece.length) piece.buffer = piece.buffer.slice(size, piece.length - size);
    }
    way.in_flight += size;
    piece.position += size;
    piece.length -= size;
    if (piece.length > 0) return true;
    const env::Token token = piece.token;
    way.queue.pop_front();
    way.lag_over = false;
    const Side& sender = made.sides[side];
    if (token != 0) {
        Pending& pending = push(now_, EventKind::deliver);
        pending.machine = sender.machine;
        pending.shard = sender.shard;
        pending.incarnation = sender.incarnation;
        pending.event = env::Drained{sender.id, token};
    }
    return true;
}

void World::Impl::emit_packet(std::uint32_t index, std::uint32_t side, std::uint64_t size) {
    Connection& made = *connection(index);
    Direction& way = made.ways[side];
    const NetworkOptions& net = options_.network;
    const std::uint64_t entity = fold64(made.key, side);
    while (size > 0) {
        const std::uint64_t n = ++way.packets;
        std::uint64_t part = size;
        if (size > 1 && net.split_rate > 0 &&
            draws_.happens(net.split_rate, split_domain, entity, n))
            part = 1 + draws_.below(size - 1, split_at_domain, entity, n);
        if (tap_ != nullptr) tap_left(index, side, size, part);
        size -= part;
        const Instant arrival =
            std::max(way.last_arrival, through(made, side, part) + delay(made, side, part, n));
        way.last_arrival = arrival;
        Pending& pending = push(arrival, EventKind::packet);
        pending.machine = index;
        pending.shard = side;
        pending.a = part;
    }
}

/// Shows the tap a packet of `part` bytes: the first of the last `left` bytes of the wire.
void World::Impl::tap_left(std::uint32_t index, std::uint32_t side, std::uint64_t left,
                           std::uint64_t part) {
    const std::deque<Buffer>& wire = connection(index)->ways[side].wire;
    std::size_t first = wire.size();
    std::uint64_t counted = 0;
    while (counted < left) counted += wire[--first].size();
    std::uint64_t skip = counted - left;
    Bytes bytes;
    for (; bytes.size() < part; ++first, skip = 0) {
        const ByteView piece = wire[first].view().subspan(skip);
        const std::size_t take = std::min<std::size_t>(piece.size(), part - bytes.size());
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(take));
    }
    tap_->on_packet_left(now_, index, side, bytes);
}

void World::Impl::on_packet(std::uint32_t index, std::uint32_t side, std::uint64_t size) {
    Connection& made = *connection(index);
    Direction& way = made.ways[side];
    Side& receiver = made.sides[1 - side];
    if (size > link(made.sides[side].machine, receiver.machine).swallows_above)
        way.swallowed = true;
    if (blocked(made, side) || way.swallowed || !machines_[receiver.machine]->powered) {
        way.held.push_back(size);
        if (tap_ != nullptr) tap_->on_packet_held(now_, index, side);
        hold(index, side);
        return;
    }
    if (const Instant until = stalled_until(made, side); until > now_) {
        way.last_arrival = std::max(way.last_arrival, until);
        Pending& pending = push(until, EventKind::packet);
        pending.machine = index;
        pending.shard = side;
        pending.a = size;
        return;
    }
    if (size > way.in_flight) return;  // a reset took them
    way.in_flight -= size;
    if (!receiver.open) {
        send_reset(index, side, false);
        retire(index);
        return;
    }
    if (tap_ != nullptr) tap_->on_packet_arrived(now_, index, side, size);
    way.arrived += size;
    hand_over(index, 1 - side);
}

// Fills the buffer that `side` has lent with what has arrived for it, or tells it of the end.
void World::Impl::hand_over(std::uint32_t index, std::uint32_t side_index) {
    Connection& made = *connection(index);
    Side& side = made.sides[side_index];
    Direction& way = made.ways[1 - side_index];
    if (!side.open || !side.established || !side.lent) return;
    if (way.arrived == 0) {
        if (side.fin_arrived && way.in_flight == 0) tell_closed(index, side_index);
        return;
    }
    std::uint64_t count = std::min<std::uint64_t>(way.arrived, side.buffer.size());
    const std::uint64_t n = ++way.receives;
    const NetworkOptions& net = options_.network;
    if (count > 1 && net.short_receive_rate > 0) {
        const std::uint64_t entity = fold64(made.key, side_index);
        if (draws_.happens(net.short_receive_rate, short_domain, entity, n))
            count = 1 + draws_.below(count - 1, short_size_domain, entity, n);
    }
    way.arrived -= count;
    std::uint8_t* at = side.buffer.data();
    for (std::uint64_t left = count; left > 0;) {
        Buffer& first = way.wire.front();
        const std::size_t take = std::min<std::uint64_t>(left, first.size());
        std::memcpy(at, first.data(), take);
        at += take;
        left -= take;
        if (take == first.size())
            way.wire.pop_front();
        else
            first = first.slice(take, first.size() - take);
    }
    side.lent = false;
    side.buffer = {};
    const Side told = side;
    if (!way.queue.empty()) {
        Pending& pending = push(now_, EventKind::pump);
        pending.machine = index;
        pending.shard = 1 - side_index;
    }
    post(told.machine, told.incarnation, told.shard, env::Received{told.id, count});
}

}  // namespace klamm::sim
