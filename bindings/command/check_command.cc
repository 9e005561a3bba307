// The command `klamm check`: anyone's history, judged by the log checker.
#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "checkers/jsonl.h"
#include "checkers/log_checker.h"
#include "sim/judge/counts.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 2> table{{{"--strict", ""}, {"--not-idempotent", ""}}};
constexpr std::array<std::string_view, 1> operands{"HISTORY"};

}  // namespace

int check_command(Words words, const Console& console) {
    const auto options = Options::parse(words, table, operands);
    if (!options) return complain(console, "check", options.error().text);
    const std::string path(options->operands()[0]);
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) {
        return complain(console, "check", fmt::format("{}: cannot be read, or is empty", path));
    }
    const auto history = checkers::read_history(text.str());
    if (!history) {
        console.err(fmt::format("klamm check: {}: {}\n", path, history.error().text));
        return static_cast<int>(sim::Verdict::harness_error);
    }
    checkers::Options rules;
    rules.idempotent = !options->has("--not-idempotent");
    rules.reads = options->has("--strict") ? checkers::Reads::strict : checkers::Reads::kafka;
    const checkers::Judgement judgement = checkers::check_history(*history, rules);
    bool malformed = false;
    bool red = false;
    for (const checkers::Violation& one : judgement.violations) {
        console.out(fmt::format("{}: {}\n", to_string(one.code), one.sentence));
        (one.code == checkers::Code::malformed ? malformed : red) = true;
    }
    const checkers::Totals& totals = judgement.totals;
    console.out(fmt::format(
        "{} events, {} sends, {} acknowledged, {} polls, {} records read, {} stale answers, {} "
        "violations\n",
        totals.events, totals.sends, totals.acknowledged, totals.polls, totals.records_read,
        totals.stale, totals.violations));
    const auto verdict = red         ? sim::Verdict::safety
                         : malformed ? sim::Verdict::harness_error
                                     : sim::Verdict::passed;
    console.out(fmt::format("{}\n", to_string(verdict)));
    return static_cast<int>(verdict);
}

}  // namespace klamm::command
