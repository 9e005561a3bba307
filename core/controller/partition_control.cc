#include "core/controller/partition_control.h"

#include <algorithm>

namespace klamm::controller {

namespace {

using metadata::contains;
using metadata::LeaderRecoveryState;
using metadata::PartitionImage;

/// The wish that changes nothing.
PartitionWish wish_for(const ClusterImage& image, const TopicPartition& id,
                       const PartitionImage& partition, BrokerIds acceptable) {
    return {
        .target_isr = partition.isr,
        .acceptable = std::move(acceptable),
        .unclean_shutdown = {},
        .election = image.unclean_election_enabled(id.topic) ? Election::unclean : Election::online,
        .min_isr = image.effective_min_isr(id),
        .elr_enabled = image.elr_enabled(),
        .recovery = partition.recovery};
}

Decided decided(PartitionDecision decision, PartitionChangeCause cause,
                bool by_administrator = false) {
    if (decision.elected == ElectedFrom::last_known)
        cause = PartitionChangeCause::elected_last_known;
    if (decision.elected == ElectedFrom::unclean)
        cause = by_administrator ? PartitionChangeCause::elected_by_administrator
                                 : PartitionChangeCause::elected_unclean;
    return {std::move(decision.change), cause};
}

void append(Decisions& to, std::optional<PartitionDecision> decision, PartitionChangeCause cause,
            bool by_administrator = false) {
    if (decision) to.push_back(decided(std::move(*decision), cause, by_administrator));
}

template <class Visit>
void for_each_partition(const ClusterImage& image, Visit visit) {
    for (const auto& [topic_id, topic] : image.topics())
        for (const auto& [index, partition] : topic.partitions)
            visit(TopicPartition{topic_id, index}, partition);
}

/// Takes `broker` out of every ISR it is in; with `unclean` out of every ELR, too.
void remove_broker(const ClusterImage& image, BrokerId broker, bool unclean,
                   PartitionChangeCause cause, const Turn* turn, Decisions& decisions) {
    const BrokerIds acceptable = metadata::without(active_brokers(image), broker);
    for_each_partition(image, [&](const TopicPartition& id, const PartitionImage& partition) {
        const bool concerned =
            contains(partition.isr, broker) || (unclean && contains(partition.elr, broker));
        if (!concerned) return;
        PartitionWish wish = wish_for(image, id, partition, acceptable);
        wish.target_isr = metadata::without(partition.isr, broker);
        wish.turn = turn;
        if (unclean) wish.unclean_shutdown = {broker};
        append(decisions, build_partition_change(id, partition, wish), cause);
    });
}

ErrorCode validate(const ClusterImage& image, const AlterPartition& request,
                   const PartitionImage& partition) {
    if (request.leader_epoch > partition.leader_epoch) return ErrorCode::not_controller;
    if (request.partition_epoch > partition.partition_epoch) return ErrorCode::not_controller;
    if (request.leader_epoch < partition.leader_epoch) return ErrorCode::fenced_leader_epoch;
    if (request.broker != partition.leader) return ErrorCode::invalid_request;
    if (request.partition_epoch < partition.partition_epoch)
        return ErrorCode::invalid_update_version;
    BrokerIds isr;
    for (const AlterPartition::Member& member : request.isr) {
        if (!contains(partition.replicas, member.broker)) return ErrorCode::invalid_request;
        if (contains(isr, member.broker)) return ErrorCode::invalid_request;
        isr.push_back(member.broker);
    }
    if (!contains(isr, partition.leader)) return ErrorCode::invalid_request;
    if (request.recovery == LeaderRecoveryState::recovering) {
        if (isr.size() > 1) return ErrorCode::invalid_request;
        if (partition.recovery == LeaderRecoveryState::recovered) return ErrorCode::invalid_request;
    }
    for (const AlterPartition::Member& member : request.isr) {
        const metadata::BrokerImage* broker = image.broker(member.broker);
        if (broker == nullptr || !broker->active()) return ErrorCode::ineligible_replica;
        if (member.epoch != no_broker_epoch && member.epoch != broker->epoch)
            return ErrorCode::ineligible_replica;
    }
    return ErrorCode::none;
}

}  // namespace

BrokerIds active_brokers(const ClusterImage& image) {
    BrokerIds active;
    for (const auto& [id, broker] : image.brokers())
        if (broker.active()) active.push_back(id);
    return active;
}

Decisions fence_broker(const ClusterImage& image, BrokerId broker, const Turn* turn) {
    const metadata::BrokerImage* registered = image.broker(broker);
    KLAMM_ASSERT(registered != nullptr);
    Decisions decisions;
    remove_broker(image, broker, false, PartitionChangeCause::broker_fenced, turn, decisions);
    decisions.push_back({metadata::BrokerChanged{broker, registered->epoch, true, false},
                         PartitionChangeCause::broker_fenced});
    return decisions;
}

Decisions unfence_broker(const ClusterImage& image, BrokerId broker, const Turn* turn) {
    const metadata::BrokerImage* registered = image.broker(broker);
    KLAMM_ASSERT(registered != nullptr);
    Decisions decisions;
    decisions.push_back({metadata::BrokerChanged{broker, registered->epoch, false, false},
                         PartitionChangeCause::broker_unfenced});
    BrokerIds acceptable = active_brokers(image);
    if (!contains(acceptable, broker)) acceptable.push_back(broker);
    acceptable = metadata::sorted(acceptable);
    for_each_partition(image, [&](const TopicPartition& id, const PartitionImage& partition) {
        if (partition.leader != no_broker) return;
        PartitionWish wish = wish_for(image, id, partition, acceptable);
        wish.turn = turn;
        append(decisions, build_partition_change(id, partition, wish),
               PartitionChangeCause::broker_unfenced);
    });
    return decisions;
}

Decisions begin_controlled_shutdown(const ClusterImage& image, BrokerId broker, const Turn* turn) {
    const metadata::BrokerImage* registered = image.broker(broker);
    KLAMM_ASSERT(registered != nullptr);
    Decisions decisions;
    if (!registered->in_controlled_shutdown)
        decisions.push_back({metadata::BrokerChanged{broker, registered->epoch, std::nullopt, true},
                             PartitionChangeCause::controlled_shutdown});
    remove_broker(image, broker, false, PartitionChangeCause::controlled_shutdown, turn, decisions);
    return decisions;
}

Decisions end_incarnation(const ClusterImage& image, BrokerId broker, bool proven,
                          const Turn* turn) {
    Decisions decisions;
    const bool unclean = image.elr_enabled() && !proven;
    remove_broker(image, broker, unclean, PartitionChangeCause::broker_registered, turn, decisions);
    return decisions;
}

AlterPartitionOutcome alter_partition(const ClusterImage& image, const AlterPartition& request,
                                      BrokerEpoch broker_epoch) {
    const metadata::BrokerImage* sender = image.broker(request.broker);
    if (sender == nullptr || sender->epoch != broker_epoch)
        return {ErrorCode::stale_broker_epoch, {}, {}};
    if (image.topic(request.partition.topic) == nullptr)
        return {ErrorCode::unknown_topic_id, {}, {}};
    const PartitionImage* partition = image.partition(request.partition);
    if (partition == nullptr) return {ErrorCode::unknown_topic_or_partition, {}, {}};
    const ErrorCode error = validate(image, request, *partition);
    if (error != ErrorCode::none) return {error, {}, {}};

    PartitionWish wish = wish_for(image, request.partition, *partition, active_brokers(image));
    wish.target_isr.clear();
    for (const AlterPartition::Member& member : request.isr)
        wish.target_isr.push_back(member.broker);
    wish.recovery = request.recovery;
    AlterPartitionOutcome outcome{ErrorCode::none, *partition, {}};
    const auto decision = build_partition_change(request.partition, *partition, wish);
    if (!decision) return outcome;
    append(outcome.decisions, decision, PartitionChangeCause::isr_changed);
    outcome.partition = metadata::merge(*partition, decision->change);
    if (outcome.partition.leader != request.broker) outcome.error = ErrorCode::new_leader_elected;
    return outcome;
}

ElectionOutcome elect_leader(const ClusterImage& image, const TopicPartition& id,
                             Election election) {
    KLAMM_ASSERT(election != Election::online);
    const PartitionImage* partition = image.partition(id);
    if (partition == nullptr) return {ErrorCode::unknown_topic_or_partition, {}};
    const bool preferred = election == Election::preferred;
    const bool needed = preferred ? partition->leader != partition->replicas.front()
                                  : partition->leader == no_broker;
    if (!needed) return {ErrorCode::election_not_needed, {}};
    PartitionWish wish = wish_for(image, id, *partition, active_brokers(image));
    wish.election = election;
    auto decision = build_partition_change(id, *partition, wish);
    if (!decision)
        return {preferred ? ErrorCode::preferred_leader_not_available
                          : ErrorCode::eligible_leaders_not_available,
                {}};
    ElectionOutcome outcome;
    append(outcome.decisions, std::move(decision),
           preferred ? PartitionChangeCause::preferred : PartitionChangeCause::elected, true);
    return outcome;
}

Decisions elect_leaderless(const ClusterImage& image) {
    Decisions decisions;
    for_each_partition(image, [&](const TopicPartition& id, const PartitionImage& partition) {
        if (partition.leader != no_broker || !image.unclean_election_enabled(id.topic)) return;
        append(decisions,
               build_partition_change(id, partition,
                                      wish_for(image, id, partition, active_brokers(image))),
               PartitionChangeCause::elected);
    });
    return decisions;
}

PartitionWish present_wish(const ClusterImage& image, const TopicPartition& id) {
    return wish_for(image, id, *image.partition(id), active_brokers(image));
}

Decisions balance_leaders(const ClusterImage& image) {
    Decisions decisions;
    for_each_partition(image, [&](const TopicPartition& id, const PartitionImage& partition) {
        if (partition.leader == partition.replicas.front()) return;
        PartitionWish wish = wish_for(image, id, partition, active_brokers(image));
        wish.election = Election::preferred;
        append(decisions, build_partition_change(id, partition, wish),
               PartitionChangeCause::preferred);
    });
    return decisions;
}

Decisions min_isr_changed(const ClusterImage& image, const std::string& topic) {
    if (!image.elr_enabled()) return {};
    return {{metadata::ElrCleared{topic}, PartitionChangeCause::configuration}};
}

Decisions create_topic(const ClusterImage& image, const Uuid& topic, const std::string& name,
                       const std::vector<BrokerIds>& assignments) {
    const BrokerIds active = active_brokers(image);
    Decisions decisions;
    decisions.push_back({metadata::TopicCreated{topic, name}, PartitionChangeCause::created});
    std::int32_t index = 0;
    for (const BrokerIds& replicas : assignments) {
        metadata::PartitionCreated created;
        created.partition = {topic, PartitionIndex(index++)};
        created.replicas = replicas;
        for (const BrokerId replica : replicas)
            if (contains(active, replica)) created.isr.push_back(replica);
        created.leader = created.isr.empty() ? no_broker : created.isr.front();
        decisions.push_back({created, PartitionChangeCause::created});
    }
    return decisions;
}

facts::PartitionCommitted committed_fact(const ClusterImage& image, const TopicPartition& id,
                                         std::int64_t metadata_offset, PartitionChangeCause cause) {
    const PartitionImage* partition = image.partition(id);
    KLAMM_ASSERT(partition != nullptr);
    return {.metadata_offset = metadata_offset,
            .partition = id,
            .leader = partition->leader,
            .leader_epoch = partition->leader_epoch,
            .partition_epoch = partition->partition_epoch,
            .replicas = partition->replicas,
            .isr = partition->isr,
            .elr = partition->elr,
            .last_known_elr = partition->last_known_elr,
            .elr_enabled = image.elr_enabled(),
            .unclean_enabled = image.unclean_election_enabled(id.topic),
            .min_isr = image.effective_min_isr(id),
            .flush_messages = image.flush_messages(id.topic),
            .cause = cause};
}

}  // namespace klamm::controller
