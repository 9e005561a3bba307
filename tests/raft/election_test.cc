// Elections and what follows, as transcripts that a person can review
// (tests/raft/transcripts).
#include <catch2/catch.hpp>

#include "tests/raft/support.h"

using namespace klamm;
using namespace klamm::quorum;

TEST_CASE(
    "transcript: pre-votes, votes, the epoch's first record, the high "
    "watermark") {
    Cluster cluster(plain(), nullptr);
    cluster.transcribe = true;
    REQUIRE(cluster.expire(1));
    cluster.drain(100);
    std::string said = cluster.take_transcript() + cluster.print() + "\n-- a record\n";
    REQUIRE(cluster.append(1));
    cluster.drain(100);
    said += cluster.take_transcript() + cluster.print();
    check_transcript("election", said);
    CHECK(cluster.leader() == 1);
    CHECK(cluster.committed().size() == 2);
}

TEST_CASE(
    "transcript: a leader resigns, its best successor leads, the old one "
    "follows and cuts") {
    Options options = plain();
    Cluster cluster(options, nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    // A record that only the leader has, and one more that 2 has too.
    REQUIRE(cluster.append(1));
    cluster.drain(100);
    REQUIRE(cluster.append(1));
    REQUIRE(pass(cluster, 1, 2, false));
    lose_all(cluster);
    cluster.transcribe = true;
    REQUIRE(cluster.resign(1));
    std::string said = cluster.take_transcript();
    CHECK_FALSE(cluster.at(1).raft->is_leader());
    cluster.settle(6);
    said += cluster.take_transcript();
    CHECK(cluster.violation() == "");
    REQUIRE(cluster.leader() != 0);
    CHECK(cluster.leader() != 1);
    check_transcript("resignation", said);
}

TEST_CASE("transcript: logs that diverged, a tail is cut where the epochs part") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    REQUIRE(cluster.append(1));
    REQUIRE(cluster.append(1));
    REQUIRE(elect(cluster, 2, 3));
    cluster.transcribe = true;
    speak(cluster, 2);
    converse(cluster, 2, 3);
    converse(cluster, 2, 1);
    check_transcript("divergence", cluster.take_transcript() + cluster.print());
    CHECK(cluster.at(1).disk.log == cluster.at(2).disk.log);
    CHECK(cluster.violation() == "");
}

TEST_CASE(
    "transcript: a replica that is behind the leader's log start fetches "
    "the snapshot") {
    Options options = plain();
    Cluster cluster(options, nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    cluster.kill(3);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(cluster.append(1));
        converse(cluster, 1, 2);
    }
    REQUIRE(cluster.committed().size() > 2);
    REQUIRE(cluster.snapshot(1));
    REQUIRE(cluster.at(1).disk.start.value > 1);
    lose_all(cluster);
    cluster.transcribe = true;
    REQUIRE(cluster.restart(3));
    converse(cluster, 1, 3);
    check_transcript("snapshot", cluster.take_transcript() + cluster.print());
    CHECK(cluster.at(3).disk.start == cluster.at(1).disk.start);
    CHECK(cluster.at(3).end() == cluster.at(1).end());
    CHECK(cluster.violation() == "");
}
