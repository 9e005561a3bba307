// The monitor of the quorum: I10, and decisions that become facts.
#include "sim/judge/quorum.h"

#include <fmt/format.h>

#include <algorithm>

namespace klamm::sim {

namespace {

/// The first link of the chain that reaches to `offset` or beyond.
std::size_t first_link(const PartitionBook& book, Offset offset) {
    const auto found =
        std::partition_point(book.chain.begin(), book.chain.end(),
                             [offset](const ChainLink& link) { return link.last < offset; });
    return static_cast<std::size_t>(found - book.chain.begin());
}

Offset chain_end(const PartitionBook& book) {
    return book.chain.empty() ? Offset{0} : book.chain.back().last + 1;
}

}  // namespace

bool QuorumMonitor::has(const ReplicaBook& replica, const ChainLink& link) const {
    const auto start = starts_.find(replica.node);
    if (start != starts_.end() && link.last < start->second) return true;
    const Held* held = replica.at(link.base);
    return held != nullptr && held->id == link.id;
}

void QuorumMonitor::start_moved(BrokerId node, Offset start) {
    Offset& known = starts_[node];
    known = std::max(known, start);
}

void QuorumMonitor::started(const facts::QuorumStarted& fact, Instant now, BrokerId node) {
    const auto after = votes_.upper_bound({node, fact.epoch});
    if (after != votes_.end() && after->first.first == node)
        red(fmt::format("controller {} begins in epoch {}, and has voted in epoch {} before",
                        node.value, fact.epoch.value, after->first.second.value),
            now, node);
    const auto vote = votes_.find({node, fact.epoch});
    if (vote == votes_.end() || fact.leader != no_broker || fact.voted == vote->second) return;
    red(fmt::format("controller {} voted for {} in epoch {}, and begins anew without that vote",
                    node.value, vote->second.value, fact.epoch.value),
        now, node);
}

void QuorumMonitor::voted(const facts::QuorumVoted& fact, Instant now, BrokerId node) {
    const auto [vote, first] = votes_.try_emplace({node, fact.epoch}, fact.candidate);
    if (first || vote->second == fact.candidate) return;
    red(fmt::format("controller {} votes for {} in epoch {}, in which it has voted for {}",
                    node.value, fact.candidate.value, fact.epoch.value, vote->second.value),
        now, node);
}

void QuorumMonitor::leading(const PartitionBook& book, const facts::QuorumLeading& fact,
                            Instant now, BrokerId node) {
    const auto [leader, first] = leaders_.try_emplace(fact.epoch, Leader{node, fact.start});
    if (!first)
        red(fmt::format("controller {} leads epoch {} of the quorum, which {} has led", node.value,
                        fact.epoch.value, leader->second.node.value),
            now, node);
    if (book.chain.empty()) return;
    const ReplicaBook* replica = book.replica(node);
    const ChainLink& last = book.chain.back();
    if (replica != nullptr && has(*replica, last)) return;
    red(fmt::format("controller {} leads epoch {} of the quorum without the metadata at offset {} "
                    "of epoch {}, which was committed",
                    node.value, fact.epoch.value, last.base.value,
                    book.batches[last.id].epoch.value),
        now, node);
}

void QuorumMonitor::committed(PartitionBook& book, const facts::QuorumCommitted& fact, Instant now,
                              BrokerId node) {
    const std::size_t slot = book.slot(node);
    // What another has committed already is no harm.
    if (fact.leads && fact.to > chain_end(book)) {
        const auto leader = leaders_.find(fact.epoch);
        if (leader == leaders_.end() || fact.to <= leader->second.start)
            red(fmt::format("controller {} counts metadata below {} as committed in epoch {} of "
                            "the quorum, before anything of that epoch is",
                            node.value, fact.to.value, fact.epoch.value),
                now, node);
    }
    lengthen(book, fact, now, node);
    const ReplicaBook& replica = book.replicas[slot];
    for (std::size_t i = first_link(book, fact.from); i < book.chain.size(); ++i) {
        const ChainLink& link = book.chain[i];
        if (link.base >= fact.to) break;
        if (has(replica, link)) continue;
        red(fmt::format("controller {} takes metadata below {} for committed, and has another "
                        "record than the others at offset {}",
                        node.value, fact.to.value, link.base.value),
            now, node);
        break;
    }
}

void QuorumMonitor::lengthen(PartitionBook& book, const facts::QuorumCommitted& fact, Instant now,
                             BrokerId node) {
    const ReplicaBook& replica = *book.replica(node);
    for (std::size_t i = replica.find(chain_end(book)); i < replica.held.size(); ++i) {
        const Held& held = replica.held[i];
        if (held.last >= fact.to) break;
        book.chain.push_back({held.id, held.base, held.last});
        check_synced(book, book.chain.back(), now, node);
        const LeaderEpoch epoch = book.batches[held.id].epoch;
        for (auto row = decided_.lower_bound(held.base);
             row != decided_.end() && row->first <= held.last; ++row) {
            const auto decision = row->second.find(epoch);
            if (decision == row->second.end()) continue;
            due_.insert(due_.end(), decision->second.begin(), decision->second.end());
        }
    }
    const Offset end = chain_end(book);
    decided_.erase(decided_.begin(), decided_.lower_bound(end));
    if (end < fact.to)
        red(fmt::format("controller {} takes metadata below {} for committed, and its log has "
                        "none from {} on",
                        node.value, fact.to.value, end.value),
            now, node);
}

void QuorumMonitor::check_synced(const PartitionBook& book, const ChainLink& link, Instant now,
                                 BrokerId node) {
    std::size_t count = 0;
    for (const BrokerId voter : voters_) {
        const ReplicaBook* replica = book.replica(voter);
        if (replica == nullptr || replica->flushed <= link.last) continue;
        if (has(*replica, link)) ++count;
    }
    if (count > voters_.size() / 2) return;
    red(fmt::format("the metadata at offset {} counts as committed, and {} of {} voters have it "
                    "on their disks",
                    link.base.value, count, voters_.size()),
        now, node);
}

void QuorumMonitor::decided(const facts::MetadataDecided& fact) {
    auto& row = decided_[fact.offset][fact.epoch];
    std::visit([&row](const auto& what) { row.emplace_back(what); }, fact.what);
}

void QuorumMonitor::cut(const PartitionBook& book, const std::vector<Removed>& removed, Instant now,
                        BrokerId node) {
    for (const Removed& one : removed) {
        const Batch& batch = book.batches[one.id];
        const std::size_t at = first_link(book, batch.base);
        if (at == book.chain.size() || book.chain[at].id != one.id) continue;
        red(fmt::format("controller {} cuts the metadata at offset {} of epoch {}, which was "
                        "committed, to follow a leader",
                        node.value, batch.base.value, batch.epoch.value),
            now, node);
        return;
    }
}

void QuorumMonitor::wiped(BrokerId node) {
    starts_.erase(node);
    votes_.erase(votes_.lower_bound({node, no_leader_epoch}),
                 votes_.lower_bound({BrokerId(node.value + 1), no_leader_epoch}));
}

}  // namespace klamm::sim
