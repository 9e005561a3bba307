// The front of a log: retention by size and time, log starts, and what a crash leaves of both.

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "tests/storage/rig.h"

using namespace klamm;
using namespace klamm::tests;
using storage::ReadStatus;

namespace {

storage::LogConfig timed_segments() {
    storage::LogConfig config;
    config.segment_bytes = 600;
    config.index_interval_bytes = 150;
    config.tail_cache_bytes = 0;
    config.file_delete_delay_ms = 1'000;
    return config;
}

/// Two records a batch, with the times 1000 + 10 i and one later.
void fill_timed(Rig& rig, int batches, int epoch = 1) {
    const auto from = static_cast<int>(rig.log->log_end().value / 2);
    for (int i = from; i < from + batches; ++i)
        REQUIRE(rig.lead(batch(2, 40, Timestamp(1000 + 10 * i)), epoch).outcome ==
                storage::AppendOutcome::appended);
}

std::string text_of(const RecordingDisk& disk, const std::string& name) {
    const FileTree tree = disk.cached();
    const auto file = tree.find(root + "/" + name);
    return file == tree.end() ? "none" : std::string(as_text(file->second));
}

std::size_t files_ending(const RecordingDisk& disk, std::string_view suffix) {
    std::size_t count = 0;
    for (const auto& [name, content] : disk.cached()) count += name.ends_with(suffix) ? 1 : 0;
    return count;
}

/// What had been told when so many operations of the disk were done.
struct Looked {
    std::size_t operations;
    Offset start, durable;
};

void note(std::vector<Looked>& moments, const RecordingDisk& disk, const Rig& rig) {
    moments.push_back({disk.operations(), rig.log->log_start(), rig.log->flushed_end()});
}

/// Opens what a power loss after `prefix` operations left; "" when it is a sound log.
std::string verdict(const RecordingDisk& disk, const storage::LogConfig& config,
                    const std::vector<Looked>& moments, std::size_t prefix,
                    const std::vector<bool>& kept) {
    Offset start{0};
    Offset durable{0};
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (moments[i].operations <= prefix) durable = std::max(durable, moments[i].durable);
        // Of what was told at the moment after, some may be there.
        if (i == 0 || moments[i - 1].operations <= prefix)
            start = std::max(start, moments[i].start);
    }
    RecordingDisk left(disk.after_power_loss(prefix, kept));
    Rig rig(left, config);
    if (!rig.open())
        return "offline: " + (rig.log != nullptr && rig.log->offline()
                                  ? rig.log->offline()->error.text
                                  : rig.directory.failure()->text);
    if (rig.log->log_start() > start) return "the log starts above where it was told to";
    if (rig.log->log_end() < durable) return "flushed batches are gone";
    Offset next = rig.log->segments().front().base;
    if (next > rig.log->log_start()) return "the log starts below its first segment";
    for (const storage::Segment& segment : rig.log->segments()) {
        if (segment.base != next) return "a hole between segments";
        const Bytes bytes = left.content(segment.log);
        ByteView rest = bytes;
        ByteView one;
        while (record::next_batch(rest, one) == record::Peek::ok) {
            if (record::BatchView(one).base_offset() != next) return "a hole between batches";
            if (!record::BatchView(one).crc_holds()) return "a bad checksum";
            next = record::BatchView(one).next_offset();
        }
        if (!rest.empty() || segment.end != next) return "a segment ends elsewhere";
    }
    return next == rig.log->log_end() ? "" : "the log ends elsewhere";
}

bool reads(Rig& rig, Offset from) {
    return rig.log->read(rig.env, from, 10'000, rig.log->log_end(), true).status == ReadStatus::ok;
}

}  // namespace

TEST_CASE("front: by size, whole segments go while what is left is large enough") {
    RecordingDisk disk;
    storage::LogConfig config = timed_segments();
    config.retention_bytes = 1'000;
    Rig rig(disk, config);
    REQUIRE(rig.open());
    fill_timed(rig, 8, 1);
    fill_timed(rig, 8, 2);
    const std::uint64_t before = rig.log->size_bytes();
    const std::uint64_t segment = rig.log->segments().front().size;
    rig.log->retain(rig.env, rig.log->log_end());
    // The log start moves at once, files when that is safe.
    const Offset start = rig.log->log_start();
    REQUIRE(start > Offset(0));
    REQUIRE_FALSE(reads(rig, start - 1));
    REQUIRE(reads(rig, start));
    rig.pump();
    REQUIRE(rig.log->segments().front().base == start);
    REQUIRE(rig.log->size_bytes() >= 1'000);
    REQUIRE(rig.log->size_bytes() < 1'000 + segment);
    REQUIRE(rig.log->size_bytes() < before);
    REQUIRE(rig.log->epoch_cache().earliest()->start == start);
    REQUIRE(text_of(disk, "log-start-offset-checkpoint") ==
            "0\n1\ntrial 0 " + std::to_string(start.value) + "\n");
    const auto moved = rig.env.facts.of<facts::LogStartMoved>();
    REQUIRE(moved.size() == 1);
    REQUIRE(moved[0].reason == facts::LogStartReason::retention);
    // Nothing more to do.
    rig.log->retain(rig.env, rig.log->log_end());
    REQUIRE(rig.log->log_start() == start);
    // The files go when their time has come.
    REQUIRE(files_ending(disk, ".log.deleted") > 0);
    REQUIRE(rig.log->deleted_due() == Instant{} + milliseconds(1'000));
    rig.log->remove_deleted(rig.env);
    REQUIRE(files_ending(disk, ".log.deleted") > 0);
    rig.env.set_now(Instant{} + milliseconds(1'000), Timestamp(0));
    rig.log->remove_deleted(rig.env);
    REQUIRE(files_ending(disk, ".deleted") == 0);
    REQUIRE(rig.log->deleted_due() == instant_never);

    rig.directory.close(rig.env, BrokerEpoch(4));
    rig.pump();
    Rig again(disk, config);
    REQUIRE(again.open());
    REQUIRE(again.log->log_start() == start);
    REQUIRE(again.log->log_end() == Offset(32));
}

TEST_CASE(
    "front: by time, segments go whose newest record is too old, the active one after a roll") {
    RecordingDisk disk;
    storage::LogConfig config = timed_segments();
    config.retention_ms = 100;
    Rig rig(disk, config);
    REQUIRE(rig.open());
    fill_timed(rig, 16);
    const auto newest = rig.log->segments().front().timestamp_max;
    rig.env.set_now(Instant{}, newest + 100);
    rig.log->retain(rig.env, rig.log->log_end());
    REQUIRE(rig.log->log_start() == Offset(0));
    rig.env.set_now(Instant{}, newest + 101);
    rig.log->retain(rig.env, rig.log->log_end());
    REQUIRE(rig.log->log_start() == rig.log->segments()[1].base);
    rig.pump();
    rig.env.set_now(Instant{}, Timestamp(1'000'000));
    rig.log->retain(rig.env, rig.log->log_end());
    rig.pump();
    REQUIRE(rig.log->log_start() == Offset(32));
    REQUIRE(rig.log->log_end() == Offset(32));
    REQUIRE(rig.log->segments().size() == 1);
    REQUIRE(rig.log->size_bytes() == 0);
    rig.log->retain(rig.env, rig.log->log_end());
    REQUIRE(rig.log->segments().size() == 1);
    fill_timed(rig, 1);
    REQUIRE(reads(rig, Offset(32)));
}

TEST_CASE("front: retention takes nothing at or above the high watermark, and only where it may") {
    RecordingDisk disk;
    storage::LogConfig config = timed_segments();
    config.retention_bytes = 0;
    Rig rig(disk, config);
    REQUIRE(rig.open());
    fill_timed(rig, 16);
    const Offset second = rig.log->segments()[1].base;
    rig.log->retain(rig.env, second - 1);
    REQUIRE(rig.log->log_start() == Offset(0));
    config.deletes = false;
    rig.log->set_config(config);
    rig.log->retain(rig.env, rig.log->log_end());
    REQUIRE(rig.log->log_start() == Offset(0));
    config.deletes = true;
    rig.log->set_config(config);
    rig.log->retain(rig.env, second);
    REQUIRE(rig.log->log_start() == second);
}

TEST_CASE("front: a log start inside a segment survives a restart, a file range in flight stays") {
    RecordingDisk disk;
    Rig rig(disk, timed_segments());
    REQUIRE(rig.open());
    fill_timed(rig, 12);
    const auto plan = rig.log->read(rig.env, Offset(0), 10'000, Offset(24), true);
    REQUIRE(plan.ranged);
    const storage::PinId pin = rig.log->pin(plan);
    const Offset start = rig.log->segments()[1].base + 1;
    REQUIRE(rig.log->raise_log_start(rig.env, start, facts::LogStartReason::delete_records));
    REQUIRE_FALSE(rig.log->raise_log_start(rig.env, start, facts::LogStartReason::delete_records));
    rig.pump();
    REQUIRE(rig.log->segments().front().base < start);
    REQUIRE(rig.log->offset_for_timestamp(rig.env, Timestamp(0)).offset == start);
    rig.env.set_now(Instant{} + seconds(10), Timestamp(0));
    rig.log->remove_deleted(rig.env);
    REQUIRE(files_ending(disk, ".log.deleted") == 1);
    REQUIRE(disk.content(std::get<env::FileRange>(plan.pieces.front()).file).size() > 0);
    rig.log->unpin(pin);
    rig.env.set_now(Instant{} + seconds(20), Timestamp(0));
    rig.log->remove_deleted(rig.env);
    REQUIRE(files_ending(disk, ".log.deleted") == 0);
    rig.directory.checkpoint(rig.env);
    rig.pump();

    Rig again(disk, timed_segments());
    REQUIRE(again.open());
    REQUIRE(again.log->log_start() == start);
    // Starting anew below takes the checkpoint along first.
    again.log->truncate_fully_and_start_at(again.env, Offset(3));
    again.pump();
    REQUIRE(again.log->log_start() == Offset(3));
    Rig third(disk, timed_segments());
    REQUIRE(third.open());
    REQUIRE(third.log->log_start() == Offset(3));
}

TEST_CASE("front: a power loss at any operation of a deletion leaves a sound log") {
    storage::LogConfig config = timed_segments();
    config.retention_bytes = 0;
    config.file_delete_delay_ms = 0;
    RecordingDisk disk;
    Rig rig(disk, config);
    REQUIRE(rig.open());
    std::vector<Looked> moments;
    const auto pump = [&] {
        do note(moments, disk, rig);
        while (rig.step());
    };
    fill_timed(rig, 14);
    pump();
    const std::size_t from = disk.operations();
    // In the middle of the log, then all of it, flushed already or not.
    rig.log->retain(rig.env, Offset(20));
    pump();
    rig.log->flush(rig.env);
    pump();
    rig.log->remove_deleted(rig.env);
    rig.log->retain(rig.env, rig.log->log_end());
    pump();
    fill_timed(rig, 5, 2);
    rig.log->retain(rig.env, rig.log->log_end());
    fill_timed(rig, 1, 2);
    pump();
    REQUIRE(rig.log->log_start() > Offset(30));
    const Draws draws(5);
    for (std::size_t prefix = from; prefix <= disk.operations(); ++prefix) {
        const std::size_t units = disk.open_units(prefix);
        for (std::uint64_t subset = 0; subset < 24; ++subset) {
            std::vector<bool> kept(units, subset == 1);
            for (std::size_t unit = 0; subset > 1 && unit < units; ++unit)
                kept[unit] = draws.word(draw_domain("test.kept"), prefix * 64 + subset, unit) % 2;
            INFO("prefix " << prefix << " subset " << subset);
            REQUIRE(verdict(disk, config, moments, prefix, kept) == "");
        }
    }
}

TEST_CASE("front: whatever a power loss leaves of moving log starts is a sound log") {
    rc::prop("opens, starts where it was told to, at most, nothing flushed is missing", [] {
        storage::LogConfig config = timed_segments();
        config.segment_bytes = static_cast<std::uint64_t>(*rc::gen::inRange(100, 500));
        config.retention_bytes = *rc::gen::inRange(0, 2'000);
        config.file_delete_delay_ms = 0;
        std::vector<Looked> moments;
        RecordingDisk disk;
        Rig rig(disk, config);
        RC_ASSERT(rig.open());
        const auto pump = [&](int steps) {
            do note(moments, disk, rig);
            while (steps-- > 0 && rig.step());
        };
        const int deeds = *rc::gen::inRange(5, 40);
        for (int i = 0; i < deeds; ++i) {
            switch (*rc::gen::weightedElement<int>({{6, 0}, {2, 1}, {1, 2}, {1, 3}, {1, 4}})) {
                case 0: rig.lead(batch(2, 40, Timestamp(1000 + 10 * i)), 1 + i / 9); break;
                case 1: rig.log->retain(rig.env, rig.log->log_end()); break;
                case 2:
                    rig.log->raise_log_start(
                        rig.env,
                        Offset(*rc::gen::inRange<std::int64_t>(0, rig.log->log_end().value + 1)),
                        facts::LogStartReason::delete_records);
                    break;
                case 3: rig.log->flush(rig.env); break;
                case 4: rig.log->remove_deleted(rig.env); break;
            }
            pump(*rc::gen::inRange(0, 12));
        }
        pump(1'000);
        const auto prefix = *rc::gen::inRange<std::size_t>(0, disk.operations() + 1);
        const auto kept = *rc::gen::container<std::vector<bool>>(disk.open_units(prefix),
                                                                 rc::gen::arbitrary<bool>());
        RC_ASSERT(verdict(disk, config, moments, prefix, kept) == "");
    });
}
