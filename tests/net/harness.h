#pragma once
// Two kinds of nodes for tests of the network layer: a server around Inbound, and a peer that
// moves raw bytes. Both do what the test orders between events, once a millisecond.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/net/channel.h"
#include "core/net/inbound.h"
#include "sim/world/world.h"

namespace klamm::net::test {

constexpr std::uint16_t port = 9092;

template <class Self>
class Ordered final : public env::Node {
  public:
    explicit Ordered(Self* self) : self_(self) {}
    void handle(env::Env& env, env::Event event) override {
        self_->on(env, event);
        for (; !self_->orders.empty(); self_->orders.pop_front()) self_->orders.front()(env);
        env.wake_at(env.turn().now + milliseconds(1));
    }

  private:
    Self* self_;
};

template <class Self>
sim::NodeId add(sim::World& world, const std::string& name, Self* self) {
    const sim::NodeId node = world.add_node(
        {.name = name,
         .factory = [self](env::ShardIndex,
                           env::ShardIndex) { return std::make_unique<Ordered<Self>>(self); },
         .clock = {},
         .disk = {},
         .cpu = {}});
    world.start(node);
    return node;
}

/// Bytes of a frame: the length, then `text`.
inline Bytes frame_of(std::string_view text) {
    Bytes frame(4 + text.size());
    store_big_endian(frame.data(), static_cast<std::int32_t>(text.size()));
    std::copy(text.begin(), text.end(), frame.begin() + 4);
    return frame;
}

class Server {
  public:
    Server(sim::World& world, InboundLimits limits) : inbound(limits), world_(world) {
        node = add(world, "server", this);
    }

    void on(env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event)) {
            env.network().listen({"server", port}, env::ListenerId{1});
            env.network().listen({"server", port + 1}, env::ListenerId{2});
        }
        if (auto* accepted = std::get_if<env::Accepted>(&event))
            inbound.accepted(env, *accepted, accepted->listener == env::ListenerId{1});
        if (auto* received = std::get_if<env::Received>(&event))
            inbound.received(env, *received, requests);
        if (auto* drained = std::get_if<env::Drained>(&event)) inbound.drained(env, *drained);
        if (auto* closed = std::get_if<env::Closed>(&event)) inbound.closed(env, *closed);
        for (const Pin pin : inbound.take_released()) released.push_back(pin);
    }

    /// Runs `order` in a turn of the server.
    void run(std::function<void(env::Env&)> order) {
        orders.push_back(std::move(order));
        world_.run_until([&] { return orders.empty(); }, seconds(1));
        for (const Pin pin : inbound.take_released()) released.push_back(pin);
    }
    void answer(std::size_t index, std::string_view text, std::vector<Pin> pins = {}) {
        run([&, this](env::Env& env) {
            inbound.respond(env, requests.at(index).key, {Buffer::from(frame_of(text))}, pins);
        });
    }
    std::string text(std::size_t index) { return std::string(as_text(requests.at(index).frame)); }

    Inbound inbound;
    std::vector<Request> requests;
    std::vector<Pin> released;
    std::deque<std::function<void(env::Env&)>> orders;
    sim::NodeId node;

  private:
    sim::World& world_;
};

/// One raw connection.
class Peer {
  public:
    Peer(sim::World& world, const std::string& name, std::uint16_t to = port) : world_(world) {
        to_ = to;
        node = add(world, name, this);
        world.run_until([&] { return open; }, seconds(5));
    }

    void on(env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event))
            connection = env.network().connect({"server", to_});
        if (std::holds_alternative<env::Connected>(event)) {
            open = true;
            lend(env);
        }
        if (auto* received = std::get_if<env::Received>(&event)) {
            bytes.insert(bytes.end(), lent_.data(), lent_.data() + received->count);
            is_lent_ = false;
            lend(env);
        }
        if (std::holds_alternative<env::Closed>(event)) closed = true;
    }
    void lend(env::Env& env) {
        if (!reading || is_lent_ || closed) return;
        is_lent_ = true;
        lent_ = MutableBuffer(1 << 20);
        env.network().receive(connection, lent_);
    }
    void run(std::function<void(env::Env&)> order) {
        orders.push_back(std::move(order));
        world_.run_until([&] { return orders.empty(); }, seconds(1));
    }
    void send(Bytes what) {
        run([&](env::Env& env) {
            env.network().send(connection, {Buffer::from(std::move(what))}, 0);
        });
    }
    void send(std::string_view text) { send(frame_of(text)); }
    void close() {
        run([&](env::Env& env) { env.network().close(connection); });
        closed = true;
    }
    /// The texts of the whole frames that have come.
    std::vector<std::string> texts() const {
        std::vector<std::string> all;
        for (std::size_t at = 0; at + 4 <= bytes.size();) {
            const auto size =
                static_cast<std::size_t>(load_big_endian<std::int32_t>(bytes.data() + at));
            if (at + 4 + size > bytes.size()) break;
            all.emplace_back(as_text(ByteView(bytes).subspan(at + 4, size)));
            at += 4 + size;
        }
        return all;
    }

    env::ConnectionId connection = env::ConnectionId::none;
    bool open = false;
    bool closed = false;
    bool reading = true;
    Bytes bytes;
    std::deque<std::function<void(env::Env&)>> orders;
    sim::NodeId node;

  private:
    sim::World& world_;
    std::uint16_t to_ = port;
    MutableBuffer lent_;
    bool is_lent_ = false;
};

}  // namespace klamm::net::test
