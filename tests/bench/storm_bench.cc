// What ten virtual minutes of the storm profile cost: one run of the default plan on one thread,
// with its clients, faults, judge and final reads. Prints CPU time, events, and what happened, so
// that a cheap run that did nothing is seen for what it is. A second run of the same plan tells the
// judge's share: its monitors, ledger and log checker, timed about each fact they are told (two
// looks at the clock a fact are in it).
//
//     bench_storm [seed [seconds]]     seed 1 and 600 virtual seconds by default

#include <fmt/format.h>
#include <time.h>

#include <charconv>
#include <string_view>

#include "sim/run/run.h"

namespace {

using namespace klamm;
using namespace klamm::sim;

double cpu_seconds() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

std::int64_t nanoseconds_now() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool parse(std::string_view text, std::uint64_t& out) {
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
    return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seed = 1;
    std::uint64_t length = 600;
    if (argc > 3 || (argc > 1 && !parse(argv[1], seed)) || (argc > 2 && !parse(argv[2], length))) {
        fmt::print(stderr, "usage: bench_storm [seed [seconds]]\n");
        return 64;
    }
    PlanOptions options;
    options.profile = Profile::storm;
    options.length = seconds(static_cast<std::int64_t>(length));
    const double before = cpu_seconds();
    const RunResult result = run_plan(make_plan(seed, options));
    const double used = cpu_seconds() - before;
    const RunCounts& counts = result.counts;
    fmt::print("seed {}: {} after {:.1f} virtual s: {:.2f} CPU s, {} events, {:.0f} events/s\n",
               seed, to_string(result.verdict),
               static_cast<double>(result.virtual_time.nanoseconds) / 1e9, used, result.events,
               static_cast<double>(result.events) / used);
    fmt::print(
        "{} elections, {} ISR changes, {} power losses, {} kills, {} batches acknowledged ({} by "
        "all), {} facts, {} records read, hash {:016x}\n",
        counts.elections, counts.isr_changes, counts.power_losses, counts.kills,
        counts.batches_acked, counts.batches_acked_all, counts.facts, counts.records_read,
        result.hash);
    std::int64_t judging = 0;
    RunHooks hooks;
    hooks.judging = [&judging](bool begins) {
        judging += begins ? -nanoseconds_now() : nanoseconds_now();
    };
    const std::int64_t began = nanoseconds_now();
    const RunResult again = run_plan(make_plan(seed, options), hooks);
    const std::int64_t whole = nanoseconds_now() - began;
    fmt::print("the judge: {:.3f} of {:.2f} s, {:.1f} %, {:.0f} ns a fact\n",
               static_cast<double>(judging) / 1e9, static_cast<double>(whole) / 1e9,
               100.0 * static_cast<double>(judging) / static_cast<double>(whole),
               static_cast<double>(judging) / static_cast<double>(again.counts.facts));
    if (again.hash != result.hash) {
        fmt::print("the two runs differ\n");
        return 1;
    }
    if (!result.complaint.empty()) fmt::print("{}\n", result.complaint);
    return result.verdict == Verdict::passed ? 0 : static_cast<int>(result.verdict);
}
