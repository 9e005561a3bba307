// Kafka's own bytes: they decode to the values Kafka prints, and encode to the same bytes again.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "core/protocol/api_versions.h"
#include "core/protocol/error_code.h"
#include "core/protocol/frame.h"
#include "core/protocol/shape.h"
#include "tests/protocol/golden_rows.h"
#include "tests/protocol/shape_bytes.h"

using namespace klamm;
using namespace klamm::protocol;
using namespace klamm::protocol::test;

namespace {

/// The rows that Kafka 4.1 wrote, and those of versions that only an older or a newer one has.
std::vector<GoldenRow> all_rows(const MessageInfo& info) {
    std::vector<GoldenRow> rows;
    for (const char* folder : {"", "kafka-3.9/", "kafka-4.2/"})
        for (GoldenRow& row : golden_rows(folder + std::string(info.name) + ".jsonl"))
            rows.push_back(std::move(row));
    return rows;
}

/// The message in a frame with the header that the golden rows have.
Bytes frame_of(const MessageInfo& info, const GoldenRow& row) {
    Writer writer;
    writer.integer(std::int32_t{0});
    if (info.kind == MessageKind::request)
        encode(
            RequestHeader{info.key, static_cast<std::int16_t>(row.version), 0x01020304, "golden"},
            writer);
    else
        encode_response_header({0x01020304}, info.key, row.version, writer);
    if (!info.recode(row.bytes, row.version, row.version, writer).ok()) return {};
    finish_frame(0, writer);
    return writer.take().bytes;
}

void check_row(const MessageInfo& info, const GoldenRow& row) {
    INFO(info.name << " version " << row.version);
    CHECK(text_of(info, row.bytes, row.version) == row.values);
    const Result<Bytes> again = recode(info, row.bytes, row.version, row.version);
    if (!again.ok()) FAIL(again.error().text);
    CHECK(*again == row.bytes);
    if (info.kind == MessageKind::data) return;
    Bytes expected(4);
    store_big_endian(expected.data(),
                     static_cast<std::int32_t>(row.header.size() + row.bytes.size()));
    expected.insert(expected.end(), row.header.begin(), row.header.end());
    expected.insert(expected.end(), row.bytes.begin(), row.bytes.end());
    CHECK(frame_of(info, row) == expected);
}

}  // namespace

TEST_CASE("golden: every version of every message is Kafka's, byte for byte, header included") {
    std::size_t messages = 0;
    for_each_message_info([&](const MessageInfo& info) {
        std::set<int> versions;
        for (const GoldenRow& row : all_rows(info)) {
            check_row(info, row);
            versions.insert(row.version);
        }
        std::set<int> expected;
        for (int v = info.version_min; v <= info.version_max; ++v) expected.insert(v);
        INFO(info.name);
        CHECK(versions == expected);
        ++messages;
    });
    CHECK(messages >= 49);
}

TEST_CASE("golden: what clients sent and were told decodes, and encodes to the same bytes") {
    std::map<std::string, std::size_t> rows;
    for (const ClientRow& row : client_rows()) {
        INFO(row.client << ": key " << row.key << " version " << row.version);
        Reader request(row.request);
        const auto header = decode_request_header(request);
        REQUIRE(header.ok());
        CHECK(header->api_key == static_cast<ApiKey>(row.key));
        CHECK(header->api_version == row.version);
        // An ApiVersions from the future is not read, and answered in version 0.
        const bool future = header->api_key == ApiKey::api_versions && row.version > 4;
        const auto check_body = [&](MessageKind kind, Reader& from) {
            if (future && kind == MessageKind::request) return;
            const ByteView rest = from.bytes(from.remaining());
            const Bytes body(rest.begin(), rest.end());
            const MessageInfo* info = find_message(kind, header->api_key);
            REQUIRE(info != nullptr);
            const int version = future ? 0 : row.version;
            const Result<Bytes> again = recode(*info, body, version, version);
            if (!again.ok()) FAIL(again.error().text);
            CHECK(*again == body);
        };
        check_body(MessageKind::request, request);
        ++rows[row.client];
        if (row.response.empty()) continue;  // to acks 0 nothing is said
        Reader response(row.response);
        const auto answered = decode_response_header(response, header->api_key, row.version);
        REQUIRE(answered.ok());
        CHECK(answered->correlation_id == header->correlation_id);
        check_body(MessageKind::response, response);
    }
    REQUIRE(rows.size() >= 2);
    for (const auto& [client, count] : rows) CHECK(count >= 5);
}

TEST_CASE("golden: what a version lacks has Kafka's default after decoding") {
    std::size_t checked = 0;
    for_each_message_info([&](const MessageInfo& info) {
        const std::vector<GoldenRow> rows = golden_rows(std::string(info.name) + ".jsonl");
        // Kafka printed as its own newest version, which is the last of its rows.
        for (const GoldenRow& row : rows) {
            if (row.newest.empty()) continue;
            INFO(info.name << " version " << row.version);
            const int newest = rows.back().version;
            const Result<Bytes> bytes = recode(info, row.bytes, row.version, newest);
            if (!bytes.ok()) FAIL(bytes.error().text);
            CHECK(text_of(info, *bytes, newest) == row.newest);
            ++checked;
        }
    });
    CHECK(checked > 80);
}

TEST_CASE("golden: headers decode to what Kafka wrote, and the message follows") {
    std::size_t checked = 0;
    for_each_message_info([&](const MessageInfo& info) {
        if (info.kind == MessageKind::data) return;
        for (const GoldenRow& row : golden_rows(std::string(info.name) + ".jsonl")) {
            Bytes frame = row.header;
            frame.insert(frame.end(), row.bytes.begin(), row.bytes.end());
            Reader reader(frame);
            if (info.kind == MessageKind::request) {
                const auto header = decode_request_header(reader);
                REQUIRE(header.ok());
                CHECK(header->api_key == info.key);
                CHECK(header->api_version == row.version);
                CHECK(header->correlation_id == 0x01020304);
                CHECK(header->client_id == "golden");
            } else {
                const auto header = decode_response_header(reader, info.key, row.version);
                REQUIRE(header.ok());
                CHECK(header->correlation_id == 0x01020304);
            }
            CHECK(reader.remaining() == row.bytes.size());
            ++checked;
        }
    });
    CHECK(checked > 400);
}

TEST_CASE("golden: what each listener advertises is what Kafka 4.1 does, less what is not served") {
    std::map<std::string, std::map<int, std::pair<int, int>>> kafka;
    for (const auto& row : golden_table("apis.csv"))
        kafka[row[0]][std::stoi(row[1])] = {std::stoi(row[2]), std::stoi(row[3])};
    for (const auto listener : {Listener::broker, Listener::controller}) {
        const auto& theirs = kafka[listener == Listener::broker ? "broker" : "controller"];
        std::set<int> ours;
        for (const auto& row : advertised_apis(listener)) {
            const int key = static_cast<int>(row.api_key);
            INFO(to_string(row.api_key));
            REQUIRE(theirs.count(key) == 1);
            CHECK(theirs.at(key) == std::pair<int, int>(row.min_version, row.max_version));
            ours.insert(key);
        }
        for (const ApiInfo& api : api_table()) {
            const int key = static_cast<int>(api.key);
            INFO(api.name);
            const bool served = api.served_min <= api.served_max;
            const bool here = listener == Listener::broker ? api.on_broker : api.on_controller;
            CHECK(ours.count(key) == (served && here ? 1 : 0));
            // Brokers' listeners have what Kafka's have; controllers' (KIP-919) lack these yet.
            if (served && here != (theirs.count(key) == 1)) {
                CHECK(listener == Listener::controller);
                CHECK((api.key == ApiKey::describe_configs || api.key == ApiKey::describe_cluster));
            }
            // What is understood, served or not, is at least what Kafka 4.1 advertises: beyond it
            // are versions that are unstable there, or of 4.2 (which ones, the rows say).
            if (theirs.count(key) == 0) continue;
            CHECK(theirs.at(key).first == api.version_min);
            CHECK(theirs.at(key).second <= api.version_max);
        }
    }
}

TEST_CASE("golden: error codes have Kafka's numbers, names and kinds") {
    const auto rows = golden_table("errors.csv");
    CHECK(rows.size() > 130);
    for (const auto& row : rows) {
        const auto code = static_cast<ErrorCode>(std::stoi(row[0]));
        INFO(row[1]);
        CHECK(to_string(code) == row[1]);
        CHECK(is_retriable(code) == (row[2] == "1"));
        CHECK(refreshes_metadata(code) == (row[3] == "1"));
    }
    CHECK(to_string(static_cast<ErrorCode>(9999)) == std::string("UNKNOWN_ERROR_CODE"));
    CHECK_FALSE(is_retriable(static_cast<ErrorCode>(9999)));
}
