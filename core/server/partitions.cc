#include "core/server/partitions.h"

#include "core/base/checksum.h"

namespace klamm::server {

namespace {
std::uint64_t key_of(const TopicPartition& partition) {
    return digest64(as_bytes(to_string(partition.topic)),
                    static_cast<std::uint64_t>(partition.partition.value));
}
}  // namespace

void Partitions::emplace(const TopicPartition& partition, std::unique_ptr<ReplicaHost> host) {
    const auto [entry, added] =
        rows_.emplace(partition, Row{.host = host.get(), .key = key_of(partition)});
    KLAMM_ASSERT(added);
    ++unsettled_;
    hosts_.emplace(partition, std::move(host));
    touch(*entry);
}

void Partitions::erase(const TopicPartition& partition) {
    const auto entry = rows_.find(partition);
    KLAMM_ASSERT(entry != rows_.end());
    std::erase(to_look_at_, &*entry);
    to_tick_.erase(partition);
    deadlines_.erase({entry->second.deadline, partition});
    if (entry->second.follows != no_broker) followers_[entry->second.follows].erase(partition);
    if (!entry->second.settled) --unsettled_;
    digest_ -= entry->second.digest;
    rows_.erase(entry);
    hosts_.erase(partition);
}

void Partitions::mark_stale(Rows::value_type& entry) {
    if (!entry.second.stale) to_look_at_.push_back(&entry);
    entry.second.stale = true;
}

void Partitions::touch(Rows::value_type& entry) {
    if (!entry.second.ticks) to_tick_.insert(entry.first);
    entry.second.ticks = true;
    mark_stale(entry);
}

ReplicaHost* Partitions::find(const TopicPartition& partition) {
    const auto entry = rows_.find(partition);
    if (entry == rows_.end()) return nullptr;
    touch(*entry);
    return entry->second.host;
}

void Partitions::follow_image() {
    for (auto& entry : rows_) {
        ++visits_;
        touch(entry);
        entry.second.host->follow_image();
    }
}

void Partitions::take_new_phases() {
    if (directory_ == nullptr) return;
    for (const TopicPartition& partition : directory_->take_changed())
        if (const auto entry = rows_.find(partition); entry != rows_.end()) touch(*entry);
}

void Partitions::tick(Instant now) {
    take_new_phases();
    std::set<TopicPartition> ticking = std::exchange(to_tick_, {});
    for (auto due = deadlines_.begin(); due != deadlines_.end() && due->first <= now; ++due)
        ticking.insert(due->second);
    for (const TopicPartition& partition : ticking) {
        auto& entry = *rows_.find(partition);
        entry.second.ticks = false;
        mark_stale(entry);
        ++visits_;
        entry.second.host->tick();
    }
}

void Partitions::look() {
    take_new_phases();
    for (auto* entry : std::exchange(to_look_at_, {})) {
        const TopicPartition& partition = entry->first;
        Row& row = entry->second;
        row.stale = false;
        ++visits_;
        const Instant deadline = row.host->deadline_min();
        if (deadline != row.deadline) {
            deadlines_.erase({row.deadline, partition});
            if (deadline != instant_never) deadlines_.emplace(deadline, partition);
            row.deadline = deadline;
        }
        const BrokerId follows = row.host->fetches_from();
        if (follows != row.follows) {
            if (row.follows != no_broker) followers_[row.follows].erase(partition);
            if (follows != no_broker) followers_[follows].emplace(partition, row.host);
            row.follows = follows;
        }
        const bool settled = row.host->settled();
        if (settled != row.settled) unsettled_ += settled ? -1 : 1;
        row.settled = settled;
        digest_ -= row.digest;
        row.digest = fold64(row.key, row.host->digest());
        digest_ += row.digest;
    }
}

Instant Partitions::deadline_min() {
    look();
    return deadlines_.empty() ? instant_never : deadlines_.begin()->first;
}

const Followers& Partitions::following(BrokerId leader) {
    look();
    return followers_[leader];
}

bool Partitions::settled() {
    look();
    return unsettled_ == 0;
}

}  // namespace klamm::server
