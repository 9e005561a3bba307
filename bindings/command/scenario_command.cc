// The command `klamm scenario`: a scenario file as it is, and with the mistake planted that it is
// written to find. It holds only if the first does what the file expects and the second is red.
#include <fmt/format.h>

#include <array>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "sim/run/trial.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/spec.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 6> scenario_table{{{"--seeds", "N"},
                                                   {"--first-seed", "HEX"},
                                                   {"--schema", ""},
                                                   {"--document", ""},
                                                   {"--goals-schema", ""},
                                                   {"--goals-document", ""}}};

std::string seconds_text(Duration duration) {
    return fmt::format("{}.{:03} s", duration.nanoseconds / 1'000'000'000,
                       duration.nanoseconds / 1'000'000 % 1'000);
}

/// Whether both runs of one seed are as they must be; prints a line about each that is not.
bool both_ways(const sim::Scenario& scenario, sim::ScenarioRun run, bool show,
               const Console& console) {
    const sim::Trial plain = sim::run_forked_trial(sim::plan_of(scenario, run));
    run.plant = scenario.turned_red_by;
    const auto bug = static_cast<std::size_t>(scenario.turned_red_by);
    const BugEntry& entry = bug_catalogue()[bug];
    const sim::Trial planted = sim::run_forked_trial(sim::plan_of(scenario, run));
    const bool found =
        planted.red() && (planted.plants_taken[bug] > 0 || planted.verdict == sim::Verdict::crash);
    const bool passed = plain.verdict == sim::Verdict::passed;
    if (show || !passed)
        console.out(fmt::format("  as it is: {}, {}\n    klamm replay {}\n", plain.sentence(),
                                seconds_text(plain.cpu), plain.token));
    if (show || !found)
        console.out(fmt::format("  with {}: {}, taken {} times, {}\n    klamm replay {}\n",
                                entry.code, planted.sentence(), planted.plants_taken[bug],
                                seconds_text(planted.cpu), planted.token));
    return passed && found;
}

}  // namespace

int scenario_command(Words words, const Console& console) {
    std::string file;
    if (!words.empty() && !words.front().starts_with("--")) {
        file = words.front();
        words = words.subspan(1);
    }
    const auto options = Options::parse(words, scenario_table);
    if (!options) return complain(console, "scenario", options.error().text);
    if (options->has("--schema") || options->has("--document")) {
        console.out(options->has("--schema") ? sim::schema_json() : sim::schema_document());
        return 0;
    }
    if (options->has("--goals-schema") || options->has("--goals-document")) {
        console.out(options->has("--goals-schema") ? sim::goals_schema_json()
                                                   : sim::goals_document());
        return 0;
    }
    if (file.empty()) return complain(console, "scenario", "FILE is missing");
    std::uint64_t seeds = 1;
    sim::ScenarioRun run;
    if (const auto text = options->value("--seeds")) {
        const auto count = parse_count(*text);
        if (!count) return complain(console, "scenario", "--seeds " + count.error().text);
        seeds = *count;
    }
    if (const auto text = options->value("--first-seed")) {
        const auto seed = parse_seed(*text);
        if (!seed) return complain(console, "scenario", "--first-seed " + seed.error().text);
        run.seed = *seed;
    }
    const Result<std::string> text = sim::read_scenario_file(file);
    if (!text) return complain(console, "scenario", text.error().text);
    const Result<sim::Scenario> scenario = sim::parse_scenario(*text, file);
    if (!scenario) return complain(console, "scenario", scenario.error().text);
    run.path = file;
    run.digest = sim::scenario_digest(*text);
    const std::uint64_t first = run.seed;
    std::uint64_t good = 0;
    console.out(fmt::format("{}: {}\n", file, scenario->says));
    for (std::uint64_t i = 0; i < seeds; ++i) {
        run.seed = first + i;
        good += both_ways(*scenario, run, seeds == 1, console) ? 1 : 0;
    }
    console.out(fmt::format("{} of {} seeds hold, both ways\n", good, seeds));
    return static_cast<int>(good == seeds ? sim::Verdict::passed : sim::Verdict::harness_error);
}

}  // namespace klamm::command
