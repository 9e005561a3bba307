#pragma once
// A node for tests of the world: it hands every event to a function and keeps nothing else.

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sim/world/world.h"

namespace klamm::sim::test {

using Handler = std::function<void(env::Env&, env::Event&)>;

class ScriptNode final : public env::Node {
  public:
    explicit ScriptNode(Handler handler) : handler_(std::move(handler)) {}
    void handle(env::Env& env, env::Event event) override { handler_(env, event); }

  private:
    Handler handler_;
};

inline NodeSpec script(std::string name, Handler handler) {
    NodeSpec spec;
    spec.name = std::move(name);
    spec.factory = [handler = std::move(handler)](env::ShardIndex, env::ShardIndex) {
        return std::make_unique<ScriptNode>(handler);
    };
    return spec;
}

/// Runs `act` once, in the turn of Started.
inline NodeSpec script_at_start(std::string name, std::function<void(env::Env&)> act) {
    return script(std::move(name), [act = std::move(act)](env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event)) act(env);
    });
}

inline Bytes pattern(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::uint8_t>(mix64(seed + i) | 1);  // never zero
    return bytes;
}

}  // namespace klamm::sim::test
