#pragma once
// One partition on one shard: its log (core/storage), its role (core/replica) and the rows that
// wait at it. It tells the role what happened to the log, and carries out what the role decides.
// Which role it has follows from the newest image, and is taken up only when the log is open and
// not being cut.
//
// It does not fetch: the fetcher asks it for its next position and gives it the answers.

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/timer_queue.h"
#include "core/replica/follower.h"
#include "core/replica/leader.h"
#include "core/replica/waiters.h"
#include "core/server/context.h"
#include "core/server/pins.h"
#include "core/server/verification.h"
#include "core/storage/log_directory.h"

namespace klamm::server {

class ReplicaHost {
  public:
    ReplicaHost(Context& context, storage::LogDirectory& directory, Pins& pins,
                TopicPartition partition, std::string topic);

    /// Takes up the role that the image gives, if the log allows; called for each new image, and
    /// after log events.
    void follow_image();
    /// The log was touched by an answer of the disk.
    void on_log_event();

    void produce(ProduceCommand command);
    // Transactions (replica_transactions.cc).
    void mark(const MarkerCommand& command);
    void on(const VerifyOutcome& outcome);
    void describe_producers(const ProducersCommand& command);
    void read(const ReadCommand& command);
    void watch(const WatchCommand& command);
    void find_offset(const OffsetCommand& command);
    void find_epoch_end(const EpochEndCommand& command);
    /// The disk has answered a read that await_copy() gave the token for.
    void on_copied(const env::ReadDone& done);
    void on(const AlterIsrOutcome& outcome);
    void on(const CutNow& now);
    /// The partition goes from this broker: whoever waits is told so, connections that are being
    /// sent its files are closed in this turn. It serves nobody any more, and is destroyed later.
    void leave();
    /// Its directory holds the log of another topic, of the same name.
    [[nodiscard]] bool is_anothers() const;

    // --- for a coordinator whose log it is
    /// The epoch in which it leads and may append; -1 when it does not.
    [[nodiscard]] LeaderEpoch leads_in() const {
        return leader() != nullptr && ready() ? leader()->epoch() : no_leader_epoch;
    }
    [[nodiscard]] Offset log_start() const { return log_->log_start(); }
    [[nodiscard]] Offset log_end() const { return log_->log_end(); }
    [[nodiscard]] bool in_transaction(ProducerId producer, ProducerEpoch epoch) const {
        return log_->producer_state().in_transaction(producer, epoch);
    }
    struct OwnAppend {
        ErrorCode error = ErrorCode::none;
        Offset last = no_offset;
    };
    /// Appends a batch of this broker's own in an epoch in which it leads, as acks=all: it counts
    /// when the high watermark has passed it.
    OwnAppend append(const Buffer& batch, LeaderEpoch epoch);

    // --- as a follower
    /// Whom it fetches from; no_broker when it leads, or nobody does, or the log is not ready.
    [[nodiscard]] BrokerId fetches_from() const;
    [[nodiscard]] std::optional<replica::FetchPosition> next_fetch() const;
    /// What is left to do after an answer: fetch again at once, after a back-off, or first ask for
    /// the leader's ends.
    enum class Next : std::uint8_t { fetch, back_off, ask_ends };
    Next on_fetched(const replica::FetchAnswer& answer, const Buffer& records);
    void on_leader_ends(Offset start, Offset end);

    // --- upkeep (replica_upkeep.cc)
    void delete_records(const DeleteRecordsCommand& command);
    /// Deletes what retention no longer keeps, and forgets idle producers; whether anything was
    /// deleted.
    bool retain();
    /// What its cleaning would find now, when one is due.
    [[nodiscard]] std::optional<log::CleanRange> cleanable() const;
    /// Begins it; whether it did.
    bool clean();
    [[nodiscard]] bool cleaning() const { return log_->cleaning(); }
    [[nodiscard]] const std::string& topic() const { return topic_; }
    /// Its log was found damaged when it was opened, so that it has not fetched since this broker
    /// registered; and nobody counts on it: another leads, and it is in neither ISR nor ELR. Then
    /// it may be copied anew from the leader (contract I5).
    [[nodiscard]] bool may_start_over() const;

    void tick();
    [[nodiscard]] Instant deadline_min() const;

    [[nodiscard]] storage::PartitionLog& log() { return *log_; }
    [[nodiscard]] const TopicPartition& partition() const { return partition_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    /// Rows that wait here for the disk, the watermark or more.
    [[nodiscard]] std::size_t waiting() const {
        return produced_.size() + verifying_.size() + weak_.size() + watching_.size() +
               copies_.size() + reads_.size() + lookups_.size();
    }
    [[nodiscard]] bool settled() const;  // its log is open, or will never be
    [[nodiscard]] Offset high_watermark() const;
    [[nodiscard]] std::uint64_t digest() const;

  private:
    struct Produced {  // a produce that waits for the high watermark, or for its sync
        ReplyTo reply;
        Offset base;
        Offset last;
        bool duplicate;
        bool marker = false;
    };

    struct Deletion {  // a DeleteRecords that waits for the other replicas' log starts
        ReplyTo reply;
        Offset required;
        Instant deadline;
    };

    [[nodiscard]] storage::LogConfig configured() const;
    void settle_deletions();
    void fail_deletions(ErrorCode error);
    [[nodiscard]] replica::LogEnds ends() const;
    [[nodiscard]] replica::LeaderSettings settings() const;
    [[nodiscard]] const replica::LeaderState* leader() const {
        return std::get_if<replica::LeaderState>(&role_);
    }
    [[nodiscard]] replica::LeaderState* leader() {
        return std::get_if<replica::LeaderState>(&role_);
    }
    [[nodiscard]] replica::FollowerState* follower() {
        return std::get_if<replica::FollowerState>(&role_);
    }
    [[nodiscard]] const replica::FollowerState* follower() const {
        return std::get_if<replica::FollowerState>(&role_);
    }

    void lead(const metadata::PartitionImage& state);
    void follow(const metadata::PartitionImage& state);
    void stop_leading();
    void apply(const replica::LeaderEffects& effects);
    void propose(const replica::IsrProposal& proposal);
    void append_produced(const ProduceCommand& command);
    [[nodiscard]] bool must_verify(const ProduceCommand& command) const;
    void verify(ProduceCommand command);
    void refuse_all(const std::vector<ProduceCommand>& commands, ErrorCode error);
    [[nodiscard]] Offset stable_end() const { return log_->stable_end(high_watermark()); }
    [[nodiscard]] Offset client_end(const OffsetCommand& command) const;
    void settle_produces();
    void answer(const replica::ProduceSettled& settled);
    void answer_produce(const Produced& produced, ErrorCode error, std::int16_t acks);
    void refuse(const ProduceCommand& command, ErrorCode error);
    void settle_weak();
    void wake_readers();
    void wake_all_readers();
    void cut(Offset end, bool fully);
    void begin_cut();
    void finish_cut();
    [[nodiscard]] bool ready() const;  // the log is open and no cut is under way
    /// What a client is told that comes to a partition which this broker cannot serve as leader.
    [[nodiscard]] ErrorCode not_serving() const;
    void take_waiting_reads();
    void read_as_follower(const ReadCommand& command, ReadOutcome& outcome);
    bool fill(const ReadCommand& command, ReadOutcome& outcome, Offset limit);
    void copy(const ReadCommand& command, const ReadOutcome& outcome, const storage::ReadPlan& plan,
              const MutableBuffer& into);
    void copy_failed(ReadOutcome& outcome, const Result<std::size_t>& got);
    void state_served(const ReadCommand& command, const ReadOutcome& outcome, Offset from);
    void finish_read(const ReadCommand& command, ReadOutcome outcome);
    bool find_time(const OffsetCommand& command, const replica::LatestAnswer& latest,
                   OffsetOutcome& outcome);

    Context& context_;
    storage::LogDirectory& directory_;
    Pins& pins_;
    TopicPartition partition_;
    std::string topic_;
    std::string name_;
    Coordinates coordinates_;  // whose coordinator is told when it has moved
    storage::PartitionLog* log_ = nullptr;
    std::variant<std::monostate, replica::LeaderState, replica::FollowerState> role_;
    Offset high_watermark_{0};  // as last known, whatever the role
    struct Cut {
        Offset end;
        bool fully = false;
        bool begun = false;  // else connections that pin the tail are being closed first
    };
    std::optional<Cut> cut_;
    bool leaving_ = false;

    replica::ProduceWaiters produces_;
    std::map<replica::ReplyToken, Produced> produced_;
    Verification<ProduceCommand> verifying_;
    std::multimap<Offset, Produced> weak_;  // acks=1 that waits for its sync, by the end it needs
    replica::FetchWaiters readers_;
    std::map<replica::ReplyToken, ReplyTo> watching_;
    std::map<std::pair<env::ShardIndex, std::uint64_t>, replica::ReplyToken> watch_of_;
    replica::ReplyToken tokens_made_ = 0;

    struct Copy {  // of a file range, for a connection of another shard
        ReadCommand command;
        ReadOutcome outcome;
        Offset from;
        LeaderEpoch epoch;  // in which it was begun
    };
    std::map<env::Token, Copy> copies_;                     // wait for the disk
    std::map<storage::ReadTicket, ReadCommand> reads_;      // wait for the disk
    std::map<storage::ReadTicket, OffsetCommand> lookups_;  // the same
    std::optional<replica::IsrProposal> sent_;              // the proposal that the controller has
    TimerQueue<replica::IsrProposal> resend_;
    std::vector<Deletion> deletions_;
    bool opened_ = false;  // its log was open in this life
    Instant lag_check_{0};
};

}  // namespace klamm::server
