// What the medium does to copies, and what it costs: rot amid what is synced, rot that a recovery
// cuts at, whole disks that are as they were. Each beside a twin that is red.
#include <catch2/catch.hpp>

#include "tests/judge/stage.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::stage;

namespace {

/// Batch `offset` of the node reads otherwise from now on; the file has `length` batches, of which
/// `synced` are.
void rot(Stage& stage, BrokerId node, std::int64_t offset, std::int64_t length,
         std::int64_t synced) {
    Damage damage;
    damage.partition = stage.partition;
    damage.segment_base = Offset{0};
    const auto at = static_cast<std::uint64_t>(offset * batch_bytes);
    damage.ranges = {{at + 3, at + 4}};
    damage.synced_length = static_cast<std::uint64_t>(synced * batch_bytes);
    damage.length_before = damage.length_after = static_cast<std::uint64_t>(length * batch_bytes);
    stage.judge.on_rot(stage.now(), node, 3, {&damage, 1});
}

void corrupt(Stage& stage, std::int64_t offset) {
    stage.fact(c, facts::CorruptReceived{stage.partition, Offset{offset}, a});
}

}  // namespace

TEST_CASE("rot: who sends what is damaged is at fault only where it is not") {
    Stage stage;
    stage.open();
    for (std::int64_t offset = 0; offset < 5; ++offset) stage.promise({a, b, c}, offset);
    rot(stage, a, 1, 5, 5);
    rot(stage, a, 3, 5, 5);
    stage.promise({a, b, c}, 5);  // what is written above replaces nothing
    corrupt(stage, 1);
    corrupt(stage, 3);
    CHECK(stage.all_red().empty());
    corrupt(stage, 2);
    CHECK(stage.red("I1"));
}

TEST_CASE("rot: who leads with a rotten copy overrides nothing, who leads without it does") {
    for (const bool holds : {true, false}) {
        Stage stage;
        stage.open();
        stage.promise({a, b, c}, 0);
        stage.promise(holds ? Nodes{a, b, c} : Nodes{a, c}, 1);
        rot(stage, b, holds ? 1 : 0, 2, 2);
        stage.commit(b, 1, {b, c}, {}, Cause::broker_fenced);
        stage.lead(b, 1, holds ? 2 : 1);
        INFO(stage.all_red());
        CHECK(stage.red("O5") != holds);
    }
}

TEST_CASE("rot: recovery cuts at what no sync had covered, and costs what stood above") {
    for (const bool synced : {false, true}) {
        Stage stage;
        stage.open();
        for (std::int64_t offset = 0; offset < 4; ++offset) stage.promise({a, b, c}, offset);
        // As it lay when the process was killed.
        rot(stage, b, 1, 4, synced ? 4 : 0);
        stage.kill(b);
        stage.restart(b, 1);
        INFO(stage.all_red());
        CHECK(stage.red("erasure") == synced);
    }
}

TEST_CASE("rot: what is opened anew holds no rot at or above its recovery point") {
    for (const bool clean : {false, true}) {
        for (const std::int64_t recovery_point : {1, 2}) {
            Stage stage;
            stage.open();
            stage.promise({a, b, c}, 0);
            stage.promise({a, b, c}, 1);
            stage.flushed({b}, 2);
            rot(stage, b, 1, 2, 2);
            stage.fact(b, facts::LogOpened{stage.partition, Offset{0}, Offset{2},
                                           Offset{recovery_point}, clean, false});
            INFO(stage.all_red());
            // Below it, and after a clean stop, who reads it will find it.
            CHECK(stage.red("I5") == (!clean && recovery_point == 1));
        }
    }
}

TEST_CASE("rollback: an older image holds what it held, and nothing of what came after") {
    for (const bool held : {true, false}) {
        Stage stage;
        stage.open();
        stage.promise({a, b, c}, 0);
        stage.promise({a, b, c}, 1);
        if (held) stage.judge.on_image(b, 7);
        stage.promise({a, b, c}, 2);
        if (!held) stage.judge.on_image(b, 7);
        stage.kill(b);
        stage.judge.on_rollback(stage.now(), b, 7);
        // It says that its log ends at 2, which is true of the older image only.
        stage.restart(b, 2);
        INFO(stage.all_red());
        CHECK(stage.red("erasure") != held);
    }
}

TEST_CASE("rollback: of all who may lead it strands, lawfully, what came after") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    for (const BrokerId node : {a, b, c}) stage.judge.on_image(node, 7 + node.value);
    stage.promise({a, b, c}, 1);
    for (const BrokerId node : {a, b, c}) {
        CHECK(stage.judge.good_candidate(stage.partition));
        stage.kill(node);
        stage.judge.on_rollback(stage.now(), node, 7 + node.value);
    }
    CHECK_FALSE(stage.judge.good_candidate(stage.partition));
    CHECK(stage.all_red().empty());
}

TEST_CASE("lost: a directory that is gone takes its partitions' copies, and no others") {
    Stage stage;
    stage.open();
    stage.promise({a, b, c}, 0);
    const TopicPartition other{stage.partition.topic, PartitionIndex{1}};
    for (const BrokerId node : {a, b, c}) {
        stage.kill(node);
        stage.judge.on_lost(stage.now(), node, 5, {&other, 1});
    }
    CHECK(stage.judge.good_candidate(stage.partition));
    for (const BrokerId node : {a, b, c})
        stage.judge.on_lost(stage.now(), node, 5, {&stage.partition, 1});
    CHECK_FALSE(stage.judge.good_candidate(stage.partition));
    CHECK(stage.all_red().empty());
}

TEST_CASE("rot: read as DUR, a promise that nobody has is excused by the medium, not by power") {
    for (const bool rotten : {true, false}) {
        Stage stage({.min_isr = 1, .flush = 1});
        stage.open({a});
        stage.append(a, 0, 0);
        if (rotten) {
            stage.flushed({a}, 1);
            rot(stage, a, 0, 1, 1);
        }
        stage.watermark(a, 0, 0, 1);
        stage.answer(a, 0, 0);
        INFO(stage.all_red());
        CHECK(stage.red("stranded") != rotten);
    }
}

TEST_CASE("rot: read as DUR, a candidate whose disk is gone excuses what it had, power does not") {
    for (const bool wiped : {true, false}) {
        Stage stage({.flush = 1});
        stage.open({a, b});
        stage.replicate({a, b}, 0, 0);
        stage.flushed({a, b}, 1);
        stage.watermark(a, 0, 0, 1);
        // Before anybody is told of it, B loses what it had, and A gives the leadership to B.
        if (wiped)
            stage.judge.on_wipe(stage.now(), b, 1);
        else
            stage.power(b, 1, 0);
        stage.commit(b, 1, {b}, {}, Cause::controlled_shutdown);
        stage.answer(a, 0, 0);  // who does not know yet that it is deposed
        INFO(stage.all_red());
        CHECK(stage.red("stranded") != wiped);
    }
}
