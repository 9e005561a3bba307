// What is told of whole disks: images taken and brought back, directories that are gone.
#include "core/base/assert.h"
#include "sim/judge/judge_state.h"

namespace klamm::sim {

void Judge::on_image(BrokerId node, FaultId image) {
    State& state = *state_;
    state.tell({Instant{}, "image", node, image, {}, {}, {}});
    auto& kept = state.images[image];
    for (auto& [partition, book] : state.books)
        if (const ReplicaBook* replica = book.replica(node)) kept.emplace(partition, *replica);
}

void Judge::on_rollback(Instant now, BrokerId node, FaultId image) {
    State& state = *state_;
    state.tell({now, "rollback", node, image, {}, {}, {}});
    ++state.counts.faults;
    const auto kept = state.images.find(image);
    KLAMM_ASSERT(kept != state.images.end());
    state.each_replica(node, image, now, [&](PartitionBook& book, std::size_t slot) {
        const auto was = kept->second.find(book.partition);
        if (was == kept->second.end())
            wipe(book, slot, image, now);
        else
            roll_back(book, slot, was->second, image, now);
        state.ledger.damaged(book, slot, DamageKind::wipe, now);
    });
    state.images.erase(kept);
}

void Judge::on_lost(Instant now, BrokerId node, FaultId fault,
                    std::span<const TopicPartition> lost) {
    State& state = *state_;
    state.tell({now, "lost", node, fault, {}, {}, lost});
    ++state.counts.faults;
    for (const TopicPartition& which : lost) {
        const auto found = state.books.find(which);
        if (found == state.books.end() || found->second.replica(node) == nullptr) continue;
        const std::size_t slot = found->second.slot(node);
        wipe(found->second, slot, fault, now);
        state.ledger.damaged(found->second, slot, DamageKind::wipe, now);
    }
}

}  // namespace klamm::sim
