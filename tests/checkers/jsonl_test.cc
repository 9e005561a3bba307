// Histories as JSON lines: the exact bytes, and exact errors.
#include <catch2/catch.hpp>

#include "checkers/jsonl.h"

using namespace klamm;
using namespace klamm::checkers;

namespace {

std::string error_of(std::string_view text) {
    const auto history = read_history(text);
    return history.ok() ? "no error" : history.error().text;
}

}  // namespace

TEST_CASE("jsonl: a poll as it is written") {
    Event event;
    event.time = 160;
    event.client = 5;
    event.operation = 8;
    event.kind = Kind::poll_returned;
    event.log_start = 0;
    event.high_watermark = 78;
    event.records = {{76, 12}, {77, UINT64_MAX}};
    const std::string line = write_event(event);
    CHECK(
        line ==
        "{\"time\":160,\"client\":5,\"operation\":8,\"kind\":\"poll_returned\",\"outcome\":\"ok\","
        "\"log_start\":0,\"high_watermark\":78,\"records\":[[76,12],[77,18446744073709551615]]}"
        "\n");
    const auto back = read_history("\n" + line + "\n");
    REQUIRE(back.ok());
    REQUIRE(back->size() == 1);
    CHECK(back->front() == event);
}

TEST_CASE("jsonl: errors name line, key and what was expected") {
    const std::string good =
        R"({"time":1,"client":1,"operation":1,"kind":"latest_invoked","partition":0})";
    CHECK(error_of(good) == "no error");
    CHECK(error_of(good + "\nnonsense") == "line 2: expected a JSON object");
    CHECK(error_of(R"({"client":1})") ==
          "line 1, key \"time\": expected an integer from -9223372036854775808 to "
          "9223372036854775807, found nothing");
    CHECK(error_of(R"({"time":1,"client":1,"operation":1,"kind":"poll_invoked","partition":0,)"
                   R"("offset":"x"})") ==
          "line 1, key \"offset\": expected an integer from -9223372036854775808 to "
          "9223372036854775807, found \"x\"");
    CHECK(error_of(R"({"time":1,"client":1,"operation":1,"kind":"send_invoked","partition":0,)"
                   R"("value":-1,"acks":-1})") ==
          "line 1, key \"value\": expected an integer from 0 to 18446744073709551615, found -1");
    CHECK(error_of(R"({"time":1,"client":1,"operation":1,"kind":"send_returned","outcome":"so",)"
                   R"("offset":1})") ==
          "line 1, key \"outcome\": expected one of ok failed unknown, found \"so\"");
    CHECK(error_of(R"({"time":1,"client":1,"operation":1,"kind":"latest_invoked","partition":0,)"
                   R"("extra":1})") ==
          "line 1, key \"extra\": expected no such key in latest_invoked, found 1");
    CHECK(error_of(R"({"time":1,"client":1,"operation":1,"kind":"poll_returned","outcome":"ok",)"
                   R"("log_start":0,"high_watermark":0,"records":[[1]]})") ==
          "line 1, key \"records\": expected a list of [offset, value], found [1]");
    CHECK(error_of(good + "\n" + R"({"time":0,"client":1,"operation":2,"kind":"final_reads"})") ==
          "line 2, key \"time\": expected at least 1, found 0");
}
