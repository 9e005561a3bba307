#pragma once
// Which partition of its topic keeps a coordinator's key, as Kafka's clients and brokers agree on
// it without asking: the hash of a Java string over the number of partitions.
//
// Java's strings are of UTF-16, ours of UTF-8; what is no UTF-8 counts as Java's decoder has it.

#include <cstdint>
#include <string_view>

namespace klamm::replicated {

/// Of a group's or a transactional id, in [0, `partitions`); `partitions` > 0.
std::int32_t partition_of(std::string_view key, std::int32_t partitions);

}  // namespace klamm::replicated
