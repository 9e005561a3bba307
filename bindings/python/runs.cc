#include "bindings/python/runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "bindings/python/trouble.h"
#include "checkers/jsonl.h"
#include "checkers/linearizability.h"
#include "checkers/log_checker.h"
#include "checkers/operation_reader.h"
#include "checkers/timeline.h"
#include "core/base/plants.h"
#include "sim/run/diverge.h"
#include "sim/run/forked.h"
#include "sim/run/report.h"
#include "sim/run/shrink.h"
#include "sim/run/token.h"
#include "sim/run/trace_json.h"
#include "sim/run/trial.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/token.h"

namespace klamm::python {

namespace {

using nlohmann::json;

/// Plans of one source, for any seed: what is the same for all of them is read once.
class Plans {
  public:
    explicit Plans(const std::string& source) : source_(json::parse(source)) {
        if (source_.contains("token")) return;
        const std::string profile = source_.at("profile");
        const auto known = sim::profile_from_name(profile);
        if (!known) {
            std::string list;
            for (std::size_t i = 0; i < static_cast<std::size_t>(sim::Profile::count_); ++i)
                list += fmt::format("{}{}", list.empty() ? "" : ", ",
                                    to_string(static_cast<sim::Profile>(i)));
            refuse(fmt::format("there is no profile '{}'; expected one of {}", profile, list));
        }
        options_.profile = *known;
        if (const std::string bug = source_.value("plant", ""); !bug.empty()) {
            options_.plant = bug_from_name(bug);
            if (!options_.plant) refuse(fmt::format("there is no bug '{}'", bug));
        }
        if (source_.contains("scenario")) {
            text_ = source_.at("scenario");
            path_ = source_.at("path");
            scenario_ = value_of(sim::parse_scenario(text_, path_));
            return;
        }
        for (const std::string name : source_.value("off", json::array())) {
            const auto kind = sim::fault_kind_from_name(name);
            if (!kind) refuse(fmt::format("there is no fault '{}'", name));
            options_.off.insert(*kind);
        }
        if (source_.contains("length_ms"))
            options_.length = milliseconds(source_.at("length_ms").get<std::int64_t>());
    }

    [[nodiscard]] sim::RunPlan plan() const {
        if (!source_.contains("token")) return plan(source_.at("seed").get<std::uint64_t>());
        const std::string token = source_.at("token");
        return value_of(sim::is_scenario_token(token) ? sim::plan_from_scenario_token(token)
                                                      : sim::from_token(token));
    }
    [[nodiscard]] sim::RunPlan plan(std::uint64_t seed) const {
        const sim::PlanEdits edits = edits_of(source_);
        if (!scenario_) return sim::make_plan(seed, options_, edits);
        return sim::plan_of(*scenario_, {seed, options_.profile, options_.plant, path_,
                                         sim::scenario_digest(text_), edits});
    }
    [[nodiscard]] json source_with(const sim::PlanEdits& edits) const {
        json out = source_;
        json& list = out["edits"] = json::array();
        for (const std::string& field : sim::print_edits(edits)) list.push_back(field);
        return out;
    }

  private:
    static sim::PlanEdits edits_of(const json& source) {
        sim::PlanEdits edits;
        for (const std::string field : source.value("edits", json::array()))
            if (!sim::read_edit(field, edits)) refuse(fmt::format("'{}' means nothing", field));
        return edits;
    }

    json source_;
    sim::PlanOptions options_;
    std::string text_;
    std::string path_;
    std::optional<sim::Scenario> scenario_;
};

std::string say(const sim::RunPlan& plan, const std::string& what) {
    if (what == "trial") return trial_document(run_trial(plan, {.unavailable = true}), plan).dump();
    sim::RunHooks hooks;
    std::string lines;
    if (what == "trace") {
        hooks.event_sink = [&](const sim::EventRecord& one) { lines += sim::trace_line(one); };
        hooks.fact_sink = [&](Instant time, const std::string& node, const facts::Fact& fact) {
            lines += sim::trace_line(time, node, fact);
        };
        hooks.fault_sink = [&](Instant time, const sim::FaultEvent& fault) {
            lines += sim::trace_line(time, fault);
        };
        hooks.truth_sink = [&](const sim::Truth& truth) { lines += sim::trace_line(truth); };
    }
    hooks.keep_history = what == "history";
    const sim::RunResult result = sim::run_plan(plan, hooks);
    if (what == "report") return to_text(plan, result);
    if (what == "document") return to_json(plan, result).dump();
    if (what == "history") return checkers::write_history(result.history);
    return lines + sim::trace_line(result.bill);
}

/// Waits for a job, asking `pulse` all the while; what that throws kills the job.
sim::ForkedResult wait_for(sim::ForkedJobs& jobs, const std::function<void()>& pulse) {
    while (true) {
        if (auto result = jobs.wait(milliseconds(100))) return *std::move(result);
        if (pulse) pulse();
    }
}

}  // namespace

sim::RunPlan plan_of_source(const std::string& source) { return Plans(source).plan(); }

json trial_document(const sim::Trial& trial, const sim::RunPlan& plan) {
    json findings = json::array();
    for (const sim::TrialFinding& one : trial.findings)
        findings.push_back(
            {{"rule", one.rule},
             {"sentence", one.sentence},
             {"time_ns", one.at == instant_never ? json(nullptr) : json(one.at.nanoseconds)}});
    json out = {{"seed", trial.seed},
                {"profile", to_string(plan.options.profile)},
                {"token", trial.token},
                {"verdict", to_string(trial.verdict)},
                {"sentence", trial.sentence()},
                {"findings", findings},
                {"complaint", trial.complaint},
                {"first_violation_ns", trial.first_violation == instant_never
                                           ? json(nullptr)
                                           : json(trial.first_violation.nanoseconds)},
                {"hash", fmt::format("{:016x}", trial.hash)},
                {"events", trial.events},
                {"virtual_ns", trial.virtual_time.nanoseconds},
                {"cpu_ns", trial.cpu.nanoseconds},
                {"unavailable_ns", trial.unavailable.nanoseconds},
                {"promised", trial.records_promised},
                {"counts", to_json(trial.counts)}};
    for (std::size_t i = 0; i < sim::rule_count; ++i) {
        const std::string rule = to_string(static_cast<sim::Rule>(i));
        out["lost"][rule] = trial.records_lost[i];
        out["avoidable"][rule] = trial.records_avoidable[i];
    }
    json& fired = out["fired"] = json::object();
    for (std::size_t i = 0; i < sim::fault_kind_count; ++i)
        if (trial.fired[i] > 0) fired[to_string(static_cast<sim::FaultKind>(i))] = trial.fired[i];
    if (plan.options.plant)
        out["plant_taken"] = trial.plants_taken[static_cast<std::size_t>(*plan.options.plant)];
    return out;
}

void run_seeds(const std::string& source, const std::vector<std::uint64_t>& seeds, std::size_t jobs,
               const std::function<void(std::size_t, const std::string&)>& take,
               const std::function<void()>& pulse) {
    const Plans plans(source);
    sim::ForkedJobs pool(jobs);
    std::size_t next = 0;
    while (next < seeds.size() || !pool.idle()) {
        while (next < seeds.size() && !pool.full()) {
            const std::uint64_t seed = seeds[next];
            pool.start(next++, [&plans, seed] {
                return to_bytes(run_trial(plans.plan(seed), {.unavailable = true}));
            });
        }
        const auto result = pool.wait(milliseconds(100));
        if (pulse) pulse();
        if (!result) continue;
        const sim::RunPlan plan = plans.plan(seeds[result->index]);
        const sim::Trial trial =
            sim::trial_from_result(*result, seeds[result->index], sim::to_token(plan));
        take(result->index, trial_document(trial, plan).dump());
    }
}

std::string output_of(const std::string& source, const std::string& what) {
    const sim::RunPlan plan = Plans(source).plan();
    sim::ForkLimits limits;
    limits.result_bytes_max = std::size_t{1} << 30;  // traces are long
    const sim::ForkedResult result = sim::run_forked([&] { return say(plan, what); }, limits);
    if (result.end != sim::JobEnd::finished) throw Trouble("Died", result.complaint);
    return result.bytes;
}

std::string shrink_run(const std::string& source, std::uint64_t replays_max,
                       const std::function<void(const std::string&)>& progress,
                       const std::function<void()>& pulse) {
    const Plans plans(source);
    sim::ShrinkOptions options;
    options.replays_max = replays_max;
    options.progress = progress;
    options.stopped = [&] {
        if (pulse) pulse();
        return false;
    };
    const sim::ShrinkResult result = sim::shrink(plans.plan(), options);
    json operations = json::array();
    for (const sim::TrialOperation& one : result.operations)
        operations.push_back({{"time_ns", one.at.nanoseconds},
                              {"client", one.client},
                              {"operation", one.operation}});
    json faults = json::array();
    for (const sim::FaultEvent& one : result.plan.faults)
        faults.push_back({{"time_ns", one.at.nanoseconds},
                          {"kind", to_string(one.kind)},
                          {"text", to_string(one)}});
    return json{{"text", to_text(result)},
                {"source", plans.source_with(result.plan.edits)},
                {"replays", result.replays},
                {"reproduced", result.reproduced},
                {"one_minimal", result.one_minimal()},
                {"rule", result.rule},
                {"operations", operations},
                {"operations_before", result.operations_before},
                {"faults", faults},
                {"faults_before", result.faults_before},
                {"run", trial_document(result.trial, result.plan)}}
        .dump();
}

void check_scenario(const std::string& text, const std::string& path) {
    (void)value_of(sim::parse_scenario(text, path));
}

std::string catalogue() {
    json out;
    for (std::size_t i = 0; i < static_cast<std::size_t>(sim::Profile::count_); ++i)
        out["profiles"].push_back(to_string(static_cast<sim::Profile>(i)));
    for (std::size_t i = 0; i < sim::fault_kind_count; ++i)
        out["faults"].push_back(to_string(static_cast<sim::FaultKind>(i)));
    for (const BugEntry& bug : bug_catalogue())
        out["bugs"].push_back({{"code", bug.code},
                               {"name", bug.name},
                               {"rule", bug.rule},
                               {"violates", bug.violates},
                               {"in_cluster", bug.in_cluster}});
    return out.dump();
}

std::string in_child(const std::function<std::string()>& job, double cpu_seconds,
                     const std::function<void()>& before, const std::function<void(bool)>& after) {
    sim::ForkLimits limits;
    limits.cpu = nanoseconds(static_cast<std::int64_t>(cpu_seconds * 1e9));
    limits.result_bytes_max = std::size_t{1} << 30;
    sim::ForkedJobs jobs(1, limits);
    before();
    const bool child = jobs.fork_here(0);
    after(child);
    if (child) jobs.finish_here(job());
    const sim::ForkedResult result = wait_for(jobs, {});
    if (result.end != sim::JobEnd::finished) throw Trouble("Died", result.complaint);
    return result.bytes;
}

std::string first_difference(const Side& one, const Side& other) {
    const auto side = [](const Side& from) {
        return sim::DivergeSide{
            from.name, [&from] { return sim::checkpoints_from_text(from.checkpoints()); },
            [&from](std::uint64_t first, std::uint64_t last) -> Result<std::vector<std::string>> {
                return from.events(first, last);
            }};
    };
    const auto found = sim::diverge(side(one), side(other));
    if (!found) return found.error().text;
    if (found->equal) return {};
    return fmt::format("the first event that differs is number {}: \"{}\" and \"{}\"", found->event,
                       found->one, found->other);
}

json judgement_document(const std::vector<checkers::Violation>& found,
                        const checkers::Totals& totals) {
    json violations = json::array();
    for (const checkers::Violation& one : found)
        violations.push_back({{"code", to_string(one.code)}, {"sentence", one.sentence}});
    return {{"violations", violations},
            {"totals",
             {{"events", totals.events},
              {"sends", totals.sends},
              {"acknowledged", totals.acknowledged},
              {"polls", totals.polls},
              {"records_read", totals.records_read},
              {"stale", totals.stale},
              {"duplicates", totals.duplicates},
              {"violations", totals.violations}}}};
}

std::string judge_log(const std::string& lines, bool idempotent, bool strict) {
    checkers::Options rules;
    rules.idempotent = idempotent;
    rules.reads = strict ? checkers::Reads::strict : checkers::Reads::kafka;
    checkers::LogChecker checker(rules);
    std::int64_t time = 0;
    check(checkers::read_events(lines, [&](const checkers::Event& event) {
        time = event.time;
        checker.feed(event);
    }));
    checker.finish(time);
    return judgement_document(checker.violations(), checker.totals()).dump();
}

std::string judge_operations(const std::string& lines, const std::string& model) {
    const auto named = checkers::model_of(model);
    if (!named)
        refuse(fmt::format("there is no model '{}'; expected register, kv, queue or set", model));
    const auto history = value_of(checkers::read_operations(lines));
    if (const std::int64_t at = checkers::first_unknown(*named, history); at >= 0)
        refuse(fmt::format("a {} has no \"{}\"", to_string(*named),
                           describe(history, history.operations[static_cast<std::size_t>(at)])));
    const checkers::Linearizability result = checkers::check_linearizability(*named, history);
    const bool wrong = result.verdict == checkers::Verdict::not_linearizable;
    return json{{"linearizable",
                 result.verdict == checkers::Verdict::unknown ? json(nullptr) : json(!wrong)},
                {"sentence", result.counterexample.sentence},
                {"picture", wrong ? draw(history, result.counterexample.operations) : ""},
                {"operations", history.operations.size()},
                {"steps", result.steps}}
        .dump();
}

}  // namespace klamm::python
