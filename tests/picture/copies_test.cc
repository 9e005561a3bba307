// The story of a lost record: what was promised, where copies were and how each went.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/picture/copies.h"
#include "sim/run/cluster.h"
#include "tests/picture/room.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::tests;

namespace {

const TopicPartition trial{trial_topic, PartitionIndex(0)};

Instant at(std::int64_t milli) { return Instant{} + milliseconds(milli); }

/// Offset 41 is acknowledged by broker 1 with ISR {1,2}; broker 2 truncates its copy, broker 1
/// loses power before a sync; broker 3 is elected and never had it.
struct Scene {
    Scene() {
        copies.set_now([this] { return now; });
        for (std::uint32_t i = 1; i <= 3; ++i)
            copies.name(NodeId(i), "broker-" + std::to_string(i));
        append(12'300, 1, true);
        append(12'301, 2, false);
        facts::BatchAppended other = batch(false);
        other.base_offset = Offset(50);
        other.last_offset = Offset(55);
        copies.on_fact(NodeId(3), 0, at(12'302), other);
        facts::ProduceAnswered answer{};
        answer.partition = trial;
        answer.epoch = LeaderEpoch(7);
        answer.base_offset = Offset(40);
        answer.last_offset = Offset(43);
        answer.acks = -1;
        answer.committed_isr = {BrokerId(1), BrokerId(2)};
        answer.min_isr = 2;
        copies.on_fact(NodeId(1), 0, at(12'304), answer);
    }
    static facts::BatchAppended batch(bool as_leader) {
        facts::BatchAppended fact{};
        fact.partition = trial;
        fact.epoch = LeaderEpoch(7);
        fact.base_offset = Offset(40);
        fact.last_offset = Offset(43);
        fact.crc = 99;
        fact.as_leader = as_leader;
        fact.segment_base = Offset(0);
        fact.position = 4000;
        fact.size = 96;
        return fact;
    }
    void append(std::int64_t milli, std::uint32_t node, bool as_leader) {
        copies.on_fact(NodeId(node), 0, at(milli), batch(as_leader));
    }
    void truncate(std::int64_t milli, std::uint32_t node, std::int64_t end) {
        copies.on_fact(NodeId(node), 0, at(milli),
                       facts::LogTruncated{trial, Offset(end), facts::TruncateReason::divergence});
    }
    void lose_power(std::int64_t milli, std::uint32_t node, ByteRange changed) {
        now = at(milli);
        DamageReport report;
        report.files.push_back(
            {"data-0/trial-0/00000000000000000000.log", 3900, 4096, 4000, {changed}});
        copies.on_crash(NodeId(node), CrashKind::power, report);
        FaultEvent fault;
        fault.id = 20'003;
        fault.kind = FaultKind::power_loss_one;
        fault.at = now;
        fault.duration = milliseconds(2100);
        fault.targets = {node - 1};
        copies.fault(now, fault);
    }
    void lead(std::int64_t milli, std::uint32_t node, std::int32_t epoch, std::int64_t start) {
        copies.on_fact(NodeId(node), 0, at(milli),
                       facts::Leading{trial, LeaderEpoch(epoch), Offset(start)});
    }

    Instant now;
    Copies copies{{0, Offset(41)}};
};

}  // namespace

TEST_CASE("copies: the record that a violation is about") {
    const auto one = [](std::string sentence) {
        return guilty_record({{"O5", std::move(sentence), {}, no_broker}});
    };
    REQUIRE(one("offset 41 of trial-0 was acknowledged") == RecordPlace{0, Offset(41)});
    REQUIRE(one("since then offsets 7 to 9 of trial-2 are gone") == RecordPlace{2, Offset(7)});
    REQUIRE(!one("brokers 1 and 2 both lead trial-0 in epoch 4").has_value());
    REQUIRE(!one("the offset of trial-0").has_value());
    REQUIRE(!guilty_record({}).has_value());
}

TEST_CASE("copies: a golden story of a record that all its replicas lose") {
    Scene scene;
    scene.truncate(14'002, 2, 40);
    scene.lose_power(15'010, 1, {4000, 4096});
    scene.lead(15'500, 3, 8, 40);
    REQUIRE(scene.copies.to_text(at(16'000)) ==
            "what became of offset 41 of trial-0:\n"
            "  acknowledged  12.304 s by broker-1: offsets 40 to 43 with acks=all, leader epoch 7, "
            "ISR {1,2}, min.insync.replicas 2\n"
            "  copy          12.300 s broker-1, as leader; until 15.010 s: the loss of power took "
            "it: segment 0 had 4096 bytes, of them 3900 synced, and has 4000\n"
            "  copy          12.301 s broker-2; until 14.002 s: truncates to 40 (divergence)\n"
            "  the last went 15.010 s from broker-1: the loss of power took it: segment 0 had 4096 "
            "bytes, of them 3900 synced, and has 4000, by fault 20003 (15.010s power-loss-one "
            "broker-1 for 2.100s)\n"
            "  leadership    15.500 s broker-3 leads epoch 8 from 40\n");
}

TEST_CASE("copies: what does not touch the batch costs no copy") {
    Scene scene;
    scene.truncate(14'002, 2, 42);  // cuts above the record
    scene.lose_power(15'010, 1, {4096, 5000});
    const std::string text = scene.copies.to_text(at(16'000));
    REQUIRE(text.find("until") == std::string::npos);
    REQUIRE(text.find("  copies left   on broker-1, broker-2\n") != std::string::npos);
    // What comes later does not count.
    scene.truncate(17'000, 2, 40);
    REQUIRE(scene.copies.to_text(at(16'000)) == text);
    REQUIRE(scene.copies.to_text(at(18'000)).find("until 17.000 s") != std::string::npos);
}

TEST_CASE("copies: another batch at the same offset is no copy") {
    Scene scene;
    scene.truncate(13'000, 2, 40);
    facts::BatchAppended other = Scene::batch(true);
    other.epoch = LeaderEpoch(8);
    other.crc = 5;
    scene.copies.on_fact(NodeId(2), 0, at(13'500), other);
    scene.lose_power(15'010, 1, {0, 4096});
    const std::string text = scene.copies.to_text(at(16'000));
    REQUIRE(text.find("13.500") == std::string::npos);
    REQUIRE(text.find("the last went 15.010 s from broker-1") != std::string::npos);
}

TEST_CASE("copies: what was lost lawfully before is told, what came later or is red is not") {
    RunResult result;
    result.first_violation = at(20'000);
    REQUIRE(lawful_before(result) == "  lawful before nothing was lost\n");
    Loss loss;
    loss.partition = trial;
    loss.base_offset = Offset(3);
    loss.last_offset = Offset(4);
    loss.promise = PromiseKind::acks_all;
    loss.rule = Rule::unclean;
    loss.lost = at(19'000);
    Loss later = loss;
    later.lost = at(21'000);
    Loss red = loss;
    red.rule = Rule::forbidden;
    result.bill.losses = {red, loss, later};
    const std::string text = lawful_before(result);
    REQUIRE(text.find("offsets 3 to 4 of trial-0") != std::string::npos);
    REQUIRE(text.find("O2") != std::string::npos);
    REQUIRE(std::count(text.begin(), text.end(), '\n') == 1);
    result.bill.losses = std::vector<Loss>(5, loss);
    REQUIRE(lawful_before(result).find("and 4 records more") != std::string::npos);
}

TEST_CASE("copies: a planted bug's lost record has its story told") {
    PlanOptions options;
    options.plant = *bug_from_name("R1");
    std::uint64_t told = 0;
    for (std::uint64_t seed = 1; seed <= 40 && told < 2; ++seed) {
        const RunPlan plan = make_plan(seed, options);
        RunHooks hooks;
        hooks.stop_at_first_violation = true;
        const RunResult result = run_plan(plan, hooks);
        const auto place = guilty_record(result.violations);
        if (!place.has_value()) continue;
        const std::string story = story_of_guilty_record(plan, result);
        if (story.empty()) continue;  // it was never promised
        ++told;
        REQUIRE(story.find("what became of offset " + std::to_string(place->offset.value)) == 0);
        REQUIRE((story.find("acknowledged") != std::string::npos ||
                 story.find("consumed") != std::string::npos));
        REQUIRE(story.find("  copy ") != std::string::npos);
        REQUIRE(story.find("lawful before") != std::string::npos);
        REQUIRE(story.find("klamm why 1.") != std::string::npos);
    }
    REQUIRE(told > 0);
}
