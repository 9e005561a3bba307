// Looking after a partition's log: DeleteRecords at the leader; retention and cleaning at every
// replica, each by its own high watermark.
#include "core/server/replica_host.h"
#include "core/server/topic_options.h"

namespace klamm::server {

storage::LogConfig ReplicaHost::configured() const {
    storage::LogConfig config = log_config(context_, topic_options(context_, partition_.topic));
    // A topic that was compacted once has gaps for good: one whose policy was ever set may have.
    config.gaps = config.compacts;
    if (const metadata::TopicImage* image = context_.image->topic(partition_.topic)) {
        const auto& configs = context_.image->configs();
        const auto own = configs.find({metadata::ResourceType::topic, image->name});
        if (own != configs.end() && own->second.contains("cleanup.policy")) config.gaps = true;
    }
    return config;
}

// The rules and errors are those of Partition.deleteRecordsOnLeader in Kafka 4.1.
void ReplicaHost::delete_records(const DeleteRecordsCommand& command) {
    DeleteRecordsOutcome outcome{.reply = command.reply};
    auto* state = leader();
    const Offset start =
        command.offset == no_offset && state != nullptr ? state->high_watermark() : command.offset;
    if (state == nullptr || !ready()) {
        outcome.error = not_serving();
    } else if (!log_->config().deletes) {
        outcome.error = ErrorCode::policy_violation;
    } else if (start < Offset(0) || start > state->high_watermark()) {
        outcome.error = ErrorCode::offset_out_of_range;
    }
    if (outcome.error != ErrorCode::none) {
        context_.post(command.reply.shard, outcome);
        return;
    }
    if (log_->raise_log_start(context_.env(), start, facts::LogStartReason::delete_records))
        apply(state->on_log(context_.turn(), *context_.image, ends()));
    deletions_.push_back({command.reply, start, command.deadline});
    settle_deletions();
}

/// Answers those whose log start every live replica has reached, and those that have waited enough.
void ReplicaHost::settle_deletions() {
    const auto* state = leader();
    if (deletions_.empty() || state == nullptr) return;
    const Offset low = state->low_watermark(*context_.image);
    std::erase_if(deletions_, [&](const Deletion& row) {
        const bool done = low >= row.required;
        if (!done && context_.now() < row.deadline) return false;
        DeleteRecordsOutcome outcome{.reply = row.reply};
        outcome.error = done ? ErrorCode::none : ErrorCode::request_timed_out;
        outcome.low_watermark = low;
        context_.post(row.reply.shard, outcome);
        return true;
    });
}

void ReplicaHost::fail_deletions(ErrorCode error) {
    for (const Deletion& row : std::exchange(deletions_, {})) {
        DeleteRecordsOutcome outcome{.reply = row.reply};
        outcome.error = error;
        context_.post(row.reply.shard, outcome);
    }
}

bool ReplicaHost::retain() {
    if (!ready()) return false;
    log_->forget_idle_producers(context_.turn().wall,
                                context_.settings.options.producer_id_expiration_ms);
    const Offset before = log_->log_start();
    log_->retain(context_.env(), std::min(high_watermark(), log_->log_end()));
    if (log_->log_start() == before) return false;
    if (auto* state = leader()) apply(state->on_log(context_.turn(), *context_.image, ends()));
    return true;
}

std::optional<log::CleanRange> ReplicaHost::cleanable() const {
    if (!ready()) return std::nullopt;
    const auto& config = log_->config();
    const auto range = log_->dirty(context_.turn(), std::min(high_watermark(), log_->log_end()));
    const log::CompactionRules rules{config.min_compaction_lag_ms, config.max_compaction_lag_ms,
                                     config.dirty_millionths_min};
    return range && range->due(rules) ? range : std::nullopt;
}

bool ReplicaHost::clean() {
    return ready() && log_->clean(context_.env(), std::min(high_watermark(), log_->log_end()));
}

bool ReplicaHost::may_start_over() const {
    if (opened_ || log_->phase() != storage::LogPhase::offline) return false;
    const storage::OfflineReason& why = *log_->offline();
    if (why.disk_failed || why.error.failure != Failure::corrupt) return false;
    const metadata::PartitionImage* state = context_.image->partition(partition_);
    if (!context_.caught_up || state == nullptr) return false;
    // Not before the image knows of this registration: it takes a replica that stopped without
    // proof out of ISR and ELR.
    const metadata::BrokerImage* self = context_.image->broker(context_.self());
    if (self == nullptr || self->epoch != context_.broker_epoch) return false;
    return state->leader != no_broker && state->leader != context_.self() &&
           !metadata::contains(state->isr, context_.self()) &&
           !metadata::contains(state->elr, context_.self()) &&
           !metadata::contains(state->last_known_elr, context_.self());
}

}  // namespace klamm::server
