// The judge hands each fact to the books first and then to those who judge it; where a rule needs
// the state before (metadata, leadership), that order is turned round and said so.
#include "sim/judge/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/assert.h"
#include "sim/judge/books.h"
#include "sim/judge/client_events.h"
#include "sim/judge/ledger.h"
#include "sim/judge/monitors.h"

namespace klamm::sim {

namespace {

bool contains(const std::vector<BrokerId>& nodes, BrokerId node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool sufficient(const facts::PartitionCommitted& state) {
    return static_cast<std::int32_t>(state.isr.size() + state.elr.size()) >= state.min_isr;
}

/// The replicas that may lead and hold every strong promise.
ReplicaMask complete_candidates(const PartitionBook& book) {
    if (!book.committed.has_value()) return 0;
    ReplicaMask complete = book.candidates;
    for (const BatchId id : book.promised) {
        const Batch& batch = book.batches[id];
        if (batch.live() && batch.strong()) complete &= book.covering(batch);
    }
    return complete;
}

}  // namespace

struct Judge::State {
    explicit State(JudgeOptions given)
        : options(std::move(given)),
          findings(options.violations_max),
          ledger(findings, options.topic),
          monitors(findings, options.topic),
          checker(options.history) {}

    JudgeOptions options;
    Findings findings;
    Ledger ledger;
    Monitors monitors;
    checkers::LogChecker checker;
    checkers::History history;
    RunCounts counts;
    std::map<TopicPartition, PartitionBook> books;
    PartitionBook* last = nullptr;
    std::size_t checker_kept = 0;
    bool finished = false;

    PartitionBook& book_of(const TopicPartition& partition) {
        if (last != nullptr && last->partition == partition) return *last;
        PartitionBook& book = books[partition];
        book.partition = partition;
        last = &book;
        return book;
    }

    void feed(checkers::Event event) {
        checker.feed(event);
        take_checker(event.time);
        if (options.keep_history) history.push_back(std::move(event));
    }
    void take_checker(std::int64_t time) {
        const auto& found = checker.violations();
        for (; checker_kept < found.size(); ++checker_kept) {
            const checkers::Violation& one = found[checker_kept];
            if (one.code == checkers::Code::malformed) {
                findings.malformed(one.sentence, Instant{time}, no_broker);
            } else {
                findings.report(checkers::to_string(one.code), one.sentence, Instant{time},
                                no_broker);
            }
        }
    }
    void tell_excuses() {
        for (const Excuse& one : ledger.take_excuses()) {
            checker.permit_loss(one.partition, one.from.value, one.to.value);
        }
    }

    // Logs.

    void on(Instant now, BrokerId node, const facts::BatchAppended& fact) {
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
    void take_away(PartitionBook& book, std::size_t slot, Offset end, const char* how,
                   Instant now) {
        const std::vector<Removed> removed = truncate(book, slot, end, true);
        ReplicaBook& replica = book.replicas[slot];
        for (const Removed& one : removed) {
            if (one.health != Health::doubtful) continue;  // the kill had cut it
            const Batch& batch = book.batches[one.id];
            replica.damaged.push_back(
                {batch.base, batch.last + 1, DamageKind::kill, now, replica.fault});
        }
        if (!removed.empty()) ledger.removed(book, slot, removed, how, now);
    }
    void on(Instant now, BrokerId node, const facts::LogTruncated& fact) {
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
        // A log that starts anew above its end. Recovery may also cut where it ended, above what a
        // failed write is known to have left.
        const bool anew =
            fact.end > book.replicas[slot].end && fact.reason != facts::TruncateReason::recovery;
        take_away(book, slot, anew ? book.replicas[slot].start : fact.end, how, now);
        if (!anew) return;
        book.replicas[slot].start = fact.end;
        book.replicas[slot].end = fact.end;
    }
    void on(Instant now, BrokerId node, const facts::LogStartMoved& fact) {
        PartitionBook& book = book_of(fact.partition);
        const std::size_t slot = book.slot(node);
        const std::vector<Removed> removed = trim(book, slot, fact.start);
        const bool ends = fact.reason != facts::LogStartReason::leader_start;
        const Offset watermark =
            book.chain.empty() ? Offset{0} : Offset{book.chain.back().last + 1};
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
    void on(Instant now, BrokerId node, const facts::LogOpened& fact) {
        PartitionBook& book = book_of(fact.partition);
        const std::size_t slot = book.slot(node);
        if (!fact.clean) ++counts.recoveries;
        ReplicaBook& replica = book.replicas[slot];
        bool known = true;
        if (replica.empty()) {
            known = fact.end <= replica.end || fact.end == fact.start ||
                    extend_to(book, slot, fact.end);
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
    void on(Instant now, BrokerId node, const facts::LogFlushed& fact) {
        PartitionBook& book = book_of(fact.partition);
        const std::size_t slot = book.slot(node);
        monitors.flushed(book, slot, fact.end, now);
        ReplicaBook& replica = book.replicas[slot];
        replica.flushed = std::max(replica.flushed, fact.end);
        replica.claimed = std::max(replica.claimed, fact.end);
        replica.flushed_max = std::max(replica.flushed_max, fact.end);
        replica.ghosts.clear();
    }
    void on(Instant, BrokerId node, const facts::LogOffline& fact) {
        PartitionBook& book = book_of(fact.partition);
        book.replicas[book.slot(node)].unproven = true;
    }

    // Leadership and promises.

    void on(Instant now, BrokerId node, const facts::Leading& fact) {
        PartitionBook& book = book_of(fact.partition);
        monitors.leading(book, fact, now, node);
        book.leaders.emplace(fact.epoch, node);
        if (fact.epoch <= book.leading_epoch) return;
        ++counts.elections;
        book.leading_epoch = fact.epoch;
        book.leading = node;
        const std::int64_t forbidden_before = ledger.bill().forbidden_events;
        ledger.leading(book, fact, now, node);
        const bool forbidden = ledger.bill().forbidden_events != forbidden_before;
        const std::size_t slot = book.slot(node);
        const auto election = book.elections.find(fact.epoch);
        const bool excused =
            election != book.elections.end() && election->second.kind != ElectionClass::clean;
        const std::optional<Offset> cut =
            monitors.cut_chain(book, fact, excused || forbidden, now, node);
        const bool lawful = excused || (cut.has_value() && book.replicas[slot].damage_at(*cut));
        if (cut.has_value() && lawful && !forbidden) {
            checker.permit_cut(fact.partition.partition.value, cut->value, fact.epoch.value);
        }
        book.replicas[slot].unproven = false;
    }
    void on(Instant, BrokerId, const facts::Following&) {}
    void on(Instant now, BrokerId node, const facts::HighWatermarkMoved& fact) {
        PartitionBook& book = book_of(fact.partition);
        ++counts.high_watermark_moves;
        monitors.high_watermark_moved(book, fact, now, node);
        ledger.high_watermark_moved(book, fact, now, node);
    }
    void on(Instant now, BrokerId node, const facts::IsrProposed& fact) {
        monitors.isr_proposed(book_of(fact.partition), fact, now, node);
    }
    void on(Instant now, BrokerId node, const facts::ProduceAnswered& fact) {
        PartitionBook& book = book_of(fact.partition);
        if (fact.error == 0 && fact.acks != 0) {
            ++counts.batches_acked;
            if (fact.acks == -1) ++counts.batches_acked_all;
            if (fact.duplicate) ++counts.duplicates_answered;
        }
        monitors.produce_answered(book, fact, now, node);
        ledger.produce_answered(book, fact, now, node);
    }
    void on(Instant now, BrokerId node, const facts::ConsumerServed& fact) {
        PartitionBook& book = book_of(fact.partition);
        monitors.consumer_served(book, fact, now, node);
        ledger.consumer_served(book, fact, now, node);
    }

    // Metadata.

    void on(Instant now, BrokerId, const facts::PartitionCommitted& fact) {
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
        if (before.has_value()) {
            if (before->isr != fact.isr) ++counts.isr_changes;
            note_departures(book, *before, fact, now);
        }
        monitors.committed(book, before, now);
        ledger.committed(book, candidates_before, now);
        for (const BrokerId member : fact.isr) {
            const bool was = !before.has_value() || contains(before->isr, member) ||
                             contains(before->elr, member);
            if (!was) book.replicas[book.slot(member)].unproven = false;
        }
    }
    void note_election(PartitionBook& book, const std::optional<facts::PartitionCommitted>& before,
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
        election.kind = *kind;
        election.metadata_offset = fact.metadata_offset;
        if (before.has_value()) election.isr_before = before->isr;
        election.isr_after = fact.isr;
        election.elr_enabled = fact.elr_enabled;
        election.min_isr = fact.min_isr;
        book.elections[fact.leader_epoch] = std::move(election);
    }
    static void note_departures(PartitionBook& book, const facts::PartitionCommitted& before,
                                const facts::PartitionCommitted& after, Instant now) {
        if (sufficient(after)) return;
        using Cause = facts::PartitionChangeCause;
        const bool configured = after.cause == Cause::configuration ||
                                after.cause == Cause::elected_unclean ||
                                after.cause == Cause::elected_by_administrator;
        for (const auto* set : {&before.isr, &before.elr}) {
            for (const BrokerId member : *set) {
                if (contains(after.isr, member) || contains(after.elr, member)) continue;
                const ReplicaBook& replica = book.replicas[book.slot(member)];
                const bool lawful = configured || replica.unproven || !replica.damaged.empty();
                book.departures.push_back({now, member, lawful});
            }
        }
    }
    void on(Instant, BrokerId, const facts::BrokerRegistered& fact) {
        monitors.broker_registered(fact);
        for (auto& [partition, book] : books) {
            book.replicas[book.slot(fact.broker)].unproven = !fact.proven;
        }
    }
    void on(Instant, BrokerId, const facts::BrokerFencing& fact) { monitors.broker_fencing(fact); }

    // Clients.

    /// What a connection delivers is what was sent: the sender's log was not what it sent, unless
    /// its bytes are damaged there.
    void on(Instant now, BrokerId node, const facts::CorruptReceived& fact) {
        const ReplicaBook* sender = book_of(fact.partition).replica(fact.from);
        if (sender != nullptr && sender->damage_at(fact.offset) != nullptr) return;
        findings.report("I1",
                        "bytes that broker " + std::to_string(fact.from.value) +
                            " sent as offset " + std::to_string(fact.offset.value) +
                            " are no batch, though none of its bytes are damaged there",
                        now, node);
    }

    template <class ClientFact>
    void on(Instant now, BrokerId client, const ClientFact& fact) {
        if constexpr (std::is_same_v<ClientFact, facts::SendInvoked>) ++counts.sends;
        if constexpr (std::is_same_v<ClientFact, facts::PollInvoked>) ++counts.polls;
        if constexpr (std::is_same_v<ClientFact, facts::PollReturned>) {
            counts.records_read += fact.records.size();
        }
        for (checkers::Event& event : client_events(now, client, fact)) feed(std::move(event));
    }

    /// What an incarnation that ended without proof did to a replica.
    template <class Function>
    void each_replica(BrokerId node, FaultId fault, Instant now, Function function) {
        for (auto& [partition, book] : books) {
            if (book.replica(node) == nullptr) continue;
            const std::size_t slot = book.slot(node);
            ReplicaBook& replica = book.replicas[slot];
            replica.unproven = true;
            replica.fault = fault;
            replica.fault_time = now;
            function(book, slot);
        }
    }
    void hurt(PartitionBook& book, std::size_t slot, std::span<const Damage> damages,
              DamageKind kind, FaultId fault, Instant now) {
        for (const Damage& one : damages) {
            if (one.partition != book.partition) continue;
            monitors.claimed(book, slot, damage(book, slot, one, kind, fault, now), now);
        }
    }
};

Judge::Judge(JudgeOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Judge::~Judge() = default;

bool Judge::on_fact(Instant now, BrokerId node, std::uint64_t, const facts::Fact& fact) {
    State& state = *state_;
    KLAMM_ASSERT(!state.finished);
    ++state.counts.facts;
    const std::uint64_t before = state.findings.total();
    std::visit([&](const auto& one) { state.on(now, node, one); }, fact);
    state.tell_excuses();
    return state.findings.total() != before;
}

void Judge::on_kill(Instant now, BrokerId node, FaultId fault, std::span<const Damage> cut) {
    State& state = *state_;
    ++state.counts.kills;
    ++state.counts.faults;
    state.each_replica(node, fault, now, [&](PartitionBook& book, std::size_t slot) {
        state.hurt(book, slot, cut, DamageKind::kill, fault, now);
        doubt(book, slot, now);
        state.ledger.damaged(book, slot, DamageKind::kill, now);
    });
}

void Judge::on_power_loss(Instant now, BrokerId node, FaultId fault,
                          std::span<const Damage> damages, std::span<const UndoneTruncate> undone) {
    State& state = *state_;
    ++state.counts.power_losses;
    ++state.counts.faults;
    state.each_replica(node, fault, now, [&](PartitionBook& book, std::size_t slot) {
        state.hurt(book, slot, damages, DamageKind::power, fault, now);
        for (const UndoneTruncate& one : undone) {
            if (one.partition == book.partition) undo_truncate(book, slot, one);
        }
        doubt(book, slot, now);
        book.replicas[slot].flushed = book.replicas[slot].end;  // what is left is on the disk
        state.ledger.damaged(book, slot, DamageKind::power, now);
    });
}

void Judge::on_rot(Instant now, BrokerId node, FaultId fault, std::span<const Damage> damages) {
    State& state = *state_;
    ++state.counts.faults;
    for (auto& [partition, book] : state.books) {
        if (book.replica(node) == nullptr) continue;
        const std::size_t slot = book.slot(node);
        state.hurt(book, slot, damages, DamageKind::rot, fault, now);
        state.ledger.damaged(book, slot, DamageKind::rot, now);
    }
}

void Judge::on_stop(Instant, BrokerId node) {
    for (auto& [partition, book] : state_->books) {
        if (book.replica(node) != nullptr) book.replicas[book.slot(node)].unproven = true;
    }
}

void Judge::on_start(Instant, BrokerId, std::uint64_t) { ++state_->counts.starts; }

void Judge::on_wipe(Instant now, BrokerId node, FaultId fault) {
    State& state = *state_;
    ++state.counts.wipes;
    ++state.counts.faults;
    state.each_replica(node, fault, now, [&](PartitionBook& book, std::size_t slot) {
        wipe(book, slot, fault, now);
        state.ledger.damaged(book, slot, DamageKind::wipe, now);
    });
}

void Judge::on_directory_offline(Instant now, BrokerId node, FaultId fault) {
    State& state = *state_;
    ++state.counts.directories_offline;
    ++state.counts.faults;
    state.each_replica(node, fault, now, [](PartitionBook&, std::size_t) {});
}

void Judge::on_fault(Instant, FaultId) { ++state_->counts.faults; }

void Judge::on_final_reads(Instant now) {
    checkers::Event event;
    event.time = now.nanoseconds;
    event.kind = checkers::Kind::final_reads;
    state_->feed(std::move(event));
}

void Judge::check_all(Instant now) {
    for (auto& [partition, book] : state_->books) state_->monitors.check_all(book, now);
}

void Judge::finish(Instant now, bool read_to_end) {
    State& state = *state_;
    KLAMM_ASSERT(!state.finished);
    check_all(now);
    state.finished = true;
    if (read_to_end) state.checker.finish(now.nanoseconds);
    state.take_checker(now.nanoseconds);
    for (const auto& [partition, book] : state.books) state.ledger.finish(book);
}

const std::vector<Violation>& Judge::violations() const { return state_->findings.kept(); }
std::uint64_t Judge::violations_total() const {
    const std::uint64_t unseen =
        state_->checker.totals().violations - state_->checker.violations().size();
    return state_->findings.total() + unseen;
}
const Bill& Judge::bill() const { return state_->ledger.bill(); }
const RunCounts& Judge::counts() const { return state_->counts; }
const checkers::LogChecker& Judge::history_checker() const { return state_->checker; }
const checkers::History& Judge::history() const { return state_->history; }
std::uint64_t Judge::malformed() const { return state_->findings.malformed(); }

bool Judge::good_candidate(const TopicPartition& partition) const {
    const auto found = state_->books.find(partition);
    return found != state_->books.end() && complete_candidates(found->second) != 0;
}

std::vector<BrokerId> Judge::good_candidates(const TopicPartition& partition) const {
    std::vector<BrokerId> nodes;
    const auto found = state_->books.find(partition);
    if (found == state_->books.end()) return nodes;
    const PartitionBook& book = found->second;
    const ReplicaMask complete = complete_candidates(book);
    for (std::size_t slot = 0; slot < book.replicas.size(); ++slot) {
        const bool holds = (complete & (ReplicaMask{1} << slot)) != 0;
        if (holds && !book.replicas[slot].unproven) nodes.push_back(book.replicas[slot].node);
    }
    return nodes;
}

RunOutcome Judge::outcome(bool faults_asked, std::uint64_t liveness_failures, bool crashed) const {
    RunOutcome out;
    out.counts = state_->counts;
    out.faults_asked = faults_asked;
    out.violations = violations_total();
    out.forbidden = static_cast<std::uint64_t>(bill().forbidden_events);
    out.liveness_failures = liveness_failures;
    out.malformed = malformed();
    out.crashed = crashed;
    return out;
}

}  // namespace klamm::sim
