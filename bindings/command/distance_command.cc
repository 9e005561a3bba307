// The command `klamm distance`: the fewest physical faults that lose an acknowledged record under a
// topic's settings, the schedule, and the cheapest change of one setting that raises their number.
#include <fmt/format.h>

#include <array>
#include <fstream>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "bindings/command/terminal.h"
#include "sim/judge/counts.h"
#include "sim/run/run.h"
#include "sim/scenario/distance.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 4> distance_table{
    {{"--faults", "N"}, {"--jobs", "N"}, {"--scenario", "FILE"}, {"--distance-only", ""}}};
constexpr std::array<std::string_view, 1> distance_operands{"TOPIC-CONFIG"};

constexpr std::string_view distance_help =
    "usage: klamm distance TOPIC-CONFIG.json [options]\n"
    "\n"
    "The fewest physical faults that lose an acknowledged record, found by running schedules of\n"
    "them in the simulator; then the cheapest change of one setting that raises their number.\n"
    "The file is an object of settings, each as in Kafka, all with defaults:\n"
    "  {\"replication.factor\": 3, \"min.insync.replicas\": 2, \"acks\": \"all\",\n"
    "   \"flush.messages\": 1000, \"unclean.leader.election.enable\": false,\n"
    "   \"eligible.leader.replicas\": true, \"disks.die\": false}\n"
    "disks.die: a machine that fails comes back with an empty disk, not without power alone.\n"
    "\n"
    "Options:\n"
    "  --faults N         schedules of up to N faults (3)\n"
    "  --jobs N           runs at a time (1)\n"
    "  --scenario FILE    writes the schedule as a scenario, for klamm sim\n"
    "  --distance-only    does not look for settings that raise it\n"
    "\n"
    "Exit status: 0 a distance was found, or none within N faults; 1 a run broke the contract.\n";

std::string faults_text(std::uint32_t faults) {
    return fmt::format("{} fault{}", faults, faults == 1 ? "" : "s");
}

/// Records that a run of this file loses, with this seed.
std::int64_t lost_by(const std::string& text, std::uint64_t seed) {
    const auto scenario = sim::parse_scenario(text, "distance.json");
    if (!scenario) return 0;
    std::int64_t lost = 0;
    for (const std::int64_t records :
         sim::run_plan(sim::plan_of(*scenario, {.seed = seed})).bill.records_lost)
        lost += records;
    return lost;
}

std::string answer_text(const sim::Distance& found) {
    if (!found.faults)
        return fmt::format("no schedule of up to {} loses an acknowledged record ({} runs)\n",
                           faults_text(found.searched), found.runs);
    std::string text = fmt::format("distance {}: {} lose an acknowledged record ({} runs)\n",
                                   *found.faults, faults_text(*found.faults), found.runs);
    for (std::size_t i = 0; i < found.schedule.size(); ++i)
        text += fmt::format("  {}. {}\n", i + 1, found.schedule[i]);
    text += fmt::format("  {}\n", found.loss);
    text += fmt::format("run again with two other seeds: {} and {} records lost\n",
                        lost_by(found.scenario, 2), lost_by(found.scenario, 3));
    return text;
}

int broken(const Console& console, const sim::Distance& found) {
    console.out(fmt::format("a run broke the contract: {}\n{}", found.loss, found.scenario));
    return static_cast<int>(sim::Verdict::safety);
}

}  // namespace

int distance_command(Words words, const Console& console) {
    if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) {
        console.out(distance_help);
        return 0;
    }
    const auto options = Options::parse(words, distance_table, distance_operands);
    if (!options) return complain(console, "distance", options.error().text);
    sim::DistanceOptions search;
    for (const std::string_view name : {"--faults", "--jobs"}) {
        const auto text = options->value(name);
        if (!text) continue;
        const auto count = parse_count(*text);
        if (!count || *count > 16)
            return complain(console, "distance", fmt::format("{} {}: at most 16", name, *text));
        if (name == "--jobs")
            search.jobs = *count;
        else
            search.faults_max = static_cast<std::uint32_t>(*count);
    }
    const std::string path(options->operands()[0]);
    const Result<std::string> text = sim::read_scenario_file(path);
    if (!text) return complain(console, "distance", text.error().text);
    const auto config = sim::parse_distance_config(*text, path);
    if (!config) return complain(console, "distance", config.error().text);
    ProgressLine line(console);
    search.stopped = console.interrupted;
    search.progress = [&line](const std::string& step) { line.show(step); };

    console.out(sim::to_text(*config) + "\n");
    const sim::Distance found = sim::distance(*config, search);
    line.clear();
    if (found.red) return broken(console, found);
    console.out(answer_text(found));
    if (!found.faults || options->has("--distance-only")) return 0;
    if (const auto file = options->value("--scenario")) {
        if (!(std::ofstream(std::string(*file), std::ios::trunc) << found.scenario))
            return complain(console, "distance", fmt::format("{}: cannot be written", *file));
    }
    // The first that raises it is the cheapest.
    search.faults_max = *found.faults;
    for (const sim::Remedy& remedy : sim::remedies(*config)) {
        const sim::Distance then = sim::distance(remedy.config, search);
        line.clear();
        if (then.red) return broken(console, then);
        if (then.faults) {
            console.out(fmt::format("{}: still {}\n", remedy.setting, *then.faults));
            continue;
        }
        if (then.searched < *found.faults) break;  // it was interrupted
        console.out(fmt::format("{} raises it: {} lose nothing then. It costs {}.\n",
                                remedy.setting, faults_text(*found.faults), remedy.costs));
        return 0;
    }
    console.out("no change of one setting raises it\n");
    return 0;
}

}  // namespace klamm::command
