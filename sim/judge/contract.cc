// The table, and the words around it. What is said here of a rule is what the code that reports it
// does; where the contract leaves room, ledger.h and monitors.h say what was decided.
#include "sim/judge/contract.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace klamm::sim {

namespace {

constexpr ContractRule contract_rules[] = {
    // Events.
    {"Stranded", "stranded",
     "GOOD ∩ CAND of a promised batch does not become empty, but by damage to bytes, an "
     "incarnation that ended without proof of a clean stop, a log directory gone offline, or a "
     "change of min.insync.replicas that clears ELR.",
     "power/leader_flushed", "S1"},
    {"Erasure", "erasure",
     "A promised batch that nothing has damaged does not leave a log, unless it was overridden, "
     "its promise ended, or the replica had left CAND and CAND ∩ GOOD stays non-empty.",
     "failover/leadership_moves", "R2"},
    {"Erasure", "range", "Bytes that a connection waits to send are not cut from their file.",
     "epochs/range_under_a_cut", "F1"},
    {"Erasure", "L1", "Retention and DeleteRecords move no log start past the high watermark.",
     "smoke/leader_killed",
     "judge:ledger: a log start moved by no retention erases, and one past the watermark is red"},
    {"O1", "O1",
     "A loss is lawful when the promise was weak (acks=1) and never came below the high "
     "watermark.",
     "ledger/weak_promises",
     "judge:ledger: a weak promise is lost as O1, unless a high watermark has passed it"},
    {"O2", "O2",
     "A loss is lawful by an unclean election, which the configuration that the controller held "
     "at that record allowed, or an administrator asked for: from the new leader's end on.",
     "ledger/unclean_by_administrator",
     "judge:ledger: a hole below an unclean leader's end is red, its divergence is not"},
    {"O3", "O3",
     "A loss is lawful when a last known leader was elected, and every member that left ISR ∪ ELR "
     "since the promise was damaged or had stopped without proof.",
     "ledger/power_of_all_unflushed",
     "judge:ledger: a last known leader is O3 when those who left did so unproven, else red"},
    {"O4", "O4",
     "A loss is lawful when the only ISR member came back short through damage, with ELR off or "
     "effective min.insync.replicas 1.",
     "ledger/without_elr",
     "judge:ledger: O4 is not avoidable when nobody else ever had it, and red with ELR on"},
    {"O5", "O5",
     "No leader of a later epoch is without a promised batch for any reason but O1 to O4.",
     "smoke/leader_killed", "R1"},
    // Always.
    {"I1", "I1",
     "Two replicas that both hold an offset agree on its (epoch, digest): one (epoch, base "
     "offset) names one batch for ever; what is answered with acks=all, or comes below the high "
     "watermark, is held by every member of the committed ISR that has not stopped without proof; "
     "a new leader holds all that came below a high watermark, unless a ledger entry excuses it.",
     "smoke/leader_killed", "R1"},
    {"I2", "I2",
     "One leader a (partition, epoch). The high watermark is monotone within an epoch, within the "
     "leader's log, and does not move while the committed ISR is smaller than effective "
     "min.insync.replicas; acks=all is answered below it only, against an ISR that covers the "
     "committed one; a leader from outside ISR and ELR was elected by configuration, by an "
     "administrator, or as the last known one.",
     "isr/too_few_in_sync", "R1"},
    {"I3", "I3",
     "A replica enters the ISR with its log end at or past the high watermark and its epoch "
     "start, unfenced. With ELR on no fenced broker is in an ISR; with ELR off a sole member may "
     "be.",
     "isr/join_after_failover", "R4"},
    {"I5", "I5",
     "The recovery point moves only after a sync that covers it; recovery keeps no damaged batch "
     "at or above it; a log with damage is not opened as cleanly stopped.",
     "power/torn_tail_of_the_leader", "S7"},
    {"I6", "I6",
     "A consumer is served below the high watermark only, and nothing but what came below it.",
     "failover/leadership_moves",
     "judge:I6: consumers are served below the high watermark and of what came below it"},
    {"I7", "I7",
     "The batches of a producer (id, epoch) have sequences without gap or repeat in every log, "
     "through failover and truncation.",
     "failover/pending_answers",
     "judge:I7: sequences go on without gap or repeat, and truncation takes them back"},
    {"I8", "I8",
     "Groups: one owner a partition a generation; no commit is acknowledged that was asked for in "
     "a "
     "generation after a member of a later one had been told its part; who asks the coordinator "
     "for "
     "committed offsets is told of none that an acknowledged commit has replaced, unless part of "
     "the group's partition was lost lawfully.",
     "groups/paused_past_its_session", "G1"},
    {"I10", "I10",
     "Metadata: one controller leads an epoch, one vote is given in it and none that was told is "
     "forgotten; what counts as committed reaches into the leader's own epoch and is synced by a "
     "majority of voters; whoever leads later has it, and everybody has the same.",
     "quorum/tail_of_an_older_epoch", "C5"},
    // Clients.
    {"Clients", "LOST", "A record that was acknowledged is read back at the end.",
     "isr/last_replica_standing", "R1"},
    {"Clients", "DIRTY", "A record that was delivered is read back at the end.", "failover/double",
     "checkers:log checker: read once and gone at the end"},
    {"Clients", "INCONS", "One offset shows one value, whoever reads it.", "epochs/slow_news",
     "R1"},
    {"Clients", "DUP", "An idempotent producer's record is at one offset.",
     "failover/pending_answers",
     "checkers:log checker: one value twice is lawful without idempotence only"},
    {"Clients", "ORDER",
     "A record lies above everything that was complete before its send was invoked.",
     "failover/leadership_moves", "R1"},
    {"Clients", "NONMONO", "A consumer's position does not go back without its being told.",
     "failover/five_brokers", "checkers:log checker: a consumer that goes back without being told"},
    {"Clients", "SKIP", "A poll jumps over no record.", "failover/rolling_restart",
     "checkers:log checker: a poll that skips, before or after the record is known"},
    {"Clients", "STALE",
     "An answer is not older than one that was complete before it began. Kafka does not promise "
     "it: counted, and red only when asked for.",
     "network/slow_links",
     "checkers:log checker: a stale poll is counted as Kafka allows it and reported when strict"},
    {"Clients", "REGRESS", "LATEST goes back only where its leader epoch does (KIP-207).",
     "epochs/slow_news", "checkers:log checker: LATEST goes back only when its leader epoch does"},
    {"Clients", "GHOST", "A send that failed for certain never appears.",
     "network/request_broken_off",
     "checkers:log checker: failed sends and values of nobody never appear"},
    {"Clients", "GARBAGE", "No value appears that nobody has sent.", "power/truncate_undone",
     "checkers:log checker: failed sends and values of nobody never appear"},
    {"Clients", "UNTOLD", "A consumer that crosses a lawful loss is told of it.",
     "ledger/unclean_by_configuration",
     "checkers:log checker: a consumer that crosses a loss untold is found when clients validate "
     "epochs"},
    // The harness about itself.
    {"Harness", "malformed",
     "What the judge is told, and what it counts, agrees with itself. A finding of this kind is a "
     "mistake of the harness, never of a node.",
     "smoke/leader_killed", "checkers:log checker: contradictions are told as such"},
};

struct ContractSection {
    std::string_view title;
    std::string_view words;
    std::string_view first;  // clause
};

constexpr std::string_view contract_opening =
    R"(# The contract: what may be lost, and what may not

Written by `klamm contract` from the table in `sim/judge/contract.cc`, and held against it by a test; a finding under a
name that is not here is refused where it is made. Each rule names a scenario of `scenarios/` that shows it holding, and
what breaks it: a planted bug, with which that scenario is red by this rule (a test runs them all), or a test that hands
the judge a history altered in the one thing.

## Terms

A batch is known by topic id, partition, leader epoch, base offset and checksum.

- **GOOD(b, r)**: the bytes of b on replica r, page cache over disk, are right. Damage below the file's synced length
  costs the batches that it hits; damage at or above it costs every batch from there up. **DUR(b, r)**: the same with the
  cache dropped.
- **CAND**: who may lead, from the newest committed metadata: the ISR; if empty, the ELR; if both are empty and ELR is on,
  the last known leader. A deposed leader is no candidate.
- **A promise starts** when the leader hands the network an acks=all success or a consumer's answer that covers b. An
  acks=1 success is a weak promise until the high watermark passes b. acks=0 promises nothing.
- **A promise ends** by a lawful move of the log start: retention, DeleteRecords.
- With `flush.messages=1`, DUR is read for GOOD everywhere: no power loss permits a loss.
- Effective min.insync.replicas is min(replication factor, min.insync.replicas).
)";

constexpr ContractSection contract_sections[] = {
    {"Events that the ledger judges, when they happen",
     "A loss by O2 to O4 is *avoidable* if some replica was GOOD at that moment. The bill names "
     "for each the record, the "
     "rule, the\nelection's metadata offset and the fault; `tests/tools/recompute_bill` computes "
     "it again from a trace "
     "alone.",
     "Stranded"},
    {"Always", "Held against each fact that a node states.", "I1"},
    {"Clients",
     "Held against what clients asked and were told, by `checkers/`, which knows no broker. Losses "
     "that the ledger "
     "permits are excused,\neach in its own range.",
     "Clients"},
    {"The harness", "", "Harness"},
};

constexpr std::string_view contract_ending = R"(
## After healing

A run ends with its faults mended, some brokers left down for good where enough others hold a GOOD candidate. Within a
bound every partition has a leader, all that run are in its ISR and the high watermark is at the log end; a fresh producer
is served and all that is promised is read back. What fails is the finding `liveness`. The one excuse, proven from the
ledger: E1, no GOOD candidate and unclean election off.

## What nothing here enforces yet

I4 (the marker of a clean stop carries the broker epoch) by the judge: `core/controller`'s own tests hold it. I9
(transactions). That images are equal where the metadata log is (I10). Derived losses. Promises that compaction, DeleteTopics or an
abort end. Liveness excuses E2 to E5.
)";

}  // namespace

std::span<const ContractRule> contract() { return contract_rules; }

bool contract_knows(std::string_view id) {
    return std::any_of(std::begin(contract_rules), std::end(contract_rules),
                       [id](const ContractRule& rule) { return rule.id == id; });
}

std::string contract_document() {
    std::string out(contract_opening);
    const ContractSection* open = nullptr;
    for (const ContractRule& rule : contract_rules) {
        for (const ContractSection& section : contract_sections) {
            if (section.first != rule.clause || open == &section) continue;
            open = &section;
            out += fmt::format("\n## {}\n\n", section.title);
            if (!section.words.empty()) out += fmt::format("{}\n\n", section.words);
            out += "| rule | finding | what it says | shown holding | broken by |\n";
            out += "|---|---|---|---|---|\n";
        }
        const std::string by = rule.by_plant() ? fmt::format("plant {}", rule.broken_by)
                                               : fmt::format("test `{}`", rule.broken_by);
        out += fmt::format("| {} | `{}` | {} | [{}](scenarios/{}.json) | {} |\n", rule.clause,
                           rule.id, rule.sentence, rule.scenario, rule.scenario, by);
    }
    out += contract_ending;
    return out;
}

}  // namespace klamm::sim
