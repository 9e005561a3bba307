#include "sim/run/fault_rates.h"

#include <algorithm>
#include <tuple>

namespace klamm::sim {

namespace {

constexpr DrawDomain on_domain = draw_domain("plan.fault.on");
constexpr DrawDomain gap_domain = draw_domain("plan.fault.gap");
constexpr DrawDomain duration_domain = draw_domain("plan.fault.duration");
constexpr DrawDomain target_domain = draw_domain("plan.fault.target");
constexpr DrawDomain amount_domain = draw_domain("plan.fault.amount");
constexpr DrawDomain pick_domain = draw_domain("plan.fault.pick");
constexpr DrawDomain aim_domain = draw_domain("plan.fault.aim");
constexpr DrawDomain site_domain = draw_domain("plan.fault.site");

/// One row a kind: events in an hour under weather, storm, power, disk; the chance that the kind is
/// on; the mean duration; how many brokers it hits. Under edge as often as under weather, unless
/// it says otherwise. Of sites: see draw_sites.
struct Row {
    FaultKind kind;
    std::int64_t weather;
    std::int64_t storm;
    std::int64_t power;
    std::int64_t disk;
    std::int64_t on_rate;
    Duration mean;
    std::uint32_t targets;
    std::int64_t edge = -1;
};

// clang-format off
constexpr Row rate_rows[] = {
    {FaultKind::kill,                     60, 400, 120, 200, 700'000, milliseconds(1'000), 1},
    {FaultKind::kill_in_turn,             60, 400, 120, 200, 700'000, milliseconds(1'000), 1},
    {FaultKind::power_loss_one,            0, 200, 600, 200, 700'000, milliseconds(1'000), 1},
    {FaultKind::power_loss_some,           0,  60, 200,  60, 700'000, milliseconds(1'000), 2},
    {FaultKind::power_loss_all,            0,  60, 120,  30, 700'000, milliseconds(1'000), 0},
    {FaultKind::pause,                    60, 200,  20,  30, 500'000, milliseconds(1'500), 1},
    {FaultKind::partition_two_way,        30, 150,  20,  20, 500'000, milliseconds(2'500), 1},
    {FaultKind::partition_one_way,        30, 150,  20,   0, 500'000, milliseconds(2'500), 1},
    {FaultKind::isolate_from_controller,  30, 200,  40,  40, 500'000, milliseconds(2'500), 1},
    {FaultKind::isolate_clients,          10,  60,  10,   0, 500'000, milliseconds(2'000), 1},
    {FaultKind::connection_reset,        120, 900, 120,  60, 500'000, milliseconds(0),     1},
    {FaultKind::half_open,                30, 240,  30,   0, 500'000, milliseconds(0),     1},
    {FaultKind::link_stall,               60, 300,  60,  30, 500'000, milliseconds(1'000), 2},
    {FaultKind::connection_stall,         60, 600,  60,  30, 500'000, milliseconds(1'000), 1},
    {FaultKind::slow_link,                30, 100,  20,   0, 500'000, milliseconds(4'000), 1},
    {FaultKind::clock_step,               10,  60,  10,   0, 500'000, milliseconds(0),     1},
    {FaultKind::clock_drift,              10,  60,  10,   0, 500'000, milliseconds(5'000), 1},
    {FaultKind::disk_stall,                0,  60,  20, 120, 500'000, milliseconds(1'000), 1},
    {FaultKind::disk_slow,                20,  60,  20, 120, 500'000, milliseconds(2'000), 1},
    {FaultKind::disk_error_writes,         0,  30,  10,  60, 400'000, milliseconds(300),   1},
    {FaultKind::disk_error_syncs,          0,  30,  10,  60, 400'000, milliseconds(1'000), 1},
    {FaultKind::disk_full,                 0,  30,  10,  60, 400'000, milliseconds(1'000), 1},
    {FaultKind::move_leader,              60, 600, 240, 300, 700'000, milliseconds(0),     1},
    {FaultKind::elect_unclean,             0, 120, 120,  30, 300'000, milliseconds(15'000), 0},
    {FaultKind::clean_restart,            30, 100,  60, 240, 500'000, milliseconds(500),   1},
    {FaultKind::wipe,                      0, 120,  60,  60, 300'000, milliseconds(1'000), 1},
    {FaultKind::disk_rot,                  0,   0,   0, 240, 600'000, milliseconds(0),     1},
    {FaultKind::disk_unreadable,           0,   0,   0, 120, 400'000, milliseconds(8'000), 1},
    {FaultKind::disk_misdirect,            0,   0,   0,  60, 300'000, milliseconds(0),     1},
    {FaultKind::disk_lies,                 0,   0,   0, 120, 400'000, milliseconds(4'000), 1},
    {FaultKind::disk_full_late,            0,   0,   0,  60, 300'000, milliseconds(1'500), 1},
    {FaultKind::disk_write_back,           0,   0,   0, 120, 400'000, milliseconds(0),     1},
    {FaultKind::disk_rollback,             0,   0,   0,  60, 300'000, milliseconds(1'000), 1},
    {FaultKind::disk_swap,                 0,   0,   0,  40, 300'000, milliseconds(1'500), 2},
    {FaultKind::disk_lost_directory,       0,   0,   0,  60, 300'000, milliseconds(1'000), 1},
    {FaultKind::link_narrow,               0,   0,   0,  40, 500'000, milliseconds(4'000), 1},
    {FaultKind::link_black_hole,           0,   0,   0,  40, 500'000, milliseconds(4'000), 1},
    {FaultKind::link_refused,              0,   0,   0,  40, 500'000, milliseconds(2'000), 1},
    {FaultKind::maybe_site,               10,  20,  20,  20, 500'000, milliseconds(0),     0, 60},
    {FaultKind::power_loss_rack,           0,   0,   0,   0, 600'000, milliseconds(1'500), 1, 120},
    {FaultKind::rack_cut,                  0,   0,   0,   0, 600'000, milliseconds(2'000), 1, 120},
    {FaultKind::partition_swizzled,        0,   0,   0,   0, 600'000, milliseconds(3'000), 0, 120},
    {FaultKind::connections_apart,         0,   0,   0,   0, 600'000, milliseconds(1'000), 0, 240},
    {FaultKind::address_reused,            0,   0,   0,   0, 600'000, milliseconds(2'000), 2, 120},
    {FaultKind::restart_changed,           0,   0,   0,   0, 600'000, milliseconds(500),   1, 240},
    {FaultKind::last_copy,                 0,   0,   0,   0, 900'000, milliseconds(1'500), 0, 360},
    {FaultKind::request_refused,           0,   0,   0,   0, 600'000, milliseconds(0),     0, 600},
    {FaultKind::member_kill,               0,   0,   0,   0, 800'000, milliseconds(1'500), 1},
    {FaultKind::member_pause,              0,   0,   0,   0, 800'000, milliseconds(4'000), 1},
    {FaultKind::member_restart,            0,   0,   0,   0, 800'000, milliseconds(500),   1},
};
// clang-format on
static_assert(std::size(rate_rows) == fault_kind_count);

const Row& row_of(FaultKind kind) { return rate_rows[static_cast<std::size_t>(kind)]; }

std::int64_t amount_of(const Draws& draws, FaultKind kind, std::uint64_t id) {
    const auto between = [&](std::int64_t low, std::int64_t high) {
        return draws.between(low, high, amount_domain, id, 0);
    };
    switch (kind) {
        case FaultKind::kill_in_turn: return between(0, 20);  // turns with effects let through
        case FaultKind::slow_link: return between(2'000, 300'000);
        case FaultKind::clock_step: return between(-600, 600) * 1'000'000'000;
        case FaultKind::clock_drift: return between(-200'000, 200'000);
        case FaultKind::disk_slow: return between(3, 100);
        case FaultKind::disk_error_writes: return between(50'000, 1'000'000);
        case FaultKind::disk_error_syncs: return between(200'000, 1'000'000);
        case FaultKind::disk_full:
        case FaultKind::disk_full_late: return between(0, 4'000);
        case FaultKind::disk_lies: return between(200'000, 1'000'000);
        case FaultKind::disk_rollback: return between(500, 10'000) * 1'000'000;
        case FaultKind::link_narrow: return between(2'000, 200'000);
        case FaultKind::link_black_hole: return between(150, 2'000);
        case FaultKind::last_copy: return between(1, 3);
        default: return 0;
    }
}

/// Events in an hour of the kinds that make views stale: leaders are moved, who should hear of it
/// does not, and answers are held up on their way.
std::int64_t stale_views_an_hour(FaultKind kind) {
    switch (kind) {
        case FaultKind::move_leader: return 1'800;
        case FaultKind::isolate_from_controller: return 600;
        case FaultKind::link_stall: return 600;
        default: return 0;
    }
}

/// Whether a fault of this kind hits any broker that is up, whatever it does at that moment.
bool hits_surely(FaultKind kind) {
    switch (kind) {
        case FaultKind::kill:
        case FaultKind::power_loss_one:
        case FaultKind::power_loss_some:
        case FaultKind::power_loss_all:
        case FaultKind::pause:
        case FaultKind::clock_step:
        case FaultKind::clock_drift:
        case FaultKind::clean_restart:
        case FaultKind::wipe:
        case FaultKind::power_loss_rack:
        case FaultKind::restart_changed:
        case FaultKind::disk_lies:
        case FaultKind::disk_rollback: return true;
        default: return false;
    }
}

/// Whether controllers of a quorum are among the targets. Not of what a quorum is not meant to
/// survive (a disk that is gone), nor of what lies in brokers' logs.
bool hits_controllers(FaultKind kind) {
    switch (kind) {
        case FaultKind::kill:
        case FaultKind::kill_in_turn:
        case FaultKind::power_loss_one:
        case FaultKind::power_loss_some:
        case FaultKind::power_loss_all:
        case FaultKind::pause:
        case FaultKind::partition_two_way:
        case FaultKind::partition_one_way:
        case FaultKind::isolate_from_controller:
        case FaultKind::connection_reset:
        case FaultKind::half_open:
        case FaultKind::link_stall:
        case FaultKind::connection_stall:
        case FaultKind::slow_link:
        case FaultKind::clock_step:
        case FaultKind::clock_drift:
        case FaultKind::disk_stall:
        case FaultKind::disk_slow:
        case FaultKind::disk_error_writes:
        case FaultKind::disk_error_syncs:
        case FaultKind::disk_full:
        case FaultKind::clean_restart: return true;
        default: return false;
    }
}

/// Half of what befalls single files befalls logs.
DiskAim aim_of(const Draws& draws, FaultKind kind, std::uint64_t id) {
    DiskAim aim;
    switch (kind) {
        case FaultKind::disk_rot:
        case FaultKind::disk_unreadable:
        case FaultKind::disk_misdirect:
        case FaultKind::disk_write_back: break;
        default: return aim;
    }
    constexpr auto files = static_cast<std::uint64_t>(DiskAim::File::count_);
    aim.file = draws.happens(500'000, aim_domain, id, 0)
                   ? DiskAim::File::log
                   : static_cast<DiskAim::File>(draws.below(files, aim_domain, id, 1));
    return aim;
}

bool of_members(FaultKind kind) {
    return kind == FaultKind::member_kill || kind == FaultKind::member_pause ||
           kind == FaultKind::member_restart;
}

bool of_racks(FaultKind kind) {
    return kind == FaultKind::power_loss_rack || kind == FaultKind::rack_cut;
}

/// Of sites a seed has none, or some until its healing; n is the site's number. Chances
/// are those of the profile's row in percent; each site is on in a third of the seeds that have
/// any.
void draw_sites(const RunPlan& plan, const Draws& draws, std::vector<FaultEvent>& faults) {
    const std::int64_t percent = faults_an_hour(plan.options.profile, FaultKind::maybe_site);
    if (!draws.happens(percent * 10'000, site_domain, 0, 0)) return;
    for (std::uint32_t n = 0; n < site_count; ++n) {
        if (!draws.happens(333'333, site_domain, 1, n)) continue;
        FaultEvent fault;
        fault.id = fault_id(FaultKind::maybe_site, n);
        fault.kind = FaultKind::maybe_site;
        fault.at = Instant{} + plan.warm_up;
        fault.amount = draws.between(10'000, 300'000, site_domain, 2, n);
        fault.draw = n;
        faults.push_back(fault);
    }
}

FaultEvent make_fault(const Draws& draws, const Row& row, std::uint32_t n, Instant at,
                      const ClusterPlan& cluster, std::size_t members) {
    const auto brokers = static_cast<std::uint32_t>(cluster.shards.size());
    const std::uint32_t machines = brokers + (hits_controllers(row.kind) ? cluster.controllers : 0);
    const bool of_member = of_members(row.kind);
    const auto target = [brokers](std::uint32_t machine) {
        return machine < brokers ? machine : first_controller + machine - brokers;
    };
    FaultEvent fault;
    fault.id = fault_id(row.kind, n);
    fault.kind = row.kind;
    fault.at = at;
    const auto entity = static_cast<std::uint64_t>(fault.id);
    if (row.mean.nanoseconds > 0)
        fault.duration = milliseconds(5) + nanoseconds(draws.exponential(
                                               row.mean.nanoseconds, duration_domain, entity, 0));
    const auto first = static_cast<std::uint32_t>(
        draws.below(of_member ? members : machines, target_domain, entity, 0));
    if (of_member) {
        fault.targets.push_back(first_member + first);
    } else if (row.kind == FaultKind::power_loss_all || row.kind == FaultKind::partition_swizzled) {
        for (std::uint32_t i = 0; i < machines; ++i) fault.targets.push_back(target(i));
    } else if (of_racks(row.kind)) {
        for (std::uint32_t i = 0; i < brokers; ++i)
            if (cluster.racks[i] == cluster.racks[first]) fault.targets.push_back(i);
    } else if (row.targets >= 1) {
        fault.targets.push_back(target(first));
        if (row.targets == 2)
            fault.targets.push_back(target(static_cast<std::uint32_t>(
                (first + 1 + draws.below(machines - 1, target_domain, entity, 1)) % machines)));
    }
    fault.amount = amount_of(draws, row.kind, entity);
    fault.draw = draws.word(pick_domain, entity, 0);
    fault.aim = aim_of(draws, row.kind, entity);
    return fault;
}

}  // namespace

std::int64_t faults_an_hour(Profile profile, FaultKind kind) {
    const Row& row = row_of(kind);
    switch (profile) {
        case Profile::weather: return row.weather;
        case Profile::storm: return row.storm;
        case Profile::power: return row.power;
        case Profile::disk: return row.disk;
        case Profile::quorum: return row.storm;  // over more machines
        case Profile::edge: return row.edge < 0 ? row.weather : row.edge;
        case Profile::groups: return of_members(kind) ? 300 : row.storm / 2;
        default: return 0;
    }
}

std::vector<FaultEvent> draw_faults(const RunPlan& plan) {
    const Draws draws(plan.seed);
    std::vector<FaultEvent> faults;
    for (const Row& row : rate_rows) {
        const auto key = static_cast<std::uint64_t>(row.kind);
        if (plan.options.off.contains(row.kind)) continue;
        if (row.kind == FaultKind::maybe_site) {
            draw_sites(plan, draws, faults);
            continue;
        }
        if (of_racks(row.kind) && plan.cluster.racks.empty()) continue;
        if (of_members(row.kind) && plan.workload.members.empty()) continue;
        const std::int64_t stale = plan.stale_views ? stale_views_an_hour(row.kind) : 0;
        const bool on = draws.happens(row.on_rate, on_domain, key, 0);
        if (!on && stale == 0) continue;
        // Half, once or twice as often; under stale views most of the rest gives way to them.
        const std::int64_t drawn =
            (faults_an_hour(plan.options.profile, row.kind) << draws.below(3, on_domain, key, 1)) /
            2;
        const std::int64_t per_hour = plan.stale_views ? std::max(stale, drawn / 3) : drawn;
        if (per_hour == 0) continue;
        const std::int64_t gap_mean = seconds(3'600).nanoseconds / per_hour;
        const Instant end = Instant{} + plan.safety;
        Instant at = Instant{} + plan.warm_up;
        for (std::uint32_t n = 0; n < fault_id_stride; ++n) {
            at = at + nanoseconds(1 + draws.exponential(gap_mean, gap_domain, key, n));
            if (at >= end) break;
            faults.push_back(
                make_fault(draws, row, n, at, plan.cluster, plan.workload.members.size()));
        }
    }
    // A storm of faults that find nothing to hit would prove nothing.
    const bool kills = !plan.options.off.contains(FaultKind::kill) &&
                       faults_an_hour(plan.options.profile, FaultKind::kill) > 0;
    const bool sure = std::any_of(faults.begin(), faults.end(),
                                  [](const FaultEvent& fault) { return hits_surely(fault.kind); });
    if ((faults.size() < 3 || !sure) && kills)
        faults.push_back(make_fault(draws, row_of(FaultKind::kill), fault_id_stride - 1,
                                    Instant{} + plan.warm_up + (plan.safety - plan.warm_up) / 2,
                                    plan.cluster, plan.workload.members.size()));
    std::sort(faults.begin(), faults.end(), [](const FaultEvent& a, const FaultEvent& b) {
        return std::tie(a.at, a.id) < std::tie(b.at, b.id);
    });
    return faults;
}

}  // namespace klamm::sim
