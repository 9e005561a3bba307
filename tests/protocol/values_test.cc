// The parts that are not the same for every message: tagged fields, fields a version lacks,
// external records, headers.
#include <catch2/catch.hpp>
#include <limits>

#include "core/protocol/api_versions.h"
#include "core/protocol/frame.h"
#include "core/protocol/messages/describe_client_quotas.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/envelope.h"
#include "core/protocol/messages/fetch_fields.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/quorum_fetch_snapshot.h"
#include "core/protocol/text.h"

using namespace klamm;
using namespace klamm::protocol;

TEST_CASE("tagged fields: one that is unknown is passed over") {
    InitProducerIdRequest request;
    request.transactional_id = "t";
    Bytes bytes = encode(request, 4).bytes;
    REQUIRE(bytes.back() == 0);  // no tagged fields
    bytes.pop_back();
    for (const std::uint8_t byte : {1, 99, 3, 7, 7, 7}) bytes.push_back(byte);
    const auto decoded = decode<InitProducerIdRequest>(bytes, 4);
    REQUIRE(decoded.ok());
    CHECK(*decoded == request);
    bytes.pop_back();
    CHECK(decode<InitProducerIdRequest>(bytes, 4).failure() == Failure::truncated);
}

TEST_CASE("tagged fields: a known one must be as long as it says") {
    ApiVersionsResponse response;
    response.finalized_features_epoch = 7;
    Bytes bytes = encode(response, 3).bytes;
    REQUIRE(decode<ApiVersionsResponse>(bytes, 3).ok());
    // ... tag 1, size 8, eight bytes: claim nine and add one.
    const std::size_t size_at = bytes.size() - 9;
    REQUIRE(bytes[size_at] == 8);
    bytes[size_at] = 9;
    bytes.push_back(0);
    CHECK(decode<ApiVersionsResponse>(bytes, 3).failure() == Failure::invalid);
    bytes[size_at] = 7;
    bytes.pop_back();
    bytes.pop_back();
    CHECK_FALSE(decode<ApiVersionsResponse>(bytes, 3).ok());
}

TEST_CASE("tagged fields: one whose array is broken makes the message invalid") {
    // NodeEndpoints (tag 0) claims one element and has no bytes for it.
    FetchResponse response;
    Bytes bytes = encode(response, 16).bytes;
    REQUIRE(bytes.back() == 0);
    bytes.pop_back();
    for (const std::uint8_t byte : {1, 0, 1, 2}) bytes.push_back(byte);
    CHECK_FALSE(decode<FetchResponse>(bytes, 16).ok());
}

TEST_CASE("versions: a field that may be ignored is left out, any other is refused") {
    FetchRequest request;
    request.rack_id = "r1";  // from version 11, ignorable
    Writer old;
    encode(request, 4, old);
    CHECK(old.status().ok());

    request.replica_state.replica_id = BrokerId(1);  // from version 15, not ignorable
    Writer refused;
    encode(request, 14, refused);
    CHECK(refused.status().failure() == Failure::unsupported);
    CHECK(refused.status().error().text.find("replica_state") != std::string::npos);
    Writer taken;
    encode(request, 15, taken);
    CHECK(taken.status().ok());

    MetadataRequest all;
    all.topics.reset();
    Writer null;
    encode(all, 0, null);
    CHECK(null.status().failure() == Failure::unsupported);
}

TEST_CASE("records: external ones leave a splice where their bytes belong") {
    const Bytes first(300, 1);
    const Bytes second(5, 2);
    FetchResponse inline_response;
    inline_response.responses.resize(1);
    inline_response.responses[0].partitions.resize(4);
    auto& partitions = inline_response.responses[0].partitions;
    partitions[0].records = Records::of(first);
    partitions[1].records = Records::none();
    partitions[2].records = Records::of({});
    partitions[3].records = Records::of(second);
    FetchResponse external_response = inline_response;
    external_response.responses[0].partitions[0].records = Records::elsewhere(first.size());
    external_response.responses[0].partitions[2].records = Records::elsewhere(0);
    external_response.responses[0].partitions[3].records = Records::elsewhere(second.size());

    for (int version = 4; version <= 18; ++version) {
        const Bytes expected = encode_response_frame(inline_response, version, 9).bytes;
        const Encoded encoded = encode_response_frame(external_response, version, 9);
        REQUIRE(encoded.splices.size() == 3);
        CHECK(encoded.total_size() == expected.size());
        const std::vector<ByteView> parts = {first, {}, second};
        Bytes joined;
        std::size_t from = 0;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            CHECK(encoded.splices[i].size == parts[i].size());
            const std::size_t to = encoded.splices[i].position;
            for (; from < to; ++from) joined.push_back(encoded.bytes[from]);
            joined.insert(joined.end(), parts[i].begin(), parts[i].end());
        }
        for (; from < encoded.bytes.size(); ++from) joined.push_back(encoded.bytes[from]);
        CHECK(joined == expected);
    }
}

TEST_CASE("records: decoding copies nothing") {
    const Bytes batch(40, 3);
    FetchResponse response;
    response.responses.resize(1);
    response.responses[0].partitions.resize(1);
    response.responses[0].partitions[0].records = Records::of(batch);
    const Bytes bytes = encode(response, 13).bytes;
    const auto decoded = decode<FetchResponse>(bytes, 13);
    REQUIRE(decoded.ok());
    const ByteView view = decoded->responses[0].partitions[0].records.bytes;
    CHECK(view.data() > bytes.data());
    CHECK(view.data() + view.size() < bytes.data() + bytes.size());
}

TEST_CASE("headers: ApiVersions is answered with header version 0 whatever its version") {
    CHECK(response_header_version(ApiKey::api_versions, 4, 3) == 0);
    CHECK(response_header_version(ApiKey::fetch, 12, 12) == 1);
    CHECK(request_header_version(3, 3) == 2);
    const Encoded frame = encode_response_frame(ApiVersionsResponse{}, 4, 1);
    CHECK(frame.bytes[8] == 0);  // the error code follows the correlation id at once
    CHECK(decode_response_frame<ApiVersionsResponse>(ByteView(frame.bytes).subspan(4), 4, 1).ok());
}

TEST_CASE("headers: a version that is not known still gives a header, an unknown key does not") {
    Writer writer;
    for (const std::int16_t number : {std::int16_t{18}, std::int16_t{77}}) writer.integer(number);
    writer.integer(std::int32_t{5});
    writer.nullable_string("c", false);
    writer.unsigned_varint(0);
    const Bytes bytes = writer.take().bytes;
    Reader reader(bytes);
    const auto header = decode_request_header(reader);
    REQUIRE(header.ok());
    CHECK(header->api_version == 77);
    CHECK(header->correlation_id == 5);
    CHECK(header->client_id == "c");

    Bytes unknown = bytes;
    unknown[0] = 0x7f;
    Reader other(unknown);
    CHECK(decode_request_header(other).failure() == Failure::unsupported);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        Reader cut(ByteView(bytes).first(size));
        CHECK_FALSE(decode_request_header(cut).ok());
    }
}

TEST_CASE("headers: a client id may be null and is never compact") {
    const Encoded frame = encode_request_frame(FetchRequest{}, 13, 3, std::nullopt);
    Reader reader(ByteView(frame.bytes).subspan(4));
    const auto header = decode_request_header(reader);
    REQUIRE(header.ok());
    CHECK_FALSE(header->client_id.has_value());
    CHECK(frame.bytes[12] == 0xff);
    CHECK(frame.bytes[13] == 0xff);
    CHECK(decode<FetchRequest>(reader.bytes(reader.remaining()), 13).ok());
}

TEST_CASE("text: a message is one line of what is not at its default") {
    const Bytes batch(70, 0);
    FetchResponse response;
    response.throttle_time_ms = 5;
    response.responses.resize(1);
    response.responses[0].topic = "trial";
    response.responses[0].partitions.resize(2);
    auto& partition = response.responses[0].partitions[1];
    partition.partition_index = PartitionIndex(1);
    partition.error_code = ErrorCode::not_leader_or_follower;
    partition.current_leader = {BrokerId(2), LeaderEpoch(9)};
    partition.aborted_transactions.reset();
    partition.records = Records::of(batch);
    CHECK(to_text(response) ==
          "{throttle_time_ms=5 responses=[{topic=\"trial\" partitions=[{} {partition_index=1 "
          "error_code=NOT_LEADER_OR_FOLLOWER current_leader={leader_id=2 leader_epoch=9} "
          "aborted_transactions=null records=70B}]}]}");
    CHECK(to_text(FetchRequest{}) == "{}");
}

TEST_CASE("bytes: null and empty are different, and null is refused where it may not be") {
    EnvelopeRequest request;
    request.request_principal = std::nullopt;
    const Bytes bytes = encode(request, 0).bytes;
    REQUIRE(bytes == Bytes{1, 0, 1, 0});
    CHECK_FALSE(decode<EnvelopeRequest>(bytes, 0)->request_principal.has_value());
    CHECK(decode<EnvelopeRequest>(Bytes{1, 1, 1, 0}, 0)->request_principal == Blob{});
    CHECK(decode<EnvelopeRequest>(Bytes{0, 0, 1, 0}, 0).failure() == Failure::invalid);
    CHECK(decode<EnvelopeRequest>(Bytes{9, 0, 1, 0}, 0).failure() == Failure::truncated);
}

TEST_CASE("nullable structs: a byte says whether one follows") {
    DescribeTopicPartitionsRequest request;
    const Bytes without = encode(request, 0).bytes;
    request.cursor.emplace().topic_name = "t";
    const Bytes with = encode(request, 0).bytes;
    CHECK(with.size() == without.size() + 2 + 4 + 1);  // the name, the partition, no tagged fields
    CHECK(decode<DescribeTopicPartitionsRequest>(with, 0)->cursor == request.cursor);
    CHECK_FALSE(decode<DescribeTopicPartitionsRequest>(without, 0)->cursor.has_value());
}

TEST_CASE("records: null is refused where they may not be null") {
    FetchSnapshotResponse response;
    response.topics.resize(1);
    response.topics[0].partitions.resize(1);
    Bytes bytes = encode(response, 0).bytes;
    REQUIRE(decode<FetchSnapshotResponse>(bytes, 0).ok());
    // The end is: no records, then the tagged fields of partition, topic and message.
    REQUIRE(bytes[bytes.size() - 4] == 1);
    bytes[bytes.size() - 4] = 0;
    CHECK(decode<FetchSnapshotResponse>(bytes, 0).failure() == Failure::invalid);
    response.topics[0].partitions[0].unaligned_records = Records::none();
    Writer refused;
    encode(response, 0, refused);
    CHECK(refused.status().failure() == Failure::unsupported);
}

TEST_CASE("float64: every value comes back with its bits, a NaN too") {
    DescribeClientQuotasResponse response;
    auto& values = response.entries.emplace(1).front().values;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const double value : {0.0, -0.0, 1024.5, nan}) values.push_back({"k", {value}});
    const Bytes bytes = encode(response, 1).bytes;
    const auto decoded = decode<DescribeClientQuotasResponse>(bytes, 1);
    REQUIRE(decoded.ok());
    CHECK(*decoded == response);
    CHECK_FALSE(Float64{0.0} == Float64{-0.0});
}
