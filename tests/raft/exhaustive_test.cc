// Exhaustive small scopes: three voters, every interleaving of messages, syncs, timeouts and losses
// of power within a bound of events. Without a plant no state is bad; with one, a bad one is
// reached. Where a mistake needs a longer story than can be searched from the beginning, the
// story's first part is given and the rest is searched for.

#include <catch2/catch.hpp>
#include <iostream>

#include "tests/raft/support.h"

using namespace klamm;
using namespace klamm::quorum;

namespace {

Options silent() {
    Options options;
    options.find_leader = false;
    return options;
}

Search run(const char* name, const Cluster& start, const Budget& budget, int depth) {
    const Search result = search(start, budget, depth);
    std::cout << "exhaustive: " << name << ": depth " << depth << ", " << result.states
              << " states, " << result.events << " events";
    if (!result.violation.empty()) {
        std::cout << ", found " << result.violation << " by";
        for (const Event& event : result.trace) std::cout << " " << to_string(event);
    }
    std::cout << "\n";
    return result;
}

// Sanitizers make a search some ten times slower; there the scopes are smaller.
#if defined(__SANITIZE_ADDRESS__)
constexpr int less = 2;
#else
constexpr int less = 0;
#endif

}  // namespace

TEST_CASE("exhaustive: elections, with votes that are not durable yet and a loss of power") {
    const AssertionsAreViolations guard;
    Options options = silent();
    options.sync_logs = true;
    const Search result = run("elections", Cluster(options, nullptr),
                              {.expiries = 2, .appends = 0, .crashes = 1, .epochs = 2}, 12 - less);
    CHECK(result.violation.empty());
    CHECK(result.states > (less == 0 ? 20'000U : 1'000U));
}

TEST_CASE("exhaustive: replication, with logs that are not durable yet and a loss of power") {
    const AssertionsAreViolations guard;
    Options options = silent();
    options.sync_states = true;
    Cluster start(options, nullptr);
    REQUIRE(elect_and_follow(start, 1));
    const Search result = run("replication", start,
                              {.expiries = 2, .appends = 2, .crashes = 1, .epochs = 3}, 8 - less);
    CHECK(result.violation.empty());
    CHECK(result.states > (less == 0 ? 30'000U : 1'000U));
}

TEST_CASE("plant C1: a vote that is spoken of before it is durable makes two leaders") {
    const AssertionsAreViolations guard;
    // 2 has voted for 1 when it loses its power; 3 is a candidate too.
    const auto story = [](Cluster& cluster) {
        for (const int id : {1, 3}) {
            REQUIRE(cluster.expire(id));
            cluster.sync_state(id);
        }
        for (const int id : {1, 2, 3}) cluster.sync_state(id);
        REQUIRE(pass(cluster, 1, 2, true));
        REQUIRE(pass(cluster, 2, 1, false));
        cluster.sync_state(1);
        REQUIRE(pass(cluster, 3, 2, true));
        REQUIRE(pass(cluster, 2, 3, false));
        cluster.sync_state(3);
        REQUIRE(pass(cluster, 1, 2, true));
    };
    Plants plants;
    plants.plant(Bug::vote_not_durable);
    Options options = silent();
    options.sync_logs = true;
    const Budget budget{.expiries = 0, .appends = 0, .crashes = 1, .epochs = 3};
    Cluster planted(options, &plants);
    story(planted);
    const Search found = run("C1", planted, budget, 6);
    CHECK(found.violation.find("election safety") == 0);
    CHECK(plants.taken(Bug::vote_not_durable) > 0);
    Cluster sound(options, nullptr);
    story(sound);
    CHECK(run("C1, not planted", sound, budget, 8).violation.empty());
}

TEST_CASE("plant C4: what counts before it is flushed is lost with the power") {
    const AssertionsAreViolations guard;
    // 1 and 2 hold a record that neither has synced; whether it counts is the question.
    const auto story = [](Cluster& cluster) {
        REQUIRE(elect_and_follow(cluster, 1));
        REQUIRE(cluster.append(1));
        REQUIRE(pass(cluster, 1, 2, false));
        pass(cluster, 2, 1, true);
        REQUIRE(cluster.power_off(1, 0));
        REQUIRE(cluster.power_off(2, 0));
        REQUIRE(cluster.restart(2));
        cluster.sync_state(2);
        REQUIRE(cluster.expire(3));
    };
    Plants plants;
    plants.plant(Bug::raft_ack_unflushed);
    const Budget budget{.expiries = 1, .appends = 0, .crashes = 0, .epochs = 5};
    Cluster planted(silent(), &plants);
    story(planted);
    const Search found = run("C4", planted, budget, 8);
    CHECK(found.violation.find("leader completeness") == 0);
    CHECK(plants.taken(Bug::raft_ack_unflushed) > 0);
    Cluster sound(silent(), nullptr);
    story(sound);
    CHECK(run("C4, not planted", sound, budget, 8).violation.empty());
}

TEST_CASE("plant C5: a record of an older epoch on a majority is not committed by that") {
    const AssertionsAreViolations guard;
    // Raft's figure 8. 1 has a record alone; 2 leads with a record of its own there, and goes down;
    // 1 leads again, and 3 fetches the old record, not yet the first one of the new epoch.
    const auto story = [](Cluster& cluster) {
        REQUIRE(elect_and_follow(cluster, 1));
        REQUIRE(cluster.append(1));
        cluster.sync_log(1);
        REQUIRE(elect(cluster, 2, 3));
        REQUIRE(cluster.kill(2));
        REQUIRE(elect(cluster, 1, 3));
        // It makes itself known again, and the first record that it lacks goes to 3.
        speak(cluster, 1);
        REQUIRE(pass(cluster, 1, 3, true));
        cluster.sync_state(3);
        INFO(cluster.print());
        REQUIRE(pass(cluster, 3, 1, true));
        cluster.sync_state(1);
        REQUIRE(pass(cluster, 1, 3, false));
        cluster.sync_log(3);
        pass(cluster, 3, 1, true);
        REQUIRE(cluster.kill(1));
        REQUIRE(cluster.restart(2));
        cluster.sync_state(2);
        REQUIRE(cluster.expire(3));
        REQUIRE(cluster.expire(2));
    };
    Plants plants;
    plants.plant(Bug::commit_old_term_by_count);
    Options options = silent();
    options.fetch_records_max = 1;
    const Budget budget{.expiries = 2, .appends = 0, .crashes = 0, .epochs = 9};
    Cluster planted(options, &plants);
    story(planted);
    const Search found = run("C5", planted, budget, 9);
    CHECK(found.violation.find("leader completeness") == 0);
    CHECK(plants.taken(Bug::commit_old_term_by_count) > 0);
    Cluster sound(options, nullptr);
    story(sound);
    CHECK(run("C5, not planted", sound, budget, 7).violation.empty());
}

TEST_CASE("plant C7: a change of voters that is answered when it is appended can be undone") {
    const AssertionsAreViolations guard;
    const auto story = [](Cluster& cluster) {
        REQUIRE(elect_and_follow(cluster, 1));
        REQUIRE(cluster.remove_voter(3));
        REQUIRE(cluster.kill(1));
        lose_all(cluster);
        REQUIRE(cluster.expire(3));
        REQUIRE(cluster.expire(2));
    };
    Plants plants;
    plants.plant(Bug::controller_replies_before_commit);
    Options options = silent();
    options.dynamic = true;
    const Budget budget{.expiries = 1, .appends = 0, .crashes = 0, .epochs = 9};
    Cluster planted(options, &plants);
    story(planted);
    const Search found = run("C7", planted, budget, 8);
    CHECK(found.violation.find("leader completeness") == 0);
    CHECK(plants.taken(Bug::controller_replies_before_commit) > 0);
    Cluster sound(options, nullptr);
    story(sound);
    CHECK(run("C7, not planted", sound, budget, 8).violation.empty());
}
