// The binary form of histories: what is written comes back, and nothing else is believed.
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

#include "checkers/binary.h"
#include "checkers/jsonl.h"

using namespace klamm;
using namespace klamm::checkers;

namespace {

/// Any history that the two forms can hold: fields that a kind does not have keep their defaults.
History any_history() {
    History history;
    std::int64_t time = *rc::gen::inRange<std::int64_t>(-5, 5);
    const auto count = *rc::gen::inRange(0, 12);
    for (int i = 0; i < count; ++i) {
        Event event;
        time += *rc::gen::inRange<std::int64_t>(0, 1'000'000);
        event.time = time;
        event.kind = static_cast<Kind>(*rc::gen::inRange(0, 17));
        event.client = *rc::gen::arbitrary<std::int32_t>();
        event.operation = *rc::gen::arbitrary<std::uint64_t>();
        const auto offset = [] { return *rc::gen::arbitrary<std::int64_t>(); };
        const auto partition = [] { return *rc::gen::arbitrary<std::int32_t>(); };
        switch (event.kind) {
            case Kind::send_invoked:
                event.partition = partition();
                event.value = *rc::gen::arbitrary<std::uint64_t>();
                event.acks = *rc::gen::arbitrary<std::int16_t>();
                break;
            case Kind::poll_invoked:
            case Kind::reset_told: event.partition = partition(); [[fallthrough]];
            case Kind::send_returned: event.offset = offset(); break;
            case Kind::poll_returned:
                event.log_start = offset();
                event.high_watermark = offset();
                for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
                    event.records.push_back({offset(), *rc::gen::arbitrary<std::uint64_t>()});
                }
                break;
            case Kind::latest_invoked: event.partition = partition(); break;
            case Kind::latest_returned:
                event.epoch = partition();
                event.offset = offset();
                break;
            case Kind::committed_returned: event.offset = offset(); break;
            case Kind::commit_invoked: event.offset = offset(); [[fallthrough]];
            case Kind::owner_told:
            case Kind::leader_told: event.epoch = partition(); [[fallthrough]];
            case Kind::committed_invoked:
                event.partition = partition();
                event.value = *rc::gen::arbitrary<std::uint64_t>();
                break;
            case Kind::key_told: event.partition = partition(); [[fallthrough]];
            case Kind::sends_promised:
                event.acks = *rc::gen::arbitrary<std::int16_t>();
                event.offset = offset();
                if (event.kind == Kind::sends_promised) break;
                event.value = *rc::gen::arbitrary<std::uint64_t>();
                break;
            case Kind::resource_told:
                event.value = *rc::gen::arbitrary<std::uint64_t>();
                event.offset = offset();
                break;
            case Kind::commit_returned:
            case Kind::final_reads: break;
        }
        const bool returned =
            event.kind == Kind::send_returned || event.kind == Kind::poll_returned ||
            event.kind == Kind::latest_returned || event.kind == Kind::commit_returned ||
            event.kind == Kind::committed_returned;
        if (returned) event.outcome = static_cast<Outcome>(*rc::gen::inRange(0, 3));
        history.push_back(event);
    }
    return history;
}

}  // namespace

TEST_CASE("binary: what is written comes back, as from JSON lines") {
    rc::prop("round trip", [] {
        const History history = any_history();
        const auto back = read_binary_history(write_binary(history));
        RC_ASSERT(back.ok());
        RC_ASSERT(*back == history);
        const auto lines = read_history(write_history(history));
        RC_ASSERT(lines.ok());
        RC_ASSERT(*lines == history);
    });
}

TEST_CASE("binary: what was cut or altered is refused") {
    rc::prop("damage", [] {
        const History history = any_history();
        std::string bytes = write_binary(history);
        const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
        RC_ASSERT(!read_binary_history(std::string_view(bytes).substr(0, at)).ok());
        bytes[at] = static_cast<char>(bytes[at] ^ *rc::gen::inRange(1, 256));
        RC_ASSERT(!read_binary_history(bytes).ok());
    });
    CHECK(read_binary_history("").error().text == "byte 0: expected \"KLAMMHI1\"");
    CHECK(read_binary_history("KLAMMHI1").error().text == "byte 8: the history ends too early");
    CHECK(read_binary_history(write_binary({}) + "x").error().text ==
          "byte 20: something follows the end");
}

TEST_CASE("binary: many blocks") {
    History history;
    for (int i = 0; i < 40'000; ++i) {
        Event event;
        event.time = std::int64_t{i} * 1'000'000;
        event.kind = Kind::send_invoked;
        event.operation = static_cast<std::uint64_t>(i);
        event.value = event.operation;
        history.push_back(event);
    }
    const std::string bytes = write_binary(history);
    CHECK(bytes.size() * 4 < write_history(history).size());
    const auto back = read_binary_history(bytes);
    REQUIRE(back.ok());
    CHECK(*back == history);
}
