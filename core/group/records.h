#pragma once
// What __consumer_offsets holds of classic groups: keys and values of its records, as values of our
// own and as Kafka's bytes (GroupCoordinatorRecordHelpers and CoordinatorRecordSerde of 4.1), and
// what applying them makes.
//
// A record without a value is a tombstone. Kinds of record that are not of classic groups
// (KIP-848's, share groups') are told apart and left alone. Offsets that join a transaction lie in
// its producer's batches and wait for the marker, which is a batch of its own.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/replicated/partition_of.h"

namespace klamm::group {

constexpr std::string_view offsets_topic = "__consumer_offsets";

struct CommittedOffset {
    Offset offset{};
    LeaderEpoch leader_epoch = no_leader_epoch;
    std::string metadata{};
    Timestamp committed_at = no_timestamp;
    Timestamp expires_at = no_timestamp;  // -1: by the group's rule (KIP-211)
    Uuid topic_id{};
    /// Which of the log's offset records it was: of two for one partition the later counts, also
    /// when the earlier waited for its transaction. Not in the log, nor compared.
    std::uint64_t written = 0;
    friend bool operator==(const CommittedOffset& a, const CommittedOffset& b) {
        return std::tie(a.offset, a.leader_epoch, a.metadata, a.committed_at, a.expires_at,
                        a.topic_id) == std::tie(b.offset, b.leader_epoch, b.metadata,
                                                b.committed_at, b.expires_at, b.topic_id);
    }
};

/// A member of a generation, as it is kept.
struct StoredMember {
    std::string id{};
    std::optional<std::string> instance{};  // group.instance.id (KIP-345)
    std::string client_id{};
    std::string client_host{};
    std::int32_t rebalance_ms = 0;
    std::int32_t session_ms = 0;
    Bytes subscription{};
    Bytes assignment{};
    friend bool operator==(const StoredMember&, const StoredMember&) = default;
};

struct StoredGroup {
    std::string protocol_type{};
    std::int32_t generation = 0;
    std::optional<std::string> protocol{};
    std::optional<std::string> leader{};
    Timestamp state_at = no_timestamp;
    std::vector<StoredMember> members{};
    friend bool operator==(const StoredGroup&, const StoredGroup&) = default;
};

using TopicAndPartition = std::pair<std::string, PartitionIndex>;

struct OffsetRecord {
    std::string group{};
    TopicAndPartition partition{};
    std::optional<CommittedOffset> value{};
    friend bool operator==(const OffsetRecord&, const OffsetRecord&) = default;
};
struct GroupRecord {
    std::string group{};
    std::optional<StoredGroup> value{};
    friend bool operator==(const GroupRecord&, const GroupRecord&) = default;
};
/// An offset that counts when its producer's transaction is committed.
struct PendingOffset {
    ProducerId producer{};
    OffsetRecord offset{};
    friend bool operator==(const PendingOffset&, const PendingOffset&) = default;
};
/// The marker of a transaction.
struct TransactionEnd {
    ProducerId producer{};
    bool commit = false;
    friend bool operator==(const TransactionEnd&, const TransactionEnd&) = default;
};
using GroupLogRecord = std::variant<OffsetRecord, GroupRecord, PendingOffset, TransactionEnd>;

struct KeyAndValue {
    Bytes key;
    std::optional<Bytes> value;
};
/// In the versions that Kafka 4.1 writes: values 4, and 1 of an offset with a time of its own. Not
/// of a marker.
KeyAndValue encode(const GroupLogRecord& record);
/// Nothing for a kind of record that is not ours to keep. Fails with `invalid` or `truncated` on
/// bytes that are no record, and with `unsupported` on a value of a version that nobody knows.
Result<std::optional<GroupLogRecord>> decode(ByteView key, std::optional<ByteView> value);

/// The partition that a group's records and its coordinator are at, of `partitions` > 0.
inline std::int32_t partition_of(std::string_view group, std::int32_t partitions) {
    return replicated::partition_of(group, partitions);
}

/// What the records of a partition make, one after another.
class GroupLog {
  public:
    using Record = GroupLogRecord;
    using Offsets = std::map<TopicAndPartition, CommittedOffset>;

    void apply(const GroupLogRecord& record);
    [[nodiscard]] const std::map<std::string, StoredGroup>& groups() const { return groups_; }
    [[nodiscard]] const std::map<std::string, Offsets>& offsets() const { return offsets_; }
    /// Of one group; nullptr when it has none.
    [[nodiscard]] const Offsets* offsets(const std::string& group) const;
    /// Of open transactions, by their producers.
    using Pending = std::map<ProducerId, std::map<std::string, Offsets>>;
    [[nodiscard]] const Pending& pending() const { return pending_; }
    /// Whether an offset of the partition waits for a transaction.
    [[nodiscard]] bool pending(const std::string& group, const TopicAndPartition& partition) const;
    /// The partitions of a group whose offsets wait for a transaction.
    [[nodiscard]] std::set<TopicAndPartition> pending(const std::string& group) const;
    /// Whether any record speaks of the group.
    [[nodiscard]] bool knows(const std::string& group) const {
        return groups_.contains(group) || offsets_.contains(group) ||
               open_producers_.contains(group);
    }
    friend bool operator==(const GroupLog& a, const GroupLog& b) {
        return a.groups_ == b.groups_ && a.offsets_ == b.offsets_ && a.pending_ == b.pending_;
    }

  private:
    std::map<std::string, StoredGroup> groups_;
    void apply_offset(const OffsetRecord& record);
    void apply_end(const TransactionEnd& end);

    std::map<std::string, Offsets> offsets_;
    Pending pending_;
    std::map<std::string, std::set<ProducerId>> open_producers_;  // of pending_, by group
    std::uint64_t written_ = 0;                                   // offset records applied
};

/// The topics of a consumer's subscription (ConsumerProtocol, any version); nothing when it cannot
/// be read.
std::optional<std::set<std::string>> subscribed_topics(ByteView subscription);

}  // namespace klamm::group
