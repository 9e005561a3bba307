#include "sim/run/conditions.h"

#include <algorithm>

namespace klamm::sim {

Conditions::Conditions(Cluster& cluster, const ClusterPlan& plan)
    : cluster_(cluster), plan_(plan), brokers_(cluster.brokers().size()) {}

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
        if (fault.kind == FaultKind::disk_full)
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
            case FaultKind::slow_link: apply_links(target); break;
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
            default: break;
        }
    }
    world().set_disk_options(node(broker), options);
}

void Conditions::apply_links(std::size_t broker) {
    const auto slowness = [this](std::size_t which) {
        std::int64_t microseconds_more = 0;
        for (const auto& [id, fault] : brokers_[which].faults)
            if (fault.kind == FaultKind::slow_link) microseconds_more += fault.amount;
        return microseconds_more;
    };
    const auto set = [&](NodeId other, std::int64_t more) {
        LinkOptions options = plan_.network.link;
        options.delay_base = options.delay_base + microseconds(more);
        world().set_link(node(broker), other, options);
        world().set_link(other, node(broker), options);
    };
    const std::int64_t own = slowness(broker);
    for (std::size_t other = 0; other < brokers_.size(); ++other)
        if (other != broker) set(node(other), own + slowness(other));
    set(cluster_.controller(), own);
    for (const NodeId client : cluster_.clients()) set(client, own);
}

void Conditions::apply_drift(std::size_t broker) {
    std::int64_t ppm = plan_.clocks[broker].drift_ppm;
    for (const auto& [id, fault] : brokers_[broker].faults)
        if (fault.kind == FaultKind::clock_drift) ppm = fault.amount;
    world().set_drift(node(broker), ppm);
}

void Conditions::clear() {
    cuts_.clear();
    world().heal_all();
    for (std::size_t i = 0; i < brokers_.size(); ++i) {
        Broker& broker = brokers_[i];
        if (broker.paused > 0) world().resume(node(i));
        if (broker.stalled > 0) world().stall_disk(node(i), false);
        broker = Broker{};
    }
    NetworkOptions network = plan_.network;
    network.link = LinkOptions{};
    network.file_range_lag_rate = 0;
    world().set_network_options(network);
    for (std::size_t i = 0; i < brokers_.size(); ++i) {
        apply_disk(i);
        apply_drift(i);
        for (const NodeId other : cluster_.brokers())
            if (other != node(i)) world().set_link(node(i), other, network.link);
        for (const NodeId client : cluster_.clients()) {
            world().set_link(node(i), client, network.link);
            world().set_link(client, node(i), network.link);
        }
        world().set_link(node(i), cluster_.controller(), network.link);
        world().set_link(cluster_.controller(), node(i), network.link);
    }
}

}  // namespace klamm::sim
