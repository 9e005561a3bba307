// The base: ids, varints, checksums, draws, timers, results.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/base/checksum.h"
#include "core/base/draws.h"
#include "core/base/ids.h"
#include "core/base/maybe.h"
#include "core/base/plants.h"
#include "core/base/result.h"
#include "core/base/timer_queue.h"
#include "core/base/varint.h"

using namespace klamm;

TEST_CASE("checksum: CRC-32C of the check string of RFC 3720") {
    CHECK(crc32c(as_bytes("123456789")) == 0xe3069283);
    CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == 0xe3069283);
    CHECK(crc32c(Bytes(32, 0)) == 0x8a9136aa);
    // Long input goes another way: it must not matter how it is cut.
    Bytes bytes(20'001);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(mix64(i) >> 56);
    std::uint32_t by_pieces = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 1001)
        by_pieces = crc32c(
            ByteView(bytes).subspan(at, std::min<std::size_t>(1001, bytes.size() - at)), by_pieces);
    CHECK(crc32c(bytes) == by_pieces);
    CHECK(crc32c(ByteView(bytes).subspan(7)) != by_pieces);
}

TEST_CASE("ids: a uuid round-trips through its 22 characters") {
    rc::prop("round trip", [](std::uint64_t high, std::uint64_t low) {
        const Uuid uuid = uuid_from_halves(high, low);
        RC_ASSERT(uuid_from_string(to_string(uuid)) == uuid);
    });
    CHECK(to_string(uuid_from_halves(0, 1)) == "AAAAAAAAAAAAAAAAAAAAAQ");
    CHECK(uuid_from_string("too short").is_zero());
}

TEST_CASE("varint: round trips, and refuses what does not fit") {
    rc::prop("unsigned 64", [](std::uint64_t n) {
        std::uint8_t room[varlong_bytes_max];
        const std::size_t size = store_unsigned_varint(room, n);
        RC_ASSERT(size == unsigned_varint_size(n));
        std::uint64_t back = 0;
        RC_ASSERT(load_unsigned_varint({room, size}, 64, back) == size);
        RC_ASSERT(back == n);
        RC_ASSERT(load_unsigned_varint({room, size - 1}, 64, back) == 0U);
    });
    rc::prop("zigzag", [](std::int64_t n, std::int32_t m) {
        RC_ASSERT(zigzag_decode64(zigzag_encode64(n)) == n);
        RC_ASSERT(zigzag_decode32(zigzag_encode32(m)) == m);
    });
    std::uint64_t out = 0;
    const std::uint8_t too_big[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    CHECK(load_unsigned_varint(too_big, 32, out) == 0);
}

TEST_CASE("draws: a pure function of seed, domain, entity and n") {
    const Draws draws(7);
    constexpr auto domain = draw_domain("test.one");
    CHECK(draws.word(domain, 1, 2) == Draws(7).word(domain, 1, 2));
    CHECK(draws.word(domain, 1, 2) != draws.word(domain, 2, 1));
    CHECK(draws.word(domain, 1, 2) != draws.word(draw_domain("test.two"), 1, 2));
    std::int64_t sum = 0;
    for (std::uint64_t n = 0; n < 20'000; ++n) sum += draws.exponential(1'000'000, domain, 1, n);
    CHECK(sum / 20'000 > 950'000);
    CHECK(sum / 20'000 < 1'050'000);
    int hits = 0;
    for (std::uint64_t n = 0; n < 20'000; ++n) hits += draws.happens(250'000, domain, 2, n) ? 1 : 0;
    CHECK(hits > 4'700);
    CHECK(hits < 5'300);
}

TEST_CASE("timer queue: by deadline, then by the order of adding") {
    TimerQueue<int> timers;
    timers.add(Instant{20}, 1);
    const TimerId gone = timers.add(Instant{10}, 2);
    timers.add(Instant{10}, 3);
    CHECK(timers.cancel(gone));
    CHECK_FALSE(timers.cancel(gone));
    CHECK(timers.deadline_min() == Instant{10});
    CHECK_FALSE(timers.pop_due(Instant{9}));
    CHECK(timers.pop_due(Instant{30}) == 3);
    CHECK(timers.pop_due(Instant{30}) == 1);
    CHECK(timers.deadline_min() == instant_never);
}

namespace {
struct Failed {};
[[noreturn]] void throw_failed(const AssertionPlace&) { throw Failed{}; }
}  // namespace

TEST_CASE("result: the side that is not there is a bug, not an exception of its own") {
    const AssertionHandler before = install_assertion_handler(throw_failed);
    Result<int> good = 4;
    Result<int> bad = Failure::io;
    CHECK(*good == 4);
    CHECK(bad.failure() == Failure::io);
    CHECK_THROWS_AS(bad.value(), Failed);
    CHECK_THROWS_AS(good.error(), Failed);
    install_assertion_handler(before);
}

TEST_CASE("plants: named by code or name, counted when taken") {
    REQUIRE(bug_from_name("R2") == Bug::truncate_to_hw);
    REQUIRE(bug_from_name("ack-before-flush") == Bug::ack_before_flush);
    CHECK_FALSE(bug_from_name("Z9"));
    Plants plants;
    CHECK_FALSE(plants.ask(Bug::truncate_to_hw));
    plants.plant(Bug::truncate_to_hw);
    CHECK(plants.ask(Bug::truncate_to_hw));
    CHECK(plants.taken(Bug::truncate_to_hw) == 1);
}

TEST_CASE("maybes: a site is taken only where it is on, and drawn by the moment") {
    Maybes maybes;
    const Draws draws(7);
    for (std::uint64_t n = 0; n < 1'000; ++n)
        CHECK_FALSE(maybes.ask(Site::heartbeat_late, draws, 1, n));
    CHECK(maybes.taken(Site::heartbeat_late) == 0);
    maybes.set(Site::heartbeat_late, 200'000);
    std::vector<bool> drawn;
    for (std::uint64_t n = 0; n < 1'000; ++n)
        drawn.push_back(maybes.ask(Site::heartbeat_late, draws, 1, n));
    const std::uint64_t taken = maybes.taken(Site::heartbeat_late);
    CHECK(taken > 150);
    CHECK(taken < 250);
    // The same moments again, though others were asked between them; more often is more of them.
    maybes.set(Site::heartbeat_late, 400'000);
    maybes.set(Site::line_gives_up, 200'000);
    std::uint64_t alike = 0;
    for (std::uint64_t n = 0; n < 1'000; ++n) {
        const bool again = maybes.ask(Site::heartbeat_late, draws, 1, n);
        CHECK((!drawn[n] || again));
        alike += maybes.ask(Site::line_gives_up, draws, 1, n) == drawn[n] ? 1 : 0;
    }
    CHECK(alike < 900);  // another site, another draw
    for (std::size_t i = 0; i < site_count; ++i)
        CHECK(site_from_name(to_string(static_cast<Site>(i))) == static_cast<Site>(i));
    CHECK_FALSE(site_from_name("").has_value());
}
