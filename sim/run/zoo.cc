#include "sim/run/zoo.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/assert.h"

namespace klamm::sim {

namespace {

const BugEntry& entry_of(Bug bug) { return bug_catalogue()[static_cast<std::size_t>(bug)]; }

/// Whatever may end a leader's epoch: its process, its disk or its session is gone (a fast clock
/// ends one too), or it is told.
/// All but those that touch neither a broker nor its line to the controller: whatever stops a
/// broker, its disk or its heartbeats for long enough deposes it. (Without slow links no packet's
/// delay has a tail either: plan.cc.)
const std::set<FaultKind>& leadership_moves() {
    static const std::set<FaultKind> kinds = [] {
        std::set<FaultKind> all;
        for (std::size_t i = 0; i < fault_kind_count; ++i) all.insert(static_cast<FaultKind>(i));
        for (const FaultKind kind :
             {FaultKind::partition_two_way, FaultKind::partition_one_way,
              FaultKind::isolate_clients, FaultKind::link_stall, FaultKind::clock_step})
            all.erase(kind);
        return all;
    }();
    return kinds;
}

/// Whatever keeps a member, or who coordinates its group, from being heard of for a session.
const std::set<FaultKind>& members_unheard_of() {
    static const std::set<FaultKind> kinds = [] {
        std::set<FaultKind> all;
        for (std::size_t i = 0; i < fault_kind_count; ++i) all.insert(static_cast<FaultKind>(i));
        all.erase(FaultKind::clock_step);
        return all;
    }();
    return kinds;
}

const std::set<FaultKind>& power_losses() {
    static const std::set<FaultKind> kinds{FaultKind::power_loss_one, FaultKind::power_loss_some,
                                           FaultKind::power_loss_all};
    return kinds;
}

/// The first finding of a red run, or the first that is harm or a crash.
const TrialFinding* first_finding(const Trial& trial, bool harm_alone) {
    const bool any = !harm_alone || trial.verdict == Verdict::crash;
    for (const TrialFinding& finding : trial.findings)
        if (any || is_harm(finding.rule)) return &finding;
    return nullptr;
}

/// Whether the seed is red although nothing is planted: then the find says nothing about the plant.
bool red_without_plant(const SwarmOptions& swarm, std::uint64_t seed) {
    SwarmOptions plain = swarm;
    plain.plant.reset();
    return run_forked_trial(swarm_plan(plain, seed), {}, swarm.limits).red();
}

}  // namespace

const Need& need_of(Bug bug) {
    static const Need moves{leadership_moves(), false, false};
    static const Need moves_for_harm{leadership_moves(), true, true};
    static const Need power{power_losses(), false, false};
    static const Need power_for_harm{power_losses(), true, false};
    static const Need members{members_unheard_of(), false, false, Profile::groups};
    static const Need moves_of_groups{leadership_moves(), true, true, Profile::groups};
    static const Need power_of_quorum{power_losses(), true, false, Profile::quorum};
    static const Need moves_of_quorum{leadership_moves(), true, false, Profile::quorum};
    switch (bug) {
        // Lost when the leader that answered early does not lead on.
        case Bug::acks_all_like_one: return moves_for_harm;
        // A log is cut when its replica follows in a new epoch.
        case Bug::truncate_to_hw:
        // An epoch start that differs from the watermark is the work of an election.
        case Bug::isr_join_below_epoch_start:
        // Logs diverge when a leader with a tail of its own is deposed.
        case Bug::diverging_fetch_advances_hw:
        // A log is truncated below what it served when its replica is deposed.
        case Bug::truncate_under_file_range:
        // Somebody has to be gone before nobody may lead, and a new leader to be behind.
        case Bug::elects_outside_isr:
        case Bug::latest_offset_regresses: return moves;
        // Lost when all that is written and not synced is.
        case Bug::ack_before_flush: return power_for_harm;
        // What a process leaves behind when only it dies is whole.
        case Bug::recovery_trusts_length: return power;
        // A vote, and a record, that is told of before it is synced is lost with the power.
        case Bug::vote_not_durable:
        case Bug::raft_ack_unflushed: return power_of_quorum;
        // Undone when another controller leads.
        case Bug::commit_old_term_by_count:
        case Bug::controller_replies_before_commit: return moves_of_quorum;
        // Nobody commits for a generation that is over who was not thought dead.
        case Bug::zombie_commit_accepted: return members;
        // Lost when the coordinator that answered early does not lead on.
        case Bug::offset_commit_acked_early: return moves_of_groups;
        case Bug::count_: break;
    }
    KLAMM_UNREACHABLE();
}

bool is_harm(const std::string& rule) {
    // Invariants and stranding tell of harm that may come; a contradiction is the harness's own.
    // Offsets that go back, and commits over those of others, are harm to a group.
    if (rule == "I8") return true;
    const bool invariant = rule.size() >= 2 && rule[0] == 'I' && rule[1] >= '0' && rule[1] <= '9';
    return !invariant && rule != "liveness" && rule != "stranded" && rule != "range" &&
           rule != "malformed";
}

const TrialFinding* counted_finding(const Trial& trial, std::optional<Bug> plant) {
    if (!trial.red()) return nullptr;
    return first_finding(trial, plant && need_of(*plant).found_by_harm);
}

bool ZooResult::as_expected() const {
    if (!unplanted.empty()) return false;
    if (!without_needed) return found;
    return !found && !interrupted && (reached > 0) == need_of(bug).for_harm;
}

ZooResult visit(const ZooOptions& options) {
    ZooResult result;
    result.bug = options.bug;
    result.without_needed = options.without_needed;
    const auto at = static_cast<std::size_t>(options.bug);
    const Need& need = need_of(options.bug);
    Duration cpu;
    SwarmOptions swarm = options.swarm;
    if (!swarm.profile) swarm.profile = need.profile;
    swarm.plant = options.bug;
    swarm.cpu = options.cpu_budget;
    swarm.stop_at_first_red = false;
    if (options.without_needed) {
        swarm.off.insert(need.kinds.begin(), need.kinds.end());
    }
    swarm.on_trial = [&](const Trial& trial) {
        if (options.swarm.on_trial) options.swarm.on_trial(trial);
        if (result.found) return;
        cpu = cpu + trial.cpu;
        ++result.runs;
        result.cpu = cpu;
        const bool taken = trial.plants_taken[at] > 0 || trial.verdict == Verdict::crash;
        result.reached += taken ? 1 : 0;
        if (taken && result.reached_by.empty()) result.reached_by = trial.token;
        const bool harm_alone = options.without_needed ? need.for_harm : need.found_by_harm;
        if (!trial.red() || first_finding(trial, harm_alone) == nullptr) return;
        if (!taken || red_without_plant(swarm, trial.seed)) {
            result.unplanted.push_back(trial);
            return;
        }
        result.found = true;
        result.trial = trial;
    };
    swarm.stopped = [&] {
        return result.found || (options.swarm.stopped && options.swarm.stopped());
    };
    result.interrupted = run_swarm(swarm).interrupted && !result.found;
    return result;
}

std::string to_text(const ZooResult& result) {
    const BugEntry& entry = entry_of(result.bug);
    std::string out = fmt::format("{} {}{}: ", entry.code, entry.name,
                                  result.without_needed ? " without its faults" : "");
    if (result.found) {
        const TrialFinding* finding = counted_finding(result.trial, result.bug);
        out += fmt::format(
            "found in {} runs, {} of CPU\n{}: {}\nhash {:016x}\nreplay klamm replay {}\n",
            result.runs, seconds_of(result.cpu), finding->rule, finding->sentence,
            result.trial.hash, result.trial.token);
    } else {
        out += fmt::format(
            "not found in {} runs, {} of CPU; {}\n", result.runs, seconds_of(result.cpu),
            result.reached == 0
                ? "nobody got to where it could be made"
                : fmt::format("it was made in {} of them, and did no harm: klamm replay {}",
                              result.reached, result.reached_by));
    }
    for (const Trial& trial : result.unplanted) {
        out += fmt::format("red, but not by what was planted: {}\n  klamm replay {}\n",
                           trial.sentence(), trial.token);
    }
    return out;
}

std::string table_text(const std::vector<ZooResult>& results) {
    std::string out = fmt::format("{:<5}{:<29}{:<14}{:<11}{:>6}{:>9}{:>11}  {}\n", "bug", "name",
                                  "faults", "result", "runs", "reached", "CPU", "rule");
    for (const ZooResult& result : results) {
        const BugEntry& entry = entry_of(result.bug);
        out += fmt::format("{:<5}{:<29}{:<14}{:<11}{:>6}{:>9}{:>11}  {}\n", entry.code, entry.name,
                           result.without_needed ? "its kinds off" : "all",
                           result.found ? "found" : "not found", result.runs, result.reached,
                           seconds_of(result.cpu),
                           result.found ? counted_finding(result.trial, result.bug)->rule : "-");
    }
    return out;
}

}  // namespace klamm::sim
