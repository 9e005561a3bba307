// Records: what the builder writes, the iterator reads; what is no record is refused.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include <functional>

#include "core/base/varint.h"
#include "core/record/control.h"
#include "tests/record/golden.h"

using namespace klamm;
using namespace klamm::record;

namespace {

struct Written {
    std::int64_t timestamp = 0;
    std::int32_t gap = 0;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

using Text = std::optional<std::string>;

rc::Gen<Text> any_text() {
    return rc::gen::map(rc::gen::arbitrary<std::pair<bool, std::string>>(),
                        [](const auto& pair) { return pair.first ? Text(pair.second) : Text(); });
}

rc::Gen<Written> any_record() {
    return rc::gen::map(
        rc::gen::tuple(rc::gen::arbitrary<std::int64_t>(), rc::gen::inRange(0, 3), any_text(),
                       any_text(),
                       rc::gen::container<std::vector<std::pair<std::string, Text>>>(
                           rc::gen::pair(rc::gen::arbitrary<std::string>(), any_text()))),
        [](const auto& all) {
            return Written{std::get<0>(all), std::get<1>(all), std::get<2>(all), std::get<3>(all),
                           std::get<4>(all)};
        });
}

std::optional<ByteView> view(const Text& text) {
    return text ? std::optional<ByteView>(as_bytes(*text)) : std::nullopt;
}

/// A record by its raw body, behind its length.
Bytes framed(const Bytes& body) {
    Bytes out(varint_bytes_max);
    out.resize(
        store_unsigned_varint(out.data(), zigzag_encode32(static_cast<std::int32_t>(body.size()))));
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

bool parses(const Bytes& body) {
    const Bytes bytes = framed(body);
    RecordIterator records(bytes);
    Record record;
    const bool good = records.next(record);
    CHECK(good != records.failed());
    return good;
}

}  // namespace

TEST_CASE("records: what is built with any codec is read back") {
    rc::prop("round trip", [] {
        const auto written =
            *rc::gen::nonEmpty(rc::gen::container<std::vector<Written>>(any_record()));
        BatchOptions options;
        options.base_offset = Offset(*rc::gen::inRange<std::int64_t>(0, 1'000'000'000'000));
        options.compression = static_cast<Compression>(*rc::gen::inRange(0, 5));
        BatchBuilder builder(options);
        Offset offset = options.base_offset;
        Timestamp max_timestamp = no_timestamp;
        std::vector<Offset> offsets;
        for (const Written& each : written) {
            std::vector<Header> headers;
            for (const auto& [key, value] : each.headers)
                headers.push_back({as_bytes(key), view(value)});
            const std::size_t before = builder.size_bytes();
            offset = offset + each.gap;
            builder.append_at(offset, Timestamp(each.timestamp), view(each.key), view(each.value),
                              headers);
            RC_ASSERT(builder.size_bytes() - before <=
                      BatchBuilder::record_bytes_max(view(each.key), view(each.value), headers));
            offsets.push_back(offset);
            offset = offset + 1;
            max_timestamp = std::max(max_timestamp, Timestamp(each.timestamp));
        }
        const std::size_t size = builder.size_bytes();
        const Bytes bytes = builder.build();

        const BatchView batch(bytes);
        RC_ASSERT(batch.crc_holds());
        RC_ASSERT(batch.size_bytes() == bytes.size());
        if (options.compression == Compression::none) RC_ASSERT(bytes.size() == size);
        RC_ASSERT(batch.record_count() == static_cast<std::int32_t>(written.size()));
        RC_ASSERT(batch.last_offset() == offsets.back());
        RC_ASSERT(batch.max_timestamp() == max_timestamp);
        const auto plain = plain_records(batch, size);
        RC_ASSERT(plain.ok());
        RecordIterator records(plain->records);
        for (std::size_t i = 0; i < written.size(); ++i) {
            Record record;
            RC_ASSERT(records.next(record));
            RC_ASSERT(record_offset(batch, record) == offsets[i]);
            RC_ASSERT(record_timestamp(batch, record) == Timestamp(written[i].timestamp));
            RC_ASSERT(record.key.has_value() == written[i].key.has_value());
            if (record.key) RC_ASSERT(as_text(*record.key) == *written[i].key);
            RC_ASSERT(record.value.has_value() == written[i].value.has_value());
            if (record.value) RC_ASSERT(as_text(*record.value) == *written[i].value);
            RC_ASSERT(record.headers.count() ==
                      static_cast<std::int32_t>(written[i].headers.size()));
            for (const auto& [key, value] : written[i].headers) {
                Header header;
                RC_ASSERT(record.headers.next(header));
                RC_ASSERT(as_text(header.key) == key);
                RC_ASSERT(header.value.has_value() == value.has_value());
                if (value) RC_ASSERT(as_text(*header.value) == *value);
            }
        }
        Record beyond;
        RC_ASSERT_FALSE(records.next(beyond));
        RC_ASSERT_FALSE(records.failed());
    });
}

TEST_CASE("records: every prefix of a record is refused") {
    const Bytes batch = golden::mixed();
    const ByteView records = BatchView(batch).records();
    std::vector<std::size_t> ends = {0};
    RecordIterator iterator(records);
    for (Record record; iterator.next(record);)
        ends.push_back(records.size() - iterator.rest().size());
    REQUIRE(ends.size() == 6);
    for (std::size_t size = 0; size <= records.size(); ++size) {
        const bool at_end = std::find(ends.begin(), ends.end(), size) != ends.end();
        REQUIRE(for_each_record(records.first(size), [](const Record&) {}) == at_end);
    }
}

TEST_CASE("records: fields that do not fill the record exactly are refused") {
    // attributes, timestamp delta, offset delta, key "k", value null, no headers
    CHECK(parses({0, 0, 0, 2, 'k', 1, 0}));
    CHECK_FALSE(parses({}));
    CHECK_FALSE(parses({0, 0, 0, 2, 'k', 1}));
    CHECK_FALSE(parses({0, 0, 0, 2, 'k', 1, 0, 0}));
    CHECK_FALSE(parses({0, 0, 0, 4, 'k', 1, 0}));
    CHECK_FALSE(parses({0, 0, 0, 2, 'k', 40, 0}));
    // A varint that does not end.
    CHECK_FALSE(parses({0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
}

TEST_CASE("records: headers are counted and keyed") {
    CHECK(parses({0, 0, 0, 1, 1, 2, 2, 'h', 1}));
    CHECK(parses({0, 0, 0, 1, 1, 2, 0, 2, 'v'}));
    // A negative count, more than there are, fewer than there are, a null key.
    CHECK_FALSE(parses({0, 0, 0, 1, 1, 1}));
    CHECK_FALSE(parses({0, 0, 0, 1, 1, 4, 2, 'h', 1}));
    CHECK_FALSE(parses({0, 0, 0, 1, 1, 0, 2, 'h', 1}));
    CHECK_FALSE(parses({0, 0, 0, 1, 1, 2, 1, 1}));
    CHECK_FALSE(parses({0, 0, 0, 1, 1, 2, 1}));
    CHECK_FALSE(parses({0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}));
}

TEST_CASE("records: a negative length is refused, and nothing is read after a failure") {
    const Bytes bytes = {1, 0, 0, 0};
    RecordIterator records(bytes);
    Record record;
    CHECK_FALSE(records.next(record));
    CHECK(records.failed());
    CHECK_FALSE(records.next(record));
}

TEST_CASE("records: with log append time all records have the batch's time") {
    const Bytes bytes = golden::read("log-append-time-gzip");
    const BatchView batch(bytes);
    const auto plain = plain_records(batch, 1000);
    REQUIRE(plain.ok());
    int count = 0;
    CHECK(for_each_record(plain->records, [&](const Record& record) {
        CHECK(record_timestamp(batch, record) == Timestamp(golden::time_ms + 77));
        CHECK(record_offset(batch, record) == Offset(7 + count));
        ++count;
    }));
    CHECK(count == 5);
}

TEST_CASE("control: keys and markers that are not sound are refused") {
    CHECK_FALSE(decode_control_key(Bytes{0, 0, 0}).ok());
    CHECK_FALSE(decode_control_key(Bytes{0xff, 0xff, 0, 0}).ok());
    CHECK(*decode_control_key(Bytes{0, 0, 0, 7}) == ControlType::unknown);
    CHECK(*decode_control_key(Bytes{0, 0, 0xff, 0xfe}) == ControlType::unknown);
    CHECK(*decode_control_key(Bytes{0, 9, 0, 6, 1}) == ControlType::kraft_voters);
    CHECK_FALSE(decode_end_transaction(ControlType::leader_change, Bytes(6)).ok());
    CHECK_FALSE(decode_end_transaction(ControlType::commit, Bytes(5)).ok());
    CHECK_FALSE(decode_end_transaction(ControlType::commit, Bytes{0xff, 0xff, 0, 0, 0, 1}).ok());
    const auto newer = decode_end_transaction(ControlType::commit, Bytes{0, 3, 0, 0, 0, 1, 9});
    REQUIRE(newer.ok());
    CHECK(newer->coordinator_epoch == 1);
}
