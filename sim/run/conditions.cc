#include "sim/run/conditions.h"

#include <algorithm>

namespace klamm::sim {

Conditions::Conditions(Cluster& cluster, const ClusterPlan& plan) : cluster_(cluster), plan_(plan) {
    for (const std::uint32_t target : cluster.targets()) brokers_[target];
}

void Conditions::cut(NodeId from, NodeId to) {
    if (++cuts_[{from, to}] == 1) world().cut(from, to);
}

void Conditions::mend(NodeId from, NodeId to) {
    const auto found = cuts_.find({from, to});
    if (found == cuts_.end() || --found->second > 0) return;
    cuts_.erase(found);
    world().heal(from, to);
}

void Conditions::pause(std::size_t broker) {
    ++brokers_[broker].paused;
    world().pause(node(broker));
}

void Conditions::resume(std::size_t broker) {
    if (brokers_[broker].paused == 0 || --brokers_[broker].paused > 0) return;
    world().resume(node(broker));
}

void Conditions::stall_disk(std::size_t broker) {
    ++brokers_[broker].stalled;
    world().stall_disk(node(broker), true);
}

void Conditions::release_disk(std::size_t broker) {
    if (brokers_[broker].stalled == 0 || --brokers_[broker].stalled > 0) return;
    world().stall_disk(node(broker), false);
}

void Conditions::add(const FaultEvent& fault) {
    for (const std::uint32_t target : fault.targets) {
        brokers_[target].faults.emplace(fault.id, fault);
        if (fault.kind == FaultKind::disk_full || fault.kind == FaultKind::disk_full_late)
            brokers_[target].capacity[fault.id] =
                world().disk_bytes(node(target)) + static_cast<std::uint64_t>(fault.amount);
    }
    apply(fault);
}

void Conditions::remove(const FaultEvent& fault) {
    for (const std::uint32_t target : fault.targets) {
        brokers_[target].faults.erase(fault.id);
        brokers_[target].capacity.erase(fault.id);
    }
    apply(fault);
}

void Conditions::apply(const FaultEvent& fault) {
    for (const std::uint32_t target : fault.targets) {
        switch (fault.kind) {
            case FaultKind::slow_link:
            case FaultKind::link_narrow:
            case FaultKind::link_black_hole: apply_links(target); break;
            case FaultKind::link_refused: apply_refusals(target); break;
            case FaultKind::clock_drift: apply_drift(target); break;
            default: apply_disk(target); break;
        }
    }
}

void Conditions::apply_disk(std::size_t broker) {
    DiskOptions options = plan_.disk;
    for (const auto& [id, fault] : brokers_[broker].faults) {
        switch (fault.kind) {
            case FaultKind::disk_slow: options.slow_factor *= fault.amount; break;
            case FaultKind::disk_error_writes:
                options.write_error_rate = std::max(options.write_error_rate, fault.amount);
                break;
            case FaultKind::disk_error_syncs:
                options.sync_error_rate = std::max(options.sync_error_rate, fault.amount);
                break;
            case FaultKind::disk_full:
                options.capacity_bytes =
                    std::min(options.capacity_bytes, brokers_[broker].capacity.at(id));
                break;
            case FaultKind::disk_full_late:
                options.allocates_late = true;
                options.capacity_bytes =
                    std::min(options.capacity_bytes, brokers_[broker].capacity.at(id));
                break;
            case FaultKind::disk_lies:
                options.sync_lie_rate = std::max(options.sync_lie_rate, fault.amount);
                break;
            default: break;
        }
    }
    world().set_disk_options(node(broker), options);
}

void Conditions::apply_links(std::size_t broker) {
    const auto burden = [this](LinkOptions& options, std::size_t which) {
        for (const auto& [id, fault] : brokers_[which].faults) {
            const auto amount = static_cast<std::uint64_t>(fault.amount);
            if (fault.kind == FaultKind::slow_link)
                options.delay_base = options.delay_base + microseconds(fault.amount);
            if (fault.kind == FaultKind::link_narrow)
                options.bytes_per_second = options.bytes_per_second == 0
                                               ? amount
                                               : std::min(options.bytes_per_second, amount);
            if (fault.kind == FaultKind::link_black_hole)
                options.swallows_above = std::min(options.swallows_above, amount);
        }
    };
    LinkOptions own = plan_.network.link;
    burden(own, broker);
    const auto set = [&](NodeId other, const LinkOptions& options) {
        world().set_link(node(broker), other, options);
        world().set_link(other, node(broker), options);
    };
    for (const auto& [other, state] : brokers_) {
        if (other == broker) continue;
        LinkOptions both = own;
        burden(both, other);
        set(node(other), both);
    }
    if (!cluster_.has_quorum()) set(cluster_.controller(), own);
    for (const NodeId client : cluster_.clients()) set(client, own);
}

void Conditions::apply_refusals(std::size_t broker) {
    const auto& faults = brokers_[broker].faults;
    const bool refused = std::any_of(faults.begin(), faults.end(), [](const auto& one) {
        return one.second.kind == FaultKind::link_refused;
    });
    const auto set = [&](NodeId other) { world().refuse(other, node(broker), refused); };
    for (const auto& [other, state] : brokers_)
        if (other != broker) set(node(other));
    if (!cluster_.has_quorum()) set(cluster_.controller());
    for (const NodeId client : cluster_.clients()) set(client);
}

std::int64_t Conditions::drift_of(std::size_t target) const {
    if (target < first_controller) return plan_.clocks[target].drift_ppm;
    const auto& clocks = plan_.controller_clocks;
    const std::size_t at = target - first_controller;
    return at < clocks.size() ? clocks[at].drift_ppm : 0;
}

void Conditions::apply_drift(std::size_t broker) {
    std::int64_t ppm = drift_of(broker);
    for (const auto& [id, fault] : brokers_[broker].faults)
        if (fault.kind == FaultKind::clock_drift) ppm = fault.amount;
    world().set_drift(node(broker), ppm);
}

void Conditions::clear() {
    cuts_.clear();
    world().heal_all();
    for (auto& [i, broker] : brokers_) {
        if (broker.paused > 0) world().resume(node(i));
        if (broker.stalled > 0) world().stall_disk(node(i), false);
        broker = Broker{};
    }
    NetworkOptions network = plan_.network;
    network.link = LinkOptions{};
    network.file_range_lag_rate = 0;
    world().set_network_options(network);
    for (const auto& [i, broker] : brokers_) {
        apply_disk(i);
        apply_drift(i);
        apply_refusals(i);
        for (const auto& [other, state] : brokers_)
            if (other != i) world().set_link(node(i), node(other), network.link);
        for (const NodeId client : cluster_.clients()) {
            world().set_link(node(i), client, network.link);
            world().set_link(client, node(i), network.link);
        }
        if (cluster_.has_quorum()) continue;
        world().set_link(node(i), cluster_.controller(), network.link);
        world().set_link(cluster_.controller(), node(i), network.link);
    }
}

void Conditions::restore() {
    world().set_network_options(plan_.network);
    for (const auto& [target, state] : brokers_) apply_links(target);
}

}  // namespace klamm::sim
