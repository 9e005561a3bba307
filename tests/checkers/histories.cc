#include "tests/checkers/histories.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>

#include "core/base/assert.h"
#include "core/base/draws.h"

namespace klamm::checkers {

namespace {

/// A plain object of any kind.
struct Object {
    std::string value = "nil";      // of a register, or a map's string with quotes
    std::vector<TextId> content{};  // of a queue in order, of a set sorted

    /// Whether the answer of `one` is right; takes its effect.
    bool apply(const OperationHistory& history, const Operation& one) {
        const bool told = one.outcome == Outcome::ok;
        const auto& text = history.texts;
        const auto at = std::lower_bound(content.begin(), content.end(), one.input);
        const bool there = at != content.end() && *at == one.input;
        switch (one.function) {
            case Function::read:
                if (!told) return true;
                return one.list != 0 || value.empty() ? content == history.lists[one.list]
                                                      : text[one.output] == value;
            case Function::write: value = text[one.input]; return true;
            case Function::cas: {
                const bool equal = value == text[one.expected];
                if (equal) value = text[one.input];
                return !told || equal == one.swapped;
            }
            case Function::append: {
                const std::string before = value == "nil" ? "" : value.substr(1, value.size() - 2);
                value = "\"" + before + text[one.input].substr(1);
                return true;
            }
            case Function::enqueue: content.push_back(one.input); return true;
            case Function::dequeue: {
                const TextId first = content.empty() ? nil : content.front();
                if (!content.empty()) content.erase(content.begin());
                return !told || one.output == first;
            }
            case Function::add:
                if (!there) content.insert(at, one.input);
                return true;
            case Function::remove:
                if (there) content.erase(at);
                return true;
            case Function::contains: return !told || (text[one.output] == "true") == there;
        }
        KLAMM_UNREACHABLE();
    }
    /// Writes the right answer into `one` and takes its effect.
    void answer(OperationHistory& history, Operation& one) {
        one.outcome = Outcome::ok;
        switch (one.function) {
            case Function::read:
                if (value.empty()) {
                    one.list = static_cast<std::uint32_t>(history.lists.size());
                    history.lists.push_back(content);
                } else {
                    one.output = history.intern(value);
                }
                break;
            case Function::cas: one.swapped = value == history.texts[one.expected]; break;
            case Function::dequeue: one.output = content.empty() ? nil : content.front(); break;
            case Function::contains:
                one.output = history.intern(
                    std::binary_search(content.begin(), content.end(), one.input) ? "true"
                                                                                  : "false");
                break;
            default: break;
        }
        apply(history, one);
    }
};

Object object_of(const OperationHistory& history) {
    Object object;
    for (const Operation& one : history.operations) {
        if (one.function == Function::add || one.function == Function::remove) object.value = "";
        if (one.list != 0) object.value = "";
    }
    return object;
}

/// A stream of numbers from a seed.
class Chance {
  public:
    explicit Chance(std::uint64_t seed) : draws_(seed) {}
    std::uint64_t below(std::uint64_t bound) {
        return draws_.below(bound, draw_domain("small"), 0, n_++);
    }
    bool one_in(std::uint64_t bound) { return below(bound) == 0; }

  private:
    Draws draws_;
    std::uint64_t n_ = 0;
};

/// What an operation of this kind asks.
Operation draw_operation(SmallKind kind, OperationHistory& history, Chance& chance, int number) {
    Operation one;
    const auto few = [&] { return history.intern(std::to_string(chance.below(3))); };
    const auto own = [&] { return history.intern(std::to_string(100 + number)); };
    switch (kind) {
        case SmallKind::register_unique:
            if (chance.one_in(2)) return one;
            one.function = Function::write;
            one.input = own();
            return one;
        case SmallKind::register_mixed:
            one.function = static_cast<Function>(chance.below(3));
            if (one.function == Function::read) return one;
            one.input = few();
            if (one.function == Function::cas) one.expected = few();
            return one;
        case SmallKind::map:
            one.key = history.intern(chance.one_in(4) ? "\"other\"" : "\"key\"");
            if (chance.one_in(2)) return one;
            one.function = chance.one_in(5) ? Function::write : Function::append;
            one.input = history.intern(std::string("\"") + "abc"[chance.below(3)] +
                                       (chance.one_in(2) ? "a" : "") + "\"");
            return one;
        case SmallKind::queue_unique:
        case SmallKind::queue_repeated:
            one.function = chance.one_in(2) ? Function::enqueue : Function::dequeue;
            if (one.function == Function::dequeue) return one;
            one.input = kind == SmallKind::queue_unique ? own() : few();
            return one;
        case SmallKind::set_elements:
            one.function = static_cast<Function>(static_cast<int>(Function::add) +
                                                 static_cast<int>(chance.below(3)));
            one.input = few();
            return one;
        case SmallKind::set_growing:
            if (chance.one_in(2)) return one;
            one.function = Function::add;
            one.input = own();
            return one;
        case SmallKind::set_mixed:
            if (chance.one_in(2)) return one;
            one.function = chance.one_in(3) ? Function::remove : Function::add;
            one.input = few();
            return one;
    }
    KLAMM_UNREACHABLE();
}

bool is_set(SmallKind kind) {
    return kind == SmallKind::set_elements || kind == SmallKind::set_growing ||
           kind == SmallKind::set_mixed;
}

/// Clients take turns at random: invoke, take effect, return.
OperationHistory draw_history(SmallKind kind, Chance& chance, int operations, int clients,
                              std::uint64_t lost_one_in) {
    OperationHistory history;
    std::map<TextId, Object> objects;
    enum class Phase : std::uint8_t { idle, open, done };
    std::vector<std::pair<Phase, std::size_t>> at(static_cast<std::size_t>(clients));
    std::int64_t event = 0;
    for (int begun = 0;;) {
        const std::size_t client = chance.below(at.size());
        auto& [phase, index] = at[client];
        if (phase == Phase::idle) {
            if (begun == operations) {
                const bool busy = std::any_of(
                    at.begin(), at.end(), [](const auto& one) { return one.first != Phase::idle; });
                if (!busy) return history;
                continue;
            }
            Operation one = draw_operation(kind, history, chance, ++begun);
            one.client = static_cast<std::int32_t>(client);
            one.call = event++;
            phase = Phase::open;
            index = history.operations.size();
            history.operations.push_back(one);
        } else if (phase == Phase::open) {
            phase = Phase::done;
            Object& object = objects[history.operations[index].key];
            if (is_set(kind)) object.value = "";
            // One that never returns may have taken effect or not.
            if (chance.one_in(lost_one_in)) {
                if (chance.one_in(2)) {
                    object.answer(history, history.operations[index]);
                    history.operations[index].outcome = Outcome::unknown;
                }
                phase = Phase::idle;
            } else {
                object.answer(history, history.operations[index]);
            }
        } else {
            history.operations[index].ret = event++;
            phase = Phase::idle;
        }
    }
}

/// Gives one answer that may be false.
void spoil(SmallKind kind, OperationHistory& history, Chance& chance) {
    Operation& one = history.operations[chance.below(history.operations.size())];
    if (one.outcome != Outcome::ok) return;
    const Operation& other = history.operations[chance.below(history.operations.size())];
    switch (one.function) {
        case Function::cas: one.swapped = !one.swapped; return;
        case Function::contains:
            one.output = history.intern(history.texts[one.output] == "true" ? "false" : "true");
            return;
        case Function::dequeue:
            one.output = other.function == Function::enqueue ? other.input : nil;
            return;
        case Function::read: break;
        default: return;
    }
    if (!is_set(kind)) {
        one.output = other.function == Function::read ? other.output : other.input;
        return;
    }
    std::vector<TextId> list = history.lists[one.list];
    if (!list.empty() && chance.one_in(2)) {
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(chance.below(list.size())));
    } else if (other.input != nil) {
        list.insert(std::lower_bound(list.begin(), list.end(), other.input), other.input);
    }
    one.list = static_cast<std::uint32_t>(history.lists.size());
    history.lists.push_back(std::move(list));
}

/// Tries every order, depth first.
bool order_exists(const OperationHistory& history, std::span<const Operation> operations,
                  std::uint32_t done, const std::vector<Object>& objects,
                  const std::vector<std::size_t>& object_of_operation) {
    std::int64_t first_return = never;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if ((done >> i & 1) == 0) first_return = std::min(first_return, operations[i].ret);
    }
    if (first_return == never) return true;  // the rest never happened
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if ((done >> i & 1) != 0 || operations[i].call > first_return) continue;
        std::vector<Object> next = objects;
        if (!next[object_of_operation[i]].apply(history, operations[i])) continue;
        if (order_exists(history, operations, done | std::uint32_t{1} << i, next,
                         object_of_operation)) {
            return true;
        }
    }
    return false;
}

}  // namespace

const char* to_string(SmallKind kind) {
    constexpr std::array names{"register_unique", "register_mixed", "map",         "queue_unique",
                               "queue_repeated",  "set_elements",   "set_growing", "set_mixed"};
    return names[static_cast<std::size_t>(kind)];
}

ModelName model_name(SmallKind kind) {
    if (is_set(kind)) return ModelName::set;
    if (kind == SmallKind::map) return ModelName::kv;
    return kind == SmallKind::register_unique || kind == SmallKind::register_mixed
               ? ModelName::reg
               : ModelName::queue;
}

bool has_quick(SmallKind kind) {
    return kind == SmallKind::register_unique || kind == SmallKind::queue_unique ||
           kind == SmallKind::set_growing;
}

std::uint64_t cases(std::uint64_t otherwise) {
    const char* given = std::getenv("KLAMM_CASES");
    return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

OperationHistory lawful_history(SmallKind kind, std::uint64_t seed, int operations, int clients) {
    Chance chance(seed);
    return draw_history(kind, chance, operations, clients, 40);
}

OperationHistory small_history(SmallKind kind, std::uint64_t seed) {
    Chance chance(seed);
    const int operations = 1 + static_cast<int>(chance.below(6));
    const int clients = 1 + static_cast<int>(chance.below(4));
    OperationHistory history = draw_history(kind, chance, operations, clients, 8);
    for (std::uint64_t spoils = chance.below(3); spoils > 0; --spoils) spoil(kind, history, chance);
    return history;
}

bool brute_force(const OperationHistory& history, std::span<const Operation> tight,
                 std::span<const Operation> loose) {
    std::vector<Operation> all(tight.begin(), tight.end());
    for (Operation one : loose) {
        one.call = -1;
        one.ret = never;
        all.push_back(one);
    }
    std::vector<TextId> keys;
    std::vector<std::size_t> objects;
    for (const Operation& one : all) {
        const auto at = std::find(keys.begin(), keys.end(), one.key);
        objects.push_back(static_cast<std::size_t>(at - keys.begin()));
        if (at == keys.end()) keys.push_back(one.key);
    }
    return order_exists(history, all, 0, std::vector<Object>(keys.size(), object_of(history)),
                        objects);
}

Agreement agree(SmallKind kind, std::uint64_t count, std::uint64_t first_seed) {
    Agreement out;
    LinearizabilityOptions searched;
    searched.quick = false;
    searched.shrink = false;
    for (std::uint64_t seed = first_seed; out.cases < count; ++seed) {
        const OperationHistory history = small_history(kind, seed);
        ++out.cases;
        const bool expected = brute_force(history, history.operations);
        if (expected) ++out.linearizable;
        const Linearizability swept = check_linearizability(model_name(kind), history);
        const Linearizability found = check_linearizability(model_name(kind), history, searched);
        const auto wanted = expected ? Verdict::linearizable : Verdict::not_linearizable;
        if (swept.verdict != wanted || found.verdict != wanted) ++out.disagreements;
        if (swept.parts_quick > 0) ++out.quick;
    }
    return out;
}

int counterexamples_are_minimal(SmallKind kind, std::uint64_t count, std::uint64_t first_seed) {
    int found = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + count; ++seed) {
        const OperationHistory history = small_history(kind, seed);
        LinearizabilityOptions options;
        options.quick = false;
        const Linearizability result = check_linearizability(model_name(kind), history, options);
        if (result.verdict != Verdict::not_linearizable) continue;
        ++found;
        // Alone with what the others might have done it fails; with any one of them set free, not.
        std::vector<Operation> tight = result.counterexample.operations;
        std::vector<Operation> loose;
        std::int64_t end = 0;
        for (const Operation& one : tight) {
            if (one.ret != never) end = std::max(end, one.ret);
        }
        for (const Operation& one : history.operations) {
            const bool shown = std::any_of(tight.begin(), tight.end(), [&](const Operation& each) {
                return each.call == one.call;
            });
            const bool same = one.key == tight.front().key && one.call < end;
            if (!shown && same && one.function != Function::read) loose.push_back(one);
        }
        if (!result.counterexample.minimal || brute_force(history, tight, loose)) return -1;
        for (std::size_t i = 0; i < tight.size(); ++i) {
            std::vector<Operation> fewer = tight;
            std::vector<Operation> more = loose;
            more.push_back(fewer[i]);
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
            if (!brute_force(history, fewer, more)) return -1;
        }
    }
    return found;
}

}  // namespace klamm::checkers
