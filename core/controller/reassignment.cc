#include "core/controller/reassignment.h"

#include <fmt/format.h>

#include <algorithm>

namespace klamm::controller {

namespace {

/// In ascending order.
BrokerIds difference(const BrokerIds& from, const BrokerIds& what) {
    BrokerIds left;
    for (const BrokerId broker : from)
        if (!metadata::contains(what, broker)) left.push_back(broker);
    return metadata::sorted(left);
}

/// Those of `from`, in their order, that `what` has not.
BrokerIds less(const BrokerIds& from, const BrokerIds& what) {
    BrokerIds left;
    for (const BrokerId broker : from)
        if (!metadata::contains(what, broker)) left.push_back(broker);
    return left;
}

}  // namespace

AdminOutcome reassign(const ClusterImage& image, const Reassignment& request,
                      bool replication_factor_may_change) {
    const auto refuse = [](ErrorCode error, std::string text) {
        return AdminOutcome{{error, std::move(text)}, {}};
    };
    const auto topic = image.topic_id(request.topic);
    if (!topic)
        return refuse(ErrorCode::unknown_topic_or_partition,
                      fmt::format("Unable to find a topic named {}.", request.topic));
    const TopicPartition id{*topic, request.partition};
    const metadata::PartitionImage* partition = image.partition(id);
    if (partition == nullptr)
        return refuse(
            ErrorCode::unknown_topic_or_partition,
            fmt::format("Unable to find partition {}:{}.", request.topic, request.partition.value));
    PartitionWish wish = present_wish(image, id);
    if (!request.replicas) {
        if (!partition->reassigning())
            return refuse(ErrorCode::no_reassignment_in_progress,
                          "No partition reassignment is in progress.");
        wish.replicas = less(partition->replicas, partition->adding);
        wish.target_isr = less(partition->isr, partition->adding);
        wish.removing = wish.adding = BrokerIds{};
        if (wish.target_isr.empty()) {
            if (!image.unclean_election_enabled(id.topic))
                return refuse(ErrorCode::invalid_replica_assignment,
                              fmt::format("Unable to revert partition assignment for {}:{} because "
                                          "it would require an unclean leader election.",
                                          request.topic, request.partition.value));
            wish.target_isr = {wish.replicas->front()};
        }
    } else {
        const BrokerIds& target = *request.replicas;
        const BrokerIds stays = less(partition->replicas, partition->removing);
        if (!replication_factor_may_change && stays.size() != target.size())
            return refuse(ErrorCode::invalid_replication_factor,
                          fmt::format("The replication factor is changed from {} to {}",
                                      stays.size(), target.size()));
        Answer answer = check_assignment(image, target, std::nullopt);
        if (!answer.ok()) return {std::move(answer), {}};
        wish.election = Election::online;
        const BrokerIds removing = difference(partition->replicas, target);
        const BrokerIds adding = difference(target, partition->replicas);
        wish.replicas = target;
        wish.replicas->insert(wish.replicas->end(), removing.begin(), removing.end());
        if (!removing.empty()) wish.removing = removing;
        if (!adding.empty()) wish.adding = adding;
        // What an earlier move was about and this one is not is over.
        if (!wish.removing) wish.removing = less(partition->removing, target);
        if (!wish.adding) wish.adding = difference(partition->adding, removing);
    }
    AdminOutcome outcome;
    auto decision = build_partition_change(id, *partition, wish);
    if (!decision) return outcome;
    PartitionChangeCause cause = PartitionChangeCause::configuration;
    if (decision->elected == ElectedFrom::last_known)
        cause = PartitionChangeCause::elected_last_known;
    if (decision->elected == ElectedFrom::unclean) cause = PartitionChangeCause::elected_unclean;
    outcome.decisions.push_back({std::move(decision->change), cause});
    return outcome;
}

}  // namespace klamm::controller
