// Offsets of groups: who may commit, what a query sees, how they expire, and that none is lost.
#include "tests/group/bench.h"

using namespace klamm;
using namespace klamm::group;

namespace {

ErrorCode commit_error(Bench& bench, const Commit& command) {
    return bench.ask<OffsetsAnswer>(command).error;
}

}  // namespace

TEST_CASE("offsets: a commit is answered when it is committed, and seen by queries then") {
    Bench bench;
    bench.commits_at_once = false;
    const Caller committing = bench.send(commit(41));
    CHECK(bench.waits(committing));
    CHECK_FALSE(fetched(bench).has_value());
    const Caller stable =
        bench.send(Fetch{.group = "g", .partitions = std::nullopt, .stable = true});
    CHECK(bench.waits(stable));  // KIP-447: it waits for what is under way
    bench.commit_all();
    CHECK(bench.take<OffsetsAnswer>(committing).partitions == std::vector{ErrorCode::none});
    CHECK(bench.take<FetchAnswer>(stable).partitions[0].offset->offset == Offset(41));
    CHECK(fetched(bench) == 41);
}

TEST_CASE("offsets: one that is not committed in time, or not appended, is answered so") {
    Bench bench;
    bench.commits_at_once = false;
    const Caller committing = bench.send(commit(41));
    bench.pass(milliseconds(5'000));
    CHECK(bench.take<OffsetsAnswer>(committing).error == ErrorCode::coordinator_not_available);
    bench.commit_all();
    CHECK(fetched(bench) == 41);  // it may count all the same
    bench.append_error = ErrorCode::not_enough_replicas;
    CHECK(commit_error(bench, commit(42)) == ErrorCode::coordinator_not_available);
    CHECK(fetched(bench) == 41);
}

TEST_CASE("offsets: what was acknowledged survives a failover, what was not may be gone") {
    Bench bench;
    CHECK(commit_error(bench, commit(41)) == ErrorCode::none);
    bench.commits_at_once = false;
    const Caller committing = bench.send(commit(42));
    bench.fail_over();
    CHECK(bench.take<OffsetsAnswer>(committing).error == ErrorCode::not_coordinator);
    CHECK(fetched(bench) == 41);
}

TEST_CASE("offsets: only members of the generation commit while a group has members") {
    Bench bench;
    const auto members = stable_group(bench, 2);
    const auto& m = members[0];
    CHECK(commit_error(bench, commit(1, m.generation, m.member)) == ErrorCode::none);
    CHECK(commit_error(bench, commit(2, m.generation - 1, m.member)) ==
          ErrorCode::illegal_generation);
    CHECK(commit_error(bench, commit(2, m.generation, "other")) == ErrorCode::unknown_member_id);
    CHECK(commit_error(bench, commit(2)) == ErrorCode::unknown_member_id);
    CHECK(fetched(bench) == 1);
    // While the members join, the generation that ends may still commit; while they sync, nobody.
    const Caller joining = bench.send(join(m.member));
    CHECK(commit_error(bench, commit(3, m.generation, members[1].member)) == ErrorCode::none);
    const Caller other = bench.send(join(members[1].member));
    const auto next = bench.take<JoinAnswer>(joining);
    CHECK(bench.take<JoinAnswer>(other).generation == next.generation);
    CHECK(commit_error(bench, commit(4, next.generation, next.member)) ==
          ErrorCode::rebalance_in_progress);
    CHECK(fetched(bench) == 3);
}

TEST_CASE("offsets: a group that nobody knows takes simple commits alone") {
    Bench bench;
    CHECK(commit_error(bench, commit(1, 3, "m")) == ErrorCode::illegal_generation);
    Commit newer = commit(1, 3, "m");
    newer.knows_missing_group = true;
    CHECK(commit_error(bench, newer) == ErrorCode::group_id_not_found);
    CHECK(bench.group("g") == nullptr);
    Commit large = commit(1);
    large.partitions[0].offset.metadata = std::string(4'097, 'x');
    CHECK(bench.ask<OffsetsAnswer>(large).partitions ==
          std::vector{ErrorCode::offset_metadata_too_large});
    CHECK(bench.group("g") == nullptr);
    CHECK(commit_error(bench, commit(1)) == ErrorCode::none);
    CHECK(bench.group("g") != nullptr);
    bench.append_error = ErrorCode::not_leader_or_follower;
    Commit elsewhere = commit(1);
    elsewhere.group = "h";
    CHECK(commit_error(bench, elsewhere) == ErrorCode::not_coordinator);
    CHECK(bench.group("h") == nullptr);  // no record speaks of it
}

TEST_CASE("offsets: they expire a week after the group is empty, and the group with them") {
    Bench bench;
    const auto members = stable_group(bench, 1);
    CHECK(commit_error(bench, commit(1, members[0].generation, members[0].member)) ==
          ErrorCode::none);
    bench.pass(seconds(11));
    CHECK(bench.group("g")->is(GroupState::empty));
    bench.pass(seconds(6 * 86'400));
    CHECK(fetched(bench) == 1);
    bench.fail_over();  // when it became empty is in the log
    bench.pass(seconds(86'400 - 60));
    CHECK(fetched(bench) == 1);
    bench.pass(seconds(700));
    CHECK_FALSE(fetched(bench).has_value());
    CHECK(bench.group("g") == nullptr);
    bench.fail_over();
    CHECK(bench.group("g") == nullptr);
}

TEST_CASE("offsets: of a living group only those of topics that it does not read expire") {
    Bench bench;
    const auto members = stable_group(bench, 1);
    Commit both = commit(1, members[0].generation, members[0].member);
    both.partitions.push_back({"old", PartitionIndex(0), {.offset = Offset(9)}});
    CHECK(commit_error(bench, both) == ErrorCode::none);
    for (int beat = 0; beat < 7 * 24 * 400 + 100; ++beat) {
        bench.pass(seconds(9));
        (void)bench.ask<PlainAnswer>(Heartbeat{
            .group = "g", .generation = members[0].generation, .member = members[0].member});
    }
    bench.pass(seconds(9));
    const auto answer = bench.ask<FetchAnswer>(Fetch{.group = "g", .partitions = std::nullopt});
    REQUIRE(answer.partitions.size() == 1U);
    CHECK(answer.partitions[0].topic == "t");
}

TEST_CASE("offsets: with a retention of its own one expires by that, of a simple group by commit") {
    Bench bench;
    Commit own = commit(1);
    own.retention_ms = 3'600'000;
    CHECK(commit_error(bench, own) == ErrorCode::none);
    bench.fail_over();
    bench.pass(seconds(3'000));
    CHECK(fetched(bench) == 1);
    bench.pass(seconds(1'200));
    CHECK_FALSE(fetched(bench).has_value());
    CHECK(commit_error(bench, commit(2)) == ErrorCode::none);
    bench.pass(seconds(7 * 86'400 - 60));
    CHECK(fetched(bench) == 2);
    bench.pass(seconds(700));
    CHECK_FALSE(fetched(bench).has_value());
}

TEST_CASE("offsets: deleting needs a group that does not read the topic, or has no members") {
    Bench bench;
    const DeleteOffsets both{.group = "g",
                             .partitions = {{"t", PartitionIndex(0)}, {"old", PartitionIndex(0)}}};
    CHECK(bench.ask<OffsetsAnswer>(both).error == ErrorCode::group_id_not_found);
    const auto members = stable_group(bench, 1);
    Commit two = commit(1, members[0].generation, members[0].member);
    two.partitions.push_back({"old", PartitionIndex(0), {.offset = Offset(9)}});
    CHECK(commit_error(bench, two) == ErrorCode::none);
    CHECK(bench.ask<OffsetsAnswer>(both).partitions ==
          std::vector{ErrorCode::group_subscribed_to_topic, ErrorCode::none});
    CHECK(bench.ask<PlainAnswer>(Delete{"g"}).error == ErrorCode::non_empty_group);
    bench.pass(seconds(11));
    CHECK(bench.ask<OffsetsAnswer>(both).partitions ==
          std::vector{ErrorCode::none, ErrorCode::none});
    CHECK_FALSE(fetched(bench).has_value());
    CHECK(bench.ask<PlainAnswer>(Delete{"g"}).error == ErrorCode::none);
    CHECK(bench.group("g") == nullptr);
    CHECK(bench.ask<PlainAnswer>(Delete{"g"}).error == ErrorCode::group_id_not_found);
    CHECK(bench.ask<DescribeAnswer>(Describe{"g"}).state == "Dead");
}

TEST_CASE("offsets: groups are listed by state and type, and only when they are in the log") {
    Bench bench;
    (void)stable_group(bench, 1);
    Commit simple = commit(1);
    simple.group = "simple";
    CHECK(commit_error(bench, simple) == ErrorCode::none);
    const auto list = [&](std::vector<std::string> states, std::vector<std::string> types) {
        std::string ids;
        for (const auto& one : bench.ask<ListAnswer>(List{states, types}).groups)
            ids += one.id + ":" + one.protocol_type + ":" + one.state + " ";
        return ids;
    };
    CHECK(list({}, {}) == "g:consumer:Stable simple::Empty ");
    CHECK(list({" stable"}, {}) == "g:consumer:Stable ");
    CHECK(list({}, {"Classic"}) == "g:consumer:Stable simple::Empty ");
    CHECK(list({}, {"consumer"}).empty());
    bench.commits_at_once = false;
    simple.group = "unborn";
    (void)bench.send(simple);
    CHECK(list({"Empty"}, {}) == "simple::Empty ");
}

TEST_CASE("offsets: G1 is found: with the plant a member that is out commits over its successor") {
    for (const bool planted : {false, true}) {
        Plants plants;
        if (planted) plants.plant(Bug::zombie_commit_accepted);
        Bench bench;
        bench.turn.plants = &plants;
        const auto members = stable_group(bench, 2);
        const JoinAnswer zombie = members[1];
        for (int i = 0; i < 3; ++i) {  // it is paused past its session
            bench.pass(milliseconds(4'000));
            (void)bench.ask<PlainAnswer>(Heartbeat{
                .group = "g", .generation = zombie.generation, .member = members[0].member});
        }
        const auto next = bench.ask<JoinAnswer>(join(members[0].member));
        CHECK(bench.ask<SyncAnswer>(sync(next)).error == ErrorCode::none);
        CHECK(commit_error(bench, commit(50, next.generation, next.member)) == ErrorCode::none);
        const auto late = commit_error(bench, commit(20, zombie.generation, zombie.member));
        CHECK((late == ErrorCode::none) == planted);
        CHECK(fetched(bench) == (planted ? 20 : 50));
    }
}

TEST_CASE("offsets: G2 is found: with the plant an acknowledged commit is gone with its leader") {
    for (const bool planted : {false, true}) {
        Plants plants;
        if (planted) plants.plant(Bug::offset_commit_acked_early);
        Bench bench;
        bench.turn.plants = &plants;
        bench.commits_at_once = false;
        const Caller committing = bench.send(commit(7));
        const bool acknowledged = !bench.waits(committing);
        CHECK(acknowledged == planted);
        bench.fail_over();
        CHECK_FALSE(fetched(bench).has_value());
    }
}

TEST_CASE("offsets: a group's partition is Java's hash of its id") {
    // What String.hashCode() of Java 17 gives: 103, 35782224, 98762257, -1198440043, -2^31.
    CHECK(partition_of("", 50) == 0);
    CHECK(partition_of("g", 50) == 3);
    CHECK(partition_of("console-consumer-1", 50) == 24);
    CHECK(partition_of("gr\xc3\xb6\xc3\x9f"
                       "e",
                       50) == 7);
    CHECK(partition_of("\xf0\x9f\x98\x80-group", 50) == 43);
    CHECK(partition_of("polygenelubricants", 50) == 0);
}
