#include "core/metadata/change_records.h"

namespace klamm::metadata {

namespace {

// As BrokerRegistrationFencingChange and ...InControlledShutdownChange have them.
constexpr std::int8_t fence = 1;
constexpr std::int8_t unfence = -1;
constexpr std::int8_t begins_shutdown = 1;
constexpr BrokerId leader_unchanged{-2};
constexpr std::int8_t recovery_unchanged = -1;

// A record views into the change it is made of; both are gone when its frame is written.

Record record_of(const BrokerRegistered& change) {
    RegisterBrokerRecord record;
    record.broker_id = change.broker;
    record.incarnation_id = change.incarnation;
    record.broker_epoch = change.epoch;
    for (const Endpoint& endpoint : change.endpoints) {
        auto& point = record.end_points.emplace_back();
        point.name = endpoint.listener;
        point.host = endpoint.host;
        point.port = endpoint.port;
        point.security_protocol = endpoint.security_protocol;
    }
    record.rack.reset();
    if (change.rack) record.rack = *change.rack;
    record.fenced = change.fenced;
    record.in_controlled_shutdown = change.in_controlled_shutdown;
    record.log_dirs = change.log_dirs;
    return record;
}

Record record_of(const BrokerChanged& change) {
    BrokerRegistrationChangeRecord record;
    record.broker_id = change.broker;
    record.broker_epoch = change.epoch;
    if (change.fenced) record.fenced = *change.fenced ? fence : unfence;
    if (change.enters_controlled_shutdown) record.in_controlled_shutdown = begins_shutdown;
    return record;
}

Record record_of(const BrokerUnregistered& change) {
    UnregisterBrokerRecord record;
    record.broker_id = change.broker;
    record.broker_epoch = change.epoch;
    return record;
}

Record record_of(const TopicCreated& change) {
    TopicRecord record;
    record.name = change.name;
    record.topic_id = change.topic;
    return record;
}

Record record_of(const TopicRemoved& change) {
    RemoveTopicRecord record;
    record.topic_id = change.topic;
    return record;
}

Record record_of(const PartitionCreated& change) {
    PartitionRecord record;
    record.partition_id = change.partition.partition;
    record.topic_id = change.partition.topic;
    record.replicas = change.replicas;
    record.isr = change.isr;
    record.leader = change.leader;
    record.leader_recovery_state = static_cast<std::int8_t>(change.recovery);
    record.leader_epoch = change.leader_epoch;
    record.partition_epoch = change.partition_epoch;
    record.directories = change.directories;
    record.removing_replicas = change.removing;
    record.adding_replicas = change.adding;
    if (!change.elr.empty()) record.eligible_leader_replicas = change.elr;
    if (!change.last_known_elr.empty()) record.last_known_elr = change.last_known_elr;
    return record;
}

Record record_of(const PartitionChanged& change) {
    PartitionChangeRecord record;
    record.partition_id = change.partition.partition;
    record.topic_id = change.partition.topic;
    record.isr = change.isr;
    record.leader = change.leader.value_or(leader_unchanged);
    record.replicas = change.replicas;
    if (change.recovery) record.leader_recovery_state = static_cast<std::int8_t>(*change.recovery);
    record.eligible_leader_replicas = change.elr;
    record.last_known_elr = change.last_known_elr;
    record.removing_replicas = change.removing;
    record.adding_replicas = change.adding;
    return record;
}

Record record_of(const ConfigSet& change) {
    ConfigRecord record;
    record.resource_type = static_cast<std::int8_t>(change.resource.type);
    record.resource_name = change.resource.name;
    record.name = change.key;
    record.value.reset();
    if (change.value) record.value = *change.value;
    return record;
}

Record record_of(const FeatureSet& change) {
    FeatureLevelRecord record;
    record.name = change.name;
    record.feature_level = change.level;
    return record;
}

Record record_of(const ElrCleared& change) {
    ClearElrRecord record;
    record.topic_name = change.topic;
    return record;
}

LeaderRecoveryState recovery_of(std::int8_t state) {
    return state == 1 ? LeaderRecoveryState::recovering : LeaderRecoveryState::recovered;
}

using Made = std::optional<Change>;

Made made_by(const RegisterBrokerRecord& record) {
    BrokerRegistered change;
    change.broker = record.broker_id;
    change.incarnation = record.incarnation_id;
    change.epoch = record.broker_epoch;
    for (const auto& point : record.end_points)
        change.endpoints.push_back({std::string(point.name), std::string(point.host), point.port,
                                    point.security_protocol});
    if (record.rack) change.rack = std::string(*record.rack);
    change.fenced = record.fenced;
    change.in_controlled_shutdown = record.in_controlled_shutdown;
    change.log_dirs = record.log_dirs;
    return change;
}

Made made_by(const BrokerRegistrationChangeRecord& record) {
    BrokerChanged change;
    change.broker = record.broker_id;
    change.epoch = record.broker_epoch;
    if (record.fenced == fence) change.fenced = true;
    if (record.fenced == unfence) change.fenced = false;
    change.enters_controlled_shutdown = record.in_controlled_shutdown == begins_shutdown;
    return change;
}

Made made_by(const FenceBrokerRecord& record) {
    return BrokerChanged{record.id, record.epoch, true, false};
}

Made made_by(const UnfenceBrokerRecord& record) {
    return BrokerChanged{record.id, record.epoch, false, false};
}

Made made_by(const UnregisterBrokerRecord& record) {
    return BrokerUnregistered{record.broker_id, record.broker_epoch};
}

Made made_by(const TopicRecord& record) {
    return TopicCreated{record.topic_id, std::string(record.name)};
}

Made made_by(const RemoveTopicRecord& record) { return TopicRemoved{record.topic_id}; }

Made made_by(const PartitionRecord& record) {
    PartitionCreated change;
    change.partition = {record.topic_id, record.partition_id};
    change.replicas = record.replicas;
    change.isr = record.isr;
    change.elr = record.eligible_leader_replicas.value_or(BrokerIds{});
    change.last_known_elr = record.last_known_elr.value_or(BrokerIds{});
    change.leader = record.leader;
    change.leader_epoch = record.leader_epoch;
    change.partition_epoch = record.partition_epoch;
    change.recovery = recovery_of(record.leader_recovery_state);
    change.directories = record.directories;
    change.removing = record.removing_replicas;
    change.adding = record.adding_replicas;
    return change;
}

Made made_by(const PartitionChangeRecord& record) {
    PartitionChanged change;
    change.partition = {record.topic_id, record.partition_id};
    change.isr = record.isr;
    if (record.leader != leader_unchanged) change.leader = record.leader;
    change.replicas = record.replicas;
    if (record.leader_recovery_state != recovery_unchanged)
        change.recovery = recovery_of(record.leader_recovery_state);
    change.elr = record.eligible_leader_replicas;
    change.last_known_elr = record.last_known_elr;
    change.removing = record.removing_replicas;
    change.adding = record.adding_replicas;
    return change;
}

Made made_by(const ConfigRecord& record) {
    ConfigSet change;
    change.resource = {static_cast<ResourceType>(record.resource_type),
                       std::string(record.resource_name)};
    change.key = std::string(record.name);
    if (record.value) change.value = std::string(*record.value);
    return change;
}

Made made_by(const FeatureLevelRecord& record) {
    return FeatureSet{std::string(record.name), record.feature_level};
}

Made made_by(const ClearElrRecord& record) { return ElrCleared{std::string(record.topic_name)}; }

Made made_by(const ProducerIdsRecord&) { return std::nullopt; }
Made made_by(const NoOpRecord&) { return std::nullopt; }

}  // namespace

Bytes encode_change(const Change& change) {
    return std::visit([](const auto& one) { return encode_record(record_of(one)); }, change);
}

std::optional<Change> change_of(const Record& record) {
    return std::visit([](const auto& one) { return made_by(one); }, record);
}

Result<std::optional<Change>> decode_change(ByteView frame) {
    const Result<VersionedRecord> decoded = decode_record(frame);
    if (!decoded.ok()) return decoded.error();
    return change_of(decoded->record);
}

}  // namespace klamm::metadata
