// Reading at a partition: consumers up to the high watermark, followers up to the log's end, with
// the rows that wait for the disk or for more.
#include "core/server/replica_host.h"

namespace klamm::server {

namespace {
// Special times of ListOffsets (KIP-79, KIP-734).
constexpr std::int64_t latest_time = -1;
constexpr std::int64_t earliest_time = -2;
constexpr std::int64_t max_timestamp_time = -3;
constexpr std::int64_t earliest_local_time = -4;
}  // namespace

void ReplicaHost::read(const ReadCommand& command) {
    ReadOutcome outcome{.reply = command.reply};
    auto* state = leader();
    if (state == nullptr || !ready()) {
        outcome.error = ErrorCode::not_leader_or_follower;
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
        if (end.epoch != command.last_fetched_epoch || end.end < command.offset) {
            outcome.diverging_epoch = end.epoch;
            outcome.diverging_end = end.end;
        }
    }
    if (outcome.error != ErrorCode::none || outcome.diverging_end != no_offset)
        return finish_read(command, std::move(outcome));
    const Offset limit = command.follower != no_broker ? log_->log_end() : state->high_watermark();
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
        .log_start = Offset(0),
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
}

bool ReplicaHost::fill(const ReadCommand& command, ReadOutcome& outcome, Offset limit) {
    storage::ReadPlan plan =
        log_->read(context_.env(), command.offset, command.bytes_max, limit, command.min_one);
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
    outcome.served_to = plan.to;
    if (plan.ranged && command.reply.shard == context_.env().shard()) {
        outcome.pins.push_back(pins_.add(partition_, log_->pin(plan)));
        outcome.pieces = std::move(plan.pieces);
    } else if (plan.ranged) {
        // A file is open on this shard only: for another shard's connection the bytes are read
        // here.
        const auto& range = std::get<env::FileRange>(plan.pieces.front());
        MutableBuffer bytes(range.length);
        const auto got =
            context_.env().disk().read_if_cached(range.file, range.position, bytes.span());
        if (!got.ok() || *got < range.length) {
            outcome.bytes = 0;
            outcome.served_to = no_offset;
            return true;  // the reader comes again
        }
        outcome.pieces = {bytes.freeze()};
    } else {
        outcome.pieces = std::move(plan.pieces);
    }
    if (command.follower == no_broker && plan.bytes > 0 && context_.turn().facts_wanted())
        context_.turn().state(facts::ConsumerServed{.partition = partition_,
                                                    .epoch = leader()->epoch(),
                                                    .from = plan.from,
                                                    .to = plan.to,
                                                    .high_watermark = leader()->high_watermark()});
    return true;
}

void ReplicaHost::finish_read(const ReadCommand& command, ReadOutcome outcome) {
    outcome.log_start = log_->log_start();
    outcome.high_watermark = high_watermark();
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
    const replica::FetchBound bound =
        command.follower ? replica::FetchBound::log_end : replica::FetchBound::high_watermark;
    const Offset end = state == nullptr   ? no_offset
                       : command.follower ? log_->log_end()
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
    for (const replica::ReplyToken token : readers_.take_ready(high_watermark(), log_->log_end())) {
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

void ReplicaHost::find_offset(const OffsetCommand& command) {
    OffsetOutcome outcome{.reply = command.reply};
    const auto* state = leader();
    if (state == nullptr || !ready())
        outcome.error = ErrorCode::not_leader_or_follower;
    else
        outcome.error = state->check_epoch(command.current_epoch);
    if (outcome.error != ErrorCode::none) return context_.post(command.reply.shard, outcome);
    if (command.timestamp == latest_time) {
        const replica::LatestAnswer latest = state->latest();
        outcome.error = command.follower ? ErrorCode::none : latest.error;
        outcome.offset = command.follower ? log_->log_end() : latest.offset;
        if (outcome.error == ErrorCode::none) outcome.leader_epoch = state->epoch();
    } else if (command.timestamp == earliest_time || command.timestamp == earliest_local_time) {
        outcome.offset = log_->log_start();
        outcome.leader_epoch = log_->epoch_cache().epoch_for(outcome.offset);
    } else if (command.timestamp >= 0 || command.timestamp == max_timestamp_time) {
        if (command.timestamp == max_timestamp_time) {
            outcome.error = ErrorCode::unsupported_for_message_format;
            return context_.post(command.reply.shard, outcome);
        }
        const storage::TimestampLookup found =
            log_->offset_for_timestamp(context_.env(), Timestamp(command.timestamp));
        if (found.status == storage::ReadStatus::waiting) {
            lookups_.emplace(found.ticket, command);
            return;
        }
        if (found.status == storage::ReadStatus::offline)
            outcome.error = ErrorCode::kafka_storage_error;
        if (found.found && found.offset < state->high_watermark()) {
            outcome.timestamp = found.timestamp;
            outcome.offset = found.offset;
            outcome.leader_epoch = found.epoch;
        }
    } else {
        outcome.error = ErrorCode::invalid_request;
    }
    context_.post(command.reply.shard, outcome);
}

void ReplicaHost::find_epoch_end(const EpochEndCommand& command) {
    EpochEndOutcome outcome{.reply = command.reply};
    const auto* state = leader();
    if (state == nullptr || !ready())
        outcome.error = ErrorCode::not_leader_or_follower;
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
