#pragma once
// How the leader of a consumer group shares partitions out, and the bytes in which members tell
// what they want and are told what they get (Kafka's ConsumerProtocol, versions 0 to 3).
//
// range and roundrobin are Kafka's RangeAssignor (without racks) and RoundRobinAssignor, member by
// member. cooperative-sticky keeps Kafka's promises (balanced, what moves is little, a partition
// that moves is given to nobody before its owner has given it up, KIP-429), not its exact choice.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"

namespace klamm::client {

using TopicAndIndex = std::pair<std::string, std::int32_t>;

/// What a member tells when it joins.
struct Subscription {
    std::set<std::string> topics;
    std::set<TopicAndIndex> owned;
    std::int32_t generation = -1;  // in which it owns them; -1: unknown
    friend bool operator==(const Subscription&, const Subscription&) = default;
};
/// In version 3, as Kafka 4.1's members.
Bytes encode(const Subscription& subscription);
/// Any version; nothing when it cannot be read.
std::optional<Subscription> decode_subscription(ByteView bytes);

Bytes encode_assignment(const std::set<TopicAndIndex>& partitions);
/// Nothing when it cannot be read; no bytes at all are no partitions.
std::optional<std::set<TopicAndIndex>> decode_assignment(ByteView bytes);

enum class Assignor : std::uint8_t { range, round_robin, cooperative_sticky };
/// As members name it to the coordinator.
const char* to_string(Assignor assignor);
/// By that name or by Kafka's class.
std::optional<Assignor> assignor_from_name(std::string_view name);

struct GroupMember {
    std::string id;
    std::optional<std::string> instance;  // group.instance.id
    Subscription subscription;
};
/// `partitions` counts those of each topic; a topic that is not there has none. Every member has an
/// entry.
std::map<std::string, std::set<TopicAndIndex>> assign(
    Assignor assignor, const std::vector<GroupMember>& members,
    const std::map<std::string, std::int32_t>& partitions);

}  // namespace klamm::client
