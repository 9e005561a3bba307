#pragma once
// One change of one partition: Kafka 4.1's PartitionChangeBuilder. Given what is wanted of a
// partition (a target ISR, who stopped without proof, what kind of election is allowed) it finds
// the leader, keeps the eligible leader replicas (KIP-966), and gives the record, or nothing when
// nothing changes.
//
// Who may lead: an ISR member; if the ISR is empty, an ELR member; if both are empty and ELR is on,
// the last known leader once it is active; anyone active only by Election::unclean.
//
// A reassignment is over when all of its target is in sync: then, in the same record, those that go
// leave replicas and ISR, and the leader's epoch rises, so that they are told.

#include <optional>

#include "core/base/facts.h"
#include "core/base/turn.h"
#include "core/metadata/image.h"

namespace klamm::controller {

using metadata::BrokerIds;

enum class Election : std::uint8_t {
    preferred,  // the first replica, if it may lead
    online,     // keep the leader, else the first replica that may lead
    unclean,    // as online; if nobody may lead, the first that is active
};

/// How the leader of a change was found.
enum class ElectedFrom : std::uint8_t {
    unchanged,
    nobody,
    isr,
    elr,
    last_known,
    unclean,
    outside,  // from nowhere that may lead: planted
};

struct PartitionWish {
    BrokerIds target_isr;
    BrokerIds acceptable;        // who may lead as far as brokers go: active, ascending
    BrokerIds unclean_shutdown;  // stopped without proof: in no ISR or ELR
    Election election = Election::online;
    std::int32_t min_isr = 1;  // effective
    bool elr_enabled = false;
    metadata::LeaderRecoveryState recovery = metadata::LeaderRecoveryState::recovered;
    const Turn* turn = nullptr;                        // for plants
    std::optional<BrokerIds> replicas = std::nullopt;  // another assignment; its target first
    std::optional<BrokerIds> removing = std::nullopt;
    std::optional<BrokerIds> adding = std::nullopt;
};

struct PartitionDecision {
    metadata::PartitionChanged change;
    ElectedFrom elected = ElectedFrom::unchanged;
};

/// The record that fulfils `wish` for `partition`, or nothing.
[[nodiscard]] std::optional<PartitionDecision> build_partition_change(
    const TopicPartition& id, const metadata::PartitionImage& partition, const PartitionWish& wish);

}  // namespace klamm::controller
