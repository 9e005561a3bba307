#pragma once
// What happened in a run, in numbers, and the verdict. A run that did nothing proves nothing: one
// that fired no fault though asked to, acknowledged nothing, or elected nobody is a harness error,
// never a pass.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace klamm::sim {

struct RunCounts {
    std::uint64_t facts = 0;
    std::uint64_t elections = 0;          // a leader took up an epoch
    std::uint64_t elections_unclean = 0;  // committed as unclean, by whatever authority
    std::uint64_t elections_last_known = 0;
    std::uint64_t isr_changes = 0;  // committed records whose ISR differs from the one before
    std::uint64_t kills = 0;
    std::uint64_t power_losses = 0;
    std::uint64_t starts = 0;
    std::uint64_t wipes = 0;
    std::uint64_t directories_offline = 0;
    std::uint64_t faults = 0;            // of any kind; the world counts through on_fault
    std::uint64_t batches_appended = 0;  // by leaders
    std::uint64_t batches_acked = 0;     // produce answers without an error, acks not 0
    std::uint64_t batches_acked_all = 0;
    std::uint64_t duplicates_answered = 0;
    std::uint64_t truncations = 0;
    std::uint64_t recoveries = 0;  // logs opened without proof of a clean stop
    std::uint64_t high_watermark_moves = 0;
    std::uint64_t sends = 0;
    std::uint64_t polls = 0;
    std::uint64_t records_read = 0;
    std::uint64_t quorum_elections = 0;   // a controller took up an epoch of the quorum
    std::uint64_t group_assignments = 0;  // a member was told its part of a generation
    std::uint64_t group_commits = 0;      // acknowledged
    std::uint64_t group_reads = 0;        // answers about committed offsets
};

/// The run's end, in the order of precedence; the values are the exit statuses.
enum class Verdict : std::uint8_t {
    passed = 0,
    safety = 1,
    liveness = 2,
    crash = 3,
    harness_error = 4,
    usage = 5,
};

const char* to_string(Verdict verdict);

struct RunOutcome {
    RunCounts counts;
    bool faults_asked = false;     // the scenario has at least one fault
    bool groups_asked = false;     // it has members of groups
    std::uint64_t violations = 0;  // red ones, of any judge
    std::uint64_t forbidden = 0;   // records lost under O5, and other red events of the ledger
    std::uint64_t liveness_failures = 0;
    std::uint64_t malformed = 0;  // histories or facts that contradict themselves
    bool crashed = false;         // an assertion failed in a node
};

/// crash before safety before liveness before harness_error: what is red stays red in a run that
/// did too little.
Verdict verdict_of(const RunOutcome& outcome);

/// Why a run that found nothing red is an error; empty when it is not.
std::string harness_complaint(const RunOutcome& outcome);

nlohmann::json to_json(const RunCounts& counts);
std::string to_text(const RunCounts& counts);

}  // namespace klamm::sim
