#include "core/server/replica_host.h"

#include "core/base/checksum.h"
#include "core/server/topic_options.h"

namespace klamm::server {

using storage::LogPhase;

ReplicaHost::ReplicaHost(Context& context, storage::LogDirectory& directory, Pins& pins,
                         TopicPartition partition, std::string topic)
    : context_(context),
      directory_(directory),
      pins_(pins),
      partition_(partition),
      topic_(std::move(topic)),
      name_(partition_name(topic_, partition.partition)),
      coordinates_(server::coordinates(topic_)) {
    high_watermark_ = directory_.checkpointed_high_watermark(name_).value_or(Offset(0));
    log_ = &directory_.open_log(context_.env(), partition_, name_, configured(),
                                context_.image->partition(partition_)->leader_epoch);
}

bool ReplicaHost::ready() const { return log_->phase() == LogPhase::open && !cut_ && !leaving_; }

ErrorCode ReplicaHost::not_serving() const {
    return log_->phase() == LogPhase::offline ? ErrorCode::kafka_storage_error
                                              : ErrorCode::not_leader_or_follower;
}

bool ReplicaHost::settled() const {
    return log_->phase() != LogPhase::opening && log_->phase() != LogPhase::closed;
}

replica::LogEnds ReplicaHost::ends() const {
    return {log_->log_start(), log_->log_end(), log_->flushed_end()};
}

replica::LeaderSettings ReplicaHost::settings() const {
    const auto& image = *context_.image;
    return {.lag_max = milliseconds(context_.settings.options.replica_lag_time_max_ms),
            .min_isr = image.min_insync_replicas(partition_.topic),
            .flush_each = topic_options(context_, partition_.topic).flush_messages == 1};
}

Offset ReplicaHost::high_watermark() const {
    if (const auto* state = leader()) return state->high_watermark();
    if (const auto* state = follower()) return state->high_watermark();
    return high_watermark_;
}

void ReplicaHost::follow_image() {
    if (!ready()) return;
    const metadata::PartitionImage* state = context_.image->partition(partition_);
    if (state == nullptr) return;
    log_->set_config(configured());
    if (state->leader == context_.self())
        lead(*state);
    else
        follow(*state);
}

void ReplicaHost::lead(const metadata::PartitionImage& state) {
    const Turn& turn = context_.turn();
    if (auto* led = leader()) {
        const bool new_epoch = state.leader_epoch > led->epoch();
        if (new_epoch) {
            // What waited was promised by an epoch that is over (KIP-101: its tail may yet be cut).
            for (const replica::ProduceSettled& row : produces_.fail_all()) answer(row);
            refuse_all(verifying_.take_all(), ErrorCode::not_leader_or_follower);
            log_->assign_epoch(state.leader_epoch);
        }
        apply(led->on_surroundings(turn, *context_.image, settings()));
        apply(led->on_metadata(turn, *context_.image, state, ends()));
        if (new_epoch) wake_all_readers();
    } else {
        high_watermark_ = high_watermark();
        log_->assign_epoch(state.leader_epoch);
        role_ = replica::LeaderState(context_.self(), partition_, state, settings(), ends(),
                                     high_watermark_, turn.now);
        lag_check_ = turn.now;
        apply(leader()->begin(turn, *context_.image));
        wake_all_readers();
    }
    if (sent_ && leader()->in_flight() != sent_) sent_.reset();
}

void ReplicaHost::follow(const metadata::PartitionImage& state) {
    const Turn& turn = context_.turn();
    if (leader() != nullptr) stop_leading();
    std::optional<Offset> cut_first;
    if (auto* following = follower()) {
        cut_first = following->on_metadata(turn, state, ends());
    } else {
        role_ = replica::FollowerState(context_.self(), partition_, state, high_watermark_);
        cut_first = follower()->begin(turn, ends());
    }
    wake_all_readers();
    if (cut_first && *cut_first < log_->log_end()) cut(*cut_first, false);
}

void ReplicaHost::stop_leading() {
    high_watermark_ = leader()->high_watermark();
    for (const replica::ProduceSettled& row : produces_.fail_all()) answer(row);
    for (const auto& [end, produced] : std::exchange(weak_, {}))
        answer_produce(produced, ErrorCode::not_leader_or_follower, 1);
    refuse_all(verifying_.take_all(), ErrorCode::not_leader_or_follower);
    fail_deletions(ErrorCode::not_leader_or_follower);
    role_ = std::monostate();
    sent_.reset();
    resend_ = {};
}

void ReplicaHost::apply(const replica::LeaderEffects& effects) {
    if (effects.moved) {
        directory_.note_high_watermark(name_, effects.moved->to);
        log_->note_high_watermark(effects.moved->to);
        settle_produces();
        wake_readers();
    }
    if (effects.propose) propose(*effects.propose);
}

void ReplicaHost::propose(const replica::IsrProposal& proposal) {
    sent_ = proposal;
    AlterIsrCommand command{.reply = {context_.env().shard(), 0, 0},
                            .partition = partition_,
                            .leader_epoch = proposal.leader_epoch,
                            .partition_epoch = proposal.partition_epoch,
                            .isr = {}};
    for (const replica::IsrMember& member : proposal.isr)
        command.isr.push_back({member.broker, member.epoch});
    context_.post(0, std::move(command));
}

void ReplicaHost::on(const AlterIsrOutcome& outcome) {
    auto* state = leader();
    if (state == nullptr || !sent_ || outcome.asked_epoch != sent_->leader_epoch ||
        outcome.asked_partition_epoch != sent_->partition_epoch)
        return;
    const replica::IsrProposal proposal = *std::exchange(sent_, std::nullopt);
    replica::AlterPartitionAnswer answer;
    answer.error = outcome.answered ? outcome.error : ErrorCode::unknown_server_error;
    answer.leader = outcome.leader;
    answer.leader_epoch = outcome.leader_epoch;
    answer.partition_epoch = outcome.partition_epoch;
    answer.isr = outcome.isr;
    replica::LeaderEffects effects =
        state->on_alter_partition_answer(context_.turn(), *context_.image, proposal, answer);
    // A proposal that comes back is sent again after a back-off, as Kafka's AlterPartitionManager
    // does.
    if (effects.propose && outcome.error != ErrorCode::none)
        resend_.add(context_.now() + milliseconds(50),
                    *std::exchange(effects.propose, std::nullopt));
    apply(effects);
}

void ReplicaHost::leave() {
    leaving_ = true;
    if (leader() != nullptr) stop_leading();
    role_ = std::monostate();
    wake_all_readers();
    const auto gone = [](const auto& command, auto outcome) {
        outcome.reply = command.reply;
        outcome.error = ErrorCode::not_leader_or_follower;
        return outcome;
    };
    for (auto& [token, copy] : std::exchange(copies_, {}))
        finish_read(copy.command, gone(copy.command, ReadOutcome{}));
    for (auto& [ticket, command] : std::exchange(reads_, {}))
        finish_read(command, gone(command, ReadOutcome{}));
    for (auto& [ticket, command] : std::exchange(lookups_, {}))
        context_.post(command.reply.shard, gone(command, OffsetOutcome{}));
    for (const storage::PinId pin : log_->pinned_above(Offset(-1)))
        if (const net::Pin name = pins_.name_of(partition_, pin); name != 0)
            pins_.close_before_cut(name);
}

bool ReplicaHost::is_anothers() const {
    return log_->phase() == LogPhase::offline && log_->offline()->error.failure == Failure::exists;
}

void ReplicaHost::on_log_event() {
    if (leaving_) return;
    take_waiting_reads();
    opened_ = opened_ || log_->opened();
    if (cut_ && cut_->begun && log_->phase() == LogPhase::open) finish_cut();
    if (log_->phase() == LogPhase::offline) {
        if (leader() != nullptr) stop_leading();
        wake_all_readers();
        return;
    }
    if (std::holds_alternative<std::monostate>(role_)) follow_image();
    if (!ready()) return;
    if (auto* state = leader()) {
        apply(state->on_log(context_.turn(), *context_.image, ends()));
        settle_weak();
        settle_produces();
    }
}

void ReplicaHost::tick() {
    if (coordinates_ != Coordinates::nothing) context_.note_coordinated(coordinates_, partition_);
    if (leaving_) return;
    const Instant now = context_.now();
    if (log_->phase() == LogPhase::offline && leader() != nullptr) {
        // A read has found damage.
        stop_leading();
        wake_all_readers();
    }
    if (log_->deleted_due() <= now) log_->remove_deleted(context_.env());
    if (!deletions_.empty()) settle_deletions();
    for (const replica::ProduceSettled& row : produces_.expire(now)) answer(row);
    for (const replica::ReplyToken token : readers_.take_expired(now)) {
        const auto row = watching_.extract(token);
        watch_of_.erase({row.mapped().shard, row.mapped().pending});
    }
    auto* state = leader();
    while (auto proposal = resend_.pop_due(now))
        if (state != nullptr && state->in_flight() == *proposal) propose(*proposal);
    const Duration half_lag = milliseconds(context_.settings.options.replica_lag_time_max_ms) / 2;
    if (state != nullptr && ready() && now >= lag_check_ + half_lag) {
        lag_check_ = now;
        apply(state->check_lag(context_.turn(), *context_.image));
    }
}

Instant ReplicaHost::deadline_min() const {
    if (leaving_) return instant_never;
    Instant first = std::min(produces_.deadline_min(), readers_.deadline_min());
    first = std::min(first, resend_.deadline_min());
    first = std::min(first, log_->deleted_due());
    for (const Deletion& row : deletions_) first = std::min(first, row.deadline);
    if (leader() != nullptr && ready())
        first = std::min(
            first,
            lag_check_ + milliseconds(context_.settings.options.replica_lag_time_max_ms) / 2);
    return first;
}

std::uint64_t ReplicaHost::digest() const {
    std::uint64_t digest =
        fold64(log_->digest(), static_cast<std::uint64_t>(high_watermark().value));
    return fold64(digest, role_.index());
}

}  // namespace klamm::server
