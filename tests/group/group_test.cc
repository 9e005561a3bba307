// The classic group protocol, told as stories: joining, rebalancing, static members, leaving,
// sessions that end, and what happens when a write fails or the coordinator moves.
#include "tests/group/bench.h"

using namespace klamm;
using namespace klamm::group;

namespace {

Heartbeat heartbeat(const JoinAnswer& joined) {
    return {.group = "g", .generation = joined.generation, .member = joined.member};
}
ErrorCode beat(Bench& bench, const JoinAnswer& joined) {
    return bench.ask<PlainAnswer>(heartbeat(joined)).error;
}
Leave leave(const std::string& member) { return {.group = "g", .members = {{.id = member}}}; }

}  // namespace

TEST_CASE("group: the first rebalance waits for more, all are in one generation with one leader") {
    Bench bench;
    const Caller first = bench.send(join());
    bench.pass(milliseconds(2'000));
    const Caller second = bench.send(join());
    bench.pass(milliseconds(1'500));
    CHECK(bench.waits(first));  // who came meanwhile prolongs it
    bench.pass(milliseconds(3'000));
    const auto a = bench.take<JoinAnswer>(first);
    const auto b = bench.take<JoinAnswer>(second);
    CHECK(a.error == ErrorCode::none);
    CHECK(a.generation == 1);
    CHECK(b.generation == 1);
    CHECK(a.leader == b.leader);
    CHECK((a.leader == a.member || a.leader == b.member));
    CHECK(a.members.size() + b.members.size() == 2U);  // the leader's alone
    CHECK(a.protocol == "range");
    CHECK(a.member.starts_with("client-"));
    CHECK(a.member.size() == std::string("client-").size() + 36);
}

TEST_CASE("group: a dynamic member is first given its id, which ends when it does not come") {
    Bench bench;
    Join first = join();
    first.needs_known_member = true;
    const auto named = bench.ask<JoinAnswer>(first);
    CHECK(named.error == ErrorCode::member_id_required);
    const auto gone = bench.ask<JoinAnswer>(first);
    bench.pass(milliseconds(9'000));
    const Caller caller = bench.send(join(named.member));
    bench.pass(milliseconds(4'000));
    CHECK(bench.take<JoinAnswer>(caller).error == ErrorCode::none);
    CHECK(bench.ask<JoinAnswer>(join(gone.member)).error == ErrorCode::unknown_member_id);
}

TEST_CASE("group: the leader's assignment reaches all when it is committed, not before") {
    Bench bench;
    const auto members = stable_group(bench, 2);
    bench.commits_at_once = false;
    // The follower asks for a new generation by leaving; the leader is alone in it.
    CHECK(bench.ask<LeaveAnswer>(leave(members[1].member)).error == ErrorCode::none);
    CHECK(beat(bench, members[0]) == ErrorCode::rebalance_in_progress);
    const auto again = bench.ask<JoinAnswer>(join(members[0].member));
    CHECK(again.generation == 2);
    const Caller syncing = bench.send(sync(again, {{again.member, as_assignment("all")}}));
    CHECK(bench.waits(syncing));
    CHECK(bench.group("g")->is(GroupState::completing_rebalance));
    bench.commit_all();
    CHECK(bench.take<SyncAnswer>(syncing).assignment == as_assignment("all"));
    CHECK(bench.group("g")->is(GroupState::stable));
    const auto described = bench.ask<DescribeAnswer>(Describe{"g"});
    CHECK(described.state == "Stable");
    REQUIRE(described.members.size() == 1U);
    CHECK(described.members[0].assignment == as_assignment("all"));
}

TEST_CASE("group: an assignment that cannot be written brings everybody back to joining") {
    Bench bench;
    const Caller joining = bench.send(join());
    bench.pass(milliseconds(4'000));
    const auto joined = bench.take<JoinAnswer>(joining);
    bench.append_error = ErrorCode::not_enough_replicas;
    CHECK(bench.ask<SyncAnswer>(sync(joined)).error == ErrorCode::coordinator_not_available);
    CHECK(bench.group("g")->is(GroupState::preparing_rebalance));
    bench.append_error.reset();
    const auto again = bench.ask<JoinAnswer>(join(joined.member));
    CHECK(again.generation == 2);
    CHECK(bench.ask<SyncAnswer>(sync(again)).error == ErrorCode::none);
}

TEST_CASE("group: a session that ends makes the others rebalance, heartbeats keep it") {
    Bench bench;
    const auto members = stable_group(bench, 2);
    for (int i = 0; i < 4; ++i) {
        bench.pass(milliseconds(4'000));
        const auto expected = i < 2 ? ErrorCode::none : ErrorCode::rebalance_in_progress;
        CHECK(beat(bench, members[0]) == expected);
    }
    CHECK(beat(bench, members[1]) == ErrorCode::unknown_member_id);
    const auto again = bench.ask<JoinAnswer>(join(members[0].member));
    CHECK(again.generation == members[0].generation + 1);
    CHECK(again.members.size() == 1U);
    CHECK(beat(bench, members[0]) == ErrorCode::illegal_generation);
}

TEST_CASE("group: who does not rejoin within the rebalance timeout, or never syncs, is out") {
    Bench bench;
    const auto members = stable_group(bench, 2);
    Join changed = join(members[1].member);
    changed.protocols = {{"range", subscription({"t", "u"})}};
    const Caller waiting = bench.send(changed);
    for (int i = 0; i < 7; ++i) {
        bench.pass(milliseconds(9'000));
        if (i < 6) CHECK(beat(bench, members[0]) == ErrorCode::rebalance_in_progress);
    }
    const auto joined = bench.take<JoinAnswer>(waiting);
    CHECK(joined.generation == 2);
    CHECK(joined.leader == members[1].member);
    // It heartbeats and never syncs.
    for (int i = 0; i < 7; ++i) {
        bench.pass(milliseconds(9'000));
        (void)beat(bench, joined);
    }
    CHECK(beat(bench, joined) == ErrorCode::unknown_member_id);
    CHECK(bench.group("g")->is(GroupState::empty));
}

TEST_CASE("group: a static member that comes back keeps its assignment without a rebalance") {
    Bench bench;
    Join first = join();
    first.instance = "i1";
    const Caller joining = bench.send(first);
    bench.pass(milliseconds(4'000));
    const auto old = bench.take<JoinAnswer>(joining);
    CHECK(bench.ask<SyncAnswer>(sync(old, {{old.member, as_assignment("all")}})).error ==
          ErrorCode::none);
    first.can_skip_assignment = true;
    const auto back = bench.ask<JoinAnswer>(first);
    CHECK(back.error == ErrorCode::none);
    CHECK(back.member != old.member);
    CHECK(back.generation == old.generation);
    CHECK(back.leader == back.member);
    CHECK(back.skip_assignment);
    CHECK(bench.ask<SyncAnswer>(sync(back)).assignment == as_assignment("all"));
    // The old one is fenced wherever it says who it is.
    Heartbeat zombie = heartbeat(old);
    zombie.instance = "i1";
    CHECK(bench.ask<PlainAnswer>(zombie).error == ErrorCode::fenced_instance_id);
    Commit late = commit(5, old.generation, old.member);
    late.instance = "i1";
    CHECK(bench.ask<OffsetsAnswer>(late).error == ErrorCode::fenced_instance_id);
    // The new id is in the log.
    bench.fail_over();
    CHECK(beat(bench, back) == ErrorCode::none);
}

TEST_CASE("group: a static member whose new id cannot be written is the old one still") {
    Bench bench;
    Join first = join();
    first.instance = "i1";
    const Caller joining = bench.send(first);
    bench.pass(milliseconds(4'000));
    const auto old = bench.take<JoinAnswer>(joining);
    CHECK(bench.ask<SyncAnswer>(sync(old)).error == ErrorCode::none);
    bench.append_error = ErrorCode::not_leader_or_follower;
    CHECK(bench.ask<JoinAnswer>(first).error == ErrorCode::not_coordinator);
    bench.append_error.reset();
    Heartbeat alive = heartbeat(old);
    alive.instance = "i1";
    CHECK(bench.ask<PlainAnswer>(alive).error == ErrorCode::none);
}

TEST_CASE("group: several leave at once, by id and by instance, a strange one is told so") {
    Bench bench;
    Join first = join();
    first.instance = "i1";
    const Caller one = bench.send(first);
    const Caller two = bench.send(join());
    bench.pass(milliseconds(7'000));
    const auto a = bench.take<JoinAnswer>(one);
    const auto b = bench.take<JoinAnswer>(two);
    const auto left = bench.ask<LeaveAnswer>(
        Leave{.group = "g", .members = {{.id = "", .instance = "i1"}, {b.member}, {"nobody"}}});
    CHECK(left.error == ErrorCode::none);
    CHECK(left.members ==
          std::vector{ErrorCode::none, ErrorCode::none, ErrorCode::unknown_member_id});
    CHECK(bench.group("g")->is(GroupState::empty));
    CHECK(a.generation == 1);
    CHECK(std::get<GroupRecord>(bench.log.back()).value->members.empty());
    const auto none = bench.ask<LeaveAnswer>(Leave{.group = "other", .members = {{"x"}}});
    CHECK(none.members == std::vector{ErrorCode::unknown_member_id});
}

TEST_CASE("group: what a member may ask is checked: size, session, protocols, generation") {
    Settings settings;
    settings.members_max = 1;
    Bench bench(settings);
    Join hasty = join();
    hasty.session_ms = 5'999;
    CHECK(bench.ask<JoinAnswer>(hasty).error == ErrorCode::invalid_session_timeout);
    Join nameless = join();
    nameless.group.clear();
    CHECK(bench.ask<JoinAnswer>(nameless).error == ErrorCode::invalid_group_id);
    CHECK(bench.ask<JoinAnswer>(join("made-up")).error == ErrorCode::unknown_member_id);
    const auto members = stable_group(bench, 1);
    CHECK(bench.ask<JoinAnswer>(join()).error == ErrorCode::group_max_size_reached);
    Join other = join(members[0].member, {"sticky"});
    CHECK(bench.ask<JoinAnswer>(other).error == ErrorCode::inconsistent_group_protocol);
    Sync stale = sync(members[0]);
    stale.generation = 0;
    CHECK(bench.ask<SyncAnswer>(stale).error == ErrorCode::illegal_generation);
    Sync odd = sync(members[0]);
    odd.protocol = "sticky";
    CHECK(bench.ask<SyncAnswer>(odd).error == ErrorCode::inconsistent_group_protocol);
}

TEST_CASE("group: the protocol is what all support and most prefer") {
    Bench bench;
    const Caller a = bench.send(join("", {"cooperative-sticky", "range"}));
    const Caller b = bench.send(join("", {"range", "cooperative-sticky"}));
    const Caller c = bench.send(join("", {"range", "roundrobin", "cooperative-sticky"}));
    bench.pass(milliseconds(7'000));
    for (const Caller caller : {a, b, c}) CHECK(bench.take<JoinAnswer>(caller).protocol == "range");
}

TEST_CASE("group: a request that another replaces is answered, and so is one whose member leaves") {
    Bench bench;
    const auto members = stable_group(bench, 2);
    const Caller first = bench.send(join(members[0].member));
    const Caller again = bench.send(join(members[0].member));
    CHECK(bench.take<JoinAnswer>(first).error == ErrorCode::rebalance_in_progress);
    CHECK(bench.waits(again));
    CHECK(bench.ask<LeaveAnswer>(leave(members[0].member)).members[0] == ErrorCode::none);
    CHECK(bench.take<JoinAnswer>(again).error == ErrorCode::unknown_member_id);
}

TEST_CASE("group: on failover members keep generation and assignment, who waited is told to go") {
    Bench bench;
    const auto members = stable_group(bench, 3);
    Join changed = join(members[1].member);
    changed.protocols = {{"range", subscription({"t", "u"})}};
    const Caller waiting = bench.send(changed);
    bench.fail_over();
    CHECK(bench.take<JoinAnswer>(waiting).error == ErrorCode::not_coordinator);
    CHECK(bench.group("g")->is(GroupState::stable));
    for (const auto& member : members) {
        CHECK(beat(bench, member) == ErrorCode::none);
        CHECK(bench.ask<SyncAnswer>(sync(member)).assignment == as_assignment(member.member));
    }
    // Each has a session's time to be heard of.
    bench.pass(milliseconds(9'000));
    CHECK(beat(bench, members[0]) == ErrorCode::none);
    bench.pass(milliseconds(2'000));
    CHECK(beat(bench, members[1]) == ErrorCode::unknown_member_id);
}

TEST_CASE("group: who loads or does not lead says so, and a heartbeat is let pass while loading") {
    Coordinator coordinator{Settings()};
    const Turn turn{.now = Instant{}, .wall = Timestamp(1), .draws = Draws(1)};
    coordinator.handle(turn, 1, join());
    coordinator.begin_loading(LeaderEpoch(1), Offset(0));
    coordinator.handle(turn, 2, join());
    coordinator.handle(turn, 3, Heartbeat{.group = "g", .generation = 1, .member = "m"});
    coordinator.handle(turn, 4, Fetch{.group = "g", .partitions = std::nullopt});
    const auto answers = coordinator.take_answers();
    REQUIRE(answers.size() == 4U);
    CHECK(std::get<JoinAnswer>(answers[0].body).error == ErrorCode::not_coordinator);
    CHECK(std::get<JoinAnswer>(answers[1].body).error == ErrorCode::coordinator_load_in_progress);
    CHECK(std::get<PlainAnswer>(answers[2].body).error == ErrorCode::none);
    CHECK(std::get<FetchAnswer>(answers[3].body).error == ErrorCode::coordinator_load_in_progress);
}
