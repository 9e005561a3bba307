#include "sim/run/kill_matrix.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkers/violation.h"
#include "sim/run/zoo.h"

namespace klamm::sim {

namespace {

std::string cpu_text(Duration duration) {
    return fmt::format("{}.{} s", duration.nanoseconds / 1'000'000'000,
                       duration.nanoseconds / 100'000'000 % 10);
}

std::string plant_text(std::optional<Bug> bug) {
    if (!bug) return "none";
    const BugEntry& entry = bug_catalogue()[static_cast<std::size_t>(*bug)];
    return fmt::format("{} {}", entry.code, entry.name);
}

std::string kill_cells(const Kill& kill) {
    if (kill.found) return fmt::format("{} | {} | {}", kill.runs, cpu_text(kill.cpu), kill.rule);
    return fmt::format("not in {} | {} | –", kill.runs, cpu_text(kill.cpu));
}

const TrialFinding* history_finding(const Trial& trial) {
    for (const TrialFinding& finding : trial.findings)
        if (shows_in_history(finding.rule)) return &finding;
    return nullptr;
}

KillRow hunt(std::optional<Bug> bug, Profile profile, const KillOptions& options) {
    KillRow row;
    row.bug = bug;
    row.profile = profile;
    SwarmOptions swarm = options.swarm;
    swarm.plant = bug;
    swarm.profile = profile;
    swarm.cpu = options.cpu_budget;
    const auto red_without = [&](const Trial& trial) {
        SwarmOptions plain = swarm;
        plain.plant.reset();
        return run_forked_trial(swarm_plan(plain, trial.seed), {}, swarm.limits).red();
    };
    const auto count = [](Kill& kill, const Trial& trial, const TrialFinding* finding) {
        if (kill.found) return;
        ++kill.runs;
        kill.cpu = kill.cpu + trial.cpu;
        if (finding == nullptr) return;
        kill.found = true;
        kill.rule = finding->rule;
        kill.token = trial.token;
    };
    swarm.on_trial = [&](const Trial& trial) {
        if (row.judge.found && row.history.found) return;
        const bool taken = !bug || trial.plants_taken[static_cast<std::size_t>(*bug)] > 0 ||
                           trial.verdict == Verdict::crash;
        row.reached += taken ? 1 : 0;
        const TrialFinding* by_judge = counted_finding(trial, bug);
        const TrialFinding* by_history = history_finding(trial);
        const bool fresh = (by_judge != nullptr && !row.judge.found) ||
                           (by_history != nullptr && !row.history.found);
        if (bug && fresh && (!taken || red_without(trial))) {
            row.unplanted.push_back(trial.token);
            by_judge = by_history = nullptr;
        }
        count(row.judge, trial, by_judge);
        count(row.history, trial, by_history);
    };
    swarm.stopped = [&] {
        return (row.judge.found && row.history.found) ||
               (options.swarm.stopped && options.swarm.stopped());
    };
    const bool interrupted = run_swarm(swarm).interrupted;
    row.interrupted = interrupted && !(row.judge.found && row.history.found);
    return row;
}

}  // namespace

bool shows_in_history(const std::string& rule) {
    for (int code = 0; code < static_cast<int>(checkers::Code::malformed); ++code)
        if (rule == checkers::to_string(static_cast<checkers::Code>(code))) return true;
    return rule == "I8";  // judged by what members of groups asked and were told
}

std::vector<KillRow> kill_matrix(const KillOptions& options) {
    std::vector<std::optional<Bug>> bugs{std::nullopt};
    for (const BugEntry& entry : bug_catalogue())
        if (entry.in_cluster) bugs.emplace_back(entry.bug);
    std::vector<KillRow> rows;
    for (const std::optional<Bug> bug : bugs) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(Profile::count_); ++i) {
            const auto profile = static_cast<Profile>(i);
            if (options.swarm.profile && *options.swarm.profile != profile) continue;
            rows.push_back(hunt(bug, profile, options));
            if (options.on_row) options.on_row(rows.back());
            if (rows.back().interrupted) return rows;
        }
    }
    return rows;
}

bool all_killed(const std::vector<KillRow>& rows) {
    for (const KillRow& row : rows) {
        if (row.interrupted) return false;
        if (!row.bug) {
            if (row.judge.found || row.history.found) return false;
            continue;
        }
        const auto in_some = [&](Kill KillRow::*by) {
            return std::any_of(rows.begin(), rows.end(), [&](const KillRow& one) {
                return one.bug == row.bug && (one.*by).found;
            });
        };
        if (!in_some(&KillRow::judge) || !in_some(&KillRow::history)) return false;
    }
    return true;
}

std::string to_text(const KillRow& row) {
    return fmt::format("{:<32} {:<8} judge: {:<32} history: {}\n", plant_text(row.bug),
                       to_string(row.profile), kill_cells(row.judge), kill_cells(row.history));
}

std::string matrix_document(const std::vector<KillRow>& rows, const KillOptions& options) {
    std::string out = fmt::format(
        R"(# The kill matrix

Written by `klamm zoo --budget {}s --first-seed {:x}`: every planted bug of the simulated cluster in every profile, looked for by
the swarm alone, with so much CPU time a row at the most. *Judge*: with everything it knows, internal invariants included.
*History*: by what clients asked and were told alone (`checkers/`), where only losses that the contract permits are
excused. The first column of each says how many seeds it took, the second the CPU time of their runs, the third the rule
of `CONTRACT.md` by which it was found. *Reached* counts the runs in which the wrong branch was taken, of those looked at.

| bug | profile | reached | judge: seeds | CPU | rule | history: seeds | CPU | rule |
|---|---|---|---|---|---|---|---|---|
)",
        options.cpu_budget.nanoseconds / 1'000'000'000, options.swarm.first_seed);
    for (const KillRow& row : rows)
        out += fmt::format("| {} | {} | {} | {} | {} |\n", plant_text(row.bug),
                           to_string(row.profile), row.bug ? std::to_string(row.reached) : "–",
                           kill_cells(row.judge), kill_cells(row.history));
    out += "\n## Where to see them\n\n";
    for (const KillRow& row : rows) {
        if (!row.bug) continue;
        for (const Kill* kill : {&row.judge, &row.history})
            if (kill->found && (kill == &row.judge || kill->token != row.judge.token))
                out += fmt::format("- {} in {}, {}: `klamm replay {}`\n", plant_text(row.bug),
                                   to_string(row.profile), kill->rule, kill->token);
    }
    std::string others;
    for (const KillRow& row : rows) {
        if (!row.bug && row.judge.found)
            others += fmt::format("- without a plant, {}: `klamm replay {}`\n", row.judge.rule,
                                  row.judge.token);
        for (const std::string& token : row.unplanted)
            others += fmt::format("- beside {} in {}: `klamm replay {}`\n", plant_text(row.bug),
                                  to_string(row.profile), token);
    }
    if (!others.empty()) out += "\n## Red, and not by what was planted\n\n" + others;
    return out;
}

}  // namespace klamm::sim
