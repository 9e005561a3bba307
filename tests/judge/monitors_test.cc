// The monitors: each invariant is seen to be broken by the fact that breaks it, and only then.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/judge/stage.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::stage;

TEST_CASE("I1: one (epoch, offset) is one batch") {
    Stage stage;
    stage.open();
    stage.append(a, 0, 0);
    facts::BatchAppended other{};
    other.partition = stage.partition;
    other.epoch = LeaderEpoch{0};
    other.base_offset = Offset{0};
    other.last_offset = Offset{0};
    other.crc = 77;
    other.producer_id = no_producer_id;
    stage.fact(b, other);
    CHECK(stage.red("I1"));
}

TEST_CASE(
    "I1: a divergent suffix above the high watermark is lawful, an append off the end is not") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    stage.append(a, 1, 0);
    stage.commit(b, 1, {a, b, c}, {}, Cause::preferred);
    stage.lead(b, 1, 1);
    stage.append(b, 1, 1);
    stage.append(c, 1, 1);
    stage.judge.check_all(stage.now());
    CHECK(stage.all_red() == "");
    stage.append(c, 3, 1);
    CHECK(stage.red("I1"));
}

TEST_CASE("I1: the high watermark passes only what the committed ISR holds") {
    Stage stage;
    stage.open();
    stage.replicate({a, b}, 0, 0);
    stage.watermark(a, 0, 0, 1);
    CHECK(stage.red("I1"));
}

TEST_CASE("I1: a member that stopped without proof is not asked, one that is back is") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    stage.power(c, 1, 0);
    stage.truncated(c, 0, facts::TruncateReason::recovery);
    stage.replicate({a, b}, 1, 0);
    stage.watermark(a, 0, 1, 2);
    CHECK(stage.all_red() == "");
    stage.restart(c, 0);
    stage.commit(a, 0, {a, b}, {}, Cause::broker_registered);
    stage.append(c, 0, 0);
    stage.unfence(c);
    stage.commit(a, 0, {a, b, c}, {}, Cause::isr_changed);
    stage.judge.check_all(stage.now());
    CHECK(stage.red("I1"));
}

TEST_CASE("I2: one leader an epoch") {
    Stage stage;
    stage.open();
    stage.lead(b, 0, 0);
    CHECK(stage.red("I2"));
}

TEST_CASE("I2: a partition epoch is given once, but what a topic is set to states it again") {
    Stage stage;
    stage.open({a, b}, {c});
    stage.restating = true;
    stage.commit(a, 0, {a, b}, {}, Cause::configuration);
    CHECK_FALSE(stage.red("I2"));
    SECTION("another ISR") { stage.commit(a, 0, {a}, {}, Cause::configuration); }
    SECTION("another leader") { stage.commit(b, 1, {a, b}, {}, Cause::configuration); }
    SECTION("another cause") { stage.commit(a, 0, {a, b}, {}, Cause::elected); }
    CHECK(stage.red("I2"));
}

TEST_CASE("I2: the high watermark is monotone, within the log, and waits for min.insync.replicas") {
    SECTION("back") {
        Stage stage;
        stage.open();
        stage.replicate({a, b, c}, 0, 0);
        stage.replicate({a, b, c}, 1, 0);
        stage.watermark(a, 0, 0, 2);
        CHECK_FALSE(stage.red("I2"));
        stage.watermark(a, 0, 1, 2);
        CHECK(stage.red("I2"));
    }
    SECTION("past the end") {
        Stage stage;
        stage.open();
        stage.watermark(a, 0, 0, 1);
        CHECK(stage.red("I2"));
    }
    SECTION("too few") {
        Stage stage;
        stage.open({a}, {b});
        stage.append(a, 0, 0);
        stage.watermark(a, 0, 0, 1);
        CHECK(stage.red("I2"));
    }
}

TEST_CASE("I2: acks=all answered before the high watermark passed it") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    stage.replicate({a, b, c}, 1, 0);
    CHECK(stage.all_red() == "");
    stage.answer(a, 0, 1);
    CHECK(stage.red("I2"));
}

TEST_CASE("I2: a leader from outside ISR and ELR") {
    Stage stage;
    stage.open({a, b});
    stage.commit(c, 1, {c}, {}, Cause::elected);
    CHECK(stage.red("I2"));
}

TEST_CASE(
    "I2: a last known leader is elected by the record that costs the last candidate its place") {
    for (const bool registers_unproven : {true, false}) {
        Stage stage;
        stage.open({a, b});
        stage.commit(no_broker, 1, {}, {b}, Cause::broker_fenced, {a});
        // B registers without proof of a clean stop: its record follows the one that elects A.
        stage.commit(a, 2, {a}, {}, Cause::elected_last_known);
        stage.fact(b, facts::BrokerRegistered{60, b, BrokerEpoch{60}, !registers_unproven});
        CHECK(stage.red("I2") == !registers_unproven);
    }
}

TEST_CASE("I3: who joins the ISR has reached watermark and epoch start, and is unfenced") {
    for (const std::int64_t end : {1, 2}) {
        Stage stage;
        stage.open({a, b});
        stage.promise({a, b}, 0);
        stage.promise({a, b}, 1);
        stage.append(c, 0, 0);
        if (end == 2) stage.append(c, 1, 0);
        // The watermark a fresh leader knows may be old: the epoch start decides.
        stage.fact(
            a,
            facts::IsrProposed{
                stage.partition, LeaderEpoch{0}, {a, b, c}, c, Offset{end}, Offset{1}, Offset{2}});
        CHECK(stage.red("I3") == (end < 2));
    }
    Stage stage;
    stage.open({a, b});
    stage.fact(c, facts::BrokerFencing{50, c, BrokerEpoch{3}, true});
    CHECK(stage.all_red() == "");
    stage.commit(a, 0, {a, b, c}, {}, Cause::isr_changed);
    CHECK(stage.red("I3"));
}

TEST_CASE("I3: who joins by a number that its log does not bear out") {
    Stage stage;
    stage.open({a, b});
    stage.promise({a, b}, 0);
    stage.append(c, 0, 5);  // of another epoch
    stage.fact(a,
               facts::IsrProposed{
                   stage.partition, LeaderEpoch{0}, {a, b, c}, c, Offset{1}, Offset{1}, Offset{0}});
    CHECK(stage.red("I3"));
}

TEST_CASE("I5: a flush past the end, a sync that was none, and damage that recovery kept") {
    SECTION("past the end") {
        Stage stage;
        stage.open();
        stage.flushed({a}, 1);
        CHECK(stage.red("I5"));
    }
    SECTION("claimed") {
        for (const std::int64_t synced : {0, 1}) {
            Stage stage;
            stage.open();
            stage.append(a, 0, 0);
            stage.append(a, 1, 0);
            stage.flushed({a}, 1);
            stage.power(a, 2, synced, synced);
            CHECK(stage.red("I5") == (synced == 0));
        }
    }
    SECTION("kept") {
        for (const std::int64_t end : {1, 2}) {
            Stage stage;
            stage.open();
            stage.append(c, 0, 0);
            stage.append(c, 1, 0);
            stage.power(c, 2, 1);
            stage.restart(c, end);
            CHECK(stage.red("I5") == (end == 2));
        }
    }
    SECTION("a recovery point that no sync has reached") {
        Stage stage;
        stage.open();
        stage.append(c, 0, 0);
        stage.kill(c);
        stage.restart(c, 1, 1);
        CHECK(stage.red("I5"));
    }
}

TEST_CASE("I6: consumers are served below the high watermark and of what came below it") {
    Stage past;
    past.open();
    past.append(a, 0, 0);
    past.fact(
        a, facts::ConsumerServed{past.partition, LeaderEpoch{0}, Offset{0}, Offset{1}, Offset{0}});
    CHECK(past.red("I6"));

    Stage other;
    other.open();
    other.promise({a, b, c}, 0);
    other.commit(b, 1, {a, b, c}, {}, Cause::preferred);
    other.truncated(b, 0);
    other.append(b, 0, 1);
    other.serve(b, 1, 0, 1);
    CHECK(other.red("I6"));
}

TEST_CASE("I7: sequences go on without gap or repeat, and truncation takes them back") {
    for (const std::int32_t next : {0, 1, 2}) {
        Stage stage;
        stage.open();
        stage.append(a, 0, 0, 0);
        stage.append(a, 1, 0, next);
        CHECK(stage.red("I7") == (next != 1));
    }
    Stage stage;
    stage.open();
    stage.append(c, 0, 0, 0);
    stage.append(c, 1, 0, 1);
    stage.truncated(c, 1);
    stage.append(c, 1, 1, 1);
    CHECK(stage.all_red() == "");
    stage.append(c, 2, 1, 1);
    CHECK(stage.red("I7"));
}

TEST_CASE("segment paths: topic, partition and base, and nothing else") {
    const auto path = segment_path("data/my-topic-3/00000000000000000041.log");
    REQUIRE(path.has_value());
    CHECK(path->topic == "my-topic");
    CHECK(path->partition == PartitionIndex{3});
    CHECK(path->base == Offset{41});
    CHECK(segment_path("t-0/00000000000000000000.log").has_value());
    for (const char* other :
         {"t-0/00000000000000000000.index", "t-0/41.log", "t/00000000000000000000.log",
          "00000000000000000000.log", "t-x/00000000000000000000.log",
          "t-0/0000000000000000000x.log", "-0/00000000000000000000.log"}) {
        CHECK_FALSE(segment_path(other).has_value());
    }
}

TEST_CASE("verdict: red before liveness before a run that did nothing") {
    RunOutcome good;
    good.counts.elections = 1;
    good.counts.batches_acked = 1;
    good.counts.faults = 1;
    good.faults_asked = true;
    CHECK(verdict_of(good) == Verdict::passed);
    RunOutcome idle = good;
    idle.counts.faults = 0;
    CHECK(verdict_of(idle) == Verdict::harness_error);
    idle.faults_asked = false;
    CHECK(verdict_of(idle) == Verdict::passed);
    RunOutcome mute = good;
    mute.counts.batches_acked = 0;
    CHECK(verdict_of(mute) == Verdict::harness_error);
    CHECK(harness_complaint(mute) == "nothing was acknowledged");
    RunOutcome headless = good;
    headless.counts.elections = 0;
    CHECK(verdict_of(headless) == Verdict::harness_error);
    RunOutcome confused = good;
    confused.malformed = confused.violations = 1;
    CHECK(verdict_of(confused) == Verdict::harness_error);
    RunOutcome stuck = mute;
    stuck.liveness_failures = 1;
    CHECK(verdict_of(stuck) == Verdict::liveness);
    stuck.forbidden = 1;
    CHECK(verdict_of(stuck) == Verdict::safety);
    stuck.crashed = true;
    CHECK(verdict_of(stuck) == Verdict::crash);
}

TEST_CASE("judge: clients' facts are judged, and a permitted loss is excused") {
    for (const bool lawful : {true, false}) {
        Stage stage({.unclean = true});
        stage.open({a, b});
        stage.fact(BrokerId{100}, facts::SendInvoked{1, 0, 500, -1});
        stage.promise({a, b}, 0);
        stage.fact(BrokerId{100}, facts::SendReturned{1, facts::Outcome::ok, Offset{0}, 0});
        if (lawful) {
            stage.commit(no_broker, 1, {}, {a, b}, Cause::broker_fenced);
            stage.commit(c, 2, {c}, {}, Cause::elected_unclean);
            stage.lead(c, 2, 0);
        }
        stage.judge.on_final_reads(stage.now());
        stage.fact(BrokerId{101}, facts::PollInvoked{1, 0, Offset{0}});
        stage.fact(
            BrokerId{101},
            facts::PollReturned{1, 0, facts::Outcome::ok, 0, Offset{0}, Offset{0}, false, {}});
        stage.judge.finish(stage.now());
        INFO(stage.all_red());
        CHECK(stage.red("LOST") == !lawful);
        CHECK(verdict_of(stage.judge.outcome(false, 0, false)) ==
              (lawful ? Verdict::passed : Verdict::safety));
        const auto json = to_json(stage.judge.bill());
        CHECK(json["rules"]["O2"]["lost"] == (lawful ? 1 : 0));
        CHECK(json["records_promised"] == 1);
        CHECK(to_text(stage.judge.bill(), "trial").find("records promised   1") == 0);
    }
}

TEST_CASE("judge: what a leader says that was deposed uncleanly binds nobody, else it does") {
    for (const bool unclean : {true, false}) {
        Stage stage({.unclean = true, .min_isr = 1});
        stage.open({a});
        stage.promise({a}, 0);
        stage.append(b, 0, 0);
        // Nothing is lost by the election itself: B has all that came below the watermark.
        stage.commit(b, 1, {b}, {}, unclean ? Cause::elected_unclean : Cause::elected);
        stage.lead(b, 1, 1);
        // A cannot hear of it and goes on, alone in the ISR that it knows.
        stage.append(a, 1, 0);
        stage.append(a, 2, 0);
        stage.watermark(a, 0, 1, 3);
        stage.fact(BrokerId{101}, facts::PollInvoked{1, 0, Offset{1}});
        stage.fact(
            BrokerId{101},
            facts::PollReturned{1, 0, facts::Outcome::ok, 0, Offset{0}, Offset{3}, false, {}});
        stage.fact(BrokerId{100}, facts::SendInvoked{1, 0, 500, -1});
        stage.promise({b}, 1, 1);
        stage.fact(BrokerId{100}, facts::SendReturned{1, facts::Outcome::ok, Offset{1}, 0});
        INFO(stage.all_red());
        CHECK(stage.red("ORDER") == !unclean);
    }
}
