// Swarms of short runs against the same runs one by one; the zoo over the same swarm.
#include <catch2/catch.hpp>

#include "core/base/checksum.h"
#include "sim/run/swarm.h"
#include "sim/run/token.h"
#include "sim/run/zoo.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

SwarmOptions few_seeds() {
    SwarmOptions options;
    options.first_seed = 0x51;
    options.seeds = 6;
    options.length = seconds(6);
    return options;
}

}  // namespace

TEST_CASE("swarm: a summary survives its way through the pipe") {
    const RunPlan plan = swarm_plan(few_seeds(), 0x51);
    Trial trial = run_trial(plan, {.operations = true, .checkpoints = true});
    REQUIRE_FALSE(trial.operations.empty());
    const Trial back = trial_from_bytes(to_bytes(trial));
    REQUIRE(to_bytes(back) == to_bytes(trial));
    REQUIRE(back.token == to_token(plan));
    REQUIRE(back.operations == trial.operations);
    REQUIRE(back.hash == trial.hash);
}

TEST_CASE("swarm: its sums are those of the single runs, whatever ends first") {
    SwarmOptions options = few_seeds();
    std::vector<std::uint64_t> order;
    options.jobs = 3;
    options.on_trial = [&](const Trial& trial) { order.push_back(trial.seed); };
    const SwarmReport together = run_swarm(options);
    std::vector<Trial> trials;
    for (std::uint64_t seed = 0x51; seed < 0x57; ++seed) {
        trials.push_back(run_forked_trial(swarm_plan(options, seed)));
    }
    const SwarmReport apart = aggregate(trials);
    REQUIRE(order == std::vector<std::uint64_t>{0x51, 0x52, 0x53, 0x54, 0x55, 0x56});
    REQUIRE(together.runs == 6);
    REQUIRE(together.hash == apart.hash);
    REQUIRE(together.verdicts == apart.verdicts);
    REQUIRE(together.profiles == apart.profiles);
    REQUIRE(together.fired == apart.fired);
    REQUIRE(together.records_promised == apart.records_promised);
    REQUIRE(together.records_promised > 0);
    REQUIRE(together.records_lost == apart.records_lost);
    REQUIRE(together.elections_median == apart.elections_median);
    REQUIRE(together.records_acknowledged_median == apart.records_acknowledged_median);
}

TEST_CASE("swarm: a run whose process dies is a crash with its token") {
    const RunPlan plan = swarm_plan(few_seeds(), 0x51);
    ForkedResult died;
    died.end = JobEnd::died;
    died.complaint = "the run's process died by signal 11 (Segmentation fault)";
    const Trial trial = trial_from_result(died, plan.seed, to_token(plan));
    REQUIRE(trial.verdict == Verdict::crash);
    const SwarmReport report = aggregate({trial});
    REQUIRE(report.verdict() == Verdict::crash);
    const std::string text = to_text(report);
    REQUIRE(text.find("signal 11") != std::string::npos);
    REQUIRE(text.find("klamm replay " + to_token(plan)) != std::string::npos);
}

TEST_CASE("swarm: the worst verdict is the swarm's, and no run at all is no pass") {
    Trial passed;
    passed.verdict = Verdict::passed;
    Trial harness = passed;
    harness.verdict = Verdict::harness_error;
    Trial liveness = passed;
    liveness.verdict = Verdict::liveness;
    Trial safety = passed;
    safety.verdict = Verdict::safety;
    REQUIRE(aggregate({}).verdict() == Verdict::harness_error);
    REQUIRE(aggregate({passed, passed}).verdict() == Verdict::passed);
    REQUIRE(aggregate({passed, harness}).verdict() == Verdict::harness_error);
    REQUIRE(aggregate({harness, liveness, passed}).verdict() == Verdict::liveness);
    REQUIRE(aggregate({liveness, safety, passed}).verdict() == Verdict::safety);
    REQUIRE(aggregate({liveness, safety, passed}).first_red == 1);
}

TEST_CASE("swarm: it stops when asked and reports what it has") {
    SwarmOptions options = few_seeds();
    options.seeds = 1000;
    std::uint64_t ended = 0;
    options.on_trial = [&](const Trial&) { ++ended; };
    options.stopped = [&] { return ended >= 2; };
    const SwarmReport report = run_swarm(options);
    REQUIRE(report.interrupted);
    REQUIRE(report.runs == 2);
}

TEST_CASE("zoo: the calibration bug is found at once") {
    ZooOptions options;
    options.bug = Bug::acks_all_like_one;
    options.swarm.length = seconds(8);
    const ZooResult result = visit(options);
    REQUIRE(result.found);
    REQUIRE(result.trial.plants_taken[static_cast<std::size_t>(Bug::acks_all_like_one)] > 0);
    REQUIRE(result.as_expected());
}

TEST_CASE("zoo: invariants are no harm, losses are") {
    for (const char* rule : {"I1", "I2", "I7", "stranded", "malformed"})
        REQUIRE_FALSE(is_harm(rule));
    for (const char* rule : {"O5", "erasure", "LOST", "INCONS"}) REQUIRE(is_harm(rule));
    for (const BugEntry& entry : bug_catalogue())
        if (entry.in_cluster) REQUIRE_FALSE(need_of(entry.bug).kinds.empty());
}

TEST_CASE("zoo: of a mistake that is made in fair weather only the harm counts") {
    Trial trial;
    trial.verdict = Verdict::safety;
    trial.findings = {{"I1", "early", Instant{1}}};
    REQUIRE(counted_finding(trial, std::nullopt)->rule == "I1");
    REQUIRE(counted_finding(trial, Bug::truncate_to_hw)->rule == "I1");
    REQUIRE(counted_finding(trial, Bug::acks_all_like_one) == nullptr);
    trial.findings.push_back({"O5", "lost", Instant{2}});
    REQUIRE(counted_finding(trial, Bug::acks_all_like_one)->rule == "O5");
    trial.verdict = Verdict::passed;
    REQUIRE(counted_finding(trial, std::nullopt) == nullptr);
}

TEST_CASE("zoo: the counter-check wants the wrong branch taken harmlessly, or never reached") {
    ZooResult result;
    result.without_needed = true;
    result.runs = 10;
    result.bug = Bug::acks_all_like_one;
    REQUIRE_FALSE(result.as_expected());  // nobody made the mistake, so nothing was shown
    result.reached = 10;
    REQUIRE(result.as_expected());
    result.bug = Bug::truncate_to_hw;
    REQUIRE_FALSE(result.as_expected());  // it was made without what it is said to need
    result.reached = 0;
    REQUIRE(result.as_expected());
    result.found = true;
    REQUIRE_FALSE(result.as_expected());
}
