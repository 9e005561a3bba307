// Against Kafka's own classes: the same bytes without compression, the same records from all.
#include <catch2/catch.hpp>

#include "core/record/control.h"
#include "tests/record/golden.h"

using namespace klamm;
using namespace klamm::record;

namespace {

const std::vector<Compression> codecs = {Compression::none, Compression::gzip, Compression::snappy,
                                         Compression::lz4, Compression::zstd};

/// The only record of a control batch.
Record only_record(const BatchView& batch) {
    Record record;
    RecordIterator records(batch.records());
    REQUIRE(records.next(record));
    REQUIRE(records.rest().empty());
    return record;
}

BatchOptions producer(std::int32_t base_sequence, bool transactional) {
    BatchOptions options;
    options.producer_id = ProducerId(4711);
    options.producer_epoch = ProducerEpoch(3);
    options.base_sequence = base_sequence;
    options.transactional = transactional;
    return options;
}

}  // namespace

TEST_CASE("golden: without compression the builder makes Kafka's bytes") {
    CHECK(golden::mixed() == golden::read("mixed-none"));
    CHECK(golden::mixed(producer(2'147'483'645, false)) == golden::read("idempotent"));
    CHECK(golden::mixed(producer(8, true)) == golden::read("transactional"));

    BatchOptions in_log = producer(8, true);
    in_log.base_offset = Offset(5'000'000'000);
    in_log.leader_epoch = LeaderEpoch(12);
    CHECK(golden::mixed(in_log) == golden::read("in-log"));

    BatchOptions log_append_time;
    log_append_time.base_offset = Offset(7);
    log_append_time.leader_epoch = LeaderEpoch(2);
    log_append_time.log_append_time = Timestamp(golden::time_ms + 77);
    CHECK(golden::mixed(log_append_time) == golden::read("log-append-time"));

    BatchOptions at_100;
    at_100.base_offset = Offset(100);
    at_100.leader_epoch = LeaderEpoch(4);
    BatchBuilder gaps(at_100);
    gaps.append_at(Offset(103), Timestamp(golden::time_ms), as_bytes("a"), as_bytes("1"));
    gaps.append_at(Offset(300), Timestamp(golden::time_ms + 2), as_bytes("b"), as_bytes("2"));
    gaps.set_last_offset(Offset(301));
    CHECK(gaps.build() == golden::read("gaps"));

    BatchBuilder timeless;
    timeless.append(no_timestamp, as_bytes("k"), as_bytes("v"));
    CHECK(timeless.build() == golden::read("no-timestamp"));
}

TEST_CASE("golden: every codec that Kafka writes is read back") {
    BatchBuilder large;
    golden::append_large(large);
    const Bytes large_batch = large.build();
    for (const Compression codec : codecs) {
        INFO(to_string(codec));
        const Bytes mixed = golden::read("mixed-" + std::string(to_string(codec)));
        REQUIRE(mixed.size() > batch_header_bytes);
        const BatchView batch(mixed);
        CHECK(batch.crc_holds());
        CHECK(batch.compression() == codec);
        CHECK(batch.record_count() == 5);
        const auto records = plain_records(batch, 1 << 20);
        REQUIRE(records.ok());
        CHECK(golden::text_of(records->records) ==
              "0 0 'key' 'value'\n"
              "1 5 null 'no key'\n"
              "2 -300 'tombstone' null\n"
              "3 70000 null null\n"
              "4 1 '' '' trace='abc' none=null ='' trace='again'\n");
        if (codec == Compression::none) continue;
        const Bytes packed = golden::read("large-" + std::string(to_string(codec)));
        const auto plain = plain_records(BatchView(packed), 1 << 20);
        REQUIRE(plain.ok());
        CHECK(golden::text_of(plain->records) == golden::text_of(BatchView(large_batch).records()));
    }
}

TEST_CASE("golden: our snappy and lz4 streams are framed as Kafka's") {
    for (const Compression codec : {Compression::snappy, Compression::lz4}) {
        INFO(to_string(codec));
        const Bytes theirs = golden::read("large-" + std::string(to_string(codec)));
        BatchOptions options;
        options.compression = codec;
        BatchBuilder builder(options);
        golden::append_large(builder);
        const Bytes ours = builder.build();
        // The stream's header: 16 bytes of snappy-java, 7 of an LZ4 frame.
        const std::size_t framing = codec == Compression::snappy ? 16 : 7;
        CHECK(as_text(BatchView(ours).records().first(framing)) ==
              as_text(BatchView(theirs).records().first(framing)));
    }
}

TEST_CASE("golden: fields of the header") {
    const Bytes bytes = golden::read("in-log");
    const BatchView batch(bytes);
    CHECK(batch.base_offset() == Offset(5'000'000'000));
    CHECK(batch.size_bytes() == bytes.size());
    CHECK(batch.leader_epoch() == LeaderEpoch(12));
    CHECK(batch.magic() == 2);
    CHECK(batch.crc_holds());
    CHECK(batch.is_transactional());
    CHECK_FALSE(batch.is_control());
    CHECK_FALSE(batch.is_log_append_time());
    CHECK(batch.last_offset_delta() == 4);
    CHECK(batch.last_offset() == Offset(5'000'000'004));
    CHECK(batch.next_offset() == Offset(5'000'000'005));
    CHECK(batch.base_timestamp() == Timestamp(golden::time_ms));
    CHECK(batch.max_timestamp() == Timestamp(golden::time_ms + 70'000));
    CHECK(batch.producer_id() == ProducerId(4711));
    CHECK(batch.producer_epoch() == ProducerEpoch(3));
    CHECK(batch.base_sequence() == 8);
    CHECK(batch.last_sequence() == 12);

    const Bytes wrapping = golden::read("idempotent");
    CHECK(BatchView(wrapping).last_sequence() == 1);
    const Bytes stamped = golden::read("log-append-time");
    CHECK(BatchView(stamped).is_log_append_time());
    CHECK(BatchView(stamped).max_timestamp() == Timestamp(golden::time_ms + 77));
    CHECK(BatchView(stamped).last_sequence() == no_sequence);
}

TEST_CASE("golden: control batches, both ways") {
    for (const ControlType type : {ControlType::abort, ControlType::commit}) {
        const Bytes theirs = golden::read(type == ControlType::abort ? "end-transaction-abort"
                                                                     : "end-transaction-commit");
        const EndTransactionMarker marker{type, 9};
        CHECK(end_transaction_batch(Offset(42), LeaderEpoch(6), Timestamp(golden::time_ms),
                                    ProducerId(4711), ProducerEpoch(3), marker) == theirs);
        const BatchView batch(theirs);
        CHECK(batch.is_control());
        CHECK(batch.is_transactional());
        const Record record = only_record(batch);
        const auto read_type = decode_control_key(*record.key);
        REQUIRE(read_type.ok());
        const auto read_marker = decode_end_transaction(*read_type, *record.value);
        REQUIRE(read_marker.ok());
        CHECK(*read_marker == marker);
    }
    const Bytes theirs = golden::read("leader-change");
    const Record record = only_record(BatchView(theirs));
    REQUIRE(decode_control_key(*record.key).ok());
    CHECK(*decode_control_key(*record.key) == ControlType::leader_change);
    CHECK(control_batch(Offset(13), LeaderEpoch(8), Timestamp(golden::time_ms),
                        ControlType::leader_change, *record.value) == theirs);
}
