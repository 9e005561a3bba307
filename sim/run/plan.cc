// Draws a plan: the cluster's options from hostile but lawful ranges, clients that write and read
// all the while, and for each fault kind whether it falls, how often, and its events one by one.

#include "sim/run/plan.h"

#include <algorithm>

#include "sim/run/fault_rates.h"

namespace klamm::sim {

namespace {

constexpr DrawDomain cluster_domain = draw_domain("plan.cluster");
constexpr DrawDomain network_domain = draw_domain("plan.network");
constexpr DrawDomain disk_domain = draw_domain("plan.disk");
constexpr DrawDomain clock_domain = draw_domain("plan.clock");
constexpr DrawDomain workload_domain = draw_domain("plan.workload");
constexpr DrawDomain client_domain = draw_domain("plan.client");
constexpr DrawDomain length_domain = draw_domain("plan.length");
constexpr DrawDomain timers_domain = draw_domain("plan.timers");
constexpr DrawDomain healing_domain = draw_domain("plan.healing");
constexpr DrawDomain quorum_domain = draw_domain("plan.quorum");
constexpr DrawDomain ranges_domain = draw_domain("plan.ranges");
constexpr DrawDomain topology_domain = draw_domain("plan.topology");
constexpr DrawDomain explore_domain = draw_domain("plan.explore");
constexpr DrawDomain groups_domain = draw_domain("plan.groups");

constexpr std::int64_t stale_views_rate = 300'000;

constexpr std::uint32_t brokers_default = 3;
constexpr std::uint32_t first_producer = 1;
constexpr std::uint32_t first_consumer = 50;
constexpr std::uint32_t first_group_member = 70;

/// One of a few values, each as likely as it is often in the list.
template <class T>
T pick(const Draws& draws, DrawDomain domain, std::uint64_t entity, std::uint64_t n,
       std::initializer_list<T> values) {
    return values.begin()[draws.below(values.size(), domain, entity, n)];
}

/// Timers divided by ten and more: one seed then holds many elections.
bool timers_compressed(const RunPlan& plan) {
    if (plan.options.profile == Profile::calm) return true;
    return Draws(plan.seed).happens(900'000, timers_domain, 0, 0);
}

void compress_timers(config::BrokerOptions& broker, const Draws& draws) {
    broker.broker_session_timeout_ms = pick(draws, timers_domain, 0, 1, {1'000, 1'500, 3'000});
    broker.broker_heartbeat_interval_ms =
        broker.broker_session_timeout_ms / pick(draws, timers_domain, 0, 2, {3, 5, 8});
    broker.replica_lag_time_max_ms =
        pick<std::int64_t>(draws, timers_domain, 0, 3, {500, 1'000, 2'000, 3'000});
    broker.replica_fetch_wait_max_ms = static_cast<std::int32_t>(std::min<std::int64_t>(
        pick(draws, timers_domain, 0, 4, {50, 100, 200, 400}), broker.replica_lag_time_max_ms / 2));
    broker.replica_fetch_backoff_ms = pick(draws, timers_domain, 0, 5, {10, 50, 200});
    broker.request_timeout_ms = pick(draws, timers_domain, 0, 6, {500, 1'000, 2'000});
}

/// Three brokers; at the edge up to five, in racks, of which three hold each partition.
std::uint32_t make_topology(ClusterPlan& cluster, const RunPlan& plan, const Draws& draws) {
    if (plan.options.profile != Profile::edge) return brokers_default;
    const auto brokers = pick(draws, topology_domain, 0, 0, {3u, 3u, 4u, 5u, 5u});
    cluster.replication = 3;
    const auto racks = pick(draws, topology_domain, 0, 1, {1u, 2u, 2u, 3u});
    for (std::uint32_t i = 0; racks > 1 && i < brokers; ++i) cluster.racks.push_back(1 + i % racks);
    return brokers;
}

ClusterPlan make_cluster(const RunPlan& plan, const config::HostileOptions& options) {
    const Draws draws(plan.seed);
    ClusterPlan cluster;
    const std::uint32_t brokers = make_topology(cluster, plan, draws);
    cluster.broker = options.broker;
    cluster.topic = options.topic;
    if (timers_compressed(plan)) compress_timers(cluster.broker, draws);
    cluster.broker.topic = cluster.topic;
    cluster.eligible_leader_replicas = options.features.eligible_leader_replicas();
    const bool even = draws.happens(500'000, cluster_domain, 0, 0);
    for (std::uint32_t i = 0; i < brokers; ++i)
        cluster.shards.push_back(
            even ? static_cast<env::ShardIndex>(options.broker.shards)
                 : static_cast<env::ShardIndex>(draws.between(1, 3, cluster_domain, 1, i)));
    cluster.partitions = draws.happens(150'000, cluster_domain, 0, 1) ? 2 : 1;
    cluster.tail_cache_bytes =
        pick<std::uint64_t>(draws, cluster_domain, 0, 2, {0, 0, 300, 2'000, 20'000, 1 << 20});
    cluster.unclean_check_interval =
        pick(draws, cluster_domain, 0, 3, {seconds(1), seconds(5), seconds(300)});

    NetworkOptions& network = cluster.network;
    const bool calm = plan.options.profile == Profile::calm;
    network.link.delay_base = microseconds(draws.between(50, 500, network_domain, 0, 0));
    network.link.delay_mean =
        calm ? microseconds(200)
             : pick(draws, network_domain, 0, 1,
                    {microseconds(100), milliseconds(1), milliseconds(5), milliseconds(20)});
    if (!calm) {
        // Of the tail one packet in ten thousands takes a second: a slow link for once, and long
        // enough to miss a heartbeat by.
        if (!plan.options.off.contains(FaultKind::slow_link))
            network.link.tail_rate =
                pick<std::int64_t>(draws, network_domain, 0, 2, {0, 1'000, 10'000});
        network.split_rate =
            pick<std::int64_t>(draws, network_domain, 0, 3, {1'000, 10'000, 100'000});
        network.short_receive_rate =
            pick<std::int64_t>(draws, network_domain, 0, 4, {1'000, 10'000, 100'000});
        network.reset_on_kill_rate =
            pick<std::int64_t>(draws, network_domain, 0, 5, {0, 300'000, 1'000'000});
    }
    network.window_bytes_min =
        pick<std::uint64_t>(draws, network_domain, 0, 6, {300, 1'000, 16'384, 65'536});
    network.window_bytes_max = network.window_bytes_min * 4;
    network.file_range_lag_rate =
        pick<std::int64_t>(draws, network_domain, 0, 7, {100'000, 300'000, 1'000'000});
    network.file_range_lag_mean =
        pick(draws, network_domain, 0, 8, {milliseconds(1), milliseconds(10), milliseconds(100)});
    network.connect_timeout_min = milliseconds(500);
    network.connect_timeout_max = seconds(3);
    network.break_timeout_min = seconds(2);
    network.break_timeout_max = seconds(20);
    network.retransmit_mean = milliseconds(100);

    DiskOptions& disk = cluster.disk;
    disk.crash_mode =
        draws.happens(300'000, disk_domain, 0, 0) ? CrashMode::ext4_ordered : CrashMode::posix;
    disk.unit_bytes = pick<std::uint32_t>(draws, disk_domain, 0, 1, {0, 512, 512, 4096});
    disk.unit_keep_rate = pick<std::int64_t>(draws, disk_domain, 0, 2, {0, 400'000, 800'000});
    disk.unit_tear_rate = pick<std::int64_t>(draws, disk_domain, 0, 3, {0, 200'000, 500'000});
    disk.unit_tear_rate = std::min(disk.unit_tear_rate, per_million - disk.unit_keep_rate);
    disk.sync_mean =
        pick(draws, disk_domain, 0, 4, {microseconds(300), milliseconds(2), milliseconds(10)});

    for (std::uint32_t i = 0; i < brokers; ++i) {
        ClockOptions clock;
        if (!calm) {
            clock.wall_offset = milliseconds(draws.between(-10'000, 10'000, clock_domain, i, 0));
            clock.drift_ppm = draws.between(-500, 500, clock_domain, i, 1);
        }
        cluster.clocks.push_back(clock);
    }
    return cluster;
}

/// Three controllers mostly; their timeouts are short beside brokers' sessions, and some hasty.
void make_quorum(ClusterPlan& cluster, const Draws& draws, bool compressed) {
    cluster.controllers = pick(draws, quorum_domain, 0, 0, {1u, 2u, 3u, 3u, 3u, 3u, 4u, 5u});
    const std::int64_t unit = compressed ? 1 : 5;
    cluster.quorum_election_timeout =
        milliseconds(pick<std::int64_t>(draws, quorum_domain, 0, 1, {100, 200, 400})) * unit;
    cluster.quorum_fetch_timeout =
        milliseconds(pick<std::int64_t>(draws, quorum_domain, 0, 2, {200, 400, 800})) * unit;
    // A run has some ten thousand bytes of metadata: most seeds hold several snapshots.
    cluster.quorum_snapshot_bytes =
        pick<std::uint64_t>(draws, quorum_domain, 0, 3, {500, 2'000, 5'000, 20U << 20});
    cluster.quorum_retention_bytes =
        pick<std::uint64_t>(draws, quorum_domain, 0, 4, {0, 0, 5'000, 100U << 20});
    cluster.quorum_segment_bytes =
        pick<std::uint64_t>(draws, quorum_domain, 0, 5, {600, 3'000, 1U << 30});
    cluster.quorum_slice_records = pick(draws, quorum_domain, 0, 6, {1u, 3u, 500u});
    for (std::uint32_t i = 0; i < cluster.controllers; ++i)
        cluster.controller_clocks.push_back(
            {.wall_offset = milliseconds(draws.between(-10'000, 10'000, quorum_domain, 1, i)),
             .drift_ppm = draws.between(-500, 500, quorum_domain, 2, i)});
}

/// Answers that are file ranges and leave over many round trips. Windows differ widely between
/// connections, so that one follower is fed while another waits.
void slow_ranges(ClusterPlan& cluster, const Draws& draws) {
    if (draws.happens(700'000, ranges_domain, 1, 0))
        cluster.shards.assign(cluster.shards.size(), 1);  // across shards no range is queued
    cluster.tail_cache_bytes = 0;
    config::BrokerOptions& broker = cluster.broker;
    broker.replica_fetch_max_bytes = std::max(broker.replica_fetch_max_bytes, 100'000);
    broker.replica_fetch_response_max_bytes =
        std::max(broker.replica_fetch_response_max_bytes, 100'000);
    NetworkOptions& network = cluster.network;
    network.window_bytes_min = pick<std::uint64_t>(draws, ranges_domain, 1, 1, {500, 1'000, 2'000});
    network.window_bytes_max =
        network.window_bytes_min * pick<std::uint64_t>(draws, ranges_domain, 1, 2, {4, 16});
    network.link.delay_mean =
        pick(draws, ranges_domain, 1, 3, {milliseconds(1), milliseconds(5), milliseconds(10)});
    network.file_range_lag_rate =
        pick<std::int64_t>(draws, ranges_domain, 1, 4, {100'000, 300'000, 1'000'000});
    network.file_range_lag_mean =
        pick(draws, ranges_domain, 1, 5, {milliseconds(50), milliseconds(200)});
}

std::vector<std::string> bootstrap(std::uint32_t brokers) {
    std::vector<std::string> servers;
    for (std::uint32_t i = 1; i <= brokers; ++i)
        servers.push_back("broker-" + std::to_string(i) + ":9092");
    return servers;
}

void make_workload(RunPlan& plan, const config::HostileOptions& first) {
    const Draws draws(plan.seed);
    const auto brokers = static_cast<std::uint32_t>(plan.cluster.shards.size());
    const std::uint64_t producers = 1 + draws.below(3, workload_domain, 0, 0);
    // All producers together begin about 36 operations a second.
    const Duration mean = milliseconds(16) * static_cast<std::int64_t>(producers);
    const auto room =
        static_cast<std::uint32_t>(std::min(plan.cluster.topic.effective_segment_bytes(),
                                            plan.cluster.topic.max_message_bytes) /
                                   2);
    for (std::uint32_t i = 0; i < producers; ++i) {
        const config::HostileOptions own =
            i == 0 ? first : config::draw_hostile(draws.fork(client_domain, i), i);
        workload::ProducerWorkload producer;
        producer.client = first_producer + i;
        producer.partitions = static_cast<std::int32_t>(plan.cluster.partitions);
        producer.options = own.producer;
        producer.options.batch_size =
            std::min(producer.options.batch_size, first.producer.batch_size);
        producer.options.client.bootstrap_servers = bootstrap(brokers);
        producer.options.client.request_timeout_ms =
            std::min(producer.options.client.request_timeout_ms,
                     pick(draws, client_domain, i, 0, {1'000, 2'000, 5'000}));
        producer.options.client.metadata_max_age_ms =
            std::min<std::int64_t>(producer.options.client.metadata_max_age_ms, 5'000);
        // A client that gives up is worth little: most keep on for the whole storm.
        producer.options.delivery_timeout_ms =
            std::max(producer.options.delivery_timeout_ms,
                     producer.options.client.request_timeout_ms +
                         static_cast<std::int32_t>(producer.options.linger_ms));
        // The first producer promises: without acks=all there is little to judge.
        if (i == 0) {
            producer.options.acks = -1;
        }
        if (producer.options.acks != -1) producer.options.enable_idempotence = false;
        producer.pacing.operations =
            static_cast<std::uint32_t>(plan.safety.nanoseconds / (mean.nanoseconds / 2)) + 10;
        producer.pacing.start = milliseconds(200);
        producer.pacing.gap = {milliseconds(1), mean};
        producer.pacing.stop_after = plan.safety;
        producer.records_max = pick(draws, client_domain, i, 1, {1u, 1u, 2u, 4u});
        producer.value_bytes_max =
            std::min(pick(draws, client_domain, i, 2, {16u, 64u, 300u, 2'000u}), room / 2);
        if (plan.stale_views)
            producer.value_bytes_max =
                std::min(pick(draws, ranges_domain, 2, i, {300u, 1'500u, 4'000u}), room / 2);
        producer.outstanding_max = pick(draws, client_domain, i, 3, {50u, 200u, 1'000u});
        if (const auto skipped = plan.edits.skipped.find(producer.client);
            skipped != plan.edits.skipped.end())
            producer.pacing.skip = skipped->second;
        plan.workload.producers.push_back(std::move(producer));
    }
    const std::uint64_t consumers = 1 + draws.below(2, workload_domain, 0, 1);
    for (std::uint32_t i = 0; i < consumers; ++i) {
        workload::ConsumerWorkload consumer;
        consumer.client = first_consumer + i;
        consumer.partitions = static_cast<std::int32_t>(plan.cluster.partitions);
        consumer.options =
            config::draw_hostile(draws.fork(client_domain, consumer.client), 0).consumer;
        consumer.options.auto_offset_reset = config::OffsetReset::earliest;
        consumer.options.client.bootstrap_servers = bootstrap(brokers);
        consumer.options.client.request_timeout_ms =
            std::max(consumer.options.fetch_max_wait_ms + 100,
                     std::min(consumer.options.client.request_timeout_ms,
                              pick(draws, client_domain, consumer.client, 0, {1'000, 3'000})));
        consumer.options.client.metadata_max_age_ms =
            std::min<std::int64_t>(consumer.options.client.metadata_max_age_ms, 5'000);
        consumer.options.fetch_min_bytes = std::min(consumer.options.fetch_min_bytes, 200);
        const Duration pause =
            milliseconds(pick(draws, client_domain, consumer.client, 1, {50, 100, 200}));
        consumer.pacing.operations =
            static_cast<std::uint32_t>(plan.safety.nanoseconds / (pause.nanoseconds / 2)) + 10;
        consumer.pacing.start = milliseconds(300);
        consumer.pacing.gap = {milliseconds(1), pause};
        consumer.pacing.stop_after = plan.safety;
        consumer.restart_rate =
            pick<std::int64_t>(draws, client_domain, consumer.client, 2, {0, 5'000, 20'000});
        if (const auto skipped = plan.edits.skipped.find(consumer.client);
            skipped != plan.edits.skipped.end())
            consumer.pacing.skip = skipped->second;
        plan.workload.consumers.push_back(std::move(consumer));
    }
}

/// One group or two that read everything; members come and go, and coordinators with the brokers.
void make_members(RunPlan& plan, const Draws& draws) {
    using Strategy = std::vector<std::string>;
    config::BrokerOptions& broker = plan.cluster.broker;
    broker.group_min_session_timeout_ms = 500;
    // Members never rest: a follower must be able to fetch more than they commit.
    broker.replica_fetch_min_bytes = 1;
    broker.replica_fetch_max_bytes = std::max(broker.replica_fetch_max_bytes, 100'000);
    broker.replica_fetch_response_max_bytes =
        std::max(broker.replica_fetch_response_max_bytes, 100'000);
    broker.group_initial_rebalance_delay_ms = pick(draws, groups_domain, 0, 0, {0, 200, 1'000});
    broker.offsets_commit_timeout_ms = pick(draws, groups_domain, 0, 1, {500, 2'000, 5'000});
    const auto groups = pick(draws, groups_domain, 0, 2, {1u, 1u, 2u});
    for (std::uint32_t g = 0; g < groups; ++g) {
        const auto strategy = pick<Strategy>(
            draws, groups_domain, 1 + g, 0,
            {{"range", "cooperative-sticky"}, {"cooperative-sticky"}, {"roundrobin"}});
        const auto session = pick(draws, groups_domain, 1 + g, 1, {1'000, 1'500, 3'000});
        const auto members = pick(draws, groups_domain, 1 + g, 2, {2u, 3u, 4u, 6u});
        for (std::uint32_t i = 0; i < members; ++i) {
            const auto number = static_cast<std::uint32_t>(plan.workload.members.size());
            const std::uint64_t entity = 10 + number;
            workload::MemberWorkload member;
            member.client = first_group_member + number;
            member.partitions = static_cast<std::int32_t>(plan.cluster.partitions);
            config::ConsumerOptions& options = member.options;
            options.client.bootstrap_servers =
                bootstrap(static_cast<std::uint32_t>(plan.cluster.shards.size()));
            // SyncGroup waits for a commit; half a second may be what one takes.
            options.client.request_timeout_ms =
                pick(draws, groups_domain, entity, 0, {1'500, 3'000, 5'000});
            options.client.metadata_max_age_ms = 5'000;
            options.client.retry_backoff_ms = 50;
            options.client.retry_backoff_max_ms = 500;
            options.fetch_max_wait_ms = 100;
            options.auto_offset_reset = config::OffsetReset::earliest;
            options.group_id = g == 0 ? "group" : "other-group";
            // Of static members a part; who comes back within its session keeps what it had.
            if (draws.happens(300'000, groups_domain, entity, 1))
                options.group_instance_id = "member-" + std::to_string(number + 1);
            options.partition_assignment_strategy = strategy;
            options.session_timeout_ms = session;
            options.heartbeat_interval_ms = session / 4;
            options.max_poll_interval_ms = pick(draws, groups_domain, entity, 2, {2'000, 5'000});
            options.enable_auto_commit = draws.happens(300'000, groups_domain, entity, 3);
            options.auto_commit_interval_ms = 300;
            member.start = milliseconds(draws.between(200, 2'000, groups_domain, entity, 4));
            member.gap = {milliseconds(5),
                          milliseconds(pick(draws, groups_domain, entity, 5, {20, 50, 150}))};
            member.commit_rate = pick(draws, groups_domain, entity, 6, {50'000, 150'000, 400'000});
            member.patience = seconds(pick(draws, groups_domain, entity, 7, {1, 5}));
            plan.workload.members.push_back(std::move(member));
        }
    }
}

/// How long a follower may take to copy the whole log anew, by what the options allow it: a fetch
/// brings a batch at least, and is parked for its full wait when it may not carry what it waits
/// for.
Duration copy_time_max(const RunPlan& plan) {
    constexpr Duration round_trip = milliseconds(50);  // over healed links, with a sync
    constexpr std::int64_t record_overhead = 100;      // a batch of one record, at most
    const config::BrokerOptions& broker = plan.cluster.broker;
    const std::int64_t room =
        std::min(broker.replica_fetch_max_bytes, broker.replica_fetch_response_max_bytes);
    std::int64_t batches = 0;
    std::int64_t bytes = 0;
    std::int64_t batch_bytes = 0;
    for (const workload::ProducerWorkload& producer : plan.workload.producers) {
        const std::int64_t records =
            std::int64_t{producer.pacing.operations} * producer.records_max;
        batches += records;
        bytes += records * (producer.value_bytes_max + record_overhead);
        batch_bytes = std::max<std::int64_t>(batch_bytes, producer.options.batch_size);
    }
    // Whole batches fill half of the room, or are one.
    const std::int64_t fetches = std::min(batches, 2 * bytes / std::max<std::int64_t>(room, 1) + 2);
    const bool parked =
        broker.replica_fetch_min_bytes > 1 && room < broker.replica_fetch_min_bytes + batch_bytes;
    const Duration wait = milliseconds(parked ? broker.replica_fetch_wait_max_ms : 0);
    return (round_trip + wait) * fetches;
}

}  // namespace

RunPlan make_plan(std::uint64_t seed, const PlanOptions& options, const PlanEdits& edits) {
    const Draws draws(seed);
    RunPlan plan;
    plan.seed = seed;
    plan.options = options;
    plan.edits = edits;
    config::HostileOptions hostile = config::draw_hostile(draws, 0);
    // acks=all is refused by fewer than this many; a cluster of three should be able to lose one,
    // mostly.
    if (hostile.topic.min_insync_replicas > 2 && draws.happens(700'000, cluster_domain, 0, 9))
        hostile.topic.min_insync_replicas = 2;
    plan.cluster = make_cluster(plan, hostile);
    plan.stale_views = options.profile != Profile::calm && timers_compressed(plan) &&
                       draws.happens(stale_views_rate, ranges_domain, 0, 0);
    if (plan.stale_views) slow_ranges(plan.cluster, draws);
    const bool quorum_at_edge =
        options.profile == Profile::edge && draws.happens(300'000, topology_domain, 1, 0);
    if (options.profile == Profile::quorum || quorum_at_edge)
        make_quorum(plan.cluster, draws, timers_compressed(plan));
    plan.cluster.explore.how = options.explore;
    plan.cluster.explore.window =
        pick(draws, explore_domain, 0, 0,
             {microseconds(200), milliseconds(1), milliseconds(5), milliseconds(20)});
    plan.cluster.explore.depth = pick(draws, explore_domain, 0, 1, {1u, 3u, 10u, 30u});
    plan.warm_up = milliseconds(1'500);
    plan.safety = options.length.value_or(seconds(draws.between(20, 45, length_domain, 0, 0)) *
                                          (timers_compressed(plan) ? 1 : 3));
    plan.safety = std::max(plan.safety, seconds(2));
    if (options.profile == Profile::groups) {
        plan.cluster.partitions = pick(draws, groups_domain, 0, 3, {2u, 3u, 5u});
        plan.cluster.offsets_partitions = pick(draws, groups_domain, 0, 4, {1u, 1u, 2u});
    }
    if (options.profile == Profile::groups) make_members(plan, draws);
    make_workload(plan, hostile);
    plan.liveness_bound = seconds(timers_compressed(plan) ? 90 : 300) + copy_time_max(plan);

    plan.faults = draw_faults(plan);
    plan.faults_drawn = plan.faults.size();
    std::erase_if(plan.faults, [&](const FaultEvent& fault) {
        return edits.removed.contains(fault.id) || (edits.cut.has_value() && fault.at > *edits.cut);
    });
    // A broker that stays down is killed by the healing: who asks for no kills gets none.
    if (options.profile != Profile::calm && !options.off.contains(FaultKind::kill) &&
        draws.happens(300'000, healing_domain, 0, 0))
        plan.left_down.push_back(static_cast<std::uint32_t>(
            draws.below(plan.cluster.shards.size(), healing_domain, 0, 1)));
    // As many controllers as a majority can do without.
    if (plan.cluster.controllers > 2 && !options.off.contains(FaultKind::kill) &&
        draws.happens(300'000, healing_domain, 1, 0)) {
        const std::uint64_t first = draws.below(plan.cluster.controllers, healing_domain, 1, 1);
        for (std::uint32_t i = 0; i < (plan.cluster.controllers - 1) / 2; ++i)
            plan.left_down.push_back(first_controller + static_cast<std::uint32_t>(first + i) %
                                                            plan.cluster.controllers);
    }
    return plan;
}

}  // namespace klamm::sim
