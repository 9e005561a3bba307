// Random schedules of one to five replicas: messages late, lost or asked again,
// syncs that have not returned, processes killed, power lost, snapshots,
// leaders that resign, voters that come and go. Whatever happens, Raft's
// promises hold (cluster.h); when everything heals there is one leader, and
// what it appends is committed everywhere.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>
#include <iostream>

#include "tests/raft/support.h"

using namespace klamm;
using namespace klamm::quorum;

namespace {

using Move = std::tuple<int, int, int>;

struct Totals {
    std::uint64_t epochs = 0;
    std::uint64_t committed = 0;
    std::uint64_t crashes = 0;
    std::uint64_t snapshots = 0;
    std::uint64_t changes = 0;
};

/// `kind` is below 100.
void move(Cluster& cluster, const Move& move, bool voters_change, Totals& totals) {
    const auto [kind, a, b] = move;
    const int id = 1 + a % cluster.size();
    const std::size_t count = cluster.network().size();
    const std::size_t message = count == 0 ? 0 : static_cast<std::size_t>(b) % count;
    if (cluster.change_answer == ErrorCode::none) ++totals.changes;
    cluster.change_answer.reset();
    if (kind < 38)
        cluster.deliver(message);
    else if (kind < 42)
        cluster.lose(message, b % 2 == 0);
    else if (kind < 50)
        cluster.tick(id);
    else if (kind < 54)
        cluster.expire(id);
    else if (kind < 64)
        cluster.append(cluster.leader() == 0 ? id : cluster.leader());
    else if (kind < 70)
        cluster.sync_log(id);
    else if (kind < 77)
        cluster.sync_state(id);
    else if (kind < 80)
        totals.crashes += cluster.power_off(id, static_cast<unsigned>(b) * 100 / 63) ? 1 : 0;
    else if (kind < 82)
        cluster.kill(id);
    else if (kind < 87)
        cluster.restart(id);
    else if (kind < 90)
        totals.snapshots += cluster.snapshot(id) ? 1 : 0;
    else if (kind < 91)
        cluster.resign(id);
    else if (kind < 93 && voters_change) {
        if (b % 2 == 0)
            cluster.add_voter(id);
        else
            cluster.remove_voter(id);
    } else
        cluster.drain(b % 32);
}

void heal(Cluster& cluster) {
    for (int id = 1; id <= cluster.size(); ++id) cluster.restart(id);
    cluster.settle(400);
    RC_ASSERT(cluster.violation() == "");
    const int leader = cluster.leader();
    RC_ASSERT(leader != 0);
    RC_ASSERT(cluster.append(leader));
    const Offset end = cluster.at(leader).end();
    cluster.settle(40);
    RC_ASSERT(cluster.violation() == "");
    RC_ASSERT(cluster.committed().size() >= static_cast<std::size_t>(end.value));
}

}  // namespace

TEST_CASE(
    "schedules: election safety, log matching, leader completeness, "
    "state-machine safety") {
    const AssertionsAreViolations guard;
    Totals totals;
    rc::prop("static and dynamic voters, whatever happens", [&] {
        Options options;
        options.replicas = *rc::gen::inRange(1, 6);
        options.dynamic = *rc::gen::arbitrary<bool>();
        options.seed = *rc::gen::arbitrary<std::uint64_t>();
        options.fetch_records_max = *rc::gen::element<std::size_t>(1, 2, 100);
        const auto moves = *rc::gen::container<std::vector<Move>>(
            400, rc::gen::tuple(rc::gen::inRange(0, 100), rc::gen::inRange(0, 60),
                                rc::gen::inRange(0, 64)));
        Cluster cluster(options, nullptr);
        for (const Move& one : moves) {
            move(cluster, one, options.dynamic, totals);
            RC_ASSERT(cluster.violation() == "");
        }
        heal(cluster);
        totals.epochs += static_cast<std::uint64_t>(cluster.epoch_max().value);
        totals.committed += cluster.committed().size();
    });
    std::cout << "schedules: " << totals.epochs << " epochs, " << totals.committed
              << " records committed, " << totals.crashes << " losses of power, "
              << totals.snapshots << " snapshots, " << totals.changes << " changes of voters\n";
    // A schedule in which nothing happens shows nothing.
    CHECK(totals.epochs > 100);
    CHECK(totals.committed > 400);
    CHECK(totals.crashes > 100);
    CHECK(totals.snapshots > 0);
}
