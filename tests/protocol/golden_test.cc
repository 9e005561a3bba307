// Kafka's own bytes: they decode to the values Kafka prints, and encode to the same bytes again.
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <sstream>

#include "core/protocol/api_versions.h"
#include "core/protocol/error_code.h"
#include "core/protocol/frame.h"
#include "core/protocol/messages/all.h"
#include "core/protocol/messages/all_fields.h"
#include "tests/support/golden.h"

using namespace klamm;
using namespace klamm::protocol;

namespace {

template <class Message>
void check_row(const GoldenRow& row) {
    INFO(Api<Message>::name << " version " << row.version);
    const auto message = decode<Message>(row.bytes, row.version);
    if (!message.ok()) FAIL(message.error().text);
    CHECK(to_json(*message, row.version) == with_plain_names(row.values));
    CHECK(encode(*message, row.version).bytes == row.bytes);

    Encoded frame;
    if constexpr (Api<Message>::is_request)
        frame = encode_request_frame(*message, row.version, 0x01020304, "golden");
    else
        frame = encode_response_frame(*message, row.version, 0x01020304);
    Bytes expected(4);
    store_big_endian(expected.data(),
                     static_cast<std::int32_t>(row.header.size() + row.bytes.size()));
    expected.insert(expected.end(), row.header.begin(), row.header.end());
    expected.insert(expected.end(), row.bytes.begin(), row.bytes.end());
    CHECK(frame.bytes == expected);
}

template <class Message>
std::set<int> check_file(const std::string& path) {
    std::set<int> versions;
    for (const GoldenRow& row : golden_rows(path)) {
        check_row<Message>(row);
        versions.insert(row.version);
    }
    return versions;
}

std::vector<std::vector<std::string>> csv(const std::string& name) {
    std::ifstream file(std::string(KLAMM_SOURCE_DIR) + "/tests/golden/protocol/" + name);
    std::vector<std::vector<std::string>> rows;
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        std::vector<std::string> row;
        std::istringstream cells(line);
        for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
        rows.push_back(row);
    }
    return rows;
}

}  // namespace

TEST_CASE("golden: every version of every message is Kafka's, byte for byte, header included") {
    for_each_message([]<class Message>(std::type_identity<Message>) {
        const std::string name = std::string(Api<Message>::name) + ".jsonl";
        std::set<int> versions = check_file<Message>(name);
        versions.merge(check_file<Message>("kafka-3.9/" + name));
        std::set<int> expected;
        for (int v = Api<Message>::version_min; v <= Api<Message>::version_max; ++v)
            expected.insert(v);
        INFO(name);
        CHECK(versions == expected);
    });
}

TEST_CASE("golden: every version of every control record's value is Kafka's, byte for byte") {
    std::size_t checked = 0;
    for_each_data([&]<class Value>(std::type_identity<Value>) {
        std::set<int> versions;
        for (const GoldenRow& row : golden_rows(std::string(Api<Value>::name) + ".jsonl")) {
            INFO(Api<Value>::name << " version " << row.version);
            const auto value = decode<Value>(row.bytes, row.version);
            REQUIRE(value.ok());
            CHECK(to_json(*value, row.version) == with_plain_names(row.values));
            CHECK(encode(*value, row.version).bytes == row.bytes);
            versions.insert(row.version);
            ++checked;
        }
        CHECK(versions.size() == Api<Value>::version_max - Api<Value>::version_min + 1U);
    });
    CHECK(checked == 18);
}

TEST_CASE("golden: what a version lacks has Kafka's default after decoding") {
    std::size_t checked = 0;
    for_each_message([&]<class Message>(std::type_identity<Message>) {
        for (const GoldenRow& row : golden_rows(std::string(Api<Message>::name) + ".jsonl")) {
            if (row.newest.is_null()) continue;
            INFO(Api<Message>::name << " version " << row.version);
            const auto message = decode<Message>(row.bytes, row.version);
            REQUIRE(message.ok());
            CHECK(to_json(*message, Api<Message>::version_max) == with_plain_names(row.newest));
            ++checked;
        }
    });
    CHECK(checked > 80);
}

TEST_CASE("golden: headers decode to what Kafka wrote, and the message follows") {
    std::size_t checked = 0;
    for_each_message([&]<class Message>(std::type_identity<Message>) {
        for (const GoldenRow& row : golden_rows(std::string(Api<Message>::name) + ".jsonl")) {
            Bytes frame = row.header;
            frame.insert(frame.end(), row.bytes.begin(), row.bytes.end());
            Reader reader(frame);
            if constexpr (Api<Message>::is_request) {
                const auto header = decode_request_header(reader);
                REQUIRE(header.ok());
                CHECK(header->api_key == Api<Message>::key);
                CHECK(header->api_version == row.version);
                CHECK(header->correlation_id == 0x01020304);
                CHECK(header->client_id == "golden");
            } else {
                const auto header = decode_response_header(reader, Api<Message>::key, row.version);
                REQUIRE(header.ok());
                CHECK(header->correlation_id == 0x01020304);
                CHECK(decode_response_frame<Message>(frame, row.version, 0x01020304).ok());
                CHECK(decode_response_frame<Message>(frame, row.version, 5).failure() ==
                      Failure::invalid);
            }
            CHECK(reader.remaining() == row.bytes.size());
            ++checked;
        }
    });
    CHECK(checked > 400);
}

TEST_CASE("golden: what each listener advertises is what Kafka 4.1 does, less what is not served") {
    std::map<std::string, std::map<int, std::pair<int, int>>> kafka;
    for (const auto& row : csv("apis.csv"))
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
            const bool served = api.served_min <= api.served_max;
            CHECK(ours.count(key) == (served ? theirs.count(key) : 0));
            // What is understood, served or not, is what Kafka has.
            if (!served && theirs.count(key) == 1)
                CHECK(theirs.at(key) == std::pair<int, int>(api.version_min, api.version_max));
        }
    }
}

TEST_CASE("golden: error codes have Kafka's numbers, names and kinds") {
    const auto rows = csv("errors.csv");
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
