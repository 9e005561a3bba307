#pragma once
// What the shards of a broker say to each other. A connection belongs to the shard that accepted
// it, a partition to hash(topic id, partition) mod S: the shard with the connection sends commands,
// the shard with the partition answers with outcomes, and both are values. Between two roles on one
// shard the same values pass through the shard's own queue, so there is one path and not two.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/env/env.h"
#include "core/group/commands.h"
#include "core/log/aborted_index.h"
#include "core/net/inbound.h"
#include "core/protocol/error_code.h"
#include "core/transaction/coordinator.h"

namespace klamm::metadata {
class ClusterImage;
}

namespace klamm::server {

using protocol::ErrorCode;

/// Which waiting row of which shard an outcome belongs to, and which partition of it.
struct ReplyTo {
    env::ShardIndex shard = 0;
    std::uint64_t pending = 0;
    std::uint32_t part = 0;
};

/// Appends one batch, validated already, to a partition that this node may lead.
struct ProduceCommand {
    ReplyTo reply;
    TopicPartition partition;
    Buffer batch;
    std::int16_t acks = -1;
    Duration timeout;
    std::string transaction{};  // the request's transactional id
    std::int16_t version = 0;   // of the request: from 12 on it adds partitions by itself (KIP-890)
};
struct ProduceOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
    Offset base_offset = no_offset;
    Timestamp log_append_time = no_timestamp;
    Offset log_start = no_offset;
    BrokerId leader = no_broker;  // with an error: who leads as far as known
    LeaderEpoch leader_epoch = no_leader_epoch;
};

/// A transaction's marker, from its coordinator: answered when the high watermark has passed it.
struct MarkerCommand {
    ReplyTo reply;
    TopicPartition partition;
    ProducerId producer;
    ProducerEpoch epoch;
    std::int32_t coordinator_epoch = 0;
    bool commit = false;
};
struct MarkerOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
};

/// The producers that a partition knows (KIP-664).
struct ProducersCommand {
    ReplyTo reply;
    TopicPartition partition;
};
struct ProducersOutcome {
    struct Row {
        ProducerId id{};
        ProducerEpoch epoch{};
        std::int32_t last_sequence = -1;
        Timestamp last_timestamp = no_timestamp;
        std::int32_t coordinator_epoch = -1;
        Offset start = no_offset;  // of its open transaction
    };
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
    std::vector<Row> producers{};
};

/// Is the partition part of the producer's ongoing transaction (KIP-890)? With `add` it becomes
/// one. To the partition's own shard, which asks the transaction's coordinator.
struct VerifyCommand {
    TopicPartition partition;
    std::string topic;
    std::uint64_t guard = 0;  // which verification of the partition's it is
    std::string transaction{};
    ProducerId producer;
    ProducerEpoch epoch;
    bool add = false;
    bool group = false;  // asked by the coordinator of groups there
};
struct VerifyOutcome {
    TopicPartition partition;
    bool group = false;
    std::uint64_t guard = 0;
    ProducerId producer;
    ErrorCode error = ErrorCode::none;
};

/// isolation.level=read_committed in requests.
constexpr std::int8_t isolation_committed = 1;

/// Reads batches from `offset` on: for a consumer up to the high watermark, for a follower up to
/// the log end, noting its progress unless `recheck`.
struct ReadCommand {
    ReplyTo reply;
    TopicPartition partition;
    Offset offset;
    LeaderEpoch current_epoch = no_leader_epoch;
    LeaderEpoch last_fetched_epoch = no_leader_epoch;
    std::uint64_t bytes_max = 0;
    bool min_one = false;
    bool recheck = false;
    BrokerId follower = no_broker;
    BrokerEpoch follower_epoch = no_broker_epoch;
    bool copied = false;  // the bytes themselves, never a range of a file
    Offset follower_log_start{0};
    bool committed = false;  // up to the last stable offset only
};
struct ReadOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
    Offset high_watermark = no_offset;
    Offset log_start = no_offset;
    Offset readable_end = no_offset;  // where this reader's data ended: a watch is on passing it
    LeaderEpoch diverging_epoch = no_leader_epoch;
    Offset diverging_end = no_offset;
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch = no_leader_epoch;
    std::vector<env::Piece> pieces{};
    std::uint64_t bytes = 0;
    bool behind = false;  // the reader is in an older segment than the end of its data
    std::vector<net::Pin> pins{};
    Offset served_to = no_offset;  // end of the batches in `pieces`
    Offset last_stable = no_offset;
    std::vector<log::AbortedTransaction> aborted{};  // of them, for who reads what is committed
};

/// Asks to be told once when there is more for this reader than up to `seen_end` (or the
/// partition's role changes).
struct WatchCommand {
    ReplyTo reply;
    TopicPartition partition;
    Offset seen_end;
    bool follower = false;
    Instant deadline;  // after which nobody wants to be told
    bool committed = false;
};
struct WatchFired {
    ReplyTo reply;
};

// Special times of ListOffsets (KIP-79, KIP-405, KIP-734, KIP-1005).
constexpr std::int64_t latest_time = -1;
constexpr std::int64_t earliest_time = -2;
constexpr std::int64_t max_timestamp_time = -3;
constexpr std::int64_t earliest_local_time = -4;
constexpr std::int64_t latest_tiered_time = -5;

/// ListOffsets of one partition.
struct OffsetCommand {
    ReplyTo reply;
    TopicPartition partition;
    LeaderEpoch current_epoch = no_leader_epoch;
    std::int64_t timestamp = 0;  // or a special one
    std::int8_t isolation = 0;
    bool follower = false;
};
struct OffsetOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
    Timestamp timestamp = no_timestamp;
    Offset offset = no_offset;
    LeaderEpoch leader_epoch = no_leader_epoch;
};

/// OffsetForLeaderEpoch of one partition.
struct EpochEndCommand {
    ReplyTo reply;
    TopicPartition partition;
    LeaderEpoch current_epoch = no_leader_epoch;
    LeaderEpoch epoch = no_leader_epoch;
};
struct EpochEndOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
    LeaderEpoch epoch = no_leader_epoch;
    Offset end = no_offset;
};

/// Raises the log start to `offset` (-1: the high watermark) and answers when every live replica
/// has done so, or at the deadline.
struct DeleteRecordsCommand {
    ReplyTo reply;
    TopicPartition partition;
    Offset offset = no_offset;
    Instant deadline;
};
struct DeleteRecordsOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
    Offset low_watermark = no_offset;
};

/// What is in a shard's log directory: all of it, or what of `wanted` is there.
struct LogDirCommand {
    ReplyTo reply;
    std::optional<std::vector<TopicPartition>> wanted;
};
struct LogDirOutcome {
    struct Row {
        TopicPartition partition;
        std::string topic;
        std::uint64_t bytes = 0;
        std::int64_t lag = 0;  // of the log end behind the high watermark
    };
    ReplyTo reply;
    std::string path;
    bool offline = false;
    std::vector<Row> rows;
    std::int64_t usable_bytes = -1;  // -1: not known
};

/// A newer image of the cluster, from the shard that follows the metadata log to all shards.
struct ImageArrived {
    std::shared_ptr<const metadata::ClusterImage> image;
    BrokerEpoch broker_epoch;
    bool caught_up = false;  // with what was committed when the broker began to read
};

/// A leader wants another ISR; the shard with the controller's channel asks for it.
struct IsrMember {
    BrokerId broker;
    BrokerEpoch epoch;
};
struct AlterIsrCommand {
    ReplyTo reply;
    TopicPartition partition;
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;
    std::vector<IsrMember> isr{};
};
struct AlterIsrOutcome {
    ReplyTo reply;
    TopicPartition partition;
    LeaderEpoch asked_epoch;  // with the next, what was asked
    PartitionEpoch asked_partition_epoch;
    bool answered = false;  // false: the outcome is unknown
    ErrorCode error = ErrorCode::none;
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch = no_leader_epoch;
    PartitionEpoch partition_epoch{-1};
    std::vector<BrokerId> isr{};
};

/// Each shard has a log directory of its own. It is ready, or will never be.
struct DirectoryStarted {
    bool ready = false;
    BrokerEpoch previous_epoch = no_broker_epoch;  // proof of a clean stop, or -1
};
/// The logs of the first image that this shard has got are open.
struct LogsOpened {};
/// Clean stop: "close your logs", and "they are closed".
struct CloseLogs {
    BrokerEpoch broker_epoch;
};
struct LogsClosed {
    bool clean = true;  // every log was flushed and closed
};
/// A shard's directory has failed: the broker cannot go on.
struct DirectoryFailed {};

/// A block of producer ids, from the controller.
struct ProducerIdsCommand {
    ReplyTo reply;
};
struct ProducerIdsOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;
    ProducerId first = no_producer_id;
    std::int32_t count = 0;
};

/// To itself, in a later turn: what of a partition was on its way has left, now it goes. `keep`:
/// its directory is another topic's, and is set aside.
struct RemoveNow {
    TopicPartition partition;
    bool keep = false;
};

/// A client's request that only the active controller answers, to the shard with the line to it:
/// passed on in an envelope, answered once.
struct ForwardCommand {
    ReplyTo reply;
    Buffer frame;      // header and body, as they came
    std::string peer;  // whose it is: "host:port"
};
struct ForwardOutcome {
    ReplyTo reply;
    ErrorCode error = ErrorCode::none;  // else nothing came back
    Buffer frame;                       // the answer: header and body
};

/// The broker itself wants a topic to be there: one that a client has asked for by its name, or an
/// internal one (`__consumer_offsets` for FindCoordinator). Post it to shard 0, as often as the
/// topic is missed: while one request for a name is under way others for it do nothing. Nothing
/// comes back; the topic comes with the metadata, or it does not.
///
///     context.post(0, creatable_topic(context.settings.options, "__consumer_offsets"));
struct CreateTopicCommand {
    std::string name;
    std::int32_t partitions = -1;          // -1: as the controller does by default
    std::int16_t replication_factor = -1;  // the same
    std::map<std::string, std::string> configs{};
};

/// A command for the coordinator of groups at a partition of __consumer_offsets.
struct GroupCommand {
    ReplyTo reply;
    TopicPartition partition;
    std::shared_ptr<const group::Command> command;
};
struct GroupOutcome {
    ReplyTo reply;
    std::shared_ptr<const group::AnswerBody> answer;
};
/// A command for the coordinator of transactions at a partition of __transaction_state.
struct TransactionCommand {
    ReplyTo reply;
    TopicPartition partition;
    std::shared_ptr<const transaction::Command> command;
};
struct TransactionOutcome {
    ReplyTo reply;
    std::shared_ptr<const transaction::AnswerBody> answer;
};
/// Markers of a decided transaction, from the coordinator at `partition` to its own shard's lines;
/// it comes back when all are written.
struct MarkersCommand {
    TopicPartition partition;
    transaction::Markers markers;
};
struct MarkersOutcome {
    TopicPartition partition;
    transaction::Markers markers;
};
/// What kind of coordinator keeps its state in a partition.
enum class Coordinates : std::uint8_t { nothing, groups, transactions };
/// To itself, in a later turn: a coordinator loads the next slice of its log.
struct LoadNext {
    TopicPartition partition;
    Coordinates kind = Coordinates::groups;
};

/// To itself, in a later turn: the connections that pinned a log's tail are closed, now it may be
/// cut.
struct CutNow {
    TopicPartition partition;
};

using MailValue =
    std::variant<ProduceCommand, ProduceOutcome, ReadCommand, ReadOutcome, WatchCommand, WatchFired,
                 OffsetCommand, OffsetOutcome, EpochEndCommand, EpochEndOutcome, ImageArrived,
                 AlterIsrCommand, AlterIsrOutcome, DirectoryStarted, LogsOpened, CloseLogs,
                 LogsClosed, DirectoryFailed, ProducerIdsCommand, ProducerIdsOutcome, CutNow,
                 ForwardCommand, ForwardOutcome, CreateTopicCommand, RemoveNow, GroupCommand,
                 GroupOutcome, LoadNext, TransactionCommand, TransactionOutcome, MarkersCommand,
                 MarkersOutcome, MarkerCommand, MarkerOutcome, ProducersCommand, ProducersOutcome,
                 VerifyCommand, VerifyOutcome, DeleteRecordsCommand, DeleteRecordsOutcome,
                 LogDirCommand, LogDirOutcome>;

/// A MailValue on its way between shards.
class ShardMail final : public env::Parcel {
  public:
    explicit ShardMail(MailValue mail_value) : value(std::move(mail_value)) {}
    [[nodiscard]] std::uint64_t digest() const override;

    MailValue value;
};

}  // namespace klamm::server
