#pragma once
// The plan of one run, as a value: the cluster and its options, what clients do, which faults fall
// when. A plan is a function of (seed, options, edits):
//   make_plan draws everything from keyed draws, so that the n-th fault of a kind and operation i
//   of a client are what they are whatever else is in the plan; edits take away (faults,
//   operations, the time after a cut) and add nothing; they may ask for other luck.
// Nothing here runs anything.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/maybe.h"
#include "core/base/plants.h"
#include "core/base/time.h"
#include "core/config/options.h"
#include "core/workload/options.h"
#include "sim/judge/damage.h"
#include "sim/run/director.h"
#include "sim/world/options.h"

namespace klamm::sim {

/// Targets of faults from here on are controllers of a quorum; below, brokers.
constexpr std::uint32_t first_controller = 64;
/// And members of consumer groups from here on.
constexpr std::uint32_t first_member = 128;
/// "broker-2", "controller-1", "member-1"
std::string target_name(std::uint32_t target);

/// What may be done to the cluster. The numbers are part of fault ids and tokens: new kinds go
/// last.
enum class FaultKind : std::uint8_t {
    kill,                     // SIGKILL; started again after `duration`
    kill_in_turn,             // within a turn, so that a prefix of its effects remains; as kill
    power_loss_one,           // of one broker's machine; started again after `duration`
    power_loss_some,          // of two or more at one moment
    power_loss_all,           // of every broker
    pause,                    // SIGSTOP for `duration`
    partition_two_way,        // targets from the other brokers
    partition_one_way,        // what the target sends reaches no other broker
    isolate_from_controller,  // target and all controllers, both ways
    isolate_clients,          // target and all clients, both ways
    connection_reset,         // a drawn connection of the target's
    half_open,                // the same, and only one side is told
    link_stall,               // packets between two brokers wait, one way
    connection_stall,         // a drawn connection of the target's freezes
    slow_link,                // the target's links, by `amount` microseconds
    clock_step,               // of the wall clock, by `amount` nanoseconds
    clock_drift,              // to `amount` ppm, for `duration`
    disk_stall,               // the disk answers nothing for `duration`
    disk_slow,                // by the factor `amount`
    disk_error_writes,        // `amount` of a million writes fail
    disk_error_syncs,         // `amount` of a million syncs fail
    disk_full,                // no room but `amount` bytes
    move_leader,              // to the target, by the administrator
    elect_unclean,            // an administrator's, once nobody leads, within `duration`
    clean_restart,            // asked to stop; started again `duration` after it has
    wipe,                     // kill, and the disk is empty at the next start
    disk_rot,                 // bytes of a file read as others, for good; see `aim`
    disk_unreadable,          // bytes of a file cannot be read for `duration`; see `aim`
    disk_misdirect,           // the next write of a file lands elsewhere in it; see `aim`
    disk_lies,                // `amount` of a million syncs answer ok and do nothing
    disk_full_late,           // as disk_full, but found by syncs
    disk_write_back,          // writing back what is dirty of a file fails unasked; see `aim`
    disk_rollback,            // kill, and the disk is as it was `amount` nanoseconds before
    disk_swap,                // the targets are killed and have each other's disk for `duration`
    disk_lost_directory,      // kill, and one log directory is empty at the next start
    link_narrow,              // the target's links let `amount` bytes a second through
    link_black_hole,          // the target's links swallow packets above `amount` bytes
    link_refused,             // who connects to the target is turned away
    maybe_site,       // `amount` of a million times the code does what it rarely does; see site_of
    power_loss_rack,  // of every broker of a rack
    rack_cut,         // a rack from all others, both ways
    partition_swizzled,  // the targets are cut off one after another, and back in another order
    connections_apart,   // each connection of a drawn client stalls for a time of its own
    address_reused,      // kill; until it is back, who looks for the first target finds the second
    restart_changed,     // as clean_restart, and it comes back with other options
    last_copy,        // wipes until one good copy is left whose broker may lead, then `amount` of
                      // attacks on that broker
    request_refused,  // the next request of a drawn API is answered with an error
    member_kill,      // kill, pause and clean_restart of a member of a consumer group
    member_pause,
    member_restart,
    count_,
};
constexpr std::size_t fault_kind_count = static_cast<std::size_t>(FaultKind::count_);

/// "kill-in-turn"
const char* to_string(FaultKind kind);
std::optional<FaultKind> fault_kind_from_name(std::string_view name);

constexpr std::int64_t fault_id_stride = 10'000;
/// The name of the n-th fault of a kind, the same in every edited plan.
constexpr FaultId fault_id(FaultKind kind, std::uint32_t n) {
    return static_cast<FaultId>(kind) * fault_id_stride + n;
}

/// `amount` of a kill: what the turn under way had to send. 0: a drawn part of it.
constexpr std::int64_t kill_keeps_nothing = 1;
constexpr std::int64_t kill_keeps_all = 2;

/// Which bytes of a disk a fault is aimed at. What is left open is drawn among what there is.
struct DiskAim {
    enum class File : std::uint8_t {
        any,
        log,
        index,
        time_index,
        snapshot,         // of producers
        epochs,           // leader-epoch-checkpoint
        metadata,         // partition.metadata and meta.properties
        recovery_points,  // recovery-point-offset-checkpoint
        watermarks,       // replication-offset-checkpoint
        count_,
    };
    enum class Batch : std::uint8_t { any, plain, idempotent, compressed, control, first, last };
    /// Of a batch, for rot: its header, the leader epoch in it, which no checksum covers, its
    /// records.
    enum class Part : std::uint8_t { any, header, leader_epoch, records };
    File file = File::any;
    Batch batch = Batch::any;     // of a log
    std::int32_t partition = -1;  // -1: any
    Part part = Part::any;
    friend bool operator==(const DiskAim&, const DiskAim&) = default;
};

struct FaultEvent {
    FaultId id = fault_none;
    FaultKind kind = FaultKind::kill;
    Instant at;                          // virtual time of the world
    Duration duration;                   // how long it lasts, or the node stays down
    std::vector<std::uint32_t> targets;  // indices of brokers, or from first_controller on
    std::int64_t amount = 0;             // see FaultKind
    std::uint64_t draw = 0;              // picks among what is there when it falls
    DiskAim aim = {};

    friend bool operator==(const FaultEvent&, const FaultEvent&) = default;
};
/// "12.304s kill broker-2 for 1.200s"
std::string to_string(const FaultEvent& fault);

/// Which site a fault of that kind is about.
Site site_of(const FaultEvent& fault);

enum class Profile : std::uint8_t {
    calm,
    weather,
    storm,
    power,
    disk,
    quorum,
    edge,
    groups,
    count_
};
/// "timed", "random", "pos", "pct"
const char* to_string(ExploreOptions::How how);
std::optional<ExploreOptions::How> explorer_from_name(std::string_view name);

const char* to_string(Profile profile);
std::optional<Profile> profile_from_name(std::string_view name);

/// What is asked of a plan, besides the seed.
struct PlanOptions {
    Profile profile = Profile::storm;
    std::optional<Bug> plant;
    std::set<FaultKind> off;         // kinds that do not fall
    std::optional<Duration> length;  // of the safety phase; drawn if absent
    ExploreOptions::How explore = ExploreOptions::How::timed;

    friend bool operator==(const PlanOptions&, const PlanOptions&) = default;
};

/// What is taken away from a drawn plan; nothing is added.
struct PlanEdits {
    std::set<FaultId> removed;
    std::map<std::uint32_t, std::set<std::uint32_t>> skipped;  // operations, by client
    std::optional<Instant> cut;  // the run ends here, without healing and final reads
    /// Not 0: the same faults and operations, with other delays of the network and the disks.
    std::uint32_t luck = 0;

    friend bool operator==(const PlanEdits&, const PlanEdits&) = default;
};

struct ClusterPlan {
    std::vector<env::ShardIndex> shards;  // by broker; its size is the number of brokers
    std::string topic_name = "trial";     // of the one topic
    std::uint32_t partitions = 1;
    std::uint32_t replication = 0;     // replicas of each partition; 0: one on every broker
    std::vector<std::uint32_t> racks;  // by broker, from 1; empty: nobody says where it stands
    config::BrokerOptions broker;
    config::TopicOptions topic;
    bool eligible_leader_replicas = true;
    std::uint64_t tail_cache_bytes = 0;
    NetworkOptions network;
    DiskOptions disk;
    CpuOptions cpu;
    ExploreOptions explore;
    std::vector<ClockOptions> clocks;  // by broker
    Duration unclean_check_interval = seconds(300);
    /// Of a quorum, whose machines fail as brokers' do; 0: one metadata node that never fails.
    std::uint32_t controllers = 0;
    Duration quorum_election_timeout = milliseconds(200);
    Duration quorum_fetch_timeout = milliseconds(400);
    std::vector<ClockOptions> controller_clocks;
    /// Of __consumer_offsets, with as many replicas as the topic's partitions; 0: there is none.
    std::uint32_t offsets_partitions = 0;
    // Of the metadata log: Kafka's defaults.
    std::uint64_t quorum_snapshot_bytes = 20U << 20;
    std::uint64_t quorum_retention_bytes = 100U << 20;
    std::uint64_t quorum_segment_bytes = 1U << 30;
    std::uint32_t quorum_slice_records = 500;
};

struct WorkloadPlan {
    std::vector<workload::ProducerWorkload> producers;  // Pacing::skip is from the edits
    std::vector<workload::ConsumerWorkload> consumers;
    std::vector<workload::MemberWorkload> members;  // of consumer groups
};

struct RunPlan {
    std::uint64_t seed = 0;
    PlanOptions options;
    PlanEdits edits;

    ClusterPlan cluster;
    WorkloadPlan workload;
    std::vector<FaultEvent> faults;  // by (at, id), without those removed and those after the cut
    std::size_t faults_drawn = 0;    // before the edits
    Duration warm_up;                // no fault falls before
    Duration safety;                 // length of the phase in which faults fall, warm-up included
    Duration liveness_bound;         // within which all must be well after healing
    /// Leaders change often, news of it comes late, and answers leave slowly: file ranges are still
    /// queued when what they name is cut and written anew.
    bool stale_views = false;
    /// Who stays down after healing: never so many that the rest cannot make progress.
    std::vector<std::uint32_t> left_down;

    /// Who steers the run beside these faults, and the token that names it then.
    DirectorFactory director;
    std::string token;
    /// The same plan with other edits; empty: make_plan() with them.
    std::function<RunPlan(const PlanEdits&)> edited;
};

RunPlan make_plan(std::uint64_t seed, const PlanOptions& options, const PlanEdits& edits = {});

/// The same plan with other edits.
inline RunPlan with_edits(const RunPlan& plan, const PlanEdits& edits) {
    if (plan.edited) return plan.edited(edits);
    return make_plan(plan.seed, plan.options, edits);
}

nlohmann::json to_json(const FaultEvent& fault);
nlohmann::json to_json(const RunPlan& plan);

}  // namespace klamm::sim
