// How far settings are from a loss: the search finds the fewest faults, the answer is a scenario
// that loses records when it is run, and what raises the distance does.
#include <catch2/catch.hpp>

#include <string>

#include "sim/run/run.h"
#include "sim/scenario/distance.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

DistanceConfig config_of(const std::string& text) {
    auto config = parse_distance_config(text, "c.json");
    INFO((config.ok() ? "" : config.error().text));
    REQUIRE(config.ok());
    return *config;
}

std::string distance_error(const std::string& text) {
    const auto config = parse_distance_config(text, "c.json");
    return config.ok() ? "no error" : config.error().text;
}

std::int64_t lost_by(const Distance& found) {
    const auto scenario = parse_scenario(found.scenario, "s.json");
    REQUIRE(scenario.ok());
    const RunResult result = run_plan(plan_of(*scenario, {}));
    CHECK_FALSE(result.red());
    std::int64_t lost = 0;
    for (const std::int64_t records : result.bill.records_lost) lost += records;
    return lost;
}

}  // namespace

TEST_CASE("distance: one copy is lost by one fault, and the answer is a run that loses it") {
    const Distance found =
        distance(config_of(R"({"replication.factor": 1, "min.insync.replicas": 1})"), {});
    REQUIRE(found.faults == 1U);
    CHECK(found.schedule.size() == 1);
    CHECK(found.loss.find("acks=all") != std::string::npos);
    CHECK(lost_by(found) > 0);
}

TEST_CASE("distance: one copy that is flushed is lost with its disk only") {
    const std::string text =
        R"({"replication.factor": 1, "min.insync.replicas": 1, "flush.messages": 1)";
    const Distance kept = distance(config_of(text + "}"), {.faults_max = 2});
    CHECK_FALSE(kept.faults.has_value());
    CHECK(kept.searched == 2);
    const Distance found = distance(config_of(text + R"(, "disks.die": true})"), {});
    CHECK(found.faults == 1U);
}

TEST_CASE("distance: with min.insync.replicas=1 two faults suffice, with 2 they do not") {
    const Distance found = distance(config_of(R"({"min.insync.replicas": 1})"), {});
    REQUIRE(found.faults == 2U);
    CHECK(lost_by(found) > 0);
    const Distance raised = distance(config_of("{}"), {.faults_max = 2});
    CHECK_FALSE(raised.faults.has_value());
    CHECK(raised.searched == 2);
}

TEST_CASE("distance: the cheapest change comes first, and each is a change of one setting") {
    const auto all = remedies(config_of(R"({"acks": "1", "min.insync.replicas": 1})"));
    REQUIRE(all.size() == 4);
    CHECK(all[0].setting == "acks=all");
    CHECK(all[1].setting == "min.insync.replicas=2");
    CHECK(all[1].config.acks == "1");
    CHECK(all[3].setting == "replication.factor=4");
}

TEST_CASE("distance: settings that are none are told with their line") {
    CHECK(distance_error("{}") == "no error");
    CHECK(distance_error("{\n\"acks\": \"0\"}") == "c.json:2: \"acks\": expected \"all\" or \"1\"");
    CHECK(distance_error("{\"retention.ms\": 1}") ==
          "c.json:1: \"retention.ms\" is no setting that matters here");
    CHECK(distance_error(R"({"replication.factor": 2, "min.insync.replicas": 3})") ==
          "c.json:1: min.insync.replicas exceeds replication.factor");
}
