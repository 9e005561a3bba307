#include "bindings/python/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bindings/python/runs.h"
#include "bindings/python/trouble.h"
#include "core/base/plants.h"
#include "sim/picture/outputs.h"
#include "sim/picture/why.h"
#include "sim/run/diverge.h"
#include "sim/run/forked.h"
#include "sim/run/kill_matrix.h"
#include "sim/run/zoo.h"
#include "sim/scenario/distance.h"

namespace klamm::python {

namespace {

using nlohmann::json;

/// Asked often; what the pulse throws passes through.
std::function<bool()> stopped_by(const Pulse& pulse) {
    return [&pulse] {
        if (pulse) pulse();
        return false;
    };
}

const BugEntry& entry_of(Bug bug) {
    const auto& all = bug_catalogue();
    return *std::find_if(all.begin(), all.end(),
                         [bug](const BugEntry& one) { return one.bug == bug; });
}
std::string code_of(Bug bug) { return std::string(entry_of(bug).code); }

json timeline_of(const std::vector<sim::TimelineEntry>& entries) {
    json all = json::array();
    for (const sim::TimelineEntry& one : entries)
        all.push_back({{"time_ns", one.time.nanoseconds}, {"node", one.node}, {"text", one.text}});
    return all;
}

sim::SwarmOptions swarm_of(const json& from, const Pulse& pulse) {
    sim::SwarmOptions swarm;
    swarm.first_seed = from.value("first_seed", std::uint64_t{1});
    swarm.jobs = from.value("jobs", std::size_t{1});
    if (const std::string name = from.value("profile", ""); !name.empty()) {
        swarm.profile = sim::profile_from_name(name);
        if (!swarm.profile) refuse(fmt::format("there is no profile '{}'", name));
    }
    for (const std::string name : from.value("off", json::array())) {
        const auto kind = sim::fault_kind_from_name(name);
        if (!kind) refuse(fmt::format("there is no fault '{}'", name));
        swarm.off.insert(*kind);
    }
    swarm.stopped = stopped_by(pulse);
    return swarm;
}

json kill_document(const sim::Kill& kill) {
    return {{"found", kill.found},
            {"runs", kill.runs},
            {"cpu_ns", kill.cpu.nanoseconds},
            {"rule", kill.rule},
            {"token", kill.token}};
}

json row_document(const sim::KillRow& row) {
    return {{"bug", row.bug ? json(code_of(*row.bug)) : json(nullptr)},
            {"profile", to_string(row.profile)},
            {"judge", kill_document(row.judge)},
            {"history", kill_document(row.history)},
            {"reached", row.reached},
            {"unplanted", row.unplanted},
            {"text", to_text(row)}};
}

json zoo_document(const sim::ZooResult& result) {
    json unplanted = json::array();
    for (const sim::Trial& one : result.unplanted) unplanted.push_back(one.token);
    return {{"bug", code_of(result.bug)},
            {"found", result.found},
            {"as_expected", result.as_expected()},
            {"runs", result.runs},
            {"reached", result.reached},
            {"reached_by", result.reached_by},
            {"cpu_ns", result.cpu.nanoseconds},
            {"token", result.found ? json(result.trial.token) : json(nullptr)},
            {"rule", result.found && !result.trial.findings.empty()
                         ? json(result.trial.findings.front().rule)
                         : json(nullptr)},
            {"unplanted", unplanted},
            {"text", to_text(result)}};
}

}  // namespace

std::string explain_why(const std::string& source, std::uint32_t branches, std::uint32_t moments,
                        std::size_t jobs, const Progress& progress, const Pulse& pulse) {
    sim::WhyOptions options;
    options.branches = branches;
    options.moments_max = moments;
    options.jobs = jobs;
    options.progress = progress;
    options.stopped = stopped_by(pulse);
    const sim::WhyResult result = sim::why(plan_of_source(source), options);
    json all = json::array();
    for (const sim::WhyMoment& one : result.moments)
        all.push_back({{"time_ns", one.at.nanoseconds},
                       {"event", one.event},
                       {"branches", one.branches},
                       {"failed", one.failed},
                       {"undecided", one.undecided}});
    return json{{"reproduced", result.reproduced},
                {"finding", result.finding},
                {"failure_ns", result.failure.nanoseconds},
                {"safety", result.safety},
                {"moments", all},
                {"rise", result.rises() ? json(result.rise) : json(nullptr)},
                {"between", timeline_of(result.between)},
                {"text", to_text(result)}}
        .dump();
}

std::string compare_runs(const std::string& source, const std::string& against) {
    const sim::RunPlan plan = plan_of_source(source);
    const sim::DivergeSide other =
        against.empty() ? sim::side_of_plan("again", plan)
                        : sim::side_of_binary(against, json::parse(source).at("token"));
    const sim::Divergence found = value_of(sim::diverge(sim::side_of_plan("here", plan), other));
    if (found.equal)
        return json{
            {"equal", true}, {"events", found.events}, {"hash", fmt::format("{:016x}", found.hash)}}
            .dump();
    return json{{"equal", false},
                {"event", found.event},
                {"one", found.one},
                {"other", found.other},
                {"before", found.before}}
        .dump();
}

std::string visit_zoo(const std::string& options, const Progress& row, const Progress& progress,
                      const Pulse& pulse) {
    const json asked = json::parse(options);
    const Duration budget = milliseconds(asked.at("budget_ms").get<std::int64_t>());
    const std::string name = asked.value("bug", "");
    std::uint64_t runs = 0;
    sim::SwarmOptions swarm = swarm_of(asked, pulse);
    swarm.progress = [&](const sim::SwarmProgress&) {
        if (progress) progress(fmt::format("{} runs", ++runs));
    };
    if (!name.empty()) {
        const auto bug = bug_from_name(name);
        if (!bug) refuse(fmt::format("there is no bug '{}'", name));
        if (!entry_of(*bug).in_cluster)
            refuse(fmt::format("bug {} is not found by runs of clusters", name));
        sim::ZooOptions zoo;
        zoo.bug = *bug;
        zoo.cpu_budget = budget;
        zoo.without_needed = asked.value("without_needed", false);
        zoo.swarm = swarm;
        return zoo_document(sim::visit(zoo)).dump();
    }
    sim::KillOptions kill;
    kill.cpu_budget = budget;
    kill.swarm = swarm;
    json rows = json::array();
    kill.on_row = [&](const sim::KillRow& one) {
        rows.push_back(row_document(one));
        if (row) row(rows.back().at("text"));
    };
    const std::vector<sim::KillRow> all = sim::kill_matrix(kill);
    return json{{"rows", rows},
                {"all_killed", sim::all_killed(all)},
                {"document", sim::matrix_document(all, kill)}}
        .dump();
}

std::string search_distance(const std::string& config, std::uint32_t faults_max, std::size_t jobs,
                            bool remedies, const Progress& progress, const Pulse& pulse) {
    const sim::DistanceConfig settings = value_of(sim::parse_distance_config(config, "settings"));
    sim::DistanceOptions options;
    options.faults_max = faults_max;
    options.jobs = jobs;
    options.stopped = stopped_by(pulse);
    options.progress = progress;
    const auto count = [](const sim::Distance& found) {
        return found.faults ? json(*found.faults) : json(nullptr);
    };
    const sim::Distance found = sim::distance(settings, options);
    json out = {{"settings", sim::to_text(settings)},
                {"faults", count(found)},
                {"searched", found.searched},
                {"schedule", found.schedule},
                {"loss", found.loss},
                {"scenario", found.scenario},
                {"red", found.red},
                {"runs", found.runs}};
    json& list = out["remedies"] = json::array();
    if (!remedies || !found.faults || found.red) return out.dump();
    options.faults_max = *found.faults;
    for (const sim::Remedy& remedy : sim::remedies(settings)) {
        const sim::Distance then = sim::distance(remedy.config, options);
        list.push_back({{"setting", remedy.setting},
                        {"costs", remedy.costs},
                        {"faults", count(then)},
                        {"searched", then.searched}});
        if (!then.faults) break;  // the first that raises it is the cheapest
    }
    return out.dump();
}

void export_run(const std::string& source, const std::map<std::string, std::string>& paths) {
    const sim::RunPlan plan = plan_of_source(source);
    sim::OutputPaths wanted;
    const std::map<std::string, std::optional<std::string>*> known = {{"history", &wanted.history},
                                                                      {"trace", &wanted.trace},
                                                                      {"pcap", &wanted.capture},
                                                                      {"html", &wanted.page},
                                                                      {"disks", &wanted.disks}};
    for (const auto& [what, path] : paths) {
        const auto found = known.find(what);
        if (found == known.end()) refuse(fmt::format("a run leaves no '{}'", what));
        *found->second = path;
    }
    check(sim::prepare(wanted));
    const sim::ForkedResult job = sim::run_forked([&] {
        sim::Outputs outputs(wanted);
        sim::RunHooks hooks;
        outputs.attach(hooks);
        const sim::RunResult result = sim::run_plan(plan, hooks);
        const Status written = outputs.finish(plan, result);
        return written ? std::string() : written.error().text;
    });
    if (job.end != sim::JobEnd::finished) throw Trouble("Died", job.complaint);
    if (!job.bytes.empty()) refuse(job.bytes);
}

}  // namespace klamm::python
