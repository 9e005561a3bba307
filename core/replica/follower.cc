#include "core/replica/follower.h"

#include <algorithm>

namespace klamm::replica {

FollowerState::FollowerState(BrokerId self, TopicPartition partition,
                             const metadata::PartitionImage& state, Offset high_watermark)
    : self_(self),
      partition_(partition),
      leader_(state.leader),
      epoch_(state.leader_epoch),
      partition_epoch_(state.partition_epoch),
      high_watermark_(high_watermark) {
    KLAMM_ASSERT(state.leader != self);
}

std::optional<Offset> FollowerState::begin(const Turn& turn, const LogEnds& log) {
    turn.state(facts::Following{partition_, epoch_, leader_});
    high_watermark_ = std::clamp(high_watermark_, log.start, log.end);
    // KIP-101: the watermark trails what was committed, so it says nothing about where to cut.
    if (high_watermark_ < log.end && leader_ != no_broker && turn.planted(Bug::truncate_to_hw))
        [[unlikely]]
        return high_watermark_;
    return std::nullopt;
}

std::optional<Offset> FollowerState::on_metadata(const Turn& turn,
                                                 const metadata::PartitionImage& state,
                                                 const LogEnds& log) {
    if (state.partition_epoch < partition_epoch_) return std::nullopt;
    KLAMM_ASSERT(state.leader != self_);
    const bool new_epoch = state.leader_epoch > epoch_;
    leader_ = state.leader;
    epoch_ = state.leader_epoch;
    partition_epoch_ = state.partition_epoch;
    return new_epoch ? begin(turn, log) : std::nullopt;
}

std::optional<FetchPosition> FollowerState::next_fetch(const Turn& turn, const LogEnds& log,
                                                       LeaderEpoch last_epoch,
                                                       bool flush_each) const {
    if (leader_ == no_broker) return std::nullopt;
    if (follower_fetch_offset(turn, log.end, log.flushed, flush_each) < log.end)
        return std::nullopt;
    return FetchPosition{epoch_, log.end, last_epoch, log.start};
}

FollowerAction FollowerState::on_fetch_answer(const Turn& turn, const FetchAnswer& answer,
                                              const LogEnds& log, const EpochEnd& local) const {
    static_cast<void>(turn);
    if (answer.asked.current_leader_epoch != epoch_ || answer.asked.fetch_offset != log.end)
        return {FollowerStep::ignore, no_offset};
    switch (answer.error) {
        case ErrorCode::none: break;
        case ErrorCode::offset_out_of_range: return {FollowerStep::ask_ends, no_offset};
        case ErrorCode::fenced_leader_epoch: return {FollowerStep::await_metadata, no_offset};
        default: return {FollowerStep::retry, no_offset};
    }
    if (!answer.diverging) return {FollowerStep::append, log.end};

    const EpochEnd& leader = *answer.diverging;
    Offset to = leader.end;
    if (!known(leader)) {
        // The leader cannot say; Kafka starts over from the watermark.
        to = high_watermark_;
    } else if (known(local)) {
        // KIP-279: if the leader's epoch is not ours either, cut to the end of our next lower one
        // and ask again; the next fetch does that by itself.
        to = local.epoch == leader.epoch ? std::min(local.end, leader.end) : local.end;
    }
    return {FollowerStep::truncate, std::clamp(to, log.start, log.end)};
}

FollowerAction FollowerState::on_leader_ends(Offset leader_start, Offset leader_end,
                                             const LogEnds& log) const {
    if (leader_end < log.end) return {FollowerStep::truncate, std::max(leader_end, log.start)};
    if (leader_start > log.end) return {FollowerStep::restart_at, leader_start};
    return {FollowerStep::retry, no_offset};
}

std::optional<Offset> FollowerState::on_appended(const FetchAnswer& answer, const LogEnds& log) {
    if (answer.high_watermark != no_offset)
        high_watermark_ = std::clamp(answer.high_watermark, log.start, log.end);
    if (answer.log_start > log.start && answer.log_start <= high_watermark_)
        return answer.log_start;
    return std::nullopt;
}

void FollowerState::on_truncated(Offset end) { high_watermark_ = std::min(high_watermark_, end); }

void FollowerState::on_restarted(Offset start) { high_watermark_ = start; }

std::string FollowerState::print() const {
    return "follower " + std::to_string(self_.value) + " of " + std::to_string(leader_.value) +
           " epoch=" + std::to_string(epoch_.value) + "/" + std::to_string(partition_epoch_.value) +
           " hw=" + std::to_string(high_watermark_.value);
}

}  // namespace klamm::replica
