// Reading at a partition: consumers up to the high watermark, followers up to the log's end, with
// the rows that wait for the disk or for more.
#include <algorithm>

#include "core/server/replica_host.h"

namespace klamm::server {

void ReplicaHost::read(const ReadCommand& command) {
    ReadOutcome outcome{.reply = command.reply};
    auto* state = leader();
    if (state == nullptr || !ready()) {
        outcome.error = not_serving();
        return finish_read(command, std::move(outcome));
    }
    if (command.follower != no_broker) {
        read_as_follower(command, outcome);
        state = leader();
    } else {
        outcome.error = state->check_epoch(command.current_epoch);
    }
    if (outcome.error == ErrorCode::none && command.follower == no_broker &&
        command.last_fetched_epoch != no_leader_epoch) {
        // A consumer that says what it read last is told where its epoch ended, as a follower is.
        const log::EpochEnd end =
            log_->epoch_cache().end_offset_for(command.last_fetched_epoch, log_->log_end());
        if (end.epoch == no_leader_epoch || end.end == no_offset) {
            outcome.error = ErrorCode::offset_out_of_range;
        } else if (end.epoch < command.last_fetched_epoch || end.end < command.offset) {
            outcome.diverging_epoch = end.epoch;
            outcome.diverging_end = end.end;
        }
    }
    if (outcome.error != ErrorCode::none || outcome.diverging_end != no_offset)
        return finish_read(command, std::move(outcome));
    const Offset limit = command.follower != no_broker ? log_->log_end()
                         : command.committed           ? stable_end()
                                                       : state->high_watermark();
    if (command.offset < log_->log_start() || command.offset > log_->log_end()) {
        outcome.error = ErrorCode::offset_out_of_range;
        return finish_read(command, std::move(outcome));
    }
    outcome.readable_end = limit;
    // Between the high watermark and the log end there is nothing for a consumer yet.
    if (command.offset < limit && !fill(command, outcome, limit)) return;
    finish_read(command, std::move(outcome));
}

void ReplicaHost::read_as_follower(const ReadCommand& command, ReadOutcome& outcome) {
    auto* state = leader();
    const bool asks_epoch = command.last_fetched_epoch != no_leader_epoch;
    const replica::FollowerFetch fetch{
        .replica = command.follower,
        .broker_epoch = command.follower_epoch,
        .current_leader_epoch = command.current_epoch,
        .fetch_offset = command.offset,
        .last_fetched_epoch = command.last_fetched_epoch,
        .log_start = command.follower_log_start,
        .epoch_end = asks_epoch ? log_->epoch_cache().end_offset_for(command.last_fetched_epoch,
                                                                     log_->log_end())
                                : log::EpochEnd{}};
    if (command.recheck) {
        // The fetch was noted when it came; it is held against the state again, in case an election
        // lies between.
        outcome.error = state->check_epoch(command.current_epoch);
        return;
    }
    const replica::FetchDecision decision =
        state->on_follower_fetch(context_.turn(), *context_.image, fetch);
    outcome.error = decision.error;
    if (decision.diverging) {
        outcome.diverging_epoch = decision.diverging->epoch;
        outcome.diverging_end = decision.diverging->end;
    }
    apply(decision.effects);
    settle_deletions();
}

bool ReplicaHost::fill(const ReadCommand& command, ReadOutcome& outcome, Offset limit) {
    const bool one_batch =
        command.min_one &&
        context_.turn().maybe(Site::fetch_answered_short,
                              static_cast<std::uint64_t>(partition_.partition.value),
                              fold64(static_cast<std::uint64_t>(command.offset.value),
                                     static_cast<std::uint64_t>(command.follower.value)));
    storage::ReadPlan plan = log_->read(context_.env(), command.offset,
                                        one_batch ? 1 : command.bytes_max, limit, command.min_one);
    switch (plan.status) {
        case storage::ReadStatus::ok: break;
        case storage::ReadStatus::waiting: reads_.emplace(plan.ticket, command); return false;
        case storage::ReadStatus::out_of_range:
            outcome.error = ErrorCode::offset_out_of_range;
            return true;
        case storage::ReadStatus::offline:
            outcome.error = ErrorCode::kafka_storage_error;
            return true;
    }
    outcome.bytes = plan.bytes;
    outcome.behind = plan.behind;
    outcome.served_to = plan.to;
    if (command.committed) outcome.aborted = log_->aborted_in(command.offset, plan.to);
    if (plan.ranged && !command.copied && command.reply.shard == context_.env().shard()) {
        outcome.pins.push_back(pins_.add(partition_, log_->pin(plan)));
        outcome.pieces = std::move(plan.pieces);
    } else if (plan.ranged) {
        // A file is open on this shard only: for another shard's connection, and for who wants the
        // bytes, they are read here.
        const auto& range = std::get<env::FileRange>(plan.pieces.front());
        const MutableBuffer bytes(range.length);
        const auto got =
            context_.env().disk().read_if_cached(range.file, range.position, bytes.span());
        if (!got.ok() && got.failure() == Failure::limit) {
            copy(command, outcome, plan, bytes);
            return false;
        }
        if (!got.ok() || *got < range.length) {
            copy_failed(outcome, got);
            return true;
        }
        outcome.pieces = {bytes.freeze()};
    } else {
        outcome.pieces = std::move(plan.pieces);
    }
    state_served(command, outcome, plan.from);
    return true;
}

void ReplicaHost::state_served(const ReadCommand& command, const ReadOutcome& outcome,
                               Offset from) {
    if (command.follower == no_broker && outcome.bytes > 0 && context_.turn().facts_wanted())
        context_.turn().state(facts::ConsumerServed{.partition = partition_,
                                                    .epoch = leader()->epoch(),
                                                    .from = from,
                                                    .to = outcome.served_to,
                                                    .high_watermark = leader()->high_watermark()});
}

void ReplicaHost::copy(const ReadCommand& command, const ReadOutcome& outcome,
                       const storage::ReadPlan& plan, const MutableBuffer& into) {
    const auto& range = std::get<env::FileRange>(plan.pieces.front());
    const env::Token token = context_.await_copy(partition_);
    copies_.emplace(token, Copy{command, outcome, plan.from, leader()->epoch()});
    context_.env().disk().read(range.file, range.position, into, token);
}

void ReplicaHost::on_copied(const env::ReadDone& done) {
    auto row = copies_.extract(done.token);
    KLAMM_ASSERT(!row.empty());
    Copy& copy = row.mapped();
    const auto* state = leader();
    if (state == nullptr || !ready() || state->epoch() != copy.epoch) {
        // Between two of its epochs the log may have been cut under the read.
        copy.command.recheck = true;
        return read(copy.command);
    }
    if (!done.count.ok() || *done.count < copy.outcome.bytes) {
        copy_failed(copy.outcome, done.count);
    } else {
        copy.outcome.pieces = {done.out.freeze()};
        state_served(copy.command, copy.outcome, copy.from);
    }
    finish_read(copy.command, std::move(copy.outcome));
}

void ReplicaHost::copy_failed(ReadOutcome& outcome, const Result<std::size_t>& got) {
    outcome.error = ErrorCode::kafka_storage_error;
    outcome.bytes = 0;
    outcome.served_to = no_offset;
    const bool disk_failed = !got.ok();
    log_->fail(context_.turn(),
               {disk_failed ? got.error()
                            : Error{Failure::corrupt, "the file is shorter than what it holds"},
                name_, 0, log_->log_start(), disk_failed});
}

void ReplicaHost::finish_read(const ReadCommand& command, ReadOutcome outcome) {
    outcome.log_start = log_->log_start();
    outcome.high_watermark = high_watermark();
    outcome.last_stable = stable_end();
    if (const metadata::PartitionImage* known = context_.image->partition(partition_)) {
        outcome.leader = known->leader;
        outcome.leader_epoch = known->leader_epoch;
    }
    context_.post(command.reply.shard, std::move(outcome));
}

void ReplicaHost::take_waiting_reads() {
    for (const storage::ReadTicket ticket : log_->take_ready()) {
        if (auto row = reads_.extract(ticket)) {
            ReadCommand command = row.mapped();
            command.recheck = true;
            read(command);
        }
        if (auto row = lookups_.extract(ticket)) find_offset(row.mapped());
    }
    if (log_->phase() != storage::LogPhase::offline) return;
    for (const auto& [ticket, command] : std::exchange(reads_, {})) {
        ReadOutcome outcome{.reply = command.reply, .error = ErrorCode::kafka_storage_error};
        finish_read(command, std::move(outcome));
    }
    for (const auto& [ticket, command] : std::exchange(lookups_, {}))
        context_.post(command.reply.shard, OffsetOutcome{.reply = command.reply,
                                                         .error = ErrorCode::kafka_storage_error});
}

void ReplicaHost::watch(const WatchCommand& command) {
    const auto* state = leader();
    const replica::FetchBound bound = command.follower    ? replica::FetchBound::log_end
                                      : command.committed ? replica::FetchBound::last_stable
                                                          : replica::FetchBound::high_watermark;
    const Offset end = state == nullptr    ? no_offset
                       : command.follower  ? log_->log_end()
                       : command.committed ? stable_end()
                                           : state->high_watermark();
    if (end != command.seen_end) {
        context_.post(command.reply.shard, WatchFired{command.reply});
        return;
    }
    const std::pair key{command.reply.shard, command.reply.pending};
    if (const auto before = watch_of_.find(key); before != watch_of_.end()) {
        readers_.remove(before->second);
        watching_.erase(before->second);
    }
    const replica::ReplyToken token = ++tokens_made_;
    watch_of_[key] = token;
    watching_[token] = command.reply;
    readers_.add({token, bound, command.seen_end, command.deadline});
}

void ReplicaHost::wake_readers() {
    if (readers_.size() == 0) return;
    for (const replica::ReplyToken token :
         readers_.take_ready(high_watermark(), log_->log_end(), stable_end())) {
        const auto row = watching_.extract(token);
        watch_of_.erase({row.mapped().shard, row.mapped().pending});
        context_.post(row.mapped().shard, WatchFired{row.mapped()});
    }
}

void ReplicaHost::wake_all_readers() {
    for (const replica::ReplyToken token : readers_.take_all()) {
        const auto row = watching_.extract(token);
        watch_of_.erase({row.mapped().shard, row.mapped().pending});
        context_.post(row.mapped().shard, WatchFired{row.mapped()});
    }
}

/// What a client of this isolation level may see of the log.
Offset ReplicaHost::client_end(const OffsetCommand& command) const {
    return command.isolation == isolation_committed ? stable_end() : high_watermark();
}

bool ReplicaHost::find_time(const OffsetCommand& command, const replica::LatestAnswer& latest,
                            OffsetOutcome& outcome) {
    Timestamp wanted(command.timestamp);
    if (command.timestamp == max_timestamp_time) {
        wanted = no_timestamp;
        for (const storage::Segment& segment : log_->segments())
            wanted = std::max(wanted, segment.timestamp_max);
        if (wanted == no_timestamp) return true;  // there is no record
    }
    const storage::TimestampLookup found = log_->offset_for_timestamp(context_.env(), wanted);
    if (found.status == storage::ReadStatus::waiting) {
        lookups_.emplace(found.ticket, command);
        return false;
    }
    if (found.status == storage::ReadStatus::offline) {
        outcome.error = ErrorCode::kafka_storage_error;
        return true;
    }
    const Offset end = command.follower ? latest.offset : client_end(command);
    if (found.found && found.offset < end) {
        outcome.timestamp = found.timestamp;
        outcome.offset = found.offset;
        outcome.leader_epoch = found.epoch;
    } else {
        // KIP-207: whether there is such a record is not known before the watermark has caught up.
        outcome.error = latest.error;
    }
    return true;
}

void ReplicaHost::find_offset(const OffsetCommand& command) {
    OffsetOutcome outcome{.reply = command.reply};
    const auto* state = leader();
    if (state == nullptr || !ready())
        outcome.error = not_serving();
    else
        outcome.error = state->check_epoch(command.current_epoch);
    if (outcome.error != ErrorCode::none) return context_.post(command.reply.shard, outcome);
    // A broker may see the log to its end, a client only what will stay.
    const replica::LatestAnswer latest =
        command.follower ? replica::LatestAnswer{ErrorCode::none, log_->log_end()}
                         : state->latest(context_.turn());
    switch (command.timestamp) {
        case latest_time:
            outcome.error = latest.error;
            outcome.offset =
                command.follower ? latest.offset : std::min(latest.offset, client_end(command));
            if (latest.error == ErrorCode::none) outcome.leader_epoch = state->epoch();
            break;
        case earliest_time:
        case earliest_local_time:
            outcome.offset = log_->log_start();
            outcome.leader_epoch = log_->epoch_cache().epoch_for(outcome.offset);
            break;
        case latest_tiered_time: break;  // nothing is in another tier
        default:
            if (!find_time(command, latest, outcome)) return;
    }
    context_.post(command.reply.shard, outcome);
}

void ReplicaHost::find_epoch_end(const EpochEndCommand& command) {
    EpochEndOutcome outcome{.reply = command.reply};
    const auto* state = leader();
    if (state == nullptr || !ready())
        outcome.error = not_serving();
    else
        outcome.error = state->check_epoch(command.current_epoch);
    if (outcome.error == ErrorCode::none) {
        const log::EpochEnd end =
            log_->epoch_cache().end_offset_for(command.epoch, log_->log_end());
        outcome.epoch = end.epoch;
        outcome.end = end.end;
    }
    context_.post(command.reply.shard, outcome);
}

}  // namespace klamm::server
