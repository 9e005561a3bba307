#include "sim/run/swarm.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "core/base/draws.h"
#include "sim/run/token.h"

namespace klamm::sim {

namespace {

constexpr std::size_t failures_kept_max = 100;
constexpr std::size_t failures_printed_max = 10;

/// The lower of the two middle values when there are two.
std::uint64_t median(std::vector<std::uint64_t>& values) {
    if (values.empty()) return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

template <class Sums, class Parts>
void add_each(Sums& sums, const Parts& parts) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += parts[i];
}

/// Takes trials in the order of seeds.
class Aggregate {
  public:
    void take(const Trial& trial) {
        if (report_.runs == 0) report_.first_seed = trial.seed;
        ++report_.runs;
        ++report_.verdicts[static_cast<std::size_t>(trial.verdict)];
        const std::size_t profile = profile_index(trial);
        ++report_.profiles[profile];
        report_.cpu_by_profile[profile] = report_.cpu_by_profile[profile] + trial.cpu;
        report_.discoveries[profile] += take_goals(trial);
        for (const TrialFinding& finding : trial.findings)
            report_.discoveries[profile] += rules_.insert(finding.rule).second ? 1 : 0;
        std::uint64_t fired = 0;
        for (const std::uint64_t count : trial.fired) fired += count;
        faults_.push_back(fired);
        acknowledged_.push_back(trial.counts.batches_acked);
        elections_.push_back(trial.counts.elections);
        truncations_.push_back(trial.counts.truncations);
        isr_changes_.push_back(trial.counts.isr_changes);
        report_.records_promised += trial.records_promised;
        add_each(report_.records_lost, trial.records_lost);
        add_each(report_.records_avoidable, trial.records_avoidable);
        add_each(report_.planned, trial.planned);
        add_each(report_.fired, trial.fired);
        add_each(report_.plants_taken, trial.plants_taken);
        report_.hash = fold64(report_.hash, trial.hash);
        report_.cpu = report_.cpu + trial.cpu;
        if (trial.red() && !report_.first_red) {
            report_.first_red = report_.runs;
            report_.cpu_to_first_red = report_.cpu;
        }
        if (trial.verdict != Verdict::passed && report_.failures.size() < failures_kept_max) {
            report_.failures.push_back(trial);
        }
    }
    SwarmReport finish() {
        report_.faults_fired_median = median(faults_);
        report_.records_acknowledged_median = median(acknowledged_);
        report_.elections_median = median(elections_);
        report_.truncations_median = median(truncations_);
        report_.isr_changes_median = median(isr_changes_);
        return std::move(report_);
    }
    [[nodiscard]] const SwarmReport& so_far() const { return report_; }

  private:
    /// How many goals this run is the first to reach.
    std::uint64_t take_goals(const Trial& trial) {
        std::uint64_t fresh = 0;
        if (report_.goals.size() < trial.goals.size()) report_.goals.resize(trial.goals.size());
        for (std::size_t i = 0; i < trial.goals.size(); ++i) {
            GoalSum& sum = report_.goals[i];
            if (trial.goals[i] == GoalOutcome::reached && sum.reached++ == 0) {
                ++fresh;
                sum.first = report_.runs;
                sum.first_token = trial.token;
            }
            if (trial.goals[i] == GoalOutcome::broken && sum.broken++ == 0)
                sum.broken_token = trial.token;
        }
        return fresh;
    }
    /// The second word of a token is the profile's name.
    static std::size_t profile_index(const Trial& trial) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(Profile::count_); ++i) {
            const std::string name = fmt::format(".{}", to_string(static_cast<Profile>(i)));
            const auto at = trial.token.find(name);
            if (at == std::string::npos) continue;
            const auto end = at + name.size();
            if (end == trial.token.size() || trial.token[end] == '.') return i;
        }
        return 0;
    }

    SwarmReport report_;
    std::set<std::string> rules_;  // of findings
    std::vector<std::uint64_t> faults_;
    std::vector<std::uint64_t> acknowledged_;
    std::vector<std::uint64_t> elections_;
    std::vector<std::uint64_t> truncations_;
    std::vector<std::uint64_t> isr_changes_;
};

/// A plan's token, worked out in a process of its own: drawing the plan may be what crashes.
std::string token_of(const SwarmOptions& options, std::uint64_t seed) {
    const auto job = [&] { return to_token(swarm_plan(options, seed)); };
    const ForkedResult result = run_forked(job, options.limits);
    return result.end == JobEnd::finished ? result.bytes : fmt::format("(seed {:x})", seed);
}

std::string an_hour(std::uint64_t count, Duration cpu) {
    const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(cpu.to_milliseconds(), 1));
    return fmt::format("{}", count * 3'600'000 / ms);
}

/// How fast the swarm finds what it has not seen before: a goal, or a rule that is broken.
std::string discoveries_text(const SwarmReport& report) {
    std::uint64_t all = 0;
    for (const std::uint64_t one : report.discoveries) all += one;
    std::string out = fmt::format("discoveries: {}, {} a CPU-hour;", all, an_hour(all, report.cpu));
    for (std::size_t i = 0; i < report.profiles.size(); ++i) {
        if (report.profiles[i] == 0) continue;
        out += fmt::format(" {} {} ({})", to_string(static_cast<Profile>(i)), report.discoveries[i],
                           an_hour(report.discoveries[i], report.cpu_by_profile[i]));
    }
    return out + "\n";
}

}  // namespace

std::uint64_t SwarmReport::red() const {
    return count(Verdict::safety) + count(Verdict::liveness) + count(Verdict::crash);
}

std::int64_t SwarmReport::permitted() const {
    std::int64_t records = 0;
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (static_cast<Rule>(i) != Rule::forbidden) records += records_lost[i];
    }
    return records;
}

Verdict SwarmReport::verdict() const {
    for (const Verdict one :
         {Verdict::crash, Verdict::safety, Verdict::liveness, Verdict::harness_error}) {
        if (count(one) > 0) return one;
    }
    return runs > 0 ? Verdict::passed : Verdict::harness_error;
}

Profile profile_of_seed(std::uint64_t seed) {
    // Storms find most; calm weather is there for bugs that trouble hides.
    constexpr std::array weights{std::pair{Profile::storm, 45}, std::pair{Profile::power, 30},
                                 std::pair{Profile::weather, 20}, std::pair{Profile::calm, 5}};
    auto drawn = Draws(seed).between(0, 99, draw_domain("swarm.profile"), 0, 0);
    for (const auto& [profile, weight] : weights) {
        if (drawn < weight) return profile;
        drawn -= weight;
    }
    KLAMM_UNREACHABLE();
}

RunPlan swarm_plan(const SwarmOptions& options, std::uint64_t seed) {
    PlanOptions asked;
    asked.profile = options.profile.value_or(profile_of_seed(seed));
    asked.plant = options.plant;
    asked.off = options.off;
    asked.length = options.length;
    asked.explore = options.explore;
    RunPlan plan = make_plan(seed, asked);
    plan.director = options.watch;
    return plan;
}

SwarmReport aggregate(const std::vector<Trial>& trials) {
    Aggregate sums;
    for (const Trial& trial : trials) sums.take(trial);
    return sums.finish();
}

std::string seconds_of(Duration duration) {
    return fmt::format("{}.{:02} s", duration.nanoseconds / 1'000'000'000,
                       duration.nanoseconds / 10'000'000 % 100);
}

SwarmReport run_swarm(const SwarmOptions& options) {
    KLAMM_ASSERT(options.seeds || options.wall || options.cpu);
    const std::int64_t started = steady_now();
    const auto wall = [&] { return nanoseconds(steady_now() - started); };
    ForkedJobs jobs(options.jobs, options.limits);
    Aggregate sums;
    std::map<std::uint64_t, Trial> ahead;  // ended before an earlier seed did
    std::uint64_t begun = 0;
    std::uint64_t red = 0;
    std::uint64_t ended = 0;
    Duration cpu;
    bool interrupted = false;
    while (true) {
        interrupted = interrupted || (options.stopped && options.stopped());
        if (interrupted) break;
        const bool open = (!options.seeds || begun < *options.seeds) &&
                          (!options.wall || wall() < *options.wall) &&
                          (!options.cpu || cpu < *options.cpu) &&
                          !(options.stop_at_first_red && red > 0);
        if (open && !jobs.full()) {
            const std::uint64_t seed = options.first_seed + begun;
            jobs.start(begun++,
                       [&options, seed] { return to_bytes(run_trial(swarm_plan(options, seed))); });
            continue;
        }
        if (jobs.idle()) break;
        const auto result = jobs.wait(milliseconds(200));
        if (result) {
            const std::uint64_t seed = options.first_seed + result->index;
            const std::string token =
                result->end == JobEnd::finished ? std::string() : token_of(options, seed);
            Trial trial = trial_from_result(*result, seed, token);
            ++ended;
            cpu = cpu + trial.cpu;
            red += trial.red() ? 1 : 0;
            ahead.emplace(result->index, std::move(trial));
            while (!ahead.empty() && ahead.begin()->first == sums.so_far().runs) {
                sums.take(ahead.begin()->second);
                if (options.on_trial) options.on_trial(ahead.begin()->second);
                ahead.erase(ahead.begin());
            }
        }
        if (options.progress) options.progress({ended, red, wall(), cpu});
    }
    // After an interruption, what ended ahead of a seed that did not is still worth reporting.
    for (const auto& [index, trial] : ahead) sums.take(trial);
    SwarmReport report = sums.finish();
    report.wall = wall();
    report.interrupted = interrupted;
    return report;
}

std::string to_text(const SwarmReport& report) {
    std::string out = fmt::format("{} runs from seed {:x}{}:", report.runs, report.first_seed,
                                  report.interrupted ? ", interrupted" : "");
    for (const Verdict one : {Verdict::passed, Verdict::safety, Verdict::liveness, Verdict::crash,
                              Verdict::harness_error}) {
        out += fmt::format(" {} {},", report.count(one), to_string(one));
    }
    out.back() = '\n';
    out += "profiles:";
    for (std::size_t i = 0; i < report.profiles.size(); ++i) {
        out += fmt::format(" {} {}", report.profiles[i], to_string(static_cast<Profile>(i)));
    }
    out += fmt::format(
        "\nmedians: {} faults fired, {} batches acknowledged, {} elections, {} truncations, {} ISR "
        "changes\n",
        report.faults_fired_median, report.records_acknowledged_median, report.elections_median,
        report.truncations_median, report.isr_changes_median);
    out += "faults fired of those planned:";
    for (std::size_t i = 0; i < fault_kind_count; ++i) {
        if (report.planned[i] == 0) continue;
        out += fmt::format(" {} {}/{}", to_string(static_cast<FaultKind>(i)), report.fired[i],
                           report.planned[i]);
    }
    for (std::size_t i = 0; i < bug_count; ++i) {
        if (report.plants_taken[i] == 0) continue;
        out += fmt::format("\nplanted {}: the wrong branch was taken {} times",
                           bug_catalogue()[i].code, report.plants_taken[i]);
    }
    out += fmt::format("\nbill: {} records promised; lost:", report.records_promised);
    for (std::size_t i = 0; i < rule_count; ++i) {
        out += fmt::format(" {} {}", to_string(static_cast<Rule>(i)), report.records_lost[i]);
        if (report.records_avoidable[i] > 0) {
            out += fmt::format(" ({} avoidable)", report.records_avoidable[i]);
        }
    }
    out += fmt::format("; permitted {}, forbidden {}\n", report.permitted(),
                       report.records_lost[static_cast<std::size_t>(Rule::forbidden)]);
    const std::int64_t cpu_ms = std::max<std::int64_t>(report.cpu.to_milliseconds(), 1);
    const auto rate = report.runs * 100'000 / static_cast<std::uint64_t>(cpu_ms);
    out += fmt::format("{} wall, {} of CPU: {}.{:02} seeds a second and CPU\n",
                       seconds_of(report.wall), seconds_of(report.cpu), rate / 100, rate % 100);
    if (!report.goals.empty()) out += discoveries_text(report);
    out += fmt::format("hash of hashes {:016x}\n", report.hash);
    std::size_t printed = 0;
    for (const Trial& trial : report.failures) {
        if (printed++ == failures_printed_max) break;
        out += fmt::format("{}: {}\n  klamm replay {}\n", to_string(trial.verdict),
                           trial.sentence(), trial.token);
    }
    if (report.runs - report.count(Verdict::passed) > failures_printed_max) {
        out += fmt::format("and {} more\n",
                           report.runs - report.count(Verdict::passed) - failures_printed_max);
    }
    return out;
}

}  // namespace klamm::sim
