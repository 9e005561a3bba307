#pragma once
// Sequential objects, as the search needs them: what a state is after an operation, and along which
// key a history falls into parts that can be judged alone (a history is linearizable iff each part
// is: Herlihy and Wing's locality, Horn and Kroening's P-compositionality).
//
// Always: states are small numbers that the model hands out, equal numbers are equal states; a step
// depends on nothing but the state and the operation. An operation of unknown outcome is legal
// wherever it could have had any effect.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "checkers/operation.h"

namespace klamm::checkers {

using StateId = std::uint32_t;
constexpr StateId illegal = UINT32_MAX;

enum class ModelName : std::uint8_t {
    reg,    // read, write, cas, a key each
    kv,     // read, write, append of strings, a key each
    queue,  // enqueue, dequeue, first in first out
    set,    // add, remove, contains of one element; read of all
};

class Model {
  public:
    Model() = default;
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    virtual ~Model() = default;

    /// Forgets all states; the next operations are of this history.
    virtual void start(const OperationHistory& history) = 0;
    [[nodiscard]] virtual StateId initial() const = 0;
    /// The state after `operation`, or `illegal`.
    virtual StateId step(StateId state, const Operation& operation) = 0;
    /// Whether the object may change by it.
    [[nodiscard]] virtual bool changes(const Operation& operation) const = 0;
    [[nodiscard]] virtual bool knows(const Operation& operation) const = 0;
    /// Whether `operation` forgets what the object was.
    [[nodiscard]] virtual bool resets(const Operation& operation) const = 0;
    /// Whether `read` may still come true after `state` when nothing is reset before it.
    virtual bool within_reach(StateId state, const Operation& read) = 0;
    /// Operations with different keys are of different parts.
    [[nodiscard]] virtual TextId part_of(const Operation& operation) const = 0;
};

std::unique_ptr<Model> make_model(ModelName name);

/// "register", "kv", "queue" or "set".
const char* to_string(ModelName name);
std::optional<ModelName> model_of(std::string_view name);

}  // namespace klamm::checkers
