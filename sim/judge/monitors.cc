// The monitors, one function a fact; check_all() at the end walks whole logs. Those of metadata are
// in monitors_metadata.cc.
#include "sim/judge/monitors.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/judge/groups.h"
#include "sim/judge/nodes.h"

namespace klamm::sim {

namespace {

constexpr std::int64_t sequences = std::int64_t{1} << 31;  // they wrap to 0

/// Index of the chain's link that holds `offset`, or of the first after it.
std::size_t chain_find(const PartitionBook& book, Offset offset) {
    const auto found =
        std::partition_point(book.chain.begin(), book.chain.end(),
                             [offset](const ChainLink& one) { return one.last < offset; });
    return static_cast<std::size_t>(found - book.chain.begin());
}

}  // namespace

std::string Monitors::name(const PartitionBook& book) const {
    const bool offsets = book.partition.topic == offsets_topic;
    return fmt::format("{}-{}", offsets ? offsets_topic_name : topic_,
                       book.partition.partition.value);
}

// I1 and I7, at an append.

void Monitors::appended(PartitionBook& book, std::size_t slot, const facts::BatchAppended& fact,
                        const Appended& result, Instant now) {
    ++taken_;
    const ReplicaBook& replica = book.replicas[slot];
    if (result.conflict != batch_none) {
        const Batch& other = book.batches[result.conflict];
        red("I1",
            fmt::format("broker {} appends to {} another batch at leader epoch {}, offset {}: crc "
                        "{:08x} up to offset {}, where {:08x} up to offset {} was written before",
                        replica.node.value, name(book), fact.epoch.value, fact.base_offset.value,
                        fact.crc, fact.last_offset.value, other.crc, other.last.value),
            now, replica.node);
    }
    if (result.gap) {
        red("I1",
            fmt::format("broker {} appends to {} at offset {}, which is not its log end",
                        replica.node.value, name(book), fact.base_offset.value),
            now, replica.node);
    }
    check_sequence(book, replica, book.batches[result.id], now);
}

void Monitors::check_sequence(PartitionBook& book, const ReplicaBook& replica, const Batch& batch,
                              Instant now) {
    if (batch.producer < 0 || batch.base_sequence < 0) return;
    const std::int64_t previous = replica.held.back().producer_previous;
    const std::int64_t index = previous - replica.number_base;
    if (previous < 0 || index < 0) return;  // the first, or what was before is gone
    const Batch& last = book.batches[replica.held[static_cast<std::size_t>(index)].id];
    std::int64_t expected = 0;
    if (batch.producer_epoch == last.producer_epoch) {
        expected = (last.base_sequence + last.records()) % sequences;
    }
    if (batch.producer_epoch >= last.producer_epoch && batch.base_sequence == expected) return;
    red("I7",
        fmt::format("the log of {} on broker {} has, of one producer, sequence {} (epoch {}) at "
                    "offset {} after sequence {} (epoch {}, {} records) at offset {}",
                    name(book), replica.node.value, batch.base_sequence, batch.producer_epoch.value,
                    batch.base.value, last.base_sequence, last.producer_epoch.value, last.records(),
                    last.base.value),
        now, replica.node);
}

// I2: the high watermark, and the chain.

void Monitors::high_watermark_moved(PartitionBook& book, const facts::HighWatermarkMoved& fact,
                                    Instant now, BrokerId node) {
    ++taken_;
    const std::size_t slot = book.slot(node);
    Watermark& watermark = watermarks_[book.partition];
    const bool newest = fact.epoch >= watermark.epoch;
    if (fact.to <= fact.from || (fact.epoch == watermark.epoch && fact.from < watermark.at)) {
        red("I2",
            fmt::format("the high watermark of {} moves from {} to {} in leader epoch {}, where it "
                        "was {}",
                        name(book), fact.from.value, fact.to.value, fact.epoch.value,
                        watermark.at.value),
            now, node);
    }
    if (newest) watermark = {fact.epoch, fact.to};
    if (static_cast<std::int32_t>(fact.committed_isr.size()) < fact.min_isr) {
        red("I2",
            fmt::format("the high watermark of {} moves to {} while its committed ISR {} is "
                        "smaller than min.insync.replicas {}",
                        name(book), fact.to.value, text(fact.committed_isr), fact.min_isr),
            now, node);
    }
    for (const BrokerId member : fact.committed_isr) {
        if (contains(fact.maximal_isr, member)) continue;
        red("I2",
            fmt::format("the maximal ISR {} of {} does not cover the committed one {}",
                        text(fact.maximal_isr), name(book), text(fact.committed_isr)),
            now, node);
        break;
    }
    const ReplicaBook& leader = book.replicas[slot];
    if (fact.to > leader.end) {
        red("I2",
            fmt::format("the high watermark of {} moves to {}, past the leader's log end {}",
                        name(book), fact.to.value, leader.end.value),
            now, node);
        return;
    }
    if (fact.epoch < book.leading_epoch) return;  // a deposed leader; its successor has the chain
    if (const Held* held = leader.at(fact.to - 1); held != nullptr) {
        check_isr_holds(book, book.batches[held->id], "the high watermark passed", now, node);
    }
    extend_chain(book, leader, fact.to, now);
}

void Monitors::check_isr_holds(PartitionBook& book, const Batch& batch, const char* what,
                               Instant now, BrokerId node) {
    if (!book.committed.has_value() || book.committed->leader != node) return;
    for (const BrokerId member : book.committed->isr) {
        const std::size_t slot = book.slot(member);
        if ((batch.good & bit_of(slot)) != 0 || book.replicas[slot].unproven) continue;
        if (book.replicas[slot].damage_at(batch.base) != nullptr) continue;
        if (batch.last < book.replicas[slot].start) continue;
        red("I1",
            fmt::format("{} offset {} of {} (leader epoch {}), which broker {} of the committed "
                        "ISR {} does not hold",
                        what, batch.last.value, name(book), batch.epoch.value, member.value,
                        text(book.committed->isr)),
            now, node);
        return;
    }
}

void Monitors::extend_chain(PartitionBook& book, const ReplicaBook& leader, Offset to,
                            Instant now) {
    const Offset end = book.chain.empty() ? Offset{0} : book.chain.back().last + 1;
    // The link before the first new one has to be the leader's, too.
    if (!book.chain.empty()) {
        const ChainLink& last = book.chain.back();
        const Held* held = leader.at(last.base);
        if (held != nullptr && held->id != last.id) {
            red("I1",
                fmt::format(
                    "offset {} of {} was below the high watermark in leader epoch {} and is "
                    "another batch, of leader epoch {}, on the leader {}",
                    last.base.value, name(book), book.batches[last.id].epoch.value,
                    book.batches[held->id].epoch.value, leader.node.value),
                now, leader.node);
        }
    }
    for (std::size_t i = leader.find(end); i < leader.held.size(); ++i) {
        const Held& held = leader.held[i];
        if (held.last >= to) break;
        if (held.base >= end) book.chain.push_back({held.id, held.base, held.last});
    }
}

void Monitors::produce_answered(PartitionBook& book, const facts::ProduceAnswered& fact,
                                Instant now, BrokerId node) {
    ++taken_;
    if (fact.error != 0 || fact.acks != -1) return;
    if (static_cast<std::int32_t>(fact.committed_isr.size()) < fact.min_isr) {
        red("I2",
            fmt::format("acks=all for offset {} of {} is answered while the committed ISR {} is "
                        "smaller than min.insync.replicas {}",
                        fact.last_offset.value, name(book), text(fact.committed_isr), fact.min_isr),
            now, node);
    }
    if (fact.epoch < book.leading_epoch) return;
    const ReplicaBook& leader = book.replicas[book.slot(node)];
    const Held* held = leader.at(fact.last_offset);
    if (held == nullptr) return;  // the ledger has said so
    check_isr_holds(book, book.batches[held->id], "acks=all was answered for", now, node);
    // Below what is known of the watermark everything is in the chain.
    const Watermark& watermark = watermarks_[book.partition];
    if (watermark.epoch == fact.epoch && fact.last_offset >= watermark.at) {
        red("I2",
            fmt::format("acks=all for offset {} of {} is answered at high watermark {}",
                        fact.last_offset.value, name(book), watermark.at.value),
            now, node);
    }
}

// I6.

void Monitors::consumer_served(PartitionBook& book, const facts::ConsumerServed& fact, Instant now,
                               BrokerId node) {
    ++taken_;
    if (fact.to > fact.high_watermark) {
        red("I6",
            fmt::format("a consumer of {} is served up to offset {} at high watermark {}",
                        name(book), fact.to.value, fact.high_watermark.value),
            now, node);
    }
    if (fact.epoch < book.leading_epoch) return;  // judged as a promise, under the rules of losses
    const ReplicaBook& replica = book.replicas[book.slot(node)];
    std::size_t link = chain_find(book, fact.from);
    for (std::size_t i = replica.find(fact.from);
         i < replica.held.size() && replica.held[i].base < fact.to; ++i) {
        const Held& held = replica.held[i];
        while (link < book.chain.size() && book.chain[link].last < held.base) ++link;
        if (link == book.chain.size()) return;
        if (book.chain[link].id == held.id) continue;
        red("I6",
            fmt::format("a consumer of {} is served offset {} of leader epoch {}, although that of "
                        "epoch {} came below the high watermark",
                        name(book), held.base.value, book.batches[held.id].epoch.value,
                        book.batches[book.chain[link].id].epoch.value),
            now, node);
        return;
    }
}

// I3.

void Monitors::isr_proposed(PartitionBook& book, const facts::IsrProposed& fact, Instant now,
                            BrokerId node) {
    ++taken_;
    if (fact.joining == no_broker) return;
    const Offset needed = std::max(fact.high_watermark, fact.epoch_start);
    if (fact.joining_log_end < needed) {
        red("I3",
            fmt::format("broker {} is proposed for the ISR of {} with log end {}, below the high "
                        "watermark {} or the epoch start {}",
                        fact.joining.value, name(book), fact.joining_log_end.value,
                        fact.high_watermark.value, fact.epoch_start.value),
            now, node);
        return;
    }
    if (fact.epoch < book.leading_epoch) return;
    const ReplicaBook& joining = book.replicas[book.slot(fact.joining)];
    std::size_t link = chain_find(book, fact.high_watermark);
    if (link == 0) return;
    const ChainLink& last = book.chain[link - 1];
    const Batch& batch = book.batches[last.id];
    if ((batch.good & bit_of(book.slot(fact.joining))) != 0) return;
    if (joining.damage_at(last.base) != nullptr || joining.start > last.last) return;
    red("I3",
        fmt::format("broker {} is proposed for the ISR of {} without offset {} of leader epoch {}, "
                    "which is below the high watermark",
                    fact.joining.value, name(book), last.base.value, batch.epoch.value),
        now, node);
}

void Monitors::leading(PartitionBook& book, const facts::Leading& fact, Instant now,
                       BrokerId node) {
    ++taken_;
    const auto other = book.leaders.find(fact.epoch);
    if (other != book.leaders.end() && other->second != node) {
        red("I2",
            fmt::format("brokers {} and {} both lead {} in epoch {}", other->second.value,
                        node.value, name(book), fact.epoch.value),
            now, node);
    }
    const ReplicaBook& replica = book.replicas[book.slot(node)];
    if (fact.start != replica.end) {
        red("I1",
            fmt::format(
                "broker {} leads {} in epoch {} from offset {}, although its log ends at {}",
                node.value, name(book), fact.epoch.value, fact.start.value, replica.end.value),
            now, node);
    }
}

std::optional<Offset> Monitors::cut_chain(PartitionBook& book, const facts::Leading& fact,
                                          bool excused, Instant now, BrokerId node) {
    const std::size_t slot = book.slot(node);
    const ReplicaBook& leader = book.replicas[slot];
    std::optional<Offset> cut;
    BatchId lost = batch_none;
    while (!book.chain.empty()) {
        const ChainLink& last = book.chain.back();
        if ((book.batches[last.id].good & bit_of(slot)) != 0 || last.last < leader.start) break;
        cut = last.base;
        lost = last.id;
        book.chain.pop_back();
    }
    if (!cut.has_value() || excused || leader.damage_at(*cut) != nullptr) return cut;
    red("I1",
        fmt::format("broker {} leads {} in epoch {} without offset {} of leader epoch {}, which "
                    "was below the high watermark",
                    node.value, name(book), fact.epoch.value, cut->value,
                    book.batches[lost].epoch.value),
        now, node);
    return cut;
}

// I5.

void Monitors::flushed(PartitionBook& book, std::size_t slot, Offset end, Instant now) {
    ++taken_;
    const ReplicaBook& replica = book.replicas[slot];
    if (end <= replica.end) return;
    red("I5",
        fmt::format("broker {} flushed {} to offset {}, past its log end {}", replica.node.value,
                    name(book), end.value, replica.end.value),
        now, replica.node);
}

void Monitors::opened(PartitionBook& book, std::size_t slot, const facts::LogOpened& fact,
                      bool known, Instant now) {
    ++taken_;
    const ReplicaBook& replica = book.replicas[slot];
    if (!known) {
        red("I5",
            fmt::format(
                "broker {} opened {} up to offset {}, but nothing it ever held reaches from "
                "{} to there",
                replica.node.value, name(book), fact.end.value, replica.end.value),
            now, replica.node);
    }
    if (!fact.clean && fact.recovery_point > std::max(replica.flushed_max, fact.start)) {
        red("I5",
            fmt::format("broker {} recovers {} from offset {}, although no sync covered more than "
                        "{}",
                        replica.node.value, name(book), fact.recovery_point.value,
                        replica.flushed_max.value),
            now, replica.node);
    }
    // Damage sits near the end or is rare: this walk follows a crash only.
    for (std::size_t i = replica.first; i < replica.held.size(); ++i) {
        const Held& held = replica.held[i];
        if (held.health != Health::bad) continue;
        if (!fact.clean && held.base < fact.recovery_point) continue;
        // After a clean stop all of it lies below the recovery point, and rot there is found by
        // who reads it.
        const DamagedRange* damage = replica.damage_at(held.base);
        if (fact.clean && damage != nullptr && damage->kind == DamageKind::rot) continue;
        red("I5",
            fmt::format("broker {} opened {} as {} and kept the damaged batch at offset {} ({} at "
                        "position {}), recovery point {}",
                        replica.node.value, name(book),
                        fact.clean ? "cleanly stopped" : "recovered", held.base.value,
                        fmt::format("{:020}.log", held.segment_base.value), held.position,
                        fact.recovery_point.value),
            now, replica.node);
        return;
    }
}

void Monitors::claimed(PartitionBook& book, std::size_t slot, std::span<const BatchId> batches,
                       Instant now) {
    if (batches.empty()) return;
    const ReplicaBook& replica = book.replicas[slot];
    red("I5",
        fmt::format("broker {} said that {} was synced past offset {}, and a power loss damaged it "
                    "where no sync had been",
                    replica.node.value, name(book), book.batches[batches.front()].base.value),
        now, replica.node);
}

// In full.

void Monitors::check_all(PartitionBook& book, Instant now) {
    for (std::size_t slot = 0; slot < book.replicas.size(); ++slot) {
        const ReplicaBook& replica = book.replicas[slot];
        for (std::size_t i = replica.first; i < replica.held.size(); ++i) {
            const Held& held = replica.held[i];
            const Batch& batch = book.batches[held.id];
            const bool good = (batch.good & bit_of(slot)) != 0;
            const bool follows = i == replica.first || replica.held[i - 1].last + 1 == held.base;
            if (good == (held.health == Health::good) && follows) continue;
            red("I1",
                fmt::format("the books of {} on broker {} are inconsistent at offset {}",
                            name(book), replica.node.value, held.base.value),
                now, replica.node);
            break;
        }
        if (!book.committed.has_value() || replica.unproven || replica.empty()) continue;
        if (!contains(book.committed->isr, replica.node)) continue;
        if (book.leading_epoch != book.committed->leader_epoch)
            continue;  // an election is under way
        for (const ChainLink& link : book.chain) {
            if (link.last < replica.start) continue;
            const Batch& batch = book.batches[link.id];
            if ((batch.good & bit_of(slot)) != 0 || replica.damage_at(link.base) != nullptr)
                continue;
            red("I1",
                fmt::format("broker {} of the ISR of {} is without offset {} of leader epoch {}, "
                            "which came below the high watermark",
                            replica.node.value, name(book), link.base.value, batch.epoch.value),
                now, replica.node);
            break;
        }
    }
}

}  // namespace klamm::sim
