#include "sim/scenario/deeds.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/run/listener.h"

namespace klamm::sim {

namespace {

/// Longer than any run: until it is taken back.
constexpr Duration until_healed = seconds(100'000);
constexpr Duration election_patience = seconds(10);
/// Numbers of faults that no drawn plan reaches.
constexpr std::uint32_t first_number = 5'000;
constexpr DrawDomain place_domain = draw_domain("scenario.place");

std::uint64_t tag_of(std::size_t line, std::uint64_t what) {
    return fold64(0x7363'656e'6172'696fULL, fold64(line, what));
}

bool is_pause(const FaultEvent& fault) { return fault.kind == FaultKind::pause; }

}  // namespace

void Deeds::miss(std::size_t line, const std::string& what) {
    if (line == 0) return;
    misses_.push_back(fmt::format("line {}: {}", line, what));
}

FaultEvent& Deeds::make(FaultKind kind, std::vector<std::uint32_t> targets, const Deed& deed) {
    FaultEvent fault;
    fault.id = fault_id(kind, first_number + made_[kind]++);
    fault.kind = kind;
    fault.at = world().now();
    fault.duration = deed.lasting.value_or(until_healed);
    fault.targets = std::move(targets);
    fault.amount = deed.amount;
    faults_.push_back(std::move(fault));
    return faults_.back();
}

std::vector<NodeId> Deeds::resolve(const Whos& whos, std::uint64_t key, std::size_t line) {
    std::vector<NodeId> nodes;
    for (std::size_t i = 0; i < whos.size(); ++i) {
        const std::vector<NodeId> found = cast_.find(whos[i], fold64(key, i));
        if (found.empty()) miss(line, "nobody is who it is aimed at");
        for (const NodeId node : found)
            if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
    }
    return nodes;
}

void Deeds::act(const Deed& deed, std::uint64_t key, std::size_t line) {
    switch (deed.verb) {
        case Verb::none: return;
        case Verb::name:
            for (const auto& [name, who] : deed.names) {
                const std::vector<NodeId> nodes = resolve({who}, key, line);
                if (!nodes.empty()) cast_.name(name, nodes.front());
            }
            return;
        case Verb::cut:
        case Verb::mend:
        case Verb::stall:
        case Verb::reset: links(deed, key, line); return;
        case Verb::move_leader:
        case Verb::elect_unclean:
        case Verb::configure: administer(deed, key, line); return;
        case Verb::on: request(deed, key, line); return;
        case Verb::site: {
            FaultEvent& fault = make(FaultKind::maybe_site, {}, deed);
            fault.draw = static_cast<std::uint64_t>(deed.site);
            if (line != 0) sites_.try_emplace(line, deed.site, taken(deed.site));
            storm_.fall(fault);
            return;
        }
        case Verb::swizzle: swizzle(deed, key, line); return;
        case Verb::stall_each: stall_each(deed, key, line); return;
        case Verb::reuse: reuse(deed, key, line); return;
        case Verb::last_copy: last_copy(deed, key, line); return;
        case Verb::power: power(deed, resolve(deed.who, key, line), line); return;
        case Verb::slow:
        case Verb::links:
        case Verb::disk:
        case Verb::clock:
            for (const NodeId node : resolve(deed.who, key, line)) condition(deed, node, key, line);
            return;
        default: process(deed, resolve(deed.who, key, line), line); return;
    }
}

void Deeds::process(const Deed& deed, const std::vector<NodeId>& nodes, std::size_t line) {
    for (const NodeId node : nodes) {
        const bool broker = cluster_.target_of(node) >= 0;
        switch (deed.verb) {
            case Verb::kill: strike(FaultKind::kill, node, deed, line); break;
            case Verb::kill_in_write: strike(FaultKind::kill_in_turn, node, deed, line); break;
            case Verb::stop: strike(FaultKind::clean_restart, node, deed, line); break;
            case Verb::wipe: strike(FaultKind::wipe, node, deed, line); break;
            case Verb::start:
                if (!broker || world().alive(node))
                    miss(line, world().name(node) + " is up already");
                else
                    storm_.start(static_cast<std::size_t>(cluster_.target_of(node)));
                break;
            case Verb::pause:
                if (broker) {
                    strike(FaultKind::pause, node, deed, line);
                } else {
                    world().pause(node);
                    paused_.insert(node);
                    listener_.note("fault", "pause " + world().name(node));
                    if (deed.lasting)
                        world().schedule(world().now() + *deed.lasting, tag_of(line, 1),
                                         [this, node] { take_back(node, true, 0); });
                }
                break;
            default: take_back(node, true, line); break;  // resume
        }
    }
}

void Deeds::strike(FaultKind kind, NodeId node, const Deed& deed, std::size_t line) {
    const std::int32_t broker = cluster_.target_of(node);
    if (broker < 0)
        return miss(line, world().name(node) + " is no machine that faults are aimed at");
    if (!world().alive(node) && kind != FaultKind::wipe)
        return miss(line, world().name(node) + " is down already");
    change(deed, node);
    const FaultEvent& fault = make(kind, {static_cast<std::uint32_t>(broker)}, deed);
    if (kind == FaultKind::pause) lasting_[static_cast<std::size_t>(broker)].push_back(&fault);
    storm_.fall(fault);
}

/// What a broker is configured with from its next start on.
void Deeds::change(const Deed& deed, NodeId node) {
    const std::int32_t broker = cluster_.broker_index(node);
    if (broker < 0 || deed.options.empty()) return;
    cluster_.configure(static_cast<std::size_t>(broker), [&](server::BrokerSettings& settings) {
        for (const auto& [option, value] : deed.options) {
            const Status status = config::set(settings.options, option, value);
            KLAMM_ASSERT(status.ok());  // it was tried when the file was read
        }
    });
}

void Deeds::swizzle(const Deed& deed, std::uint64_t key, std::size_t line) {
    std::vector<std::uint32_t> targets;
    for (const NodeId node : resolve(deed.who, key, line)) {
        const std::int32_t target = cluster_.target_of(node);
        if (target < 0)
            miss(line, world().name(node) + " is no machine that faults are aimed at");
        else
            targets.push_back(static_cast<std::uint32_t>(target));
    }
    if (targets.empty()) return;
    FaultEvent& fault = make(FaultKind::partition_swizzled, std::move(targets), deed);
    fault.draw = world().draws().word(place_domain, key, 0);
    storm_.fall(fault);
}

void Deeds::stall_each(const Deed& deed, std::uint64_t key, std::size_t line) {
    FaultEvent& fault = make(FaultKind::connections_apart, {}, deed);
    const auto& clients = cluster_.clients();
    for (const NodeId node : resolve(deed.who, key, line)) {
        const auto found = std::find(clients.begin(), clients.end(), node);
        if (found == clients.end()) return miss(line, world().name(node) + " is no client");
        fault.draw = static_cast<std::uint64_t>(found - clients.begin());
        if (!storm_.fall(fault)) miss(line, world().name(node) + " has no connection");
    }
}

void Deeds::reuse(const Deed& deed, std::uint64_t key, std::size_t line) {
    std::vector<std::uint32_t> targets;
    for (const Whos* whos : {&deed.who, &deed.other}) {
        const std::vector<NodeId> nodes = resolve(*whos, key++, line);
        const std::int32_t broker = nodes.empty() ? -1 : cluster_.broker_index(nodes.front());
        if (broker < 0) return miss(line, "addresses are those of brokers");
        targets.push_back(static_cast<std::uint32_t>(broker));
    }
    if (targets[0] == targets[1]) return miss(line, "it has that address already");
    if (!storm_.fall(make(FaultKind::address_reused, std::move(targets), deed)))
        miss(line, "one of the two is down");
}

void Deeds::last_copy(const Deed& deed, std::uint64_t key, std::size_t line) {
    FaultEvent& fault = make(FaultKind::last_copy, {}, deed);
    fault.duration = milliseconds(500);
    // Of all partitions the number it is about, and beyond that chance.
    fault.draw = world().draws().word(place_domain, key, 0) / cluster_.partitions().size() *
                     cluster_.partitions().size() +
                 static_cast<std::uint64_t>(deed.partition);
    if (!storm_.fall(fault)) miss(line, "there are no two good copies whose brokers may lead");
}

void Deeds::power(const Deed& deed, const std::vector<NodeId>& nodes, std::size_t line) {
    std::vector<std::uint32_t> targets;
    for (const NodeId node : nodes) {
        const std::int32_t broker = cluster_.target_of(node);
        if (broker < 0)
            miss(line, world().name(node) + " is no machine that faults are aimed at");
        else
            targets.push_back(static_cast<std::uint32_t>(broker));
    }
    if (targets.empty()) return;
    for (const NodeId node : nodes) change(deed, node);
    FaultKind kind = FaultKind::power_loss_some;
    if (targets.size() == 1) kind = FaultKind::power_loss_one;
    if (targets.size() == cluster_.brokers().size()) kind = FaultKind::power_loss_all;
    storm_.fall(make(kind, std::move(targets), deed));
}

/// Ends the pauses of a node, or else what was done to its disk.
void Deeds::take_back(NodeId node, bool pauses, std::size_t line) {
    const std::int32_t broker = cluster_.target_of(node);
    if (broker < 0) {
        if (paused_.erase(node) > 0)
            world().resume(node);
        else if (line > 0)
            miss(line, world().name(node) + " is not paused");
        return;
    }
    auto& faults = lasting_[static_cast<std::size_t>(broker)];
    const std::size_t before = faults.size();
    std::erase_if(faults, [&](const FaultEvent* fault) {
        if (is_pause(*fault) != pauses) return false;
        if (fault->at + fault->duration > world().now()) storm_.end(*fault);
        return true;
    });
    if (faults.size() == before) miss(line, world().name(node) + " has nothing to end");
}

/// What befalls files or whole disks; the process need not run.
void Deeds::medium(const Deed& deed, std::size_t broker, std::uint64_t key, std::size_t line) {
    std::vector<std::uint32_t> targets{static_cast<std::uint32_t>(broker)};
    if (deed.kind == FaultKind::disk_swap) {
        const std::vector<NodeId> others = resolve(deed.other, key + 1, line);
        const std::int32_t other = others.empty() ? -1 : cluster_.target_of(others.front());
        if (other < 0 || static_cast<std::size_t>(other) == broker)
            return miss(line, "there is no other disk to swap with");
        targets.push_back(static_cast<std::uint32_t>(other));
    }
    FaultEvent* fault = nullptr;
    if (deed.kind == FaultKind::disk_rollback && !deed.remember) {
        const auto remembered = remembered_.find(broker);
        if (remembered == remembered_.end()) return miss(line, "nothing of it is remembered");
        fault = remembered->second;
        fault->at = world().now();
        fault->duration = deed.lasting.value_or(until_healed);
        remembered_.erase(remembered);
    } else {
        fault =
            &make(deed.remember ? FaultKind::disk_rollback : deed.kind, std::move(targets), deed);
    }
    if (deed.remember) {
        remembered_[broker] = fault;
        return storm_.remember(*fault);
    }
    fault->aim = deed.aim;
    fault->draw = world().draws().word(place_domain, key, 0);
    if (deed.kind == FaultKind::disk_unreadable || deed.kind == FaultKind::disk_swap)
        lasting_[broker].push_back(fault);
    const bool later = deed.kind == FaultKind::disk_misdirect;
    if (!storm_.fall(*fault) && !later) miss(line, "nothing on its disk is as it is aimed at");
}

void Deeds::condition(const Deed& deed, NodeId node, std::uint64_t key, std::size_t line) {
    const std::int32_t broker = cluster_.target_of(node);
    if (broker < 0)
        return miss(line, world().name(node) + " is no machine that faults are aimed at");
    if (deed.well) return take_back(node, false, line);
    if (deed.verb == Verb::disk && (deed.remember || DiskTroubles::handles(deed.kind)))
        return medium(deed, static_cast<std::size_t>(broker), key, line);
    if (!world().alive(node) && deed.kind != FaultKind::clock_step)
        return miss(line, world().name(node) + " is down");
    const FaultEvent& fault = make(deed.kind, {static_cast<std::uint32_t>(broker)}, deed);
    if (deed.verb == Verb::disk) lasting_[static_cast<std::size_t>(broker)].push_back(&fault);
    storm_.fall(fault);
}

void Deeds::links(const Deed& deed, std::uint64_t key, std::size_t line) {
    if (deed.all) {
        if (cuts_.empty()) miss(line, "nothing is cut");
        mend(Pairs(cuts_.begin(), cuts_.end()));
        return;
    }
    Pairs pairs;
    const std::vector<NodeId> others = resolve(deed.other, key + 1, line);
    for (const NodeId from : resolve(deed.who, key, line))
        for (const NodeId to : others) {
            if (from == to) continue;
            pairs.emplace_back(from, to);
            if (deed.both_ways) pairs.emplace_back(to, from);
        }
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    if (pairs.empty()) return miss(line, "there is no link");
    if (deed.verb == Verb::mend) return mend(pairs);
    const std::int32_t broker = cluster_.target_of(pairs.front().first);
    const std::uint32_t target = broker < 0 ? 0 : static_cast<std::uint32_t>(broker);
    if (deed.verb == Verb::cut) {
        cuts_.insert(pairs.begin(), pairs.end());
        storm_.cut(
            make(deed.both_ways ? FaultKind::partition_two_way : FaultKind::partition_one_way,
                 {target}, deed),
            pairs);
        if (deed.lasting)
            world().schedule(world().now() + *deed.lasting, tag_of(line, 2),
                             [this, pairs, healings = healings_] {
                                 if (healings == healings_) mend(pairs);
                             });
        return;
    }
    if (deed.verb == Verb::stall) {
        for (const auto& [from, to] : pairs) world().stall_link(from, to, *deed.lasting);
        storm_.struck(make(FaultKind::link_stall, {target}, deed));
        return;
    }
    bool any = false;
    for (const ConnectionView& view : world().connections()) {
        if (std::find(pairs.begin(), pairs.end(), std::pair{view.from, view.to}) == pairs.end())
            continue;
        world().reset_connection(view.key);
        any = true;
    }
    if (!any) return miss(line, "there is no connection");
    storm_.struck(make(FaultKind::connection_reset, {target}, deed));
}

void Deeds::request(const Deed& deed, std::uint64_t key, std::size_t line) {
    RequestRule rule;
    rule.api = deed.api;
    rule.from = resolve(deed.who, key, line);
    rule.to = resolve(deed.other, key + 1, line);
    if (rule.from.empty() != deed.who.empty() || rule.to.empty() != deed.other.empty()) return;
    rule.nth = deed.nth;
    rule.point = deed.applied ? RequestRule::Point::after : RequestRule::Point::before;
    rule.reset = deed.kind == FaultKind::connection_reset;
    rule.error = deed.error;
    rule.duration = deed.lasting.value_or(Duration{});
    rule.tag = tag_of(line, 3);
    ++unmet_[line];
    const FaultEvent& fault = make(deed.kind, {0}, deed);
    rule.met = [this, &fault, line] {
        --unmet_[line];
        storm_.struck(fault);
    };
    storm_.requests().add(std::move(rule));
}

void Deeds::mend(const Pairs& pairs) {
    for (const auto& pair : pairs) {
        const auto found = cuts_.find(pair);
        if (found == cuts_.end()) continue;
        cuts_.erase(found);
        storm_.mend({pair});
    }
}

void Deeds::administer(const Deed& deed, std::uint64_t key, std::size_t line) {
    const TopicPartition partition{trial_topic, PartitionIndex(deed.partition)};
    if (deed.verb == Verb::configure) {
        for (const auto& [option, value] : deed.options) {
            if (!cluster_.administer(server::ChangeConfig{cluster_.topic(), option, value}))
                miss(line, "no controller is active");
            listener_.note("admin", fmt::format("sets {}={}", option, value));
        }
        return;
    }
    FaultKind kind = FaultKind::elect_unclean;
    std::vector<std::uint32_t> targets;
    server::AdminCommand command;
    Deed lasting = deed;
    if (!lasting.lasting) lasting.lasting = election_patience;
    if (deed.verb == Verb::move_leader) {
        const std::vector<NodeId> nodes = resolve(deed.who, key, line);
        const std::int32_t broker = nodes.empty() ? -1 : cluster_.broker_index(nodes.front());
        if (broker < 0) return miss(line, "leadership moves to brokers");
        kind = FaultKind::move_leader;
        targets.push_back(static_cast<std::uint32_t>(broker));
        command = server::MoveLeader{partition, BrokerId(broker + 1)};
    } else {
        command = server::ElectUnclean{partition, *lasting.lasting};
    }
    FaultEvent& fault = make(kind, std::move(targets), lasting);
    fault.draw = static_cast<std::uint64_t>(deed.partition);
    storm_.fall(fault);
    if (!cluster_.administer(std::move(command))) miss(line, "no controller is active");
}

std::uint64_t Deeds::taken(Site site) {
    std::uint64_t all = 0;
    for (std::uint32_t i = 0; i < world().nodes(); ++i)
        all += world().maybes(NodeId(i)).taken(site);
    return all;
}

void Deeds::heal() {
    for (const auto& [line, site] : sites_)
        if (taken(site.first) == site.second) miss(line, "nothing rare was done there");
    sites_.clear();
    for (const auto& [line, rules] : unmet_)
        if (rules > 0) miss(line, "no such request was sent");
    for (const NodeId node : paused_) world().resume(node);
    paused_.clear();
    cuts_.clear();
    lasting_.clear();
    unmet_.clear();
    ++healings_;
}

}  // namespace klamm::sim
