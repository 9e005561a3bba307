// Metadata records in their frames: Kafka's bytes, round trips, and frames that are refused.
#include "core/metadata/records.h"

#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <set>

#include "core/metadata/messages/records_fields.h"
#include "tests/support/golden.h"
#include "tests/support/messages.h"

using namespace klamm;
using namespace klamm::metadata;

namespace {

/// Calls `check(record, version)` for every type in every version, filled from a seed.
template <class Check>
void for_each_filled(std::uint64_t seed, Check&& check) {
    for_each_record([&]<class R>(std::type_identity<R>) {
        for (int v = RecordInfo<R>::version_min; v <= RecordInfo<R>::version_max; ++v) {
            protocol::Filler filler(seed, v);
            R record;
            filler.fill(record);
            check(Record(record), v);
        }
    });
}

}  // namespace

TEST_CASE("records: every version of every type is Kafka's, byte for byte, frame included") {
    for_each_record([]<class R>(std::type_identity<R>) {
        std::set<int> versions;
        for (const auto& row : protocol::golden_rows(std::string(RecordInfo<R>::name) + ".jsonl")) {
            INFO(RecordInfo<R>::name << " version " << row.version);
            const auto decoded = decode_record(row.bytes);
            if (!decoded.ok()) FAIL(decoded.error().text);
            CHECK(decoded->version == row.version);
            REQUIRE(std::holds_alternative<R>(decoded->record));
            CHECK(record_name(decoded->record) == std::string(RecordInfo<R>::name));
            CHECK(protocol::to_json(std::get<R>(decoded->record), row.version) ==
                  protocol::with_plain_names(row.values));
            CHECK(encode_record(decoded->record, row.version) == row.bytes);
            if (!row.newest.is_null())
                CHECK(protocol::to_json(std::get<R>(decoded->record), RecordInfo<R>::version_max) ==
                      protocol::with_plain_names(row.newest));
            versions.insert(row.version);
        }
        INFO(RecordInfo<R>::name);
        CHECK(versions.size() ==
              std::size_t{RecordInfo<R>::version_max - RecordInfo<R>::version_min + 1});
    });
}

TEST_CASE("records: every type of every version comes back as it was") {
    rc::prop("decode_record(encode_record(r, v)) == (r, v)", [] {
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        for_each_filled(seed, [](const Record& record, int version) {
            const Bytes frame = encode_record(record, version);
            const auto decoded = decode_record(frame);
            RC_ASSERT(decoded.ok());
            RC_ASSERT(decoded->version == version);
            RC_ASSERT(decoded->record == record);
        });
    });
}

TEST_CASE("records: a frame that is cut anywhere, or has a byte too many, is refused") {
    for_each_filled(7, [](const Record& record, int version) {
        Bytes frame = encode_record(record, version);
        for (std::size_t size = 0; size < frame.size(); ++size)
            CHECK_FALSE(decode_record(ByteView(frame).first(size)).ok());
        frame.push_back(0);
        CHECK(decode_record(frame).failure() == Failure::invalid);
    });
}

TEST_CASE("records: without a version the newest is written, so that nothing set is lost") {
    PartitionChangeRecord change;
    change.eligible_leader_replicas = std::vector<BrokerId>{BrokerId(2)};
    const Bytes frame = encode_record(change);
    const auto decoded = decode_record(frame);
    REQUIRE(decoded.ok());
    CHECK(decoded->version == 2);
    CHECK(std::get<PartitionChangeRecord>(decoded->record) == change);
}

TEST_CASE("records: an absent field of a change is told from an empty one") {
    PartitionChangeRecord change;
    CHECK_FALSE(change.isr.has_value());
    CHECK(change.leader == BrokerId(-2));
    change.isr.emplace();
    const Bytes frame = encode_record(change);
    const auto decoded = decode_record(frame);
    REQUIRE(decoded.ok());
    const auto& seen = std::get<PartitionChangeRecord>(decoded->record);
    REQUIRE(seen.isr.has_value());
    CHECK(seen.isr->empty());
    CHECK_FALSE(seen.replicas.has_value());
}

TEST_CASE("records: a frame version, type or version that is not known is unsupported") {
    const Bytes good = encode_record(NoOpRecord{});
    REQUIRE(decode_record(good).ok());
    for (std::size_t at = 0; at < 3; ++at) {
        Bytes bad = good;
        bad[at] = 0x55;
        CHECK(decode_record(bad).failure() == Failure::unsupported);
    }
    const Bytes huge = {1, 20, 0xff, 0xff, 0xff, 0xff, 0x0f, 0};
    CHECK(decode_record(huge).failure() == Failure::unsupported);
}
