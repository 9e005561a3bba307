#pragma once
// The log checker: judges the histories of partition logs in one sweep, O(1) to O(log n) an event
// (amortised), online or from an exported history.
//
// The offset that a send is given and the high watermark that a poll reports name each operation's
// place in the one total order of a log. So no search is needed: an operation remembers, when it is
// invoked, the highest place M that was complete by then, and may not lie below it (Theorem: such a
// history is linearizable iff each offset has one value and no place precedes that M).
//
// Hard is what a success with acks=all said or a poll has shown; it must hold for ever, save for
// permitted losses. Soft is a success with acks=1: it may vanish until somebody has read it. acks=0
// and unknown outcomes promise nothing and may appear at any later time.
//
// Kafka is not linearizable for reads: a fresh leader starts with an old high watermark, and a
// deposed one answers until it learns. Reads::kafka counts such answers as stale but does not
// report them, and holds LATEST to KIP-207: monotone in real time while leader epochs do not
// decrease. Reads::strict reports them all.
//
// Of records that were told a key, compaction may take those that a later one of the key replaces,
// and those that delete it; the last one of each key must be there.
//
// Not judged: transactions; groups and other services (service_checker.h); that log start moves
// lawfully.

#include <cstdint>
#include <memory>
#include <vector>

#include "checkers/history.h"
#include "checkers/violation.h"
#include "core/base/slips.h"

namespace klamm::checkers {

enum class Reads : std::uint8_t {
    kafka,   // stale answers are counted; LATEST is monotone while epochs do not decrease
    strict,  // every answer is at least as new as any that was complete before it began
};

struct Options {
    bool idempotent = true;  // one value at two offsets is an error; else it is counted
    Reads reads = Reads::kafka;
    bool untold = false;  // consumers validate epochs, so going on untold across a loss is an error
    std::size_t violations_max = 1000;  // further ones are counted, not kept
    Slip slip = Slip::none;             // for tests of the harness
};

struct Totals {
    std::uint64_t events = 0;
    std::uint64_t sends = 0;
    std::uint64_t acknowledged = 0;  // sends that returned ok
    std::uint64_t polls = 0;
    std::uint64_t records_read = 0;  // observations, repeated ones included
    std::uint64_t judged = 0;        // sends that the end has asked for
    std::uint64_t stale = 0;         // answers older than one complete before, lawful in Kafka
    std::uint64_t duplicates = 0;    // lawful repeats: without idempotence
    std::uint64_t soft_lost = 0;     // acks=1 successes that nobody ever read in the end
    std::uint64_t excused = 0;       // hard records that a permitted loss took
    std::uint64_t violations = 0;
};

class LogChecker {
  public:
    explicit LogChecker(Options options = {});
    ~LogChecker();
    LogChecker(LogChecker&&) noexcept;
    LogChecker& operator=(LogChecker&&) noexcept;

    /// Takes the next event; times never decrease.
    void feed(const Event& event);

    /// The records that `partition` held at [from, to) until now are lost, and lawfully so. Covers
    /// records known by now and records of sends invoked by now; whatever is written there later is
    /// held to the rules again.
    void permit_loss(std::int32_t partition, std::int64_t from, std::int64_t to);

    /// A lawful election for leader epoch `epoch` went back to `end`: high watermarks above it, of
    /// earlier epochs, say nothing about the future.
    void permit_cut(std::int32_t partition, std::int64_t end, std::int32_t epoch);

    /// Judges what only the end can show: every hard record that is not below the log start must
    /// have been read after Kind::final_reads (or by any poll, when that event never came). Call
    /// once.
    void finish(std::int64_t time);

    [[nodiscard]] const std::vector<Violation>& violations() const;
    [[nodiscard]] const Totals& totals() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// A lawful loss inside an exported history: it applies before the first event later than `time`.
struct PermittedLoss {
    std::int64_t time = 0;
    std::int32_t partition = 0;
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int32_t epoch = -1;  // of the leader that went back to `from`; -1: no permit_cut
};

struct Judgement {
    std::vector<Violation> violations;
    Totals totals;
};

/// The same sweep over a whole history; `losses` in time order.
Judgement check_history(const History& history, const Options& options = {},
                        const std::vector<PermittedLoss>& losses = {});

}  // namespace klamm::checkers
