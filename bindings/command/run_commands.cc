// The commands `klamm sim` and `klamm replay`: one run, in a process of its own, so that even a run
// that dies ends in a verdict and a replay line.
#include <fmt/format.h>

#include <array>
#include <fstream>
#include <random>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "checkers/jsonl.h"
#include "checkers/violation.h"
#include "sim/run/diverge.h"
#include "sim/run/forked.h"
#include "sim/run/report.h"
#include "sim/run/run.h"
#include "sim/run/token.h"
#include "sim/run/trace_json.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/token.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 7> sim_table{{{"--seed", "HEX"},
                                              {"--profile", "PROFILE"},
                                              {"--plant", "BUG"},
                                              {"--off", "KINDS"},
                                              {"--length", "DURATION"},
                                              {"--export-history", "FILE"},
                                              {"--trace", "FILE"}}};
constexpr std::array<OptionRow, 5> replay_table{{{"--checkpoints", ""},
                                                 {"--events", "FROM-TO"},
                                                 {"--log", ""},
                                                 {"--export-history", "FILE"},
                                                 {"--trace", "FILE"}}};
constexpr std::array<std::string_view, 1> replay_operands{"TOKEN"};

struct RunOutputs {
    std::optional<std::string> history;
    std::optional<std::string> trace;
    bool log = false;
};

RunOutputs outputs_of(const Options& options) {
    RunOutputs outputs;
    if (const auto path = options.value("--export-history")) outputs.history = *path;
    if (const auto path = options.value("--trace")) outputs.trace = *path;
    outputs.log = options.has("--log");
    return outputs;
}

/// Whether these files can be written, said before the run and not after it.
Status writable(const RunOutputs& outputs) {
    for (const auto& path : {outputs.history, outputs.trace}) {
        if (path && !std::ofstream(*path, std::ios::trunc)) {
            return Error{Failure::io, fmt::format("{}: cannot be written", *path)};
        }
    }
    return {};
}

/// What the run's process does: its report, behind one byte for the exit status.
std::string run_and_report(const sim::RunPlan& plan, const RunOutputs& outputs) {
    sim::RunHooks hooks;
    std::string text;
    std::ofstream trace;
    hooks.keep_history = outputs.history.has_value();
    if (outputs.trace) {
        trace.open(*outputs.trace, std::ios::trunc | std::ios::binary);
        hooks.event_sink = [&](const sim::EventRecord& record) {
            trace << sim::trace_line(record);
        };
        hooks.fact_sink = [&](Instant time, const std::string& node, const facts::Fact& fact) {
            trace << sim::trace_line(time, node, fact);
        };
        hooks.fault_sink = [&](Instant time, const sim::FaultEvent& fault) {
            trace << sim::trace_line(time, fault);
        };
    }
    if (outputs.log) {
        hooks.log_sink = [&](Instant time, const std::string& node, std::string_view line) {
            text +=
                fmt::format("{} {}: {}\n", checkers::seconds_text(time.nanoseconds), node, line);
        };
    }
    const sim::RunResult result = sim::run_plan(plan, hooks);
    bool written = true;
    if (outputs.history) {
        std::ofstream file(*outputs.history, std::ios::trunc | std::ios::binary);
        file << checkers::write_history(result.history);
        file.close();
        written = written && !file.fail();
    }
    if (outputs.trace) {
        trace.close();
        written = written && !trace.fail();
    }
    int status = sim::exit_status(result);
    if (!written) {
        text += "a file could not be written in full\n";
        status = static_cast<int>(sim::Verdict::harness_error);
    }
    return static_cast<char>(status) + text + to_text(plan, result);
}

int run_one(const sim::RunPlan& plan, const RunOutputs& outputs, std::string_view command,
            const Console& console) {
    if (const Status ready = writable(outputs); !ready) {
        return complain(console, command, ready.error().text);
    }
    const auto job = [&] { return run_and_report(plan, outputs); };
    const sim::ForkedResult result = sim::run_forked(job);
    if (result.end == sim::JobEnd::finished && !result.bytes.empty()) {
        console.out(std::string_view(result.bytes).substr(1));
        return result.bytes[0];
    }
    console.out(fmt::format("crash: {}\nhash {:016x}\nreplay klamm replay {}\n", result.complaint,
                            0, sim::to_token(plan)));
    return static_cast<int>(sim::Verdict::crash);
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
    for (const std::string_view name : {"--off", "--length"})
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
          take("--length", parse_duration, asked.length)}) {
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
