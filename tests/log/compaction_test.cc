// What a compaction keeps, against a model: the last value of each key by brute force.

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/log/compaction.h"
#include "core/record/builder.h"
#include "core/record/compression.h"
#include "core/record/control.h"

using namespace klamm;
using log::BatchCleaner;

namespace {

struct Kept {
    Offset offset;
    Timestamp timestamp;
    std::string key;
    std::optional<std::string> value;
    friend bool operator==(const Kept&, const Kept&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Kept& one) {
        return out << one.offset.value << ":" << one.key << "=" << one.value.value_or("null");
    }
};

struct Log {
    std::vector<Bytes> batches;
    std::map<ProducerId, log::ProducerEntry> producers;
    Offset end{0};

    void add(Bytes batch) {
        end = record::BatchView(batch).next_offset();
        batches.push_back(std::move(batch));
    }
    void take_producers() {
        log::ProducerStateTable table;
        for (const Bytes& batch : batches) table.append(record::BatchView(batch));
        producers = table.entries();
    }
    [[nodiscard]] std::vector<Kept> records() const {
        std::vector<Kept> all;
        for (const Bytes& bytes : batches) {
            const record::BatchView batch(bytes);
            if (batch.is_control()) continue;
            const auto plain = record::plain_records(batch, 1 << 20);
            REQUIRE(plain.ok());
            REQUIRE(record::for_each_record(plain->records, [&](const record::Record& one) {
                all.push_back(
                    {record::record_offset(batch, one), record::record_timestamp(batch, one),
                     std::string(as_text(*one.key)),
                     one.value ? std::optional(std::string(as_text(*one.value))) : std::nullopt});
            }));
        }
        return all;
    }
};

struct Outcome {
    Log left;
    Offset cleaned_end;
};

Outcome clean(const Log& before, Offset first_dirty, Offset end, Timestamp wall,
              std::int64_t delete_retention_ms = 1'000, std::uint64_t map_bytes = 1 << 20) {
    log::AbortedBatches transactions;
    for (const Bytes& batch : before.batches) {
        const record::BatchView view(batch);
        if (view.base_offset() >= first_dirty && view.next_offset() <= end) transactions.walk(view);
    }
    log::LastOffsets keys(map_bytes);
    Offset cleaned_end = end;
    for (const Bytes& batch : before.batches) {
        const record::BatchView view(batch);
        if (view.next_offset() > end) {
            cleaned_end = std::min(cleaned_end, view.base_offset());
            break;
        }
        if (!note_keys(view, first_dirty, transactions, keys)) {
            cleaned_end = view.base_offset();
            break;
        }
    }
    BatchCleaner cleaner(
        {keys, transactions, before.producers, cleaned_end, wall, delete_retention_ms});
    Outcome result{{}, cleaned_end};
    result.left.producers = before.producers;
    for (const Bytes& batch : before.batches) {
        const record::BatchView view(batch);
        const auto one = cleaner.clean(view, view.next_offset() == before.end);
        if (one.fate == BatchCleaner::Fate::drop) continue;
        result.left.add(one.fate == BatchCleaner::Fate::keep ? batch : one.bytes);
    }
    return result;
}

record::BatchOptions at(const Log& log) {
    record::BatchOptions options;
    options.base_offset = log.end;
    options.leader_epoch = LeaderEpoch(3);
    return options;
}

Bytes one(const Log& log, const char* key, std::optional<const char*> value, Timestamp time,
          record::BatchOptions options) {
    options.base_offset = log.end;
    record::BatchBuilder builder(options);
    std::optional<ByteView> bytes;
    if (value) bytes = as_bytes(std::string_view(*value));
    builder.append(time, as_bytes(std::string_view(key)), bytes);
    return builder.build();
}

record::BatchOptions transactional(std::int64_t producer, std::int32_t sequence) {
    record::BatchOptions options;
    options.producer_id = ProducerId(producer);
    options.producer_epoch = ProducerEpoch(0);
    options.base_sequence = sequence;
    options.transactional = true;
    return options;
}

Bytes marker(const Log& log, std::int64_t producer, record::ControlType type, Timestamp time) {
    return record::end_transaction_batch(log.end, LeaderEpoch(3), time, ProducerId(producer),
                                         ProducerEpoch(0), {type, 0});
}

}  // namespace

TEST_CASE("compaction: the last value of each key stays, whatever else goes") {
    rc::prop("the model's last records, unchanged, in their order", [] {
        Log log;
        std::map<std::int64_t, std::int32_t> sequences;
        const int batches = *rc::gen::inRange(1, 40);
        for (int i = 0; i < batches; ++i) {
            record::BatchOptions options = at(log);
            options.compression = static_cast<record::Compression>(*rc::gen::inRange(0, 5));
            const std::int64_t producer = *rc::gen::inRange<std::int64_t>(-1, 3);
            const int records = *rc::gen::inRange(1, 5);
            if (producer >= 0) {
                options.producer_id = ProducerId(producer);
                options.producer_epoch = ProducerEpoch(0);
                options.base_sequence =
                    std::exchange(sequences[producer], sequences[producer] + records);
            }
            if (*rc::gen::inRange(0, 4) == 0) options.log_append_time = Timestamp(500 + i);
            record::BatchBuilder builder(options);
            for (int r = 0; r < records; ++r) {
                const std::string key(1, static_cast<char>('a' + *rc::gen::inRange(0, 6)));
                const std::string value = std::to_string(i) + "." + std::to_string(r);
                std::optional<ByteView> bytes = as_bytes(value);
                if (*rc::gen::inRange(0, 4) == 0) bytes.reset();
                builder.append(Timestamp(1000 + i), as_bytes(key), bytes);
            }
            log.add(builder.build());
        }
        log.take_producers();
        const auto all = log.records();
        const Offset end(*rc::gen::inRange<std::int64_t>(0, log.end.value + 1));
        const Offset dirty(*rc::gen::inRange<std::int64_t>(0, end.value + 1));
        const std::uint64_t room = *rc::gen::element<std::uint64_t>(100, 250, 1 << 20);
        // What lies below the first dirty offset has been cleaned before.
        const Outcome first = clean(log, Offset(0), dirty, Timestamp(2000));
        Outcome second = clean(first.left, first.cleaned_end, end, Timestamp(2500), 1'000, room);
        RC_ASSERT(second.cleaned_end <= end);
        const auto left = second.left.records();
        std::map<std::string, Offset> last;
        for (const Kept& record : all)
            if (record.offset < second.cleaned_end) last[record.key] = record.offset;
        std::vector<Kept> expected;
        for (const Kept& record : all)
            if (record.offset >= second.cleaned_end || last.at(record.key) == record.offset)
                expected.push_back(record);
        if (room > 1'000) RC_ASSERT(left == expected);
        // Where the keys do not fit, a batch may be looked at in part: what it overrides may go,
        // for it stays itself.
        for (const Kept& record : left)
            RC_ASSERT(std::find(all.begin(), all.end(), record) != all.end());
        for (const Kept& record : expected)
            RC_ASSERT(std::any_of(left.begin(), left.end(), [&](const Kept& other) {
                return other == record || (other.key == record.key && other.offset > record.offset);
            }));
        Offset next{0};
        std::map<ProducerId, std::int32_t> last_sequences;
        for (const Bytes& bytes : second.left.batches) {
            const record::BatchView batch(bytes);
            RC_ASSERT(batch.crc_holds());
            RC_ASSERT(batch.base_offset() >= next);
            RC_ASSERT(batch.leader_epoch() == LeaderEpoch(3));
            next = batch.next_offset();
            last_sequences[batch.producer_id()] = batch.last_sequence();
        }
        RC_ASSERT(next == log.end);  // the last batch stays, empty if need be
        for (const auto& [id, entry] : log.producers)
            RC_ASSERT(last_sequences.at(id) == entry.last_sequence());

        // Tombstones go once their horizon has passed, and with them nothing else.
        const Outcome third = clean(second.left, second.cleaned_end, end, Timestamp(4'000), 1'000);
        if (third.cleaned_end < second.cleaned_end) return;
        for (const Kept& record : third.left.records())
            RC_ASSERT(record.value || record.offset >= second.cleaned_end);
    });
}

TEST_CASE("compaction: a tombstone stays for delete.retention.ms after its first cleaning") {
    Log log;
    log.add(one(log, "k", "v", Timestamp(10), {}));
    log.add(one(log, "k", std::nullopt, Timestamp(20), {}));
    log.add(one(log, "z", "z", Timestamp(30), {}));
    const Outcome first = clean(log, Offset(0), log.end, Timestamp(1'000), 500);
    REQUIRE(first.left.records().size() == 2);
    const record::BatchView tombstone(first.left.batches.front());
    REQUIRE(tombstone.has_delete_horizon());
    REQUIRE(tombstone.base_timestamp() == Timestamp(1'500));
    REQUIRE(tombstone.max_timestamp() == Timestamp(20));
    REQUIRE(first.left.records().front().timestamp == Timestamp(20));
    // The horizon does not move with later cleanings.
    const Outcome second = clean(first.left, log.end, log.end, Timestamp(1'499), 500);
    REQUIRE(second.left.batches == first.left.batches);
    const Outcome third = clean(second.left, log.end, log.end, Timestamp(1'500), 500);
    REQUIRE(third.left.records().size() == 1);
}

TEST_CASE("compaction: aborted records override nothing and go, a marker outlives its data") {
    Log log;
    log.add(one(log, "k", "v1", Timestamp(10), {}));
    log.add(one(log, "k", "v2", Timestamp(20), transactional(7, 0)));
    log.add(one(log, "m", "c1", Timestamp(20), transactional(8, 0)));
    log.add(marker(log, 7, record::ControlType::abort, Timestamp(30)));
    log.add(marker(log, 8, record::ControlType::commit, Timestamp(30)));
    log.add(one(log, "m", "c2", Timestamp(40), {}));
    log.add(one(log, "z", "z", Timestamp(50), {}));
    // Later transactions of both, so that these are not their producers' last batches.
    log.add(one(log, "y", "y", Timestamp(50), transactional(7, 1)));
    log.add(marker(log, 7, record::ControlType::commit, Timestamp(50)));
    log.add(one(log, "x", "x", Timestamp(50), transactional(8, 1)));
    log.add(marker(log, 8, record::ControlType::commit, Timestamp(50)));
    log.take_producers();
    const Outcome first = clean(log, Offset(0), log.end, Timestamp(1'000), 500);
    const auto left = first.left.records();
    REQUIRE(left.size() == 5);
    REQUIRE(left[0].value == "v1");
    REQUIRE(left[1].value == "c2");
    const auto markers = [](const Log& of) {
        std::vector<Offset> found;
        for (const Bytes& batch : of.batches)
            if (record::BatchView(batch).is_control())
                found.push_back(record::BatchView(batch).base_offset());
        return found;
    };
    // The commit's data was seen, in this walk; the abort's was dropped by it.
    REQUIRE(markers(first.left) == std::vector{Offset(3), Offset(4), Offset(8), Offset(10)});
    const Outcome second = clean(first.left, log.end, log.end, Timestamp(1'400), 500);
    REQUIRE(markers(second.left) == markers(log));
    const Outcome third = clean(second.left, log.end, log.end, Timestamp(2'000), 500);
    REQUIRE(markers(third.left) == std::vector{Offset(8), Offset(10)});
    REQUIRE(third.left.records() == left);
}

TEST_CASE("compaction: the range ends at the stable end, the active segment and the minimum lag") {
    const std::vector<log::SegmentFacts> segments = {
        {Offset(0), Offset(10), 100, 1, Timestamp(100), Timestamp(190)},
        {Offset(10), Offset(20), 100, 1, Timestamp(200), Timestamp(290)},
        {Offset(20), Offset(30), 200, 1, Timestamp(300), Timestamp(390)},
        {Offset(30), Offset(40), 100, 1, Timestamp(400), Timestamp(490)}};
    const log::CompactionRules rules{0, 1'000'000, 500'000};
    const auto range = [&](Offset cleaned, Offset stable, log::CompactionRules with) {
        return log::clean_range(segments, Offset(0), cleaned, stable, Timestamp(500), with);
    };
    REQUIRE(range(Offset(0), Offset(40), rules)->end == Offset(30));
    REQUIRE(range(Offset(0), Offset(15), rules)->end == Offset(15));
    REQUIRE_FALSE(range(Offset(15), Offset(15), rules));
    const auto half = range(Offset(20), Offset(40), rules);
    REQUIRE(half->dirty_ratio() == 500'000);
    REQUIRE_FALSE(half->due(rules));
    REQUIRE(range(Offset(10), Offset(40), rules)->due(rules));
    // A segment that is younger than the minimum stays as it is, with all above it.
    REQUIRE(range(Offset(0), Offset(40), {200, 1'000'000, 0})->end == Offset(20));
    // Little is dirty, but it has waited for too long.
    REQUIRE_FALSE(range(Offset(20), Offset(40), {0, 200, 500'000})->due(rules));
    REQUIRE(range(Offset(20), Offset(40), {0, 199, 500'000})->due(rules));
    // A checkpoint from elsewhere.
    REQUIRE(range(Offset(35), Offset(40), rules)->first_dirty == Offset(0));

    const auto groups = log::group_segments(std::span(segments).first(3), Offset(25), 250, 10);
    REQUIRE(groups.size() == 2);
    REQUIRE(groups[0].count == 2);
    REQUIRE(groups[0].end == Offset(20));
    REQUIRE(groups[1].base == Offset(20));
    REQUIRE(log::group_segments(std::span(segments).first(3), Offset(20), 250, 1).size() == 2);
}
