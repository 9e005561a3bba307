// Each rule for produced batches, its error code, and which rule comes first.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/record/control.h"
#include "core/record/validate.h"
#include "tests/record/golden.h"

using namespace klamm;
using namespace klamm::record;
using klamm::protocol::ErrorCode;

namespace {

constexpr Timestamp now{golden::time_ms};

ValidateOptions defaults() {
    ValidateOptions options;
    options.now = now;
    options.partition = "orders-0";
    return options;
}

/// A batch of `count` keyed records made at `now`.
Bytes simple(int count, const BatchOptions& options = {}) {
    BatchBuilder builder(options);
    for (int i = 0; i < count; ++i) builder.append(now, as_bytes("k"), as_bytes("v"));
    return builder.build();
}

BatchOptions packed(Compression compression) {
    BatchOptions options;
    options.compression = compression;
    return options;
}

template <class T>
Bytes with(Bytes batch, std::size_t position, T value) {
    store_big_endian(batch.data() + position, value);
    golden::repair_crc(batch);
    return batch;
}

ErrorCode judge(const Bytes& produced, const ValidateOptions& options = defaults()) {
    return validate(produced, options).error;
}

/// What a log holds after the gathered write of the rewritten header and the rest.
Bytes appended(const Bytes& produced, const Validation& outcome, Offset offset, LeaderEpoch epoch) {
    const BatchHeader header = append_header(BatchView(produced), outcome, offset, epoch);
    Bytes log = produced;
    std::copy(header.begin(), header.end(), log.begin());
    return log;
}

/// A batch of one record whose payload is `payload` under the codec of `compression`.
Bytes with_payload(Compression compression, const Bytes& payload) {
    Bytes batch = simple(1);
    batch.resize(batch_header_bytes);
    batch.insert(batch.end(), payload.begin(), payload.end());
    store_big_endian(batch.data() + 8, static_cast<std::int32_t>(batch.size() - 12));
    return with(batch, 21, static_cast<std::int16_t>(compression));
}

}  // namespace

TEST_CASE("validate: sound batches of every codec pass and are described") {
    for (int i = 0; i < compression_count; ++i) {
        const Bytes batch = golden::mixed(packed(static_cast<Compression>(i)));
        const Validation outcome = validate(batch, defaults());
        REQUIRE(outcome.ok());
        CHECK(outcome.message.empty());
        CHECK(outcome.batch_bytes == batch.size());
        CHECK(outcome.record_count == 5);
        CHECK(outcome.max_timestamp == Timestamp(golden::time_ms + 70'000));
        CHECK_FALSE(outcome.log_append_time);
        CHECK(outcome.records_bytes == golden::mixed().size() - batch_header_bytes);
        CHECK_FALSE(outcome.must_rebuild);
    }
}

TEST_CASE("validate: exactly one batch a partition") {
    const Bytes one = simple(2);
    Bytes two = one;
    two.insert(two.end(), one.begin(), one.end());
    CHECK(judge({}) == ErrorCode::invalid_record);
    CHECK(judge(two) == ErrorCode::invalid_record);
    // What follows and is not a whole batch is cut off.
    for (std::size_t size = one.size() + 1; size < two.size(); ++size) {
        const Validation outcome = validate(ByteView(two).first(size), defaults());
        REQUIRE(outcome.ok());
        REQUIRE(outcome.batch_bytes == one.size());
    }
    // Unless it cannot become one.
    Bytes followed = one;
    followed.resize(one.size() + 12);
    CHECK(judge(followed) == ErrorCode::corrupt_message);
}

TEST_CASE("validate: magic 2 only, and a length that holds a header") {
    const Bytes batch = simple(1);
    for (const int magic : {0, 1}) {
        Bytes other = batch;
        other[16] = static_cast<std::uint8_t>(magic);
        CHECK(judge(other) == ErrorCode::invalid_record);
    }
    for (const int magic : {3, 127, 128, 255}) {
        Bytes other = batch;
        other[16] = static_cast<std::uint8_t>(magic);
        CHECK(judge(other) == ErrorCode::corrupt_message);
    }
    for (const std::int32_t length : {-1, 0, 13, 14, 48}) {
        Bytes other = batch;
        store_big_endian(other.data() + 8, length);
        CHECK(judge(other) == ErrorCode::corrupt_message);
    }
    Bytes longer = batch;
    store_big_endian(longer.data() + 8, INT32_MAX);
    CHECK(judge(longer) == ErrorCode::invalid_record);
}

TEST_CASE("validate: a CRC that does not hold") {
    Bytes batch = simple(1);
    batch.back() ^= 1;
    CHECK(judge(batch) == ErrorCode::corrupt_message);
}

TEST_CASE("validate: max.message.bytes is the greatest size that passes") {
    const Bytes batch = simple(3);
    ValidateOptions options = defaults();
    options.batch_bytes_max = static_cast<std::int32_t>(batch.size());
    CHECK(judge(batch, options) == ErrorCode::none);
    --options.batch_bytes_max;
    CHECK(judge(batch, options) == ErrorCode::message_too_large);
    // The size is looked at before the CRC, and the base offset before the size.
    Bytes damaged = batch;
    damaged.back() ^= 1;
    CHECK(judge(damaged, options) == ErrorCode::message_too_large);
    store_big_endian(damaged.data(), std::int64_t{1});
    CHECK(judge(damaged, options) == ErrorCode::invalid_record);
}

TEST_CASE("validate: a client's base offset is 0") {
    BatchOptions later;
    later.base_offset = Offset(1);
    CHECK(judge(simple(1, later)) == ErrorCode::invalid_record);
    ValidateOptions internal = defaults();
    internal.origin = Origin::internal;
    CHECK(judge(simple(1, later), internal) == ErrorCode::none);
}

TEST_CASE("validate: the offset range, the count and the records agree") {
    const Bytes batch = simple(3);
    CHECK(judge(with<std::int32_t>(batch, 23, 3)) == ErrorCode::invalid_record);
    CHECK(judge(with<std::int32_t>(batch, 23, -1)) == ErrorCode::invalid_record);
    CHECK(judge(with<std::int32_t>(batch, 23, INT32_MAX)) == ErrorCode::invalid_record);
    CHECK(judge(with<std::int32_t>(batch, 57, 0)) == ErrorCode::invalid_record);
    CHECK(judge(with<std::int32_t>(batch, 57, -3)) == ErrorCode::invalid_record);
    for (int i = 0; i < compression_count; ++i) {
        const Bytes sound = simple(3, packed(static_cast<Compression>(i)));
        REQUIRE(judge(sound) == ErrorCode::none);
        // Both fields agree with each other, but not with the records.
        CHECK(judge(with<std::int32_t>(with<std::int32_t>(sound, 57, 4), 23, 3)) ==
              ErrorCode::invalid_record);
        CHECK(judge(with<std::int32_t>(with<std::int32_t>(sound, 57, 2), 23, 1)) ==
              ErrorCode::invalid_record);
    }
}

TEST_CASE("validate: the message names the rule") {
    const auto message = [](const Bytes& batch) { return validate(batch, defaults()).message; };
    const Bytes batch = simple(3);
    CHECK(message(with<std::int32_t>(batch, 23, -1)) ==
          "Batch has an invalid offset range: [0, -1] in topic partition orders-0");
    CHECK(message(with<std::int32_t>(batch, 57, -3)) ==
          "Invalid reported count for record batch: -3 in topic partition orders-0");
    CHECK(message(with<std::int32_t>(batch, 57, 4)) ==
          "Inconsistent batch offset range [0, 2] and count of records 4 in topic partition "
          "orders-0");
    CHECK(message(with<std::int16_t>(batch, 21, 5)) == "Unknown compression type id: 5");
    CHECK(message(with_payload(Compression::none, {40, 0})) ==
          "Found invalid record structure in record 0 in topic partition orders-0");
    CHECK(message(with_payload(Compression::none, {})) ==
          "Incorrect declared batch size, premature EOF reached");
}

TEST_CASE("validate: offsets of records that are not 0 to n-1 call for a rebuild") {
    for (int i = 0; i < compression_count; ++i) {
        BatchBuilder builder(packed(static_cast<Compression>(i)));
        builder.append_at(Offset(4), now, as_bytes("a"), std::nullopt);
        builder.append_at(Offset(9), now, as_bytes("b"), std::nullopt);
        const Bytes gaps = with<std::int32_t>(builder.build(), 23, 1);
        const Validation outcome = validate(gaps, defaults());
        REQUIRE(outcome.ok());
        REQUIRE(outcome.must_rebuild);
        RebuildOptions options;
        options.compression = static_cast<Compression>(i);
        const auto rebuilt = rebuild(BatchView(gaps), options);
        REQUIRE(rebuilt.ok());
        const auto plain = plain_records(BatchView(*rebuilt), 1000);
        REQUIRE(plain.ok());
        CHECK(golden::text_of(plain->records) == "0 0 'a' null\n1 0 'b' null\n");
        CHECK_FALSE(validate(*rebuilt, defaults()).must_rebuild);
    }
}

TEST_CASE("validate: records that are none, inside every codec") {
    for (int i = 0; i < compression_count; ++i) {
        const auto codec = static_cast<Compression>(i);
        INFO(to_string(codec));
        const Bytes bad = {12, 0, 0, 0, 2, 'k', 40};
        CHECK(judge(with_payload(codec, compress(codec, bad).value())) ==
              ErrorCode::invalid_record);
        CHECK(judge(with_payload(codec, compress(codec, {}).value())) == ErrorCode::invalid_record);
        const Bytes good = {14, 0, 0, 0, 2, 'k', 1, 0};
        CHECK(judge(with_payload(codec, compress(codec, good).value())) == ErrorCode::none);
        Bytes trailing = good;
        trailing.push_back(0);
        CHECK(judge(with_payload(codec, compress(codec, trailing).value())) ==
              ErrorCode::invalid_record);
    }
}

TEST_CASE("validate: a stream that cannot be read is an error of the server, as in Kafka") {
    for (int i = 1; i < compression_count; ++i)
        CHECK(judge(with_payload(static_cast<Compression>(i), {1, 2, 3, 4, 5})) ==
              ErrorCode::unknown_server_error);
    for (std::int16_t id = compression_count; id < 8; ++id)
        CHECK(judge(with<std::int16_t>(simple(1), 21, id)) == ErrorCode::unknown_server_error);
}

TEST_CASE("validate: records may decompress to the bound and not beyond") {
    const Bytes plain = simple(100);
    const Bytes batch = simple(100, packed(Compression::zstd));
    ValidateOptions options = defaults();
    options.records_bytes_max = plain.size() - batch_header_bytes;
    CHECK(judge(batch, options) == ErrorCode::none);
    --options.records_bytes_max;
    CHECK(judge(batch, options) == ErrorCode::message_too_large);
    CHECK(judge(plain, options) == ErrorCode::none);
}

TEST_CASE("validate: zstd needs Produce version 7") {
    ValidateOptions options = defaults();
    options.produce_version = 6;
    CHECK(judge(simple(1, packed(Compression::zstd)), options) ==
          ErrorCode::unsupported_compression_type);
    CHECK(judge(simple(1, packed(Compression::lz4)), options) == ErrorCode::none);
    options.produce_version = 7;
    CHECK(judge(simple(1, packed(Compression::zstd)), options) == ErrorCode::none);
}

TEST_CASE("validate: clients write no control records, coordinators do") {
    const Bytes marker = end_transaction_batch(Offset(0), LeaderEpoch(0), now, ProducerId(1),
                                               ProducerEpoch(0), {ControlType::commit, 3});
    CHECK(judge(marker) == ErrorCode::invalid_record);
    const Bytes bare =
        control_batch(Offset(0), LeaderEpoch(0), now, ControlType::leader_change, Bytes(3));
    CHECK(judge(bare) == ErrorCode::invalid_record);
    ValidateOptions internal = defaults();
    internal.origin = Origin::internal;
    CHECK(judge(marker, internal) == ErrorCode::none);
    // They are not compressed, whatever the topic says.
    internal.compression = Compression::gzip;
    CHECK_FALSE(validate(marker, internal).must_rebuild);
    internal.origin = Origin::client;
    CHECK(validate(simple(1), internal).must_rebuild);
}

TEST_CASE("validate: a producer id comes with a sequence, a transaction with a producer id") {
    BatchOptions options;
    options.producer_id = ProducerId(0);
    options.producer_epoch = ProducerEpoch(0);
    CHECK(judge(simple(1, options)) == ErrorCode::invalid_record);
    options.base_sequence = 0;
    CHECK(judge(simple(1, options)) == ErrorCode::none);
    options.transactional = true;
    CHECK(judge(simple(1, options)) == ErrorCode::none);
    options.producer_id = no_producer_id;
    CHECK(judge(simple(1, options)) == ErrorCode::invalid_record);
}

TEST_CASE("validate: records of compacted topics have keys, and each lack is reported") {
    BatchBuilder builder;
    builder.append(now, as_bytes("k"), std::nullopt);
    builder.append(now, std::nullopt, as_bytes("v"));
    builder.append(now, as_bytes(""), as_bytes("v"));
    builder.append(now, std::nullopt, as_bytes("v"));
    const Bytes batch = builder.build();
    CHECK(judge(batch) == ErrorCode::none);
    ValidateOptions compacted = defaults();
    compacted.compacted = true;
    const Validation outcome = validate(batch, compacted);
    CHECK(outcome.error == ErrorCode::invalid_record);
    const std::string message =
        "Compacted topic cannot accept message without key in topic partition orders-0";
    CHECK(outcome.record_errors == std::vector<RecordError>{{1, message}, {3, message}});
}

TEST_CASE("validate: what is reported of single records is bounded") {
    BatchBuilder builder;
    for (int i = 0; i < 3000; ++i) builder.append(now, std::nullopt, std::nullopt);
    ValidateOptions compacted = defaults();
    compacted.compacted = true;
    const Validation outcome = validate(builder.build(), compacted);
    CHECK(outcome.record_errors.size() == record_errors_max);
    CHECK(outcome.message.find("3000 record errors") != std::string::npos);
}

TEST_CASE("validate: create times lie within the topic's bounds, both included") {
    ValidateOptions options = defaults();
    options.timestamp_before_max_ms = 1000;
    options.timestamp_after_max_ms = 10;
    const auto at = [&](Timestamp timestamp) {
        BatchBuilder builder;
        builder.append(timestamp, std::nullopt, std::nullopt);
        return validate(builder.build(), options);
    };
    CHECK(at(now - 1000).ok());
    CHECK(at(now + 10).ok());
    CHECK(at(now - 1001).error == ErrorCode::invalid_timestamp);
    const Validation late = at(now + 11);
    CHECK(late.error == ErrorCode::invalid_timestamp);
    REQUIRE(late.record_errors.size() == 1);
    CHECK(late.record_errors[0].message ==
          "Timestamp 1700000000011 of message with offset 0 is out of range. The timestamp should "
          "be within [1699999999000, 1700000000010]");
    // No time at all is never out of range, nor does it raise the greatest one.
    CHECK(at(no_timestamp).ok());
    CHECK(at(no_timestamp).max_timestamp == no_timestamp);
    CHECK(at(Timestamp(INT64_MAX)).error == ErrorCode::invalid_timestamp);
    // By default the past is unbounded and the future is an hour.
    options = defaults();
    CHECK(at(Timestamp(0)).ok());
    CHECK(at(now + 3'600'000).ok());
    CHECK(at(now + 3'600'001).error == ErrorCode::invalid_timestamp);
    // The broker's time makes the records' times irrelevant.
    options.log_append_time = true;
    CHECK(at(now + 3'600'001).ok());
}

TEST_CASE("validate: one bad time among missing keys decides the code") {
    BatchBuilder builder;
    builder.append(now, std::nullopt, std::nullopt);
    builder.append(now + 4'000'000, as_bytes("k"), std::nullopt);
    ValidateOptions compacted = defaults();
    compacted.compacted = true;
    const Validation outcome = validate(builder.build(), compacted);
    CHECK(outcome.error == ErrorCode::invalid_timestamp);
    CHECK(outcome.record_errors.size() == 2);
}

TEST_CASE("validate: a batch that claims log append time without times of its own is refused") {
    BatchOptions options;
    options.log_append_time = no_timestamp;
    CHECK(judge(simple(2, options)) == ErrorCode::invalid_timestamp);
    ValidateOptions stamping = defaults();
    stamping.log_append_time = true;
    CHECK(judge(simple(2, options), stamping) == ErrorCode::invalid_timestamp);
    // With a lawful time Kafka lets it pass, and the header is put right.
    options.log_append_time = now;
    const Bytes batch = simple(2, options);
    const Validation outcome = validate(batch, defaults());
    REQUIRE(outcome.ok());
    const BatchHeader header = append_header(BatchView(batch), outcome, Offset(0), no_leader_epoch);
    CHECK_FALSE(BatchView(header).is_log_append_time());
}

TEST_CASE("append header: the header that Kafka's broker writes") {
    // The client lies about the greatest timestamp.
    const Bytes produced = with<std::int64_t>(golden::mixed(), 35, 5);
    const Validation outcome = validate(produced, defaults());
    REQUIRE(outcome.ok());
    BatchOptions options;
    options.base_offset = Offset(5'000'000'000);
    options.leader_epoch = LeaderEpoch(12);
    CHECK(appended(produced, outcome, Offset(5'000'000'000), LeaderEpoch(12)) ==
          golden::mixed(options));

    ValidateOptions stamping = defaults();
    stamping.log_append_time = true;
    stamping.now = Timestamp(golden::time_ms + 77);
    const Validation stamped = validate(produced, stamping);
    REQUIRE(stamped.ok());
    CHECK(appended(produced, stamped, Offset(7), LeaderEpoch(2)) ==
          golden::read("log-append-time"));
}

TEST_CASE("rebuild: another codec, the same records and producer") {
    const Bytes source = golden::read("transactional");
    for (int i = 0; i < compression_count; ++i) {
        const auto codec = static_cast<Compression>(i);
        ValidateOptions wanted = defaults();
        wanted.compression = codec;
        CHECK(validate(source, wanted).must_rebuild == (codec != Compression::none));
        RebuildOptions options;
        options.compression = codec;
        options.base_offset = Offset(5'000'000'000);
        options.leader_epoch = LeaderEpoch(12);
        const auto there = rebuild(BatchView(source), options);
        REQUIRE(there.ok());
        CHECK(BatchView(*there).compression() == codec);
        options.compression = Compression::none;
        const auto back = rebuild(BatchView(*there), options);
        REQUIRE(back.ok());
        CHECK(*back == golden::read("in-log"));
    }
    RebuildOptions stamping;
    stamping.base_offset = Offset(7);
    stamping.leader_epoch = LeaderEpoch(2);
    stamping.log_append_time = Timestamp(golden::time_ms + 77);
    const Bytes plain = golden::read("mixed-gzip");
    CHECK(rebuild(BatchView(plain), stamping).value() == golden::read("log-append-time"));
}

TEST_CASE("rebuild: what cannot be read or written is refused") {
    const Bytes broken = with_payload(Compression::zstd, {1, 2, 3});
    CHECK(rebuild(BatchView(broken), {}).failure() == Failure::invalid);
    const Bytes bad = with_payload(Compression::none, {40, 0});
    CHECK(rebuild(BatchView(bad), {}).failure() == Failure::invalid);
    RebuildOptions options;
    options.compression = Compression::gzip;
    options.level = 10;
    const Bytes sound = simple(1);
    CHECK(rebuild(BatchView(sound), options).failure() == Failure::invalid);
    options.level = 9;
    CHECK(rebuild(BatchView(sound), options).ok());
    options.records_bytes_max = 3;
    const Bytes small = simple(1, packed(Compression::lz4));
    CHECK(rebuild(BatchView(small), options).failure() == Failure::limit);
}

TEST_CASE("validate: any bytes get an answer") {
    rc::prop("arbitrary payload under a sound header", [](const Bytes& payload) {
        const auto codec = static_cast<Compression>(*rc::gen::inRange(0, 8));
        const Bytes batch = with_payload(codec, payload);
        const Validation outcome = validate(batch, defaults());
        if (outcome.ok()) RC_ASSERT(outcome.record_count == 1);
    });
}
