// The judge's doors: what the world tells (crashes, damage, stops, the end) and the answers. What
// it does with facts is in judge_facts.cc.
#include "sim/judge/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/base/assert.h"
#include "sim/judge/audit.h"
#include "sim/judge/judge_state.h"

namespace klamm::sim {

namespace {

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

Judge::Judge(JudgeOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Judge::~Judge() = default;

bool Judge::on_fact(Instant now, BrokerId node, std::uint64_t incarnation,
                    const facts::Fact& fact) {
    State& state = *state_;
    state.life = std::max<std::uint64_t>(incarnation, 1);
    KLAMM_ASSERT(!state.finished);
    ++state.counts.facts;
    if (for_monitors(fact)) ++state.for_monitors;
    const std::uint64_t before = state.findings.total();
    std::visit([&](const auto& one) { state.on(now, node, one); }, fact);
    state.tell_excuses();
    return state.findings.total() != before;
}

void Judge::on_kill(Instant now, BrokerId node, FaultId fault, std::span<const Damage> cut) {
    State& state = *state_;
    state.tell({now, "kill", node, fault, cut, {}, {}});
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
    state.tell({now, "power", node, fault, damages, undone, {}});
    ++state.counts.power_losses;
    ++state.counts.faults;
    const auto lose = [&](PartitionBook& book, std::size_t slot) {
        state.hurt(book, slot, damages, DamageKind::power, fault, now);
        for (const UndoneTruncate& one : undone) {
            if (one.partition == book.partition) undo_truncate(book, slot, one);
        }
        doubt(book, slot, now);
        book.replicas[slot].flushed = book.replicas[slot].end;  // what is left is on the disk
        state.ledger.damaged(book, slot, DamageKind::power, now);
    };
    state.each_replica(node, fault, now, lose, true);
}

void Judge::on_rot(Instant now, BrokerId node, FaultId fault, std::span<const Damage> damages) {
    State& state = *state_;
    state.tell({now, "rot", node, fault, damages, {}, {}});
    ++state.counts.faults;
    for (auto& [partition, book] : state.books) {
        if (book.replica(node) == nullptr) continue;
        const std::size_t slot = book.slot(node);
        state.hurt(book, slot, damages, DamageKind::rot, fault, now);
        state.ledger.damaged(book, slot, DamageKind::rot, now);
    }
}

void Judge::on_range_cut(Instant now, BrokerId node, std::string_view path, std::uint64_t length,
                         std::uint64_t end) {
    state_->findings.report(
        "range",
        fmt::format("broker {} cut {} to {} bytes although its bytes up to {} waited to be sent on "
                    "a connection that it had not closed",
                    node.value, path, length, end),
        now, node);
}

void Judge::on_stop(Instant now, BrokerId node) {
    state_->tell({now, "stop", node, fault_none, {}, {}, {}});
    state_->down.insert(node);
    for (auto& [partition, book] : state_->books) {
        if (book.replica(node) == nullptr) continue;
        book.replicas[book.slot(node)].ended = true;
        book.replicas[book.slot(node)].unproven = true;
    }
}

void Judge::on_start(Instant now, BrokerId node, std::uint64_t) {
    state_->tell({now, "start", node, fault_none, {}, {}, {}});
    ++state_->counts.starts;
    state_->down.erase(node);
}

void Judge::on_wipe(Instant now, BrokerId node, FaultId fault) {
    State& state = *state_;
    state.tell({now, "wipe", node, fault, {}, {}, {}});
    ++state.counts.wipes;
    ++state.counts.faults;
    state.quorum.wiped(node);
    state.each_replica(node, fault, now, [&](PartitionBook& book, std::size_t slot) {
        wipe(book, slot, fault, now);
        state.ledger.damaged(book, slot, DamageKind::wipe, now);
    });
}

void Judge::on_directory_offline(Instant now, BrokerId node, FaultId fault) {
    State& state = *state_;
    state.tell({now, "offline", node, fault, {}, {}, {}});
    ++state.counts.directories_offline;
    ++state.counts.faults;
    state.each_replica(node, fault, now, [](PartitionBook&, std::size_t) {});
}

void Judge::on_fault(Instant, FaultId) { ++state_->counts.faults; }

std::vector<facts::Fact> Judge::take_decided() { return state_->quorum.take_decided(); }

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
    if (state.findings.malformed() > 0) return;  // what contradicts itself need not add up
    const std::string difference =
        audit({state.counts, state.checker.totals(), state.ledger.bill(), state.books,
               state.for_monitors, state.monitors.taken(), read_to_end});
    if (!difference.empty()) state.findings.malformed(difference, now, no_broker);
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
