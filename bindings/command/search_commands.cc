// The commands `klamm swarm`, `zoo`, `shrink` and `diverge`: many runs, each in a process of its
// own.
#include <fmt/format.h>

#include <array>
#include <fstream>
#include <random>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "bindings/command/run_outputs.h"
#include "bindings/command/terminal.h"
#include "sim/run/diverge.h"
#include "sim/run/kill_matrix.h"
#include "sim/run/shrink.h"
#include "sim/run/swarm.h"
#include "sim/run/token.h"
#include "sim/run/zoo.h"
#include "sim/scenario/goals.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/token.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 10> swarm_table{{{"--budget", "DURATION"},
                                                 {"--seeds", "N"},
                                                 {"--first-seed", "HEX"},
                                                 {"--jobs", "N"},
                                                 {"--profile", "PROFILE"},
                                                 {"--plant", "BUG"},
                                                 {"--off", "KINDS"},
                                                 {"--length", "DURATION"},
                                                 {"--explore", "HOW"},
                                                 {"--goals", "FILE"}}};
constexpr std::array<OptionRow, 11> zoo_table{{{"--bug", "BUG"},
                                               {"--out", "FILE"},
                                               {"--budget", "DURATION"},
                                               {"--first-seed", "HEX"},
                                               {"--jobs", "N"},
                                               {"--profile", "PROFILE"},
                                               {"--off", "KINDS"},
                                               {"--length", "DURATION"},
                                               {"--explore", "HOW"},
                                               {"--without-needed", ""},
                                               {"--shrink", ""}}};
constexpr std::array<OptionRow, 6> shrink_table{{{"--replays", "N"},
                                                 {"--export-history", "FILE"},
                                                 {"--trace", "FILE"},
                                                 {"--pcap", "FILE"},
                                                 {"--html", "FILE"},
                                                 {"--export-disks", "DIR"}}};
constexpr std::array<OptionRow, 1> diverge_table{{{"--against", "BINARY"}}};
constexpr std::array<std::string_view, 1> token_operand{"TOKEN"};

/// Takes the options that swarm and zoo share into `swarm`.
Status take_swarm_options(const Options& options, sim::SwarmOptions& swarm) {
    const auto take = [&](std::string_view name, const auto& parse, auto& into) -> Status {
        const auto text = options.value(name);
        if (!text) return {};
        auto value = parse(*text);
        if (!value) return Error{Failure::invalid, fmt::format("{} {}", name, value.error().text)};
        into = *std::move(value);
        return {};
    };
    std::uint64_t jobs = swarm.jobs;
    KLAMM_TRY(take("--first-seed", parse_seed, swarm.first_seed));
    KLAMM_TRY(take("--jobs", parse_count, jobs));
    KLAMM_TRY(take("--off", parse_kinds, swarm.off));
    KLAMM_TRY(take("--length", parse_duration, swarm.length));
    KLAMM_TRY(take("--explore", parse_explorer, swarm.explore));
    if (options.value("--profile") != "all") {
        KLAMM_TRY(take("--profile", parse_profile, swarm.profile));
    }
    if (jobs > jobs_max) {
        return Error{Failure::invalid, fmt::format("--jobs {}: at most {}", jobs, jobs_max)};
    }
    swarm.jobs = static_cast<std::size_t>(jobs);
    return {};
}

std::function<void(const sim::SwarmProgress&)> show_progress(ProgressLine& line) {
    return [&line](const sim::SwarmProgress& now) {
        line.show(fmt::format("{} runs, {} red, {} s", now.runs, now.red,
                              now.wall.to_milliseconds() / 1000));
    };
}

int status_of(sim::Verdict verdict) { return static_cast<int>(verdict); }

sim::ShrinkResult shrink_shown(const sim::RunPlan& plan, std::uint64_t replays_max,
                               const Console& console) {
    ProgressLine line(console);
    sim::ShrinkOptions options;
    options.replays_max = replays_max;
    options.stopped = console.interrupted;
    options.progress = [&](const std::string& step) { line.show(step); };
    sim::ShrinkResult result = sim::shrink(plan, options);
    line.clear();
    return result;
}

/// Somebody reads that without scrolling.
bool is_small(const sim::ShrinkResult& result) {
    return result.plan.faults.size() <= 10 && result.operations.size() <= 20;
}

/// Shrinks the run that was found. Where it stays large (what fails only when two packets cross may
/// need all the traffic that it has), the next runs that fail within the budget are shrunk too; the
/// one with the fewest operations is printed.
void shrink_found(sim::ZooOptions zoo, sim::ZooResult found, const Console& console) {
    constexpr int runs_max = 3;
    std::optional<sim::ShrinkResult> best;
    for (int run = 0; run < runs_max && found.found; ++run) {
        const auto plan = sim::from_token(found.trial.token);
        if (!plan) break;
        sim::ShrinkResult shrunk = shrink_shown(*plan, sim::ShrinkOptions().replays_max, console);
        if (!best || shrunk.operations.size() < best->operations.size()) best = std::move(shrunk);
        if (is_small(*best) || found.cpu >= zoo.cpu_budget) break;
        if (console.interrupted && console.interrupted()) break;
        console.out(fmt::format("{} operations are left of it; the next run that fails is tried\n",
                                best->operations.size()));
        zoo.swarm.first_seed = found.trial.seed + 1;
        zoo.cpu_budget = zoo.cpu_budget - found.cpu;
        found = sim::visit(zoo);
    }
    if (best) console.out(to_text(*best));
}

}  // namespace

int swarm_command(Words words, const Console& console) {
    const auto options = Options::parse(words, swarm_table);
    if (!options) return complain(console, "swarm", options.error().text);
    sim::SwarmOptions swarm;
    swarm.first_seed = std::random_device()();
    if (const Status status = take_swarm_options(*options, swarm); !status) {
        return complain(console, "swarm", status.error().text);
    }
    if (const auto text = options->value("--plant")) {
        const auto bug = parse_bug(*text);
        if (!bug) return complain(console, "swarm", "--plant " + bug.error().text);
        swarm.plant = *bug;
    }
    if (const auto text = options->value("--seeds")) {
        const auto seeds = parse_count(*text);
        if (!seeds) return complain(console, "swarm", "--seeds " + seeds.error().text);
        swarm.seeds = *seeds;
    }
    if (const auto text = options->value("--budget")) {
        const auto budget = parse_duration(*text);
        if (!budget) return complain(console, "swarm", "--budget " + budget.error().text);
        swarm.wall = *budget;
    }
    if (!swarm.seeds && !swarm.wall) swarm.wall = seconds(60);
    swarm.stopped = console.interrupted;
    ProgressLine line(console);
    swarm.progress = show_progress(line);
    sim::GoalCatalogue goals;
    if (const auto path = options->value("--goals")) {
        const Result<std::string> text = sim::read_scenario_file(std::string(*path));
        if (!text) return complain(console, "swarm", text.error().text);
        auto read = sim::parse_goals(*text, *path);
        if (!read) return complain(console, "swarm", read.error().text);
        goals = *std::move(read);
        swarm.watch = sim::watch_goals(goals);
    }
    const sim::SwarmReport report = sim::run_swarm(swarm);
    line.clear();
    console.out(to_text(report));
    if (goals.empty()) return status_of(report.verdict());
    console.out(sim::goals_text(goals, report));
    const sim::Verdict of_goals = sim::goals_verdict(goals, report);
    return status_of(report.red() > 0 || of_goals == sim::Verdict::passed ? report.verdict()
                                                                          : of_goals);
}

namespace {

/// The kill matrix, into `path`.
int write_matrix(const sim::ZooOptions& zoo, const std::string& path, const Console& console) {
    if (!std::ofstream(path, std::ios::app))
        return complain(console, "zoo", fmt::format("{}: cannot be written; see --out", path));
    ProgressLine line(console);
    sim::KillOptions kill;
    kill.cpu_budget = zoo.cpu_budget;
    kill.swarm = zoo.swarm;
    kill.swarm.stopped = console.interrupted;
    kill.swarm.progress = show_progress(line);
    kill.on_row = [&](const sim::KillRow& row) {
        line.clear();
        console.out(to_text(row));
    };
    const std::vector<sim::KillRow> rows = sim::kill_matrix(kill);
    std::ofstream(path, std::ios::trunc) << sim::matrix_document(rows, kill);
    console.out(fmt::format("written to {}\n", path));
    return status_of(sim::all_killed(rows) ? sim::Verdict::passed : sim::Verdict::safety);
}

}  // namespace

int zoo_command(Words words, const Console& console) {
    const auto options = Options::parse(words, zoo_table);
    if (!options) return complain(console, "zoo", options.error().text);
    sim::ZooOptions zoo;
    if (const Status status = take_swarm_options(*options, zoo.swarm); !status) {
        return complain(console, "zoo", status.error().text);
    }
    if (const auto text = options->value("--budget")) {
        const auto budget = parse_duration(*text);
        if (!budget) return complain(console, "zoo", "--budget " + budget.error().text);
        zoo.cpu_budget = *budget;
    }
    zoo.without_needed = options->has("--without-needed");
    if (!options->has("--bug") && !zoo.without_needed && !options->has("--shrink"))
        return write_matrix(
            zoo, std::string(options->value("--out").value_or("scenarios/zoo/README.md")), console);
    std::vector<Bug> bugs;
    if (const auto text = options->value("--bug")) {
        const auto bug = parse_bug(*text);
        if (!bug) return complain(console, "zoo", "--bug " + bug.error().text);
        bugs.push_back(*bug);
    } else {
        for (const BugEntry& entry : bug_catalogue())
            if (entry.in_cluster) bugs.push_back(entry.bug);
    }
    zoo.swarm.stopped = console.interrupted;
    std::vector<sim::ZooResult> results;
    bool expected = true;
    for (const Bug bug : bugs) {
        ProgressLine line(console);
        zoo.bug = bug;
        zoo.swarm.progress = show_progress(line);
        results.push_back(sim::visit(zoo));
        line.clear();
        const sim::ZooResult& result = results.back();
        console.out(to_text(result));
        expected = expected && result.as_expected();
        if (options->has("--shrink")) shrink_found(zoo, result, console);
        if (console.interrupted && console.interrupted()) break;
    }
    if (bugs.size() > 1) console.out(sim::table_text(results));
    return status_of(expected && results.size() == bugs.size() ? sim::Verdict::passed
                                                               : sim::Verdict::safety);
}

int shrink_command(Words words, const Console& console) {
    const auto options = Options::parse(words, shrink_table, token_operand);
    if (!options) return complain(console, "shrink", options.error().text);
    std::uint64_t replays_max = sim::ShrinkOptions().replays_max;
    if (const auto text = options->value("--replays")) {
        const auto replays = parse_count(*text);
        if (!replays) return complain(console, "shrink", "--replays " + replays.error().text);
        replays_max = *replays;
    }
    if (sim::is_scenario_token(options->operands()[0]))
        return complain(console, "shrink", "a scenario's story is as short as it was written");
    const auto plan = sim::from_token(options->operands()[0]);
    if (!plan) return complain(console, "shrink", plan.error().text);
    const sim::OutputPaths paths = output_paths_of(*options);
    if (const Status ready = sim::prepare(paths); !ready)
        return complain(console, "shrink", ready.error().text);
    const sim::ShrinkResult result = shrink_shown(*plan, replays_max, console);
    console.out(to_text(result));
    if (result.reproduced && paths.any()) {
        console.out("\nthe shrunk run:\n");
        (void)run_and_print(result.plan, {paths}, console);
    }
    // What was asked for is a smaller failure; without a failure there is none.
    return status_of(result.reproduced ? sim::Verdict::passed : sim::Verdict::harness_error);
}

int diverge_command(Words words, const Console& console) {
    const auto options = Options::parse(words, diverge_table, token_operand);
    if (!options) return complain(console, "diverge", options.error().text);
    const std::string token(options->operands()[0]);
    if (const auto plan = plan_of_token(token); !plan) {
        return complain(console, "diverge", plan.error().text);
    }
    const std::string self(console.self);
    const std::string other(options->value("--against").value_or(console.self));
    const auto answer =
        sim::diverge(sim::side_of_binary(self, token), sim::side_of_binary(other, token));
    if (!answer) {
        console.err(fmt::format("klamm diverge: {}\n", answer.error().text));
        return status_of(sim::Verdict::harness_error);
    }
    if (answer->equal) {
        console.out(fmt::format("equal: {} events\nhash {:016x}\n", answer->events, answer->hash));
        return 0;
    }
    console.out(
        fmt::format("event {} is the first that differs\n  before: {}\n  one:    {}\n"
                    "  other:  {}\n",
                    answer->event, answer->before, answer->one, answer->other));
    return status_of(sim::Verdict::harness_error);
}

}  // namespace klamm::command
