#include "sim/run/storm.h"

#include <algorithm>
#include <limits>

#include "sim/judge/groups.h"

namespace klamm::sim {

namespace {

constexpr DrawDomain stop_domain = draw_domain("run.start_after_stop");
constexpr DrawDomain heal_domain = draw_domain("run.start_after_healing");

/// From a decision of the metadata node to its record being committed, at the very most.
constexpr Duration record_delay_max = seconds(1);

/// How long a machine is down in which another's disk is put.
constexpr Duration swap_takes = milliseconds(200);

enum class Tag : std::uint64_t { fall = 1, end = 2, start = 3, image = 4 };

std::uint64_t tag(Tag what, std::int64_t which) {
    return fold64(static_cast<std::uint64_t>(what), static_cast<std::uint64_t>(which));
}

bool is_cut(FaultKind kind) {
    return kind == FaultKind::partition_two_way || kind == FaultKind::partition_one_way ||
           kind == FaultKind::isolate_from_controller || kind == FaultKind::isolate_clients ||
           kind == FaultKind::rack_cut;
}

bool is_disk(FaultKind kind) {
    return kind == FaultKind::disk_error_writes || kind == FaultKind::disk_error_syncs ||
           kind == FaultKind::disk_full || kind == FaultKind::disk_full_late ||
           kind == FaultKind::disk_lies;
}

/// What befalls a member of a group befalls it as it does a broker.
FaultKind as_process(FaultKind kind) {
    switch (kind) {
        case FaultKind::member_kill: return FaultKind::kill;
        case FaultKind::member_pause: return FaultKind::pause;
        case FaultKind::member_restart: return FaultKind::clean_restart;
        default: return kind;
    }
}

}  // namespace

Storm::Storm(Cluster& cluster, Judge& judge, Listener& listener, const RunPlan& plan,
             const RunHooks& hooks, RunResult& result)
    : cluster_(cluster),
      judge_(judge),
      listener_(listener),
      plan_(plan),
      hooks_(hooks),
      result_(result),
      conditions_(cluster, plan.cluster),
      disks_(cluster, judge),
      requests_(cluster.world(), hooks.tap) {
    for (const std::uint32_t target : cluster.targets()) brokers_[target];
}

void Storm::begin() {
    if (std::any_of(plan_.faults.begin(), plan_.faults.end(), [](const FaultEvent& fault) {
            return fault.kind == FaultKind::request_refused;
        }))
        requests_.watch();
    for (const FaultEvent& fault : plan_.faults) {
        ++result_.planned[static_cast<std::size_t>(fault.kind)];
        world().schedule(fault.at, tag(Tag::fall, fault.id), [this, &fault] {
            if (ask(fault)) fall(fault);
        });
        if (fault.kind == FaultKind::disk_rollback)
            world().schedule(std::max(world().now(), fault.at - nanoseconds(fault.amount)),
                             tag(Tag::image, fault.id), [this, &fault] { remember(fault); });
    }
}

bool Storm::ask(const FaultEvent& fault) {
    const bool by_administrator =
        fault.kind == FaultKind::move_leader || fault.kind == FaultKind::elect_unclean;
    // The metadata node has them in its script.
    if (!cluster_.has_quorum() || !by_administrator || healed_) return true;
    return cluster_.administer(cluster_.command_of(fault, plan_));
}

bool Storm::fall(const FaultEvent& fault) {
    if (healed_ || !strike(fault)) return false;
    const bool crash =
        fault.kind == FaultKind::kill || fault.kind == FaultKind::wipe ||
        fault.kind == FaultKind::power_loss_one || fault.kind == FaultKind::power_loss_some ||
        fault.kind == FaultKind::power_loss_all || fault.kind == FaultKind::power_loss_rack ||
        fault.kind == FaultKind::address_reused || fault.kind == FaultKind::last_copy ||
        fault.kind == FaultKind::disk_rot || fault.kind == FaultKind::disk_rollback ||
        fault.kind == FaultKind::disk_lost_directory || fault.kind == FaultKind::member_kill;
    fired(fault, !crash);
    return true;
}

void Storm::fired(const FaultEvent& fault, bool tell_judge) {
    ++result_.fired[static_cast<std::size_t>(fault.kind)];
    result_.fired_ids.push_back(fault.id);
    if (tell_judge) judge_.on_fault(world().now(), fault.id);
    if (hooks_.fault_sink) hooks_.fault_sink(world().now(), fault);
    listener_.note("fault", to_string(fault));
}

bool Storm::strike(const FaultEvent& fault) {
    if (is_cut(fault.kind)) return strike_cut(fault);
    // A disk in the wrong machine is left alone, and so are the files of a process that runs on it.
    const auto away = [this](std::uint32_t target) { return disks_.away(target); };
    const bool at_disk = DiskTroubles::handles(fault.kind) || fault.kind == FaultKind::wipe;
    if (at_disk && std::any_of(fault.targets.begin(), fault.targets.end(), away)) return false;
    if (DiskTroubles::handles(fault.kind)) return strike_disk(fault);
    switch (as_process(fault.kind)) {
        case FaultKind::kill:
        case FaultKind::kill_in_turn:
        case FaultKind::pause:
        case FaultKind::clean_restart:
        case FaultKind::restart_changed:
        case FaultKind::wipe: return strike_process(fault);
        case FaultKind::power_loss_one:
        case FaultKind::power_loss_some:
        case FaultKind::power_loss_rack:
        case FaultKind::power_loss_all: return strike_power(fault);
        case FaultKind::maybe_site: return strike_site(fault);
        case FaultKind::partition_swizzled: return strike_swizzled(fault);
        case FaultKind::connections_apart: return strike_client(fault);
        case FaultKind::address_reused: return strike_address(fault);
        case FaultKind::request_refused: return strike_request(fault);
        case FaultKind::last_copy: return strike_copies(fault);
        case FaultKind::connection_reset:
        case FaultKind::half_open:
        case FaultKind::connection_stall:
        case FaultKind::link_stall: return strike_connection(fault);
        case FaultKind::move_leader:
        case FaultKind::elect_unclean:
            moves_due_.push_back(&fault);  // the metadata node has it in its script
            return false;
        default: return strike_condition(fault);
    }
}

bool Storm::strike_process(const FaultEvent& fault) {
    const std::size_t broker = fault.targets.front();
    const bool alive = world().alive(node(broker));
    if (!alive && fault.kind != FaultKind::wipe) return false;
    switch (as_process(fault.kind)) {
        case FaultKind::kill: {
            KillRule rule;
            if (fault.amount == kill_keeps_nothing) rule.keep = 0;
            if (fault.amount == kill_keeps_all) rule.keep = std::numeric_limits<int>::max();
            current_ = &fault;
            world().kill(node(broker), rule);
            current_ = nullptr;
            start_later(broker, fault.duration);
            return true;
        }
        case FaultKind::wipe:
            current_ = &fault;
            world().wipe(node(broker));
            current_ = nullptr;
            start_later(broker, fault.duration);
            return true;
        case FaultKind::kill_in_turn: {
            KillRule rule;
            rule.when = KillRule::When::in_turn;
            rule.skip = static_cast<std::uint32_t>(fault.amount);
            rule.only_with_writes = fault.draw % 2 == 0;
            brokers_[broker].armed = &fault;
            world().kill(node(broker), rule);
            return false;  // counted when it happens
        }
        case FaultKind::pause:
            if (!slips(hooks_.slip, Slip::pause_inert)) conditions_.pause(broker);
            world().schedule(world().now() + fault.duration, tag(Tag::end, fault.id),
                             [this, &fault] { end(fault); });
            return true;
        default:
            if (brokers_[broker].asked != nullptr) return false;
            if (fault.kind == FaultKind::restart_changed) change_options(fault);
            brokers_[broker].asked = &fault;
            world().ask_stop(node(broker));
            return true;
    }
}

bool Storm::strike_power(const FaultEvent& fault) {
    std::vector<NodeId> nodes;
    bool any = false;
    for (const std::uint32_t target : fault.targets) {
        nodes.push_back(node(target));
        any = any || world().alive(node(target));
        // A disk that answers nothing answers again after its machine has been off.
    }
    current_ = &fault;
    power_hit_.clear();
    world().power_loss(nodes);
    current_ = nullptr;
    for (const std::uint32_t target : fault.targets) start_later(target, fault.duration);
    return any || !power_hit_.empty();
}

std::vector<std::pair<NodeId, NodeId>> Storm::pairs_of(const FaultEvent& fault) const {
    std::vector<std::pair<NodeId, NodeId>> pairs;
    const NodeId target = node(fault.targets.front());
    const auto both = [&](NodeId other) {
        pairs.emplace_back(target, other);
        pairs.emplace_back(other, target);
    };
    // A broker is parted from brokers, a controller from all that are not clients.
    std::vector<NodeId> others = cluster_.brokers();
    if (fault.targets.front() >= first_controller)
        others.insert(others.end(), cluster_.controllers().begin(), cluster_.controllers().end());
    switch (fault.kind) {
        case FaultKind::partition_two_way:
            for (const NodeId other : others)
                if (other != target) both(other);
            break;
        case FaultKind::partition_one_way:
            for (const NodeId other : others)
                if (other != target) pairs.emplace_back(target, other);
            break;
        case FaultKind::rack_cut:
            others = cluster_.brokers();
            others.insert(others.end(), cluster_.controllers().begin(),
                          cluster_.controllers().end());
            for (const std::uint32_t member : fault.targets) std::erase(others, node(member));
            for (const std::uint32_t member : fault.targets)
                for (const NodeId other : others) {
                    pairs.emplace_back(node(member), other);
                    pairs.emplace_back(other, node(member));
                }
            break;
        case FaultKind::isolate_from_controller:
            for (const NodeId other : cluster_.controllers())
                if (other != target) both(other);
            break;
        default:
            for (const NodeId client : cluster_.clients()) both(client);
            break;
    }
    return pairs;
}

bool Storm::strike_cut(const FaultEvent& fault) {
    const auto pairs = pairs_of(fault);
    const bool hit = std::any_of(pairs.begin(), pairs.end(), [this](const auto& pair) {
        return !world().connections(pair.first, pair.second).empty();
    });
    if (!hit) return false;
    if (!slips(hooks_.slip, Slip::cut_inert))
        for (const auto& [from, to] : pairs) conditions_.cut(from, to);
    world().schedule(world().now() + fault.duration, tag(Tag::end, fault.id),
                     [this, &fault] { end(fault); });
    return true;
}

bool Storm::strike_connection(const FaultEvent& fault) {
    const NodeId target = node(fault.targets.front());
    if (fault.kind == FaultKind::link_stall) {
        const NodeId other = node(fault.targets.back());
        if (world().connections(target, other).empty()) return false;
        world().stall_link(target, other, fault.duration);
        return true;
    }
    std::vector<ConnectionView> found;
    for (const ConnectionView& view : world().connections())
        if (view.from == target || view.to == target) found.push_back(view);
    if (found.empty()) return false;
    // By key: the same one falls though others have been made or closed before it.
    const ConnectionView chosen = *std::min_element(
        found.begin(), found.end(), [&](const ConnectionView& a, const ConnectionView& b) {
            return fold64(a.key, fault.draw) < fold64(b.key, fault.draw);
        });
    switch (fault.kind) {
        case FaultKind::connection_reset: world().reset_connection(chosen.key); break;
        case FaultKind::half_open:
            world().half_open(chosen.key, fault.draw % 2 == 0 ? chosen.from : chosen.to);
            break;
        default: world().stall_connection(chosen.key, fault.duration); break;
    }
    return true;
}

bool Storm::strike_condition(const FaultEvent& fault) {
    const std::size_t broker = fault.targets.front();
    if (fault.kind == FaultKind::clock_step) {
        world().step_wall(node(broker), nanoseconds(fault.amount));
        return true;
    }
    if (!world().alive(node(broker))) return false;
    if (is_disk(fault.kind)) brokers_[broker].disk_fault = fault.id;
    const bool inert = is_disk(fault.kind) && slips(hooks_.slip, Slip::disk_faults_inert);
    if (fault.kind == FaultKind::disk_stall)
        conditions_.stall_disk(broker);
    else if (!inert)
        conditions_.add(fault);
    world().schedule(world().now() + fault.duration, tag(Tag::end, fault.id),
                     [this, &fault] { end(fault); });
    return true;
}

bool Storm::strike_disk(const FaultEvent& fault) {
    for (const std::uint32_t target : fault.targets) brokers_[target].disk_fault = fault.id;
    if (!DiskTroubles::kills(fault.kind)) {
        const bool hit = disks_.strike(fault);
        if (hit && fault.kind == FaultKind::disk_unreadable)
            world().schedule(world().now() + fault.duration, tag(Tag::end, fault.id),
                             [this, &fault] { end(fault); });
        return hit;
    }
    current_ = &fault;
    const bool hit = disks_.strike(fault);
    current_ = nullptr;
    const bool swap = fault.kind == FaultKind::disk_swap;
    if (hit)
        for (const std::uint32_t target : fault.targets)
            start_later(target, swap ? swap_takes : fault.duration);
    if (hit && swap)
        world().schedule(world().now() + fault.duration, tag(Tag::end, fault.id),
                         [this, &fault] { end(fault); });
    return hit;
}

void Storm::end_swap(const FaultEvent& fault) {
    current_ = &fault;
    disks_.end(fault);
    current_ = nullptr;
    for (const std::uint32_t target : fault.targets) start_later(target, swap_takes);
}

FaultId Storm::went_astray(std::size_t broker) {
    const FaultEvent* fault = disks_.went_astray(broker);
    if (fault == nullptr) return fault_none;
    fired(*fault, false);
    return fault->id;
}

void Storm::end(const FaultEvent& fault) {
    if (over(fault)) return;
    if (fault.kind == FaultKind::maybe_site) return end_site(fault);
    if (fault.kind == FaultKind::address_reused) {
        const NodeId named = node(fault.targets.front());
        return world().redirect(named, named);
    }
    if (fault.kind == FaultKind::disk_swap) return end_swap(fault);
    if (DiskTroubles::handles(fault.kind)) return disks_.end(fault);
    if (is_cut(fault.kind)) {
        for (const auto& [from, to] : pairs_of(fault)) conditions_.mend(from, to);
    } else if (as_process(fault.kind) == FaultKind::pause) {
        conditions_.resume(fault.targets.front());
    } else if (fault.kind == FaultKind::disk_stall) {
        conditions_.release_disk(fault.targets.front());
    } else {
        conditions_.remove(fault);
    }
}

void Storm::cut(const FaultEvent& fault, const Pairs& pairs) {
    for (const auto& [from, to] : pairs) conditions_.cut(from, to);
    fired(fault, true);
}

void Storm::mend(const Pairs& pairs) {
    if (healed_) return;
    for (const auto& [from, to] : pairs) conditions_.mend(from, to);
}

void Storm::start(std::size_t broker) {
    brokers_[broker].down_until = world().now();
    if (!world().alive(node(broker))) world().start(node(broker));
}

void Storm::start_later(std::size_t broker, Duration after) {
    Broker& state = brokers_[broker];
    state.down_until = std::max(state.down_until, world().now() + after);
    world().schedule(
        state.down_until, tag(Tag::start, static_cast<std::int64_t>(broker)), [this, broker] {
            const Broker& now = brokers_[broker];
            if (now.held || world().alive(node(broker)) || world().now() < now.down_until) return;
            world().start(node(broker));
        });
}

FaultId Storm::crashed(std::size_t broker, CrashKind kind, bool damaged) {
    Broker& state = brokers_[broker];
    const FaultEvent* armed = state.armed;
    state.armed = nullptr;
    state.asked = nullptr;
    if (kind == CrashKind::power && damaged) power_hit_.insert(broker);
    if (current_ != nullptr) return current_->id;
    if (armed == nullptr) return fault_none;
    fired(*armed, false);
    start_later(broker, armed->duration);
    return armed->id;
}

void Storm::stopped(std::size_t broker, int status) {
    Broker& state = brokers_[broker];
    state.armed = nullptr;
    const Duration after =
        state.asked != nullptr && status == 0
            ? state.asked->duration
            : milliseconds(world().draws().between(100, 2'000, stop_domain, broker,
                                                   world().incarnation(node(broker))));
    state.asked = nullptr;
    start_later(broker, after);
}

FaultId Storm::disk_fault(std::size_t broker) const { return brokers_.at(broker).disk_fault; }

void Storm::committed(const facts::PartitionCommitted& fact) {
    if (fact.partition.topic == offsets_topic && !members_begun_) {
        members_begun_ = true;
        for (std::uint32_t i = 0; i < cluster_.members().size(); ++i)
            start_later(first_member + i, {});
    }
    FaultKind kind = FaultKind::count_;
    if (fact.cause == facts::PartitionChangeCause::preferred) kind = FaultKind::move_leader;
    if (fact.cause == facts::PartitionChangeCause::elected_by_administrator)
        kind = FaultKind::elect_unclean;
    if (kind == FaultKind::count_) return;
    // The oldest that still waits: an administrator's patience is over after `duration`, and the
    // record is committed once it is synced.
    std::erase_if(moves_due_, [this](const FaultEvent* fault) {
        return fault->at + fault->duration + record_delay_max < world().now();
    });
    const auto found =
        std::find_if(moves_due_.begin(), moves_due_.end(), [&](const FaultEvent* fault) {
            return fault->kind == kind && cluster_.partition_of(*fault) == fact.partition &&
                   (kind != FaultKind::move_leader ||
                    static_cast<std::int32_t>(fault->targets.front() + 1) == fact.leader.value);
        });
    if (found == moves_due_.end()) return;
    const FaultEvent* fault = *found;
    moves_due_.erase(found);
    fired(*fault, true);
}

void Storm::heal(const std::vector<std::uint32_t>& left_down) {
    if (slips(hooks_.slip, Slip::healing_left_out)) return;
    healed_ = true;
    settle();
    for (const NodeId broker : cluster_.brokers()) world().redirect(broker, broker);
    conditions_.clear();
    disks_.heal();
    requests_.end();
    for (auto& [i, broker] : brokers_) {
        world().disarm(node(i));
        broker.armed = nullptr;  // what kills it from here on is no fault
    }
    for (auto& [i, broker] : brokers_) {
        broker.held = std::find(left_down.begin(), left_down.end(), i) != left_down.end();
        if (broker.held) {
            world().kill(node(i));
        } else if (!world().alive(node(i))) {
            broker.down_until = world().now();
            start_later(i, milliseconds(world().draws().between(0, 300, heal_domain, i, 0)));
        }
    }
}

void Storm::go_on() {
    healed_ = false;
    over_before_ = world().now();
    for (auto& [target, broker] : brokers_) broker.held = false;
    conditions_.restore();
    requests_.go_on();
}

}  // namespace klamm::sim
