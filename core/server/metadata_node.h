#pragma once
// The cluster's metadata from one node: it decides by the rules of core/controller, records the
// decisions in the metadata log (core/storage, Kafka's files and records), applies them, and
// answers when the records are durable. Brokers reach it by Kafka's own requests
// (BrokerRegistration, BrokerHeartbeat, AlterPartition, AllocateProducerIds, Fetch of the log as
// observers).
//
// With voters it is one controller of a quorum (quorum.h). What is committed makes the image; the
// one that leads is active and decides; the others answer NOT_CONTROLLER. A decision is answered
// when it is committed; one that was not when the controller was deposed is dropped with the image,
// which is then made anew from what is committed, and its row is answered NOT_CONTROLLER: nobody
// knows whether the next leader commits it.
//
// What always holds: decisions read the image with everything decided applied; nothing is answered
// or given to an observer before its records are synced; facts about metadata are stated when it is
// committed, in its order, and of a quorum when it is decided: Quorum states what is committed, and
// a judge puts both together. A script may ask for what an administrator would: that is how leaders
// are moved and options changed on purpose.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/config/options.h"
#include "core/controller/broker_control.h"
#include "core/controller/config_control.h"
#include "core/controller/partition_control.h"
#include "core/controller/topic_control.h"
#include "core/env/env.h"
#include "core/metadata/image_records.h"
#include "core/net/inbound.h"
#include "core/server/quorum.h"
#include "core/storage/log_directory.h"

namespace klamm::server {

/// A topic that the node makes once all brokers of its assignments are active.
struct TopicPlan {
    std::string name;
    Uuid id;
    std::vector<metadata::BrokerIds> assignments;
    std::map<std::string, std::string> configs;
};

/// Moves the leadership of a partition to an ISR member.
struct MoveLeader {
    TopicPartition partition;
    BrokerId to;
};
/// An administrator's unclean election. It is needed only by a partition without a leader
/// (ElectLeaders answers ELECTION_NOT_NEEDED otherwise): who asks looks again for `patience`, until
/// somebody has been elected.
struct ElectUnclean {
    TopicPartition partition;
    Duration patience{};
};
struct ChangeConfig {
    std::string topic;
    std::string key;
    std::string value;
};
using AdminCommand = std::variant<MoveLeader, ElectUnclean, ChangeConfig>;
struct ScriptStep {
    Duration at;  // after the start of this node, by its monotonic clock; who leads then does it
    AdminCommand command;
};

/// A command that comes from outside, as mail, to be carried out at once.
class Administration final : public env::Parcel {
  public:
    explicit Administration(AdminCommand command) : command_(std::move(command)) {}
    [[nodiscard]] const AdminCommand& command() const { return command_; }
    [[nodiscard]] std::uint64_t digest() const override;

  private:
    AdminCommand command_;
};

struct MetadataSettings {
    env::Endpoint listen;
    BrokerId node{3000};
    /// The controllers of the quorum, this one included; empty: it is alone, and there is none.
    std::vector<QuorumVoter> voters;
    raft::Settings quorum;  // timeouts
    QuorumLogSettings log = {};
    /// metadata.log.max.record.bytes.between.snapshots: committed bytes after which a controller of
    /// a quorum makes a snapshot; metadata.log.max.snapshot.interval.ms: or this long, if anything
    /// was committed.
    std::uint64_t snapshot_bytes = 20U << 20;
    Duration snapshot_interval = seconds(3'600);
    std::size_t snapshot_slice_records = 500;  // of it that a turn writes
    /// Of a quorum: asked to stop, it stays while a broker is not fenced, for brokers that are
    /// stopping too and need its leave. Else it goes at once, and leaves the brokers to the others.
    bool stays_for_brokers = false;
    std::string cluster;
    std::string log_dir = "metadata";
    Duration session_timeout = seconds(9);
    Duration unclean_check_interval = seconds(300);  // unclean.leader.election.interval.ms
    bool eligible_leader_replicas = true;
    std::int16_t transaction_version = 0;  // of a new cluster: 2 for KIP-890's protocol
    controller::TopicDefaults topic_defaults;
    bool deletes_topics = true;  // delete.topic.enable
    /// The node's file, as far as it says anything of topics and brokers: values by key.
    std::map<std::string, std::string> given;
    std::vector<TopicPlan> topics;
    std::vector<ScriptStep> script;  // in order of time
};

class MetadataNode final : public env::Node {
  public:
    explicit MetadataNode(MetadataSettings settings);
    ~MetadataNode() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    /// With everything decided applied, committed or not.
    [[nodiscard]] const metadata::ClusterImage& image() const { return image_; }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    /// It decides: the log has been read, and of a quorum it is the leader.
    [[nodiscard]] bool active() const { return serving_; }
    /// Nothing without voters.
    [[nodiscard]] const Quorum* quorum() const { return quorum_.get(); }

  private:
    struct Envelope {  // what a broker has wrapped a client's request in
        std::int16_t version;
        std::int32_t correlation;
    };
    struct Asked {  // a request, decoded as far as its header
        net::RequestKey key;
        Buffer frame;
        ByteView body;
        std::int16_t version;
        std::int32_t correlation;
        protocol::ApiKey api{};
        std::optional<Envelope> envelope{};
    };
    struct Reply {  // released when the log is committed up to `required`
        Offset required;
        Asked asked;
        net::Pieces pieces;
    };
    struct PendingFact {
        Offset offset;
        facts::Fact fact;
    };
    struct Observer {  // a fetch that waits for more metadata
        Asked asked;
        Offset from;
        Instant deadline;
    };

    void take(env::Event& event);
    void dispatch(const net::Request& request);
    void answer_error(const Asked& asked, protocol::ErrorCode error);

    // metadata_quorum.cc
    void start_quorum(const env::Started& started);
    /// Lets the quorum do what it can, and takes its news; false when there was none.
    bool settle_quorum();
    void on(const Committed& news);
    void on(const SnapshotPart& news);
    void on(const Elected& news);
    void on(const Deposed& news);
    void save();
    void stop_quorum();
    void handle_api_versions(const Asked& asked);
    void handle_registration(const Asked& asked);
    void handle_heartbeat(const Asked& asked);
    void handle_alter_partition(const Asked& asked);
    void handle_producer_ids(const Asked& asked);
    void handle_fetch(const Asked& asked);
    void refuse(const Asked& asked, std::string_view why);

    // metadata_admin.cc
    void handle_envelope(const Asked& asked);
    /// False when the API is none that administrators ask.
    bool administer(const Asked& asked);
    void handle_create_topics(const Asked& asked);
    void handle_delete_topics(const Asked& asked);
    void handle_create_partitions(const Asked& asked);
    template <class Request>
    void handle_alter_configs(const Asked& asked);
    void handle_elect_leaders(const Asked& asked);
    void handle_unregister_broker(const Asked& asked);
    // metadata_reassign.cc
    void handle_alter_reassignments(const Asked& asked);
    void handle_list_reassignments(const Asked& asked);
    /// Refuses the whole request in Kafka's way.
    void refuse_all(const Asked& asked, protocol::ErrorCode error);

    /// Records and applies `decisions`, in one batch.
    void decide(const controller::Decisions& decisions,
                const facts::BrokerRegistered* registered = nullptr);
    template <class Fact>
    void state_decided(Offset offset, const Fact& fact);
    void state_configured(const metadata::Change& change, Offset offset);
    void append(const std::vector<Bytes>& frames);
    /// Answers once everything decided so far is durable.
    template <class Response>
    void reply(const Asked& asked, const Response& response);
    /// The same with the answer in its frame.
    void reply_frame(const Asked& asked, Bytes frame);
    /// The frame as it goes back: in an envelope, if the request came in one.
    [[nodiscard]] static net::Pieces wrapped(const Asked& asked, Bytes frame,
                                             protocol::ErrorCode error);
    void after_log_event();
    void load();
    void load_bytes(ByteView bytes);
    void load_record(ByteView frame, std::int64_t offset, bool of_snapshot);
    void bootstrap();
    void commit();
    bool serve(const Observer& observer);
    void run_script();
    void administer(const AdminCommand& command);
    void elect_unclean();
    void begin_stop();
    void tick();
    [[nodiscard]] Offset log_end() const {
        return quorum_ != nullptr ? quorum_->log().end() : log_->log_end();
    }

    MetadataSettings settings_;
    env::Env* env_ = nullptr;
    net::Inbound inbound_;
    std::uint16_t port_ = 0;
    std::unique_ptr<storage::LogDirectory> directory_;
    storage::PartitionLog* log_ = nullptr;
    std::unique_ptr<Quorum> quorum_;  // then directory_ and log_ are nullptr
    Instant alarm_ = instant_never;   // its own, beside the quorum's
    bool serving_ = false;            // the log has been read; of a quorum: it is the active one
    bool loading_ = false;            // a read of it is under way
    Offset loaded_{0};
    LeaderEpoch epoch_{0};
    metadata::ClusterImage image_;
    struct Saving {  // a snapshot under way: what is left to write of it
        explicit Saving(const metadata::ClusterImage& image) : records(image) {}
        metadata::ImageRecords records;
        ProducerId producer_id_next{0};
    };
    std::unique_ptr<Saving> saving_;
    std::uint64_t unsaved_bytes_ = 0;  // committed since the last
    Instant saved_at_;
    Timestamp committed_at_{0};  // by the last committed record
    controller::BrokerControl brokers_;
    ProducerId producer_id_next_{0};
    Offset committed_{0};
    std::deque<Reply> replies_;
    std::deque<PendingFact> facts_;
    std::vector<Observer> observers_;
    std::vector<net::Request> early_;  // that came before the log was read
    Instant started_;
    std::size_t script_next_ = 0;
    std::vector<AdminCommand> asked_;  // by mail
    struct Watched {
        TopicPartition partition;
        Instant until;
    };
    std::vector<Watched> watched_;  // ElectUnclean under way, oldest first
    std::size_t topics_made_ = 0;
    Instant unclean_due_{0};
    Instant stop_due_ = instant_never;  // asked to stop: goes then at the latest
    bool stopping_ = false;
};

env::NodeFactory metadata_factory(MetadataSettings settings);

}  // namespace klamm::server
