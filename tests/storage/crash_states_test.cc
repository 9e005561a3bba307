// Crash states, enumerated: a script runs on a recording disk; then for every prefix of its disk
// operations, and every subset of what no sync covers (drawn when there are more than
// `units_all_max`), the machine loses power there and a new process opens what is left.

#include <catch2/catch.hpp>
#include <iostream>

#include "tests/storage/rig.h"

using namespace klamm;
using namespace klamm::tests;

namespace {

constexpr std::size_t units_all_max = 10;
constexpr std::size_t drawn_subsets = 400;

/// What was true once `operations` operations had been done.
struct Moment {
    std::size_t operations;
    Offset durable;            // everything below must survive
    std::vector<Bytes> whole;  // what survives must be a prefix of one of these
};

struct Script {
    storage::LogConfig config;
    RecordingDisk disk;
    std::vector<Moment> moments;
    Bytes before_cut;

    void note(const Rig& rig) {
        Moment moment{disk.operations(), Offset(0), {Bytes{}}};
        const auto phase = rig.log == nullptr ? storage::LogPhase::opening : rig.log->phase();
        if (phase != storage::LogPhase::opening) {
            moment.durable = rig.log->recovery_point();
            if (phase != storage::LogPhase::closed) moment.whole = {rig.bytes()};
            if (phase == storage::LogPhase::truncating) moment.whole.push_back(before_cut);
            if (phase == storage::LogPhase::closed) moment.whole = moments.back().whole;
        } else if (!moments.empty()) {
            // A process that starts has promised nothing yet; the one before it has.
            moment.durable = moments.back().durable;
            moment.whole = moments.back().whole;
        }
        moments.push_back(std::move(moment));
    }
    void pump(Rig& rig) {
        note(rig);
        while (rig.step()) note(rig);
    }
    void start(Rig& rig) {
        rig.directory.start(rig.env, {"cluster", BrokerId(1), uuid_from_halves(1, 2)});
        pump(rig);
        rig.log = &rig.directory.open_log(rig.env, trial, trial_name, config);
        pump(rig);
        REQUIRE(rig.log->phase() == storage::LogPhase::open);
    }
};

bool is_prefix(const Bytes& part, const Bytes& whole) {
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

/// Opens what a power loss left and says what is wrong with it; "" when all is lawful.
std::string verdict(const FileTree& tree, const Script& script, std::size_t prefix, bool again) {
    RecordingDisk disk(tree);
    Rig rig(disk, script.config);
    if (!rig.open()) {
        return "offline: " + (rig.log != nullptr && rig.log->offline()
                                  ? rig.log->offline()->error.text
                                  : rig.directory.failure()->text);
    }
    std::string wrong = inconsistency(rig, disk, script.config);
    if (!wrong.empty()) return wrong;
    // The moments just before and just after this prefix bound what is allowed.
    auto after =
        std::upper_bound(script.moments.begin(), script.moments.end(), prefix,
                         [](std::size_t n, const Moment& moment) { return n < moment.operations; });
    const bool last = after == script.moments.end();
    const Moment& here = *(after - 1);
    const Moment& next = last ? here : *after;
    if (rig.log->log_end() < std::min(here.durable, next.durable)) return "synced batches are gone";
    const Bytes left = rig.bytes();
    bool lawful = false;
    for (const Moment* moment : {&here, &next}) {
        for (const Bytes& whole : moment->whole) lawful |= is_prefix(left, whole);
    }
    if (!lawful) return "the log is no prefix of what was appended";
    if (!again) return "";
    // What recovery accepted is durable now: a second loss of everything unsynced changes nothing.
    const std::vector<bool> none(disk.open_units(disk.operations()), false);
    RecordingDisk second_disk(disk.after_power_loss(disk.operations(), none));
    Rig second(second_disk, script.config);
    if (!second.open()) return "offline after a second power loss";
    if (second.bytes() != left) return "what recovery accepted was not durable";
    second.lead(batch(1, 30, Timestamp(9000)), 99);
    second.log->flush(second.env);
    second.pump();
    if (second.log->flushed_end() != second.log->log_end()) return "cannot go on";
    return inconsistency(second, second_disk, script.config);
}

struct Counts {
    std::uint64_t states = 0;
    std::uint64_t prefixes = 0;
    std::uint64_t all_subsets = 0;
};

Counts enumerate(const Script& script) {
    Counts counts;
    const Draws draws(7);
    const auto check = [&](std::size_t prefix, const std::vector<bool>& kept) {
        const std::string wrong = verdict(script.disk.after_power_loss(prefix, kept), script,
                                          prefix, counts.states % 5 == 0);
        ++counts.states;
        if (!wrong.empty()) {
            std::string bits;
            for (const bool bit : kept) bits += bit ? '1' : '0';
            FAIL("prefix " << prefix << " kept " << bits << ": " << wrong);
        }
    };
    for (std::size_t prefix = script.moments.front().operations; prefix <= script.disk.operations();
         ++prefix) {
        ++counts.prefixes;
        const std::size_t units = script.disk.open_units(prefix);
        std::vector<bool> kept(units);
        if (units <= units_all_max) {
            ++counts.all_subsets;
            for (std::uint64_t mask = 0; mask < (std::uint64_t{1} << units); ++mask) {
                for (std::size_t i = 0; i < units; ++i) kept[i] = ((mask >> i) & 1) != 0;
                check(prefix, kept);
            }
            continue;
        }
        for (std::size_t n = 0; n < drawn_subsets; ++n) {
            // From nothing to everything, the densities between drawn.
            const std::int64_t rate =
                n == 0   ? 0
                : n == 1 ? per_million
                         : draws.between(50'000, 950'000, draw_domain("rate"), prefix, n);
            for (std::size_t i = 0; i < units; ++i) {
                kept[i] = draws.happens(rate, draw_domain("kept"), prefix * 100 + n, i);
            }
            check(prefix, kept);
        }
    }
    return counts;
}

storage::LogConfig tiny() {
    storage::LogConfig config;
    config.segment_bytes = 700;
    config.index_interval_bytes = 150;
    config.scan_bytes = 400;
    config.tail_cache_bytes = 300;
    return config;
}

void report(const char* name, const Counts& counts) {
    std::cout << "crash states, " << name << ": " << counts.states << " states of "
              << counts.prefixes << " prefixes (" << counts.all_subsets
              << " with all subsets), all lawful\n";
}

}  // namespace

TEST_CASE("crash states: appends, rolls and flushes recover to a lawful prefix") {
    Script script;
    script.config = tiny();
    Rig rig(script.disk, script.config);
    script.start(rig);
    int sequence = 0;
    for (int i = 0; i < 9; ++i) {
        rig.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, sequence)), 1 + i / 4);
        sequence += 2;
        script.note(rig);
        if (i % 3 == 2) {
            rig.log->flush(rig.env);
            script.pump(rig);
        }
        if (i == 5) {
            rig.directory.checkpoint(rig.env);
            script.pump(rig);
        }
    }
    REQUIRE(rig.log->segments().size() >= 3);
    report("appends", enumerate(script));
}

TEST_CASE("crash states: a process is killed, the next recovers, then the power fails") {
    Script script;
    script.config = tiny();
    Rig first(script.disk, script.config);
    script.start(first);
    for (int i = 0; i < 6; ++i) {
        first.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, 2 * i)), 1 + i / 4);
        script.note(first);
        if (i == 1) {
            first.log->flush(first.env);
            script.pump(first);
        }
    }
    Rig second(script.disk, script.config);
    script.start(second);
    REQUIRE(second.log->log_end() == Offset(12));
    REQUIRE(second.log->flushed_end() == Offset(12));
    second.lead(batch(1, 40, Timestamp(3000), from_producer(5, 0, 12)), 3);
    script.note(second);
    second.log->flush(second.env);
    script.pump(second);
    report("a kill", enumerate(script));
}

TEST_CASE("crash states: a sync fails, the next process recovers, then the power fails") {
    Script script;
    script.config = tiny();
    Rig first(script.disk, script.config);
    script.start(first);
    for (int i = 0; i < 6; ++i) {
        first.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, 2 * i)), 1 + i / 4);
        script.note(first);
        if (i == 1) {
            first.log->flush(first.env);
            script.pump(first);
        }
    }
    // The page cache has all of it still; the disk never will, unless it is written again.
    Moment told = script.moments.back();
    script.disk.fail_syncs(1000);
    first.log->flush(first.env);
    first.pump();
    REQUIRE(first.log->offline());
    script.disk.fail_syncs(0);
    told.operations = script.disk.operations();
    script.moments.push_back(told);

    Rig second(script.disk, script.config);
    script.start(second);
    REQUIRE(second.log->log_end() == Offset(12));
    REQUIRE(second.log->flushed_end() == Offset(12));
    REQUIRE(second.bytes() == told.whole.front());
    second.lead(batch(1, 40, Timestamp(3000), from_producer(5, 0, 12)), 3);
    script.note(second);
    second.log->flush(second.env);
    script.pump(second);
    report("a failed sync", enumerate(script));
}

TEST_CASE("crash states: a batch of many units is torn anywhere") {
    Script script;
    script.config = tiny();
    script.config.segment_bytes = 20'000;
    Rig rig(script.disk, script.config);
    script.start(rig);
    for (int i = 0; i < 4; ++i) {
        rig.lead(batch(1, 900, Timestamp(1000 + i)), 1);
        script.note(rig);
        if (i == 1) {
            rig.log->flush(rig.env);
            script.pump(rig);
            rig.directory.checkpoint(rig.env);
            script.pump(rig);
        }
    }
    report("torn batches", enumerate(script));
}

TEST_CASE("crash states: a cut below the recovery point, then other batches on top") {
    Script script;
    script.config = tiny();
    Rig rig(script.disk, script.config);
    script.start(rig);
    for (int i = 0; i < 7; ++i) {
        rig.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, 2 * i)), 1 + i / 3);
        script.note(rig);
    }
    rig.log->flush(rig.env);
    script.pump(rig);
    rig.directory.checkpoint(rig.env);
    script.pump(rig);
    REQUIRE(rig.log->flushed_end() == Offset(14));

    script.before_cut = rig.bytes();
    rig.log->truncate_to(rig.env, Offset(4));
    script.pump(rig);
    REQUIRE(rig.log->phase() == storage::LogPhase::open);
    REQUIRE(rig.log->log_end() == Offset(4));
    REQUIRE(inconsistency(rig, script.disk, script.config) == "");

    for (int i = 0; i < 5; ++i) {
        rig.lead(batch(2, 40, Timestamp(2000 + 10 * i), from_producer(6, 0, 2 * i)), 7);
        script.note(rig);
    }
    rig.log->flush(rig.env);
    script.pump(rig);
    rig.directory.checkpoint(rig.env);
    script.pump(rig);
    report("a cut", enumerate(script));
}

TEST_CASE("crash states: a clean stop, and the start after it") {
    Script script;
    script.config = tiny();
    {
        Rig rig(script.disk, script.config);
        script.start(rig);
        for (int i = 0; i < 5; ++i) {
            rig.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, 2 * i)), 1);
            script.note(rig);
        }
        rig.log->flush(rig.env);
        rig.directory.close(rig.env, BrokerEpoch(42));
        script.pump(rig);
        REQUIRE(rig.directory.phase() == storage::DirectoryPhase::closed);
    }
    Rig rig(script.disk, script.config);
    // While the second process opens, the whole log must stay.
    rig.directory.start(rig.env, {"cluster", BrokerId(1), uuid_from_halves(1, 2)});
    while (rig.step()) script.note(rig);
    REQUIRE(rig.directory.clean_start());
    REQUIRE(rig.directory.previous_epoch() == BrokerEpoch(42));
    rig.log = &rig.directory.open_log(rig.env, trial, trial_name, script.config);
    while (rig.step()) script.note(rig);
    REQUIRE(rig.log->opened_clean());
    REQUIRE(rig.log->log_end() == Offset(10));
    for (int i = 5; i < 7; ++i) {
        rig.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, 2 * i)), 2);
        script.note(rig);
    }
    report("a clean stop", enumerate(script));
}
