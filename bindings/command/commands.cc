#include "bindings/command/commands.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "bindings/command/admin_commands.h"
#include "bindings/command/broker.h"
#include "sim/judge/contract.h"
#include "sim/judge/counts.h"

namespace klamm::command {

namespace {

constexpr std::string_view version = "klamm 0.1.0, after Apache Kafka 4.1\n";

constexpr std::string_view help =
    "usage: klamm COMMAND ...\n"
    "\n"
    "The simulated world:\n"
    "  sim [FILE] [--seed HEX] [--profile P] [--plant BUG] [--off KIND,..] [--length 60s]\n"
    "      [--explore random|pos|pct] [--export-history FILE] [--trace FILE] [--pcap FILE]\n"
    "      [--html FILE] [--export-disks DIR]\n"
    "                          one run: a storm, a verdict, the bill, the replay line; FILE is\n"
    "                          a scenario, see scenarios/SCHEMA.md\n"
    "  replay TOKEN [--checkpoints] [--events FROM-TO] [--log] [the files of sim]\n"
    "                          the run that a token names\n"
    "  shrink TOKEN [--replays N] [the files of sim]\n"
    "                          the same failure with few faults and operations; files of the\n"
    "                          shrunk run\n"
    "  why TOKEN [--branches N] [--moments N] [--jobs N] [--html FILE]\n"
    "                          forks it at moments before it failed: when was it likely to?\n"
    "  diverge TOKEN [--against BINARY]\n"
    "                          runs it twice: equal, or the first event that differs\n"
    "  swarm [--budget 60s] [--seeds N] [--first-seed HEX] [--jobs N] [--profile P|all]\n"
    "      [--plant BUG] [--off KIND,..] [--length 60s] [--explore HOW] [--goals FILE]\n"
    "                          many seeds; --budget is time on the wall (default 60s); --goals:\n"
    "                          what they must reach, see scenarios/GOALS.md; --explore: orders of\n"
    "                          events that their times alone do not bring about\n"
    "  zoo [--bug BUG] [--budget 60s] [--jobs N] [--first-seed HEX] [--profile P|all]\n"
    "      [--off KIND,..] [--explore HOW] [--without-needed] [--shrink] [--out FILE]\n"
    "                          plants a bug and looks for it; --budget is CPU time a bug;\n"
    "                          --without-needed takes its faults away and expects not to find\n"
    "                          it. Without --bug: each in each profile, and none; the matrix goes\n"
    "                          to FILE, scenarios/zoo/README.md if absent\n"
    "  scenario FILE [--seeds N] [--first-seed HEX] | --schema | --document | --goals-schema |\n"
    "      --goals-document\n"
    "                          runs a scenario as it is, which must do what it expects, and with\n"
    "                          the bug planted that turns it red; or prints the form of such "
    "files\n"
    "  check [--model register|kv|log|queue|set] HISTORY\n"
    "                          judges anyone's history; see klamm check --help\n"
    "  distance TOPIC-CONFIG.json [--faults N] [--jobs N] [--scenario FILE] [--distance-only]\n"
    "                          the fewest physical faults that lose an acknowledged record, and\n"
    "                          the setting that raises it; see klamm distance --help\n"
    "  contract                the rules by which runs are judged, as CONTRACT.md has them\n"
    "\n"
    "The real world:\n"
    "  broker ...              the same node on real sockets; see klamm broker --help\n"
    "  record --bootstrap HOST:PORT ...\n"
    "                          a workload against a live cluster, its history and a verdict; see\n"
    "                          klamm record --help\n"
    "  topics ... | configs ...    an administrator's client; see klamm topics --help\n"
    "  dump-log [--json] [--records] FILE...\n"
    "                          what stands in files of a log directory, as kafka-dump-log has it\n"
    "\n"
    "Profiles: calm, weather, storm, power, disk, quorum, edge, groups. Exit status: 0 passed,\n"
    "1 safety, 2 liveness, 3 crash, 4 harness error, 5 usage.\n";

int contract_command(Words words, const Console& console) {
    if (!words.empty()) return complain(console, "contract", "takes no options");
    console.out(sim::contract_document());
    return 0;
}

constexpr std::array<std::pair<std::string_view, int (*)(Words, const Console&)>, 12> commands{{
    {"sim", sim_command},
    {"replay", replay_command},
    {"shrink", shrink_command},
    {"diverge", diverge_command},
    {"swarm", swarm_command},
    {"zoo", zoo_command},
    {"check", check_command},
    {"why", why_command},
    {"scenario", scenario_command},
    {"contract", contract_command},
    {"distance", distance_command},
    {"record", record_command},
}};

}  // namespace

int complain(const Console& console, std::string_view command, std::string_view sentence) {
    console.err(fmt::format("klamm{}{}: {}\n", command.empty() ? "" : " ", command, sentence));
    return static_cast<int>(sim::Verdict::usage);
}

int run_command(std::span<const std::string_view> words, const Console& console) {
    if (words.empty()) return complain(console, "", "a command is missing; see klamm --help");
    const std::string_view name = words.front();
    const Words rest = words.subspan(1);
    if (name == "--help" || name == "-h" || name == "help") {
        console.out(help);
        return 0;
    }
    if (name == "--version") {
        console.out(version);
        return 0;
    }
    if (name == "broker") return run_broker(rest, console);
    if (name == "topics") return topics_command(rest, console);
    if (name == "configs") return configs_command(rest, console);
    if (name == "dump-log") return dump_log_command(rest, console);
    for (const auto& [known, run] : commands) {
        if (known != name) continue;
        if (rest.size() == 1 && (rest[0] == "--help" || rest[0] == "-h") && name != "check" &&
            name != "distance" && name != "record") {
            console.out(help);
            return 0;
        }
        return run(rest, console);
    }
    return complain(console, "", fmt::format("{}: no such command; see klamm --help", name));
}

}  // namespace klamm::command
