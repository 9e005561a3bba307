#include "sim/scenario/goals.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "sim/run/storm.h"
#include "sim/scenario/count_names.h"
#include "sim/scenario/matching.h"
#include "sim/scenario/parse_step.h"
#include "sim/scenario/read_words.h"
#include "sim/scenario/spec.h"
#include "sim/scenario/words.h"

namespace klamm::sim {

namespace {

// --- Reading

/// What follows `prefix` in `name`; nothing when it does not begin so.
std::optional<std::string_view> after(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    return name.substr(prefix.size());
}

std::optional<std::size_t> rule_from_name(std::string_view name) {
    for (std::size_t i = 0; i < rule_count; ++i)
        if (name == to_string(static_cast<Rule>(i))) return i;
    return std::nullopt;
}

/// A drawn cluster has no broker-2 that could be known beforehand.
void only_roles(const Located& value, TextError& error) {
    const auto ask = [&](const Located& one) {
        if (one.kind != Located::Kind::text) return;
        const auto who = read_who(one.text);
        const bool numbered =
            who.has_value() &&
            (who->role == Who::Role::broker || who->role == Who::Role::producer ||
             who->role == Who::Role::consumer || who->role == Who::Role::controller_n ||
             who->role == Who::Role::rack);
        if (numbered && error.line == 0)
            error = {one.line, fmt::format("\"{}\": expected a role such as \"leader\", drawn "
                                           "clusters are of any size",
                                           one.text)};
    };
    for (const LocatedMember& member : value.members) {
        if (member.key == "fact") continue;
        ask(member.value);
        for (const Located& item : member.value.items) ask(item);
    }
}

Goal read_goal(const Located& from, std::uint64_t after_runs) {
    Goal goal;
    goal.line = from.line;
    goal.name = from.find("name")->text;
    goal.says = from.find("says")->text;
    goal.kind = static_cast<GoalKind>(index_of(goal_words, from.find("kind")->text));
    goal.after_runs = after_runs;
    if (const Located* runs = from.find("after_runs"))
        goal.after_runs = static_cast<std::uint64_t>(runs->integer);
    const Located* moment = from.find("moment");
    if (moment != nullptr) {
        TextError error;
        only_roles(*moment, error);
        if (error.line != 0) throw ParseError{error.line, error.sentence};
        const Scenario nobody;
        goal.moment = StepReader(nobody).moment(*moment);
    }
    const Located* counts = from.find("counts");
    if (counts != nullptr) {
        const RunResult none;
        for (const LocatedMember& one : counts->members) {
            if (!goal_count(none, one.key)) throw ParseError{one.line, unknown_count(one.key)};
            Bounds& bounds = goal.counts[one.key];
            if (const Located* least = one.value.find("at_least")) bounds.at_least = least->integer;
            if (const Located* most = one.value.find("at_most")) bounds.at_most = most->integer;
        }
    }
    if (goal.kind == GoalKind::reachable) {
        if (moment == nullptr)
            throw ParseError{from.line, "\"moment\" is missing: a goal that is reachable has one"};
        if (counts != nullptr)
            throw ParseError{counts->line,
                             "\"counts\": a goal that is reachable has none; is it \"sometimes\"?"};
    } else if (goal.counts.empty()) {
        throw ParseError{from.line, fmt::format("\"counts\" is missing: a goal that is {} has some",
                                                goal_words[static_cast<std::size_t>(goal.kind)])};
    }
    return goal;
}

// --- Watching

class GoalWatch final : public Director {
  public:
    explicit GoalWatch(std::shared_ptr<const GoalCatalogue> goals)
        : goals_(std::move(goals)), came_(goals_->size()) {}

    void begin(const Stage& stage) override { cast_.emplace(stage.cluster); }

    void on_fact(NodeId node, env::ShardIndex, Instant, const facts::Fact& fact) override {
        look([&](const Moment& moment) { return is_moment(moment, node, fact, *cast_); });
    }
    void on_start(NodeId node, std::uint64_t) override { on_word(node, "started"); }
    void on_stop(NodeId node, int) override { on_word(node, "ended"); }
    void on_crash(NodeId node, CrashKind, const DamageReport&) override { on_word(node, "ended"); }

    void finish(RunResult& result) override {
        for (std::size_t i = 0; i < goals_->size(); ++i)
            result.goals.push_back(outcome((*goals_)[i], came_[i], result));
    }

  private:
    void on_word(NodeId node, std::string_view word) {
        look([&](const Moment& moment) { return is_moment(moment, node, word, *cast_); });
    }
    template <class Fits>
    void look(Fits fits) {
        for (std::size_t i = 0; i < goals_->size(); ++i) {
            const std::optional<Moment>& moment = (*goals_)[i].moment;
            if (moment && came_[i] < moment->nth && fits(*moment)) ++came_[i];
        }
    }
    static GoalOutcome outcome(const Goal& goal, std::uint32_t came, const RunResult& result) {
        if (goal.moment && came < goal.moment->nth) return GoalOutcome::none;
        const bool within =
            std::all_of(goal.counts.begin(), goal.counts.end(), [&](const auto& one) {
                const std::int64_t count = *goal_count(result, one.first);
                return count >= one.second.at_least.value_or(count) &&
                       count <= one.second.at_most.value_or(count);
            });
        if (within) return GoalOutcome::reached;
        // A run that a failed assertion has ended has no counts to be held to.
        const bool owed = goal.kind == GoalKind::always && !result.ended.has_value();
        return owed ? GoalOutcome::broken : GoalOutcome::none;
    }

    std::shared_ptr<const GoalCatalogue> goals_;
    std::vector<std::uint32_t> came_;  // moments, by goal
    std::optional<Cast> cast_;
};

/// A report may be of fewer goals: nobody watched, or each run has died.
GoalSum sum_of(const SwarmReport& report, std::size_t goal) {
    return goal < report.goals.size() ? report.goals[goal] : GoalSum{};
}

bool missing(const GoalSum& sum) { return sum.reached == 0 && sum.broken == 0; }

}  // namespace

std::optional<std::int64_t> goal_count(const RunResult& result, std::string_view name) {
    if (name == "promised") return result.bill.records_promised;
    if (name == "stranded") return result.bill.records_stranded;
    if (const auto rest = after(name, "lost.")) {
        const auto rule = rule_from_name(*rest);
        return rule ? std::optional(result.bill.records_lost[*rule]) : std::nullopt;
    }
    if (const auto rest = after(name, "avoidable.")) {
        const auto rule = rule_from_name(*rest);
        return rule ? std::optional(result.bill.records_avoidable[*rule]) : std::nullopt;
    }
    if (const auto rest = after(name, "fired.")) {
        const auto kind = fault_kind_from_name(*rest);
        if (!kind) return std::nullopt;
        return static_cast<std::int64_t>(result.fired[static_cast<std::size_t>(*kind)]);
    }
    return count_by_name(result.counts, name);
}

Result<GoalCatalogue> parse_goals(std::string_view text, std::string_view file) {
    const auto invalid = [&](std::size_t line, const std::string& sentence) {
        return Error{Failure::invalid, fmt::format("{}:{}: {}", file, line, sentence)};
    };
    Located root;
    TextError error;
    if (!read_json(text, root, error)) return invalid(error.line, error.sentence);
    if (!conforms(root, goals_spec(), error)) return invalid(error.line, error.sentence);
    GoalCatalogue goals;
    std::set<std::string> names;
    const auto after_runs = static_cast<std::uint64_t>(root.find("after_runs")->integer);
    try {
        for (const Located& one : root.find("goals")->items) {
            goals.push_back(read_goal(one, after_runs));
            if (!names.insert(goals.back().name).second)
                return invalid(
                    one.find("name")->line,
                    fmt::format("\"name\": there are two goals \"{}\"", goals.back().name));
        }
    } catch (const ParseError& wrong) {
        return invalid(wrong.line, wrong.sentence);
    }
    if (goals.empty()) return invalid(root.line, "\"goals\": expected at least one");
    return goals;
}

DirectorFactory watch_goals(const GoalCatalogue& goals) {
    DirectorFactory factory;
    factory.make =
        [shared = std::make_shared<const GoalCatalogue>(goals)](const std::vector<std::uint64_t>&) {
            return std::make_unique<GoalWatch>(shared);
        };
    return factory;
}

std::string goals_text(const GoalCatalogue& goals, const SwarmReport& report) {
    std::size_t reached = 0;
    std::string rows;
    std::string never;
    std::string broken;
    for (std::size_t i = 0; i < goals.size(); ++i) {
        const Goal& goal = goals[i];
        const GoalSum sum = sum_of(report, i);
        const std::string name = fmt::format(
            "  {:<10}{:<36}", goal_words[static_cast<std::size_t>(goal.kind)], goal.name);
        if (sum.broken > 0) {
            broken += fmt::format("{}{:>8} runs: {}\n    klamm replay {}\n", name, sum.broken,
                                  goal.says, sum.broken_token);
        } else if (missing(sum)) {
            never += fmt::format("{}{}: {}\n", name,
                                 report.runs < goal.after_runs
                                     ? fmt::format("due after {} runs", goal.after_runs)
                                     : fmt::format("overdue since run {}", goal.after_runs),
                                 goal.says);
        } else {
            ++reached;
            rows += fmt::format("{}{:>8} runs, first in run {}\n", name, sum.reached, sum.first);
        }
    }
    std::string out = fmt::format("goals: {} of {} reached\n", reached, goals.size()) + rows;
    if (!never.empty()) out += "never reached:\n" + never;
    if (!broken.empty()) out += "broken:\n" + broken;
    return out;
}

Verdict goals_verdict(const GoalCatalogue& goals, const SwarmReport& report) {
    Verdict verdict = Verdict::passed;
    for (std::size_t i = 0; i < goals.size(); ++i) {
        const GoalSum sum = sum_of(report, i);
        if (sum.broken > 0) return Verdict::safety;
        if (missing(sum) && report.runs >= goals[i].after_runs) verdict = Verdict::harness_error;
    }
    return verdict;
}

}  // namespace klamm::sim
