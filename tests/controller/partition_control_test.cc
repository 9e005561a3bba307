// What happens to brokers, told as what happens to their partitions.

#include "core/controller/partition_control.h"

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "tests/controller/cluster.h"

namespace {

using namespace klamm;
using namespace klamm::controller;
using protocol::ErrorCode;

ErrorCode try_alter(const Cluster& cluster, const AlterPartition& request) {
    return alter_partition(cluster.image, request, cluster.epoch_of(request.broker)).error;
}

}  // namespace

TEST_CASE(
    "control: the last replica standing comes back, another led meanwhile, nothing is guessed") {
    // ISR {1}, ELR {2}; 1 loses power and comes back without proof; 2 leads, not 1.
    Cluster cluster(true);
    cluster.fence(3);
    cluster.fence(2);
    CHECK(cluster.partition().isr == ids({1}));
    CHECK(cluster.partition().elr == ids({2}));
    cluster.fence(1);
    CHECK(cluster.partition().leader == no_broker);
    CHECK(cluster.partition().elr == ids({1, 2}));
    cluster.register_again(1, false);
    CHECK(cluster.partition().elr == ids({2}));
    cluster.unfence(1);
    CHECK(cluster.partition().leader == no_broker);
    cluster.unfence(2);
    CHECK(cluster.partition().leader == BrokerId(2));
    CHECK(cluster.partition().isr == ids({2}));
    CHECK(cluster.partition().last_known_elr.empty());
}

TEST_CASE("control: without ELR the only member leads again, whatever it has lost") {
    Cluster cluster(false);
    cluster.fence(3);
    cluster.fence(2);
    cluster.fence(1);
    CHECK(cluster.partition().isr == ids({1}));
    CHECK(cluster.partition().leader == no_broker);
    cluster.register_again(1, false);
    cluster.unfence(2);
    CHECK(cluster.partition().leader == no_broker);
    cluster.unfence(1);
    CHECK(cluster.partition().leader == BrokerId(1));
    CHECK(cluster.partition().recovery == metadata::LeaderRecoveryState::recovered);
}

TEST_CASE("control: all stop without proof, the last known leader leads, and its cause is told") {
    Cluster cluster(true);
    for (const int broker : {3, 2, 1}) cluster.fence(broker);
    for (const int broker : {1, 2, 3}) cluster.register_again(broker, false);
    CHECK(cluster.partition().elr.empty());
    CHECK(cluster.partition().last_known_elr == ids({1}));
    cluster.unfence(2);
    CHECK(cluster.partition().leader == no_broker);
    const Decisions decisions = unfence_broker(cluster.image, BrokerId(1));
    REQUIRE(decisions.size() == 2);
    CHECK(decisions[1].cause == PartitionChangeCause::elected_last_known);
    cluster.put(decisions);
    CHECK(cluster.partition().leader == BrokerId(1));
    CHECK(cluster.partition().isr == ids({1}));
    CHECK(cluster.partition().recovery == metadata::LeaderRecoveryState::recovering);
}

TEST_CASE("control: a proven stop keeps eligibility") {
    Cluster cluster(true);
    for (const int broker : {3, 2, 1}) cluster.fence(broker);
    cluster.register_again(1, true);
    CHECK(cluster.partition().elr == ids({1, 2}));
    const Decisions decisions = unfence_broker(cluster.image, BrokerId(1));
    cluster.put(decisions);
    CHECK(cluster.partition().leader == BrokerId(1));
    CHECK(cluster.partition().recovery == metadata::LeaderRecoveryState::recovered);
}

TEST_CASE("control: unclean by configuration and by an administrator have their causes") {
    Cluster configured(false, 1, true);
    configured.put(
        alter_partition(configured.image, configured.alter({1}), configured.epoch_of(BrokerId(1)))
            .decisions);
    const Decisions by_configuration = fence_broker(configured.image, BrokerId(1));
    REQUIRE(by_configuration.size() == 2);
    CHECK(by_configuration[0].cause == PartitionChangeCause::elected_unclean);

    Cluster asked(false, 1, false);
    asked.put(
        alter_partition(asked.image, asked.alter({1}), asked.epoch_of(BrokerId(1))).decisions);
    asked.fence(1);
    CHECK(asked.partition().leader == no_broker);
    CHECK(elect_leaderless(asked.image).empty());
    const auto outcome = elect_leader(asked.image, test_partition, Election::unclean);
    CHECK(outcome.error == ErrorCode::none);
    REQUIRE(outcome.decisions.size() == 1);
    CHECK(outcome.decisions[0].cause == PartitionChangeCause::elected_by_administrator);
    asked.put(outcome.decisions);
    CHECK(asked.partition().leader == BrokerId(2));
    CHECK(asked.partition().isr == ids({2}));
    CHECK(elect_leader(asked.image, test_partition, Election::unclean).error ==
          ErrorCode::election_not_needed);
}

TEST_CASE("control: a preferred election moves leadership and keeps the old leader in sync") {
    Cluster cluster(true);
    cluster.fence(1);
    CHECK(cluster.partition().leader == BrokerId(2));
    CHECK(elect_leader(cluster.image, test_partition, Election::preferred).error ==
          ErrorCode::preferred_leader_not_available);
    cluster.unfence(1);
    const auto joined =
        alter_partition(cluster.image, cluster.alter({1, 2, 3}), cluster.epoch_of(BrokerId(2)));
    CHECK(joined.error == ErrorCode::none);
    cluster.put(joined.decisions);
    CHECK(balance_leaders(cluster.image).size() == 1);
    cluster.put(elect_leader(cluster.image, test_partition, Election::preferred).decisions);
    CHECK(cluster.partition().leader == BrokerId(1));
    CHECK(cluster.partition().isr == ids({1, 2, 3}));
    CHECK(elect_leader(cluster.image, test_partition, Election::preferred).error ==
          ErrorCode::election_not_needed);
}

TEST_CASE("control: AlterPartition is refused for each reason by its own code") {
    Cluster cluster(true);
    cluster.fence(3);
    const AlterPartition good = cluster.alter({1, 2});
    CHECK(alter_partition(cluster.image, good, BrokerEpoch(99)).error ==
          ErrorCode::stale_broker_epoch);
    AlterPartition request = good;
    request.partition.topic = uuid_from_halves(9, 9);
    CHECK(try_alter(cluster, request) == ErrorCode::unknown_topic_id);
    request = good;
    request.partition.partition = PartitionIndex(7);
    CHECK(try_alter(cluster, request) == ErrorCode::unknown_topic_or_partition);
    request = good;
    ++request.leader_epoch;
    CHECK(try_alter(cluster, request) == ErrorCode::not_controller);
    request = good;
    ++request.partition_epoch;
    CHECK(try_alter(cluster, request) == ErrorCode::not_controller);
    request = good;
    request.leader_epoch = request.leader_epoch - 1;
    CHECK(try_alter(cluster, request) == ErrorCode::fenced_leader_epoch);
    request = good;
    request.partition_epoch = request.partition_epoch - 1;
    CHECK(try_alter(cluster, request) == ErrorCode::invalid_update_version);
    request = good;
    request.broker = BrokerId(2);
    CHECK(try_alter(cluster, request) == ErrorCode::invalid_request);
    CHECK(try_alter(cluster, cluster.alter({2})) == ErrorCode::invalid_request);
    CHECK(try_alter(cluster, cluster.alter({1, 1})) == ErrorCode::invalid_request);
    CHECK(try_alter(cluster, cluster.alter({1, 2, 3})) == ErrorCode::ineligible_replica);
    cluster.unfence(3);
    request = cluster.alter({1, 2, 3});
    request.isr[2].epoch = BrokerEpoch(77);
    CHECK(try_alter(cluster, request) == ErrorCode::ineligible_replica);
    request.isr[2].epoch = no_broker_epoch;
    CHECK(try_alter(cluster, request) == ErrorCode::none);
    cluster.put(begin_controlled_shutdown(cluster.image, BrokerId(3)));
    CHECK(try_alter(cluster, cluster.alter({1, 2, 3})) == ErrorCode::ineligible_replica);
    const auto same =
        alter_partition(cluster.image, cluster.alter({1, 2}), cluster.epoch_of(BrokerId(1)));
    CHECK(same.error == ErrorCode::none);
    CHECK(same.decisions.empty());
    CHECK(same.partition == cluster.partition());
}

TEST_CASE("control: a leaving broker gives its partitions away") {
    Cluster cluster(true);
    cluster.put(begin_controlled_shutdown(cluster.image, BrokerId(1)));
    CHECK(cluster.partition().leader == BrokerId(2));
    CHECK(cluster.partition().isr == ids({2, 3}));
    CHECK_FALSE(cluster.image.leads_any(BrokerId(1)));
    CHECK(begin_controlled_shutdown(cluster.image, BrokerId(1)).empty());
}

TEST_CASE("control: a change of min.insync.replicas clears the ELR") {
    Cluster cluster(true);
    cluster.fence(3);
    cluster.fence(2);
    CHECK(cluster.partition().elr == ids({2}));
    cluster.config("min.insync.replicas", "1");
    cluster.put(min_isr_changed(cluster.image, "t"));
    CHECK(cluster.partition().elr.empty());
    CHECK(cluster.image.effective_min_isr(test_partition) == 1);
}

TEST_CASE("control: the committed fact is the image's") {
    Cluster cluster(true, 5, true);
    cluster.config("flush.messages", "1");
    const auto fact =
        committed_fact(cluster.image, test_partition, 42, PartitionChangeCause::created);
    CHECK(fact.metadata_offset == 42);
    CHECK(fact.min_isr == 3);
    CHECK(fact.flush_messages == 1);
    CHECK(fact.unclean_enabled);
    CHECK(fact.elr_enabled);
    CHECK(fact.leader == BrokerId(1));
    CHECK(fact.isr == ids({1, 2, 3}));
}

TEST_CASE("control: whatever brokers do, candidates, epochs and ELR keep their rules") {
    rc::prop("random lives", [](bool elr, bool unclean) {
        const int min_isr = *rc::gen::inRange(1, 4);
        Cluster cluster(elr, min_isr, unclean);
        const auto steps = *rc::gen::resize(
            400, rc::gen::container<std::vector<std::pair<int, int>>>(
                     rc::gen::pair(rc::gen::inRange(0, 7), rc::gen::inRange(1, 4))));
        for (const auto& [what, broker] : steps) {
            const metadata::PartitionImage before = cluster.partition();
            const metadata::BrokerImage state = *cluster.image.broker(BrokerId(broker));
            bool by_administrator = false;
            switch (what) {
                case 0:
                    if (!state.fenced) cluster.fence(broker);
                    break;
                case 1:
                    if (state.fenced) cluster.unfence(broker);
                    break;
                case 2:
                    if (state.fenced) cluster.register_again(broker, false);
                    break;
                case 3:
                    if (state.fenced) cluster.register_again(broker, true);
                    break;
                case 4:
                    if (before.leader != no_broker) {
                        // The leader asks to admit or to drop this broker.
                        AlterPartition request = cluster.alter({});
                        const bool drop = metadata::contains(before.isr, BrokerId(broker));
                        for (const BrokerId member : before.isr)
                            if (!drop || member != BrokerId(broker))
                                request.isr.push_back({member, no_broker_epoch});
                        if (!drop) request.isr.push_back({BrokerId(broker), state.epoch});
                        cluster.put(
                            alter_partition(cluster.image, request, cluster.epoch_of(before.leader))
                                .decisions);
                    }
                    break;
                case 5:
                    cluster.put(
                        elect_leader(cluster.image, test_partition, Election::preferred).decisions);
                    break;
                default:
                    by_administrator = broker == 3;
                    if (by_administrator)
                        cluster.put(elect_leader(cluster.image, test_partition, Election::unclean)
                                        .decisions);
            }
            const metadata::PartitionImage& after = cluster.partition();
            // Two records may be written in one step: register_again.
            RC_ASSERT(after.partition_epoch >= before.partition_epoch);
            RC_ASSERT(after.leader_epoch >= before.leader_epoch);
            if (after.leader != before.leader) RC_ASSERT(after.leader_epoch > before.leader_epoch);
            if (after.leader != no_broker) {
                RC_ASSERT(metadata::contains(after.isr, after.leader));
                RC_ASSERT(cluster.image.broker(after.leader)->active());
            }
            if (after.leader != before.leader && after.leader != no_broker && !unclean &&
                !by_administrator) {
                const bool candidate = metadata::contains(before.isr, after.leader) ||
                                       metadata::contains(before.elr, after.leader);
                // The stop of the last eligible one may be what lets the last known leader in.
                const bool none_left = what == 2
                                           ? metadata::without(before.elr, BrokerId(broker)).empty()
                                           : before.elr.empty();
                const bool last_known = elr && before.isr.empty() && none_left &&
                                        before.last_known_elr == BrokerIds{after.leader};
                RC_ASSERT((candidate || last_known));
            }
            for (const BrokerId member : after.elr) {
                RC_ASSERT(!metadata::contains(after.isr, member));
                RC_ASSERT((metadata::contains(before.elr, member) ||
                           metadata::contains(before.isr, member)));
            }
            if (!elr) RC_ASSERT((after.elr.empty() && !after.isr.empty()));
            if (static_cast<int>(after.isr.size()) >= min_isr) RC_ASSERT(after.elr.empty());
            if (elr)
                for (const BrokerId member : after.isr)
                    RC_ASSERT(!cluster.image.broker(member)->fenced);
            if (what == 2 && state.fenced && elr) {
                RC_ASSERT(!metadata::contains(after.elr, BrokerId(broker)));
                RC_ASSERT(!metadata::contains(after.isr, BrokerId(broker)));
            }
        }
    });
}
