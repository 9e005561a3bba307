// The command `klamm why`: branches from moments before a failure, and when it became likely.
#include <fmt/format.h>

#include <array>
#include <string>

#include "bindings/command/commands.h"
#include "bindings/command/options.h"
#include "bindings/command/terminal.h"
#include "sim/judge/counts.h"
#include "sim/picture/outputs.h"
#include "sim/picture/why.h"
#include "sim/run/forked.h"

namespace klamm::command {

namespace {

constexpr std::array<OptionRow, 4> why_table{
    {{"--branches", "N"}, {"--moments", "N"}, {"--jobs", "N"}, {"--html", "FILE"}}};
constexpr std::array<std::string_view, 1> why_operands{"TOKEN"};

constexpr std::uint64_t branches_max = 1000;
constexpr std::uint64_t moments_max = 200;

/// The run once more, in a process of its own, with the page that shows how likely it was to fail.
Status write_page(const sim::RunPlan& plan, const sim::WhyResult& why, const std::string& path) {
    const sim::ForkedResult job = sim::run_forked([&] {
        sim::OutputPaths paths;
        paths.page = path;
        sim::Outputs outputs(paths);
        outputs.set_likelihood(why.likelihood());
        sim::RunHooks hooks;
        outputs.attach(hooks);
        const sim::RunResult result = sim::run_plan(plan, hooks);
        const Status written = outputs.finish(plan, result);
        return written ? std::string() : written.error().text;
    });
    const std::string& complaint = job.end == sim::JobEnd::finished ? job.bytes : job.complaint;
    if (!complaint.empty()) return Error{Failure::io, complaint};
    return {};
}

}  // namespace

int why_command(Words words, const Console& console) {
    const auto options = Options::parse(words, why_table, why_operands);
    if (!options) return complain(console, "why", options.error().text);
    sim::WhyOptions asked;
    std::uint64_t branches = asked.branches;
    std::uint64_t moments = asked.moments_max;
    std::uint64_t jobs = asked.jobs;
    for (const auto& [name, into, most] : {std::tuple{"--branches", &branches, branches_max},
                                           {"--moments", &moments, moments_max},
                                           {"--jobs", &jobs, jobs_max}}) {
        const auto text = options->value(name);
        if (!text) continue;
        const auto count = parse_count(*text);
        if (!count) return complain(console, "why", fmt::format("{} {}", name, count.error().text));
        if (*count > most)
            return complain(console, "why", fmt::format("{} {}: at most {}", name, *count, most));
        *into = *count;
    }
    asked.branches = static_cast<std::uint32_t>(branches);
    asked.moments_max = static_cast<std::uint32_t>(moments);
    asked.jobs = static_cast<std::size_t>(jobs);
    const auto plan = plan_of_token(options->operands()[0]);
    if (!plan) return complain(console, "why", plan.error().text);
    sim::OutputPaths paths;
    if (const auto path = options->value("--html")) paths.page = *path;
    if (const Status ready = sim::prepare(paths); !ready)
        return complain(console, "why", ready.error().text);
    ProgressLine line(console);
    asked.progress = [&](const std::string& text) { line.show(text); };
    asked.stopped = console.interrupted;
    const sim::WhyResult result = sim::why(*plan, asked);
    line.clear();
    console.out(painted(console, to_text(result)));
    if (paths.page) {
        if (const Status written = write_page(*plan, result, *paths.page); !written) {
            console.err(fmt::format("klamm why: {}\n", written.error().text));
            return static_cast<int>(sim::Verdict::harness_error);
        }
    }
    // What was asked for is an explanation; without a failure there is none.
    return static_cast<int>(result.reproduced ? sim::Verdict::passed : sim::Verdict::harness_error);
}

}  // namespace klamm::command
