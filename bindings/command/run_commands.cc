// The commands `klamm sim` and `klamm replay`: one run, in a process of its own, so that even a run
// that dies ends in a verdict and a replay line.
#include <fmt/format.h>

#include <array>
#include <random>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "bindings/command/run_outputs.h"
#include "bindings/command/terminal.h"
#include "checkers/violation.h"
#include "sim/picture/copies.h"
#include "sim/run/diverge.h"
#include "sim/run/forked.h"
#include "sim/run/report.h"
#include "sim/run/run.h"
#include "sim/run/token.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/token.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 11> sim_table{{{"--seed", "HEX"},
                                               {"--profile", "PROFILE"},
                                               {"--plant", "BUG"},
                                               {"--off", "KINDS"},
                                               {"--length", "DURATION"},
                                               {"--explore", "HOW"},
                                               {"--export-history", "FILE"},
                                               {"--trace", "FILE"},
                                               {"--pcap", "FILE"},
                                               {"--html", "FILE"},
                                               {"--export-disks", "DIR"}}};
constexpr std::array<OptionRow, 8> replay_table{{{"--checkpoints", ""},
                                                 {"--events", "FROM-TO"},
                                                 {"--log", ""},
                                                 {"--export-history", "FILE"},
                                                 {"--trace", "FILE"},
                                                 {"--pcap", "FILE"},
                                                 {"--html", "FILE"},
                                                 {"--export-disks", "DIR"}}};
constexpr std::array<std::string_view, 1> replay_operands{"TOKEN"};

RunOutputs outputs_of(const Options& options) {
    return {output_paths_of(options), options.has("--log")};
}

/// What the run's process does: its report, behind one byte for the exit status.
std::string run_and_report(const sim::RunPlan& plan, const RunOutputs& asked) {
    sim::RunHooks hooks;
    std::string text;
    sim::Outputs outputs(asked.files);
    outputs.attach(hooks);
    if (asked.log) {
        hooks.log_sink = [&](Instant time, const std::string& node, std::string_view line) {
            text +=
                fmt::format("{} {}: {}\n", checkers::seconds_text(time.nanoseconds), node, line);
        };
    }
    const sim::RunResult result = sim::run_plan(plan, hooks);
    int status = sim::exit_status(result);
    if (const Status written = outputs.finish(plan, result); !written) {
        text += written.error().text + '\n';
        status = static_cast<int>(sim::Verdict::harness_error);
    }
    text += to_text(plan, result);
    if (result.red()) {
        // Whose copies went where takes one more run, with an eye on the record that was lost.
        const auto verdict = text.rfind("verdict ");
        if (verdict != std::string::npos)
            text.insert(verdict, sim::story_of_guilty_record(plan, result));
    }
    return static_cast<char>(status) + text;
}

int run_one(const sim::RunPlan& plan, const RunOutputs& outputs, std::string_view command,
            const Console& console) {
    if (const Status ready = sim::prepare(outputs.files); !ready) {
        return complain(console, command, ready.error().text);
    }
    return run_and_print(plan, outputs, console);
}

std::uint64_t random_seed() { return std::random_device()(); }

Result<sim::RunPlan> scenario_plan(const std::string& path, std::uint64_t seed,
                                   const sim::PlanOptions& asked) {
    const Result<std::string> text = sim::read_scenario_file(path);
    if (!text) return text.error();
    const Result<sim::Scenario> scenario = sim::parse_scenario(*text, path);
    if (!scenario) return scenario.error();
    return sim::plan_of(*scenario,
                        {seed, asked.profile, asked.plant, path, sim::scenario_digest(*text)});
}

}  // namespace

sim::OutputPaths output_paths_of(const Options& options) {
    sim::OutputPaths paths;
    for (const auto& [name, into] : {std::pair{"--export-history", &paths.history},
                                     {"--trace", &paths.trace},
                                     {"--pcap", &paths.capture},
                                     {"--html", &paths.page},
                                     {"--export-disks", &paths.disks}})
        if (const auto path = options.value(name)) *into = *path;
    return paths;
}

int run_and_print(const sim::RunPlan& plan, const RunOutputs& outputs, const Console& console) {
    const auto job = [&] { return run_and_report(plan, outputs); };
    const sim::ForkedResult result = sim::run_forked(job);
    if (result.end == sim::JobEnd::finished && !result.bytes.empty()) {
        console.out(painted(console, std::string_view(result.bytes).substr(1)));
        return result.bytes[0];
    }
    console.out(painted(console, fmt::format("crash: {}\nhash {:016x}\nreplay klamm replay {}\n",
                                             result.complaint, 0, sim::to_token(plan))));
    return static_cast<int>(sim::Verdict::crash);
}

Result<sim::RunPlan> plan_of_token(std::string_view token) {
    return sim::is_scenario_token(token) ? sim::plan_from_scenario_token(token)
                                         : sim::from_token(token);
}

int sim_command(Words words, const Console& console) {
    std::string file;
    if (!words.empty() && !words.front().starts_with("--")) {
        file = words.front();
        words = words.subspan(1);
    }
    const auto options = Options::parse(words, sim_table);
    if (!options) return complain(console, "sim", options.error().text);
    std::uint64_t seed = 0;
    sim::PlanOptions asked;
    if (!file.empty()) asked.profile = sim::Profile::calm;
    for (const std::string_view name : {"--off", "--length", "--explore"})
        if (!file.empty() && options->has(name))
            return complain(console, "sim", fmt::format("{}: not with a scenario", name));
    const auto take = [&](std::string_view name, const auto& parse, auto& into) -> Status {
        const auto text = options->value(name);
        if (!text) return {};
        auto value = parse(*text);
        if (!value) return Error{Failure::invalid, fmt::format("{} {}", name, value.error().text)};
        into = *std::move(value);
        return {};
    };
    if (!options->has("--seed")) seed = random_seed();
    for (const Status& status :
         {take("--seed", parse_seed, seed), take("--profile", parse_profile, asked.profile),
          take("--plant", parse_bug, asked.plant), take("--off", parse_kinds, asked.off),
          take("--length", parse_duration, asked.length),
          take("--explore", parse_explorer, asked.explore)}) {
        if (!status) return complain(console, "sim", status.error().text);
    }
    if (file.empty())
        return run_one(sim::make_plan(seed, asked), outputs_of(*options), "sim", console);
    const auto plan = scenario_plan(file, seed, asked);
    if (!plan) return complain(console, "sim", plan.error().text);
    return run_one(*plan, outputs_of(*options), "sim", console);
}

int replay_command(Words words, const Console& console) {
    const auto options = Options::parse(words, replay_table, replay_operands);
    if (!options) return complain(console, "replay", options.error().text);
    const auto plan = plan_of_token(options->operands()[0]);
    if (!plan) return complain(console, "replay", plan.error().text);
    if (options->has("--checkpoints")) {
        console.out(sim::checkpoints_text(sim::checkpoints_of(*plan)));
        return 0;
    }
    if (const auto text = options->value("--events")) {
        const auto range = parse_range(*text);
        if (!range) return complain(console, "replay", "--events " + range.error().text);
        for (const std::string& line : sim::events_of(*plan, range->first, range->second)) {
            console.out(line + "\n");
        }
        return 0;
    }
    return run_one(*plan, outputs_of(*options), "replay", console);
}

}  // namespace klamm::command
