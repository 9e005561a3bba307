// The ledger's answers, pinned by hand-written schedules: what is stranded, lost and permitted (by
// rule), avoidable, or red.
#include <catch2/catch.hpp>

#include "tests/judge/stage.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::stage;

TEST_CASE("ledger: a kill of all with ELR on strands at most") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    for (const BrokerId node : {a, b, c}) stage.kill(node);
    stage.commit(no_broker, 1, {}, {a, b, c}, Cause::broker_fenced);
    for (const BrokerId node : {a, b, c}) stage.restart(node, 1);
    stage.commit(no_broker, 2, {}, {}, Cause::broker_registered, {a});
    stage.unfence(a);
    stage.commit(a, 3, {a}, {}, Cause::elected_last_known);
    stage.lead(a, 3, 1);
    stage.judge.finish(stage.now());
    INFO(stage.all_red());
    CHECK(stage.judge.violations().empty());
    CHECK(stage.judge.bill().records_promised == 1);
    CHECK(stage.judge.bill().losses.empty());
}

TEST_CASE("ledger: ISR {A}, ELR {B}, power loss of A, both return: B leads and nothing is lost") {
    Stage stage;
    stage.open({a, b});
    stage.promise({a, b}, 0);
    stage.commit(a, 0, {a}, {b}, Cause::broker_fenced);
    CHECK(stage.judge.good_candidate(stage.partition));
    stage.power(a, 1, 0);
    CHECK_FALSE(stage.judge.good_candidate(stage.partition));  // stranded, not lost
    stage.truncated(a, 0, facts::TruncateReason::recovery);
    stage.restart(a, 0);
    stage.commit(no_broker, 1, {}, {b}, Cause::broker_registered);
    CHECK(stage.judge.good_candidate(stage.partition));
    stage.commit(b, 2, {b}, {}, Cause::elected);
    stage.lead(b, 2, 1);
    stage.judge.finish(stage.now());
    INFO(stage.all_red());
    CHECK(stage.judge.violations().empty());
    CHECK(stage.judge.bill().losses.empty());
    CHECK(stage.judge.bill().records_stranded == 0);
}

TEST_CASE("ledger: the same with ELR off is O4, avoidable, with its evidence") {
    Stage stage({.elr = false});
    stage.open({a, b});
    stage.promise({a, b}, 0);
    stage.commit(a, 0, {a}, {}, Cause::broker_fenced);
    stage.power(a, 1, 0);
    const Instant power = stage.now();
    stage.restart(a, 0);
    stage.commit(a, 1, {a}, {}, Cause::broker_unfenced);
    stage.lead(a, 1, 0);
    stage.judge.finish(stage.now());
    INFO(stage.all_red());
    CHECK(stage.judge.violations().empty());
    CHECK(stage.lost(Rule::sole_damaged) == 1);
    CHECK(stage.avoidable(Rule::sole_damaged) == 1);
    REQUIRE(stage.judge.bill().losses.size() == 1);
    const Loss& loss = stage.judge.bill().losses.front();
    CHECK(loss.fault == 2);
    CHECK(loss.fault_node == a);
    CHECK(loss.fault_time == power);
    CHECK(loss.metadata_offset > 0);
    CHECK(loss.leader_epoch == LeaderEpoch{1});
}

TEST_CASE("ledger: O4 is not avoidable when nobody else ever had it, and red with ELR on") {
    for (const bool elr : {false, true}) {
        Stage stage({.elr = elr, .min_isr = elr ? 2 : 1});
        stage.open({a});
        stage.append(a, 0, 0);
        if (elr) {
            stage.append(b, 0, 0);
            stage.serve(a, 0, 0, 1);
        } else {
            stage.watermark(a, 0, 0, 1);
            stage.answer(a, 0, 0);
        }
        stage.power(a, 1, 0);
        stage.restart(a, 0);
        stage.unfence(a);
        stage.commit(a, 1, {a}, {}, Cause::broker_unfenced);
        stage.lead(a, 1, 0);
        CHECK(stage.lost(elr ? Rule::forbidden : Rule::sole_damaged) == 1);
        CHECK(stage.avoidable(Rule::sole_damaged) == 0);
        CHECK(stage.red("O5") == elr);
    }
}

TEST_CASE("ledger: with flush.messages=1 and power loss of all nothing may be lost") {
    SECTION("kept, because it was synced before the answer") {
        Stage stage({.flush = 1});
        stage.open();
        stage.replicate({a, b, c}, 0, 0);
        stage.flushed({a, b, c}, 1);
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        for (const BrokerId node : {a, b, c}) stage.power(node, 1, 1, 1);
        for (const BrokerId node : {a, b, c}) stage.restart(node, 1, 1);
        stage.commit(no_broker, 1, {}, {}, Cause::broker_registered, {a});
        stage.commit(a, 2, {a}, {}, Cause::elected_last_known);
        stage.unfence(a);
        stage.lead(a, 2, 1);
        stage.judge.finish(stage.now());
        CHECK(stage.judge.bill().forbidden_events == 0);
        CHECK(stage.judge.bill().losses.empty());
    }
    SECTION("an answer before any sync is red at once, and its loss is forbidden") {
        Stage stage({.flush = 1});
        stage.open();
        stage.promise({a, b, c}, 0);
        CHECK(stage.red("stranded"));
        for (const BrokerId node : {a, b, c}) stage.power(node, 1, 0);
        for (const BrokerId node : {a, b, c}) stage.restart(node, 0);
        stage.commit(no_broker, 1, {}, {}, Cause::broker_registered, {a});
        stage.commit(a, 2, {a}, {}, Cause::elected_last_known);
        stage.lead(a, 2, 0);
        CHECK(stage.red("O5"));
        CHECK(stage.lost(Rule::forbidden) == 1);
    }
}

TEST_CASE("ledger: an unclean election by an administrator costs from the new leader's end only") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    stage.commit(a, 0, {a, b}, {}, Cause::isr_changed);
    stage.promise({a, b}, 1);
    stage.kill(a);
    stage.kill(b);
    stage.commit(no_broker, 1, {}, {a, b}, Cause::broker_fenced);
    stage.commit(c, 2, {c}, {}, Cause::elected_by_administrator);
    stage.lead(c, 2, 1);
    stage.judge.finish(stage.now());
    INFO(stage.all_red());
    CHECK(stage.judge.violations().empty());
    CHECK(stage.lost(Rule::unclean) == 1);
    CHECK(stage.avoidable(Rule::unclean) == 1);
    CHECK(stage.judge.bill().losses.front().base_offset == Offset{1});
}

TEST_CASE("ledger: a hole below an unclean leader's end is red, its divergence is not") {
    for (const bool diverged : {false, true}) {
        Stage stage({.unclean = true});
        stage.open();
        stage.promise({a, b}, 0);
        if (diverged) stage.append(c, 0, 7);
        stage.commit(no_broker, 1, {}, {a, b}, Cause::broker_fenced);
        stage.commit(c, 8, {c}, {}, Cause::elected_unclean);
        stage.lead(c, 8, 1);
        CHECK(stage.lost(diverged ? Rule::unclean : Rule::forbidden) == 1);
        CHECK(stage.red("O5") == !diverged);
    }
}

TEST_CASE("ledger: an unclean election by configuration is O2, without the configuration red") {
    for (const bool allowed : {true, false}) {
        Stage stage({.unclean = allowed});
        stage.open({a, b});
        stage.promise({a, b}, 0);
        stage.commit(no_broker, 1, {}, {a, b}, Cause::broker_fenced);
        stage.commit(c, 2, {c}, {}, Cause::elected_unclean);
        stage.lead(c, 2, 0);
        CHECK(stage.lost(Rule::unclean) == (allowed ? 1 : 0));
        CHECK(stage.avoidable(Rule::unclean) == (allowed ? 1 : 0));
        CHECK(stage.lost(Rule::forbidden) == (allowed ? 0 : 1));
        CHECK(stage.red("I2") == !allowed);
        CHECK(stage.judge.violations().empty() == allowed);
    }
}

TEST_CASE("ledger: a weak promise is lost as O1, unless a high watermark has passed it") {
    for (const bool passed : {false, true}) {
        Stage stage;
        stage.open();
        stage.append(a, 0, 0);
        stage.answer(a, 0, 0, 1);
        if (passed) {
            stage.replicate({b, c}, 0, 0);
            stage.watermark(a, 0, 0, 1);
            stage.truncated(b, 0, facts::TruncateReason::reset);
        }
        stage.kill(a);
        stage.commit(b, 1, {b, c}, {}, Cause::elected);
        stage.lead(b, 1, 0);
        CHECK(stage.lost(Rule::weak_promise) == (passed ? 0 : 1));
        CHECK(stage.lost(Rule::forbidden) == (passed ? 1 : 0));
        CHECK(stage.judge.bill().records_weak == (passed ? 0 : 1));
        CHECK(stage.avoidable(Rule::weak_promise) == 0);
    }
}

TEST_CASE("ledger: a last known leader is O3 when those who left did so unproven, else red") {
    for (const bool unproven : {true, false}) {
        Stage stage;
        stage.open({a, b});
        stage.promise({a, b}, 0);
        stage.power(a, 1, 0);
        if (unproven) stage.power(b, 1, 0);
        stage.restart(a, 0);
        if (unproven) stage.restart(b, 0);
        stage.commit(no_broker, 1, {}, {}, Cause::broker_registered, {a});
        stage.unfence(a);
        stage.commit(a, 2, {a}, {}, Cause::elected_last_known);
        stage.lead(a, 2, 0);
        CHECK(stage.lost(Rule::last_known) == (unproven ? 1 : 0));
        CHECK(stage.avoidable(Rule::last_known) == 0);
        CHECK(stage.red("O5") == !unproven);
    }
}

TEST_CASE("ledger: an unclean leader that never led hands its loss to the next one") {
    for (const bool unclean : {true, false}) {
        Stage stage;
        stage.open({a, b});
        stage.promise({a, b}, 0);
        stage.commit(no_broker, 1, {}, {a}, Cause::broker_fenced, {a});
        if (unclean) stage.commit(c, 2, {c}, {}, Cause::elected_by_administrator);
        // C dies before it takes up epoch 2, and leads only as the last known leader.
        stage.commit(no_broker, 3, {}, {}, Cause::broker_registered, {c});
        stage.commit(c, 4, {c}, {}, Cause::elected_last_known);
        stage.lead(c, 4, 0);
        CHECK(stage.lost(Rule::unclean) == (unclean ? 1 : 0));
        CHECK(stage.red("O5") == !unclean);
    }
}

TEST_CASE(
    "ledger: an unclean leader that never led gave up what it had lost before it was elected") {
    for (const bool before : {true, false}) {
        Stage stage({.min_isr = 1});
        stage.open({a});
        stage.append(c, 0, 0);
        stage.promise({a}, 0);
        if (before) stage.power(c, 1, 0);
        stage.commit(c, 1, {c}, {}, Cause::elected_by_administrator);
        if (!before) stage.power(c, 1, 0);
        stage.restart(c, 0);
        stage.commit(no_broker, 2, {}, {}, Cause::broker_registered, {c});
        stage.unfence(c);
        stage.commit(c, 3, {c}, {}, Cause::elected_last_known);
        stage.lead(c, 3, 0);
        INFO(stage.all_red());
        CHECK(stage.lost(Rule::unclean) == (before ? 1 : 0));
        CHECK(stage.lost(Rule::last_known) == (before ? 0 : 1));
    }
}

TEST_CASE(
    "ledger: read as DUR, an unclean leader that never led had nothing that power could take") {
    for (const bool before : {true, false}) {
        Stage stage({.min_isr = 1, .flush = 1});
        stage.open({a});
        stage.append(c, 0, 0);  // C had asked for a sync of it and never got one
        stage.append(a, 0, 0);
        stage.flushed({a}, 1);
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        if (before) stage.power(c, 1, 0);
        stage.commit(c, 1, {c}, {}, Cause::elected_by_administrator);
        if (!before) stage.power(c, 1, 0);
        stage.restart(c, 0);
        stage.commit(no_broker, 2, {}, {}, Cause::broker_registered, {c});
        stage.unfence(c);
        stage.commit(c, 3, {c}, {}, Cause::elected_last_known);
        stage.lead(c, 3, 0);
        CHECK(stage.lost(Rule::unclean) == 1);
        CHECK(stage.all_red() == "");
    }
}

TEST_CASE("ledger: an unsynced truncate undone, then an election: red unless detected") {
    for (const bool detected : {false, true}) {
        Stage stage;
        stage.open({a, b});
        stage.append(a, 0, 0);  // A alone has it, nobody is promised it
        stage.commit(b, 1, {a, b}, {}, Cause::preferred);
        stage.lead(b, 1, 0);
        stage.truncated(a, 0);
        stage.promise({b, a}, 0, 1);
        stage.power(a, 1, 0, 0, {{stage.partition, Offset{0}, 0, 100}});
        if (detected) {
            stage.restart(a, 1);  // the old bytes are valid: recovery keeps them
            stage.commit(b, 1, {b}, {}, Cause::broker_registered);
            stage.truncated(a, 0);
            stage.append(a, 0, 1);
            stage.commit(b, 1, {b, a}, {}, Cause::isr_changed);
        } else {
            stage.fact(a, facts::LogOpened{stage.partition, Offset{0}, Offset{1}, Offset{0}, false,
                                           false});
        }
        stage.kill(b);
        stage.commit(a, 2, {a}, {b}, Cause::elected);
        stage.lead(a, 2, 1);
        INFO(stage.all_red());
        CHECK(stage.red("O5") == !detected);
        CHECK(stage.lost(Rule::forbidden) == (detected ? 0 : 1));
    }
}

TEST_CASE("ledger: truncating a promised batch is fine out of CAND and red in the ISR") {
    for (const bool member : {false, true}) {
        Stage stage;
        stage.open();
        stage.promise({a, b, c}, 0);
        if (!member) stage.commit(a, 0, {a, b}, {}, Cause::isr_changed);
        stage.truncated(c, 0);
        CHECK(stage.red("erasure") == member);
        CHECK(stage.judge.bill().losses.empty());
    }
}

TEST_CASE(
    "ledger: a leader of a later epoch without it, by a clean election and undamaged, is red") {
    Stage stage;
    stage.open({a, b});
    stage.append(a, 0, 0);
    stage.serve(a, 0, 0, 1);  // promised although B has not got it
    stage.commit(b, 1, {a, b}, {}, Cause::preferred);
    stage.lead(b, 1, 0);
    CHECK(stage.red("O5"));
    CHECK(stage.lost(Rule::forbidden) == 1);
    REQUIRE(stage.judge.bill().losses.size() == 1);
    CHECK(to_sentence(stage.judge.bill().losses.front(), "trial")
              .find("offset 0 of trial-0 was served to a consumer at ") == 0);
}

TEST_CASE("ledger: recovery may cut what was damaged and no more") {
    for (const bool more : {false, true}) {
        Stage stage;
        stage.open();
        stage.promise({a, b, c}, 0);
        stage.promise({a, b, c}, 1);
        stage.power(c, 2, 1);
        stage.truncated(c, more ? 0 : 1, facts::TruncateReason::recovery);
        CHECK(stage.red("erasure") == more);
    }
}

TEST_CASE("ledger: a promise ends with retention, and what ended is not missed") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    stage.promise({a, b, c}, 1);
    for (const BrokerId node : {a, b, c}) {
        stage.fact(node, facts::LogStartMoved{stage.partition, Offset{1},
                                              facts::LogStartReason::retention});
    }
    CHECK(stage.judge.bill().records_ended == 1);
    stage.commit(b, 1, {a, b, c}, {}, Cause::preferred);
    stage.lead(b, 1, 2);
    stage.judge.finish(stage.now());
    INFO(stage.all_red());
    CHECK(stage.judge.violations().empty());
}

TEST_CASE("ledger: a log start moved by no retention erases, and one past the watermark is red") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    stage.fact(
        b, facts::LogStartMoved{stage.partition, Offset{1}, facts::LogStartReason::leader_start});
    CHECK(stage.red("erasure"));
    stage.append(a, 1, 0);
    stage.fact(a,
               facts::LogStartMoved{stage.partition, Offset{2}, facts::LogStartReason::retention});
    CHECK(stage.red("L1"));
}

TEST_CASE("ledger: a deposed leader's late promise is judged by the election that deposed it") {
    for (const bool unclean : {true, false}) {
        Stage stage({.unclean = true, .min_isr = 1});
        stage.open({a});
        stage.append(a, 0, 0);
        stage.watermark(a, 0, 0, 1);
        stage.commit(no_broker, 1, {}, {b}, Cause::broker_fenced);
        stage.commit(b, 2, {b}, {}, unclean ? Cause::elected_unclean : Cause::elected);
        stage.lead(b, 2, 0);
        stage.answer(a, 0, 0);
        CHECK(stage.lost(unclean ? Rule::unclean : Rule::forbidden) == 1);
    }
}

TEST_CASE(
    "ledger: a promise by a leader that an unclean election has just deposed is O2, not stranded") {
    for (const bool unclean : {true, false}) {
        Stage stage({.elr = false, .unclean = true, .min_isr = 1, .flush = 1});
        stage.open({a});
        stage.append(a, 0, 0);
        if (unclean) stage.commit(b, 1, {b}, {}, Cause::elected_unclean);
        if (unclean) stage.flushed({a}, 1);
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        CHECK(stage.red("stranded") == !unclean);  // else nothing was synced when it answered
        if (!unclean) continue;
        stage.lead(b, 1, 0);
        CHECK(stage.lost(Rule::unclean) == 1);
    }
}

TEST_CASE("ledger: a late promise is judged by the first later leader that came without it") {
    Stage stage;
    stage.open({a, b, c});
    stage.replicate({a, b, c}, 0, 0);  // A is paused before it can answer
    stage.commit(b, 1, {b, c}, {}, Cause::broker_fenced);
    stage.lead(b, 1, 1);
    stage.power(b, 1, 0);
    stage.power(c, 1, 0);
    stage.commit(no_broker, 2, {}, {b}, Cause::broker_fenced, {b});
    stage.restart(b, 0);
    stage.commit(no_broker, 2, {}, {}, Cause::broker_registered, {b});
    stage.unfence(b);
    stage.commit(b, 3, {b}, {}, Cause::elected_last_known);
    stage.lead(b, 3, 0);
    stage.append(b, 0, 3);
    stage.restart(c, 0);
    stage.append(c, 0, 3);
    stage.commit(c, 4, {b, c}, {}, Cause::preferred);
    stage.lead(c, 4, 1);
    stage.watermark(a, 0, 0, 1);
    stage.answer(a, 0, 0);
    CHECK(stage.lost(Rule::last_known) == 1);
    CHECK_FALSE(stage.red("O5"));
}

TEST_CASE("ledger: a late promise is overridden by a leader whose copy was damaged before it led") {
    Stage stage({.unclean = true, .min_isr = 1});
    stage.open({a, b});
    stage.replicate({a, b}, 0, 0);
    stage.power(b, 1, 0);
    stage.commit(a, 0, {a}, {}, Cause::broker_fenced);
    stage.watermark(a, 0, 0, 1);
    stage.restart(b, 0);
    stage.unfence(b);
    stage.commit(b, 1, {b}, {}, Cause::elected_unclean);
    stage.lead(b, 1, 0);
    stage.serve(a, 0, 0, 1);  // A does not know yet
    CHECK(stage.lost(Rule::unclean) == 1);
    CHECK(stage.avoidable(Rule::unclean) == 1);
    CHECK(stage.all_red() == "");
}

TEST_CASE("ledger: an ISR that loses its last good member by fencing alone is red") {
    Stage stage;
    stage.open({a, b});
    stage.append(a, 0, 0);
    stage.serve(a, 0, 0, 1);  // B is in the ISR without it
    stage.commit(b, 1, {b}, {}, Cause::broker_fenced);
    CHECK(stage.red("stranded"));
}

TEST_CASE("ledger: writes that a kill cut are damage, those it kept are good again") {
    for (const bool kept : {true, false}) {
        Stage stage({.elr = false, .min_isr = 1});
        stage.open({a});
        stage.append(a, 0, 0);
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        stage.append(a, 1, 0);
        stage.judge.on_kill(stage.now(), a, 1);  // in the turn of the second append
        stage.restart(a, kept ? 2 : 1);
        stage.commit(a, 1, {a}, {}, Cause::broker_unfenced);
        stage.lead(a, 1, kept ? 2 : 1);
        stage.judge.finish(stage.now());
        INFO(stage.all_red());
        CHECK(stage.judge.violations().empty());
        CHECK(stage.judge.bill().losses.empty());
    }
}

TEST_CASE("ledger: a copy made anew from a later start drops all, and is fine out of CAND") {
    for (const bool member : {false, true}) {
        Stage stage;
        stage.open();
        stage.promise({a, b, c}, 0);
        if (!member) stage.commit(a, 0, {a, b}, {}, Cause::isr_changed);
        stage.truncated(c, 5, facts::TruncateReason::out_of_range);
        CHECK(stage.red("erasure") == member);
        stage.append(c, 5, 0);
        CHECK_FALSE(stage.red("I1"));
    }
}
