// Transactions in a log: where what is decided ends, and which were aborted, held against a naive
// walk over the log after appends, cuts, cleanings, clean stops, kills and power losses.

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>
#include <random>

#include "core/record/control.h"
#include "tests/storage/rig.h"

using namespace klamm;
using namespace klamm::tests;
using storage::AppendOutcome;

namespace {

/// What a walk over the log finds.
struct Walked {
    struct Ended {
        ProducerId producer;
        Offset first;
        Offset marker;
        bool aborted;
    };
    std::map<ProducerId, Offset> open;
    std::vector<Ended> ended;

    [[nodiscard]] Offset stable_end(Offset high_watermark) const {
        Offset end = high_watermark;
        for (const auto& [producer, first] : open) end = std::min(end, first);
        for (const Ended& one : ended)
            if (one.marker >= high_watermark) end = std::min(end, one.first);
        return end;
    }
    /// (producer, first offset) of those that a reader of [from, to) may meet.
    [[nodiscard]] std::set<std::pair<ProducerId, Offset>> aborted_in(Offset from, Offset to) const {
        std::set<std::pair<ProducerId, Offset>> found;
        for (const Ended& one : ended)
            if (one.aborted && one.marker >= from && one.first < to)
                found.emplace(one.producer, one.first);
        return found;
    }
};

Walked walk(ByteView bytes) {
    Walked walked;
    ByteView one;
    while (record::next_batch(bytes, one) == record::Peek::ok) {
        const record::BatchView batch(one);
        if (!batch.is_transactional()) continue;
        if (!batch.is_control()) {
            walked.open.emplace(batch.producer_id(), batch.base_offset());
            continue;
        }
        const auto open = walked.open.extract(batch.producer_id());
        if (open.empty()) continue;
        bool aborts = false;
        record::for_each_record(batch.records(), [&](const record::Record& record) {
            aborts = *record::decode_control_key(*record.key) == record::ControlType::abort;
        });
        walked.ended.push_back({batch.producer_id(), open.mapped(), batch.base_offset(), aborts});
    }
    return walked;
}

Buffer data(std::int64_t producer, std::int32_t sequence, Timestamp time,
            std::string_view key = "k") {
    record::BatchOptions options = from_producer(producer, 0, sequence);
    options.transactional = true;
    record::BatchBuilder builder(options);
    builder.append(time, as_bytes(key), as_bytes("v" + std::to_string(time.value)));
    return Buffer::from(builder.build());
}

Buffer marker(std::int64_t producer, bool commit, Timestamp time, std::int32_t coordinator = 1) {
    return Buffer::from(record::end_transaction_batch(
        Offset(0), LeaderEpoch(0), time, ProducerId(producer), ProducerEpoch(0),
        {commit ? record::ControlType::commit : record::ControlType::abort, coordinator}));
}

/// What differs between the log and a walk over its bytes. With `exact`, stable ends below its end
/// are known too.
std::string differs(Rig& rig, const RecordingDisk& disk, bool exact) {
    const Walked walked = walk(rig.bytes());
    const Offset start = rig.log->log_start();
    const Offset end = rig.log->log_end();
    for (Offset at = start; at <= end; ++at) {
        const Offset known = rig.log->stable_end(at);
        const Offset naive = std::min(std::max(start, walked.stable_end(at)), at);
        if (known > naive) return "what is undecided counts as stable";
        if (known < naive && (exact || at == end)) return "what is decided does not count";
    }
    for (Offset from = start; from <= end; from = from + 3)
        for (Offset to = from; to <= end; to = to + 2) {
            std::set<std::pair<ProducerId, Offset>> known;
            for (const auto& one : rig.log->aborted_in(from, to))
                known.emplace(one.producer, one.first);
            if (known != walked.aborted_in(from, to)) return "other transactions were aborted";
        }
    for (const storage::Segment& segment : rig.log->segments()) {
        const bool file = segment.txn_index != env::FileId::none;
        if (!file && !segment.aborted.empty()) return "an index of aborted ones has no file";
        if (file && disk.content(segment.txn_index) != segment.aborted.encode(0))
            return "the file of aborted ones is not what is known";
        for (const auto& one : segment.aborted.entries())
            if (one.last < segment.base || one.last >= segment.end)
                return "an index speaks of another segment";
    }
    return "";
}

/// Drives one log through random deeds; keeps the producers' sequences as they are in the log.
class Driver {
  public:
    Driver(RecordingDisk& disk, const storage::LogConfig& config)
        : disk_(disk), config_(config), rig(std::make_unique<Rig>(disk, config)) {}

    void data_of(std::int64_t producer) {
        const auto* known = rig->log->producer_state().find(ProducerId(producer));
        const std::int32_t next = known == nullptr ? 0 : known->last_sequence() + 1;
        const std::string key(1, static_cast<char>('a' + time_ % 3));
        static_cast<void>(rig->lead(data(producer, next, Timestamp(1000 + ++time_), key), 1));
    }
    void end_of(std::int64_t producer, bool commit) {
        auto appended = rig->log->append_as_leader(
            rig->env.turn(), rig->env.disk(), marker(producer, commit, Timestamp(1000 + ++time_)),
            LeaderEpoch(1), log::Origin::coordinator);
        rig->directory.settle(rig->env.turn());
        REQUIRE(appended.outcome == AppendOutcome::appended);
    }
    void plain() { static_cast<void>(rig->lead(batch(1, 30, Timestamp(1000 + ++time_)), 1)); }
    bool restart() {
        disk_.forget_asked();
        rig = std::make_unique<Rig>(disk_, config_);
        return rig->open();
    }

  private:
    RecordingDisk& disk_;
    storage::LogConfig config_;
    int time_ = 0;

  public:
    std::unique_ptr<Rig> rig;
};

storage::LogConfig small(std::uint64_t segment_bytes) {
    storage::LogConfig config;
    config.segment_bytes = segment_bytes;
    config.index_interval_bytes = 150;
    config.tail_cache_bytes = 250;
    config.scan_bytes = 300;
    config.file_delete_delay_ms = 0;
    return config;
}

}  // namespace

TEST_CASE(
    "transactions: what is decided ends at the first open one, or one ended above the watermark") {
    RecordingDisk disk;
    Driver one(disk, small(10'000));
    REQUIRE(one.rig->open());
    one.plain();          // 0
    one.data_of(7);       // 1
    one.data_of(8);       // 2
    one.end_of(8, true);  // 3
    storage::PartitionLog& log = *one.rig->log;
    CHECK(log.stable_end(Offset(4)) == Offset(1));
    one.end_of(7, false);  // 4
    CHECK(log.stable_end(Offset(5)) == Offset(5));
    // A marker that is not below the high watermark may yet be cut.
    CHECK(log.stable_end(Offset(4)) == Offset(1));
    CHECK(log.stable_end(Offset(3)) == Offset(1));
    CHECK(log.stable_end(Offset(1)) == Offset(1));
    CHECK(differs(*one.rig, disk, true) == "");
    log.note_high_watermark(Offset(5));
    CHECK(log.stable_end(Offset(5)) == Offset(5));
    const auto aborted = log.aborted_in(Offset(0), Offset(5));
    REQUIRE(aborted.size() == 1);
    CHECK(aborted[0] == log::AbortedTransaction{ProducerId(7), Offset(1), Offset(4), Offset(5)});
    CHECK(log.aborted_in(Offset(0), Offset(1)).empty());
    CHECK(log.aborted_in(Offset(2), Offset(3)).size() == 1);
    CHECK(log.aborted_in(Offset(5), Offset(9)).empty());
}

TEST_CASE("transactions: an index's bytes are those of Kafka's TransactionIndex") {
    log::AbortedIndex index;
    index.append({ProducerId(0x1234), Offset(7), Offset(0x20), Offset(0x1f)});
    const Bytes bytes = index.encode(0);
    // AbortedTxn of 4.1: version, producer id, first, last and last stable offset.
    constexpr std::uint8_t kafka[] = {0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0,
                                      7, 0, 0, 0, 0, 0, 0, 0, 0x20, 0,    0, 0, 0, 0, 0, 0, 0x1f};
    CHECK(bytes == Bytes(std::begin(kafka), std::end(kafka)));
    const auto again = log::AbortedIndex::decode(bytes, Offset(5), Offset(0x21));
    REQUIRE(again.ok());
    CHECK(*again == index);
    CHECK_FALSE(log::AbortedIndex::decode(bytes, Offset(5), Offset(0x20)).ok());
    CHECK_FALSE(log::AbortedIndex::decode(bytes, Offset(0x21), Offset(0x30)).ok());
    CHECK_FALSE(log::AbortedIndex::decode(ByteView(bytes).first(33), Offset(5), Offset(99)).ok());
}

TEST_CASE("transactions: a marker of an older coordinator or of an older epoch is refused") {
    RecordingDisk disk;
    Driver one(disk, small(10'000));
    REQUIRE(one.rig->open());
    one.data_of(7);
    const auto append = [&](const Buffer& batch) {
        return one.rig->log
            ->append_as_leader(one.rig->env.turn(), one.rig->env.disk(), batch, LeaderEpoch(1),
                               log::Origin::coordinator)
            .outcome;
    };
    CHECK(append(marker(7, true, Timestamp(5), 4)) == AppendOutcome::appended);
    CHECK(append(marker(7, true, Timestamp(5), 3)) == AppendOutcome::coordinator_fenced);
    const Bytes newer =
        record::end_transaction_batch(Offset(0), LeaderEpoch(0), Timestamp(6), ProducerId(7),
                                      ProducerEpoch(2), {record::ControlType::abort, 4});
    CHECK(append(Buffer::from(newer)) == AppendOutcome::appended);
    CHECK(append(marker(7, true, Timestamp(7), 5)) == AppendOutcome::invalid_producer_epoch);
    // The producer itself is fenced by the marker's epoch.
    CHECK(append(data(7, 1, Timestamp(8))) == AppendOutcome::invalid_producer_epoch);
}

TEST_CASE("transactions: stable ends and aborted ones are those of a walk, whatever happened") {
    rc::prop("appends, cuts, clean stops, kills and power losses", [] {
        const auto config = small(static_cast<std::uint64_t>(*rc::gen::inRange(200, 900)));
        RecordingDisk disk;
        auto one = std::make_unique<Driver>(disk, config);
        RC_ASSERT(one->rig->open());
        bool exact = true;
        const int deeds = *rc::gen::inRange(5, 80);
        for (int i = 0; i < deeds; ++i) {
            const auto producer = *rc::gen::inRange<std::int64_t>(1, 5);
            switch (*rc::gen::weightedElement<int>(
                {{12, 0}, {6, 1}, {2, 2}, {1, 3}, {1, 4}, {1, 5}, {2, 6}, {1, 7}})) {
                case 0: one->data_of(producer); break;
                case 1: one->end_of(producer, *rc::gen::arbitrary<bool>()); break;
                case 2: one->plain(); break;
                case 3: {
                    one->rig->pump();
                    const Offset end = one->rig->log->log_end();
                    one->rig->log->truncate_to(
                        one->rig->env, Offset(*rc::gen::inRange<std::int64_t>(0, end.value + 1)));
                    one->rig->pump();
                    exact = false;
                    break;
                }
                case 4:
                    one->rig->pump();
                    one->rig->directory.close(one->rig->env, BrokerEpoch(1));
                    one->rig->pump();
                    RC_ASSERT(one->restart());
                    exact = false;
                    break;
                case 5:
                    RC_ASSERT(one->restart());
                    exact = false;
                    break;
                case 6:
                    one->rig->log->flush(one->rig->env);
                    for (int steps = *rc::gen::inRange(0, 12); steps > 0; --steps) one->rig->step();
                    break;
                case 7: one->rig->directory.checkpoint(one->rig->env); break;
            }
            if (one->rig->log->phase() == storage::LogPhase::open)
                RC_ASSERT(differs(*one->rig, disk, exact) == "");
        }
        const auto prefix = *rc::gen::inRange<std::size_t>(0, disk.operations() + 1);
        const auto kept = *rc::gen::container<std::vector<bool>>(disk.open_units(prefix),
                                                                 rc::gen::arbitrary<bool>());
        RecordingDisk left(disk.after_power_loss(prefix, kept));
        Driver after(left, config);
        RC_ASSERT(after.rig->open());
        RC_ASSERT(differs(*after.rig, left, false) == "");
    });
}

TEST_CASE(
    "transactions: after a cleaning no reader meets an aborted record, and none is held back") {
    rc::prop("the model", [] {
        auto config = small(static_cast<std::uint64_t>(*rc::gen::inRange(250, 700)));
        config.compacts = true;
        config.gaps = true;
        config.deletes = false;
        config.dirty_millionths_min = 0;
        config.delete_retention_ms = 5;
        RecordingDisk disk;
        auto one = std::make_unique<Driver>(disk, config);
        RC_ASSERT(one->rig->open());
        for (int i = *rc::gen::inRange(10, 80); i > 0; --i) {
            const auto producer = *rc::gen::inRange<std::int64_t>(1, 4);
            one->rig->env.set_now(Instant{i * 1'000'000}, Timestamp(1'000 + 2 * (90 - i)));
            switch (*rc::gen::weightedElement<int>({{8, 0}, {5, 1}, {3, 2}, {1, 3}})) {
                case 0: one->data_of(producer); break;
                case 1: one->end_of(producer, *rc::gen::arbitrary<bool>()); break;
                case 2:
                    one->rig->log->flush(one->rig->env);
                    one->rig->pump();
                    one->rig->log->clean(one->rig->env, one->rig->log->log_end());
                    for (int steps = *rc::gen::inRange(0, 40); steps > 0; --steps) one->rig->step();
                    break;
                case 3: RC_ASSERT(one->restart()); break;
            }
        }
        one->rig->pump();
        RC_ASSERT(one->rig->log->phase() == storage::LogPhase::open);
        const Walked walked = walk(one->rig->bytes());
        const Offset end = one->rig->log->log_end();
        RC_ASSERT(one->rig->log->stable_end(end) == walked.stable_end(end));
        std::set<std::pair<ProducerId, Offset>> known;
        for (const auto& aborted : one->rig->log->aborted_in(one->rig->log->log_start(), end))
            known.emplace(aborted.producer, aborted.last);
        // Each aborted transaction of which something is left is told of, and none whose marker has
        // gone: what its producer writes next would be left out with it.
        const Bytes bytes = one->rig->bytes();
        for (const Walked::Ended& ended : walked.ended)
            RC_ASSERT(!ended.aborted || known.contains({ended.producer, ended.marker}));
        std::set<std::pair<ProducerId, Offset>> markers;
        ByteView rest = bytes;
        ByteView batch_bytes;
        while (record::next_batch(rest, batch_bytes) == record::Peek::ok) {
            const record::BatchView batch(batch_bytes);
            if (batch.is_control() && batch.record_count() > 0)
                markers.emplace(batch.producer_id(), batch.base_offset());
        }
        for (const auto& aborted : known) RC_ASSERT(markers.contains(aborted));
    });
}
