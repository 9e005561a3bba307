// Registrations and sessions.

#include "core/controller/broker_control.h"

#include <catch2/catch.hpp>

#include "tests/controller/cluster.h"

namespace {

using namespace klamm;
using namespace klamm::controller;
using protocol::ErrorCode;

struct Control {
    Cluster cluster{true};
    BrokerControl control{seconds(9)};
    Instant now{};

    Control() { control.activate(now, cluster.image); }
    [[nodiscard]] Turn turn() const { return {now, Timestamp(0), Draws(0), nullptr, nullptr}; }
    [[nodiscard]] std::int64_t next() const { return cluster.image.offset() + 1; }

    RegistrationOutcome register_broker(int broker, std::uint64_t incarnation,
                                        BrokerEpoch previous) {
        Registration registration;
        registration.broker = BrokerId(broker);
        registration.incarnation = uuid_from_halves(50, incarnation);
        registration.previous_epoch = previous;
        auto outcome = control.register_broker(turn(), cluster.image, registration, next());
        cluster.put(outcome.decisions);
        return outcome;
    }
    HeartbeatOutcome heartbeat(int broker, std::int64_t metadata_offset, bool want_fence = false,
                               bool want_shutdown = false) {
        const Heartbeat beat{BrokerId(broker), cluster.epoch_of(BrokerId(broker)), metadata_offset,
                             want_fence, want_shutdown};
        auto outcome = control.heartbeat(turn(), cluster.image, beat, next());
        cluster.put(outcome.decisions);
        return outcome;
    }
    void expire() {
        for (;;) {
            const Decisions decisions = control.fence_expired(turn(), cluster.image);
            if (decisions.empty()) return;
            cluster.put(decisions);
        }
    }
};

}  // namespace

TEST_CASE("brokers: who is silent for a session is fenced, who speaks is not") {
    Control all;
    CHECK(all.control.deadline_min() == Instant{} + seconds(9));
    all.now = Instant{} + seconds(5);
    all.heartbeat(2, all.cluster.image.offset());
    all.heartbeat(3, all.cluster.image.offset());
    all.now = Instant{} + seconds(9);
    all.expire();
    CHECK(all.cluster.image.broker(BrokerId(1))->fenced);
    CHECK_FALSE(all.cluster.image.broker(BrokerId(2))->fenced);
    CHECK(all.cluster.partition().leader == BrokerId(2));
    CHECK(all.cluster.partition().isr == ids({2, 3}));
    CHECK(all.control.deadline_min() == Instant{} + seconds(14));
}

TEST_CASE("brokers: a second incarnation waits until the first one's session is over") {
    Control all;
    CHECK(all.register_broker(1, 1, no_broker_epoch).error ==
          ErrorCode::duplicate_broker_registration);
    all.now = Instant{} + seconds(9);
    all.expire();
    const auto outcome = all.register_broker(1, 1, no_broker_epoch);
    CHECK(outcome.error == ErrorCode::none);
    CHECK(outcome.new_incarnation);
    CHECK_FALSE(outcome.proven);
    CHECK(all.cluster.image.broker(BrokerId(1))->fenced);
    CHECK(all.cluster.epoch_of(BrokerId(1)) == outcome.epoch);
}

TEST_CASE("brokers: the epoch of the last registration proves a clean stop, another does not") {
    for (const bool right : {true, false}) {
        Control all;
        const BrokerEpoch last = all.cluster.epoch_of(BrokerId(3));
        all.now = Instant{} + seconds(9);
        all.expire();
        const bool proven = all.register_broker(3, 1, right ? last : last + 1).proven;
        CHECK(proven == right);
        CHECK(metadata::contains(all.cluster.partition().elr, BrokerId(3)) == right);
    }
}

TEST_CASE("brokers: the same incarnation that registers again keeps its epoch and standing") {
    Control all;
    all.now = Instant{} + seconds(9);
    all.expire();
    const auto first = all.register_broker(1, 1, no_broker_epoch);
    all.heartbeat(1, all.cluster.image.offset());
    CHECK_FALSE(all.cluster.image.broker(BrokerId(1))->fenced);
    const auto again = all.register_broker(1, 1, no_broker_epoch);
    CHECK(again.error == ErrorCode::none);
    CHECK_FALSE(again.new_incarnation);
    CHECK(again.epoch == first.epoch);
    CHECK_FALSE(all.cluster.image.broker(BrokerId(1))->fenced);
}

TEST_CASE("brokers: unfenced only after reading the metadata up to the registration") {
    Control all;
    all.now = Instant{} + seconds(9);
    all.expire();
    all.register_broker(1, 1, no_broker_epoch);
    const std::int64_t registered = all.cluster.image.broker(BrokerId(1))->registered_at;
    auto outcome = all.heartbeat(1, registered - 1);
    CHECK(outcome.fenced);
    CHECK_FALSE(outcome.caught_up);
    outcome = all.heartbeat(1, registered, true);
    CHECK(outcome.fenced);
    outcome = all.heartbeat(1, registered);
    CHECK_FALSE(outcome.fenced);
    CHECK(outcome.caught_up);
    CHECK_FALSE(all.cluster.image.broker(BrokerId(1))->fenced);
}

TEST_CASE("brokers: heartbeats of another registration or of nobody are refused") {
    Control all;
    Heartbeat beat{BrokerId(1), all.cluster.epoch_of(BrokerId(1)) + 1, 0, false, false};
    CHECK(all.control.heartbeat(all.turn(), all.cluster.image, beat, 9).error ==
          ErrorCode::stale_broker_epoch);
    beat.broker = BrokerId(9);
    CHECK(all.control.heartbeat(all.turn(), all.cluster.image, beat, 9).error ==
          ErrorCode::broker_id_not_registered);
}

TEST_CASE("brokers: controlled shutdown moves leaders, waits for readers, then lets go") {
    Control all;
    auto outcome = all.heartbeat(1, all.cluster.image.offset(), false, true);
    CHECK(outcome.in_controlled_shutdown);
    CHECK_FALSE(outcome.should_shut_down);
    CHECK(all.cluster.partition().leader == BrokerId(2));
    const std::int64_t moved = all.cluster.image.offset();
    all.heartbeat(2, moved);
    all.heartbeat(3, moved - 1);
    CHECK_FALSE(all.heartbeat(1, moved, false, true).should_shut_down);
    all.heartbeat(3, moved);
    outcome = all.heartbeat(1, moved, false, true);
    CHECK(outcome.should_shut_down);
    CHECK(outcome.fenced);
    CHECK(all.cluster.image.broker(BrokerId(1))->fenced);
}

TEST_CASE("brokers: who leads nothing may stop at once") {
    Control all;
    const auto outcome = all.heartbeat(3, all.cluster.image.offset(), false, true);
    CHECK(outcome.should_shut_down);
    CHECK(all.cluster.image.broker(BrokerId(3))->fenced);
    CHECK(all.cluster.partition().isr == ids({1, 2}));
}
