// The command `klamm check`: anyone's history, judged by the checker that its form or --model
// names.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "checkers/binary.h"
#include "checkers/jsonl.h"
#include "checkers/kafka_checker.h"
#include "checkers/linearizability.h"
#include "checkers/log_checker.h"
#include "checkers/operation_reader.h"
#include "checkers/service_checker.h"
#include "checkers/timeline.h"
#include "checkers/transaction_checker.h"
#include "sim/judge/counts.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 7> check_table{{{"--model", "MODEL"},
                                                {"--isolation", "LEVEL"},
                                                {"--strict", ""},
                                                {"--not-idempotent", ""},
                                                {"--read-uncommitted", ""},
                                                {"--compacted", ""},
                                                {"--steps", "N"}}};
constexpr std::array<std::string_view, 1> operands{"HISTORY"};

constexpr std::string_view check_help =
    "usage: klamm check [--model MODEL] [options] HISTORY\n"
    "\n"
    "Without --model the file says what it is:\n"
    "  events of partition logs     JSON lines, or the binary form of them (checkers/FORMAT.md);\n"
    "                               also groups, commits, leaders, promises, resources in them\n"
    "  Jepsen's Kafka workload      EDN; its anomalies by their published names, and more\n"
    "  transactions over lists      Jepsen's EDN or JSON lines; Elle's anomalies, cycles drawn\n"
    "\n"
    "With --model the operations of named objects are held to linearizability; the file is JSON\n"
    "lines, EDN as Jepsen and Porcupine write it, or a log of Jepsen's etcd runs:\n"
    "  register                     read, write, cas\n"
    "  kv                           get, put, append\n"
    "  queue                        enqueue, dequeue\n"
    "  set                          add, remove, contains, read\n"
    "  log                          events of partition logs, and every stale answer is an error\n"
    "\n"
    "Options:\n"
    "  --isolation LEVEL            what transactions over lists were promised: read-uncommitted,\n"
    "                               read-committed, repeatable-read, snapshot-isolation or\n"
    "                               serializable, each also as strong-session-... and strong-...;\n"
    "                               strict-serializable (as without this option), or kafka\n"
    "  --strict                     stale answers are errors (Kafka allows them)\n"
    "  --not-idempotent             one record at two offsets is lawful\n"
    "  --read-uncommitted           a transaction may poll its own sends (EDN)\n"
    "  --compacted                  records that nobody reads may be compacted away (EDN)\n"
    "  --steps N                    configurations to search before giving up (50000000)\n"
    "\n"
    "Exit status: 0 passed, 1 something is wrong, 4 the history cannot be read, contradicts "
    "itself\n"
    "or is too hard for the budget, 5 usage.\n";

int conclude(const Console& console, sim::Verdict verdict) {
    console.out(fmt::format("{}\n", to_string(verdict)));
    return static_cast<int>(verdict);
}

int unreadable(const Console& console, std::string_view path, const Error& error) {
    console.err(fmt::format("klamm check: {}: {}\n", path, error.text));
    return static_cast<int>(sim::Verdict::harness_error);
}

int check_log(const Console& console, std::string_view path, std::string_view text,
              const checkers::Options& rules) {
    checkers::LogChecker checker(rules);
    checkers::ServiceChecker services;
    std::int64_t time = 0;
    const auto feed = [&](const checkers::Event& event) {
        time = event.time;
        checker.feed(event);
        services.feed(event);
    };
    const Status read = text.starts_with(checkers::binary_magic)
                            ? checkers::read_binary(text, feed)
                            : checkers::read_events(text, feed);
    if (!read.ok()) return unreadable(console, path, read.error());
    checker.finish(time);
    services.finish(time);
    bool malformed = false;
    bool red = !services.violations().empty();
    for (const checkers::Violation& one : checker.violations()) {
        console.out(fmt::format("{}: {}\n", to_string(one.code), one.sentence));
        (one.code == checkers::Code::malformed ? malformed : red) = true;
    }
    for (const checkers::ServiceViolation& one : services.violations()) {
        console.out(fmt::format("{}: {}\n", one.name, one.sentence));
    }
    const checkers::Totals& totals = checker.totals();
    console.out(fmt::format(
        "{} events, {} sends, {} acknowledged, {} polls, {} records read, {} stale answers, {} "
        "violations\n",
        totals.events, totals.sends, totals.acknowledged, totals.polls, totals.records_read,
        totals.stale, totals.violations + services.violations().size()));
    return conclude(console, red         ? sim::Verdict::safety
                             : malformed ? sim::Verdict::harness_error
                                         : sim::Verdict::passed);
}

int check_edn(const Console& console, std::string_view path, std::string_view text,
              const checkers::KafkaOptions& rules) {
    const auto history = checkers::read_kafka_edn(text);
    if (!history) return unreadable(console, path, history.error());
    const checkers::KafkaJudgement judgement = checkers::check_kafka(*history, rules);
    for (const checkers::KafkaAnomaly& one : judgement.anomalies) {
        console.out(
            fmt::format("{}{}: {}\n", one.name, one.lawful ? " (lawful)" : "", one.sentence));
    }
    console.out(
        fmt::format("{} operations, {} sends, {} records read, {} stale reads, {} "
                    "anomalies\n",
                    judgement.operations, judgement.sends, judgement.records_read, judgement.stale,
                    judgement.found));
    return conclude(console, judgement.found > 0 ? sim::Verdict::safety : sim::Verdict::passed);
}

int check_lists(const Console& console, std::string_view path, std::string_view text,
                const checkers::TransactionOptions& rules) {
    const auto history = checkers::read_transactions(text);
    if (!history) return unreadable(console, path, history.error());
    const checkers::TransactionJudgement judgement = checkers::check_transactions(*history, rules);
    for (const checkers::TransactionAnomaly& one : judgement.anomalies) {
        console.out(
            fmt::format("{}{}: {}\n", one.name, one.lawful ? " (lawful)" : "", one.sentence));
        if (!one.drawing.empty()) console.out(fmt::format("\n{}\n", one.drawing));
    }
    console.out(fmt::format(
        "{} transactions, {} appends, {} reads of {} elements, {} anomalies{}{}\n",
        judgement.transactions, judgement.appends, judgement.reads, judgement.elements_read,
        judgement.found, judgement.ruled_out.empty() ? "" : "; this is not ",
        fmt::join(judgement.ruled_out, ", nor ")));
    return conclude(console, judgement.found > 0 ? sim::Verdict::safety : sim::Verdict::passed);
}

int check_model(const Console& console, std::string_view path, std::string_view text,
                checkers::ModelName model, std::optional<std::uint64_t> steps) {
    const auto history = checkers::read_operations(text);
    if (!history) return unreadable(console, path, history.error());
    if (const std::int64_t at = checkers::first_unknown(model, *history); at >= 0) {
        const checkers::Operation& one = history->operations[static_cast<std::size_t>(at)];
        return unreadable(console, path,
                          {Failure::invalid, fmt::format("a {} has no \"{}\"", to_string(model),
                                                         describe(*history, one))});
    }
    checkers::LinearizabilityOptions options;
    if (steps) options.steps_max = *steps;
    const checkers::Linearizability result =
        checkers::check_linearizability(model, *history, options);
    if (result.verdict == checkers::Verdict::not_linearizable) {
        const checkers::Counterexample& wrong = result.counterexample;
        console.out(fmt::format("not linearizable: {}\n\n{}\n", wrong.sentence,
                                draw(*history, wrong.operations)));
        console.out(fmt::format(
            "{} other operations of this {} are left out: whatever they did, "
            "it does not help{}\n",
            wrong.left_out, to_string(model), wrong.minimal ? "" : "; not shrunk to the end"));
    }
    console.out(fmt::format("{} operations in {} part{}, {} without a search, {} configurations\n",
                            history->operations.size(), result.parts, result.parts == 1 ? "" : "s",
                            result.parts_quick, result.steps));
    if (result.verdict == checkers::Verdict::unknown) {
        console.err("klamm check: undecided within the budget; see --steps\n");
        return static_cast<int>(sim::Verdict::harness_error);
    }
    return conclude(console, result.verdict == checkers::Verdict::linearizable
                                 ? sim::Verdict::passed
                                 : sim::Verdict::safety);
}

bool is_edn(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return false;
    if (text[first] != '{') return text[first] != 'K';
    const std::size_t second = text.find_first_not_of(" \t\r\n", first + 1);
    return second != std::string_view::npos && text[second] == ':';
}

}  // namespace

int check_command(Words words, const Console& console) {
    if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) {
        console.out(check_help);
        return 0;
    }
    const auto options = Options::parse(words, check_table, operands);
    if (!options) return complain(console, "check", options.error().text);
    const std::string_view model = options->value("--model").value_or("");
    const auto named = checkers::model_of(model);
    if (!model.empty() && model != "log" && !named) {
        return complain(console, "check",
                        fmt::format("--model {}: expected register, kv, queue, set or log", model));
    }
    std::optional<std::uint64_t> steps;
    if (const auto given = options->value("--steps")) {
        const auto count = parse_count(*given);
        if (!count) {
            return complain(console, "check",
                            fmt::format("--steps {}: {}", *given, count.error().text));
        }
        steps = *count;
    }
    const std::string path(options->operands()[0]);
    std::ifstream file(path, std::ios::binary);
    std::ostringstream stream;
    if (!file || !(stream << file.rdbuf())) {
        return complain(console, "check", fmt::format("{}: cannot be read, or is empty", path));
    }
    const std::string text = std::move(stream).str();
    if (named) return check_model(console, path, text, *named, steps);
    checkers::TransactionOptions promised;
    const std::string_view isolation = options->value("--isolation").value_or("");
    if (!isolation.empty() &&
        !checkers::isolation_of(isolation, promised.isolation, promised.order)) {
        return complain(console, "check",
                        fmt::format("--isolation {}: no such level; see --help", isolation));
    }
    if (checkers::tells_transactions(text)) return check_lists(console, path, text, promised);
    if (is_edn(text)) {
        checkers::KafkaOptions rules;
        rules.strict = options->has("--strict") || model == "log";
        rules.idempotent = !options->has("--not-idempotent");
        rules.read_committed = !options->has("--read-uncommitted");
        rules.compacted = options->has("--compacted");
        return check_edn(console, path, text, rules);
    }
    checkers::Options rules;
    rules.idempotent = !options->has("--not-idempotent");
    const bool strict = options->has("--strict") || model == "log";
    rules.reads = strict ? checkers::Reads::strict : checkers::Reads::kafka;
    return check_log(console, path, text, rules);
}

}  // namespace klamm::command
