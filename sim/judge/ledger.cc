// The ledger. The common facts touch one batch; the full walks (strand, leading) begin where the
// replica in question stops being complete, which is the end of the list as long as all is well.
#include "sim/judge/ledger.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkers/violation.h"
#include "core/base/assert.h"
#include "sim/judge/groups.h"

namespace klamm::sim {

namespace {

using checkers::seconds_text;

bool before(const PartitionBook& book, BatchId a, BatchId b) {
    const Batch& left = book.batches[a];
    const Batch& right = book.batches[b];
    return left.base != right.base ? left.base < right.base : left.epoch < right.epoch;
}

std::size_t promised_index(const PartitionBook& book, BatchId id) {
    const auto found =
        std::lower_bound(book.promised.begin(), book.promised.end(), id,
                         [&book](BatchId a, BatchId b) { return before(book, a, b); });
    return static_cast<std::size_t>(found - book.promised.begin());
}

/// The replica may miss the batch now.
void unmatch(PartitionBook& book, std::size_t slot, BatchId id) {
    std::size_t& matched = book.replicas[slot].matched;
    matched = std::min(matched, promised_index(book, id));
}

/// Whether the leader of `epoch` held the batch when it took that epoch up.
bool came_with(const PartitionBook& book, LeaderEpoch epoch, const Batch& batch) {
    if (batch.last >= book.starts.at(epoch)) return false;
    const Lineage& lineage = book.lineages.at(epoch);
    const auto after =
        std::partition_point(lineage.begin(), lineage.end(),
                             [&](const EpochStart& one) { return one.from <= batch.base; });
    // What its log had no more at its start, retention took.
    return after == lineage.begin() || std::prev(after)->epoch == batch.epoch;
}

const char* promise_words(PromiseKind kind) {
    return kind == PromiseKind::consumer ? "was served to a consumer"
           : kind == PromiseKind::weak   ? "was acknowledged with acks=1"
                                         : "was acknowledged with acks=all";
}

}  // namespace

std::size_t first_missing(PartitionBook& book, std::size_t slot) {
    std::size_t& matched = book.replicas[slot].matched;
    for (; matched < book.promised.size(); ++matched) {
        const Batch& batch = book.batches[book.promised[matched]];
        if (batch.live() && (batch.good & bit_of(slot)) == 0) break;
    }
    return matched;
}

std::string Ledger::name(const PartitionBook& book) const {
    const bool offsets = book.partition.topic == offsets_topic;
    return fmt::format("{}-{}", offsets ? offsets_topic_name : topic_,
                       book.partition.partition.value);
}

std::vector<Excuse> Ledger::take_excuses() {
    std::vector<Excuse> taken;
    taken.swap(excuses_);
    return taken;
}

void Ledger::excuse(const PartitionBook& book, Offset from, Offset to) {
    const std::int32_t partition = book.partition.partition.value;
    if (!excuses_.empty() && !excuses_.back().cut && excuses_.back().partition == partition &&
        excuses_.back().to == from) {
        excuses_.back().to = to;
        return;
    }
    excuses_.push_back({partition, from, to, false, no_leader_epoch});
}

// Promises.

void Ledger::produce_answered(PartitionBook& book, const facts::ProduceAnswered& fact, Instant now,
                              BrokerId node) {
    if (fact.error != 0 || fact.acks == 0) return;
    const std::size_t slot = book.slot(node);
    const Held* held = book.replicas[slot].at(fact.base_offset);
    if (held == nullptr || held->last < fact.last_offset) {
        // Retention may have taken what a duplicate is answered with.
        if (fact.duplicate && fact.base_offset < book.replicas[slot].start) return;
        ++bill_.forbidden_events;
        findings_.report("erasure",
                         fmt::format("offset {} of {} was acknowledged at {} by broker {}, whose "
                                     "log does not hold it",
                                     fact.last_offset.value, name(book),
                                     seconds_text(now.nanoseconds), node.value),
                         now, node);
        return;
    }
    promise(book, held->id, fact.acks == 1 ? PromiseKind::weak : PromiseKind::acks_all, now, node);
}

void Ledger::consumer_served(PartitionBook& book, const facts::ConsumerServed& fact, Instant now,
                             BrokerId node) {
    const std::size_t slot = book.slot(node);
    for (std::size_t i = book.replicas[slot].find(fact.from);; ++i) {
        const ReplicaBook& replica = book.replicas[slot];
        if (i == replica.held.size() || replica.held[i].base >= fact.to) return;
        const Held& held = replica.held[i];
        const Batch& batch = book.batches[held.id];
        if (held.health == Health::good && !(batch.state != PromiseState::none && batch.strong())) {
            promise(book, held.id, PromiseKind::consumer, now, node);
        }
    }
}

void Ledger::promise(PartitionBook& book, BatchId id, PromiseKind kind, Instant now,
                     BrokerId node) {
    Batch& batch = book.batches[id];
    if (batch.state == PromiseState::ended || batch.state == PromiseState::lost) return;
    if (batch.live()) {
        if (!batch.strong() && kind != PromiseKind::weak) strengthen(batch, kind);
        return;
    }
    batch.state = PromiseState::live;
    batch.promise = PromiseKind::weak;
    batch.promised = now;
    batch.promised_by = node;
    if (kind == PromiseKind::weak) {
        bill_.records_weak += batch.records();
        book.weak.push_back(id);
    } else {
        bill_.records_weak += batch.records();
        strengthen(batch, kind);
    }
    if (book.promised.empty() || before(book, book.promised.back(), id)) {
        book.promised.push_back(id);
    } else {
        const std::size_t index = promised_index(book, id);
        book.promised.insert(book.promised.begin() + static_cast<std::ptrdiff_t>(index), id);
        for (ReplicaBook& replica : book.replicas) {
            replica.matched = std::min(replica.matched, index);
        }
    }
    check_birth(book, id, now, node);
}

void Ledger::strengthen(Batch& batch, PromiseKind kind) {
    batch.promise = kind;
    bill_.records_weak -= batch.records();
    bill_.records_promised += batch.records();
}

void Ledger::check_birth(PartitionBook& book, BatchId id, Instant now, BrokerId node) {
    Batch& batch = book.batches[id];
    if (book.leading_epoch > batch.epoch) {
        const std::size_t slot = book.slot(book.leading);
        const ReplicaBook& leader = book.replicas[slot];
        // Damage from before the batch was written is about an earlier one at this offset.
        const DamagedRange* damage = leader.damage_at(batch.base);
        const Held* held = book.replicas[book.slot(node)].at(batch.base);
        const bool damaged =
            damage != nullptr && (held == nullptr || damage->time >= held->appended);
        // The first later leader that came without it decided; those after it followed.
        auto first = book.starts.upper_bound(batch.epoch);
        while (first != book.starts.end() && came_with(book, first->first, batch)) ++first;
        const bool known = first != book.starts.end();
        if ((batch.good & bit_of(slot)) == 0 && (known || !damaged) &&
            !holds_rotten(leader, batch, id)) {
            const LeaderEpoch epoch = known ? first->first : book.leading_epoch;
            const ReplicaBook& decided =
                known ? book.replicas[book.slot(book.leaders.at(epoch))] : leader;
            const auto election = book.elections.find(epoch);
            override_batch(book, id, election == book.elections.end() ? nullptr : &election->second,
                           decided, known ? first->second : leader.end, now);
            return;
        }
    }
    if (!batch.strong() || !book.committed.has_value()) return;
    if ((book.covering(batch) & book.candidates) != 0) return;
    batch.stranded = true;
    book.any_stranded = true;
    if (departure_lawful(book, batch, 0) && !book.durable_only()) return;
    // Read as DUR no loss of power excuses it; what the medium did does.
    if (candidate_spoiled(book, batch)) return;
    // A leader that does not know yet that an unclean election has deposed it: whoever takes up
    // that epoch, or a later one, shows what is lost.
    for (auto at = book.elections.upper_bound(batch.epoch); at != book.elections.end(); ++at)
        if (at->second.kind == ElectionClass::unclean) return;
    ++bill_.forbidden_events;
    findings_.report("stranded",
                     fmt::format("offset {} of {} {} at {} although no replica that may lead {}",
                                 batch.base.value, name(book), promise_words(batch.promise),
                                 seconds_text(now.nanoseconds),
                                 book.durable_only() ? "has synced it" : "has it"),
                     now, node);
}

void Ledger::high_watermark_moved(PartitionBook& book, const facts::HighWatermarkMoved& fact,
                                  Instant now, BrokerId node) {
    if (book.weak_first == book.weak.size()) return;
    const std::size_t slot = book.slot(node);
    while (book.weak_first < book.weak.size()) {
        const BatchId id = book.weak[book.weak_first];
        Batch& batch = book.batches[id];
        const bool waiting = batch.live() && !batch.strong();
        if (waiting && batch.last >= fact.to) return;
        if (waiting && (batch.good & bit_of(slot)) == 0) return;
        ++book.weak_first;
        if (!waiting) continue;
        strengthen(batch, PromiseKind::acks_all);
        check_birth(book, id, now, node);
    }
    book.weak.clear();
    book.weak_first = 0;
}

void Ledger::start_moved(PartitionBook& book, std::size_t slot, std::span<const Removed> removed,
                         bool ends_promises, Instant now) {
    for (const Removed& one : removed) {
        Batch& batch = book.batches[one.id];
        if (!batch.live() || !ends_promises) continue;
        batch.state = PromiseState::ended;
        batch.stranded = false;
        bill_.records_ended += batch.records();
    }
    if (!ends_promises) this->removed(book, slot, removed, "a move of its log start", now);
}

// Stranding and erasure.

bool Ledger::departure_lawful(const PartitionBook& book, const Batch& batch,
                              ReplicaMask candidates_before) const {
    if (book.committed->cause == facts::PartitionChangeCause::configuration) return true;
    // Who was elected against CAND is judged as an override, once it leads.
    const auto election = book.elections.find(book.committed->leader_epoch);
    if (election != book.elections.end() && election->second.kind != ElectionClass::clean &&
        batch.epoch < election->first) {
        return true;
    }
    for (std::size_t i = 0; i < book.replicas.size(); ++i) {
        const ReplicaBook& replica = book.replicas[i];
        const bool stays = (book.candidates & bit_of(i)) != 0;
        if (stays && (batch.good & bit_of(i)) == 0 && replica.damage_at(batch.base) != nullptr) {
            return true;
        }
    }
    const ReplicaMask left = candidates_before & ~book.candidates & batch.good;
    for (std::size_t i = 0; i < book.replicas.size(); ++i) {
        if ((left & bit_of(i)) != 0 && !book.replicas[i].unproven) return false;
    }
    return left != 0;
}

void Ledger::strand(PartitionBook& book, bool lawful, Instant now, BrokerId node,
                    const char* cause) {
    std::size_t from = book.promised.size();
    bool complete = false;
    for (std::size_t i = 0; i < book.replicas.size() && !complete; ++i) {
        if ((book.candidates & bit_of(i)) == 0) continue;
        const std::size_t missing = first_missing(book, i);
        complete = missing == book.promised.size() && !book.durable_only();
        from = std::min(from, missing);
    }
    if (book.candidates == 0 || book.any_stranded || book.durable_only()) from = 0;
    if (complete && !book.any_stranded) return;
    book.any_stranded = false;
    const Batch* first = nullptr;
    std::int64_t count = 0;
    for (std::size_t i = from; i < book.promised.size(); ++i) {
        Batch& batch = book.batches[book.promised[i]];
        if (!batch.live() || !batch.strong()) continue;
        const bool stranded = (book.covering(batch) & book.candidates) == 0;
        const bool fresh = stranded && !batch.stranded;
        batch.stranded = stranded;
        book.any_stranded = book.any_stranded || stranded;
        if (!fresh || lawful) continue;
        if (first == nullptr) first = &batch;
        count += batch.records();
    }
    if (first == nullptr) return;
    ++bill_.forbidden_events;
    findings_.report(
        "stranded",
        fmt::format("offset {} of {} (leader epoch {}) {} at {}; since {}, by {}, no replica that "
                    "may lead has it ({} records)",
                    first->base.value, name(book), first->epoch.value,
                    promise_words(first->promise), seconds_text(first->promised.nanoseconds),
                    seconds_text(now.nanoseconds), cause, count),
        now, node);
}

void Ledger::damaged(PartitionBook& book, std::size_t slot, DamageKind kind, Instant now) {
    const ReplicaBook& replica = book.replicas[slot];
    if (!replica.damaged.empty()) {
        for (std::size_t i = replica.damaged.size(); i > 0; --i) {
            const DamagedRange& range = replica.damaged[i - 1];
            if (range.time != now) break;
            std::size_t& matched = book.replicas[slot].matched;
            const auto at = std::partition_point(
                book.promised.begin(), book.promised.end(),
                [&](BatchId id) { return book.batches[id].base < range.from; });
            matched = std::min(matched, static_cast<std::size_t>(at - book.promised.begin()));
        }
    }
    // Under flush.messages=1 what is DUR outlives a power loss.
    const bool lawful = !(book.durable_only() && kind == DamageKind::power);
    strand(book, lawful, now, replica.node, "a power loss");
}

void Ledger::committed(PartitionBook& book, ReplicaMask candidates_before, Instant now) {
    if (book.promised.empty()) return;
    // Batches stranded by this very record are lawful one by one; the walk below judges the rest.
    bool complete = false;
    for (std::size_t i = 0; i < book.replicas.size() && !complete; ++i) {
        if ((book.candidates & bit_of(i)) == 0) continue;
        complete = first_missing(book, i) == book.promised.size() && !book.durable_only();
    }
    if (!complete) {
        for (const BatchId id : book.promised) {
            Batch& batch = book.batches[id];
            if (!batch.live() || !batch.strong() || batch.stranded) continue;
            if ((book.covering(batch) & book.candidates) != 0) continue;
            if (!departure_lawful(book, batch, candidates_before)) continue;
            batch.stranded = true;
            book.any_stranded = true;
        }
    }
    strand(book, false, now, no_broker, "a change of its ISR and ELR");
}

void Ledger::removed(PartitionBook& book, std::size_t slot, std::span<const Removed> removed,
                     const char* how, Instant now) {
    const Batch* first = nullptr;
    std::int64_t count = 0;
    bool any_live = false;
    for (const Removed& one : removed) {
        Batch& batch = book.batches[one.id];
        if (!batch.live()) continue;
        unmatch(book, slot, one.id);
        any_live = true;
        if (one.health != Health::good) continue;  // the damage was the cause, and judged then
        const bool candidate = (book.candidates & bit_of(slot)) != 0;
        if (!candidate && (book.covering(batch) & book.candidates) != 0) continue;
        if (first == nullptr) first = &batch;
        count += batch.records();
    }
    if (any_live) strand(book, true, now, book.replicas[slot].node, how);
    if (first == nullptr) return;
    ++bill_.forbidden_events;
    findings_.report(
        "erasure",
        fmt::format("offset {} of {} (leader epoch {}) {} at {} and was erased from "
                    "broker {} at {} by {}, although nothing had damaged it ({} "
                    "records)",
                    first->base.value, name(book), first->epoch.value,
                    promise_words(first->promise), seconds_text(first->promised.nanoseconds),
                    book.replicas[slot].node.value, seconds_text(now.nanoseconds), how, count),
        now, book.replicas[slot].node);
}

// Override.

void Ledger::leading(PartitionBook& book, const facts::Leading& fact, Instant now, BrokerId node) {
    const std::size_t slot = book.slot(node);
    const auto found = book.elections.find(fact.epoch);
    const Election* election = found == book.elections.end() ? nullptr : &found->second;
    for (std::size_t i = first_missing(book, slot); i < book.promised.size(); ++i) {
        const BatchId id = book.promised[i];
        const Batch& batch = book.batches[id];
        if (!batch.live() || batch.epoch >= fact.epoch || (batch.good & bit_of(slot)) != 0)
            continue;
        if (holds_rotten(book.replicas[slot], batch, id)) continue;
        override_batch(book, id, election, book.replicas[slot], fact.start, now);
    }
}

Rule Ledger::rule_of(const PartitionBook& book, const Batch& batch, const Election* election,
                     const ReplicaBook& leader, Offset start) const {
    if (!batch.strong()) return Rule::weak_promise;
    if (election == nullptr) return Rule::forbidden;
    if (election->kind == ElectionClass::unclean) {
        if (batch.last >= start) return Rule::unclean;
        const Held* other = leader.at(batch.base);
        const bool diverged = other != nullptr && other->health == Health::good;
        // What it had when it began to lead counts, though its disk may be gone since.
        const bool parted =
            book.starts.contains(election->epoch) && !came_with(book, election->epoch, batch);
        return diverged || parted ? Rule::unclean : Rule::forbidden;
    }
    // What decided: the newest election, or one before it that gave the batch up and never led.
    const Election* decided = election;
    for (const Election* one : never_led_between(book, batch.epoch, election->epoch)) {
        if (had_then(book, batch, *one)) continue;
        if (one->kind == ElectionClass::unclean) return Rule::unclean;
        decided = one;
    }
    if (book.durable_only()) {
        bool synced_damaged = false;
        for (const ReplicaBook& replica : book.replicas) {
            const DamagedRange* damage = replica.damage_at(batch.base);
            synced_damaged =
                synced_damaged || (damage != nullptr && damage->kind != DamageKind::power &&
                                   damage->kind != DamageKind::kill);
        }
        if (!synced_damaged) return Rule::forbidden;
    }
    if (decided->kind == ElectionClass::last_known) {
        for (const Departure& one : book.departures) {
            const bool counts = one.time >= batch.promised && one.time <= decided->time;
            if (counts && !one.lawful) return Rule::forbidden;
        }
        return Rule::last_known;
    }
    const auto sole = [&leader](const std::vector<BrokerId>& isr) {
        return isr.size() == 1 && isr.front() == leader.node;
    };
    const bool sole_member =
        sole(election->isr_before) || (election->isr_before.empty() && sole(election->isr_after));
    const Held* held = leader.at(batch.base);
    const bool comes_short = held == nullptr && leader.damage_at(batch.base) != nullptr;
    const bool unguarded = !election->elr_enabled || election->min_isr <= 1;
    return sole_member && comes_short && unguarded ? Rule::sole_damaged : Rule::forbidden;
}

void Ledger::override_batch(PartitionBook& book, BatchId id, const Election* election,
                            const ReplicaBook& leader, Offset start, Instant now) {
    Batch& batch = book.batches[id];
    Loss loss;
    loss.partition = book.partition;
    loss.epoch = batch.epoch;
    loss.base_offset = batch.base;
    loss.last_offset = batch.last;
    loss.crc = batch.crc;
    loss.promise = batch.promise;
    loss.promised = batch.promised;
    loss.promised_by = batch.promised_by;
    loss.rule = rule_of(book, batch, election, leader, start);
    const bool billed = loss.rule == Rule::unclean || loss.rule == Rule::last_known ||
                        loss.rule == Rule::sole_damaged;
    loss.avoidable = billed && batch.good != 0;
    loss.lost = now;
    loss.leader = leader.node;
    loss.leader_epoch = book.leading_epoch;
    if (election != nullptr) loss.metadata_offset = election->metadata_offset;
    const ReplicaBook* evidence = nullptr;
    for (const ReplicaBook& replica : book.replicas) {
        if (replica.fault_time == Instant{} || replica.fault_time > now) continue;
        const bool later = evidence != nullptr && replica.fault_time > evidence->fault_time;
        const bool first_of_equals = evidence != nullptr &&
                                     replica.fault_time == evidence->fault_time &&
                                     replica.node < evidence->node;
        if (evidence == nullptr || later || first_of_equals) evidence = &replica;
    }
    if (const DamagedRange* damage = leader.damage_at(batch.base); damage != nullptr) {
        loss.fault = damage->fault;
        loss.fault_time = damage->time;
        loss.fault_node = leader.node;
    } else if (evidence != nullptr) {
        loss.fault = evidence->fault;
        loss.fault_time = evidence->fault_time;
        loss.fault_node = evidence->node;
    }
    if (slips(slip_, Slip::bill_names_nobody)) {
        loss.fault = fault_none;
        loss.fault_node = no_broker;
    }
    if (!slips(slip_, Slip::promises_never_end)) batch.state = PromiseState::lost;
    batch.stranded = false;
    const auto rule = static_cast<std::size_t>(loss.rule);
    bill_.records_lost[rule] += batch.records();
    if (loss.avoidable) bill_.records_avoidable[rule] += batch.records();
    bill_.losses.push_back(loss);
    if (loss.permitted()) {
        excuse(book, batch.base, batch.last + 1);
        return;
    }
    ++bill_.forbidden_events;
    findings_.report("O5", to_sentence(loss, topic_), now, leader.node);
}

void Ledger::finish(const PartitionBook& book) {
    for (const BatchId id : book.promised) {
        const Batch& batch = book.batches[id];
        if (!batch.live() || !batch.strong()) continue;
        if ((book.covering(batch) & book.candidates) == 0)
            bill_.records_stranded += batch.records();
    }
}

}  // namespace klamm::sim
