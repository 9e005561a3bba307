// Which partitions a shard has: they come with the image and go with it, each as soon as its name
// in the log directory is free; what was found at the start and belongs to nobody is set aside.
#include <fmt/format.h>

#include <algorithm>

#include "core/server/broker.h"

namespace klamm::server {

void Broker::open_partitions() {
    names_awaited_ = false;
    // An older image does not know the latest epochs, which recovery measures logs by.
    if (!context_.caught_up) return;
    for (const auto& [topic_id, topic] : context_.image->topics()) {
        for (const auto& [index, partition] : topic.partitions) {
            const TopicPartition id{topic_id, index};
            if (!metadata::contains(partition.replicas, context_.self())) continue;
            if (context_.owner_of(id) != context_.env().shard() || hosts_.contains(id)) continue;
            const std::string name = partition_name(topic.name, index);
            const bool taken = std::any_of(going_.begin(), going_.end(), [&](const auto& row) {
                return hosts_.contains(row.first) && hosts_.hosts().at(row.first)->name() == name;
            });
            if (taken || !directory_->name_free(name)) {
                names_awaited_ = true;
                continue;
            }
            hosts_.emplace(
                id, std::make_unique<ReplicaHost>(context_, *directory_, pins_, id, topic.name));
        }
    }
}

void Broker::drop_partitions() {
    if (!context_.caught_up) return;
    std::vector<TopicPartition> gone;
    for (const auto& [id, host] : hosts_.hosts()) {
        const metadata::PartitionImage* partition = context_.image->partition(id);
        if (partition == nullptr || !metadata::contains(partition->replicas, context_.self()))
            gone.push_back(id);
        else
            start_over(*host);
    }
    for (const TopicPartition& id : gone) let_go(id, false);
}

/// Drops a damaged log that nobody counts on, so that it is copied from the leader.
bool Broker::start_over(ReplicaHost& host) {
    if (going_.contains(host.partition()) || !host.may_start_over()) return false;
    const storage::OfflineReason& why = *host.log().offline();
    context_.env().log(fmt::format("{} is copied anew: {} in {} at {}, offset {}", host.name(),
                                   why.error.text, why.file, why.position, why.offset.value));
    let_go(host.partition(), false);
    return true;
}

void Broker::let_go(const TopicPartition& partition, bool keep) {
    if (!going_.emplace(partition, keep).second) return;
    hosts_.find(partition)->leave();
    // Its connections are closed in this turn; it goes in a later one, when that has been done.
    context_.post_later(RemoveNow{partition, keep});
}

void Broker::on(RemoveNow now) {
    going_.erase(now.partition);
    if (stage_ == Stage::closing || !hosts_.contains(now.partition)) return;
    if (hosts_.hosts().at(now.partition)->may_start_over())
        context_.turn().state(
            facts::LogTruncated{now.partition, Offset(0), facts::TruncateReason::reset});
    hosts_.erase(now.partition);
    directory_->remove_log(context_.env(), now.partition, now.keep);
    open_partitions();
}

/// What was found at the start and belongs to nobody, as Kafka: it gets another name, and stays.
void Broker::set_strays_aside() {
    if (strays_looked_for_ || !context_.caught_up) return;
    strays_looked_for_ = true;
    for (const std::string& name : directory_->unopened()) {
        bool awaited = false;
        for (const auto& [topic_id, topic] : context_.image->topics())
            for (const auto& [index, partition] : topic.partitions)
                awaited =
                    awaited || (metadata::contains(partition.replicas, context_.self()) &&
                                context_.owner_of({topic_id, index}) == context_.env().shard() &&
                                partition_name(topic.name, index) == name);
        if (awaited) continue;
        context_.env().log(fmt::format("{} belongs to no partition here: it is set aside", name));
        directory_->set_aside(context_.env(), name);
    }
}

}  // namespace klamm::server
