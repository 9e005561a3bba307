// The search over the small cluster: what of a state tells it from another, and every order of
// events.

#include <unordered_map>

#include "tests/replica/model.h"

namespace klamm::model {

namespace {

using metadata::PartitionImage;
using replica::FollowerState;
using replica::LeaderState;

std::uint64_t fold_text(std::uint64_t digest, const std::string& text) {
    return fold64(digest, digest64(as_bytes(text)));
}

}  // namespace

std::uint64_t World::digest() const {
    std::uint64_t digest = fold64(static_cast<std::uint64_t>(time_), committed_.size());
    digest = fold64(
        digest, static_cast<std::uint64_t>(left_.appends * 4096 + left_.crashes * 512 +
                                           left_.fences * 64 + left_.elections * 8 + left_.lags));
    digest = fold64(digest, static_cast<std::uint64_t>(image_->offset()));
    const auto fold_image = [&](const metadata::ClusterImage& image) {
        const PartitionImage& state = image.topics().begin()->second.partitions.begin()->second;
        digest = fold_text(digest, metadata::to_string(state));
        for (const auto& [id, broker] : image.brokers())
            digest = fold64(digest, static_cast<std::uint64_t>(broker.epoch.value * 2 +
                                                               (broker.fenced ? 1 : 0)));
    };
    fold_image(*image_);
    const auto fold_proposal = [&](const replica::IsrProposal& proposal) {
        digest = fold64(digest, static_cast<std::uint64_t>(proposal.partition_epoch.value));
        for (const auto& member : proposal.isr)
            digest = fold64(digest, static_cast<std::uint64_t>(member.broker.value * 1000 +
                                                               member.epoch.value));
    };
    for (const Broker& broker : brokers_) {
        digest = fold64(digest, broker.up ? 1 : 2);
        for (const std::int32_t epoch : broker.log)
            digest = fold64(digest, static_cast<std::uint64_t>(epoch));
        for (const auto& entry : broker.epochs.entries())
            digest = fold64(
                digest, static_cast<std::uint64_t>(entry.epoch.value * 100 + entry.start.value));
        if (broker.image->offset() != image_->offset()) fold_image(*broker.image);
        digest = fold64(digest, broker.role.index());
        if (const auto* leader = std::get_if<LeaderState>(&broker.role)) {
            digest = fold_text(digest, leader->print());
            for (const auto& [id, remote] : leader->remotes()) {
                const auto time = [](const std::optional<Instant>& instant) {
                    return instant ? static_cast<std::uint64_t>(instant->nanoseconds) : 1;
                };
                digest = fold64(digest, time(remote.last_fetch));
                digest = fold64(digest, time(remote.last_caught_up));
                digest =
                    fold64(digest, static_cast<std::uint64_t>(remote.leader_end_at_fetch.value));
                digest = fold64(digest, static_cast<std::uint64_t>(
                                            remote.broker_epoch.value_or(BrokerEpoch(-9)).value));
            }
            if (leader->in_flight()) fold_proposal(*leader->in_flight());
        } else if (const auto* follower = std::get_if<FollowerState>(&broker.role)) {
            digest = fold_text(digest, follower->print());
        } else {
            digest = fold64(digest, static_cast<std::uint64_t>(broker.saved_high_watermark.value));
        }
        if (broker.answer) {
            const replica::FetchAnswer& answer = *broker.answer;
            digest = fold64(digest, static_cast<std::uint64_t>(answer.error));
            digest = fold64(digest, static_cast<std::uint64_t>(answer.high_watermark.value));
            digest = fold64(digest, static_cast<std::uint64_t>(answer.asked.fetch_offset.value));
            if (answer.diverging)
                digest =
                    fold64(digest, static_cast<std::uint64_t>(answer.diverging->epoch.value * 100 +
                                                              answer.diverging->end.value));
            for (const std::int32_t epoch : broker.answer_records)
                digest = fold64(digest, static_cast<std::uint64_t>(epoch + 7));
        }
        if (broker.proposal) fold_proposal(*broker.proposal);
        if (broker.alter_answer) {
            fold_proposal(broker.answered);
            digest = fold64(digest, static_cast<std::uint64_t>(broker.alter_answer->error));
        }
        digest = fold64(digest, 99);
    }
    return digest;
}

std::string World::print() const {
    std::string text = metadata::to_string(partition()) + "\n";
    for (int i = 0; i < broker_count; ++i) {
        const Broker& broker = brokers_[static_cast<std::size_t>(i)];
        text += static_cast<char>('A' + i);
        text += broker.up ? " log=" : " (down) log=";
        for (const std::int32_t epoch : broker.log) text += std::to_string(epoch) + " ";
        if (const auto* leader = std::get_if<LeaderState>(&broker.role)) text += leader->print();
        if (const auto* follower = std::get_if<FollowerState>(&broker.role))
            text += follower->print();
        text += "\n";
    }
    return text;
}

namespace {

bool explore(const World& world, int left, Search& result,
             std::unordered_map<std::uint64_t, int>& seen) {
    for (const Event& event : world.enabled()) {
        World next = world;
        next.act(event);
        ++result.transitions;
        if (!next.violation().empty()) {
            result.violation = next.violation();
            result.trace.insert(result.trace.begin(), event);
            return true;
        }
        // `seen` is for lookup only: how many events were left when a state was last explored.
        const auto [row, fresh] = seen.try_emplace(next.digest(), -1);
        if (fresh) ++result.states;
        if (row->second >= left - 1) continue;
        row->second = left - 1;
        if (left > 1 && explore(next, left - 1, result, seen)) {
            result.trace.insert(result.trace.begin(), event);
            return true;
        }
    }
    return false;
}

}  // namespace

Search search(const World& start, int depth) {
    Search result;
    std::unordered_map<std::uint64_t, int> seen;
    seen.emplace(start.digest(), depth);
    result.states = 1;
    explore(start, depth, result, seen);
    return result;
}

}  // namespace klamm::model
