// The quorum on simulated machines: election, replication, failover, isolation, divergence, power
// lost at any moment. What must hold throughout is in quorum_world.h.
#include <catch2/catch.hpp>

#include "tests/server/quorum_world.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;

namespace {

#define HOLDS(quorum)                               \
    do {                                            \
        (quorum).check_logs();                      \
        INFO((quorum).ledger.violation);            \
        REQUIRE((quorum).ledger.violation.empty()); \
    } while (false)

/// Starts all and appends until a number is acknowledged.
bool begins(QuorumWorld& quorum) {
    quorum.start_all();
    return quorum.settles(seconds(20));
}

/// Until a number is acknowledged.
bool appends(QuorumWorld& quorum, Duration limit = seconds(20)) {
    const Instant until = quorum.world.now() + limit;
    while (quorum.world.now() < until && quorum.ledger.violation.empty()) {
        const std::uint64_t number = quorum.append();
        if (quorum.run_until([&] { return quorum.acknowledged(number); }, milliseconds(300)))
            return true;
    }
    return false;
}

std::size_t index(int leader) {
    REQUIRE(leader >= 0);
    return static_cast<std::size_t>(leader);
}

/// Faults at drawn moments for `storm`, while numbers are appended; then everything heals.
class Storm {
  public:
    Storm(QuorumWorld& quorum, std::uint64_t seed) : quorum_(quorum), draws_(seed) {}

    bool blow(Duration storm) {
        const Instant end = quorum_.world.now() + storm;
        while (quorum_.world.now() < end && quorum_.ledger.violation.empty()) {
            strike();
            const std::int64_t appends = draw(1, 6);
            for (std::int64_t i = 0; i < appends; ++i) {
                quorum_.append();
                quorum_.run_for(milliseconds(draw(1, 120)));
            }
        }
        return quorum_.settles(seconds(60));
    }

  private:
    std::int64_t draw(std::int64_t from, std::int64_t to) {
        return draws_.between(from, to, draw_domain("test.storm"), 0, ++made_);
    }
    sim::NodeId any() {
        return quorum_.nodes[index(
            static_cast<int>(draw(0, static_cast<std::int64_t>(quorum_.nodes.size()) - 1)))];
    }
    /// The leader, if there is one, in half of the cases.
    sim::NodeId victim() {
        const int leader = quorum_.leader();
        return leader >= 0 && draw(0, 1) == 0 ? quorum_.nodes[index(leader)] : any();
    }
    void strike() {
        sim::World& world = quorum_.world;
        switch (draw(0, 13)) {
            case 0: world.kill(victim()); break;
            case 1: world.kill(victim(), {.when = sim::KillRule::When::in_turn}); break;
            case 2: world.power_loss(victim()); break;
            case 3: world.power_loss(quorum_.nodes); break;
            case 4: world.pause(victim()); break;
            case 5: world.stall_disk(victim(), true); break;
            case 6:
            case 7: world.cut(victim(), any()); break;
            case 8: isolate(victim()); break;
            case 9: world.heal_all(); break;
            case 10:
                for (const sim::NodeId node : quorum_.nodes) {
                    world.resume(node);
                    world.stall_disk(node, false);
                }
                break;
            default:
                for (const sim::NodeId node : quorum_.nodes) world.start(node);
        }
    }
    void isolate(sim::NodeId node) {
        for (std::size_t i = 0; i < quorum_.nodes.size(); ++i)
            if (quorum_.nodes[i] == node) quorum_.isolate(i);
    }

    QuorumWorld& quorum_;
    Draws draws_;
    std::uint64_t made_ = 0;
};

}  // namespace

TEST_CASE("quorum: one, three and five replicas elect a leader, and all have what it appends") {
    for (const int replicas : {1, 3, 5}) {
        QuorumWorld quorum(replicas, 11);
        CHECK(begins(quorum));
        for (int i = 0; i < 5; ++i) CHECK(appends(quorum));
        CHECK(quorum.settles(seconds(5)));
        CHECK(quorum.ledger.leaders.size() == 1);
        HOLDS(quorum);
    }
}

TEST_CASE("quorum: a leader that is killed is replaced, and comes back as a follower") {
    QuorumWorld quorum(3, 12);
    REQUIRE(begins(quorum));
    const std::size_t first = index(quorum.leader());
    quorum.world.kill(quorum.nodes[first]);
    const Instant killed = quorum.world.now();
    REQUIRE(appends(quorum));
    // The fetch timeout, then an election.
    CHECK(quorum.world.now() - killed < seconds(6));
    CHECK(index(quorum.leader()) != first);
    CHECK(quorum.settles(seconds(10)));
    CHECK_FALSE(quorum.at(first)->leads());
    HOLDS(quorum);
}

TEST_CASE("quorum: an isolated leader resigns, and what it appended alone is cut") {
    QuorumWorld quorum(3, 13);
    REQUIRE(begins(quorum));
    const std::size_t first = index(quorum.leader());
    quorum.isolate(first);
    const std::uint64_t lost = quorum.append();
    REQUIRE(lost > 0);
    quorum.run_for(milliseconds(100));
    const Offset alone = quorum.log_of(first).rbegin()->first;
    const LeaderEpoch epoch = quorum.log_of(first).rbegin()->second.epoch;
    // By check-quorum: one and a half fetch timeouts without a majority.
    CHECK(quorum.run_until([&] { return !quorum.at(first)->raft()->is_leader(); },
                           milliseconds(3'100)));
    CHECK(appends(quorum));
    CHECK(index(quorum.leader()) != first);
    CHECK(quorum.log_of(first).at(alone).epoch == epoch);
    CHECK(quorum.settles(seconds(20)));
    CHECK(quorum.log_of(first).at(alone).epoch > epoch);
    CHECK_FALSE(quorum.acknowledged(lost));
    CHECK_FALSE(quorum.ledger.numbers.contains(lost));
    HOLDS(quorum);
}

TEST_CASE("quorum: without a majority nothing is committed, and with it everything goes on") {
    QuorumWorld quorum(3, 14);
    REQUIRE(begins(quorum));
    const std::size_t first = index(quorum.leader());
    for (std::size_t i = 0; i < 3; ++i)
        if (i != first) quorum.world.kill(quorum.nodes[i]);
    const std::uint64_t number = quorum.append();
    const std::size_t committed = quorum.ledger.committed.size();
    quorum.run_for(seconds(20));
    CHECK_FALSE(quorum.acknowledged(number));
    CHECK(quorum.ledger.committed.size() == committed);
    CHECK(quorum.leader() == -1);
    CHECK(quorum.settles(seconds(20)));
    // It led when they died, and has the longest log: its number is committed by its next epoch.
    CHECK(quorum.ledger.numbers.contains(number));
    HOLDS(quorum);
}

TEST_CASE("quorum: a leader that is asked to stop hands over at once") {
    QuorumWorld quorum(3, 15);
    REQUIRE(begins(quorum));
    const std::size_t first = index(quorum.leader());
    quorum.world.ask_stop(quorum.nodes[first]);
    const Instant asked = quorum.world.now();
    CHECK(quorum.run_until([&] { return quorum.leader() >= 0 && index(quorum.leader()) != first; },
                           seconds(10)));
    // No fetch timeout passes: EndQuorumEpoch has its successor campaign at once.
    CHECK(quorum.world.now() - asked < seconds(1));
    CHECK(quorum.run_until([&] { return !quorum.world.alive(quorum.nodes[first]); }, seconds(10)));
    CHECK(quorum.world.stop_status(quorum.nodes[first]) == 0);
    CHECK(quorum.settles(seconds(10)));
    HOLDS(quorum);
}

TEST_CASE("quorum: all lose their power at once, and nothing that was acknowledged is lost") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        QuorumWorld quorum(3, seed);
        REQUIRE(begins(quorum));
        for (int round = 0; round < 3; ++round) {
            for (int i = 0; i < 10; ++i) quorum.append();
            quorum.run_for(microseconds(static_cast<std::int64_t>(300 * seed)));
            quorum.world.power_loss(quorum.nodes);
            quorum.run_for(milliseconds(20));
            REQUIRE(quorum.settles(seconds(20)));
        }
        HOLDS(quorum);
    }
}

TEST_CASE("quorum: storms over one, three and five replicas break no promise") {
    std::uint64_t leaders = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t cuts = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        const int replicas = seed % 10 == 0 ? 1 : seed % 3 == 0 ? 5 : 3;
        QuorumWorld quorum(replicas, seed);
        quorum.start_all();
        const bool settled = Storm(quorum, seed).blow(seconds(6));
        INFO("seed " << seed << ", " << replicas << " replicas");
        HOLDS(quorum);
        CHECK(settled);
        CHECK(quorum.ledger.numbers.size() >= quorum.ledger.acknowledged.size());
        leaders += quorum.ledger.leaders.size();
        acknowledged += quorum.ledger.acknowledged.size();
        cuts += quorum.ledger.cuts;
    }
    CHECK(leaders > 400);
    CHECK(acknowledged > 2'000);
    CHECK(cuts > 10);
}

TEST_CASE(
    "quorum: a vote that leaves before it is durable, and a commit before the sync, are seen") {
    const std::pair<Bug, const char*> plants[] = {
        {Bug::vote_not_durable, "the votes for the leader of epoch"},
        {Bug::raft_ack_unflushed, "what is committed at offset"}};
    for (const auto& [bug, seen] : plants) {
        QuorumWorld quorum(3, 16);
        quorum.world.plants().plant(bug);
        CHECK_FALSE(begins(quorum));
        CHECK(quorum.world.plants().taken(bug) > 0);
        CHECK(quorum.ledger.violation.starts_with(seen));
    }
}

TEST_CASE("quorum: a voter whose vote is not durable yet gives it to nobody") {
    QuorumWorld quorum(3, 17);
    REQUIRE(begins(quorum));
    const std::size_t first = index(quorum.leader());
    // The two that are left need each other's votes, and one of them takes ten seconds to sync.
    const std::size_t slow = (first + 1) % 3;
    sim::DiskOptions disk;
    disk.sync_base = seconds(10);
    quorum.world.set_disk_options(quorum.nodes[slow], disk);
    quorum.world.kill(quorum.nodes[first]);
    quorum.run_for(seconds(9));
    CHECK(quorum.leader() == -1);
    // It loses its power before the first of these syncs: whatever it was about to say, it had
    // said nothing, and may be asked again.
    quorum.world.power_loss(quorum.nodes[slow]);
    quorum.world.set_disk_options(quorum.nodes[slow], {});
    CHECK(quorum.settles(seconds(30)));
    HOLDS(quorum);
}

TEST_CASE("quorum snapshots: made in slices, the log is cut below them, restarts begin with them") {
    QuorumWorld quorum(3, 41, {}, 4);
    REQUIRE(begins(quorum));
    for (int i = 0; i < 30; ++i) REQUIRE(appends(quorum));
    quorum.run_for(seconds(2));
    HOLDS(quorum);
    for (std::size_t i = 0; i < 3; ++i) {
        // Only the newest is kept, and the log begins with it.
        REQUIRE(quorum.snapshots_of(i).size() == 1);
        const auto newest = snapshot_of_file(quorum.snapshots_of(i).front());
        REQUIRE(newest.has_value());
        CHECK(quorum.at(i)->log_start() == newest->offset);
        CHECK(newest->offset > Offset(20));
    }
    quorum.world.power_loss(quorum.nodes);
    REQUIRE(begins(quorum));
    HOLDS(quorum);
    CHECK(quorum.at(0)->numbers().size() >= 31);
}

TEST_CASE("quorum snapshots: a replica that is behind the leader's log fetches one and goes on") {
    QuorumWorld quorum(3, 42, {}, 4);
    REQUIRE(begins(quorum));
    const std::size_t behind = (index(quorum.leader()) + 1) % 3;
    quorum.world.kill(quorum.nodes[behind]);
    const std::size_t had = quorum.log_of(behind).rbegin()->first.value;
    for (int i = 0; i < 30; ++i) REQUIRE(appends(quorum));
    REQUIRE(quorum.at(index(quorum.leader()))->log_start() >
            Offset(static_cast<std::int64_t>(had)));
    // It dies again and again while it fetches, and loses its power in the end.
    for (int i = 0; i < 12; ++i) {
        quorum.world.start(quorum.nodes[behind]);
        quorum.run_for(milliseconds(3 + 7 * i));
        if (i % 3 == 2)
            quorum.world.power_loss(quorum.nodes[behind]);
        else
            quorum.world.kill(quorum.nodes[behind]);
    }
    CHECK(quorum.settles(seconds(30)));
    HOLDS(quorum);
    CHECK(quorum.at(behind)->log_start() > Offset(static_cast<std::int64_t>(had)));
    CHECK(quorum.at(behind)->numbers().size() == quorum.ledger.numbers.size());
    for (const std::string& name : quorum.snapshots_of(behind))
        CHECK(snapshot_of_file(name).has_value());
}

TEST_CASE("quorum snapshots: names are Kafka's, and no others are read") {
    const raft::LogId id{LeaderEpoch(7), Offset(123)};
    CHECK(snapshot_file(id) == "00000000000000000123-0000000007.checkpoint");
    CHECK(snapshot_of_file(snapshot_file(id)) == id);
    for (const char* wrong :
         {"", "123-7.checkpoint", "00000000000000000123-0000000007.checkpoint.part",
          "00000000000000000123_0000000007.checkpoint",
          "0000000000000000012x-0000000007.checkpoint",
          "00000000000000000123-000000000-.checkpoint", "leader-epoch-checkpoint"})
        CHECK_FALSE(snapshot_of_file(wrong).has_value());
}

TEST_CASE("quorum snapshots: storms in which logs are cut all the while break no promise") {
    std::uint64_t restarts = 0;
    std::uint64_t acknowledged = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        const int replicas = seed % 10 == 0 ? 1 : seed % 3 == 0 ? 5 : 3;
        QuorumWorld quorum(replicas, seed, {}, 3);
        quorum.start_all();
        const bool settled = Storm(quorum, seed).blow(seconds(6));
        INFO("seed " << seed << ", " << replicas << " replicas");
        HOLDS(quorum);
        CHECK(settled);
        for (std::size_t i = 0; i < quorum.nodes.size(); ++i)
            restarts += quorum.at(i) == nullptr ? 0 : quorum.at(i)->snapshots_taken();
        acknowledged += quorum.ledger.acknowledged.size();
    }
    CHECK(acknowledged > 800);
    CHECK(restarts > 100);
}
