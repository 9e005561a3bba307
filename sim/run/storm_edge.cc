// Faults of several steps: sites, cuts one after another, addresses that another has, and the last
// good copy.

#include <algorithm>

#include "core/config/table.h"
#include "core/protocol/error_code.h"
#include "core/protocol/messages/api_key.h"
#include "sim/run/storm.h"

namespace klamm::sim {

namespace {

constexpr DrawDomain apart_domain = draw_domain("run.connections_apart");
constexpr DrawDomain changed_domain = draw_domain("run.restart_changed");
constexpr DrawDomain copies_domain = draw_domain("run.last_copy");
constexpr std::uint64_t edge_tag = 0x6564'6765'0000'0000ULL;
/// Numbers of attacks, beyond those of plans and of scenarios.
constexpr std::uint32_t first_attack = 7'000;
constexpr std::uint32_t attacks_each_max = 3;
/// What the last copy's broker meets, soon after all others have lost theirs.
constexpr FaultKind attacks[] = {
    FaultKind::kill,
    FaultKind::kill_in_turn,
    FaultKind::pause,
    FaultKind::clean_restart,
    FaultKind::isolate_from_controller,
    FaultKind::partition_two_way,
    FaultKind::power_loss_one,
    FaultKind::disk_stall,
};

std::uint64_t entity_of(const FaultEvent& fault) { return static_cast<std::uint64_t>(fault.id); }

}  // namespace

// --- Sites

bool Storm::strike_site(const FaultEvent& fault) {
    const Site site = site_of(fault);
    std::uint64_t taken = 0;
    for (std::uint32_t i = 0; i < world().nodes(); ++i) {
        world().maybes(NodeId(i)).set(site, fault.amount);
        taken += world().maybes(NodeId(i)).taken(site);
    }
    sites_.push_back({&fault, taken});
    const Instant until =
        fault.duration.nanoseconds == 0 ? Instant{} + plan_.safety : world().now() + fault.duration;
    world().schedule(until, fold64(edge_tag, entity_of(fault)), [this, &fault] { end(fault); });
    return false;  // counted when it is over
}

void Storm::end_site(const FaultEvent& fault) {
    const auto found = std::find_if(sites_.begin(), sites_.end(),
                                    [&](const auto& one) { return one.fault == &fault; });
    if (found == sites_.end()) return;
    const Site site = site_of(fault);
    std::uint64_t taken = 0;
    for (std::uint32_t i = 0; i < world().nodes(); ++i) {
        world().maybes(NodeId(i)).set(site, 0);
        taken += world().maybes(NodeId(i)).taken(site);
    }
    if (taken > found->taken_before) fired(fault, true);
    sites_.erase(found);
}

void Storm::settle() {
    while (!sites_.empty()) end_site(*sites_.front().fault);
}

// --- The network

/// FoundationDB's swizzle: all are cut off in the first half, one by one, and come back in the
/// second, in another order.
bool Storm::strike_swizzled(const FaultEvent& fault) {
    std::vector<NodeId> all = cluster_.brokers();
    all.insert(all.end(), cluster_.controllers().begin(), cluster_.controllers().end());
    const auto step = fault.duration / static_cast<std::int64_t>(2 * fault.targets.size());
    const auto in_order = [&](std::uint64_t salt) {
        std::vector<std::uint32_t> order = fault.targets;
        std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return fold64(fold64(fault.draw, salt), a) < fold64(fold64(fault.draw, salt), b);
        });
        return order;
    };
    const auto later = [&](Instant when, std::uint32_t target, bool cut) {
        world().schedule(when,
                         fold64(edge_tag, fold64(entity_of(fault), target * 2 + (cut ? 1 : 0))),
                         [this, &fault, all, target, cut] {
                             if (over(fault)) return;
                             const NodeId self = node(target);
                             for (const NodeId other : all) {
                                 if (other == self) continue;
                                 if (cut) {
                                     conditions_.cut(self, other);
                                     conditions_.cut(other, self);
                                 } else {
                                     conditions_.mend(self, other);
                                     conditions_.mend(other, self);
                                 }
                             }
                         });
    };
    const auto out = in_order(1);
    const auto back = in_order(2);
    for (std::size_t i = 0; i < out.size(); ++i) {
        later(world().now() + step * static_cast<std::int64_t>(i), out[i], true);
        later(world().now() + step * static_cast<std::int64_t>(out.size() + i), back[i], false);
    }
    return true;
}

bool Storm::strike_client(const FaultEvent& fault) {
    const NodeId client = cluster_.clients()[fault.draw % cluster_.clients().size()];
    bool any = false;
    for (const ConnectionView& view : world().connections()) {
        if (view.from != client) continue;
        world().stall_connection(
            view.key, Duration{world().draws().exponential(fault.duration.nanoseconds, apart_domain,
                                                           entity_of(fault), view.key)});
        any = true;
    }
    return any;
}

/// Errors with which a broker, or a controller, may answer without having looked at a request.
bool Storm::strike_request(const FaultEvent& fault) {
    struct Answers {
        protocol::ApiKey api;
        protocol::ErrorCode errors[3];
    };
    using protocol::ApiKey;
    using protocol::ErrorCode;
    constexpr Answers all[] = {
        {ApiKey::produce,
         {ErrorCode::not_leader_or_follower, ErrorCode::request_timed_out,
          ErrorCode::not_enough_replicas}},
        {ApiKey::fetch,
         {ErrorCode::not_leader_or_follower, ErrorCode::unknown_leader_epoch,
          ErrorCode::kafka_storage_error}},
        {ApiKey::list_offsets,
         {ErrorCode::not_leader_or_follower, ErrorCode::offset_not_available,
          ErrorCode::leader_not_available}},
        {ApiKey::init_producer_id,
         {ErrorCode::coordinator_load_in_progress, ErrorCode::coordinator_load_in_progress,
          ErrorCode::coordinator_not_available}},
        {ApiKey::alter_partition,
         {ErrorCode::not_controller, ErrorCode::unknown_server_error,
          ErrorCode::request_timed_out}},
        {ApiKey::broker_heartbeat,
         {ErrorCode::not_controller, ErrorCode::unknown_server_error,
          ErrorCode::request_timed_out}},
    };
    const Answers& chosen = all[fault.draw % std::size(all)];
    RequestRule rule;
    rule.api = static_cast<std::int16_t>(chosen.api);
    rule.error = static_cast<std::int16_t>(chosen.errors[(fault.draw >> 32) % 3]);
    rule.tag = fold64(edge_tag, entity_of(fault));
    rule.met = [this, &fault] { fired(fault, true); };
    requests_.add(std::move(rule));
    return false;  // counted when such a request is sent
}

bool Storm::strike_address(const FaultEvent& fault) {
    const NodeId named = node(fault.targets.front());
    const NodeId other = node(fault.targets.back());
    if (!world().alive(named) || !world().alive(other)) return false;
    current_ = &fault;
    world().kill(named);
    current_ = nullptr;
    world().redirect(named, other);
    world().schedule(world().now() + fault.duration, fold64(edge_tag, entity_of(fault)),
                     [this, &fault] { end(fault); });
    start_later(fault.targets.front(), fault.duration);
    return true;
}

// --- Configuration

/// Another draw of what brokers may be configured with. What liveness is measured by stays: timers,
/// and at least as much room for what followers fetch.
void Storm::change_options(const FaultEvent& fault) {
    const Draws draws = world().draws().fork(changed_domain, entity_of(fault));
    config::BrokerOptions fresh = config::draw_hostile(draws, 0).broker;
    cluster_.configure(fault.targets.front(), [&](server::BrokerSettings& settings) {
        const config::BrokerOptions& old = settings.options;
        fresh.node_id = old.node_id;
        fresh.shards = old.shards;
        fresh.broker_rack = old.broker_rack;
        fresh.auto_create_topics_enable = old.auto_create_topics_enable;
        fresh.topic = old.topic;
        fresh.broker_session_timeout_ms = old.broker_session_timeout_ms;
        fresh.broker_heartbeat_interval_ms = old.broker_heartbeat_interval_ms;
        fresh.replica_lag_time_max_ms = old.replica_lag_time_max_ms;
        fresh.replica_fetch_wait_max_ms = old.replica_fetch_wait_max_ms;
        fresh.replica_fetch_backoff_ms = old.replica_fetch_backoff_ms;
        fresh.request_timeout_ms = old.request_timeout_ms;
        fresh.replica_fetch_min_bytes =
            std::min(fresh.replica_fetch_min_bytes, old.replica_fetch_min_bytes);
        fresh.replica_fetch_max_bytes =
            std::max(fresh.replica_fetch_max_bytes, old.replica_fetch_max_bytes);
        fresh.replica_fetch_response_max_bytes =
            std::max(fresh.replica_fetch_response_max_bytes, old.replica_fetch_response_max_bytes);
        settings.options = fresh;
        settings.tail_cache_bytes = draws.below(3, changed_domain, 0, 0) * 2'000;
    });
}

// --- The last copy

bool Storm::strike_copies(const FaultEvent& fault) {
    const TopicPartition partition = cluster_.partition_of(fault);
    std::vector<std::uint32_t> good;
    for (const BrokerId id : judge_.good_candidates(partition)) {
        const auto broker = static_cast<std::uint32_t>(id.value - 1);
        if (!disks_.away(broker)) good.push_back(broker);
    }
    if (good.size() < 2) return false;
    const std::uint32_t survivor =
        *std::min_element(good.begin(), good.end(), [&](std::uint32_t a, std::uint32_t b) {
            return fold64(fault.draw, a) < fold64(fault.draw, b);
        });
    current_ = &fault;
    for (const std::uint32_t broker : good) {
        if (broker == survivor) continue;
        world().wipe(node(broker));
        const std::int64_t away = world().draws().exponential(
            fault.duration.nanoseconds, copies_domain, entity_of(fault), broker);
        start_later(broker, Duration{away});
    }
    current_ = nullptr;
    for (std::uint32_t n = 0; n < fault.amount && n < attacks_each_max; ++n)
        attack(fault, n, survivor);
    return true;
}

void Storm::attack(const FaultEvent& cause, std::uint32_t nth, std::uint32_t survivor) {
    const Draws draws = world().draws().fork(copies_domain, fold64(entity_of(cause), nth));
    const std::uint32_t number = static_cast<std::uint32_t>(cause.id % fault_id_stride);
    FaultEvent fault;
    fault.kind = attacks[draws.below(std::size(attacks), copies_domain, 0, 0)];
    fault.id = fault_id(fault.kind, first_attack + (number * attacks_each_max + nth) % 2'000);
    fault.at =
        world().now() + Duration{draws.exponential(seconds(1).nanoseconds, copies_domain, 0, 1)};
    fault.duration =
        milliseconds(5) + Duration{draws.exponential(seconds(1).nanoseconds, copies_domain, 0, 2)};
    fault.targets = {survivor};
    fault.amount =
        fault.kind == FaultKind::kill_in_turn ? draws.between(0, 20, copies_domain, 0, 3) : 0;
    fault.draw = draws.word(copies_domain, 0, 4);
    attacks_.push_back(fault);
    const FaultEvent& kept = attacks_.back();
    ++result_.planned[static_cast<std::size_t>(kept.kind)];
    world().schedule(kept.at, fold64(edge_tag, entity_of(kept)), [this, &kept] {
        if (!over(kept)) fall(kept);
    });
}

}  // namespace klamm::sim
