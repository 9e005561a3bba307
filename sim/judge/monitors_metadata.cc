// The monitors of committed metadata: who was elected and how, who is in the ISR, who is fenced.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/judge/monitors.h"
#include "sim/judge/nodes.h"

namespace klamm::sim {

std::optional<ElectionClass> election_class(const facts::PartitionCommitted& before,
                                            const facts::PartitionCommitted& after) {
    using Cause = facts::PartitionChangeCause;
    if (after.leader == no_broker || after.leader_epoch == before.leader_epoch) return std::nullopt;
    if (after.cause == Cause::elected_last_known) return ElectionClass::last_known;
    if (after.cause == Cause::elected_unclean) return ElectionClass::unclean;
    const bool candidate = contains(before.isr, after.leader) || contains(before.elr, after.leader);
    if (after.cause == Cause::elected_by_administrator && !candidate) return ElectionClass::unclean;
    return ElectionClass::clean;
}

void Monitors::broker_registered(const facts::BrokerRegistered& fact) {
    ++taken_;
    settle_awaited(&fact);
    brokers_[fact.broker].fenced = true;
}

void Monitors::broker_fencing(const facts::BrokerFencing& fact) {
    ++taken_;
    settle_awaited(nullptr);
    brokers_[fact.broker].fenced = fact.fenced;
}

void Monitors::committed(PartitionBook& book,
                         const std::optional<facts::PartitionCommitted>& before, Instant now) {
    ++taken_;
    settle_awaited(nullptr, &book.partition);
    const facts::PartitionCommitted& after = *book.committed;
    if (before.has_value()) {
        // What is set for the topic changes no record of the partition: it is stated again.
        const bool restated = after.cause == facts::PartitionChangeCause::configuration &&
                              after.partition_epoch == before->partition_epoch &&
                              after.leader_epoch == before->leader_epoch &&
                              after.isr == before->isr;
        if (!restated && (after.leader_epoch < before->leader_epoch ||
                          after.partition_epoch <= before->partition_epoch)) {
            red("I2",
                fmt::format("{} is committed with leader epoch {} and partition epoch {} after {} "
                            "and {}",
                            name(book), after.leader_epoch.value, after.partition_epoch.value,
                            before->leader_epoch.value, before->partition_epoch.value),
                now, after.leader);
        }
        if (after.leader_epoch == before->leader_epoch && after.leader != before->leader) {
            red("I2",
                fmt::format("{} changes its leader from {} to {} within leader epoch {}",
                            name(book), before->leader.value, after.leader.value,
                            after.leader_epoch.value),
                now, after.leader);
        }
        check_election(book, *before, now);
    }
    for (const BrokerId member : after.isr) {
        if (!contains(after.replicas, member)) {
            red("I3",
                fmt::format("broker {} is in the ISR of {} and is no replica of it", member.value,
                            name(book)),
                now, member);
        }
        const auto broker = brokers_.find(member);
        if (broker == brokers_.end() || !broker->second.fenced) continue;
        const bool joins = before.has_value() && !contains(before->isr, member);
        if (!joins && !after.elr_enabled && after.isr.size() == 1) continue;
        red("I3",
            fmt::format("broker {} is fenced and in the committed ISR {} of {} (ELR {})",
                        member.value, text(after.isr), name(book),
                        after.elr_enabled ? "on" : "off"),
            now, member);
    }
}

void Monitors::settle_awaited(const facts::BrokerRegistered* registered,
                              const TopicPartition* changed) {
    std::erase_if(awaited_, [&](const Awaited& awaited) {
        // A record of another partition says nothing yet: one registration costs places in many.
        if (changed != nullptr && awaited.partition != *changed) return false;
        const bool cost =
            registered != nullptr && registered->broker == awaited.member && !registered->proven;
        if (!cost) red("I2", awaited.sentence, awaited.time, awaited.leader);
        return true;
    });
}

void Monitors::check_election(PartitionBook& book, const facts::PartitionCommitted& before,
                              Instant now) {
    const facts::PartitionCommitted& after = *book.committed;
    const std::optional<ElectionClass> kind = election_class(before, after);
    if (!kind.has_value()) return;
    const auto illegal = [&](const char* why) {
        red("I2",
            fmt::format("broker {} is elected leader of {} in epoch {} with ISR {} and ELR {} "
                        "before: {}",
                        after.leader.value, name(book), after.leader_epoch.value, text(before.isr),
                        text(before.elr), why),
            now, after.leader);
    };
    switch (*kind) {
        case ElectionClass::clean:
            if (!contains(before.isr, after.leader) && !contains(before.elr, after.leader)) {
                illegal("it is no candidate");
            }
            return;
        case ElectionClass::unclean:
            if (after.cause == facts::PartitionChangeCause::elected_unclean &&
                !after.unclean_enabled) {
                illegal("unclean.leader.election.enable is false");
            }
            return;
        case ElectionClass::last_known: {
            if (!after.elr_enabled) illegal("a last known leader needs ELR");
            bool excused = false;
            for (const Nodes* members : {&before.isr, &before.elr}) {
                for (const BrokerId member : *members) {
                    if (member == after.leader) continue;
                    if (std::exchange(excused, true))
                        return illegal("ISR and ELR have other members");
                    awaited_.push_back(
                        {book.partition, member, after.leader, now,
                         fmt::format(
                             "broker {} is elected last known leader of {} in epoch {} while "
                             "broker {} may lead",
                             after.leader.value, name(book), after.leader_epoch.value,
                             member.value)});
                }
            }
            return;
        }
    }
}

}  // namespace klamm::sim
