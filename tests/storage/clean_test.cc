// Cleaning a log in place: what readers find, and what a crash at any step leaves.

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/record/compression.h"
#include "tests/storage/rig.h"

using namespace klamm;
using namespace klamm::tests;
using storage::ReadStatus;

namespace {

storage::LogConfig compacted() {
    storage::LogConfig config;
    config.segment_bytes = 500;
    config.index_interval_bytes = 100;
    config.tail_cache_bytes = 0;
    config.scan_bytes = 200;
    config.file_delete_delay_ms = 0;
    config.delete_retention_ms = 1'000;
    config.compacts = true;
    config.gaps = true;
    config.deletes = false;
    config.dirty_millionths_min = 0;
    return config;
}

Buffer keyed(std::string_view key, std::string_view value, Timestamp time,
             record::BatchOptions options = {}) {
    record::BatchBuilder builder(options);
    std::optional<ByteView> bytes = as_bytes(value);
    if (value.empty()) bytes.reset();
    builder.append(time, as_bytes(key), bytes);
    if (time.value % 3 == 0)
        builder.append(time, as_bytes("own." + std::string(value)), as_bytes(value));
    return Buffer::from(builder.build());
}

struct One {
    Offset offset;
    std::string key;
    std::optional<std::string> value;
    friend bool operator==(const One&, const One&) = default;
};

/// The records of batches that lie one after another; nothing when a checksum does not hold.
std::optional<std::vector<One>> records_of(ByteView bytes) {
    std::vector<One> all;
    ByteView one;
    while (record::next_batch(bytes, one) == record::Peek::ok) {
        const record::BatchView batch(one);
        if (!batch.crc_holds()) return std::nullopt;
        record::for_each_record(batch.records(), [&](const record::Record& record) {
            all.push_back(
                {record::record_offset(batch, record), std::string(as_text(*record.key)),
                 record.value ? std::optional(std::string(as_text(*record.value))) : std::nullopt});
        });
    }
    if (!bytes.empty()) return std::nullopt;
    return all;
}

/// Of each key, its last record below `end`; and everything from there on.
std::vector<One> model(const std::vector<One>& all, Offset end) {
    std::map<std::string, Offset> last;
    for (const One& one : all)
        if (one.offset < end) last[one.key] = one.offset;
    std::vector<One> left;
    for (const One& one : all)
        if (one.offset >= end || last.at(one.key) == one.offset) left.push_back(one);
    return left;
}

std::vector<One> last_values(const std::vector<One>& all) {
    return all.empty() ? all : model(all, all.back().offset + 1);
}

/// What is wrong with a compacted log's segments; "" when nothing is.
std::string unsound(const Rig& rig, const RecordingDisk& disk, bool indexes = true) {
    Offset next = rig.log->segments().front().base;
    for (const storage::Segment& segment : rig.log->segments()) {
        if (segment.base != next) return "segments do not adjoin";
        const Bytes bytes = disk.content(segment.log);
        if (bytes.size() != segment.size) return "a segment has another size";
        ByteView rest = bytes;
        ByteView one;
        storage::Segment again;
        again.base = again.end = segment.base;
        while (record::next_batch(rest, one) == record::Peek::ok) {
            const record::BatchView batch(one);
            if (!batch.crc_holds()) return "a bad checksum";
            if (batch.base_offset() < again.end) return "offsets change their order";
            again.note_batch(batch, 100);
        }
        if (!rest.empty()) return "a segment ends in something else";
        if (again.end != segment.end) return "a segment ends elsewhere";
        next = again.end;
        if (!indexes) continue;
        if (again.entries != segment.entries) return "an index differs";
        if (disk.content(segment.index) != segment.encode_index(0)) return "an index file differs";
    }
    return next == rig.log->log_end() ? "" : "the log ends elsewhere";
}

/// Batches over few keys, some with a record of a key of their own; flushed.
void fill(Rig& rig, int from, int to, int keys) {
    for (int i = from; i < to; ++i) {
        const std::string key = "k" + std::to_string(i * 7 % keys);
        const std::string value = i % 5 == 4 ? "" : std::to_string(i);
        REQUIRE(rig.lead(keyed(key, value, Timestamp(1000 + i)), 1).outcome ==
                storage::AppendOutcome::appended);
    }
    rig.log->flush(rig.env);
    rig.pump();
}

/// Reads at every offset: the first record at or after it is the model's.
void check_reads(Rig& rig, const RecordingDisk& disk, const std::vector<One>& expected) {
    for (Offset at = rig.log->log_start(); at < rig.log->log_end(); ++at) {
        const auto plan = rig.log->read(rig.env, at, 1, rig.log->log_end(), true);
        REQUIRE(plan.status == ReadStatus::ok);
        REQUIRE(plan.to > at);
        const auto& range = std::get<env::FileRange>(plan.pieces.front());
        const Bytes file = disk.content(range.file);
        const auto found = records_of(ByteView(file).subspan(range.position, range.length));
        REQUIRE(found.has_value());
        const auto next = std::find_if(expected.begin(), expected.end(),
                                       [&](const One& one) { return one.offset >= at; });
        const auto got = std::find_if(found->begin(), found->end(),
                                      [&](const One& one) { return one.offset >= at; });
        // A batch of which nothing is left says only where to go on.
        if (got == found->end())
            REQUIRE((next == expected.end() || next->offset >= plan.to));
        else
            REQUIRE(*got == *next);
    }
}

}  // namespace

TEST_CASE("clean: overridden values go, reads at any offset find the right next record") {
    RecordingDisk disk;
    Rig rig(disk, compacted());
    REQUIRE(rig.open());
    fill(rig, 0, 60, 5);
    const auto all = *records_of(rig.bytes());
    const std::uint64_t size = rig.log->size_bytes();
    const Offset active = rig.log->segments().back().base;
    REQUIRE(rig.log->clean(rig.env, rig.log->log_end()));
    REQUIRE_FALSE(rig.log->clean(rig.env, rig.log->log_end()));
    rig.pump();
    REQUIRE_FALSE(rig.log->cleaning());
    REQUIRE(rig.log->cleaned_to() == active);
    REQUIRE(rig.log->size_bytes() < size);
    REQUIRE(unsound(rig, disk) == "");
    const auto left = *records_of(rig.bytes());
    REQUIRE(left == model(all, active));
    check_reads(rig, disk, left);
    REQUIRE_FALSE(rig.log->clean(rig.env, rig.log->log_end()));  // nothing is dirty

    // More, and once more; the active segment is never touched.
    fill(rig, 60, 90, 5);
    REQUIRE(rig.log->clean(rig.env, rig.log->log_end()));
    fill(rig, 90, 100, 5);  // goes on meanwhile
    rig.pump();
    REQUIRE(unsound(rig, disk) == "");
    const auto more = *records_of(rig.bytes());
    // What became small in the first cleaning became one in the second.
    REQUIRE(rig.log->segments()[0].end - rig.log->segments()[0].base > 12);
    check_reads(rig, disk, more);
    rig.log->remove_deleted(rig.env);
    rig.directory.checkpoint(rig.env);
    rig.pump();
    for (const auto& [name, content] : disk.cached()) {
        INFO(name);
        REQUIRE_FALSE(name.ends_with(".deleted"));
        REQUIRE_FALSE(name.ends_with(".swap"));
        REQUIRE_FALSE(name.ends_with(".cleaned"));
    }
    const FileTree tree = disk.cached();
    REQUIRE(as_text(tree.at(root + "/cleaner-offset-checkpoint")) ==
            "0\n1\ntrial 0 " + std::to_string(rig.log->cleaned_to().value) + "\n");

    Rig again(disk, compacted());
    REQUIRE(again.open());
    REQUIRE(again.log->cleaned_to() == rig.log->cleaned_to());
    REQUIRE(unsound(again, disk) == "");
    REQUIRE(*records_of(again.bytes()) == more);
    check_reads(again, disk, more);
    again.log->truncate_to(again.env, Offset(31));
    again.pump();
    REQUIRE(unsound(again, disk) == "");
    REQUIRE(again.log->cleaned_to() <= again.log->log_end());
}

TEST_CASE("clean: nothing at or above the high watermark overrides or goes, not flushed waits") {
    RecordingDisk disk;
    Rig rig(disk, compacted());
    REQUIRE(rig.open());
    rig.lead(keyed("k", "v1", Timestamp(1)), 1);
    for (int i = 0; i < 8; ++i) rig.lead(keyed("x", std::to_string(i), Timestamp(2)), 1);
    const Offset watermark = rig.log->log_end();
    rig.lead(keyed("k", "v2", Timestamp(3)), 1);
    for (int i = 0; i < 8; ++i) rig.lead(keyed("y", std::to_string(i), Timestamp(4)), 1);
    const auto all = *records_of(rig.bytes());
    REQUIRE_FALSE(rig.log->clean(rig.env, watermark));  // asks for a flush
    rig.pump();
    REQUIRE(rig.log->flushed_end() == rig.log->log_end());
    REQUIRE(rig.log->clean(rig.env, watermark));
    rig.pump();
    REQUIRE(rig.log->cleaned_to() <= watermark);
    const auto left = *records_of(rig.bytes());
    REQUIRE(left == model(all, rig.log->cleaned_to()));
    REQUIRE(left.front().value == "v1");
    REQUIRE(left.size() < all.size());
}

TEST_CASE("clean: a follower takes a compacted leader's gaps, and refuses them elsewhere") {
    RecordingDisk leader_disk;
    Rig leader(leader_disk, compacted());
    REQUIRE(leader.open());
    fill(leader, 0, 60, 3);
    REQUIRE(leader.log->clean(leader.env, leader.log->log_end()));
    leader.pump();
    RecordingDisk disk;
    Rig rig(disk, compacted());
    REQUIRE(rig.open());
    const Buffer bytes = Buffer::from(leader.bytes());
    REQUIRE(rig.log->append_as_follower(rig.env.turn(), disk, bytes, LeaderEpoch(1)).outcome ==
            storage::AppendOutcome::appended);
    REQUIRE(rig.log->log_end() == leader.log->log_end());
    REQUIRE(unsound(rig, disk) == "");
    check_reads(rig, disk, *records_of(leader.bytes()));
    rig.log->flush(rig.env);
    rig.pump();
    Rig again(disk, compacted());
    REQUIRE(again.open());
    REQUIRE(*records_of(again.bytes()) == *records_of(leader.bytes()));

    storage::LogConfig strict = compacted();
    strict.gaps = false;
    RecordingDisk other_disk;
    Rig other(other_disk, strict);
    REQUIRE(other.open());
    REQUIRE(other.log->append_as_follower(other.env.turn(), other_disk, bytes, LeaderEpoch(1))
                .outcome == storage::AppendOutcome::misplaced);
}

TEST_CASE("clean: a damaged batch is not written anew under a fresh checksum") {
    RecordingDisk disk;
    Rig rig(disk, compacted());
    REQUIRE(rig.open());
    fill(rig, 0, 40, 3);
    const storage::Segment& second = rig.log->segments()[1];
    const Bytes byte = {0xff};
    REQUIRE(disk.write(second.log, second.size - 2, byte).ok());
    REQUIRE(rig.log->clean(rig.env, rig.log->log_end()));
    rig.pump();
    REQUIRE(rig.log->phase() == storage::LogPhase::offline);
    REQUIRE_FALSE(rig.log->offline()->disk_failed);
    REQUIRE(rig.directory.phase() == storage::DirectoryPhase::ready);
}

TEST_CASE("clean: a cut in the middle of a cleaning waits for a swap and drops the rest") {
    for (int steps = 0; steps < 60; ++steps) {
        INFO(steps);
        RecordingDisk disk;
        Rig rig(disk, compacted());
        REQUIRE(rig.open());
        fill(rig, 0, 40, 3);
        const auto all = *records_of(rig.bytes());
        REQUIRE(rig.log->clean(rig.env, rig.log->log_end()));
        for (int i = 0; i < steps; ++i) rig.step();
        rig.log->truncate_to(rig.env, Offset(25));
        rig.pump();
        REQUIRE(rig.log->phase() == storage::LogPhase::open);
        REQUIRE_FALSE(rig.log->cleaning());
        REQUIRE(rig.log->log_end() <= Offset(25));
        REQUIRE(rig.log->log_end() >= Offset(20));
        REQUIRE(unsound(rig, disk) == "");
        const auto left = *records_of(rig.bytes());
        for (const One& one : left) REQUIRE(std::find(all.begin(), all.end(), one) != all.end());
        fill(rig, 40, 50, 3);
        Rig again(disk, compacted());
        REQUIRE(again.open());
        REQUIRE(unsound(again, disk) == "");
    }
}

TEST_CASE("clean: a power loss at any operation of a cleaning leaves a sound log") {
    const storage::LogConfig config = compacted();
    RecordingDisk disk;
    Rig rig(disk, config);
    REQUIRE(rig.open());
    fill(rig, 0, 50, 4);
    rig.directory.checkpoint(rig.env);
    rig.pump();
    const auto all = *records_of(rig.bytes());
    const Offset end = rig.log->log_end();
    const std::size_t from = disk.operations();
    // Several segments become one.
    storage::LogConfig wide = config;
    wide.segment_bytes = 2'000;
    rig.log->set_config(wide);
    const std::size_t segments = rig.log->segments().size();
    REQUIRE(rig.log->clean(rig.env, end));
    rig.pump();
    const Offset cleaned = rig.log->cleaned_to();
    REQUIRE(rig.log->segments().size() * 2 < segments);
    rig.log->remove_deleted(rig.env);
    rig.directory.checkpoint(rig.env);
    rig.pump();
    const auto least = model(all, cleaned);
    REQUIRE(least.size() < all.size());
    const Draws draws(11);
    std::size_t halfway = 0;
    const auto check = [&](const FileTree& tree, bool again, bool indexes = true) {
        RecordingDisk left(tree);
        Rig opened(left, config);
        if (!opened.open()) return std::string("offline");
        if (std::string wrong = unsound(opened, left, indexes); !wrong.empty()) return wrong;
        if (opened.log->log_end() != end) return std::string("flushed batches are gone");
        const auto found = records_of(opened.bytes());
        if (!found) return std::string("bad records");
        // Nothing is there that was not, and nothing is missing that compaction keeps.
        if (!std::includes(all.begin(), all.end(), found->begin(), found->end(),
                           [](const One& a, const One& b) { return a.offset < b.offset; }))
            return std::string("a record from nowhere");
        if (!std::includes(found->begin(), found->end(), least.begin(), least.end(),
                           [](const One& a, const One& b) { return a.offset < b.offset; }))
            return std::string("a last value is gone");
        if (found->size() != all.size() && found->size() != least.size()) ++halfway;
        if (!again) return std::string();
        // What was opened is durable, and can be cleaned to the end.
        opened.log->clean(opened.env, end);
        opened.pump();
        if (*records_of(opened.bytes()) != least) return std::string("cannot be cleaned");
        const std::vector<bool> none(left.open_units(left.operations()), false);
        RecordingDisk second(left.after_power_loss(left.operations(), none));
        Rig third(second, config);
        if (!third.open()) return std::string("offline after a second power loss");
        return *records_of(third.bytes()) == least ? unsound(third, second)
                                                   : std::string("the second loss lost more");
    };
    for (std::size_t prefix = from; prefix <= disk.operations(); ++prefix) {
        const std::size_t units = disk.open_units(prefix);
        for (std::uint64_t subset = 0; subset < 12; ++subset) {
            std::vector<bool> kept(units, subset == 1);
            for (std::size_t unit = 0; subset > 1 && unit < units; ++unit)
                kept[unit] = draws.word(draw_domain("test.kept"), prefix * 64 + subset, unit) % 2;
            INFO("prefix " << prefix << " subset " << subset);
            REQUIRE(check(disk.after_power_loss(prefix, kept), subset % 4 == 0) == "");
        }
    }
    REQUIRE(halfway > 0);

    // The process that finishes a swap loses power too, at any of its operations. It rewrites the
    // indexes of what it scans in place: a later opening may find fewer entries, which is slower.
    std::size_t swaps = 0;
    for (std::size_t prefix = from; prefix <= disk.operations(); ++prefix) {
        for (const bool bit : {false, true}) {
            const std::vector<bool> kept(disk.open_units(prefix), bit);
            const FileTree tree = disk.after_power_loss(prefix, kept);
            if (std::none_of(tree.begin(), tree.end(),
                             [](const auto& file) { return file.first.ends_with(".log.swap"); }))
                continue;
            ++swaps;
            RecordingDisk second(tree);
            Rig opened(second, config);
            REQUIRE(opened.open());
            for (std::size_t done = 0; done <= second.operations(); ++done) {
                const std::size_t units = second.open_units(done);
                for (std::uint64_t subset = 0; subset < 6; ++subset) {
                    std::vector<bool> left(units, subset == 1);
                    for (std::size_t unit = 0; subset > 1 && unit < units; ++unit)
                        left[unit] = draws.word(draw_domain("test.left"),
                                                prefix * 4096 + done * 8 + subset, unit) %
                                     2;
                    INFO("prefix " << prefix << " then " << done << " subset " << subset);
                    REQUIRE(check(second.after_power_loss(done, left), false, false) == "");
                }
            }
        }
    }
    REQUIRE(swaps > 0);
}

TEST_CASE("clean: random logs, cleanings, restarts and cuts keep the last value of each key") {
    rc::prop("the model", [] {
        storage::LogConfig config = compacted();
        config.segment_bytes = static_cast<std::uint64_t>(*rc::gen::inRange(150, 700));
        config.scan_bytes = static_cast<std::uint64_t>(*rc::gen::inRange(20, 500));
        config.dedupe_bytes_max = *rc::gen::element<std::uint64_t>(400, 2'000, 1 << 20);
        RecordingDisk disk;
        auto rig = std::make_unique<Rig>(disk, config);
        RC_ASSERT(rig->open());
        std::vector<One> all;
        const int deeds = *rc::gen::inRange(5, 60);
        for (int i = 0; i < deeds; ++i) {
            switch (*rc::gen::weightedElement<int>({{8, 0}, {2, 1}, {1, 2}, {1, 3}, {1, 4}})) {
                case 0: {
                    const std::string key(1, static_cast<char>('a' + *rc::gen::inRange(0, 5)));
                    const std::string value = *rc::gen::inRange(0, 4) == 0 ? "" : std::to_string(i);
                    const Buffer one = keyed(key, value, Timestamp(1000 + i));
                    const auto appended = rig->lead(one, 1);
                    RC_ASSERT(appended.outcome == storage::AppendOutcome::appended);
                    all.push_back(
                        {appended.base, key, value.empty() ? std::nullopt : std::optional(value)});
                    if (appended.last > appended.base)
                        all.push_back({appended.last, "own." + value, value});
                    break;
                }
                case 1:
                    rig->log->flush(rig->env);
                    rig->pump();
                    rig->log->clean(rig->env, rig->log->log_end());
                    break;
                case 2: rig->pump(); break;
                case 3:
                    rig->log->remove_deleted(rig->env);
                    rig->directory.checkpoint(rig->env);
                    break;
                case 4: {  // killed: the page cache stays
                    disk.forget_asked();
                    rig = std::make_unique<Rig>(disk, config);
                    RC_ASSERT(rig->open());
                    break;
                }
            }
            for (int steps = *rc::gen::inRange(0, 10); steps > 0; --steps) rig->step();
        }
        rig->pump();
        RC_ASSERT(rig->log->phase() == storage::LogPhase::open);
        RC_ASSERT(unsound(*rig, disk) == "");
        const auto found = records_of(rig->bytes());
        RC_ASSERT(found.has_value());
        const auto by_offset = [](const One& a, const One& b) { return a.offset < b.offset; };
        RC_ASSERT(std::includes(all.begin(), all.end(), found->begin(), found->end(), by_offset));
        const auto least = last_values(all);
        RC_ASSERT(
            std::includes(found->begin(), found->end(), least.begin(), least.end(), by_offset));
        for (const One& one : *found)
            RC_ASSERT(std::find(all.begin(), all.end(), one) != all.end());
    });
}
