#pragma once
// Slips: mistakes that the harness itself could make, to be made on purpose, so that it can be
// shown that none would stay unseen (tests/harness). A slip is a value in the options of whoever
// would make it: checkers::Options, checkers::LinearizabilityOptions, JudgeOptions, RunHooks. The
// planted mistakes of the brokers are elsewhere (plants.h). Built with KLAMM_PLANTS=0 none can be
// made.

#include <cstdint>

#ifndef KLAMM_PLANTS
#define KLAMM_PLANTS 1
#endif

namespace klamm {

enum class Slip : std::uint8_t {
    none,
    checker_skips_last_record,  // the log checker does not look at the last record of a poll
    checker_skips_last_send,    // at the end it does not ask for the record that was sent last
    search_skips_last_return,   // the search for an order ends before the last return
    promises_never_end,         // the ledger bills a loss, and the promise goes on
    bill_names_nobody,          // a loss is billed without the fault that made it lawful
    monitors_deaf,              // no high watermark reaches the monitors
    pause_inert,                // these three are drawn, fall, are counted and do nothing
    cut_inert,
    disk_faults_inert,
    damage_untold,            // the judge is not told what a crash has cost a disk
    producers_never_retry,    // whatever retries their options allow
    final_reads_left_out,     // the run ends before them
    final_reads_not_awaited,  // they begin, and the run ends
    healing_left_out,         // faults go on while all is asked to be well
    liveness_unasked,         // every partition is called well
};

/// Whether the mistake `which` is to be made, where `asked` is.
constexpr bool slips([[maybe_unused]] Slip asked, [[maybe_unused]] Slip which) {
#if KLAMM_PLANTS
    return asked == which;
#else
    return false;
#endif
}

}  // namespace klamm
