#pragma once
// The coordinators of a shard of one kind: one for each partition of the kind's topic whose replica
// is here. It follows the replica's role: a new leadership loads the log in slices, a lost one
// answers whoever waits; records are appended as the partition's leader does, and what the high
// watermark passes is answered.
//
// Loading reads what is committed, and a coordinator leads when that is all there is. Two epochs of
// one leader are two leaderships: what was not committed in the first may yet be cut.
//
// A kind (group_host.h, transaction_host.h) names the coordinator, its commands and answers, and
// how its records lie in batches.

#include <fmt/format.h>

#include <map>
#include <set>
#include <string>

#include "core/record/batch.h"
#include "core/server/context.h"
#include "core/server/partitions.h"

namespace klamm::server {

/// A coordinator's name for whom it answers, and back.
std::uint64_t caller_of(const ReplyTo& reply);
ReplyTo reply_of(std::uint64_t caller);

template <class Kind>
class CoordinatorHost {
  public:
    using Coordinator = typename Kind::Coordinator;

    CoordinatorHost(Context& context, Partitions& hosts) : context_(context), hosts_(hosts) {}

    void on(const typename Kind::CommandMail& command) {
        const auto at = rows_.find(command.partition);
        if (at != rows_.end()) follow_role(command.partition);
        const auto row = rows_.find(command.partition);
        if (row == rows_.end())
            return Kind::answer(context_, command.reply,
                                refusal(*command.command, ErrorCode::not_coordinator));
        row->second.coordinator.handle(context_.turn(), caller_of(command.reply), *command.command);
        settle(row->first, row->second);
    }
    /// A slice of a log that is being loaded.
    void on(const ReadOutcome& outcome);
    void on(const LoadNext& next) { follow_role(next.partition); }
    [[nodiscard]] static bool reads(const ReplyTo& reply) {
        return (reply.pending & Kind::read_mark) != 0;
    }

    /// After the partitions' tick: roles and watermarks that moved, and timers.
    void tick();
    [[nodiscard]] Instant deadline_min() const {
        return deadlines_.empty() ? instant_never : deadlines_.begin()->first;
    }
    /// Of the coordinator of a partition; nullptr when it has none here. For tests and tools.
    [[nodiscard]] const Coordinator* find(const TopicPartition& partition) const {
        const auto at = rows_.find(partition);
        return at == rows_.end() ? nullptr : &at->second.coordinator;
    }

  protected:
    struct Row {
        explicit Row(const Context& context) : coordinator(Kind::settings(context)) {}
        Coordinator coordinator;
        typename Kind::Extra extra;
        Instant deadline = instant_never;  // in deadlines_
        std::uint64_t reading = 0;         // the read under way
        bool corrupt = false;              // its log cannot be loaded
    };
    using Rows = std::map<TopicPartition, Row>;

    /// To look at, not to change.
    [[nodiscard]] const ReplicaHost* look(const TopicPartition& partition) const {
        const auto at = hosts_.hosts().find(partition);
        return at == hosts_.hosts().end() ? nullptr : at->second.get();
    }
    void follow_role(const TopicPartition& partition);
    void read(const TopicPartition& partition, Row& row);
    [[nodiscard]] Status load(Row& row, ByteView batches);
    void resign(Row& row);
    /// Carries out what the coordinator wants, until it wants nothing.
    void settle(const TopicPartition& partition, Row& row);
    void append(Row& row, ReplicaHost& host);
    void give_answers(const TopicPartition& partition, Row& row);

    Context& context_;
    Partitions& hosts_;
    Rows rows_;

  private:
    static constexpr std::uint64_t load_bytes_max = 256 * 1024;  // in one turn, or one batch

    std::map<std::uint64_t, TopicPartition> reads_;
    std::uint64_t reads_made_ = 0;
    std::set<std::pair<Instant, TopicPartition>> deadlines_;
};

// --- roles

template <class Kind>
void CoordinatorHost<Kind>::tick() {
    for (const TopicPartition& partition : context_.take_coordinated(Kind::coordinates))
        follow_role(partition);
    while (!deadlines_.empty() && deadlines_.begin()->first <= context_.now()) {
        const TopicPartition partition = deadlines_.begin()->second;
        Row& row = rows_.at(partition);
        row.coordinator.advance(context_.turn());
        settle(partition, row);
        if (row.deadline <= context_.now()) break;  // nothing was due after all
    }
}

template <class Kind>
void CoordinatorHost<Kind>::resign(Row& row) {
    row.coordinator.resign();
    row.reading = 0;
    row.corrupt = false;
}

template <class Kind>
void CoordinatorHost<Kind>::follow_role(const TopicPartition& partition) {
    const ReplicaHost* host = look(partition);
    const LeaderEpoch leads = host == nullptr ? no_leader_epoch : host->leads_in();
    auto at = rows_.find(partition);
    if (at == rows_.end()) {
        if (leads == no_leader_epoch) return;
        at = rows_.emplace(partition, Row(context_)).first;
    }
    Row& row = at->second;
    const auto& log = row.coordinator.log();
    if (log.phase() != replicated::Phase::following && log.epoch() != leads) {
        resign(row);
        Kind::resigned(context_, row.extra);
        give_answers(partition, row);
    }
    if (leads == no_leader_epoch) {
        deadlines_.erase({row.deadline, partition});
        rows_.erase(at);
        return;
    }
    if (log.phase() == replicated::Phase::following)
        row.coordinator.begin_loading(host->leads_in(), host->log_start());
    if (log.phase() == replicated::Phase::loading) return read(partition, row);
    if (log.pending() || log.waiting() > 0) settle(partition, row);
}

// --- loading

template <class Kind>
void CoordinatorHost<Kind>::read(const TopicPartition& partition, Row& row) {
    if (row.reading != 0 || row.corrupt) return;
    const ReplicaHost& host = *look(partition);
    const Offset next = row.coordinator.log().end();
    if (next == host.log_end() && next <= host.high_watermark()) {
        row.coordinator.lead(context_.turn());
        if (const std::string what = Kind::describe(row.coordinator); !what.empty())
            context_.env().log(fmt::format("coordinates {} at {} in epoch {}", what, host.name(),
                                           host.leads_in().value));
        return settle(partition, row);
    }
    if (next >= host.high_watermark()) return;  // its moving is told
    row.reading = ++reads_made_;
    reads_[row.reading] = partition;
    context_.post(context_.env().shard(),
                  ReadCommand{.reply = {context_.env().shard(), Kind::read_mark | row.reading, 0},
                              .partition = partition,
                              .offset = next,
                              .current_epoch = row.coordinator.log().epoch(),
                              .bytes_max = load_bytes_max,
                              .min_one = true,
                              .copied = true});
}

template <class Kind>
void CoordinatorHost<Kind>::on(const ReadOutcome& outcome) {
    const auto read_row = reads_.extract(outcome.reply.pending & ~Kind::read_mark);
    KLAMM_ASSERT(!read_row.empty());
    const TopicPartition partition = read_row.mapped();
    const auto at = rows_.find(partition);
    // Of a leadership that is over.
    if (at == rows_.end() || at->second.reading != read_row.key()) return;
    Row& row = at->second;
    row.reading = 0;
    if (outcome.error == ErrorCode::offset_out_of_range) {
        // The log's start has moved past it.
        row.coordinator.resign();
        give_answers(partition, row);
        return follow_role(partition);
    }
    if (outcome.error != ErrorCode::none) return;  // the role follows, and is told
    for (const env::Piece& piece : outcome.pieces) {
        const Status loaded = load(row, std::get<Buffer>(piece).view());
        if (loaded.ok()) continue;
        row.corrupt = true;
        context_.env().log(fmt::format("the {} of partition {} cannot be loaded: {}", Kind::noun,
                                       partition.partition.value, loaded.error().text));
        return;
    }
    if (outcome.served_to > row.coordinator.log().end())
        row.coordinator.loaded_to(outcome.served_to);
    // The next slice in a later turn.
    context_.post_later(LoadNext{partition, Kind::coordinates});
}

template <class Kind>
Status CoordinatorHost<Kind>::load(Row& row, ByteView batches) {
    const Offset from = row.coordinator.log().end();
    ByteView rest = batches;
    ByteView bytes;
    while (record::next_batch(rest, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        if (!batch.crc_holds()) return Error{Failure::corrupt, "a batch fails its checksum"};
        KLAMM_TRY(Kind::load(row.coordinator, batch, from));
    }
    return {};
}

// --- writes and answers

template <class Kind>
void CoordinatorHost<Kind>::settle(const TopicPartition& partition, Row& row) {
    const auto& log = row.coordinator.log();
    for (bool again = true; again;) {
        again = false;
        while (row.coordinator.has_write()) append(row, *hosts_.find(partition));
        if (log.leading() && (log.pending() || log.waiting() > 0)) {
            const Offset watermark = look(partition)->high_watermark();
            row.coordinator.on_high_watermark(context_.turn(), watermark);
            again = row.coordinator.has_write();
        }
    }
    give_answers(partition, row);
    const Instant deadline = row.coordinator.deadline_min();
    if (deadline == row.deadline) return;
    deadlines_.erase({row.deadline, partition});
    row.deadline = deadline;
    if (deadline != instant_never) deadlines_.emplace(deadline, partition);
}

template <class Kind>
void CoordinatorHost<Kind>::append(Row& row, ReplicaHost& host) {
    auto write = row.coordinator.take_write();
    const Turn& turn = context_.turn();
    const auto appended = host.append(Buffer::from(Kind::batch_of(row.coordinator, write, turn)),
                                      row.coordinator.log().epoch());
    if (appended.error == ErrorCode::none)
        row.coordinator.written(turn, std::move(write), appended.last);
    else
        row.coordinator.write_failed(turn, std::move(write),
                                     group::coordinator_error(appended.error));
}

template <class Kind>
void CoordinatorHost<Kind>::give_answers(const TopicPartition& partition, Row& row) {
    for (auto& answer : row.coordinator.take_answers())
        Kind::answer(context_, reply_of(answer.caller), std::move(answer.body));
    Kind::carry_out(context_, partition, row.coordinator, row.extra);
}

}  // namespace klamm::server
