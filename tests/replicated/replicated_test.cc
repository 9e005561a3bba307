// The rule of core/replicated, against a log in memory: whatever order appends, commits, time and
// elections come in, both states are what the log makes of nothing, and each row is given back
// once.
#include "core/replicated/replicated.h"

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include <set>

using namespace klamm;
using replicated::Phase;

namespace {

struct History {
    using Record = int;
    std::vector<int> applied;
    void apply(int record) { applied.push_back(record); }
};
using Machine = replicated::Replicated<History, int>;

void load(Machine& machine, const std::vector<int>& log, LeaderEpoch epoch) {
    machine.begin_loading(epoch, Offset(0));
    for (const int record : log) machine.load(record);
    machine.loaded_to(Offset(static_cast<std::int64_t>(log.size())));
    machine.lead();
}

}  // namespace

TEST_CASE("replicated: decisions see what is appended, queries what is committed") {
    Machine machine;
    load(machine, {1, 2}, LeaderEpoch(3));
    CHECK(machine.epoch() == LeaderEpoch(3));
    machine.appended({3, 4}, Offset(3));
    machine.await(70, Instant(1000));
    CHECK(machine.latest().applied == std::vector<int>{1, 2, 3, 4});
    CHECK(machine.committed().applied == std::vector<int>{1, 2});
    CHECK(machine.commit(Offset(3)).empty());  // half a decision is no decision
    CHECK(machine.committed().applied == std::vector<int>{1, 2});
    CHECK(machine.commit(Offset(4)) == std::vector<int>{70});
    CHECK(machine.committed().applied == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("replicated: a row whose time is over is given back once, its record may still count") {
    Machine machine;
    load(machine, {}, LeaderEpoch(0));
    machine.appended({1}, Offset(0));
    machine.await(70, Instant(1000));
    machine.await(71, Instant(500));
    CHECK(machine.deadline_min() == Instant(500));
    CHECK(machine.expire(Instant(500)) == std::vector<int>{71});
    CHECK(machine.commit(Offset(1)) == std::vector<int>{70});
    CHECK(machine.expire(Instant(1000)).empty());
    CHECK(machine.committed().applied == std::vector<int>{1});
}

TEST_CASE("replicated: a leader that is deposed gives back all rows and keeps nothing") {
    Machine machine;
    load(machine, {1}, LeaderEpoch(0));
    machine.appended({2}, Offset(1));
    machine.await(70, Instant(1000));
    CHECK(machine.resign() == std::vector<int>{70});
    CHECK(machine.phase() == Phase::following);
    CHECK(machine.committed().applied.empty());
    CHECK(machine.deadline_min() == instant_never);
    load(machine, {1, 9}, LeaderEpoch(2));
    CHECK(machine.latest().applied == std::vector<int>{1, 9});
}

TEST_CASE("replicated: any schedule leaves both states as the log has them") {
    rc::prop("states are folds of the log; rows come back once, released only when committed", [] {
        Machine machine;
        std::vector<int> log;  // of the leader
        std::size_t committed = 0;
        std::map<int, std::size_t> waiting;  // row: the end that it needs
        std::map<int, std::int64_t> due;
        std::int64_t now = 0;
        int made = 0;
        std::int32_t epoch = 0;
        load(machine, log, LeaderEpoch(epoch));
        const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
            rc::gen::pair(rc::gen::inRange(0, 5), rc::gen::inRange(1, 6)));
        for (const auto& [step, amount] : steps) {
            if (step == 0) {
                std::vector<int> records;
                for (int i = 0; i < amount; ++i) records.push_back(++made);
                log.insert(log.end(), records.begin(), records.end());
                machine.appended(records, Offset(static_cast<std::int64_t>(log.size()) - 1));
            } else if (step == 1) {
                const int row = ++made;
                waiting[row] = log.size();
                due[row] = now + amount;
                machine.await(row, Instant(now + amount));
            } else if (step == 2) {
                // A high watermark never falls; one that cuts a decision in two counts for none of
                // it.
                committed = std::min(committed + static_cast<std::size_t>(amount), log.size());
                for (const int row : machine.commit(Offset(static_cast<std::int64_t>(committed)))) {
                    RC_ASSERT(waiting.contains(row));
                    RC_ASSERT(waiting[row] <= committed);
                    waiting.erase(row);
                }
                for (const auto& [row, needs] : waiting) RC_ASSERT(needs > committed);
            } else if (step == 3) {
                now += amount;
                for (const int row : machine.expire(Instant(now))) {
                    RC_ASSERT(due[row] <= now);
                    RC_ASSERT(waiting.erase(row) == 1U);
                }
                for (const auto& [row, needs] : waiting) RC_ASSERT(due[row] > now);
            } else {
                std::set<int> given;
                for (const int row : machine.resign()) RC_ASSERT(given.insert(row).second);
                RC_ASSERT(given.size() == waiting.size());
                for (const auto& [row, needs] : waiting) RC_ASSERT(given.contains(row));
                waiting.clear();
                log.resize(committed);
                load(machine, log, LeaderEpoch(++epoch));
            }
            RC_ASSERT(machine.latest().applied == log);
            const auto& counted = machine.committed().applied;
            RC_ASSERT(counted.size() <= committed);
            RC_ASSERT(std::equal(counted.begin(), counted.end(), log.begin()));
            if (!machine.pending()) RC_ASSERT(counted.size() == log.size());
        }
    });
}
