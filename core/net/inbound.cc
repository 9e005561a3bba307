#include "core/net/inbound.h"

#include <algorithm>
#include <string>
#include <utility>

namespace klamm::net {

namespace {

// Small answers are not tracked one by one: word of their leaving is asked for once this much has
// gathered.
constexpr std::size_t drained_every_bytes = 32 * 1024;

}  // namespace

void Inbound::accepted(env::Env& env, const env::Accepted& event, bool pauses_at_shard_bound) {
    Session session{.reader = FrameReader(limits_.frame_bytes_max),
                    .listener = event.listener,
                    .peer = event.peer,
                    .pauses_at_shard_bound = pauses_at_shard_bound,
                    .slots = {},
                    .unsent = {}};
    const auto [at, inserted] = sessions_.emplace(event.connection, std::move(session));
    KLAMM_ASSERT(inserted);
    maybe_lend(env, event.connection, at->second);
}

bool Inbound::received(env::Env& env, const env::Received& event, std::vector<Request>& out) {
    const auto at = sessions_.find(event.connection);
    if (at == sessions_.end()) return false;
    Session& session = at->second;
    auto frame = session.reader.received(env.network(), event.connection, event.count);
    if (!frame.ok()) {
        env.log("closing a connection: " + frame.error().text);
        close(env, event.connection);
        return true;
    }
    if (!frame->has_value()) return true;
    session.lent = false;
    const std::size_t size = (*frame)->size();
    session.slots.push_back(
        {.sequence = ++session.sequence, .request_bytes = size, .pieces = {}, .pins = {}});
    queued_bytes_ += size;
    out.push_back({{event.connection, session.sequence}, session.listener, std::move(**frame)});
    maybe_lend(env, event.connection, session);
    return true;
}

void Inbound::respond(env::Env& env, RequestKey key, Pieces pieces, std::vector<Pin> pins) {
    const auto at = sessions_.find(key.connection);
    if (at == sessions_.end()) {
        released_.insert(released_.end(), pins.begin(), pins.end());
        return;
    }
    Session& session = at->second;
    KLAMM_ASSERT(!session.slots.empty());
    const std::uint64_t index = key.sequence - session.slots.front().sequence;
    KLAMM_ASSERT(index < session.slots.size());
    Slot& slot = session.slots[index];
    KLAMM_ASSERT(!slot.done);
    slot.done = true;
    slot.pieces = std::move(pieces);
    slot.pins = std::move(pins);
    if (index == 0) release_ready(env, key.connection, session);
}

void Inbound::respond_nothing(env::Env& env, RequestKey key) {
    const auto at = sessions_.find(key.connection);
    if (at == sessions_.end()) return;
    Session& session = at->second;
    KLAMM_ASSERT(!session.slots.empty());
    const std::uint64_t index = key.sequence - session.slots.front().sequence;
    KLAMM_ASSERT(index < session.slots.size());
    session.slots[index].done = true;
    session.slots[index].silent = true;
    if (index == 0) release_ready(env, key.connection, session);
}

void Inbound::release_ready(env::Env& env, env::ConnectionId connection, Session& session) {
    while (!session.slots.empty() && session.slots.front().done) {
        Slot slot = std::move(session.slots.front());
        session.slots.pop_front();
        queued_bytes_ -= slot.request_bytes;
        if (slot.silent) continue;
        const std::uint64_t size = size_of(slot.pieces);
        session.untracked_bytes += size;
        env::Token token = 0;
        if (!slot.pins.empty() || session.untracked_bytes >= drained_every_bytes) {
            token = ++session.token;
            session.unsent.push_back({token, session.untracked_bytes, std::move(slot.pins)});
            session.unsent_bytes += session.untracked_bytes;
            session.untracked_bytes = 0;
        }
        env.network().send(connection, std::move(slot.pieces), token);
    }
    maybe_lend(env, connection, session);
    if (anyone_paused_) lend_paused(env);
}

void Inbound::maybe_lend(env::Env& env, env::ConnectionId connection, Session& session) {
    if (session.lent) return;
    if (session.slots.size() >= limits_.requests_in_flight_max) return;
    if (session.unsent_bytes >= limits_.unsent_bytes_max) return;
    if (session.pauses_at_shard_bound && queued_bytes_ >= limits_.queued_bytes_max) {
        anyone_paused_ = true;
        return;
    }
    session.lent = true;
    session.reader.begin(env.network(), connection);
}

void Inbound::lend_paused(env::Env& env) {
    if (queued_bytes_ >= limits_.queued_bytes_max) return;
    anyone_paused_ = false;
    for (auto& [connection, session] : sessions_) maybe_lend(env, connection, session);
}

bool Inbound::drained(env::Env& env, const env::Drained& event) {
    const auto at = sessions_.find(event.connection);
    if (at == sessions_.end()) return false;
    Session& session = at->second;
    while (!session.unsent.empty() && session.unsent.front().token <= event.token) {
        Unsent& unsent = session.unsent.front();
        session.unsent_bytes -= unsent.bytes;
        released_.insert(released_.end(), unsent.pins.begin(), unsent.pins.end());
        session.unsent.pop_front();
    }
    maybe_lend(env, event.connection, session);
    return true;
}

void Inbound::forget(std::map<env::ConnectionId, Session>::iterator at) {
    for (const Slot& slot : at->second.slots) {
        queued_bytes_ -= slot.request_bytes;
        released_.insert(released_.end(), slot.pins.begin(), slot.pins.end());
    }
    for (const Unsent& unsent : at->second.unsent)
        released_.insert(released_.end(), unsent.pins.begin(), unsent.pins.end());
    sessions_.erase(at);
}

bool Inbound::closed(env::Env& env, const env::Closed& event) {
    const auto at = sessions_.find(event.connection);
    if (at == sessions_.end()) return false;
    forget(at);
    if (anyone_paused_) lend_paused(env);
    return true;
}

void Inbound::close(env::Env& env, env::ConnectionId connection) {
    const auto at = sessions_.find(connection);
    if (at == sessions_.end()) return;
    env.network().close(connection);
    forget(at);
    if (anyone_paused_) lend_paused(env);
}

void Inbound::close_holding(env::Env& env, Pin pin) {
    const auto holds = [pin](const auto& row) {
        return std::find(row.pins.begin(), row.pins.end(), pin) != row.pins.end();
    };
    std::vector<env::ConnectionId> holders;
    for (const auto& [connection, session] : sessions_)
        if (std::any_of(session.unsent.begin(), session.unsent.end(), holds) ||
            std::any_of(session.slots.begin(), session.slots.end(), holds))
            holders.push_back(connection);
    for (const env::ConnectionId connection : holders) close(env, connection);
}

}  // namespace klamm::net
