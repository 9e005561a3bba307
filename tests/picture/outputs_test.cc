// What a run leaves behind: the run is the same with it, paths are checked before it begins.
#include <catch2/catch.hpp>

#include "tests/picture/room.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;

TEST_CASE("outputs: the run is the same with each of them, and with all") {
    const conformance::TemporaryDirectory room;
    for (const std::uint64_t seed : {3, 4}) {
        const RunPlan plan = small_plan(seed);
        const RunResult plain = run_plan(plan);
        REQUIRE(plain.events > 1000);
        const std::string base = room.path() + "/" + std::to_string(seed);
        OutputPaths history, trace, capture, page, disks, all;
        all.history = history.history = base + "-history";
        all.trace = trace.trace = base + "-trace";
        all.capture = capture.capture = base + "-capture";
        all.page = page.page = base + "-page";
        disks.disks = base + "-disks";
        all.disks = base + "-all-disks";
        for (const OutputPaths& paths : {history, trace, capture, page, disks, all}) {
            const RunResult result = run_with(plan, paths);
            REQUIRE(result.hash == plain.hash);
            REQUIRE(result.events == plain.events);
            REQUIRE(result.verdict == plain.verdict);
            REQUIRE(result.fired_ids == plain.fired_ids);
        }
    }
}

TEST_CASE("outputs: written twice they are the same, byte by byte") {
    const conformance::TemporaryDirectory room;
    const RunPlan plan = small_plan(5);
    OutputPaths first, second;
    first.capture = room.path() + "/1.pcap";
    first.page = room.path() + "/1.html";
    second.capture = room.path() + "/2.pcap";
    second.page = room.path() + "/2.html";
    (void)run_with(plan, first);
    (void)run_with(plan, second);
    REQUIRE(text_of(*first.capture).size() > 10'000);
    REQUIRE(text_of(*first.capture) == text_of(*second.capture));
    REQUIRE(text_of(*first.page) == text_of(*second.page));
}

TEST_CASE("outputs: what cannot be written is said before the run") {
    const conformance::TemporaryDirectory room;
    OutputPaths paths;
    paths.page = room.path() + "/no/such/place.html";
    REQUIRE(prepare(paths).error().failure == Failure::io);
    REQUIRE(prepare(paths).error().text.find("place.html") != std::string::npos);
    paths.page.reset();
    paths.disks = room.path();  // holds nothing yet
    REQUIRE(prepare(paths).ok());
    std::ofstream(room.path() + "/mine") << "precious";
    REQUIRE(prepare(paths).error().failure == Failure::exists);
    REQUIRE(text_of(room.path() + "/mine") == "precious");
}
