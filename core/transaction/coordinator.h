#pragma once
// The coordinator of the transactions of one partition of __transaction_state, as Kafka 4.1 has it
// (TransactionCoordinator, TransactionMetadata, TransactionStateManager), with the classic protocol
// and that of transaction.version 2 (KIP-890), by what each producer speaks. A value: commands,
// time and the log's progress go in; writes, answers and markers to be sent come out.
//
//   empty ── add ──► ongoing ── end ──► prepare ── markers are everywhere ──► complete
//     ▲                 └─ its time is over, or another producer begins: aborted with the next
//     epoch └─ init ──────────────────────────────────────────────────────────────────┘
//
// Always: a transaction that is prepared completes as it was decided, whoever coordinates; markers
// are sent only for a decision that is committed; an epoch never falls while its producer id stays;
// what is granted, or said to be there, is committed before it is said.
//
// Who owns it takes a write after each call, appends its record, and says written() or
// write_failed() before the next call; it sends the markers until all are written, then says
// markers_written().
//
// Where it differs from Kafka: decisions are made on what is appended and answered when that is
// committed, where Kafka answers CONCURRENT_TRANSACTIONS meanwhile; a transaction that is fenced by
// its time or by another producer rises by one epoch, whatever version.

#include <deque>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/base/timer_queue.h"
#include "core/base/turn.h"
#include "core/replicated/replicated.h"
#include "core/transaction/commands.h"

namespace klamm::transaction {

struct Settings {
    std::int32_t timeout_ms_max = 900'000;             // transaction.max.timeout.ms
    Duration id_expiration = seconds(7 * 24 * 3'600);  // transactional.id.expiration.ms
    Duration abort_check = seconds(10);
    Duration expiry_check = seconds(3'600);
    Duration append_timeout = seconds(30);  // request.timeout.ms
    Duration retry = milliseconds(100);     // of completing
    std::int16_t version = 2;               // transaction.version of the cluster
};

struct Answer {
    Caller caller;
    AnswerBody body;
};

/// To be written at the leaders of `partitions`; repeating it changes nothing.
struct Markers {
    std::string id{};
    ProducerId producer{};
    ProducerEpoch epoch{};
    std::int32_t coordinator_epoch = 0;
    bool commit = false;
    std::set<TopicAndPartition> partitions{};
};

/// What follows when a write's record is committed, or could not be.
struct Reply {  // the answer; `command` would be refused with it
    Answer answer;
    Command command;
};
struct Prepared {  // the markers of this decision are sent
    std::string id;
    ProducerId producer;
    ProducerEpoch epoch;
};
using Consequence = std::variant<Reply, Prepared>;

struct Write {
    TransactionRecord record;
    std::vector<Consequence> then;
};

class Coordinator {
  public:
    explicit Coordinator(Settings settings) : settings_(settings) {}

    // --- its life: core/replicated's
    void begin_loading(LeaderEpoch epoch, Offset start) { log_.begin_loading(epoch, start); }
    void load(const TransactionRecord& record) { log_.load(record); }
    void loaded_to(Offset end) { log_.loaded_to(end); }
    /// The log is loaded, and all of it is committed: what was prepared goes on.
    void lead(const Turn& turn);
    /// It leads no more: whoever waits is told NOT_COORDINATOR.
    void resign();

    /// Decides. Commands that come while it does not lead are refused.
    void handle(const Turn& turn, Caller caller, Command command);
    /// Every marker of this decision is written.
    void markers_written(const Turn& turn, const Markers& markers);
    /// Lets due timers fire.
    void advance(const Turn& turn);
    [[nodiscard]] Instant deadline_min() const;
    void on_high_watermark(const Turn& turn, Offset high_watermark);

    /// Producer ids to hand out, each once; without one a command that needs it is answered
    /// COORDINATOR_LOAD_IN_PROGRESS.
    void give_ids(ProducerId first, std::int32_t count);
    [[nodiscard]] bool wants_ids() const { return ids_left_ < ids_wanted; }

    [[nodiscard]] bool has_write() const { return !writes_.empty(); }
    [[nodiscard]] Write take_write();
    /// The record was appended at `last`.
    void written(const Turn& turn, Write write, Offset last);
    void write_failed(const Turn& turn, Write write, ErrorCode append_error);
    [[nodiscard]] std::vector<Answer> take_answers() { return std::exchange(answers_, {}); }
    [[nodiscard]] std::vector<Markers> take_markers() { return std::exchange(markers_, {}); }

    [[nodiscard]] const replicated::Replicated<TransactionLog, Consequence>& log() const {
        return log_;
    }
    [[nodiscard]] const Settings& settings() const { return settings_; }

  private:
    static constexpr std::int32_t ids_wanted = 10;
    enum class TimerKind : std::uint8_t { abort_check, expiry_check, complete };
    struct Timer {
        TimerKind kind;
        Prepared prepared{};
    };

    void decide(const Turn& turn, Caller caller, const Init& init);
    void decide(const Turn& turn, Caller caller, const AddPartitions& add);
    void decide(const Turn& turn, Caller caller, const End& end);
    void decide(const Turn& turn, Caller caller, const Describe& describe);
    void decide(const Turn& turn, Caller caller, const List& list);

    [[nodiscard]] PartitionsAnswer verified(const Transaction& known,
                                            const AddPartitions& add) const;
    void prepare(const Turn& turn, Caller caller, const End& end, const Transaction& known,
                 bool without_partitions);
    /// Aborts with the next epoch, which nobody is told of; `then` is what else follows.
    void fence(const Turn& turn, const std::string& id, const Transaction& known,
               std::vector<Consequence> then);
    void complete(const Turn& turn, const Prepared& prepared);
    void send_markers(const Prepared& prepared);
    void abort_overdue(const Turn& turn);
    void forget_unused(const Turn& turn);
    [[nodiscard]] std::optional<ProducerId> take_id();

    void write(const std::string& id, Transaction value, std::vector<Consequence> then);
    void refuse(Caller caller, const Command& command, ErrorCode error) {
        answers_.push_back({caller, refusal(command, error)});
    }
    /// What is said rests on what is appended: it is said when that is committed.
    void answer_when_committed(const Turn& turn, Caller caller, AnswerBody body,
                               const Command& command);
    void conclude(const Consequence& then, ErrorCode error);

    Settings settings_;
    replicated::Replicated<TransactionLog, Consequence> log_;
    TimerQueue<Timer> timers_;
    std::deque<Write> writes_;
    std::vector<Answer> answers_;
    std::vector<Markers> markers_;
    std::deque<std::pair<ProducerId, std::int32_t>> ids_;
    std::int32_t ids_left_ = 0;
};

}  // namespace klamm::transaction
