// Mistakes of the simulated world and of a run, made on purpose (core/base/slips.h, or a plan that
// says something else than what was asked): each is noticed by what holds without it.

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <utility>

#include "core/base/checksum.h"
#include "core/base/draws.h"
#include "sim/run/fault_rates.h"
#include "sim/run/run.h"
#include "sim/world/observer.h"
#include "sim/world/world.h"

namespace klamm::sim {
namespace {

PlanOptions options_of(Profile profile, Duration length) {
    PlanOptions options;
    options.profile = profile;
    options.length = length;
    return options;
}

RunResult run_with(const RunPlan& plan, Slip slip) {
    RunHooks hooks;
    hooks.slip = slip;
    return run_plan(plan, hooks);
}

RunResult calm_run(Slip slip) {
    return run_with(make_plan(3, options_of(Profile::calm, seconds(5))), slip);
}

// --- Every kind of fault does something

/// What the nodes did and when and what their logs came to, in one number; what the harness did is
/// left out.
struct Deeds {
    std::uint64_t digest = 0;
    std::array<std::uint64_t, fault_kind_count> fired{};
};

Deeds deeds_of(RunPlan plan, Slip slip) {
    // Else no broker asks for the wall's time, and steps of its clock could do nothing.
    plan.cluster.topic.message_timestamp_type = config::TimestampType::log_append_time;
    Deeds deeds;
    RunHooks hooks;
    hooks.slip = slip;
    hooks.event_sink = [&deeds](const EventRecord& record) {
        if (record.node == no_node) return;
        deeds.digest = fold64(deeds.digest, static_cast<std::uint64_t>(record.time.nanoseconds));
        deeds.digest = fold64(deeds.digest, fold64(record.node.value, record.effects));
        deeds.digest = fold64(deeds.digest, fold64(record.id, record.disk_calls));
    };
    hooks.end_sink = [&deeds](const World& world) {
        for (std::uint32_t node = 0; node < world.nodes(); ++node) {
            for (const std::string& path : world.paths(NodeId(node))) {
                if (!path.ends_with(".log")) continue;
                deeds.digest = fold64(deeds.digest, crc32c(*world.file_bytes(NodeId(node), path)));
            }
        }
    };
    deeds.fired = run_plan(plan, hooks).fired;
    return deeds;
}

/// The self-check of faults: whether in some run in which faults of this kind have fallen the nodes
/// do something else than in the same run without them.
class Faults {
  public:
    explicit Faults(Slip slip) : slip_(slip) {}

    static constexpr int runs_max = 10;

    bool has_effect(FaultKind kind) {
        int runs = 0;
        const Profile profile = profile_with(kind);
        for (std::uint64_t seed = 1; seed <= 60 && runs < runs_max; ++seed) {
            const auto options = options_of(profile, seconds(15));
            const auto [found, fresh] = with_.try_emplace({profile, seed});
            const RunPlan plan = make_plan(seed, options);
            if (fresh) found->second = deeds_of(plan, slip_);
            if (found->second.fired[static_cast<std::size_t>(kind)] == 0) continue;
            ++runs;
            PlanEdits without;
            for (const FaultEvent& fault : plan.faults)
                if (fault.kind == kind) without.removed.insert(fault.id);
            if (deeds_of(with_edits(plan, without), slip_).digest != found->second.digest)
                return true;
        }
        return false;
    }

  private:
    /// A storm, or else the first that has such faults.
    static Profile profile_with(FaultKind kind) {
        if (faults_an_hour(Profile::storm, kind) > 0) return Profile::storm;
        for (std::size_t i = 0; i < static_cast<std::size_t>(Profile::count_); ++i) {
            const auto profile = static_cast<Profile>(i);
            if (faults_an_hour(profile, kind) > 0) return profile;
        }
        return Profile::storm;
    }

    Slip slip_;
    std::map<std::pair<Profile, std::uint64_t>, Deeds> with_;  // by profile and seed
};

TEST_CASE("harness:faults: none is inert") {
    Faults faults(Slip::none);
    for (std::size_t i = 0; i < fault_kind_count; ++i) {
        INFO(to_string(static_cast<FaultKind>(i)));
        CHECK(faults.has_effect(static_cast<FaultKind>(i)));
    }
}

TEST_CASE("harness:faults: a pause that is wired but inert is noticed") {
    CHECK_FALSE(Faults(Slip::pause_inert).has_effect(FaultKind::pause));
}

TEST_CASE("harness:faults: cuts of the network that are wired but inert are noticed") {
    Faults faults(Slip::cut_inert);
    CHECK_FALSE(faults.has_effect(FaultKind::partition_two_way));
    CHECK_FALSE(faults.has_effect(FaultKind::isolate_from_controller));
    CHECK(faults.has_effect(FaultKind::pause));
}

TEST_CASE("harness:faults: faults of the disk that are wired but inert are noticed") {
    Faults faults(Slip::disk_faults_inert);
    CHECK_FALSE(faults.has_effect(FaultKind::disk_error_writes));
    CHECK_FALSE(faults.has_effect(FaultKind::disk_full));
}

// --- Power

struct Damages final : WorldObserver {
    int power_losses = 0;
    int with_damage = 0;
    void on_crash(NodeId, CrashKind kind, const DamageReport& report) override {
        if (kind != CrashKind::power) return;
        ++power_losses;
        with_damage += report.any() ? 1 : 0;
    }
};

/// Whether some power loss of the first seeds costs a disk anything.
bool power_costs(bool disks_keep_all) {
    Damages damages;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        RunPlan plan = make_plan(seed, options_of(Profile::power, seconds(15)));
        if (disks_keep_all) {
            plan.cluster.disk.crash_mode = CrashMode::posix;
            plan.cluster.disk.unit_keep_rate = 1'000'000;
            plan.cluster.disk.name_keep_rate = 1'000'000;
            plan.cluster.disk.truncate_keep_rate = 1'000'000;
        }
        RunHooks hooks;
        hooks.observer = &damages;
        run_plan(plan, hooks);
    }
    CHECK(damages.power_losses > 0);
    return damages.with_damage > 0;
}

TEST_CASE("harness:faults: a power loss that keeps what was not synced is noticed") {
    CHECK(power_costs(false));
    CHECK_FALSE(power_costs(true));
}

TEST_CASE("harness:judge: one that is not told what a crash has cost a disk is red") {
    std::uint64_t red = 0;
    std::uint64_t red_by_slip = 0;
    for (std::uint64_t seed = 8; seed <= 13; ++seed) {
        const RunPlan plan = make_plan(seed, options_of(Profile::power, seconds(25)));
        red += run_with(plan, Slip::none).violations_total;
        red_by_slip += run_with(plan, Slip::damage_untold).violations_total;
    }
    CHECK(red == 0);
    CHECK(red_by_slip > 0);
}

// --- Clients

/// Whether some send was sent again after its first copy had been appended.
bool retries_answered(Slip slip) {
    std::uint64_t answered = 0;
    for (std::uint64_t seed = 1; seed <= 6 && answered == 0; ++seed)
        answered += run_with(make_plan(seed, options_of(Profile::storm, seconds(15))), slip)
                        .counts.duplicates_answered;
    return answered > 0;
}

TEST_CASE("harness:clients: a producer that never retries is noticed") {
    CHECK(retries_answered(Slip::none));
    CHECK_FALSE(retries_answered(Slip::producers_never_retry));
}

TEST_CASE("harness:clients: a final reader that does not come to the end is red") {
    CHECK(calm_run(Slip::none).verdict == Verdict::passed);
    const RunResult result = calm_run(Slip::final_reads_not_awaited);
    CHECK(result.verdict == Verdict::safety);
    REQUIRE_FALSE(result.violations.empty());
    CHECK(result.violations.front().rule == "LOST");
}

TEST_CASE("harness:clients: final reads that are left out are an error") {
    const RunResult result = calm_run(Slip::final_reads_left_out);
    CHECK(result.verdict == Verdict::harness_error);
    CHECK(result.complaint == "the run ends though nothing was read back");
}

TEST_CASE("harness:checkers: in a run a checker that skips something is an error") {
    for (const Slip slip :
         {Slip::checker_skips_last_record, Slip::checker_skips_last_send, Slip::monitors_deaf}) {
        const RunResult result = calm_run(slip);
        INFO(static_cast<int>(slip));
        CHECK(result.verdict != Verdict::passed);
        REQUIRE_FALSE(result.violations.empty());
        CHECK(result.violations.back().rule == "malformed");
    }
}

// --- The end

TEST_CASE("harness:run: a healing that is left out is noticed") {
    RunPlan plan = make_plan(3, options_of(Profile::calm, seconds(5)));
    FaultEvent cut;
    cut.id = fault_id(FaultKind::partition_two_way, 0);
    cut.kind = FaultKind::partition_two_way;
    cut.at = Instant{} + plan.safety - milliseconds(200);
    cut.duration = seconds(60);
    cut.targets = {1};
    plan.faults.push_back(cut);
    CHECK(run_with(plan, Slip::none).verdict == Verdict::passed);
    const RunResult result = run_with(plan, Slip::healing_left_out);
    CHECK(result.verdict != Verdict::passed);
    CHECK(result.complaint.find("after the healing") != std::string::npos);
}

TEST_CASE("harness:run: liveness that nobody asks for is noticed") {
    // A broker that ends again and again after the healing, and so never joins.
    const RunPlan plan = make_plan(3, options_of(Profile::calm, seconds(5)));
    RunHooks hooks;
    hooks.after_event = [&plan](World& world) {
        const NodeId broker = *world.find("broker-3");
        if (world.now() > Instant{} + plan.safety && world.alive(broker)) world.kill(broker);
    };
    CHECK(run_plan(plan, hooks).verdict == Verdict::liveness);
    hooks.slip = Slip::liveness_unasked;
    CHECK(run_plan(plan, hooks).verdict != Verdict::liveness);
}

TEST_CASE("harness:run: a replay that ignores what was taken away is an error") {
    RunPlan plan = make_plan(4, options_of(Profile::storm, seconds(10)));
    REQUIRE_FALSE(plan.faults.empty());
    PlanEdits edits;
    edits.removed.insert(plan.faults.front().id);
    CHECK(run_plan(with_edits(plan, edits)).verdict == Verdict::passed);
    plan.edits = edits;
    const RunResult result = run_plan(plan);
    CHECK(result.verdict == Verdict::harness_error);
    CHECK(result.complaint.find("though it was taken away") != std::string::npos);
}

}  // namespace
}  // namespace klamm::sim
