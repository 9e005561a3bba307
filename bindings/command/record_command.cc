// The command `klamm record`: a workload against a live cluster, its history in a file, and what
// the log checker says of it (bindings/live/recorder.h).
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "bindings/live/recorder.h"
#include "checkers/jsonl.h"
#include "sim/judge/counts.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 7> record_table{{{"--bootstrap", "HOST:PORT"},
                                                 {"--workload", "FILE"},
                                                 {"--length", "DURATION"},
                                                 {"--topic", "NAME"},
                                                 {"--partitions", "N"},
                                                 {"--replication-factor", "R"},
                                                 {"--out", "FILE"}}};

constexpr std::string_view record_help =
    "usage: klamm record --bootstrap HOST:PORT[,...] [options]\n"
    "\n"
    "Lets clients write to and read from a live cluster for a while, reads everything back, and\n"
    "judges what they saw. Do to the cluster meanwhile what you like; what acks=all has promised\n"
    "must be there in the end, unless power failed or an election was unclean.\n"
    "\n"
    "  --workload FILE          topic options, partitions, producers, consumers and length, under\n"
    "                           the keys of scenarios/SCHEMA.md (a scenario will do: its story "
    "and\n"
    "                           its cluster are left out); a producer and a consumer if absent\n"
    "  --length 10s             how long operations begin\n"
    "  --topic NAME             made if it is not there; one that holds records is refused. If\n"
    "                           absent, one of its own, deleted again when nothing is wrong\n"
    "  --partitions N, --replication-factor R\n"
    "                           of a topic that is made; else the workload's, and the brokers'\n"
    "  --out FILE               the history, as klamm check reads it (checkers/FORMAT.md)\n"
    "\n"
    "The first Ctrl-C ends the workload early, and what was seen is judged. Exit status: 0 "
    "passed,\n"
    "1 something is wrong, 4 the cluster did not answer or not to the end, 5 usage.\n";

int record_refused(const Console& console, std::string_view sentence) {
    console.err(fmt::format("klamm record: {}\n", sentence));
    return static_cast<int>(sim::Verdict::harness_error);
}

Result<live::RecordPlan> plan_of(const Options& options) {
    std::string text = "{}";
    std::string path = "workload";
    if (const auto file = options.value("--workload")) {
        path = *file;
        std::ifstream in(path, std::ios::binary);
        std::ostringstream stream;
        if (!in || !(stream << in.rdbuf()))
            return Error{Failure::not_found, path + ": cannot be read, or is empty"};
        text = std::move(stream).str();
    }
    auto plan = live::read_workload(text, path);
    if (!plan.ok()) return plan;
    if (const auto name = options.value("--topic")) plan->topic = *name;
    if (const auto given = options.value("--length")) {
        const auto length = parse_duration(*given);
        if (!length.ok())
            return Error{Failure::invalid,
                         fmt::format("--length {}: {}", *given, length.error().text)};
        plan->set_length(*length);
    }
    const auto number = [&](const char* name, auto& out) -> Status {
        const auto given = options.value(name);
        if (!given) return {};
        const auto count = parse_count(*given);
        if (!count.ok() || *count > 10'000)
            return Error{Failure::invalid,
                         fmt::format("{} {}: expected a number from 1 to 10000", name, *given)};
        out = static_cast<std::decay_t<decltype(out)>>(*count);
        return {};
    };
    if (const Status read = number("--partitions", plan->partitions); !read) return read.error();
    if (const Status read = number("--replication-factor", plan->replication); !read)
        return read.error();
    return plan;
}

}  // namespace

int record_command(Words words, const Console& console) {
    if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) {
        console.out(record_help);
        return 0;
    }
    const auto options = Options::parse(words, record_table);
    if (!options) return complain(console, "record", options.error().text);
    const auto servers = options->value("--bootstrap");
    if (!servers) return complain(console, "record", "--bootstrap is missing");
    std::vector<std::string> bootstrap;
    std::istringstream list{std::string(*servers)};
    for (std::string one; std::getline(list, one, ',');) bootstrap.push_back(one);
    auto plan = plan_of(*options);
    if (!plan) return complain(console, "record", plan.error().text);

    live::Recorder* running = nullptr;
    const auto pulse = [&] {
        if (running != nullptr && console.interrupted && console.interrupted())
            std::exchange(running, nullptr)->stop_early();
    };
    auto recorder = live::Recorder::begin(bootstrap, *std::move(plan), pulse);
    if (!recorder) return record_refused(console, recorder.refusal().sentence);
    running = recorder->get();
    const live::Recording recording = (*recorder)->finish();
    running = nullptr;
    if (const auto out = options->value("--out")) {
        std::ofstream file(std::string(*out), std::ios::binary);
        if (!(file << checkers::write_history(recording.history)))
            return record_refused(console, fmt::format("{}: cannot be written", *out));
    }
    for (const checkers::Violation& one : recording.judgement.violations)
        console.out(fmt::format("{}: {}\n", to_string(one.code), one.sentence));
    const checkers::Totals& totals = recording.judgement.totals;
    console.out(fmt::format(
        "topic {}: {} events, {} sends, {} acknowledged, {} polls, {} records read, {} stale "
        "answers, {} violations\n",
        recording.topic, totals.events, totals.sends, totals.acknowledged, totals.polls,
        totals.records_read, totals.stale, totals.violations));
    if (!recording.complaint.empty()) console.out(recording.complaint + "\n");
    const sim::Verdict verdict = totals.violations > 0   ? sim::Verdict::safety
                                 : recording.read_to_end ? sim::Verdict::passed
                                                         : sim::Verdict::harness_error;
    console.out(fmt::format("{}\n", to_string(verdict)));
    return static_cast<int>(verdict);
}

}  // namespace klamm::command
