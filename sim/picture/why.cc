#include "sim/picture/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "sim/run/forked.h"
#include "sim/run/report.h"
#include "sim/run/token.h"
#include "sim/world/world.h"

namespace klamm::sim {

namespace {

constexpr std::size_t first_moments = 8;
constexpr std::size_t moments_a_round = 3;
constexpr Duration closest = microseconds(50);  // moments are not set closer
constexpr std::size_t between_max = 16;

/// Forks a run at its moments; in the run's own process it gathers what the branches come to.
class Trunk {
  public:
    Trunk(const RunPlan& plan, std::vector<Instant> moments, Instant horizon,
          const WhyOptions& options)
        : plan_(plan),
          options_(options),
          jobs_(options.jobs),
          horizon_(horizon),
          moments_(std::move(moments)) {
        for (const Instant at : moments_) found_.push_back({at});
    }

    /// One line a moment: event, branches, failed, undecided.
    std::string run() {
        RunHooks hooks;
        hooks.stop_at_first_violation = true;
        hooks.after_event = [this](World& world) {
            if (branch_ && world.now() > horizon_) jobs_.finish_here("passed");
            while (!branch_ && next_ < moments_.size() && world.now() >= moments_[next_])
                fork_at(world);
        };
        const RunResult result = run_plan(plan_, hooks);
        if (branch_) {
            const bool known = result.red() || result.verdict == Verdict::passed;
            jobs_.finish_here(result.red() ? "failed" : (known ? "passed" : "undecided"));
        }
        while (!jobs_.idle()) take();
        std::string text;
        for (const WhyMoment& one : found_)
            text +=
                fmt::format("{} {} {} {}\n", one.event, one.branches, one.failed, one.undecided);
        return text;
    }

  private:
    void fork_at(World& world) {
        const std::size_t moment = next_++;
        found_[moment].event = world.events();
        for (std::uint32_t i = 0; i < options_.branches; ++i) {
            while (jobs_.full()) take();
            if (!jobs_.fork_here(moment)) continue;
            branch_ = true;
            // Salts belong to moments, so that a moment's branches are the same in every round.
            world.perturb(fold64(world.events(), i));
            return;
        }
    }

    void take() {
        const auto result = jobs_.wait(seconds(1));
        if (!result) return;
        WhyMoment& one = found_[result->index];
        const bool died = result->end == JobEnd::died;
        if (result->end == JobEnd::timed_out || result->bytes == "undecided") {
            ++one.undecided;
            return;
        }
        ++one.branches;
        if (died || result->bytes == "failed") ++one.failed;
    }

    const RunPlan& plan_;
    const WhyOptions& options_;
    ForkedJobs jobs_;
    Instant horizon_;
    std::vector<Instant> moments_;
    std::vector<WhyMoment> found_;
    std::size_t next_ = 0;
    bool branch_ = false;
};

/// The branches of these moments, from a process of their own; nothing if it died.
std::vector<WhyMoment> branch(const RunPlan& plan, const std::vector<Instant>& moments,
                              Instant horizon, const WhyOptions& options) {
    const ForkedResult result =
        run_forked([&] { return Trunk(plan, moments, horizon, options).run(); },
                   {.cpu = seconds(600), .wall = seconds(3600)});
    std::vector<WhyMoment> found;
    if (result.end != JobEnd::finished) return found;
    std::istringstream lines(result.bytes);
    for (const Instant at : moments) {
        WhyMoment one{at};
        lines >> one.event >> one.branches >> one.failed >> one.undecided;
        if (lines && one.branches > 0) found.push_back(one);
    }
    return found;
}

/// What the run failed by, and when; empty if it did not fail.
void reproduce(const RunPlan& plan, WhyResult& result) {
    const ForkedResult answer = run_forked([&] {
        const RunResult run = run_plan(plan);
        if (!run.red()) return std::string();
        Instant failure = Instant{} + std::max(run.safety_end, nanoseconds(1));
        std::string finding;
        bool safety = true;
        if (run.ended.has_value()) {
            failure = run.ended->time;
            finding = fmt::format("assertion failed: {} ({}:{})", run.ended->condition,
                                  run.ended->file, run.ended->line);
        } else if (!run.violations.empty()) {
            failure = run.first_violation;
            finding = fmt::format("[{}] {}", run.violations[0].rule, run.violations[0].sentence);
        } else if (!run.liveness_failures.empty()) {
            finding = "[liveness] " + run.liveness_failures[0];
            safety = false;
        }
        return fmt::format("{} {} {}", failure.nanoseconds, safety ? 1 : 0, finding);
    });
    if (answer.end != JobEnd::finished || answer.bytes.empty()) return;
    std::istringstream text(answer.bytes);
    text >> result.failure.nanoseconds >> result.safety;
    text.get();
    std::getline(text, result.finding);
    result.reproduced = true;
}

/// What a reader wants to see first where the facts of an interval are many.
bool telling(const facts::Fact& fact) {
    return !std::holds_alternative<facts::BatchAppended>(fact) &&
           !std::holds_alternative<facts::LogFlushed>(fact) &&
           !std::holds_alternative<facts::PollInvoked>(fact) &&
           !std::holds_alternative<facts::PollReturned>(fact) &&
           !std::holds_alternative<facts::SendInvoked>(fact) &&
           !std::holds_alternative<facts::ConsumerServed>(fact);
}

std::vector<TimelineEntry> happened(const RunPlan& plan, Instant from, Instant to) {
    const ForkedResult answer = run_forked([&] {
        std::vector<std::pair<bool, std::string>> all;
        const auto keep = [&](Instant at, bool tells, const std::string& node,
                              const std::string& what) {
            if (at >= from && at <= to)
                all.emplace_back(tells, fmt::format("{} {} {}\n", at.nanoseconds, node, what));
        };
        RunHooks hooks;
        hooks.stop_at_first_violation = true;
        hooks.fact_sink = [&](Instant at, const std::string& node, const facts::Fact& fact) {
            if (at >= from && at <= to) keep(at, telling(fact), node, in_words(fact));
        };
        hooks.fault_sink = [&](Instant at, const FaultEvent& fault) {
            keep(at, true, "fault", to_string(fault));
        };
        (void)run_plan(plan, hooks);
        if (all.size() > between_max)
            std::erase_if(all, [](const auto& one) { return !one.first; });
        std::string text;
        for (std::size_t i = all.size() > between_max ? all.size() - between_max : 0;
             i < all.size(); ++i)
            text += all[i].second;
        return text;
    });
    std::vector<TimelineEntry> entries;
    std::istringstream lines(answer.bytes);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        TimelineEntry entry;
        words >> entry.time.nanoseconds >> entry.node;
        words.get();
        std::getline(words, entry.text);
        entries.push_back(std::move(entry));
    }
    return entries;
}

std::string moment_text(Instant at) {
    return fmt::format("{}.{:06}", at.nanoseconds / 1'000'000'000,
                       at.nanoseconds / 1'000 % 1'000'000);
}

}  // namespace

std::size_t greatest_rise(const std::vector<WhyMoment>& moments) {
    std::size_t best = moments.size();
    std::int64_t most = 0;
    for (std::size_t i = 0; i + 1 < moments.size(); ++i) {
        const std::int64_t rise = moments[i + 1].share() - moments[i].share();
        if (rise > 0 && rise >= most) {
            most = rise;
            best = i;
        }
    }
    return best;
}

std::vector<Likelihood> WhyResult::likelihood() const {
    std::vector<Likelihood> all;
    for (const WhyMoment& one : moments) all.push_back({one.at, one.branches, one.failed});
    return all;
}

WhyResult why(const RunPlan& plan, const WhyOptions& options) {
    WhyResult result;
    result.token = to_token(plan);
    reproduce(plan, result);
    if (!result.reproduced) return result;
    const auto stopped = [&] { return options.stopped && options.stopped(); };
    const Instant horizon = result.safety ? result.failure + options.slack : instant_never;
    std::vector<Instant> wanted;
    for (std::size_t i = 0; i < first_moments; ++i)
        wanted.push_back({result.failure.nanoseconds / static_cast<std::int64_t>(first_moments) *
                          static_cast<std::int64_t>(i)});
    // The last event of the past is the one just before it failed.
    wanted.push_back({result.failure.nanoseconds - 1});
    while (!wanted.empty() && !stopped()) {
        if (options.progress)
            options.progress(fmt::format("why: {} moments done, {} more, {} branches each",
                                         result.moments.size(), wanted.size(), options.branches));
        const std::vector<WhyMoment> found = branch(plan, wanted, horizon, options);
        wanted.clear();
        if (found.empty()) break;
        result.moments.insert(result.moments.end(), found.begin(), found.end());
        std::sort(result.moments.begin(), result.moments.end(),
                  [](const WhyMoment& a, const WhyMoment& b) { return a.at < b.at; });
        result.rise = greatest_rise(result.moments);
        if (!result.rises() || result.moments.size() >= options.moments_max) break;
        const WhyMoment& low = result.moments[result.rise];
        const WhyMoment& high = result.moments[result.rise + 1];
        const std::int64_t step =
            (high.at - low.at).nanoseconds / static_cast<std::int64_t>(moments_a_round + 1);
        if (step < closest.nanoseconds || high.event <= low.event + moments_a_round) break;
        for (std::size_t i = 1; i <= moments_a_round; ++i)
            wanted.push_back(low.at + Duration{step} * static_cast<std::int64_t>(i));
    }
    result.rise = greatest_rise(result.moments);
    if (result.rises())
        result.between =
            happened(plan, result.moments[result.rise].at, result.moments[result.rise + 1].at);
    return result;
}

std::string to_text(const WhyResult& result) {
    if (!result.reproduced)
        return fmt::format("why {}: the run is not red; there is nothing to explain\n",
                           result.token);
    std::string text = fmt::format("why {}\nfailed at {} s: {}\n\n", result.token,
                                   moment_text(result.failure), result.finding);
    text += fmt::format("{:>14} {:>9} {:>14}{}\n", "forked at", "event", "failed",
                        result.safety ? " by then" : "");
    for (const WhyMoment& one : result.moments) {
        text += fmt::format("{:>12} s {:>9} {:>5} of {:<4} {:>3} % {}", moment_text(one.at),
                            one.event, one.failed, one.branches, one.share() / 10'000,
                            std::string(static_cast<std::size_t>(one.share() / 50'000), '#'));
        if (one.undecided > 0) text += fmt::format(" ({} came to no verdict)", one.undecided);
        text += '\n';
    }
    if (!result.rises()) {
        text += "\nnowhere did it become likelier: it was as likely at the start, or never was\n";
        return text;
    }
    const WhyMoment& low = result.moments[result.rise];
    const WhyMoment& high = result.moments[result.rise + 1];
    text +=
        fmt::format("\nit became likely between {} s ({} %) and {} s ({} %), events {} to {}:\n",
                    moment_text(low.at), low.share() / 10'000, moment_text(high.at),
                    high.share() / 10'000, low.event, high.event);
    for (const TimelineEntry& entry : result.between)
        text += fmt::format("  {} s {:<12} {}\n", moment_text(entry.time), entry.node, entry.text);
    if (result.between.empty()) text += "  no node stated anything\n";
    return text;
}

}  // namespace klamm::sim
