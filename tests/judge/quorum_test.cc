// I10: what controllers of a quorum state, in schedules that hold and in others that differ in the
// one thing. Three controllers; each batch of the metadata log holds one record.
#include <catch2/catch.hpp>
#include <string>

#include "sim/judge/judge.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

constexpr BrokerId x{3001};
constexpr BrokerId y{3002};
constexpr BrokerId z{3003};

class Quorum {
  public:
    Quorum() : judge(options()) {}

    static JudgeOptions options() {
        JudgeOptions options;
        options.metadata = log;
        options.voters = {x, y, z};
        return options;
    }
    void fact(BrokerId node, const facts::Fact& what) {
        now = now + milliseconds(1);
        judge.on_fact(now, node, 1, what);
    }
    void lead(BrokerId node, std::int32_t epoch, std::int64_t start) {
        fact(node, facts::QuorumLeading{LeaderEpoch{epoch}, Offset{start}});
    }
    void append(std::initializer_list<BrokerId> nodes, std::int64_t offset, std::int32_t epoch,
                bool synced = true) {
        for (const BrokerId node : nodes) {
            facts::BatchAppended batch{};
            batch.partition = log;
            batch.epoch = LeaderEpoch{epoch};
            batch.base_offset = batch.last_offset = Offset{offset};
            batch.crc = static_cast<std::uint32_t>(1'000 * epoch + offset);
            batch.producer_id = no_producer_id;
            batch.base_sequence = -1;
            batch.position = static_cast<std::uint64_t>(100 * offset);
            batch.size = 100;
            fact(node, batch);
            if (synced) fact(node, facts::LogFlushed{log, Offset{offset + 1}});
        }
    }
    void commit(BrokerId node, std::int32_t epoch, std::int64_t from, std::int64_t to,
                bool leads = true) {
        fact(node, facts::QuorumCommitted{LeaderEpoch{epoch}, Offset{from}, Offset{to}, leads});
    }
    void cut(BrokerId node, std::int64_t end) {
        fact(node, facts::LogTruncated{log, Offset{end}, facts::TruncateReason::divergence});
    }
    /// `x` leads epoch 1 and has committed offset 0 and 1; `z` has offset 0 only.
    void open() {
        lead(x, 1, 0);
        append({x, y, z}, 0, 1);
        append({x, y}, 1, 1);
        commit(x, 1, 0, 2);
    }
    /// The rule that was broken, or nothing.
    [[nodiscard]] std::string broken() const {
        return judge.violations().empty() ? "" : judge.violations().front().rule;
    }

    static inline const TopicPartition log{uuid_from_halves(0, 1), PartitionIndex(0)};
    Judge judge;
    Instant now;
};

}  // namespace

TEST_CASE("I10: a leader is followed by one that has all that was committed") {
    Quorum held;
    held.open();
    held.lead(y, 2, 2);
    held.append({y}, 2, 2, false);
    CHECK(held.broken().empty());
    Quorum without;
    without.open();
    without.lead(z, 2, 1);
    CHECK(without.broken() == "I10");
}

TEST_CASE("I10: one leader an epoch, whatever became of the first") {
    Quorum epochs;
    epochs.lead(x, 1, 0);
    epochs.lead(y, 2, 0);
    CHECK(epochs.broken().empty());
    epochs.lead(x, 2, 0);
    CHECK(epochs.broken() == "I10");
    Quorum again;
    again.lead(x, 1, 0);
    again.judge.on_kill(again.now, x, 1);
    again.lead(x, 1, 0);
    CHECK(again.broken() == "I10");
}

TEST_CASE("I10: one vote an epoch, and none that was told is forgotten") {
    const auto voted = [](Quorum& quorum, std::int32_t epoch, BrokerId candidate) {
        quorum.fact(z, facts::QuorumVoted{LeaderEpoch{epoch}, candidate});
    };
    const auto begins = [](Quorum& quorum, std::int32_t epoch, BrokerId vote, BrokerId leader) {
        quorum.fact(z, facts::QuorumStarted{LeaderEpoch{epoch}, vote, leader});
    };
    Quorum votes;
    voted(votes, 4, x);
    voted(votes, 4, x);
    begins(votes, 4, x, no_broker);
    begins(votes, 4, no_broker, x);
    begins(votes, 5, no_broker, no_broker);
    voted(votes, 5, y);
    CHECK(votes.broken().empty());
    Quorum second;
    voted(second, 4, x);
    voted(second, 4, y);
    CHECK(second.broken() == "I10");
    Quorum forgotten;
    voted(forgotten, 4, x);
    begins(forgotten, 4, no_broker, no_broker);
    CHECK(forgotten.broken() == "I10");
    Quorum older;
    voted(older, 4, x);
    begins(older, 3, x, no_broker);
    CHECK(older.broken() == "I10");
    Quorum wiped;  // its disk is gone, and with it what it knew
    voted(wiped, 4, x);
    wiped.judge.on_wipe(wiped.now, z, 1);
    begins(wiped, 0, no_broker, no_broker);
    CHECK(wiped.broken().empty());
}

TEST_CASE("I10: what counts as committed is synced by a majority, and of the leader's epoch") {
    Quorum unsynced;
    unsynced.lead(x, 1, 0);
    unsynced.append({x}, 0, 1);
    unsynced.append({y}, 0, 1, false);
    unsynced.commit(x, 1, 0, 1);
    CHECK(unsynced.broken() == "I10");
    Quorum older;
    older.lead(x, 1, 0);
    older.append({x, y}, 0, 1);
    older.append({x}, 1, 1);
    older.commit(x, 1, 0, 1);
    older.lead(x, 3, 2);
    older.append({y}, 1, 1);
    CHECK(older.broken().empty());
    older.commit(x, 3, 1, 2);
    CHECK(older.broken() == "I10");
}

TEST_CASE("I10: what one knows to be committed others hold, and do not cut") {
    Quorum same;
    same.open();
    same.append({z}, 1, 1);
    same.commit(z, 1, 0, 2, false);
    CHECK(same.broken().empty());
    Quorum other;
    other.open();
    other.append({z}, 1, 2);
    other.commit(z, 2, 0, 2, false);
    CHECK(other.broken() == "I10");
    Quorum tail;
    tail.open();
    tail.append({y}, 2, 1);
    tail.cut(y, 2);
    CHECK(tail.broken().empty());
    tail.cut(y, 1);
    CHECK(tail.broken() == "I10");
}

TEST_CASE("I10: a decision is a fact when it is committed, by whomever, and never if it is not") {
    Quorum quorum;
    quorum.open();
    const auto decide = [&](BrokerId node, std::int32_t epoch, std::int64_t offset,
                            std::int32_t broker) {
        quorum.fact(node, facts::MetadataDecided{LeaderEpoch{epoch}, Offset{offset},
                                                 facts::BrokerFencing{offset, BrokerId{broker},
                                                                      BrokerEpoch{0}, true}});
    };
    decide(x, 1, 2, 1);
    quorum.append({x, y}, 2, 1);
    decide(x, 1, 3, 2);
    quorum.append({x}, 3, 1);
    CHECK(quorum.judge.take_decided().empty());
    // Another leads: offset 2 is the old leader's, offset 3 is its own.
    quorum.lead(y, 2, 3);
    decide(y, 2, 3, 3);
    quorum.append({z}, 1, 1);
    quorum.append({z}, 2, 1);
    quorum.append({y, z}, 3, 2);
    quorum.commit(y, 2, 2, 4);
    std::vector<std::int32_t> fenced;
    for (const facts::Fact& fact : quorum.judge.take_decided())
        fenced.push_back(std::get<facts::BrokerFencing>(fact).broker.value);
    CHECK(fenced == std::vector<std::int32_t>{1, 3});
    CHECK(quorum.judge.take_decided().empty());
}

TEST_CASE("I10: what a snapshot has is held, also when an older start of the log comes back") {
    Quorum cut;
    cut.open();
    cut.fact(y, facts::LogStartMoved{Quorum::log, Offset{2}, facts::LogStartReason::retention});
    cut.judge.on_kill(cut.now, y, 1);
    cut.fact(y, facts::LogOpened{Quorum::log, Offset{0}, Offset{2}, Offset{0}, false, false});
    cut.lead(y, 2, 2);
    cut.append({y}, 2, 2, false);
    CHECK(cut.broken().empty());
    Quorum short_of_it;
    short_of_it.open();
    short_of_it.fact(
        z, facts::LogStartMoved{Quorum::log, Offset{1}, facts::LogStartReason::retention});
    short_of_it.lead(z, 2, 1);
    CHECK(short_of_it.broken() == "I10");
}
