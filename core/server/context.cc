#include "core/server/context.h"

#include <fmt/format.h>

#include "core/base/checksum.h"

namespace klamm::server {

env::ShardIndex Context::owner_of(const TopicPartition& partition) const {
    const auto key = static_cast<std::uint64_t>(partition.partition.value);
    const std::uint64_t hash = fold64(digest64(partition.topic.bytes), key);
    return static_cast<env::ShardIndex>(hash % env().shards());
}

void Context::post(env::ShardIndex to, MailValue value) {
    if (to == env().shard())
        local_.push_back(std::move(value));
    else
        env().mail(to, std::make_unique<ShardMail>(std::move(value)));
}

void Context::post_later(MailValue value) {
    env().mail(env().shard(), std::make_unique<ShardMail>(std::move(value)));
}

bool Context::pop_local(MailValue& value) {
    if (local_.empty()) return false;
    value = std::move(local_.front());
    local_.pop_front();
    return true;
}

std::int16_t transaction_version(const metadata::ClusterImage& image) {
    const auto found = image.features().find(std::string(metadata::transaction_feature));
    return found == image.features().end() ? std::int16_t{0} : found->second;
}

Coordinates coordinates(std::string_view topic) {
    if (topic == group::offsets_topic) return Coordinates::groups;
    if (topic == transaction::transactions_topic) return Coordinates::transactions;
    return Coordinates::nothing;
}

std::string partition_name(std::string_view topic, PartitionIndex partition) {
    return fmt::format("{}-{}", topic, partition.value);
}

}  // namespace klamm::server
