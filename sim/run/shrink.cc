#include "sim/run/shrink.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "checkers/violation.h"
#include "core/base/assert.h"
#include "sim/run/token.h"
#include "sim/run/zoo.h"

namespace klamm::sim {

namespace {

/// Replays kept back for the final check of every fault, beyond one for each of them.
constexpr std::uint64_t replays_reserved = 12;
/// With fewer operations a violation may show later than it did.
constexpr Duration cut_slack = seconds(5);
/// Operations of a small group, and how many replays are spent on such groups: at first, and again
/// when larger pieces have gone.
constexpr std::size_t group_max = 20;
constexpr std::uint64_t first_group_replays_max = 54;
constexpr std::uint64_t group_replays_max = 76;
/// Pieces that are left out before that are at least so much of all.
constexpr std::size_t large_pieces = 16;
/// Where groups end: at the violation, and about so many of the last faults.
constexpr std::size_t group_anchors_max = 4;
/// Replays that the first search among the faults leaves to what follows.
constexpr std::uint64_t replays_for_operations = 180;

class Shrinker {
  public:
    Shrinker(const RunPlan& plan, const ShrinkOptions& options)
        : options_(options), drawn_(with_edits(plan, {})) {
        result_.plan = plan;
        if (!options_.run) {
            options_.run = [](const RunPlan& one) {
                return run_forked_trial(one, {.operations = true, .checkpoints = false});
            };
        }
    }

    ShrinkResult shrink() {
        result_.trial = replay(result_.plan);
        result_.operations = result_.trial.operations;
        result_.faults_before = result_.plan.faults.size();
        result_.operations_before = result_.operations.size();
        if (!result_.trial.red() || result_.trial.findings.empty()) return std::move(result_);
        const TrialFinding* counted = counted_finding(result_.trial, drawn_.options.plant);
        // A promise is broken by an invariant first: without harm there is still something to show.
        counted_ = counted != nullptr;
        result_.reproduced = true;
        result_.rule = counted_ ? counted->rule : result_.trial.findings.front().rule;
        cut_at_violation("cut at the violation");
        drop_inert_faults();
        drop_faults(replays_for_operations);
        isolate();
        drop_operations();
        drop_faults(replays_reserved);
        verify();
        cut_at_violation("cut at the violation");
        forget_what_the_cut_removes();
        return std::move(result_);
    }

  private:
    Trial replay(const RunPlan& plan) {
        ++result_.replays;
        return options_.run(plan);
    }
    [[nodiscard]] bool may_replay(std::uint64_t reserved = 0) const {
        return result_.replays + reserved < options_.replays_max &&
               !(options_.stopped && options_.stopped());
    }
    /// What makes a run a failure like the first. With a bug planted, and none without it, whatever
    /// counts as that bug being found is that bug.
    [[nodiscard]] const TrialFinding* alike(const Trial& trial) const {
        if (!trial.red() || trial.verdict != result_.trial.verdict) return nullptr;
        if (drawn_.options.plant && counted_) return counted_finding(trial, drawn_.options.plant);
        for (const TrialFinding& finding : trial.findings)
            if (finding.rule == result_.rule) return &finding;
        return nullptr;
    }
    void say(const std::string& step) const {
        if (!options_.progress) return;
        options_.progress(fmt::format("{:3} replays, {} faults, {} operations: {}", result_.replays,
                                      result_.plan.faults.size(), result_.operations.size(), step));
    }
    void take(RunPlan plan, Trial trial, const std::string& step) {
        result_.plan = std::move(plan);
        result_.operations = trial.operations;
        result_.trial = std::move(trial);
        result_.rule = alike(result_.trial)->rule;
        say(step);
    }
    bool try_edits(const PlanEdits& edits, const std::string& step, std::uint64_t reserved) {
        if (!may_replay(reserved)) return false;
        RunPlan plan = with_edits(drawn_, edits);
        Trial trial = replay(plan);
        if (alike(trial) == nullptr) return false;
        take(std::move(plan), std::move(trial), step);
        return true;
    }

    [[nodiscard]] Instant violation() const {
        const TrialFinding* finding = alike(result_.trial);
        return finding != nullptr && finding->at != instant_never ? finding->at
                                                                  : result_.trial.first_violation;
    }

    void cut_at_violation(const std::string& step) {
        const Instant violation = this->violation();
        if (violation == instant_never) return;
        PlanEdits edits = result_.plan.edits;
        // Some rules show only in what follows healing; then there is nothing to cut.
        for (const Duration slack : {nanoseconds(1), milliseconds(10)}) {
            if (edits.cut && *edits.cut <= violation + slack) return;
            PlanEdits tried = edits;
            tried.cut = violation + slack;
            if (try_edits(tried, step, 0)) return;
        }
    }

    void drop_inert_faults() {
        const auto& fired = result_.trial.fired_ids;
        const std::set<FaultId> hit(fired.begin(), fired.end());
        PlanEdits edits = result_.plan.edits;
        const std::size_t before = edits.removed.size();
        for (const FaultEvent& fault : result_.plan.faults) {
            if (!hit.contains(fault.id)) edits.removed.insert(fault.id);
        }
        if (edits.removed.size() > before) try_edits(edits, "without faults that hit nothing", 0);
    }

    void drop_faults(std::uint64_t reserved) {
        std::vector<FaultId> ids;
        for (const FaultEvent& fault : result_.plan.faults) ids.push_back(fault.id);
        const PlanEdits base = result_.plan.edits;
        const Fails fails = [&](const Kept& kept) {
            PlanEdits edits = base;
            edits.removed.insert(ids.begin(), ids.end());
            for (const std::size_t i : kept) edits.removed.erase(ids[i]);
            return try_edits(edits, "fewer faults", reserved);
        };
        leave_out(failing_suffix(ids.size(), fails), fails);
    }

    /// Edits that leave these operations and the plan's faults and nothing else, so that the cut
    /// may be later without letting anything new in.
    [[nodiscard]] PlanEdits edits_with(const std::vector<TrialOperation>& operations) const {
        PlanEdits edits;
        edits.cut = result_.plan.edits.cut;
        edits.luck = result_.plan.edits.luck;
        std::set<FaultId> kept;
        for (const FaultEvent& fault : result_.plan.faults) kept.insert(fault.id);
        for (const FaultEvent& fault : drawn_.faults) {
            if (!kept.contains(fault.id)) edits.removed.insert(fault.id);
        }
        std::map<std::uint32_t, std::uint32_t> clients;  // number of operations
        for (const auto& one : drawn_.workload.producers) {
            clients[one.client] = one.pacing.operations;
        }
        for (const auto& one : drawn_.workload.consumers) {
            clients[one.client] = one.pacing.operations;
        }
        for (const auto& [client, count] : clients) {
            auto& skipped = edits.skipped[client];
            for (std::uint32_t i = 0; i < count; ++i) skipped.insert(skipped.end(), i);
        }
        for (const TrialOperation& one : operations) edits.skipped[one.client].erase(one.operation);
        std::erase_if(edits.skipped, [](const auto& entry) { return entry.second.empty(); });
        return edits;
    }

    void isolate() {
        PlanEdits edits = edits_with(result_.operations);
        if (edits.cut) edits.cut = *edits.cut + cut_slack;
        try_edits(edits, "nothing but the faults and operations that were there", 0);
    }

    void drop_operations() {
        std::vector<TrialOperation> all = result_.operations;
        const std::uint64_t reserved = replays_reserved + 2 * result_.plan.faults.size();
        const Fails fails = [&](const Kept& kept) {
            std::vector<TrialOperation> operations;
            for (const std::size_t i : kept) operations.push_back(all[i]);
            return try_edits(edits_with(operations), "fewer operations", reserved);
        };
        const Kept suffix = failing_suffix(all.size(), fails);
        // The cut is later than it was, and the violation may be.
        const auto less = [&](std::size_t pieces) {
            all = result_.operations;
            Kept kept(all.size());
            std::iota(kept.begin(), kept.end(), std::size_t{0});
            leave_out(std::move(kept), fails, pieces);
        };
        if (suffix.size() > group_max) {
            drop_clients(reserved);
            if (!small_group(reserved, first_group_replays_max)) {
                less(large_pieces);
                small_group(reserved, group_replays_max);
            }
        }
        less(no_bound);
    }
    /// Readers and further writers are often there for nothing.
    void drop_clients(std::uint64_t reserved) {
        std::set<std::uint32_t> clients;
        for (const TrialOperation& one : result_.operations) clients.insert(one.client);
        for (auto client = clients.rbegin(); client != clients.rend(); ++client) {
            std::vector<TrialOperation> rest = result_.operations;
            std::erase_if(rest, [&](const auto& one) { return one.client == *client; });
            for (std::uint32_t luck = 0; luck < 2; ++luck) {
                PlanEdits edits = edits_with(rest);
                edits.luck += luck;
                if (try_edits(edits, "without a client", reserved)) break;
            }
        }
    }
    /// A small group of operations that ends at the violation or about one of the last faults and
    /// still fails. Where it matters when packets arrive or which unsynced bytes are hit, leaving
    /// out any operation changes that: then one group in many fails, under one luck in many.
    bool small_group(std::uint64_t reserved, std::uint64_t replays_max) {
        const std::vector<TrialOperation> all = result_.operations;
        if (all.size() <= group_max) return true;
        const std::vector<FaultEvent> faults = result_.plan.faults;
        const std::uint64_t bound = result_.replays + replays_max;
        const auto index_at = [&](Instant at) {
            return static_cast<std::size_t>(
                std::lower_bound(all.begin(), all.end(), at,
                                 [](const TrialOperation& one, Instant t) { return one.at < t; }) -
                all.begin());
        };
        std::vector<std::size_t> ends{all.size()};
        for (auto fault = faults.rbegin(); fault != faults.rend(); ++fault) {
            if (ends.size() > 2 * group_anchors_max) break;
            const std::size_t before = index_at(fault->at);
            ends.push_back(before);
            ends.push_back(std::min(before + group_max / 2, all.size()));
        }
        const std::uint32_t luck_before = result_.plan.edits.luck;
        for (std::uint32_t luck = 0; result_.replays < bound; ++luck) {
            for (const std::size_t end : ends) {
                for (const std::size_t size : {group_max, group_max / 2}) {
                    if (end < size || result_.replays >= bound) continue;
                    if (!may_replay(reserved)) return false;
                    const auto last = all.begin() + static_cast<std::ptrdiff_t>(end);
                    PlanEdits edits = edits_with({last - static_cast<std::ptrdiff_t>(size), last});
                    edits.luck = luck_before + luck;
                    if (try_edits(edits, "a small group of operations", reserved)) return true;
                }
            }
        }
        return false;
    }

    /// Takes every remaining fault away, once more after each that could go.
    void verify() {
        bool shorter = true;
        while (shorter) {
            shorter = false;
            result_.verified = true;
            result_.leaves_other_red.clear();
            const std::vector<FaultEvent> faults = result_.plan.faults;
            for (const FaultEvent& fault : faults) {
                if (!may_replay()) {
                    result_.verified = false;
                    return;
                }
                PlanEdits edits = result_.plan.edits;
                edits.removed.insert(fault.id);
                RunPlan plan = with_edits(drawn_, edits);
                Trial trial = replay(plan);
                if (!trial.red()) continue;
                if (alike(trial) != nullptr) {
                    take(std::move(plan), std::move(trial), "a fault that was not needed");
                    shorter = true;
                    break;
                }
                // Where harm is sought an invariant may break in fair weather.
                if (drawn_.options.plant && counted_ &&
                    need_of(*drawn_.options.plant).found_by_harm)
                    continue;
                result_.leaves_other_red.push_back(fault.id);
            }
        }
        say(fmt::format("each of {} faults was taken away once more", result_.plan.faults.size()));
    }
    /// Shortens the token: what lies behind the cut needs no mention.
    void forget_what_the_cut_removes() {
        if (!result_.plan.edits.cut) return;
        PlanEdits edits = result_.plan.edits;
        const std::size_t before = edits.removed.size();
        for (const FaultEvent& fault : drawn_.faults) {
            if (fault.at > *edits.cut) edits.removed.erase(fault.id);
        }
        if (edits.removed.size() < before) try_edits(edits, "a shorter token", 0);
    }

    ShrinkOptions options_;
    RunPlan drawn_;  // without edits
    ShrinkResult result_;
    bool counted_ = false;  // what the first run shows counts as its plant being found
};

}  // namespace

Kept failing_suffix(std::size_t count, const Fails& fails) {
    Kept all(count);
    std::iota(all.begin(), all.end(), std::size_t{0});
    for (std::size_t size = 0; size < count; size = size == 0 ? 1 : size * 2) {
        Kept suffix(all.end() - static_cast<std::ptrdiff_t>(size), all.end());
        if (fails(suffix)) return suffix;
    }
    return all;
}

Kept leave_out(Kept kept, const Fails& fails, std::size_t pieces_max) {
    std::size_t piece = std::max<std::size_t>(kept.size() / 2, 1);
    while (!kept.empty() && kept.size() / piece <= pieces_max) {
        bool shorter = false;
        for (std::size_t from = 0; from < kept.size();) {
            const std::size_t to = std::min(from + piece, kept.size());
            Kept rest = kept;
            rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(from),
                       rest.begin() + static_cast<std::ptrdiff_t>(to));
            if (fails(rest)) {
                kept = std::move(rest);
                shorter = true;
            } else {
                from = to;
            }
        }
        if (piece > 1) {
            piece = std::max<std::size_t>(std::min(piece, kept.size()) / 2, 1);
        } else if (!shorter) {
            break;
        }
    }
    return kept;
}

ShrinkResult shrink(const RunPlan& plan, const ShrinkOptions& options) {
    return Shrinker(plan, options).shrink();
}

std::string to_text(const ShrinkResult& result) {
    if (!result.reproduced) {
        return fmt::format("the run is not red: {}\n", result.trial.sentence());
    }
    std::string out = fmt::format(
        "{} faults of {}, {} operations of {}, {} replays\n", result.plan.faults.size(),
        result.faults_before, result.operations.size(), result.operations_before, result.replays);
    std::vector<std::pair<Instant, std::string>> lines;
    for (const TrialOperation& one : result.operations) {
        lines.emplace_back(one.at, fmt::format("{} client {} begins operation {}",
                                               checkers::seconds_text(one.at.nanoseconds),
                                               one.client, one.operation));
    }
    for (const FaultEvent& fault : result.plan.faults) {
        lines.emplace_back(fault.at, to_string(fault));
    }
    std::stable_sort(lines.begin(), lines.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [at, line] : lines) out += fmt::format("  {}\n", line);
    out += result.trial.sentence() + "\n";
    if (result.one_minimal()) {
        out += "without any one of these faults the run passes\n";
    } else if (!result.verified) {
        out += "the bound of replays was reached: fewer faults may do\n";
    } else {
        out += fmt::format("without one of {} of these faults something else is red\n",
                           result.leaves_other_red.size());
    }
    return out + fmt::format("hash {:016x}\nreplay klamm replay {}\n", result.trial.hash,
                             to_token(result.plan));
}

}  // namespace klamm::sim
