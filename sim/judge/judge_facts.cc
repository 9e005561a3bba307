// What the judge does with each fact of nodes and clients.
#include <fmt/format.h>

#include <algorithm>

#include "sim/judge/judge_state.h"
#include "sim/judge/nodes.h"

namespace klamm::sim {

namespace {

bool sufficient(const facts::PartitionCommitted& state) {
    return static_cast<std::int32_t>(state.isr.size() + state.elr.size()) >= state.min_isr;
}

/// Whether an unclean election to this state was allowed: by an administrator, who may always ask
/// for one, or by the topic's configuration at this record.
bool permitted(const facts::PartitionCommitted& state) {
    return state.cause == facts::PartitionChangeCause::elected_by_administrator ||
           state.unclean_enabled;
}

/// Where the leader epochs of the batches begin that the replica holds.
Lineage lineage_of(const PartitionBook& book, const ReplicaBook& replica) {
    Lineage lineage;
    for (std::size_t i = replica.first; i < replica.held.size(); ++i) {
        const Held& held = replica.held[i];
        const LeaderEpoch epoch = book.batches[held.id].epoch;
        if (lineage.empty() || lineage.back().epoch != epoch) lineage.push_back({epoch, held.base});
    }
    return lineage;
}

}  // namespace

// Logs.

void Judge::State::on(Instant now, BrokerId node, const facts::BatchAppended& fact) {
    PartitionBook& book = book_of(fact.partition);
    const std::size_t slot = book.slot(node);
    if (fact.last_offset < fact.base_offset) {
        findings.malformed("a batch ends before it begins", now, node);
        return;
    }
    const Appended result = append(book, slot, fact, now);
    monitors.appended(book, slot, fact, result, now);
    if (fact.as_leader) ++counts.batches_appended;
}

std::vector<Removed> Judge::State::take_away(PartitionBook& book, std::size_t slot, Offset end,
                                             const char* how, Instant now) {
    std::vector<Removed> removed = truncate(book, slot, end, true);
    ReplicaBook& replica = book.replicas[slot];
    for (const Removed& one : removed) {
        if (one.health != Health::doubtful) continue;  // the kill had cut it
        const Batch& batch = book.batches[one.id];
        replica.damaged.push_back(
            {batch.base, batch.last + 1, DamageKind::kill, now, replica.fault});
    }
    if (!removed.empty()) ledger.removed(book, slot, removed, how, now);
    return removed;
}

void Judge::State::on(Instant now, BrokerId node, const facts::LogTruncated& fact) {
    PartitionBook& book = book_of(fact.partition);
    ++counts.truncations;
    const char* how = "recovery";
    switch (fact.reason) {
        case facts::TruncateReason::divergence: how = "truncation to the leader's log"; break;
        case facts::TruncateReason::recovery: break;
        case facts::TruncateReason::out_of_range: how = "a start out of range"; break;
        case facts::TruncateReason::reset: how = "a copy made anew"; break;
        case facts::TruncateReason::failed_write: break;
    }
    const std::size_t slot = book.slot(node);
    if (fact.reason == facts::TruncateReason::failed_write) {
        // Nobody was told of these batches yet, so nothing is lost; recovery may find them.
        truncate(book, slot, fact.end, true);
        return;
    }
    const bool anew = fact.end > book.replicas[slot].end;  // a log that starts above its end
    // Recovery may cut above what a failed write is known to have left; what is below shows when
    // the log is opened.
    if (anew && fact.reason == facts::TruncateReason::recovery) return;
    const std::vector<Removed> removed =
        take_away(book, slot, anew ? book.replicas[slot].start : fact.end, how, now);
    if (fact.reason == facts::TruncateReason::divergence && fact.partition == options.metadata)
        quorum.cut(book, removed, now, node);
    if (!anew) return;
    book.replicas[slot].start = fact.end;
    book.replicas[slot].end = fact.end;
}

void Judge::State::on(Instant now, BrokerId node, const facts::LogStartMoved& fact) {
    PartitionBook& book = book_of(fact.partition);
    const std::size_t slot = book.slot(node);
    const std::vector<Removed> removed = trim(book, slot, fact.start);
    if (fact.partition == options.metadata) quorum.start_moved(node, fact.start);
    const bool ends = fact.reason != facts::LogStartReason::leader_start;
    const Offset watermark = book.chain.empty() ? Offset{0} : Offset{book.chain.back().last + 1};
    if (ends && !removed.empty() && fact.start > watermark) {
        findings.report("L1",
                        fmt::format("broker {} moves the log start of {}-{} to {}, past the "
                                    "high watermark {}",
                                    node.value, options.topic, fact.partition.partition.value,
                                    fact.start.value, watermark.value),
                        now, node);
    }
    ledger.start_moved(book, slot, removed, ends, now);
}

void Judge::State::on(Instant now, BrokerId node, const facts::LogOpened& fact) {
    PartitionBook& book = book_of(fact.partition);
    const std::size_t slot = book.slot(node);
    if (!fact.clean) ++counts.recoveries;
    ReplicaBook& replica = book.replicas[slot];
    bool known = true;
    if (replica.empty()) {
        known =
            fact.end <= replica.end || fact.end == fact.start || extend_to(book, slot, fact.end);
        if (replica.empty()) {
            replica.start = fact.start;
            replica.end = fact.end;
        }
    } else if (fact.end < replica.end) {
        take_away(book, slot, fact.end, "recovery", now);
    } else if (fact.end > replica.end) {
        known = extend_to(book, slot, fact.end);
    }
    monitors.opened(book, slot, fact, known, now);
    trust(book, slot);
    replica.flushed = std::max(replica.flushed, std::min(fact.recovery_point, replica.end));
    if (fact.clean || fact.created) {
        replica.flushed_max = std::max(replica.flushed_max, fact.recovery_point);
    }
}

void Judge::State::on(Instant now, BrokerId node, const facts::LogFlushed& fact) {
    PartitionBook& book = book_of(fact.partition);
    const std::size_t slot = book.slot(node);
    monitors.flushed(book, slot, fact.end, now);
    ReplicaBook& replica = book.replicas[slot];
    replica.flushed = std::max(replica.flushed, fact.end);
    replica.claimed = std::max(replica.claimed, fact.end);
    replica.flushed_max = std::max(replica.flushed_max, fact.end);
    replica.ghosts.clear();
}

void Judge::State::on(Instant, BrokerId node, const facts::LogOffline& fact) {
    PartitionBook& book = book_of(fact.partition);
    book.replicas[book.slot(node)].unproven = true;
}

// Leadership and promises.

void Judge::State::on(Instant now, BrokerId node, const facts::Leading& fact) {
    PartitionBook& book = book_of(fact.partition);
    monitors.leading(book, fact, now, node);
    book.leaders.emplace(fact.epoch, node);
    book.starts.emplace(fact.epoch, fact.start);
    book.lineages.emplace(fact.epoch, lineage_of(book, book.replicas[book.slot(node)]));
    if (fact.epoch <= book.leading_epoch) return;
    ++counts.elections;
    const bool given_up = !never_led_between(book, book.leading_epoch, fact.epoch).empty();
    book.leading_epoch = fact.epoch;
    book.leading = node;
    const std::int64_t forbidden_before = ledger.bill().forbidden_events;
    ledger.leading(book, fact, now, node);
    const bool forbidden = ledger.bill().forbidden_events != forbidden_before;
    const std::size_t slot = book.slot(node);
    const auto election = book.elections.find(fact.epoch);
    const bool excused = given_up || (election != book.elections.end() &&
                                      election->second.kind != ElectionClass::clean);
    const std::optional<Offset> cut =
        monitors.cut_chain(book, fact, excused || forbidden, now, node);
    const bool lawful = excused || (cut.has_value() && book.replicas[slot].damage_at(*cut));
    if (lawful && !forbidden) {
        // Though nothing below the watermark is lost yet: a leader that was deposed uncleanly and
        // does not know it goes on moving its own, past where the new one begins.
        const Offset end = std::min(cut.value_or(fact.start), fact.start);
        permit_cut(fact.partition, end, fact.epoch);
    }
    book.replicas[slot].unproven = false;
}

void Judge::State::permit_cut(const TopicPartition& partition, Offset end, LeaderEpoch epoch) {
    if (partition.topic != offsets_topic)
        return checker.permit_cut(partition.partition.value, end.value, epoch.value);
    for (const std::string& group : groups.groups())
        if (options.home && options.home(group) == partition) groups.excused(group);
}

GroupMonitor::Lead Judge::State::lead_of(const std::string& group) {
    if (!options.home) return {};
    const PartitionBook& book = book_of(options.home(group));
    return {book.leading, book.leading_epoch};
}

void Judge::State::on(Instant now, BrokerId node, const facts::HighWatermarkMoved& fact) {
    PartitionBook& book = book_of(fact.partition);
    ++counts.high_watermark_moves;
    if (!slips(options.slip, Slip::monitors_deaf))
        monitors.high_watermark_moved(book, fact, now, node);
    ledger.high_watermark_moved(book, fact, now, node);
}

void Judge::State::on(Instant now, BrokerId node, const facts::IsrProposed& fact) {
    monitors.isr_proposed(book_of(fact.partition), fact, now, node);
}

void Judge::State::on(Instant now, BrokerId node, const facts::ProduceAnswered& fact) {
    PartitionBook& book = book_of(fact.partition);
    if (fact.error == 0 && fact.acks != 0) {
        ++counts.batches_acked;
        if (fact.acks == -1) ++counts.batches_acked_all;
        if (fact.duplicate) ++counts.duplicates_answered;
    }
    monitors.produce_answered(book, fact, now, node);
    ledger.produce_answered(book, fact, now, node);
}

void Judge::State::on(Instant now, BrokerId node, const facts::ConsumerServed& fact) {
    PartitionBook& book = book_of(fact.partition);
    monitors.consumer_served(book, fact, now, node);
    ledger.consumer_served(book, fact, now, node);
}

// Metadata.

void Judge::State::on(Instant now, BrokerId, const facts::PartitionCommitted& fact) {
    PartitionBook& book = book_of(fact.partition);
    const std::optional<facts::PartitionCommitted> before = std::move(book.committed);
    if (before.has_value() && fact.metadata_offset < before->metadata_offset) {
        book.committed = before;
        findings.malformed("metadata is committed out of order", now, no_broker);
        return;
    }
    book.committed = fact;
    const ReplicaMask candidates_before = book.candidates;
    const auto& candidates = !fact.isr.empty()   ? fact.isr
                             : !fact.elr.empty() ? fact.elr
                                                 : fact.last_known_elr;
    const bool nobody = fact.isr.empty() && fact.elr.empty() && !fact.elr_enabled;
    book.candidates = nobody ? 0 : book.mask_of(candidates);
    note_election(book, before, fact);
    if (const auto made = book.elections.find(fact.leader_epoch);
        made != book.elections.end() && made->second.metadata_offset == fact.metadata_offset)
        made->second.time = now;
    if (before.has_value()) {
        if (before->isr != fact.isr) ++counts.isr_changes;
        note_departures(book, *before, fact, now);
    }
    monitors.committed(book, before, now);
    ledger.committed(book, candidates_before, now);
    for (const BrokerId member : fact.isr) {
        const bool was =
            !before.has_value() || contains(before->isr, member) || contains(before->elr, member);
        // Who joins by the registration of a process that is gone has still to prove how it went.
        ReplicaBook& replica = book.replicas[book.slot(member)];
        if (!was && !replica.ended) replica.unproven = false;
    }
}

void Judge::State::note_election(PartitionBook& book,
                                 const std::optional<facts::PartitionCommitted>& before,
                                 const facts::PartitionCommitted& fact) {
    if (fact.leader == no_broker) return;
    const std::optional<ElectionClass> kind =
        before.has_value() ? election_class(*before, fact) : ElectionClass::clean;
    if (!kind.has_value()) return;
    if (*kind == ElectionClass::unclean) ++counts.elections_unclean;
    if (*kind == ElectionClass::last_known) ++counts.elections_last_known;
    Election election;
    election.epoch = fact.leader_epoch;
    election.leader = fact.leader;
    // One that nobody permitted is red, and excuses no loss.
    election.kind =
        *kind == ElectionClass::unclean && !permitted(fact) ? ElectionClass::clean : *kind;
    election.metadata_offset = fact.metadata_offset;
    if (before.has_value()) election.isr_before = before->isr;
    election.isr_after = fact.isr;
    election.elr_enabled = fact.elr_enabled;
    election.min_isr = fact.min_isr;
    book.elections[fact.leader_epoch] = std::move(election);
}

void Judge::State::note_departures(PartitionBook& book, const facts::PartitionCommitted& before,
                                   const facts::PartitionCommitted& after, Instant now) {
    if (sufficient(after)) return;
    using Cause = facts::PartitionChangeCause;
    const bool configured =
        after.cause == Cause::configuration || ((after.cause == Cause::elected_unclean ||
                                                 after.cause == Cause::elected_by_administrator) &&
                                                permitted(after));
    for (const auto* set : {&before.isr, &before.elr}) {
        for (const BrokerId member : *set) {
            if (contains(after.isr, member) || contains(after.elr, member)) continue;
            const ReplicaBook& replica = book.replicas[book.slot(member)];
            const bool lawful = configured || replica.unproven || !replica.damaged.empty();
            book.departures.push_back({now, member, lawful});
        }
    }
}

void Judge::State::on(Instant, BrokerId, const facts::BrokerRegistered& fact) {
    monitors.broker_registered(fact);
    for (auto& [partition, book] : books) {
        ReplicaBook& replica = book.replicas[book.slot(fact.broker)];
        replica.ended = false;
        replica.unproven = !fact.proven;
    }
}

// Clients.

void Judge::State::on(Instant now, BrokerId node, const facts::CorruptReceived& fact) {
    const ReplicaBook* sender = book_of(fact.partition).replica(fact.from);
    if (sender != nullptr && sender->damage_at(fact.offset) != nullptr) return;
    findings.report("I1",
                    "bytes that broker " + std::to_string(fact.from.value) + " sent as offset " +
                        std::to_string(fact.offset.value) +
                        " are no batch, though none of its bytes are damaged there",
                    now, node);
}

void Judge::State::hurt(PartitionBook& book, std::size_t slot, std::span<const Damage> damages,
                        DamageKind kind, FaultId fault, Instant now) {
    for (const Damage& one : damages) {
        if (one.partition != book.partition) continue;
        monitors.claimed(book, slot, damage(book, slot, one, kind, fault, now), now);
    }
}

}  // namespace klamm::sim
