#pragma once
// The client side of one shard: its accepted connections, and one row for each request that spans
// partitions or waits. A request is decoded as views into its frame, cut into commands for the
// shards that hold its partitions, and answered when their outcomes are in. Handlers are one file
// each; each frame's row keeps the frame alive.
//
// It decides nothing about partitions, and never touches a log.

#include <map>
#include <optional>
#include <vector>

#include "core/base/timer_queue.h"
#include "core/net/inbound.h"
#include "core/protocol/frame.h"
#include "core/protocol/messages/alter_replica_log_dirs.h"
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/describe_log_dirs.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "core/protocol/messages/produce.h"
#include "core/record/compression.h"
#include "core/server/context.h"
#include "core/server/group_requests.h"
#include "core/server/incoming.h"
#include "core/server/topic_options.h"
#include "core/server/transaction_requests.h"

namespace klamm::server {

/// All that there is to be allowed, while nobody forbids anything: a bit for each AclOperation.
constexpr std::int32_t all_topic_operations = 0x0df8;
constexpr std::int32_t all_cluster_operations = 0x1fa0;

class Requests {
  public:
    explicit Requests(Context& context)
        : context_(context),
          inbound_(context.settings.limits),
          groups_(context, inbound_),
          transactions_(context, inbound_) {}

    // Events of the seam; false when the connection is not an accepted one.
    void accepted(const env::Accepted& event);
    bool received(const env::Received& event);
    bool drained(const env::Drained& event) { return inbound_.drained(context_.env(), event); }
    bool closed(const env::Closed& event) { return inbound_.closed(context_.env(), event); }

    // Outcomes of commands.
    void on(ProduceOutcome outcome);
    void on(ReadOutcome outcome);
    void on(const WatchFired& fired);
    void on(const OffsetOutcome& outcome);
    void on(const EpochEndOutcome& outcome);
    void on(const ProducerIdsOutcome& outcome);
    void on(ForwardOutcome outcome);
    void on(const GroupOutcome& outcome) {
        if (TransactionRequests::marks(outcome.reply)) return transactions_.on(outcome);
        groups_.on(outcome);
    }
    void on(const TransactionOutcome& outcome) { transactions_.on(outcome); }
    void on(const MarkerOutcome& outcome) { transactions_.on(outcome); }
    void on(const ProducersOutcome& outcome) { transactions_.on(outcome); }
    void on(const DeleteRecordsOutcome& outcome);
    void on(LogDirOutcome outcome);

    void tick();
    [[nodiscard]] Instant deadline_min() const { return fetch_timers_.deadline_min(); }

    [[nodiscard]] net::Inbound& inbound() { return inbound_; }
    [[nodiscard]] const net::Inbound& inbound() const { return inbound_; }
    /// Requests that are not answered yet.
    [[nodiscard]] std::size_t waiting() const {
        return deletions_.size() + log_dirs_.size() + produces_.size() + fetches_.size() +
               offsets_.size() + epoch_ends_.size() + producer_ids_.size() + forwards_.size() +
               groups_.waiting() + transactions_.waiting();
    }
    /// A file range is about to be cut: no fetch that waits may send it.
    void drop_holding(net::Pin pin);
    /// The port that clients reach, once it is known.
    void set_port(std::uint16_t port) { port_ = port; }
    [[nodiscard]] std::uint16_t port() const { return port_; }

  private:
    struct Part {  // where an outcome belongs in the answer
        std::size_t topic;
        std::size_t partition;
    };
    struct PendingProduce {
        Incoming request;
        protocol::ProduceResponse response;
        std::vector<Part> parts;
        std::size_t outstanding = 0;
        std::int16_t acks = -1;
        bool failed = false;
    };
    struct FetchPart {
        ReadCommand command;
        std::optional<ReadOutcome> outcome;
        std::size_t topic;
        PartitionIndex partition;
        std::uint64_t bytes_max;
    };
    struct PendingFetch {
        Incoming request;
        protocol::FetchRequest body;
        std::vector<FetchPart> parts;
        std::size_t next = 0;     // the part being read
        std::uint64_t bytes = 0;  // gathered so far
        std::uint64_t there = 0;  // the same, and what the limits let no whole batch through for
        std::uint64_t bytes_max = 0;
        std::uint64_t min_bytes = 0;
        Instant deadline;
        TimerId timer;
        bool reading = false;
        bool waiting = false;
        bool fired = false;  // word of more came while reading
        bool from_follower = false;
    };
    struct PendingOffsets {
        Incoming request;
        protocol::ListOffsetsResponse response;
        std::vector<Part> parts;
        std::size_t outstanding = 0;
    };
    struct PendingEpochEnds {
        Incoming request;
        protocol::OffsetForLeaderEpochResponse response;
        std::vector<Part> parts;
        std::size_t outstanding = 0;
    };
    struct PendingDeletions {
        Incoming request;
        protocol::DeleteRecordsResponse response;
        std::vector<Part> parts;
        std::size_t outstanding = 0;
    };
    struct PendingLogDirs {
        Incoming request;
        std::vector<LogDirOutcome> outcomes;  // by shard
        std::size_t outstanding = 0;
    };
    struct PendingProducerId {
        Incoming request;
    };

    void dispatch(const net::Request& request);
    void handle_api_versions(const Incoming& request);
    void handle_metadata(const Incoming& request);
    void handle_produce(Incoming request);
    void handle_fetch(Incoming request);
    void handle_list_offsets(Incoming request);
    void handle_offset_for_leader_epoch(Incoming request);
    void handle_init_producer_id(Incoming request);
    void handle_describe_configs(const Incoming& request);
    void handle_describe_cluster(const Incoming& request);
    void handle_list_config_resources(const Incoming& request);
    void handle_describe_topic_partitions(const Incoming& request);
    void handle_delete_records(Incoming request);
    void handle_describe_log_dirs(Incoming request);
    void handle_alter_replica_log_dirs(const Incoming& request);
    /// To the active controller, as it is.
    void handle_forwarded(Incoming request);
    /// What a topic that is not there is answered with; asks for it where that is allowed.
    ErrorCode miss_topic(std::string_view name, bool create);

    void finish_produce(std::uint64_t id);
    ErrorCode route_produce(std::uint64_t id, std::size_t part, const TopicPartition& partition,
                            protocol::ProduceResponsePartition& answer,
                            const protocol::Records& records, Duration timeout,
                            protocol::NullableString transaction);
    void read_next(std::uint64_t id, PendingFetch& pending);
    void fetch_gathered(std::uint64_t id, PendingFetch& pending);
    void restart_fetch(std::uint64_t id, PendingFetch& pending);
    void answer_fetch(std::uint64_t id, PendingFetch& pending);
    void finish_offsets(std::uint64_t id);
    void finish_epoch_ends(std::uint64_t id);
    void finish_deletions(std::uint64_t id);
    void answer_producer_id(const Incoming& request, ErrorCode error, ProducerId id);

    /// The partition that a request names; nothing when the image has none such.
    /// With `by_id` only the id counts, else only the name.
    [[nodiscard]] std::optional<TopicPartition> find(std::string_view topic, const Uuid& id,
                                                     bool by_id, PartitionIndex partition,
                                                     ErrorCode& error) const;
    /// Refuses a request that cannot be understood: Kafka closes the connection.
    void refuse(const Incoming& request, std::string_view why);

    template <class Response>
    void answer(const Incoming& request, const Response& response) {
        inbound_.respond(context_.env(), request.key,
                         net::to_pieces(protocol::encode_response_frame(response, request.version,
                                                                        request.correlation)));
    }

    Context& context_;
    net::Inbound inbound_;
    GroupRequests groups_;
    TransactionRequests transactions_;
    TopicOptionsCache topic_options_;
    record::Decompressor decompressor_;
    std::uint16_t port_ = 0;
    ErrorCode refused_ = ErrorCode::none;  // what the request at hand is to be answered with
    std::uint64_t pending_made_ = 0;
    std::map<std::uint64_t, PendingProduce> produces_;
    std::map<std::uint64_t, PendingFetch> fetches_;
    std::map<std::uint64_t, PendingOffsets> offsets_;
    std::map<std::uint64_t, PendingEpochEnds> epoch_ends_;
    std::map<std::uint64_t, PendingProducerId> producer_ids_;
    std::map<std::uint64_t, Incoming> forwards_;
    std::map<std::uint64_t, PendingDeletions> deletions_;
    std::map<std::uint64_t, PendingLogDirs> log_dirs_;
    TimerQueue<std::uint64_t> fetch_timers_;
    // Producer ids of the block in hand, [next, end).
    ProducerId producer_id_next_{0};
    ProducerId producer_id_end_{0};
};

}  // namespace klamm::server
