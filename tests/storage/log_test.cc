// A log through its public face: appends, reads, rolls, cuts, flushes, restarts.

#include <catch2/catch.hpp>

#include "tests/storage/rig.h"

using namespace klamm;
using namespace klamm::tests;
using storage::AppendOutcome;
using storage::LogPhase;
using storage::ReadStatus;

namespace {

storage::LogConfig smallest_segments() {
    storage::LogConfig config;
    config.segment_bytes = 600;
    config.index_interval_bytes = 150;
    config.tail_cache_bytes = 250;
    return config;
}

/// The bytes of a plan, wherever they are.
Bytes bytes_of(const storage::ReadPlan& plan, const RecordingDisk& disk) {
    Bytes all;
    for (const env::Piece& piece : plan.pieces) {
        if (const Buffer* buffer = std::get_if<Buffer>(&piece)) {
            all.insert(all.end(), buffer->view().begin(), buffer->view().end());
        } else {
            const auto& range = std::get<env::FileRange>(piece);
            const Bytes file = disk.content(range.file);
            const auto from = file.begin() + static_cast<std::ptrdiff_t>(range.position);
            all.insert(all.end(), from, from + static_cast<std::ptrdiff_t>(range.length));
        }
    }
    REQUIRE(all.size() == plan.bytes);
    return all;
}

storage::ReadPlan read(Rig& rig, Offset from, std::uint64_t bytes_max, Offset limit,
                       bool min_one = true) {
    while (true) {
        storage::ReadPlan plan = rig.log->read(rig.env, from, bytes_max, limit, min_one);
        if (plan.status != ReadStatus::waiting) return plan;
        REQUIRE(rig.step());
        const auto ready = rig.log->take_ready();
        REQUIRE(std::find(ready.begin(), ready.end(), plan.ticket) != ready.end());
    }
}

void fill_batches(Rig& rig, int batches, int epoch = 1) {
    for (int i = 0; i < batches; ++i) {
        REQUIRE(rig.lead(batch(2, 40, Timestamp(1000 + 10 * i)), epoch).outcome ==
                AppendOutcome::appended);
    }
}

}  // namespace

TEST_CASE("log: what is appended reads back from every offset, across rolls, cached or not") {
    const std::uint64_t blocking = GENERATE(0, 1, 3);
    RecordingDisk disk;
    disk.block_every(blocking == 1 ? 2 : blocking);
    Rig rig(disk, smallest_segments());
    REQUIRE(rig.open());
    fill_batches(rig, 12);
    REQUIRE(rig.log->log_end() == Offset(24));
    REQUIRE(rig.log->segments().size() > 2);
    REQUIRE(inconsistency(rig, disk, smallest_segments()) == "");
    bool ranged = false;
    bool cached = false;
    for (int from = 0; from < 24; ++from) {
        for (const int limit : {from, from + 1, from + 3, 24}) {
            for (const std::uint64_t bytes_max : {1, 300, 10'000}) {
                const auto plan = read(rig, Offset(from), bytes_max, Offset(limit));
                REQUIRE(plan.status == ReadStatus::ok);
                const Bytes bytes = bytes_of(plan, disk);
                (plan.ranged ? ranged : cached) |= !bytes.empty();
                ByteView rest = bytes;
                ByteView one;
                Offset next = plan.from;
                while (record::next_batch(rest, one) == record::Peek::ok) {
                    REQUIRE(record::BatchView(one).base_offset() == next);
                    REQUIRE(record::BatchView(one).crc_holds());
                    REQUIRE(record::BatchView(one).leader_epoch() == LeaderEpoch(1));
                    next = record::BatchView(one).next_offset();
                }
                REQUIRE(rest.empty());
                REQUIRE(next == plan.to);
                REQUIRE(plan.to <= std::max(Offset(from), Offset(std::min(limit, 24))));
                if (!bytes.empty()) {
                    REQUIRE(plan.from <= Offset(from));
                    REQUIRE(plan.to > Offset(from));
                }
                // A whole batch below the limit is given whatever its size.
                if (limit >= from / 2 * 2 + 2) REQUIRE(!bytes.empty());
                if (bytes_max >= 300) REQUIRE(bytes.size() <= bytes_max);
            }
        }
    }
    REQUIRE(ranged);
    REQUIRE(cached);
    REQUIRE(read(rig, Offset(0), 1, Offset(24), false).bytes == 0);
    REQUIRE(read(rig, Offset(25), 1, Offset(24)).status == ReadStatus::out_of_range);
    REQUIRE(read(rig, Offset(24), 1, Offset(24)).bytes == 0);
}

TEST_CASE("log: a follower's copy is the leader's, byte for byte, and refuses what does not fit") {
    RecordingDisk leader_disk;
    Rig leader(leader_disk, smallest_segments());
    REQUIRE(leader.open());
    fill_batches(leader, 3, 1);
    fill_batches(leader, 3, 4);
    const Buffer all = Buffer::from(leader.bytes());

    RecordingDisk disk;
    Rig rig(disk, smallest_segments());
    REQUIRE(rig.open());
    const auto follow = [&](const Buffer& bytes, int epoch = 4) {
        return rig.log->append_as_follower(rig.env.turn(), disk, bytes, LeaderEpoch(epoch));
    };
    Bytes rotten(all.view().begin(), all.view().end());
    rotten[all.size() - 1] ^= 1;
    REQUIRE(follow(Buffer::from(rotten)).outcome == AppendOutcome::corrupt);
    REQUIRE(follow(Buffer::from(rotten), 1).outcome == AppendOutcome::corrupt);  // whatever it says
    REQUIRE(rig.log->log_end() == Offset(0));
    // Batches of an epoch above the leader's are left out, which is told; so is a cut last batch.
    const auto first = follow(all.slice(0, all.size() - 5), 1);
    REQUIRE(first.outcome == AppendOutcome::appended);
    REQUIRE(first.batches == 3);
    REQUIRE(first.later_epoch);
    REQUIRE(rig.log->log_end() == Offset(6));
    REQUIRE(follow(all).outcome == AppendOutcome::misplaced);
    const std::size_t half = all.size() / 2;
    const auto second = follow(all.slice(half, half));
    REQUIRE(second.outcome == AppendOutcome::appended);
    REQUIRE_FALSE(second.later_epoch);
    REQUIRE(rig.bytes() == leader.bytes());
    REQUIRE(rig.log->epoch_cache() == leader.log->epoch_cache());
    REQUIRE(rig.log->segments().size() == leader.log->segments().size());
    REQUIRE(inconsistency(rig, disk, smallest_segments()) == "");
}

TEST_CASE("log: a repeated batch is answered with its first offset, a gap is refused") {
    RecordingDisk disk;
    Rig rig(disk, smallest_segments());
    REQUIRE(rig.open());
    const Timestamp at(1000);
    REQUIRE(rig.lead(batch(2, 10, at, from_producer(5, 0, 0)), 1).base == Offset(0));
    REQUIRE(rig.lead(batch(3, 10, at, from_producer(5, 0, 2)), 1).base == Offset(2));
    const auto again = rig.lead(batch(2, 10, at, from_producer(5, 0, 0)), 1);
    REQUIRE(again.outcome == AppendOutcome::duplicate);
    REQUIRE(again.base == Offset(0));
    REQUIRE(again.last == Offset(1));
    REQUIRE(rig.lead(batch(1, 10, at, from_producer(5, 0, 6)), 1).outcome ==
            AppendOutcome::out_of_order_sequence);
    REQUIRE(rig.lead(batch(1, 10, at, from_producer(5, 1, 0)), 1).base == Offset(5));
    REQUIRE(rig.lead(batch(1, 10, at, from_producer(5, 0, 5)), 1).outcome ==
            AppendOutcome::invalid_producer_epoch);
    REQUIRE(rig.log->log_end() == Offset(6));
}

TEST_CASE("log: flushed_end moves only when the sync is answered, and syncs coalesce") {
    RecordingDisk disk;
    storage::LogConfig config = smallest_segments();
    config.flush_messages = 1;
    Rig rig(disk, config);
    REQUIRE(rig.open());
    fill_batches(rig, 1);
    rig.log->maybe_flush(rig.env);
    REQUIRE(rig.log->flushed_end() == Offset(0));
    fill_batches(rig, 1);
    rig.log->maybe_flush(rig.env);
    fill_batches(rig, 1);
    rig.log->maybe_flush(rig.env);
    REQUIRE(rig.log->flushing());
    while (rig.log->flushed_end() == Offset(0)) REQUIRE(rig.step());
    REQUIRE(rig.log->flushed_end() == Offset(2));
    rig.pump();
    REQUIRE(rig.log->flushed_end() == Offset(6));
    const auto flushes = rig.env.facts.of<facts::LogFlushed>();
    REQUIRE(flushes.size() == 3);  // at opening, the first batch, the other two together
}

TEST_CASE("log: a cut lands on a batch, takes producers and epochs back, and is reported") {
    RecordingDisk disk;
    Rig rig(disk, smallest_segments());
    REQUIRE(rig.open());
    for (int i = 0; i < 8; ++i) {
        rig.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, 2 * i)), 1 + i / 2);
    }
    rig.log->flush(rig.env);
    rig.pump();
    rig.directory.checkpoint(rig.env);
    rig.pump();
    const auto plan = read(rig, Offset(0), 10'000, Offset(16));
    REQUIRE(plan.ranged);
    const storage::PinId pin = rig.log->pin(plan);
    REQUIRE(rig.log->pinned_above(plan.to).empty());
    REQUIRE(rig.log->pinned_above(plan.to - 1) == std::vector<storage::PinId>{pin});
    rig.log->unpin(pin);
    REQUIRE(rig.log->pinned_above(Offset(0)).empty());

    const int end = GENERATE(0, 1, 4, 5, 11, 15);
    rig.log->truncate_to(rig.env, Offset(end));
    REQUIRE(rig.lead(batch(1, 10, Timestamp(1)), 9).outcome == AppendOutcome::offline);
    rig.pump();
    REQUIRE(rig.log->phase() == LogPhase::open);
    REQUIRE(rig.log->log_end() == Offset(end / 2 * 2));
    REQUIRE(rig.log->flushed_end() == rig.log->log_end());
    REQUIRE(inconsistency(rig, disk, smallest_segments()) == "");
    REQUIRE(rig.env.facts.of<facts::LogTruncated>().back().end == rig.log->log_end());
    // The producer goes on where the cut left it.
    const auto next = rig.lead(batch(1, 10, Timestamp(2000), from_producer(5, 0, end / 2 * 2)), 9);
    REQUIRE(next.outcome == AppendOutcome::appended);
}

TEST_CASE("log: starting anew leaves an empty log at the given offset, also after a restart") {
    RecordingDisk disk;
    {
        Rig rig(disk, smallest_segments());
        REQUIRE(rig.open());
        fill_batches(rig, 8);
        rig.log->flush(rig.env);
        rig.pump();
        rig.directory.checkpoint(rig.env);
        rig.pump();
        rig.log->truncate_fully_and_start_at(rig.env, Offset(500));
        rig.pump();
        REQUIRE(rig.log->phase() == LogPhase::open);
        fill_batches(rig, 1, 3);
    }
    RecordingDisk again(disk.cached());
    Rig rig(again, smallest_segments());
    REQUIRE(rig.open());
    REQUIRE(rig.log->log_start() == Offset(500));
    REQUIRE(rig.log->log_end() == Offset(502));
    REQUIRE(inconsistency(rig, again, smallest_segments()) == "");
}

TEST_CASE("log: the first record at or after a time is found, wherever it is") {
    RecordingDisk disk;
    disk.block_every(3);
    storage::LogConfig config = smallest_segments();
    config.tail_cache_bytes = 0;
    Rig rig(disk, config);
    REQUIRE(rig.open());
    fill_batches(rig, 12);  // batch i holds times 1000 + 10 i and one more
    const auto find = [&](int timestamp) {
        while (true) {
            const auto lookup = rig.log->offset_for_timestamp(rig.env, Timestamp(timestamp));
            if (lookup.status != ReadStatus::waiting) return lookup;
            REQUIRE(rig.step());
        }
    };
    for (int i = 0; i < 12; ++i) {
        REQUIRE(find(1000 + 10 * i).offset == Offset(2 * i));
        REQUIRE(find(1001 + 10 * i).offset == Offset(2 * i + 1));
        if (i < 11) REQUIRE(find(1002 + 10 * i).timestamp == Timestamp(1010 + 10 * i));
    }
    REQUIRE_FALSE(find(1112).found);
}

TEST_CASE("recovery: a torn last batch is cut, the rest survives, the stop is unproven") {
    RecordingDisk disk;
    {
        Rig rig(disk, smallest_segments());
        REQUIRE(rig.open());
        fill_batches(rig, 3);
    }
    FileTree tree = disk.cached();
    Bytes& file = tree.at("d/trial-0/00000000000000000000.log");
    file[file.size() - 3] ^= 0x40;
    RecordingDisk torn(tree);
    Rig rig(torn, smallest_segments());
    REQUIRE(rig.open());
    REQUIRE(rig.log->log_end() == Offset(4));
    REQUIRE_FALSE(rig.log->opened_clean());
    const auto cuts = rig.env.facts.of<facts::LogTruncated>();
    REQUIRE(cuts.size() == 1);
    REQUIRE(cuts.front().end == Offset(4));
    REQUIRE(cuts.front().reason == facts::TruncateReason::recovery);
    REQUIRE(inconsistency(rig, torn, smallest_segments()) == "");

    // With the plant, the torn batch is believed.
    RecordingDisk trusted(tree);
    Rig planted(trusted, smallest_segments());
    planted.env.plants.plant(Bug::recovery_trusts_length);
    REQUIRE(planted.open());
    REQUIRE(planted.log->log_end() == Offset(6));
    REQUIRE(planted.env.plants.taken(Bug::recovery_trusts_length) == 1);
}

TEST_CASE(
    "recovery: an epoch that the partition has not had is damage, though no checksum shows it") {
    RecordingDisk disk;
    const bool durable = GENERATE(false, true);
    {
        Rig rig(disk, smallest_segments());
        REQUIRE(rig.open());
        fill_batches(rig, 3, 5);
        if (durable) {
            rig.log->flush(rig.env);
            rig.pump();
            rig.directory.checkpoint(rig.env);
            rig.pump();
        }
    }
    FileTree tree = disk.cached();
    Bytes& file = tree.at("d/trial-0/00000000000000000000.log");
    const std::size_t second = file.size() / 3;
    constexpr std::size_t leader_epoch_at = 12;
    file[second + leader_epoch_at + 2] ^= 0x64;  // 5 becomes 25605
    REQUIRE(record::BatchView(ByteView(file).subspan(second, second)).crc_holds());
    RecordingDisk torn(tree);
    Rig rig(torn, smallest_segments());
    REQUIRE(rig.open(LeaderEpoch(7)) == !durable);
    if (durable) {
        REQUIRE(rig.log->offline()->position == second);
        REQUIRE(rig.log->offline()->offset == Offset(2));
        return;
    }
    REQUIRE(rig.log->log_end() == Offset(2));
    REQUIRE(rig.log->epoch_cache().latest_epoch() == LeaderEpoch(5));
    REQUIRE(inconsistency(rig, torn, smallest_segments()) == "");
}

TEST_CASE("recovery: a bad batch below the recovery point is damage, told by place") {
    RecordingDisk disk;
    {
        Rig rig(disk, smallest_segments());
        REQUIRE(rig.open());
        fill_batches(rig, 3);
        rig.log->flush(rig.env);
        rig.pump();
        rig.directory.checkpoint(rig.env);
        rig.pump();
    }
    FileTree tree = disk.cached();
    Bytes& file = tree.at("d/trial-0/00000000000000000000.log");
    const std::size_t size = file.size() / 3;
    SECTION("a flipped bit") { file[size + 70] ^= 1; }
    SECTION("a lost tail") { file.resize(size); }
    RecordingDisk rotten(tree);
    Rig rig(rotten, smallest_segments());
    REQUIRE_FALSE(rig.open());
    REQUIRE(rig.log->phase() == LogPhase::offline);
    REQUIRE(rig.log->offline()->position == size);
    REQUIRE(rig.log->offline()->offset == Offset(2));
    REQUIRE_FALSE(rig.log->offline()->disk_failed);
    REQUIRE(rig.directory.phase() == storage::DirectoryPhase::ready);
    const auto facts = rig.env.facts.of<facts::LogOffline>();
    REQUIRE(facts.size() == 1);
    REQUIRE(facts.front().file == "d/trial-0/00000000000000000000.log");
    // It stays damage: a checkpoint does not forget the point.
    rig.directory.checkpoint(rig.env);
    rig.pump();
    RecordingDisk later(rotten.cached());
    Rig again(later, smallest_segments());
    REQUIRE_FALSE(again.open());
}

TEST_CASE("recovery: lost or rotten indexes, epochs and snapshots are recomputed") {
    RecordingDisk disk;
    Bytes content;
    {
        Rig rig(disk, smallest_segments());
        REQUIRE(rig.open());
        for (int i = 0; i < 9; ++i) {
            rig.lead(batch(2, 40, Timestamp(1000 + 10 * i), from_producer(5, 0, 2 * i)), 1 + i / 3);
        }
        content = rig.bytes();
        rig.directory.close(rig.env, BrokerEpoch(1));
        rig.pump();
        REQUIRE(rig.directory.phase() == storage::DirectoryPhase::closed);
    }
    FileTree tree = disk.cached();
    const std::string victim = GENERATE(".index", ".timeindex", ".snapshot", "checkpoint");
    const bool gone = GENERATE(true, false);
    int touched = 0;
    for (auto row = tree.begin(); row != tree.end();) {
        if (row->first.starts_with("d/trial-0/") && row->first.ends_with(victim)) {
            ++touched;
            if (gone) {
                row = tree.erase(row);
                continue;
            }
            row->second.assign(row->second.size(), 0xee);
        }
        ++row;
    }
    REQUIRE(touched > 0);
    RecordingDisk rotten(tree);
    Rig rig(rotten, smallest_segments());
    REQUIRE(rig.open());
    REQUIRE(rig.log->opened_clean());
    REQUIRE(rig.bytes() == content);
    REQUIRE(inconsistency(rig, rotten, smallest_segments()) == "");
}

TEST_CASE("read: a base offset that is not of this log is damage, and is told to no reader") {
    RecordingDisk disk;
    {
        Rig rig(disk, smallest_segments());
        REQUIRE(rig.open());
        fill_batches(rig, 3);
        rig.directory.close(rig.env, BrokerEpoch(1));
        rig.pump();
    }
    FileTree tree = disk.cached();
    Bytes& file = tree.at("d/trial-0/00000000000000000000.log");
    const std::size_t first_base_byte = GENERATE(0, 7);
    file[first_base_byte] ^= 0x74;  // no checksum covers it
    RecordingDisk rotten(tree);
    Rig rig(rotten, smallest_segments());
    REQUIRE(rig.open());
    const storage::ReadPlan plan = read(rig, Offset(0), 10'000, Offset(6));
    REQUIRE(plan.status == storage::ReadStatus::offline);
    REQUIRE(rig.log->offline()->position == 0);
    REQUIRE_FALSE(rig.log->offline()->disk_failed);
}
