#pragma once
// What a group coordinator is asked, and what it answers, as values: they own their bytes, since
// they cross shards and answers may wait long. Field names are those of Kafka's messages where they
// mean the same. Checks that need the cluster's metadata (does a topic exist?) are the caller's.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/group/records.h"
#include "core/protocol/error_code.h"

namespace klamm::group {

using protocol::ErrorCode;

/// Who is to be answered; means something to the caller only.
using Caller = std::uint64_t;

struct Protocol {
    std::string name{};
    Bytes metadata{};
    friend bool operator==(const Protocol&, const Protocol&) = default;
};

struct Join {
    std::string group{};
    std::string member{};  // empty: has none yet
    std::optional<std::string> instance{};
    std::string protocol_type{};
    std::vector<Protocol> protocols{};  // in the member's order of preference
    std::int32_t session_ms = 0;
    std::int32_t rebalance_ms = 0;
    std::string client_id{};
    std::string client_host{};
    bool needs_known_member = false;   // KIP-394, from version 4 on
    bool can_skip_assignment = false;  // KIP-814, from version 9 on
};
struct JoinAnswer {
    ErrorCode error = ErrorCode::none;
    std::int32_t generation = -1;
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol{};
    std::string leader{};
    bool skip_assignment = false;
    std::string member{};
    struct Member {
        std::string id{};
        std::optional<std::string> instance{};
        Bytes metadata{};
    };
    std::vector<Member> members{};  // for the leader
};

struct Sync {
    std::string group{};
    std::int32_t generation = 0;
    std::string member{};
    std::optional<std::string> instance{};
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol{};
    std::map<std::string, Bytes> assignments{};  // the leader's
};
struct SyncAnswer {
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol{};
    Bytes assignment{};
};

struct Heartbeat {
    std::string group{};
    std::int32_t generation = 0;
    std::string member{};
    std::optional<std::string> instance{};
};

struct Leave {
    struct Member {
        std::string id{};  // empty: by its instance
        std::optional<std::string> instance{};
    };
    std::string group{};
    std::vector<Member> members{};
};
struct LeaveAnswer {
    ErrorCode error = ErrorCode::none;
    std::vector<ErrorCode> members{};  // one each, as asked; empty with an error
};

/// Whose transaction it is; without a producer, nobody's.
struct Transactional {
    ProducerId producer = no_producer_id;
    ProducerEpoch epoch = no_producer_epoch;
    std::int32_t coordinator_epoch = -1;  // of a marker
};

struct Commit {
    struct Partition {
        std::string topic{};
        PartitionIndex partition{};
        CommittedOffset offset{};  // without its times
    };
    std::string group{};
    std::int32_t generation = -1;  // negative: a consumer without a group's assignment
    std::string member{};
    std::optional<std::string> instance{};
    std::int64_t retention_ms = -1;    // versions 2 to 4; -1: by the group's rule
    bool knows_missing_group = false;  // version 9 on: GROUP_ID_NOT_FOUND
    Transactional transaction{};       // of TxnOffsetCommit, with the next two
    std::string transactional_id{};
    std::int16_t request_version = 0;
    std::vector<Partition> partitions{};
};
/// Of Commit and DeleteOffsets: of all, and one each as asked (empty with an error of all).
struct OffsetsAnswer {
    ErrorCode error = ErrorCode::none;
    std::vector<ErrorCode> partitions{};
};

struct Fetch {
    struct Partition {
        std::string topic{};
        Uuid topic_id{};  // zero: asked by name
        PartitionIndex partition{};
    };
    std::string group{};
    std::optional<std::vector<Partition>> partitions{};  // without: all that there are
    bool stable = false;  // waits for what is being committed (KIP-447)
};
struct FetchAnswer {
    struct Partition {
        std::string topic{};
        PartitionIndex partition{};
        std::optional<CommittedOffset> offset{};
        ErrorCode error = ErrorCode::none;  // UNSTABLE_OFFSET_COMMIT
    };
    ErrorCode error = ErrorCode::none;
    std::vector<Partition> partitions{};  // as asked; of all, by topic
};

struct DeleteOffsets {
    std::string group{};
    std::vector<TopicAndPartition> partitions{};
};

struct Describe {
    std::string group{};
};
struct DescribeAnswer {
    struct Member {
        std::string id{};
        std::optional<std::string> instance{};
        std::string client_id{};
        std::string client_host{};
        Bytes metadata{};
        Bytes assignment{};
    };
    ErrorCode error = ErrorCode::none;  // GROUP_ID_NOT_FOUND when there is none, state "Dead"
    std::string state{};
    std::string protocol_type{};
    std::string protocol{};
    std::vector<Member> members{};
};

struct List {
    std::vector<std::string> states{};  // empty: any
    std::vector<std::string> types{};
};
struct ListAnswer {
    struct Group {
        std::string id{};
        std::string protocol_type{};
        std::string state{};
    };
    ErrorCode error = ErrorCode::none;
    std::vector<Group> groups{};
};

struct Delete {
    std::string group{};
};

/// The marker of a transaction, for the offsets that have joined it.
struct EndTransaction {
    Transactional transaction{};
    bool commit = false;
};

/// Of Heartbeat, Delete and EndTransaction.
struct PlainAnswer {
    ErrorCode error = ErrorCode::none;
};

using Command = std::variant<Join, Sync, Heartbeat, Leave, Commit, Fetch, DeleteOffsets, Describe,
                             List, Delete, EndTransaction>;
using AnswerBody = std::variant<JoinAnswer, SyncAnswer, PlainAnswer, LeaveAnswer, OffsetsAnswer,
                                FetchAnswer, DescribeAnswer, ListAnswer>;

/// The answer to `command` when nothing can be done for it: who coordinates the group is elsewhere,
/// or still loads, or could not write. Codes of appends become those that clients know
/// (GroupCoordinatorService.handleOperationException); while loading, a heartbeat is answered
/// without an error, as Kafka does.
AnswerBody refusal(const Command& command, ErrorCode error);

/// A coordinator's errors from those of an append.
ErrorCode coordinator_error(ErrorCode append_error);

}  // namespace klamm::group
