// What the judge excuses because Kafka does it, each beside a twin that differs in the one thing
// that excuses: the twin is red, so that no bug hides behind the excuse.
#include <catch2/catch.hpp>

#include "tests/judge/stage.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::stage;

TEST_CASE("excuses: a last known leader waits for one unproven registration, of that member") {
    const auto elected = [](bool elr, Nodes others, BrokerId registered, bool proven) {
        Stage stage({.elr = elr});
        stage.open({a, b});
        stage.commit(no_broker, 1, {}, std::move(others), Cause::broker_fenced, {a});
        stage.commit(a, 2, {a}, {}, Cause::elected_last_known);
        stage.fact(registered, facts::BrokerRegistered{60, registered, BrokerEpoch{60}, proven});
        return stage.red("I2");
    };
    CHECK_FALSE(elected(true, {b}, b, false));
    CHECK(elected(true, {b}, b, true));
    CHECK(elected(true, {b}, c, false));
    CHECK(elected(true, {b, c}, b, false));
    CHECK(elected(false, {b}, b, false));
}

TEST_CASE("excuses: who left by a permitted unclean election left lawfully, by any other not") {
    struct Row {
        bool permitted;
        Cause cause;
        bool red;
    };
    for (const Row& row :
         {Row{false, Cause::elected_by_administrator, false},
          Row{true, Cause::elected_unclean, false}, Row{false, Cause::elected_unclean, true},
          Row{false, Cause::isr_changed, true}, Row{false, Cause::broker_fenced, true}}) {
        Stage stage({.unclean = row.permitted});
        stage.open();
        stage.promise({a, b, c}, 0);
        stage.commit(a, 0, {a, b}, {}, Cause::isr_changed);
        stage.commit(no_broker, 1, {}, {a, b}, Cause::broker_fenced, {a});
        stage.commit(c, 2, {c}, {}, row.cause);  // C has it too: nothing is lost yet
        stage.lead(c, 2, 1);
        CHECK(stage.judge.bill().losses.empty());
        stage.power(c, 1, 0);
        stage.restart(c, 0);
        stage.commit(no_broker, 3, {}, {}, Cause::broker_registered, {c});
        stage.unfence(c);
        stage.commit(c, 4, {c}, {}, Cause::elected_last_known);
        stage.lead(c, 4, 0);
        INFO(stage.all_red());
        CHECK(stage.red("O5") == row.red);
        CHECK(stage.lost(Rule::last_known) == (row.red ? 0 : 1));
    }
}

TEST_CASE("excuses: an unclean leader that never led gives up what it lacks, not what it has") {
    for (const bool has : {false, true}) {
        Stage stage;
        stage.open();
        stage.promise(has ? Nodes{a, b, c} : Nodes{a, b}, 0);
        stage.commit(a, 0, {a, b}, {}, Cause::isr_changed);
        stage.commit(no_broker, 1, {}, {a, b}, Cause::broker_fenced, {a});
        stage.commit(c, 2, {c}, {}, Cause::elected_by_administrator);
        stage.truncated(c, 0);  // before it takes up epoch 2
        stage.commit(c, 3, {c}, {}, Cause::broker_unfenced);
        stage.lead(c, 3, 0);
        CHECK(stage.red("erasure") == has);
        CHECK(stage.lost(Rule::unclean) == 1);
    }
}

TEST_CASE(
    "excuses: a last known leader that never led gives up what it lacks, if none left in vain") {
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
        // A is fenced before it hears of epoch 2, and leads again out of the ELR.
        stage.commit(no_broker, 3, {}, {a}, Cause::broker_fenced, {a});
        stage.commit(a, 4, {a}, {}, Cause::broker_unfenced);
        stage.lead(a, 4, 0);
        INFO(stage.all_red());
        CHECK(stage.lost(Rule::last_known) == (unproven ? 1 : 0));
        CHECK(stage.red("O5") == !unproven);
    }
}

TEST_CASE("excuses: what a failed write left in an empty log, and recovery found, is a good copy") {
    for (const std::int64_t left : {1, 0}) {
        Stage stage;
        stage.open();
        stage.append(c, 0, 0);
        stage.truncated(c, 0, facts::TruncateReason::failed_write);
        stage.promise({a, b}, 0);
        stage.truncated(c, left, facts::TruncateReason::recovery);
        stage.restart(c, left);
        stage.commit(c, 1, {c}, {}, Cause::broker_fenced);
        stage.lead(c, 1, left);
        INFO(stage.all_red());
        CHECK(stage.red("O5") == (left == 0));
    }
}

TEST_CASE("excuses: a late promise of one deposed uncleanly waits for who leads, clean or not") {
    for (const bool unclean : {true, false}) {
        Stage stage({.min_isr = 1});
        stage.open({a});
        stage.append(a, 0, 0);
        stage.commit(no_broker, 1, {}, {a}, Cause::broker_fenced, {a});
        if (unclean) stage.commit(c, 2, {c}, {}, Cause::elected_by_administrator);
        stage.commit(no_broker, 3, {}, {c}, Cause::broker_fenced, {c});
        stage.commit(c, 4, {c}, {}, Cause::broker_unfenced);
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        INFO(stage.all_red());
        CHECK(stage.red("stranded") == !unclean);
        stage.lead(c, 4, 0);
        CHECK(stage.lost(Rule::unclean) == (unclean ? 1 : 0));
    }
}

TEST_CASE("excuses: a late promise is not excused by an unclean election after a clean loss") {
    for (const bool cleanly : {false, true}) {
        Stage stage;
        stage.open({a, b});
        stage.append(a, 0, 0);  // A is paused before it can answer
        if (cleanly) {
            stage.commit(b, 1, {b}, {}, Cause::broker_fenced);
            stage.lead(b, 1, 0);
        }
        stage.commit(no_broker, 2, {}, {b}, Cause::broker_fenced, {b});
        stage.commit(c, 3, {c}, {}, Cause::elected_by_administrator);
        stage.lead(c, 3, 0);
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        CHECK(stage.red("O5") == cleanly);
        CHECK(stage.lost(Rule::unclean) == (cleanly ? 0 : 1));
    }
}

TEST_CASE("excuses: a later leader with another batch at that offset came without the promised") {
    for (const bool diverged : {false, true}) {
        Stage stage;
        stage.open();
        stage.commit(b, 1, {a, b, c}, {}, Cause::preferred);
        stage.lead(b, 1, 0);
        if (diverged) stage.append(b, 0, 1);  // nobody fetches it
        stage.commit(a, 2, {a, b, c}, {}, Cause::preferred);
        stage.lead(a, 2, 0);
        stage.append(a, 0, 2);
        if (!diverged) stage.append(b, 0, 2);
        stage.commit(b, 3, {b}, {}, Cause::broker_fenced);
        stage.lead(b, 3, 1);
        stage.commit(no_broker, 4, {}, {b}, Cause::broker_fenced, {b});
        stage.commit(c, 5, {c}, {}, Cause::elected_by_administrator);
        stage.lead(c, 5, 0);
        stage.fact(a, facts::ConsumerServed{stage.partition, LeaderEpoch{2}, Offset{0}, Offset{1},
                                            Offset{1}});
        INFO(stage.all_red());
        CHECK(stage.lost(Rule::forbidden) == (diverged ? 1 : 0));
        CHECK(stage.lost(Rule::unclean) == (diverged ? 0 : 1));
    }
}

TEST_CASE("excuses: a promise by a deposed leader is stranded unless the election was unclean") {
    for (const bool unclean : {true, false}) {
        Stage stage({.elr = false, .unclean = true, .min_isr = 1, .flush = 1});
        stage.open({a, b});
        stage.append(a, 0, 0);
        stage.flushed({a}, 1);
        stage.commit(a, 0, {a}, {}, Cause::isr_changed);
        if (unclean)
            stage.commit(b, 1, {b}, {}, Cause::elected_unclean);
        else
            stage.commit(b, 1, {b}, {}, Cause::broker_fenced);
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        CHECK(stage.red("stranded") == !unclean);
        stage.lead(b, 1, 0);
        CHECK(stage.lost(Rule::unclean) == (unclean ? 1 : 0));
        CHECK(stage.red("O5") == !unclean);
    }
}

TEST_CASE("excuses: who joins by a dead process's registration leaves unproven, a live one not") {
    for (const bool dead : {true, false}) {
        Stage stage;
        stage.open({a, b});
        stage.promise({a, b}, 0);
        stage.kill(a);
        stage.power(b, 1, 0);
        stage.commit(no_broker, 1, {}, {a, b}, Cause::broker_fenced);
        stage.restart(a, 1);
        stage.restart(b, 0);
        stage.commit(no_broker, 2, {}, {}, Cause::broker_registered, {a});
        if (dead) stage.kill(a);  // its heartbeat is still on its way
        stage.unfence(a);
        stage.commit(a, 3, {a}, {}, Cause::elected_last_known);
        stage.commit(no_broker, 4, {}, {}, dead ? Cause::broker_registered : Cause::broker_fenced,
                     {b});
        if (dead) stage.restart(a, 1);  // what its registration cost comes before its record
        stage.unfence(b);
        stage.commit(b, 5, {b}, {}, Cause::elected_last_known);
        stage.lead(b, 5, 0);
        CHECK(stage.lost(Rule::last_known) == (dead ? 1 : 0));
        CHECK(stage.red("O5") == !dead);
    }
}

TEST_CASE("excuses: an unclean leader gave up what it lacked, though its disk is gone since") {
    for (const bool lacked : {true, false}) {
        Stage stage({.unclean = true, .min_isr = 1});
        stage.open({a, c});
        if (lacked) stage.replicate({a, c}, 0, 0);
        stage.commit(b, 1, {b}, {}, Cause::elected_unclean);
        stage.lead(b, 1, 0);
        stage.replicate(lacked ? Nodes{b} : Nodes{b, c}, 0, 1);
        stage.commit(c, 2, {c}, {}, Cause::elected_unclean);
        stage.lead(c, 2, 1);
        stage.judge.on_wipe(stage.now(), c, 1);
        stage.answer(b, 1, 0);  // who does not know yet that it is deposed
        INFO(stage.all_red());
        CHECK(stage.lost(Rule::unclean) == (lacked ? 1 : 0));
        CHECK_FALSE(stage.red("O5"));
    }
}
