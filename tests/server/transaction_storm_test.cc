// Transactions under fire: producers that write numbered records to a partition and commit or
// abort, while brokers are killed, lose power, are paused and come back. In the end a reader of
// what is committed must find, of each transaction, all or nothing, and which of the two as the
// producer was told.
#include <catch2/catch.hpp>

#include "tests/server/transaction_world.h"

using namespace klamm;
using namespace klamm::server;
using namespace klamm::server::test;
using protocol::ErrorCode;

namespace {

const DrawDomain storm_domain = draw_domain("test.transaction_storm");

/// What a producer knows of the transactions that it has begun.
struct Story {
    enum class End : std::uint8_t { open, committed, aborted, unknown };
    struct One {
        std::vector<std::string> values;   // acknowledged
        std::vector<std::string> doubted;  // sent, and perhaps there
        End end = End::open;
    };
    std::string id;
    bool newest = false;  // speaks transaction.version 2
    Identity who{};
    std::int32_t sequence = 0;
    int begun = 0;
    std::vector<One> all;
};

class Storm {
  public:
    Storm(std::uint64_t seed, env::ShardIndex shards)
        : world_(options(seed, shards)), draws_(seed) {
        REQUIRE(world_.ready);
        for (int i = 0; i < 3; ++i)
            stories_.push_back(
                {.id = "tx" + std::to_string(i), .newest = i != 1, .who = {}, .all = {}});
    }

    void run(int steps) {
        for (int i = 0; i < steps; ++i) {
            if (below(5) == 0) trouble();
            transact(stories_[below(stories_.size())]);
            world_.cluster.world.run_for(milliseconds(static_cast<std::int64_t>(below(300))));
        }
        for (const sim::NodeId node : world_.cluster.brokers) {
            if (world_.cluster.world.paused(node)) world_.cluster.world.resume(node);
            world_.cluster.world.start(node);
        }
        // Whoever is left in the middle is aborted by its successor.
        for (Story& story : stories_) begin_anew(story);
        // A new leader learns only by its followers' fetches what was committed before it, and not
        // before those that have gone are out of the ISR or back.
        REQUIRE(world_.cluster.world.run_until(
            [&] {
                const ReplicaHost* leads = world_.cluster.host(world_.leader_of(trial.topic));
                return leads != nullptr && world_.cluster.in_sync() &&
                       leads->high_watermark() == leads->log_end();
            },
            seconds(60)));
    }

    void judge() {
        const auto seen = world_.read(true);
        INFO("led by " << world_.leader_of(trial.topic).value);
        CHECK(seen.stable.value == seen.high_watermark.value);
        CHECK(seen.high_watermark.value ==
              world_.cluster.host(world_.leader_of(trial.topic))->log_end().value);
        std::map<std::string, int> times;
        for (const std::string& value : seen.values) ++times[value];
        for (const auto& [value, count] : times) {
            INFO(value);
            CHECK(count == 1);
        }
        for (const Story& story : stories_)
            for (const Story::One& one : story.all) {
                std::size_t there = 0;
                for (const std::string& value : one.values) there += times.erase(value);
                std::size_t doubted = 0;
                for (const std::string& value : one.doubted) doubted += times.erase(value);
                INFO(story.id << ": " << (one.values.empty() ? "" : one.values.front()));
                if (one.end == Story::End::committed) CHECK(there == one.values.size());
                if (one.end == Story::End::aborted) CHECK(there + doubted == 0);
                // All or nothing, whatever its producer was told.
                CHECK((there == 0 || there == one.values.size()));
                if (there == 0 && !one.values.empty()) CHECK(doubted == 0);
            }
        CHECK(times.empty());
        for (const auto& [producer, kinds] : world_.markers()) CHECK_FALSE(kinds.empty());
    }
    [[nodiscard]] int ended(Story::End how) const {
        int count = 0;
        for (const Story& story : stories_)
            for (const Story::One& one : story.all) count += one.end == how ? 1 : 0;
        return count;
    }

  private:
    static ClusterOptions options(std::uint64_t seed, env::ShardIndex shards) {
        ClusterOptions made = with_transactions(3, shards, seed);
        made.transaction_version = 2;
        made.topic = {{"min.insync.replicas", "2"}};
        for (TopicPlan& topic : made.more_topics) topic.configs["min.insync.replicas"] = "2";
        made.request_timeout_ms = 5'000;
        return made;
    }
    std::uint64_t below(std::uint64_t bound) {
        return draws_.below(bound, storm_domain, 0, ++drawn_);
    }

    /// At most one broker is away at a time: what is acknowledged by two is not lost.
    void trouble() {
        sim::World& world = world_.cluster.world;
        if (away_) {
            world.run_for(milliseconds(50));  // it has come by now
            if (world.paused(*away_)) world.resume(*away_);
            world.start(*away_);
            away_.reset();
            world.run_until([&] { return world_.cluster.in_sync(); }, seconds(20));
            return;
        }
        const sim::NodeId node = world_.cluster.brokers[below(3)];
        away_ = node;
        // Within the next request, at a moment of its own.
        const Duration later = microseconds(static_cast<std::int64_t>(below(40'000)));
        const std::uint64_t kind = below(3);
        world.schedule(world.now() + later, drawn_, [this, node, kind] {
            if (kind == 0)
                world_.cluster.world.kill(node);
            else if (kind == 1)
                world_.cluster.world.power_loss(node);
            else
                world_.cluster.world.pause(node);
        });
    }

    void begin_anew(Story& story) {
        story.who = world_.init(story.id);
        story.sequence = 0;
    }

    /// True when it is there; false when it certainly is not in this transaction; nothing when its
    /// fate is unknown.
    std::optional<bool> write(Story& story, const std::string& value) {
        const Bytes bytes = world_.batch(story.who, story.sequence, value);
        auto request = produce_of(bytes, -1, false, 3'000);
        request.transactional_id = story.id;
        for (int attempt = 0; attempt < 40; ++attempt) {
            const auto answer = world_.once(trial.topic, request, story.newest ? 12 : 9);
            const ErrorCode error =
                answer ? only(answer->body).error_code : ErrorCode::network_exception;
            if (error == ErrorCode::none) {
                ++story.sequence;
                return true;
            }
            if (error == ErrorCode::invalid_producer_epoch ||
                error == ErrorCode::out_of_order_sequence_number ||
                error == ErrorCode::invalid_txn_state ||
                error == ErrorCode::transaction_abortable ||
                error == ErrorCode::invalid_producer_id_mapping)
                return std::nullopt;
            world_.cluster.world.run_for(milliseconds(100));
        }
        return std::nullopt;
    }

    void transact(Story& story) {
        if (story.who.producer == no_producer_id) begin_anew(story);
        const std::string name = story.id + "." + std::to_string(++story.begun);
        story.all.emplace_back();
        Story::One& one = story.all.back();
        if (!story.newest && world_.add(story.id, story.who) != ErrorCode::none) {
            one.end = Story::End::aborted;
            return begin_anew(story);
        }
        for (std::uint64_t i = 0, count = 1 + below(3); i < count; ++i) {
            const std::string value = name + "-" + std::to_string(i);
            if (!write(story, value)) {
                // It gives up as a client would: whoever comes next with the id fences it.
                one.doubted.push_back(value);
                one.end = Story::End::aborted;
                return begin_anew(story);
            }
            one.values.push_back(value);
        }
        const bool commit = below(3) != 0;
        const auto end =
            world_.served(state_id, TransactionWorld::end_of(story.id, story.who, commit),
                          story.newest ? 5 : 3, [](const auto& body) { return body.error_code; });
        if (end->error_code != ErrorCode::none) {
            one.end = Story::End::unknown;
            return begin_anew(story);
        }
        one.end = commit ? Story::End::committed : Story::End::aborted;
        // By the classic protocol an end that was repeated may come late and hit the next one (X1):
        // where that may be, the next has another epoch.
        if (!story.newest && away_) return begin_anew(story);
        if (!story.newest) return;
        story.who = {end->producer_id, end->producer_epoch};
        story.sequence = 0;
    }

    TransactionWorld world_;
    Draws draws_;
    std::uint64_t drawn_ = 0;
    std::vector<Story> stories_;
    std::optional<sim::NodeId> away_;
};

}  // namespace

TEST_CASE("transactions: under kills, power losses and pauses each is there whole or not at all") {
    int committed = 0;
    int aborted = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        INFO("seed " << seed);
        Storm storm(seed, seed % 4 == 0 ? 3 : 1);
        storm.run(30);
        storm.judge();
        committed += storm.ended(Story::End::committed);
        aborted += storm.ended(Story::End::aborted);
    }
    CHECK(committed > 1'000);
    CHECK(aborted > 400);
}
