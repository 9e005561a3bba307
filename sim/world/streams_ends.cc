// How streams stall and end: FIN and RST, links that are cut and heal, timeouts, sides that are
// gone without the other's knowledge. A FIN is in order and is told once the bytes before it are
// read; a reset is told at once and takes unread bytes along.

#include <algorithm>

#include "sim/world/impl.h"

namespace klamm::sim {

namespace {
constexpr DrawDomain leave_domain = draw_domain("world.net.leave_at_end");
constexpr DrawDomain leave_all_domain = draw_domain("world.net.leave_all");
constexpr DrawDomain reset_domain = draw_domain("world.net.reset_on_kill");
constexpr DrawDomain break_domain = draw_domain("world.net.break_timeout");
constexpr DrawDomain retransmit_domain = draw_domain("world.net.retransmit");
constexpr std::uint64_t end_n = std::uint64_t{1} << 61;
}  // namespace

bool World::Impl::blocked(const Connection& made, std::uint32_t side) const {
    return !cuts_.empty() &&
           cuts_.contains({made.sides[side].machine, made.sides[1 - side].machine});
}

Instant World::Impl::stalled_until(const Connection& made, std::uint32_t side) const {
    Instant until = made.stalled_until;
    if (link_stalls_.empty()) return until;
    auto found = link_stalls_.find({made.sides[side].machine, made.sides[1 - side].machine});
    return found == link_stalls_.end() ? until : std::max(until, found->second);
}

void World::Impl::retire(std::uint32_t index) {
    Connection* made = connection(index);
    if (made == nullptr || made->sides[0].open || made->sides[1].open) return;
    live_connections_.erase(index);
    connections_[index].reset();
}

/// `side` no longer holds the connection, by its own doing: what it had queued leaves in part.
void World::Impl::hang_up(std::uint32_t index, std::uint32_t side_index, Ending ending) {
    Connection& made = *connection(index);
    Side& side = made.sides[side_index];
    if (!side.open) return;
    Direction& way = made.ways[side_index];
    const std::uint64_t entity = fold64(made.key, side_index);
    bool reset = false;
    if (ending != Ending::power && side.established) {
        std::uint64_t queued = 0;
        for (const OutPiece& piece : way.queue) queued += piece.length;
        std::uint64_t leaves = draws_.happens(500'000, leave_all_domain, entity, 0)
                                   ? queued
                                   : draws_.below(queued + 1, leave_domain, entity, 0);
        std::uint64_t packet = 0;
        while (leaves > 0) {
            const std::uint64_t size = std::min(leaves, way.queue.front().length);
            if (size == 0) {
                way.queue.pop_front();
                continue;
            }
            way.queue.front().token = 0;
            if (!leave_piece(index, side_index, size)) break;
            packet += size;
            leaves -= size;
        }
        if (packet > 0) emit_packet(index, side_index, packet);
        const Direction& other = made.ways[1 - side_index];
        const bool unread = other.arrived > 0;
        reset = unread ||
                (ending == Ending::killed &&
                 draws_.happens(options_.network.reset_on_kill_rate, reset_domain, entity, 0));
    }
    way.queue.clear();
    side.open = false;
    side.lent = false;
    side.buffer = {};
    if (tap_ != nullptr) tap_->on_over(now_, index, side_index);
    if (ending != Ending::power) {
        if (reset)
            send_reset(index, 1 - side_index, false);
        else
            send_fin(index, side_index);
    }
    retire(index);
}

void World::Impl::send_fin(std::uint32_t index, std::uint32_t side) {
    Connection& made = *connection(index);
    Direction& way = made.ways[side];
    if (way.fin_sent || !made.sides[1 - side].open) return;
    way.fin_sent = true;
    if (tap_ != nullptr) tap_->on_fin_left(now_, index, side);
    way.last_arrival = std::max(way.last_arrival, now_ + delay(made, side, 0, end_n));
    Pending& pending = push(way.last_arrival, EventKind::fin);
    pending.machine = index;
    pending.shard = side;
}

void World::Impl::send_reset(std::uint32_t index, std::uint32_t to_side, bool in_order) {
    Connection& made = *connection(index);
    if (!made.sides[to_side].open) return;
    if (tap_ != nullptr) tap_->on_reset_left(now_, index, 1 - to_side);
    Direction& way = made.ways[1 - to_side];
    Instant when = now_ + delay(made, 1 - to_side, 0, end_n + 1);
    if (in_order) when = std::max(when, way.last_arrival);
    Pending& pending = push(when, EventKind::reset);
    pending.machine = index;
    pending.shard = to_side;
}

/// The FIN that `side` sent has come to the other side.
void World::Impl::on_fin(std::uint32_t index, std::uint32_t side) {
    Connection& made = *connection(index);
    Direction& way = made.ways[side];
    if (blocked(made, side) || way.swallowed || !machines_[made.sides[1 - side].machine]->powered) {
        way.held_fin = true;
        return;
    }
    if (const Instant until = stalled_until(made, side); until > now_) {
        Pending& pending = push(until, EventKind::fin);
        pending.machine = index;
        pending.shard = side;
        return;
    }
    made.sides[1 - side].fin_arrived = true;
    hand_over(index, 1 - side);
}

void World::Impl::on_reset(std::uint32_t index, std::uint32_t side) {
    Connection& made = *connection(index);
    if (!made.sides[side].open) return;
    if (blocked(made, 1 - side)) {
        made.sides[side].reset_held = true;
        return;
    }
    tell_closed(index, side);
}

/// `side` learns that its connection is over; what it had to send or read is dropped.
void World::Impl::tell_closed(std::uint32_t index, std::uint32_t side_index) {
    Connection& made = *connection(index);
    Side& side = made.sides[side_index];
    if (!side.open) return;
    side.open = false;
    side.lent = false;
    side.buffer = {};
    made.ways[side_index].queue.clear();
    Direction& incoming = made.ways[1 - side_index];
    incoming.arrived = 0;
    if (tap_ != nullptr) tap_->on_over(now_, index, side_index);
    const Side told = side;
    retire(index);
    post(told.machine, told.incarnation, told.shard, env::Closed{told.id});
}

// --- Cut links

/// Bytes that `side` sent are held: unless the link heals first, that side gives up.
void World::Impl::hold(std::uint32_t index, std::uint32_t side) {
    Connection& made = *connection(index);
    Direction& way = made.ways[side];
    if (way.held.size() > 1 || !made.sides[side].open) return;
    const NetworkOptions& net = options_.network;
    const std::uint64_t number = ++way.hold_number;
    const std::int64_t wait =
        draws_.between(net.break_timeout_min.nanoseconds, net.break_timeout_max.nanoseconds,
                       break_domain, fold64(made.key, side), number);
    Pending& pending = push(now_ + Duration{wait}, EventKind::break_timeout);
    pending.machine = index;
    pending.shard = side;
    pending.a = number;
}

void World::Impl::on_break_timeout(std::uint32_t index, std::uint32_t side, std::uint64_t number) {
    Connection& made = *connection(index);
    Direction& way = made.ways[side];
    if (way.hold_number != number || way.held.empty()) return;
    for (const std::uint64_t size : way.held) way.in_flight -= std::min(way.in_flight, size);
    way.held.clear();
    tell_closed(index, side);
}

void World::Impl::on_connect_timeout(std::uint32_t index) {
    Connection& made = *connection(index);
    if (!made.sides[0].open || made.sides[0].established) return;
    tell_closed(index, 0);
}

/// What the link from `from` to `to` held goes on, later by a retransmission.
void World::Impl::release(std::uint32_t from, std::uint32_t to) {
    for (const std::uint32_t index : live_connections_) {
        Connection& made = *connections_[index];
        for (std::uint32_t side = 0; side < 2; ++side) {
            if (made.sides[side].machine != from || made.sides[1 - side].machine != to) continue;
            Direction& way = made.ways[side];
            if (way.held.empty() && !way.held_fin && !made.sides[1 - side].reset_held) continue;
            way.swallowed = false;
            const std::uint64_t number = ++way.hold_number;
            const Instant when =
                now_ +
                Duration{draws_.exponential(options_.network.retransmit_mean.nanoseconds,
                                            retransmit_domain, fold64(made.key, side), number)} +
                delay(made, side, 0, end_n + 1 + number);
            way.last_arrival = std::max(way.last_arrival, when);
            for (const std::uint64_t size : way.held) {
                Pending& pending = push(when, EventKind::packet);
                pending.machine = index;
                pending.shard = side;
                pending.a = size;
            }
            way.held.clear();
            if (way.held_fin) {
                way.held_fin = false;
                Pending& pending = push(way.last_arrival, EventKind::fin);
                pending.machine = index;
                pending.shard = side;
            }
            if (made.sides[1 - side].reset_held) {
                made.sides[1 - side].reset_held = false;
                Pending& pending = push(when, EventKind::reset);
                pending.machine = index;
                pending.shard = 1 - side;
            }
        }
    }
}

std::uint32_t World::Impl::find_connection(std::uint64_t key) const {
    for (const std::uint32_t index : live_connections_)
        if (connections_[index]->key == key) return index;
    return no_connection;
}

// --- Faults, as World offers them

const NetworkOptions& World::network_options() const { return impl_->options_.network; }
void World::set_network_options(const NetworkOptions& options) {
    KLAMM_ASSERT(options.packet_bytes_max > 0);
    impl_->options_.network = options;
}
void World::set_link(NodeId from, NodeId to, const LinkOptions& options) {
    const bool wider = impl_->link(from.value, to.value).swallows_above < options.swallows_above;
    impl_->links_.insert_or_assign({from.value, to.value}, options);
    if (wider) impl_->release(from.value, to.value);
}
void World::refuse(NodeId from, NodeId to, bool refused) {
    if (refused)
        impl_->refused_.insert({from.value, to.value});
    else
        impl_->refused_.erase({from.value, to.value});
}
void World::redirect(NodeId named, NodeId to) {
    impl_->redirects_.erase(named.value);
    if (named != to) impl_->redirects_.emplace(named.value, to.value);
    std::vector<std::pair<std::uint64_t, NodeId>> lost;
    for (const std::uint32_t index : impl_->live_connections_) {
        const Connection& made = *impl_->connections_[index];
        if (made.named == named.value && made.sides[1].machine != to.value)
            lost.emplace_back(made.key, NodeId(made.sides[0].machine));
    }
    for (const auto& [key, side] : lost) half_open(key, side);
}
void World::cut(NodeId from, NodeId to) { impl_->cuts_.insert({from.value, to.value}); }
void World::heal(NodeId from, NodeId to) {
    if (impl_->cuts_.erase({from.value, to.value}) > 0) impl_->release(from.value, to.value);
}
void World::partition(std::span<const NodeId> one, std::span<const NodeId> other) {
    for (const NodeId a : one)
        for (const NodeId b : other) {
            cut(a, b);
            cut(b, a);
        }
}
void World::heal_all() {
    const auto cuts = std::move(impl_->cuts_);
    impl_->cuts_.clear();
    for (const auto& [from, to] : cuts) impl_->release(from, to);
}
bool World::is_cut(NodeId from, NodeId to) const {
    return impl_->cuts_.contains({from.value, to.value});
}
void World::stall_link(NodeId from, NodeId to, Duration duration) {
    Instant& until = impl_->link_stalls_[{from.value, to.value}];
    until = std::max(until, impl_->now_ + duration);
}
std::vector<ConnectionView> World::connections() const {
    std::vector<ConnectionView> result;
    for (const std::uint32_t index : impl_->live_connections_) {
        const Connection& made = *impl_->connections_[index];
        result.push_back({made.key, NodeId(made.sides[0].machine), NodeId(made.sides[1].machine)});
    }
    return result;
}
std::vector<ConnectionView> World::connections(NodeId a, NodeId b) const {
    std::vector<ConnectionView> result = connections();
    std::erase_if(result, [&](const ConnectionView& view) {
        return !(view.from == a && view.to == b) && !(view.from == b && view.to == a);
    });
    return result;
}
void World::stall_connection(std::uint64_t key, Duration duration) {
    const std::uint32_t index = impl_->find_connection(key);
    if (index == no_connection) return;
    Instant& until = impl_->connections_[index]->stalled_until;
    until = std::max(until, impl_->now_ + duration);
}
void World::reset_connection(std::uint64_t key) {
    const std::uint32_t index = impl_->find_connection(key);
    if (index == no_connection) return;
    for (std::uint32_t side = 0; side < 2; ++side) {
        if (impl_->connection(index) == nullptr) return;
        if (impl_->tap_ != nullptr) impl_->tap_->on_reset_left(impl_->now_, index, 1 - side);
        impl_->tell_closed(index, side);
    }
}
void World::half_open(std::uint64_t key, NodeId side) {
    const std::uint32_t index = impl_->find_connection(key);
    if (index == no_connection) return;
    const Connection& made = *impl_->connections_[index];
    const std::uint32_t told = made.sides[0].machine == side.value ? 0 : 1;
    if (impl_->tap_ != nullptr) impl_->tap_->on_reset_left(impl_->now_, index, 1 - told);
    impl_->tell_closed(index, told);
}

}  // namespace klamm::sim
