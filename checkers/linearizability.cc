// Parts, turns, and shrinking what is wrong.
#include "checkers/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "checkers/quick.h"
#include "checkers/search.h"
#include "core/base/assert.h"

namespace klamm::checkers {

namespace {

constexpr std::uint64_t first_turn = 1024;  // configurations; each further turn has four times more

struct Part {
    std::vector<Operation> operations;  // by call
    std::vector<HalfEvent> events;
};

/// The halves in order of real time.
std::vector<HalfEvent> events_of(const std::vector<Operation>& operations) {
    std::vector<std::pair<std::int64_t, HalfEvent>> rows;
    rows.reserve(2 * operations.size());
    for (HalfEvent i = 0; i < operations.size(); ++i) {
        rows.emplace_back(operations[i].call, 2 * i);
        if (operations[i].ret != never) rows.emplace_back(operations[i].ret, 2 * i + 1);
    }
    std::sort(rows.begin(), rows.end());
    std::vector<HalfEvent> events;
    events.reserve(rows.size());
    for (const auto& [at, half] : rows) events.push_back(half);
    return events;
}

std::vector<Part> split(const Model& model, const OperationHistory& history, Slip slip) {
    std::vector<std::uint32_t> part_of_text(history.texts.size(), 0);
    std::vector<Part> parts;
    for (const Operation& one : history.operations) {
        if (one.ret == never && !model.changes(one)) continue;
        std::uint32_t& part = part_of_text[model.part_of(one)];
        if (part == 0) {
            parts.emplace_back();
            part = static_cast<std::uint32_t>(parts.size());
        }
        parts[part - 1].operations.push_back(one);
    }
    for (Part& part : parts) {
        part.events = events_of(part.operations);
        if (slips(slip, Slip::search_skips_last_return)) part.events.pop_back();
    }
    return parts;
}

std::optional<Quick> quick_verdict(ModelName name, const OperationHistory& history,
                                   const Part& part) {
    switch (name) {
        case ModelName::reg:
        case ModelName::kv: return quick_register(history, part.operations);
        case ModelName::queue: return quick_queue(history, part.operations);
        case ModelName::set: return quick_set(history, part.operations);
    }
    KLAMM_UNREACHABLE();
}

/// Leaves out of a part that cannot be ordered what is not needed for that.
class Shrink {
  public:
    Shrink(Model& model, const OperationHistory& history, const Part& part, std::size_t stuck,
           std::uint64_t steps)
        : model_(model), history_(history), steps_(steps) {
        // The search may have given up because of a read to come. The shortest beginning that
        // cannot be ordered is found by halving: it cannot grow back.
        std::size_t low = 0;
        for (std::size_t high = stuck; low < high;) {
            const std::size_t middle = (low + high) / 2;
            cut(part, middle);
            if (judge() == Found::none) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        stuck_ = low;
        cut(part, stuck_);
    }

    /// The first return that no order reaches alive.
    [[nodiscard]] std::size_t stuck_at() const { return stuck_; }

    Counterexample run() {
        // First many at once, later ones first, so that the story is short; then one by one, until
        // none can be left out.
        for (std::size_t size = operations_.size() / 2; size >= 1; size /= 2) pass(size);
        while (pass(1)) {
        }
        Counterexample out;
        for (std::size_t i = 0; i < operations_.size(); ++i) {
            if (kept_[i]) out.operations.push_back(operations_[i]);
        }
        out.minimal = minimal_;
        return out;
    }

  private:
    /// What is invoked after the event has no part in it, and what returns later may as well never
    /// have returned.
    void cut(const Part& part, std::size_t event) {
        const HalfEvent half = part.events[event];
        const Operation& last = part.operations[half / 2];
        const std::int64_t end = half % 2 == 0 ? last.call : last.ret;
        operations_.clear();
        for (const Operation& one : part.operations) {
            if (one.call > end) continue;
            operations_.push_back(one);
            if (one.ret > end) operations_.back().ret = never;
        }
        kept_.assign(operations_.size(), true);
    }
    bool pass(std::size_t size) {
        bool changed = false;
        for (std::size_t end = operations_.size(); end > 0;) {
            const std::size_t from = end > size ? end - size : 0;
            std::vector<bool> before = kept_;
            bool any = false;
            for (std::size_t i = from; i < end; ++i) {
                any = any || kept_[i];
                kept_[i] = false;
            }
            if (any) {
                const Found found = judge();
                if (found == Found::none) {
                    changed = true;
                } else {
                    if (found == Found::unknown && size == 1) minimal_ = false;
                    kept_ = std::move(before);
                }
            }
            end = from;
        }
        return changed;
    }
    /// Those not kept may have happened at any time, with the answers they gave, or never.
    Found judge() {
        std::vector<Operation> loose;
        std::vector<Operation> tight;
        for (std::size_t i = 0; i < operations_.size(); ++i) {
            if (kept_[i]) {
                tight.push_back(operations_[i]);
            } else if (model_.changes(operations_[i])) {
                loose.push_back(operations_[i]);
                loose.back().call = -1;
                loose.back().ret = never;
            }
        }
        loose.insert(loose.end(), tight.begin(), tight.end());
        const std::vector<HalfEvent> events = events_of(loose);
        model_.start(history_);
        search_.start(model_, loose, events);
        return search_.run(steps_);
    }

    Model& model_;
    const OperationHistory& history_;
    std::uint64_t steps_;
    std::vector<Operation> operations_;
    std::vector<bool> kept_;
    std::size_t stuck_ = 0;
    Search search_;
    bool minimal_ = true;
};

Counterexample explain(Model& model, const OperationHistory& history, const Part& part,
                       std::size_t stuck, const LinearizabilityOptions& options) {
    Counterexample out;
    if (options.shrink) {
        Shrink shrink(model, history, part, stuck, options.shrink_steps);
        stuck = shrink.stuck_at();
        out = shrink.run();
    } else {
        out.operations = part.operations;
        out.minimal = false;
    }
    out.left_out = part.operations.size() - out.operations.size();
    const Operation& last = part.operations[part.events[stuck] / 2];
    out.sentence = fmt::format(
        "no order of {} agrees with the answers; it ends when client {}'s \"{}\" returns",
        out.operations.size() == 1 ? "this operation" : "these operations", last.client,
        describe(history, last));
    return out;
}

/// A part whose first turn was not enough.
struct Pending {
    const Part* part = nullptr;
    std::unique_ptr<Model> model;
    Search search;
    std::uint64_t told = 0;  // steps that are counted already
};

class Check {
  public:
    Check(ModelName name, const OperationHistory& history, const LinearizabilityOptions& options)
        : name_(name), history_(history), options_(options) {}

    Linearizability run() {
        auto one = std::make_unique<Pending>();
        one->model = make_model(name_);
        one->model->start(history_);
        const std::vector<Part> parts = split(*one->model, history_, options_.slip);
        result_.parts = parts.size();
        std::vector<std::unique_ptr<Pending>> waiting;
        for (const Part& part : parts) {
            if (options_.quick && take_quick(part)) {
                if (result_.verdict != Verdict::linearizable) return std::move(result_);
                continue;
            }
            if (one == nullptr) {
                one = std::make_unique<Pending>();
                one->model = make_model(name_);
            }
            one->part = &part;
            one->told = 0;
            one->model->start(history_);
            one->search.start(*one->model, part.operations, part.events);
            const Found found = turn(*one, parts.size() == 1 ? options_.steps_max : first_turn);
            if (found == Found::none) return std::move(result_);
            if (found == Found::unknown) waiting.push_back(std::move(one));
        }
        for (std::uint64_t budget = 4 * first_turn; !waiting.empty(); budget *= 4) {
            for (std::unique_ptr<Pending>& each : waiting) {
                if (result_.steps >= options_.steps_max) {
                    result_.verdict = Verdict::unknown;
                    return std::move(result_);
                }
                const Found found = turn(*each, budget);
                if (found == Found::none) return std::move(result_);
                if (found == Found::order) each.reset();
            }
            std::erase(waiting, nullptr);
        }
        return std::move(result_);
    }

  private:
    bool take_quick(const Part& part) {
        const std::optional<Quick> quick = quick_verdict(name_, history_, part);
        if (!quick) return false;
        ++result_.parts_quick;
        if (quick->legal) return true;
        result_.verdict = Verdict::not_linearizable;
        Counterexample& out = result_.counterexample;
        out.sentence = quick->sentence;
        for (const std::uint32_t one : quick->witness) {
            out.operations.push_back(part.operations[one]);
        }
        out.left_out = part.operations.size() - out.operations.size();
        return true;
    }
    Found turn(Pending& one, std::uint64_t budget) {
        const Found found = one.search.run(budget);
        result_.steps += one.search.steps() - one.told;
        one.told = one.search.steps();
        if (found == Found::none) {
            result_.verdict = Verdict::not_linearizable;
            result_.counterexample =
                explain(*one.model, history_, *one.part, one.search.stuck_at(), options_);
        }
        return found;
    }

    ModelName name_;
    const OperationHistory& history_;
    LinearizabilityOptions options_;
    Linearizability result_;
};

}  // namespace

std::int64_t first_unknown(ModelName name, const OperationHistory& history) {
    const std::unique_ptr<Model> model = make_model(name);
    for (std::size_t i = 0; i < history.operations.size(); ++i) {
        if (!model->knows(history.operations[i])) return static_cast<std::int64_t>(i);
    }
    return -1;
}

Linearizability check_linearizability(ModelName model, const OperationHistory& history,
                                      const LinearizabilityOptions& options) {
    return Check(model, history, options).run();
}

}  // namespace klamm::checkers
