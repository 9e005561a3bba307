// Faults of disks in plans and runs: who draws them, where they are aimed, what is told of them.
#include <catch2/catch.hpp>

#include <set>

#include "core/record/batch.h"
#include "sim/run/disk_aim.h"
#include "sim/run/report.h"
#include "sim/run/run.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

PlanOptions options_of(Profile profile, Duration length) {
    PlanOptions options;
    options.profile = profile;
    options.length = length;
    return options;
}

bool of_the_medium(FaultKind kind) {
    return kind >= FaultKind::disk_rot && kind <= FaultKind::link_refused;
}

/// A run of this profile with one fault of this kind and no other, on broker 1.
struct Alone {
    Alone(std::uint64_t seed, FaultKind kind, DiskAim aim = {}, std::int64_t amount = 0,
          Duration duration = seconds(1)) {
        plan = make_plan(seed, options_of(Profile::calm, seconds(8)));
        FaultEvent fault;
        fault.id = fault_id(kind, 0);
        fault.kind = kind;
        fault.at = Instant{} + seconds(4);
        fault.duration = duration;
        fault.targets = {0};
        if (kind == FaultKind::disk_swap) fault.targets.push_back(1);
        fault.amount = amount;
        fault.draw = mix64(seed);
        fault.aim = aim;
        plan.faults = {fault};
        hooks.log_sink = [this](Instant, const std::string& node, std::string_view line) {
            log.push_back(node + ": " + std::string(line));
        };
        result = run_plan(plan, hooks);
    }
    [[nodiscard]] bool fired() const { return !result.fired_ids.empty(); }
    RunPlan plan;
    RunHooks hooks;
    RunResult result;
    std::vector<std::string> log;
};

}  // namespace

TEST_CASE("disk: its profile alone draws the medium's faults, each kind on in some seeds") {
    std::set<FaultKind> drawn;
    std::size_t most = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        for (const Profile profile :
             {Profile::calm, Profile::weather, Profile::storm, Profile::power})
            for (const FaultEvent& fault :
                 make_plan(seed, options_of(profile, seconds(60))).faults) {
                CHECK_FALSE(of_the_medium(fault.kind));
                CHECK(fault.aim == DiskAim{});
            }
        std::set<FaultKind> here;
        for (const FaultEvent& fault :
             make_plan(seed, options_of(Profile::disk, seconds(600))).faults)
            if (of_the_medium(fault.kind)) here.insert(fault.kind);
        drawn.insert(here.begin(), here.end());
        most = std::max(most, here.size());
    }
    constexpr std::size_t kinds = static_cast<std::size_t>(FaultKind::link_refused) -
                                  static_cast<std::size_t>(FaultKind::disk_rot) + 1;
    CHECK(drawn.size() == kinds);
    CHECK(most < kinds);
}

TEST_CASE("disk: an aim finds the files and batches that it says, on whichever broker") {
    RunPlan plan = make_plan(3, options_of(Profile::calm, seconds(5)));
    plan.cluster.partitions = 2;
    RunHooks hooks;
    int looked = 0;
    hooks.end_sink = [&](const World& world) {
        const NodeId node = *world.find("broker-2");
        for (int file = 1; file < static_cast<int>(DiskAim::File::count_); ++file) {
            DiskAim aim;
            aim.file = static_cast<DiskAim::File>(file);
            INFO(to_string(aim));
            for (std::uint64_t draw = 1; draw <= 10; ++draw) {
                const auto place = aimed(world, node, aim, draw);
                if (!place) continue;
                ++looked;
                CHECK(file_kind(place->path) == aim.file);
                CHECK(place->from < place->to);
                CHECK(place->to <= world.file_bytes(node, place->path)->size());
            }
        }
        std::set<std::uint64_t> begins;
        for (std::uint64_t draw = 1; draw <= 20; ++draw) {
            const auto place =
                aimed(world, node, {DiskAim::File::log, DiskAim::Batch::idempotent, 0}, draw);
            REQUIRE(place.has_value());
            CHECK(partition_of(place->path) == 0);
            const ByteView bytes =
                ByteView(*world.file_bytes(node, place->path)).subspan(place->from);
            const record::BatchView batch(bytes);
            CHECK(batch.size_bytes() == place->to - place->from);
            CHECK(batch.crc_holds());
            CHECK(batch.has_producer_id());
            begins.insert(place->from);
        }
        CHECK(begins.size() > 5);
        CHECK_FALSE(aimed(world, node, {DiskAim::File::log, DiskAim::Batch::control, -1}, 1));
        CHECK_FALSE(aimed(world, node, {DiskAim::File::index, DiskAim::Batch::plain, -1}, 1));
        const auto first = aimed(world, node, {DiskAim::File::log, DiskAim::Batch::first, 0}, 5);
        REQUIRE(first.has_value());
        CHECK(first->from == 0);
        CHECK(first->path.ends_with("/00000000000000000000.log"));
    };
    CHECK(run_plan(plan, hooks).verdict == Verdict::passed);
    CHECK(looked >= 60);
}

TEST_CASE("disk: a rotten follower is lawful, and is told to the judge") {
    int fired = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        const Alone run(seed, FaultKind::disk_rot, {DiskAim::File::log, DiskAim::Batch::any, -1});
        fired += run.fired() ? 1 : 0;
        INFO(to_text(run.plan, run.result));
        CHECK(run.result.violations_total == 0);
        CHECK(run.result.counts.faults == run.result.fired_ids.size());
    }
    CHECK(fired == 4);
}

TEST_CASE("disk: a broker refuses another's disk, and goes on with its own when it is back") {
    const Alone run(2, FaultKind::disk_swap);
    REQUIRE(run.fired());
    INFO(to_text(run.plan, run.result));
    CHECK(run.result.verdict == Verdict::passed);
    int refused = 0;
    for (const std::string& line : run.log)
        refused += line.find("names another cluster or node") != std::string::npos ? 1 : 0;
    CHECK(refused >= 2);
}

TEST_CASE("disk: what an older image or a lost directory took is copied anew") {
    for (const FaultKind kind : {FaultKind::disk_rollback, FaultKind::disk_lost_directory})
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            const Alone run(seed, kind, {}, seconds(2).nanoseconds);
            REQUIRE(run.fired());
            INFO(to_text(run.plan, run.result));
            CHECK(run.result.violations_total == 0);
            CHECK(run.result.verdict == Verdict::passed);
        }
}

TEST_CASE("disk: lies cost nothing before a loss of power, and then what they had covered") {
    // All brokers lose power at one moment: what their disks had lied about is gone lawfully.
    RunPlan plan = make_plan(5, options_of(Profile::calm, seconds(8)));
    plan.cluster.topic.flush_messages = 1;
    plan.cluster.topic.min_insync_replicas = 1;
    plan.cluster.disk.unit_keep_rate = 0;
    plan.cluster.disk.unit_tear_rate = 0;
    for (const bool lies : {true, false}) {
        plan.faults.clear();
        for (std::uint32_t broker = 0; broker < 3 && lies; ++broker) {
            FaultEvent lie;
            lie.id = fault_id(FaultKind::disk_lies, broker);
            lie.kind = FaultKind::disk_lies;
            lie.at = Instant{} + seconds(3);
            lie.duration = seconds(2);
            lie.targets = {broker};
            lie.amount = 1'000'000;
            plan.faults.push_back(lie);
        }
        FaultEvent power;
        power.id = fault_id(FaultKind::power_loss_all, 0);
        power.kind = FaultKind::power_loss_all;
        power.at = Instant{} + seconds(4);
        power.duration = seconds(1);
        power.targets = {0, 1, 2};
        plan.faults.push_back(power);
        const RunResult result = run_plan(plan);
        INFO(to_text(plan, result));
        std::int64_t lost = result.bill.records_stranded;
        for (const std::int64_t records : result.bill.records_lost) lost += records;
        CHECK((lost > 0) == lies);
        for (const Violation& one : result.violations) CHECK(one.rule != "I5");
        if (!lies) CHECK(result.verdict == Verdict::passed);
    }
}
