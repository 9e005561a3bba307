#include "core/replica/leader.h"

#include <algorithm>

namespace klamm::replica {

namespace {

using metadata::ClusterImage;
using metadata::contains;
using metadata::PartitionImage;

}  // namespace

LeaderState::LeaderState(BrokerId self, TopicPartition partition, const PartitionImage& state,
                         const LeaderSettings& settings, const LogEnds& log, Offset high_watermark,
                         Instant now)
    : self_(self),
      partition_(partition),
      settings_(settings),
      log_(log),
      epoch_(state.leader_epoch),
      epoch_start_(log.end),
      high_watermark_(std::clamp(high_watermark, log.start, log.end)) {
    KLAMM_ASSERT(state.leader == self);
    take_assignment(state, true, now);
}

void LeaderState::take_assignment(const PartitionImage& state, bool new_epoch, Instant now) {
    partition_epoch_ = state.partition_epoch;
    replicas_ = state.replicas;
    isr_ = metadata::sorted(state.isr);
    in_flight_.reset();
    if (new_epoch) remotes_.clear();
    for (auto remote = remotes_.begin(); remote != remotes_.end();)
        remote = contains(replicas_, remote->first) ? std::next(remote) : remotes_.erase(remote);
    for (const BrokerId replica : replicas_) {
        if (replica == self_ || remotes_.contains(replica)) continue;
        RemoteReplica& remote = remotes_[replica];
        // A member gets the whole lag time to show itself; nothing is known of its log.
        if (contains(isr_, replica)) remote.last_caught_up = now;
    }
}

LeaderEffects LeaderState::begin(const Turn& turn, const ClusterImage& image) {
    turn.state(facts::Leading{partition_, epoch_, epoch_start_});
    return {advance(turn, image), std::nullopt};
}

LeaderEffects LeaderState::on_metadata(const Turn& turn, const ClusterImage& image,
                                       const PartitionImage& state, const LogEnds& log) {
    // An equal epoch was learned from the answer to AlterPartition already. To take it again would
    // forget an addition in flight, which the controller may commit.
    if (state.partition_epoch <= partition_epoch_) return {};
    KLAMM_ASSERT(state.leader == self_);
    KLAMM_ASSERT(state.leader_epoch >= epoch_);
    log_ = log;
    const bool new_epoch = state.leader_epoch > epoch_;
    if (new_epoch) {
        epoch_ = state.leader_epoch;
        epoch_start_ = log.end;
        turn.state(facts::Leading{partition_, epoch_, epoch_start_});
    }
    take_assignment(state, new_epoch, turn.now);
    return {advance(turn, image), std::nullopt};
}

LeaderEffects LeaderState::on_surroundings(const Turn& turn, const ClusterImage& image,
                                           const LeaderSettings& settings) {
    settings_ = settings;
    return {advance(turn, image), std::nullopt};
}

LeaderEffects LeaderState::on_log(const Turn& turn, const ClusterImage& image, const LogEnds& log) {
    KLAMM_ASSERT(log.end >= log_.end);
    KLAMM_ASSERT(log.start >= log_.start);
    log_ = log;
    return {advance(turn, image), std::nullopt};
}

ErrorCode LeaderState::check_epoch(LeaderEpoch current) const {
    if (current == no_leader_epoch || current == epoch_) return ErrorCode::none;
    return current < epoch_ ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch;
}

FetchDecision LeaderState::on_follower_fetch(const Turn& turn, const ClusterImage& image,
                                             const FollowerFetch& fetch) {
    if (const ErrorCode error = check_epoch(fetch.current_leader_epoch); error != ErrorCode::none)
        return {error, std::nullopt, {}};
    const auto remote = remotes_.find(fetch.replica);
    if (remote == remotes_.end())
        return {fetch.current_leader_epoch == no_leader_epoch ? ErrorCode::not_leader_or_follower
                                                              : ErrorCode::unknown_leader_epoch,
                std::nullopt,
                {}};
    std::optional<EpochEnd> diverging;
    if (fetch.last_fetched_epoch != no_leader_epoch) {
        if (!known(fetch.epoch_end)) return {ErrorCode::offset_out_of_range, std::nullopt, {}};
        if (fetch.fetch_offset < log_.start)
            return {ErrorCode::offset_out_of_range, std::nullopt, {}};
        if (fetch.epoch_end.epoch < fetch.last_fetched_epoch ||
            fetch.epoch_end.end < fetch.fetch_offset)
            diverging = fetch.epoch_end;
    }
    if (diverging) {
        if (turn.facts_wanted())
            turn.state(facts::FollowerFetched{partition_, epoch_, fetch.replica, fetch.fetch_offset,
                                              true});
        FetchDecision decision{ErrorCode::none, diverging, {}};
        // KAFKA-13141: what diverges is not this log, however far it reaches.
        if (turn.planted(Bug::diverging_fetch_advances_hw)) [[unlikely]] {
            record_fetch(turn, fetch, remote->second);
            decision.effects.moved = advance(turn, image);
        }
        return decision;
    }
    if (fetch.fetch_offset < log_.start || fetch.fetch_offset > log_.end)
        return {ErrorCode::offset_out_of_range, std::nullopt, {}};
    const metadata::BrokerImage* broker = image.broker(fetch.replica);
    if (fetch.broker_epoch != no_broker_epoch && broker != nullptr &&
        broker->epoch > fetch.broker_epoch)
        return {ErrorCode::not_leader_or_follower, std::nullopt, {}};

    if (turn.facts_wanted())
        turn.state(
            facts::FollowerFetched{partition_, epoch_, fetch.replica, fetch.fetch_offset, false});
    record_fetch(turn, fetch, remote->second);
    FetchDecision decision;
    decision.effects.propose = propose_expand(turn, image, fetch.replica);
    decision.effects.moved = advance(turn, image);
    return decision;
}

Offset LeaderState::low_watermark(const ClusterImage& image) const {
    Offset least = log_.start;
    for (const auto& [id, remote] : remotes_) {
        const metadata::BrokerImage* broker = image.broker(id);
        // Whoever is down will learn the log start with its first fetch.
        if (broker != nullptr && broker->active()) least = std::min(least, remote.log_start);
    }
    return least;
}

void LeaderState::record_fetch(const Turn& turn, const FollowerFetch& fetch,
                               RemoteReplica& remote) {
    // Caught up at this fetch, if it asks for what is beyond our end; else at the one before, if it
    // asks for what was beyond our end then.
    if (fetch.fetch_offset >= log_.end) {
        remote.last_caught_up = std::max(remote.last_caught_up.value_or(turn.now), turn.now);
    } else if (remote.last_fetch && fetch.fetch_offset >= remote.leader_end_at_fetch) {
        remote.last_caught_up =
            std::max(remote.last_caught_up.value_or(*remote.last_fetch), *remote.last_fetch);
    }
    remote.log_end = fetch.fetch_offset;
    remote.log_start = fetch.log_start;
    remote.leader_end_at_fetch = std::max(remote.leader_end_at_fetch, log_.end);
    remote.last_fetch = turn.now;
    remote.broker_epoch = fetch.broker_epoch;
}

bool LeaderState::caught_up(const RemoteReplica& remote, Instant now) const {
    if (remote.log_end == log_.end) return true;
    return remote.last_caught_up && now - *remote.last_caught_up <= settings_.lag_max;
}

bool LeaderState::eligible(const ClusterImage& image, BrokerId replica,
                           const RemoteReplica& remote) {
    const metadata::BrokerImage* broker = image.broker(replica);
    if (broker == nullptr || !broker->active()) return false;
    return remote.broker_epoch &&
           (*remote.broker_epoch == no_broker_epoch || *remote.broker_epoch == broker->epoch);
}

std::optional<HighWatermarkMove> LeaderState::advance(const Turn& turn, const ClusterImage& image) {
    if (static_cast<std::int32_t>(isr_.size()) < effective_min_isr()) return std::nullopt;
    const BrokerIds maximal = maximal_isr();
    Offset least = own_contribution(turn, log_, settings_.flush_each);
    for (const auto& [id, remote] : remotes_) {
        if (remote.log_end >= least) continue;
        // Whoever keeps up is waited for although it is not in the ISR yet, or it would chase a
        // watermark that it can never reach.
        const bool counts =
            contains(maximal, id) || (caught_up(remote, turn.now) && eligible(image, id, remote));
        if (counts) least = remote.log_end;
    }
    if (least <= high_watermark_) return std::nullopt;
    KLAMM_ASSERT(least <= log_.end);
    const HighWatermarkMove move{high_watermark_, least};
    high_watermark_ = least;
    if (turn.facts_wanted())
        turn.state(facts::HighWatermarkMoved{partition_, epoch_, move.from, move.to, isr_, maximal,
                                             effective_min_isr()});
    return move;
}

std::optional<IsrProposal> LeaderState::propose_expand(const Turn& turn, const ClusterImage& image,
                                                       BrokerId replica) {
    if (in_flight_ || contains(isr_, replica)) return std::nullopt;
    const RemoteReplica& remote = remotes_.at(replica);
    if (!eligible(image, replica, remote)) return std::nullopt;
    if (remote.log_end < high_watermark_) return std::nullopt;
    // KAFKA-7128: below the start of this epoch there may be committed records above a watermark
    // that is still stale.
    if (remote.log_end < epoch_start_ && !turn.planted(Bug::isr_join_below_epoch_start))
        return std::nullopt;
    BrokerIds isr = isr_;
    isr.push_back(replica);
    in_flight_ = make_proposal(image, metadata::sorted(isr), replica);
    if (turn.facts_wanted())
        turn.state(facts::IsrProposed{partition_, epoch_, metadata::sorted(isr), replica,
                                      remote.log_end, high_watermark_, epoch_start_});
    return in_flight_;
}

IsrProposal LeaderState::make_proposal(const ClusterImage& image, const BrokerIds& isr,
                                       BrokerId joining) const {
    IsrProposal proposal{epoch_, partition_epoch_, {}, joining};
    for (const BrokerId member : isr) {
        if (member == self_) {
            const metadata::BrokerImage* broker = image.broker(self_);
            proposal.isr.push_back({member, broker == nullptr ? no_broker_epoch : broker->epoch});
        } else {
            proposal.isr.push_back(
                {member, remotes_.at(member).broker_epoch.value_or(no_broker_epoch)});
        }
    }
    return proposal;
}

LeaderEffects LeaderState::check_lag(const Turn& turn, const ClusterImage& image) {
    if (in_flight_) return {};
    BrokerIds staying;
    for (const BrokerId member : isr_) {
        const auto remote = remotes_.find(member);
        if (member == self_ ||
            (remote != remotes_.end() && caught_up(remote->second, turn.now) &&
             !turn.maybe(Site::isr_shrinks_early, static_cast<std::uint64_t>(member.value),
                         static_cast<std::uint64_t>(partition_epoch_.value))))
            staying.push_back(member);
    }
    if (staying == isr_) return {};
    in_flight_ = make_proposal(image, staying, no_broker);
    if (turn.facts_wanted())
        turn.state(facts::IsrProposed{partition_, epoch_, staying, no_broker, no_offset,
                                      high_watermark_, epoch_start_});
    return {std::nullopt, in_flight_};
}

LeaderEffects LeaderState::on_alter_partition_answer(const Turn& turn, const ClusterImage& image,
                                                     const IsrProposal& proposal,
                                                     const AlterPartitionAnswer& answer) {
    if (in_flight_ != proposal) return {};
    switch (answer.error) {
        case ErrorCode::none: {
            if (answer.leader_epoch != epoch_ || answer.partition_epoch < partition_epoch_)
                return {};
            isr_ = metadata::sorted(answer.isr);
            partition_epoch_ = answer.partition_epoch;
            in_flight_.reset();
            return {advance(turn, image), std::nullopt};
        }
        case ErrorCode::operation_not_attempted:
        case ErrorCode::ineligible_replica:
            // The controller says that it was not applied, and that our partition epoch is right.
            in_flight_.reset();
            return {};
        case ErrorCode::unknown_topic_or_partition:
        case ErrorCode::unknown_topic_id:
        case ErrorCode::fenced_leader_epoch:
        case ErrorCode::invalid_update_version:
        case ErrorCode::invalid_request:
        case ErrorCode::new_leader_elected:
            // Whether it was applied is not known: it stays in flight until newer metadata says.
            return {};
        default: return {std::nullopt, in_flight_};
    }
}

ErrorCode LeaderState::admit_produce(std::int16_t acks) const {
    const bool enough = static_cast<std::int32_t>(isr_.size()) >= effective_min_isr();
    return acks == -1 && !enough ? ErrorCode::not_enough_replicas : ErrorCode::none;
}

std::optional<ErrorCode> LeaderState::acks_all_answer(const Turn& turn, Offset required) const {
    if (high_watermark_ < required) {
        if (turn.planted(Bug::acks_all_like_one)) [[unlikely]]
            return ErrorCode::none;
        return std::nullopt;
    }
    return static_cast<std::int32_t>(maximal_isr().size()) >= effective_min_isr()
               ? ErrorCode::none
               : ErrorCode::not_enough_replicas_after_append;
}

bool LeaderState::acks_one_satisfied(const Turn& turn, Offset required) const {
    return own_contribution(turn, log_, settings_.flush_each) >= required;
}

LatestAnswer LeaderState::latest(const Turn& turn) const {
    if (high_watermark_ < epoch_start_ && !turn.planted(Bug::latest_offset_regresses))
        return {ErrorCode::offset_not_available, no_offset};
    return {ErrorCode::none, high_watermark_};
}

BrokerIds LeaderState::maximal_isr() const {
    if (!in_flight_ || in_flight_->joining == no_broker) return isr_;
    BrokerIds maximal = isr_;
    maximal.push_back(in_flight_->joining);
    return metadata::sorted(maximal);
}

std::int32_t LeaderState::effective_min_isr() const {
    return std::min(static_cast<std::int32_t>(replicas_.size()), settings_.min_isr);
}

std::string LeaderState::print() const {
    std::string text =
        "leader " + std::to_string(self_.value) + " epoch=" + std::to_string(epoch_.value) + "/" +
        std::to_string(partition_epoch_.value) + " start=" + std::to_string(epoch_start_.value) +
        " end=" + std::to_string(log_.end.value) +
        " flushed=" + std::to_string(log_.flushed.value) +
        " hw=" + std::to_string(high_watermark_.value) + " isr=" + metadata::to_string(isr_) +
        " maximal=" + metadata::to_string(maximal_isr());
    if (in_flight_) text += in_flight_->joining == no_broker ? " shrinking" : " expanding";
    for (const auto& [id, remote] : remotes_)
        text += " " + std::to_string(id.value) + "@" + std::to_string(remote.log_end.value);
    return text;
}

}  // namespace klamm::replica
