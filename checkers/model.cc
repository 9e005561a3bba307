// The models. A register's state is its value; a map's value is a node of a tree of appended texts,
// so that an append costs one lookup whatever the length; queues and sets are interned contents.
#include "checkers/model.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <vector>

#include "core/base/assert.h"

namespace klamm::checkers {

namespace {

bool known_outcome(const Operation& operation) { return operation.outcome == Outcome::ok; }

class Register final : public Model {
  public:
    void start(const OperationHistory&) override {}
    [[nodiscard]] StateId initial() const override { return nil; }
    StateId step(StateId state, const Operation& operation) override {
        if (operation.function == Function::write) return operation.input;
        if (operation.function == Function::read) {
            return !known_outcome(operation) || operation.output == state ? state : illegal;
        }
        const bool equal = operation.expected == state;
        if (known_outcome(operation) && equal != operation.swapped) return illegal;
        return equal ? operation.input : state;
    }
    [[nodiscard]] bool changes(const Operation& operation) const override {
        return operation.function == Function::write ||
               (operation.function == Function::cas &&
                (operation.swapped || !known_outcome(operation)));
    }
    [[nodiscard]] bool resets(const Operation&) const override { return true; }
    bool within_reach(StateId, const Operation&) override { return true; }
    [[nodiscard]] bool knows(const Operation& operation) const override {
        return operation.function == Function::read || operation.function == Function::write ||
               operation.function == Function::cas;
    }
    [[nodiscard]] TextId part_of(const Operation& operation) const override {
        return operation.key;
    }
};

std::string_view unquoted(std::string_view text) {
    const bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
    return quoted ? text.substr(1, text.size() - 2) : std::string_view();  // nil is empty
}

class Map final : public Model {
  public:
    void start(const OperationHistory& history) override {
        history_ = &history;
        nodes_.assign(1, Node{});
        children_.clear();
        begun_.clear();
    }
    [[nodiscard]] StateId initial() const override { return 0; }
    StateId step(StateId state, const Operation& operation) override {
        switch (operation.function) {
            case Function::write: return child(0, operation.input);
            case Function::append: return child(state, operation.input);
            default: break;
        }
        return !known_outcome(operation) || shows(state, operation.output) ? state : illegal;
    }
    [[nodiscard]] bool changes(const Operation& operation) const override {
        return operation.function != Function::read;
    }
    [[nodiscard]] bool resets(const Operation& operation) const override {
        return operation.function == Function::write;
    }
    /// Appends only make a text longer.
    bool within_reach(StateId state, const Operation& read) override {
        return begins(state, read.output);
    }
    [[nodiscard]] bool knows(const Operation& operation) const override {
        return operation.function == Function::read || operation.function == Function::write ||
               operation.function == Function::append;
    }
    [[nodiscard]] TextId part_of(const Operation& operation) const override {
        return operation.key;
    }

  private:
    struct Node {
        StateId parent = 0;
        TextId text = nil;
        std::uint64_t length = 0;
    };

    [[nodiscard]] std::string_view text_of(TextId id) const {
        return unquoted(history_->texts[id]);
    }
    StateId child(StateId state, TextId text) {
        const std::uint64_t key = (std::uint64_t{state} << 32) | text;
        const auto [at, fresh] = children_.try_emplace(key, static_cast<StateId>(nodes_.size()));
        if (fresh) nodes_.push_back({state, text, nodes_[state].length + text_of(text).size()});
        return at->second;
    }
    bool shows(StateId state, TextId output) {
        const std::string_view whole = text_of(output);
        return nodes_[state].length == whole.size() && begins(state, output);
    }
    /// Whether the text of `output` begins with that of `state`. Known for the states on the way
    /// there, so that each costs only its own text.
    bool begins(StateId state, TextId output) {
        const std::string_view whole = text_of(output);
        if (nodes_[state].length > whole.size()) return false;
        way_.clear();
        bool yes = true;
        for (StateId at = state; at != 0; at = nodes_[at].parent) {
            const auto known = begun_.find((std::uint64_t{at} << 32) | output);
            if (known != begun_.end()) {
                yes = known->second;
                break;
            }
            way_.push_back(at);
        }
        for (std::size_t i = way_.size(); i-- > 0;) {
            const Node& node = nodes_[way_[i]];
            const std::string_view last = text_of(node.text);
            yes = yes && whole.substr(node.length - last.size(), last.size()) == last;
            begun_.emplace((std::uint64_t{way_[i]} << 32) | output, yes);
        }
        return yes;
    }

    const OperationHistory* history_ = nullptr;
    std::vector<Node> nodes_;
    std::unordered_map<std::uint64_t, StateId> children_;
    std::unordered_map<std::uint64_t, bool> begun_;
    std::vector<StateId> way_;
};

/// Contents ↔ numbers.
class Contents {
  public:
    void clear() {
        ids_.clear();
        all_.clear();
        intern({});
    }
    StateId intern(std::vector<TextId> content) {
        const auto [at, fresh] =
            ids_.try_emplace(std::move(content), static_cast<StateId>(all_.size()));
        if (fresh) all_.push_back(&at->first);
        return at->second;
    }
    [[nodiscard]] const std::vector<TextId>& of(StateId state) const { return *all_[state]; }

  private:
    std::map<std::vector<TextId>, StateId> ids_;
    std::vector<const std::vector<TextId>*> all_;
};

class Queue final : public Model {
  public:
    void start(const OperationHistory&) override { contents_.clear(); }
    [[nodiscard]] StateId initial() const override { return 0; }
    StateId step(StateId state, const Operation& operation) override {
        std::vector<TextId> content = contents_.of(state);
        if (operation.function == Function::enqueue) {
            content.push_back(operation.input);
            return contents_.intern(std::move(content));
        }
        const TextId first = content.empty() ? nil : content.front();
        if (known_outcome(operation) && operation.output != first) return illegal;
        if (content.empty()) return state;
        content.erase(content.begin());
        return contents_.intern(std::move(content));
    }
    [[nodiscard]] bool changes(const Operation& operation) const override {
        return operation.function == Function::enqueue || !known_outcome(operation) ||
               operation.output != nil;
    }
    [[nodiscard]] bool resets(const Operation&) const override { return true; }
    bool within_reach(StateId, const Operation&) override { return true; }
    [[nodiscard]] bool knows(const Operation& operation) const override {
        return operation.function == Function::enqueue || operation.function == Function::dequeue;
    }
    [[nodiscard]] TextId part_of(const Operation& operation) const override {
        return operation.key;
    }

  private:
    Contents contents_;
};

class Set final : public Model {
  public:
    void start(const OperationHistory& history) override {
        history_ = &history;
        contents_.clear();
        whole_ = std::any_of(history.operations.begin(), history.operations.end(),
                             [](const Operation& one) { return one.function == Function::read; });
    }
    [[nodiscard]] StateId initial() const override { return 0; }
    StateId step(StateId state, const Operation& operation) override {
        const std::vector<TextId>& content = contents_.of(state);
        if (operation.function == Function::read) {
            if (!known_outcome(operation)) return state;
            return content == history_->lists[operation.list] ? state : illegal;
        }
        const auto at = std::lower_bound(content.begin(), content.end(), operation.input);
        const bool there = at != content.end() && *at == operation.input;
        if (operation.function == Function::contains) {
            if (!known_outcome(operation)) return state;
            return there == (history_->texts[operation.output] == "true") ? state : illegal;
        }
        if (there == (operation.function == Function::add)) return state;
        std::vector<TextId> next = content;
        const auto place = next.begin() + (at - content.begin());
        if (there) {
            next.erase(place);
        } else {
            next.insert(place, operation.input);
        }
        return contents_.intern(std::move(next));
    }
    [[nodiscard]] bool changes(const Operation& operation) const override {
        return operation.function == Function::add || operation.function == Function::remove;
    }
    [[nodiscard]] bool resets(const Operation&) const override { return true; }
    bool within_reach(StateId, const Operation&) override { return true; }
    [[nodiscard]] bool knows(const Operation& operation) const override {
        const bool known =
            operation.function == Function::add || operation.function == Function::remove ||
            operation.function == Function::contains || operation.function == Function::read;
        return known && operation.key == nil;
    }
    /// Elements are independent unless somebody reads them all at once.
    [[nodiscard]] TextId part_of(const Operation& operation) const override {
        return whole_ ? nil : operation.input;
    }

  private:
    const OperationHistory* history_ = nullptr;
    Contents contents_;
    bool whole_ = false;
};

constexpr std::array names{ModelName::reg, ModelName::kv, ModelName::queue, ModelName::set};

}  // namespace

std::unique_ptr<Model> make_model(ModelName name) {
    switch (name) {
        case ModelName::reg: return std::make_unique<Register>();
        case ModelName::kv: return std::make_unique<Map>();
        case ModelName::queue: return std::make_unique<Queue>();
        case ModelName::set: return std::make_unique<Set>();
    }
    KLAMM_UNREACHABLE();
}

const char* to_string(ModelName name) {
    switch (name) {
        case ModelName::reg: return "register";
        case ModelName::kv: return "kv";
        case ModelName::queue: return "queue";
        case ModelName::set: return "set";
    }
    KLAMM_UNREACHABLE();
}

std::optional<ModelName> model_of(std::string_view name) {
    for (const ModelName one : names) {
        if (name == to_string(one)) return one;
    }
    return std::nullopt;
}

}  // namespace klamm::checkers
