#pragma once
// Topics as an administrator asks for them (Kafka 4.1's ReplicationControlManager and
// StripedReplicaPlacer): which names are lawful, where replicas go, what is refused and in which
// words. Like everything here it reads an image with all decided records applied and gives the
// records to append.
//
// What always holds of a placement: no broker holds two replicas of a partition; the first replica
// is an active broker; a partition has its replicas on as many racks as it can.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/turn.h"
#include "core/controller/partition_control.h"

namespace klamm::controller {

/// What a client is told; `text` is Kafka's sentence, or nothing where Kafka has none.
struct Answer {
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> text;

    [[nodiscard]] bool ok() const { return error == ErrorCode::none; }
    friend bool operator==(const Answer&, const Answer&) = default;
};

/// Kafka's limit of what one request of a user may append (QuorumController).
constexpr std::size_t records_per_request_max = 10'000;
/// The answer to all of a request that would append more.
[[nodiscard]] Answer too_many_records();

/// Why Kafka takes no topic of this name (Topic.validate), or nothing.
[[nodiscard]] std::optional<std::string> topic_name_problem(std::string_view name);
/// Topics that only the brokers write to.
[[nodiscard]] bool is_internal_topic(std::string_view name);

struct UsableBroker {
    BrokerId id;
    std::optional<std::string> rack;
    bool fenced = false;
};
/// Every registered broker that is not leaving, by id.
[[nodiscard]] std::vector<UsableBroker> usable_brokers(const ClusterImage& image);

struct Placement {
    Answer answer;  // invalid_replication_factor, with the reason
    std::vector<BrokerIds> replicas;
};
/// Replicas for `partitions` new partitions, striped over racks and over the brokers in each, from
/// drawn starts; when every broker has come first once, all is shuffled. `entity` names the
/// placement in draws.
[[nodiscard]] Placement place_replicas(const std::vector<UsableBroker>& brokers,
                                       std::size_t partitions, int replication_factor,
                                       const Draws& draws, std::uint64_t entity);

/// Whether an assignment that a person made is lawful: brokers that are registered, each once.
/// Error: invalid_replica_assignment.
[[nodiscard]] Answer check_assignment(const ClusterImage& image, const BrokerIds& replicas,
                                      std::optional<std::size_t> replication_factor);

struct NewTopic {
    std::string name;
    std::int32_t partitions = -1;                                 // -1: num.partitions
    std::int16_t replication_factor = -1;                         // -1: default.replication.factor
    std::vector<std::pair<std::int32_t, BrokerIds>> assignments;  // instead of both
};
struct TopicDefaults {
    std::int32_t partitions = 1;
    std::int16_t replication_factor = 1;
};
struct NewTopicOutcome {
    Answer answer;
    Uuid id;
    std::size_t partitions = 0;
    std::size_t replication_factor = 0;
    metadata::TopicCreated topic;  // its configurations stand between it and the partitions
    Decisions partition_decisions;
};
/// One of CreateTopics' topics; configurations are config_control.h's. `next_offset` is where the
/// request's first record will lie: with the name it keeps ids apart. Errors:
/// invalid_topic_exception, topic_already_exists, invalid_request, invalid_replica_assignment,
/// invalid_replication_factor, invalid_partitions, policy_violation.
[[nodiscard]] NewTopicOutcome new_topic(const Turn& turn, const ClusterImage& image,
                                        const NewTopic& topic, const TopicDefaults& defaults,
                                        std::int64_t next_offset);

struct MorePartitions {
    std::string name;
    std::int32_t count = 0;  // in all
    std::optional<std::vector<BrokerIds>> assignments;
};
struct AdminOutcome {
    Answer answer;
    Decisions decisions;
};
/// One of CreatePartitions' topics. Errors: unknown_topic_or_partition, invalid_partitions,
/// invalid_replica_assignment, invalid_replication_factor, policy_violation.
[[nodiscard]] AdminOutcome more_partitions(const Turn& turn, const ClusterImage& image,
                                           const MorePartitions& request, std::int64_t next_offset);

struct TopicToDelete {
    std::optional<std::string> name;
    Uuid id;
};
struct DeletedTopic {
    std::optional<std::string> name;
    Uuid id;
    Answer answer;
};
struct DeleteOutcome {
    std::vector<DeletedTopic> topics;
    Decisions decisions;
};
/// DeleteTopics, whose topics are named by name or by id, never by both. Errors of a topic:
/// invalid_request, unknown_topic_id, unknown_topic_or_partition.
[[nodiscard]] DeleteOutcome delete_topics(const ClusterImage& image,
                                          const std::vector<TopicToDelete>& topics);

/// Forgets a broker: its partitions first, as when it is fenced. Error: broker_id_not_registered.
[[nodiscard]] AdminOutcome unregister_broker(const ClusterImage& image, BrokerId broker);

}  // namespace klamm::controller
