#pragma once
// A broker, one shard of it. It hands each event of the seam to the part that it concerns, delivers
// what the parts post to each other, and sets the one alarm. The first shard also keeps the line to
// the controller.
//
// Its life: the log directory starts → registration → metadata is read → logs open → it may be
// unfenced → serves → (asked to stop) → controlled shutdown → logs close → the clean-stop marker →
// end. A directory that fails ends the process: what was not synced is not trusted before a restart
// with recovery.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/server/context.h"
#include "core/server/controller_link.h"
#include "core/server/fetcher.h"
#include "core/server/forwarder.h"
#include "core/server/group_host.h"
#include "core/server/partitions.h"
#include "core/server/pins.h"
#include "core/server/requests.h"
#include "core/server/transaction_host.h"
#include "core/server/transaction_lines.h"
#include "core/storage/log_directory.h"

namespace klamm::server {

class Broker final : public env::Node {
  public:
    explicit Broker(BrokerSettings settings);
    ~Broker() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    // For tests and tools, between turns.
    [[nodiscard]] const metadata::ClusterImage& image() const { return *context_.image; }
    [[nodiscard]] const Hosts& hosts() const { return hosts_.hosts(); }
    [[nodiscard]] const Partitions& partitions() const { return hosts_; }
    [[nodiscard]] const Requests& requests() const { return requests_; }
    [[nodiscard]] const Pins& pins() const { return pins_; }
    [[nodiscard]] const GroupHost& groups() const { return groups_; }
    [[nodiscard]] const TransactionHost& transactions() const { return transactions_; }
    /// The port that clients reach; 0 until it is known.
    [[nodiscard]] std::uint16_t port() const { return requests_.port(); }

  private:
    enum class Stage : std::uint8_t { starting, serving, shutting_down, closing };

    void take(env::Started& event);
    void take(env::Alarm& event);
    void take(env::ReadDone& event);
    void take(env::Synced& event);
    void take(env::Listed& event);
    void take(env::Listening& event);
    void take(env::Accepted& event);
    void take(env::Connected& event);
    void take(env::Received& event);
    void take(env::Drained& event);
    void take(env::Closed& event);
    void take(env::MailArrived& event);
    void take(env::Computed& event);
    void take(env::StopAsked& event);

    void deliver(MailValue value);
    void on(ProduceCommand command);
    void on(ProduceOutcome outcome) { requests_.on(std::move(outcome)); }
    void on(ReadCommand command);
    void on(ReadOutcome outcome) {
        if (GroupHost::reads(outcome.reply)) return groups_.on(outcome);
        if (TransactionHost::reads(outcome.reply)) return transactions_.on(outcome);
        requests_.on(std::move(outcome));
    }
    void on(GroupCommand command) { groups_.on(command); }
    void on(GroupOutcome outcome) { requests_.on(outcome); }
    void on(LoadNext next) {
        if (next.kind == Coordinates::transactions) return transactions_.on(next);
        groups_.on(next);
    }
    void on(TransactionCommand command) { transactions_.on(command); }
    void on(TransactionOutcome outcome) { requests_.on(outcome); }
    void on(MarkersCommand command) { lines_.on(std::move(command)); }
    void on(MarkersOutcome outcome) { transactions_.on(outcome); }
    void on(MarkerCommand command);
    void on(MarkerOutcome outcome) { requests_.on(outcome); }
    void on(ProducersCommand command);
    void on(ProducersOutcome outcome) { requests_.on(outcome); }
    void on(VerifyCommand command) { lines_.on(std::move(command)); }
    void on(VerifyOutcome outcome);
    void on(WatchCommand command);
    void on(WatchFired fired) { requests_.on(fired); }
    void on(OffsetCommand command);
    void on(OffsetOutcome outcome) { requests_.on(outcome); }
    void on(EpochEndCommand command);
    void on(EpochEndOutcome outcome) { requests_.on(outcome); }
    void on(ImageArrived arrived);
    void on(AlterIsrCommand command);
    void on(AlterIsrOutcome outcome);
    void on(DirectoryStarted started);
    void on(LogsOpened opened);
    void on(CloseLogs close);
    void on(LogsClosed closed);
    void on(DirectoryFailed failed);
    void on(ProducerIdsCommand command);
    void on(ProducerIdsOutcome outcome) {
        if (!transactions_.take_ids(outcome)) requests_.on(outcome);
    }
    void on(CutNow now);
    void on(DeleteRecordsCommand command);
    void on(DeleteRecordsOutcome outcome) { requests_.on(outcome); }
    void on(LogDirCommand command);
    void on(LogDirOutcome outcome) { requests_.on(std::move(outcome)); }
    void on(RemoveNow now);
    void on(ForwardCommand command);
    void on(ForwardOutcome outcome) { requests_.on(std::move(outcome)); }
    void on(CreateTopicCommand command);

    /// Takes up the partitions that the image gives this shard, as far as their names are free.
    void open_partitions();
    /// Lets those go that the image gives it no more.
    void drop_partitions();
    void let_go(const TopicPartition& partition, bool keep);
    void set_strays_aside();

    void drain();
    void after_directory_event(storage::PartitionLog* touched);
    void check_directory();
    void maybe_start_link();
    void maybe_close();
    void release_pins();
    void look_after_logs();
    bool start_over(ReplicaHost& host);
    void tick();
    void set_alarm();
    [[nodiscard]] bool first_shard() const { return context_.env().shard() == 0; }

    Context context_;
    Requests requests_;
    Pins pins_;
    std::unique_ptr<storage::LogDirectory> directory_;
    Partitions hosts_;
    GroupHost groups_;
    TransactionHost transactions_;
    TransactionLines lines_;
    std::map<BrokerId, Fetcher> fetchers_;
    Instant checkpoint_due_ = instant_never;
    Instant retention_due_{0};
    Instant cleaner_due_{0};
    std::optional<TopicPartition> cleaning_;  // one log at a time
    std::map<TopicPartition, bool> going_;    // let go, not removed yet; true: set aside
    bool names_awaited_ = false;              // a partition waits for its name
    bool strays_looked_for_ = false;
    Instant alarm_ = instant_never;
    Stage stage_ = Stage::starting;
    bool directory_told_ = false;
    bool logs_told_ = false;
    bool closed_told_ = false;
    bool failed_ = false;

    // Of the first shard.
    ControllerLink link_;
    Forwarder forwarder_;
    std::uint32_t directories_started_ = 0;
    std::uint32_t logs_opened_ = 0;
    std::uint32_t logs_closed_ = 0;
    bool proofs_agree_ = true;
    BrokerEpoch previous_epoch_ = no_broker_epoch;
    bool link_started_ = false;
    bool told_serving_ = false;
};

/// Makes the shards of one broker.
env::NodeFactory broker_factory(BrokerSettings settings);

}  // namespace klamm::server
