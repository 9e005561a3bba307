#include "core/group/records.h"

#include <algorithm>

#include "core/protocol/messages/group_records.h"

namespace klamm::group {

namespace {

// The first two bytes of a key.
constexpr std::int16_t offset_key_legacy = 0;
constexpr std::int16_t offset_key = 1;
constexpr std::int16_t group_key = 2;
constexpr std::int16_t value_version = 4;
constexpr std::int16_t value_version_with_expiry = 1;

template <class Message>
Bytes versioned(const Message& message, std::int16_t first, std::int16_t version) {
    Bytes bytes(2);
    store_big_endian(bytes.data(), first);
    const Bytes body = protocol::encode(message, version).bytes;
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

std::optional<std::string> owned(const protocol::NullableString& text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
}
protocol::NullableString view(const std::optional<std::string>& text) {
    return text ? protocol::NullableString(*text) : std::nullopt;
}
Bytes owned(const protocol::Blob& blob) { return {blob.bytes.begin(), blob.bytes.end()}; }

/// A value after its version, which is in both forms of the message or of a later Kafka.
template <class Message>
Result<Message> decode_value(ByteView bytes) {
    if (bytes.size() < 2) return Error{Failure::truncated, "a value without its version"};
    return protocol::decode<Message>(bytes.subspan(2), load_big_endian<std::int16_t>(bytes.data()));
}

KeyAndValue encode_offset(const OffsetRecord& record) {
    protocol::OffsetCommitKey key;
    key.group = record.group;
    key.topic = record.partition.first;
    key.partition = record.partition.second;
    KeyAndValue encoded{versioned(key, offset_key, 0), std::nullopt};
    if (!record.value) return encoded;
    protocol::OffsetCommitValue value;
    value.offset = record.value->offset;
    value.leader_epoch = record.value->leader_epoch;
    value.metadata = record.value->metadata;
    value.commit_timestamp = record.value->committed_at;
    value.expire_timestamp = record.value->expires_at;
    value.topic_id = record.value->topic_id;
    const std::int16_t version =
        record.value->expires_at == no_timestamp ? value_version : value_version_with_expiry;
    encoded.value = versioned(value, version, version);
    return encoded;
}

KeyAndValue encode_group(const GroupRecord& record) {
    protocol::GroupMetadataKey key;
    key.group = record.group;
    KeyAndValue encoded{versioned(key, group_key, 0), std::nullopt};
    if (!record.value) return encoded;
    protocol::GroupMetadataValue value;
    value.protocol_type = record.value->protocol_type;
    value.generation = record.value->generation;
    value.protocol = view(record.value->protocol);
    value.leader = view(record.value->leader);
    value.current_state_timestamp = record.value->state_at;
    for (const StoredMember& member : record.value->members)
        value.members.push_back({.member_id = member.id,
                                 .group_instance_id = view(member.instance),
                                 .client_id = member.client_id,
                                 .client_host = member.client_host,
                                 .rebalance_timeout = member.rebalance_ms,
                                 .session_timeout = member.session_ms,
                                 .subscription = {member.subscription},
                                 .assignment = {member.assignment}});
    encoded.value = versioned(value, value_version, value_version);
    return encoded;
}

Result<std::optional<GroupLogRecord>> decode_offset(ByteView bytes, std::optional<ByteView> value) {
    const auto key = protocol::decode<protocol::OffsetCommitKey>(bytes, 0);
    if (!key.ok()) return key.error();
    OffsetRecord record{.group = std::string(key->group),
                        .partition = {std::string(key->topic), key->partition},
                        .value = std::nullopt};
    if (value) {
        const auto read = decode_value<protocol::OffsetCommitValue>(*value);
        if (!read.ok()) return read.error();
        record.value = {.offset = read->offset,
                        .leader_epoch = read->leader_epoch,
                        .metadata = std::string(read->metadata),
                        .committed_at = read->commit_timestamp,
                        .expires_at = read->expire_timestamp,
                        .topic_id = read->topic_id};
    }
    return std::optional<GroupLogRecord>(std::move(record));
}

Result<std::optional<GroupLogRecord>> decode_group(ByteView bytes, std::optional<ByteView> value) {
    const auto key = protocol::decode<protocol::GroupMetadataKey>(bytes, 0);
    if (!key.ok()) return key.error();
    GroupRecord record{.group = std::string(key->group), .value = std::nullopt};
    if (value) {
        const auto read = decode_value<protocol::GroupMetadataValue>(*value);
        if (!read.ok()) return read.error();
        StoredGroup& group = record.value.emplace();
        group.protocol_type = read->protocol_type;
        group.generation = read->generation;
        group.protocol = owned(read->protocol);
        group.leader = owned(read->leader);
        group.state_at = read->current_state_timestamp;
        for (const auto& member : read->members)
            group.members.push_back({.id = std::string(member.member_id),
                                     .instance = owned(member.group_instance_id),
                                     .client_id = std::string(member.client_id),
                                     .client_host = std::string(member.client_host),
                                     .rebalance_ms = member.rebalance_timeout == -1
                                                         ? member.session_timeout
                                                         : member.rebalance_timeout,
                                     .session_ms = member.session_timeout,
                                     .subscription = owned(member.subscription),
                                     .assignment = owned(member.assignment)});
    }
    return std::optional<GroupLogRecord>(std::move(record));
}

}  // namespace

KeyAndValue encode(const GroupLogRecord& record) {
    if (const auto* offset = std::get_if<OffsetRecord>(&record)) return encode_offset(*offset);
    if (const auto* pending = std::get_if<PendingOffset>(&record))
        return encode_offset(pending->offset);
    return encode_group(std::get<GroupRecord>(record));
}

Result<std::optional<GroupLogRecord>> decode(ByteView key, std::optional<ByteView> value) {
    if (key.size() < 2) return Error{Failure::truncated, "a key without its kind"};
    switch (load_big_endian<std::int16_t>(key.data())) {
        case offset_key_legacy:
        case offset_key: return decode_offset(key.subspan(2), value);
        case group_key: return decode_group(key.subspan(2), value);
        default: return std::optional<GroupLogRecord>();
    }
}

void GroupLog::apply(const GroupLogRecord& record) {
    if (const auto* group = std::get_if<GroupRecord>(&record)) {
        if (group->value)
            groups_[group->group] = *group->value;
        else
            groups_.erase(group->group);
        return;
    }
    if (const auto* end = std::get_if<TransactionEnd>(&record)) return apply_end(*end);
    if (const auto* pending = std::get_if<PendingOffset>(&record)) {
        const OffsetRecord& offset = pending->offset;
        if (!offset.value) return;
        CommittedOffset& kept = pending_[pending->producer][offset.group][offset.partition];
        kept = *offset.value;
        kept.written = ++written_;
        open_producers_[offset.group].insert(pending->producer);
        return;
    }
    apply_offset(std::get<OffsetRecord>(record));
}

void GroupLog::apply_offset(const OffsetRecord& record) {
    if (record.value) {
        CommittedOffset& kept = offsets_[record.group][record.partition];
        kept = *record.value;
        kept.written = ++written_;
        return;
    }
    if (const auto at = offsets_.find(record.group); at != offsets_.end()) {
        at->second.erase(record.partition);
        if (at->second.empty()) offsets_.erase(at);
    }
    // What is deleted does not come back with a transaction.
    const auto open = open_producers_.find(record.group);
    if (open == open_producers_.end()) return;
    for (const ProducerId producer : open->second)
        pending_[producer][record.group].erase(record.partition);
}

void GroupLog::apply_end(const TransactionEnd& end) {
    const auto row = pending_.extract(end.producer);
    if (row.empty()) return;
    for (const auto& [group, offsets] : row.mapped()) {
        const auto open = open_producers_.find(group);
        open->second.erase(end.producer);
        if (open->second.empty()) open_producers_.erase(open);
        if (!end.commit) continue;
        for (const auto& [partition, offset] : offsets) {
            CommittedOffset& kept = offsets_[group][partition];
            if (kept.written < offset.written) kept = offset;
        }
    }
}

bool GroupLog::pending(const std::string& group, const TopicAndPartition& partition) const {
    const auto open = open_producers_.find(group);
    if (open == open_producers_.end()) return false;
    return std::any_of(open->second.begin(), open->second.end(), [&](ProducerId producer) {
        return pending_.at(producer).at(group).contains(partition);
    });
}

std::set<TopicAndPartition> GroupLog::pending(const std::string& group) const {
    std::set<TopicAndPartition> partitions;
    const auto open = open_producers_.find(group);
    if (open == open_producers_.end()) return partitions;
    for (const ProducerId producer : open->second)
        for (const auto& [partition, offset] : pending_.at(producer).at(group))
            partitions.insert(partition);
    return partitions;
}

const GroupLog::Offsets* GroupLog::offsets(const std::string& group) const {
    const auto at = offsets_.find(group);
    return at == offsets_.end() ? nullptr : &at->second;
}

std::optional<std::set<std::string>> subscribed_topics(ByteView subscription) {
    protocol::Reader reader(subscription);
    reader.integer<std::int16_t>();  // its version: what follows has stood there since version 0
    std::set<std::string> topics;
    for (std::size_t left = reader.array_size(false, 2); left > 0 && reader.ok(); --left)
        topics.emplace(reader.string(false));
    (void)reader.nullable_blob(false);  // user data
    if (!reader.ok()) return std::nullopt;
    return topics;
}

}  // namespace klamm::group
