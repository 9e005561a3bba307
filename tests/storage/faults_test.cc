// The n-th disk call fails, for every n: the log goes offline and says so, and a new process on the
// same disk finds everything that was reported flushed.

#include <catch2/catch.hpp>

#include "tests/storage/rig.h"

using namespace klamm;
using namespace klamm::tests;

namespace {

storage::LogConfig small_segments() {
    storage::LogConfig config;
    config.segment_bytes = 500;
    config.index_interval_bytes = 150;
    config.tail_cache_bytes = 0;
    return config;
}

/// A day in the life of a log; stops early when the disk has failed.
void live(Rig& rig) {
    if (!rig.open()) return;
    for (int i = 0; i < 6; ++i) {
        rig.lead(batch(2, 40, Timestamp(1000 + i)), 1 + i / 2);
        if (i % 2 == 1) rig.log->flush(rig.env);
        rig.pump();
    }
    if (rig.log->phase() != storage::LogPhase::open) return;
    rig.log->read(rig.env, Offset(1), 1000, Offset(100), true);
    rig.directory.settle(rig.env.turn());
    if (rig.log->phase() != storage::LogPhase::open) return;
    rig.log->truncate_to(rig.env, Offset(6));
    rig.pump();
    rig.lead(batch(1, 40, Timestamp(3000)), 9);
    rig.pump();
    if (rig.directory.phase() != storage::DirectoryPhase::ready) return;
    rig.directory.close(rig.env, BrokerEpoch(3));
    rig.pump();
}

}  // namespace

TEST_CASE("faults: the n-th disk call fails, for every n") {
    std::uint64_t calls = 0;
    {
        RecordingDisk disk;
        Rig rig(disk, small_segments());
        live(rig);
        REQUIRE(rig.directory.phase() == storage::DirectoryPhase::closed);
        calls = disk.calls();
    }
    REQUIRE(calls > 100);
    for (std::uint64_t n = 1; n <= calls; ++n) {
        RecordingDisk disk;
        disk.fail_call(n);
        Offset flushed{0};
        {
            Rig rig(disk, small_segments());
            live(rig);
            INFO("call " << n);
            REQUIRE(disk.failed());
            REQUIRE(rig.directory.phase() == storage::DirectoryPhase::offline);
            REQUIRE(rig.directory.failure().has_value());
            if (rig.log != nullptr && rig.log->phase() != storage::LogPhase::closed) {
                REQUIRE(rig.log->phase() == storage::LogPhase::offline);
                REQUIRE(rig.log->offline()->disk_failed);
                REQUIRE(rig.env.facts.of<facts::LogOffline>().size() == 1);
                const storage::Appended refused = rig.lead(batch(1, 10, Timestamp(1)), 20);
                REQUIRE(refused.outcome == storage::AppendOutcome::offline);
            }
            // The last word on what is durable: each flush raises it, each cut lowers it.
            for (const facts::Fact& fact : rig.env.facts.all) {
                if (const auto* one = std::get_if<facts::LogFlushed>(&fact)) flushed = one->end;
                if (const auto* one = std::get_if<facts::LogTruncated>(&fact))
                    flushed = std::min(flushed, one->end);
            }
            if (rig.log != nullptr) flushed = std::min(flushed, rig.log->flushed_end());
        }
        INFO("call " << n);
        RecordingDisk healthy(disk.cached());
        Rig rig(healthy, small_segments());
        REQUIRE(rig.open());
        REQUIRE(rig.log->log_end().value >= flushed.value);
        REQUIRE(inconsistency(rig, healthy, small_segments()) == "");
    }
}

TEST_CASE("faults: a write that failed states what it may have left, and takes it back") {
    RecordingDisk disk;
    Rig rig(disk, small_segments());
    REQUIRE(rig.open());
    rig.lead(batch(2, 40, Timestamp(1000)), 1);
    rig.env.facts.all.clear();
    disk.fail_call(1);
    REQUIRE(rig.lead(batch(3, 40, Timestamp(1001)), 1).outcome == storage::AppendOutcome::offline);
    const auto appended = rig.env.facts.of<facts::BatchAppended>();
    const auto truncated = rig.env.facts.of<facts::LogTruncated>();
    REQUIRE(appended.size() == 1);
    CHECK(appended[0].base_offset == Offset(2));
    CHECK(appended[0].last_offset == Offset(4));
    REQUIRE(truncated.size() == 1);
    CHECK(truncated[0].reason == facts::TruncateReason::failed_write);
    CHECK(truncated[0].end == Offset(2));
    CHECK(std::holds_alternative<facts::BatchAppended>(rig.env.facts.all.front()));
}

TEST_CASE("faults: recovery needs no more room than one segment and what it writes beside it") {
    const storage::LogConfig config = small_segments();
    FileTree left;
    {
        RecordingDisk disk;
        Rig rig(disk, config);
        REQUIRE(rig.open());
        for (int i = 0; i < 60; ++i) rig.lead(batch(2, 40, Timestamp(1000 + i)), 1);
        rig.pump();
        REQUIRE(rig.log->segments().size() > 10);
        left = disk.cached();  // the process is killed; nothing was flushed
    }
    for (const std::uint64_t room : {std::uint64_t{3 * 500}, std::uint64_t{100}}) {
        RecordingDisk disk(left);
        disk.set_capacity(disk.used() + room);
        Rig rig(disk, config);
        CHECK(rig.open() == (room > 500));
        if (rig.log == nullptr || rig.log->phase() != storage::LogPhase::open) continue;
        CHECK(rig.log->log_end() == Offset(120));
        CHECK(rig.log->flushed_end() == Offset(120));
        CHECK(inconsistency(rig, disk, config).empty());
    }
}
