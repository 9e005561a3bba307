// OffsetForLeaderEpoch: where an epoch ended in the leader's log, for clients that validate their
// position (KIP-320).
#include "core/server/requests.h"

namespace klamm::server {

void Requests::handle_offset_for_leader_epoch(Incoming request) {
    const auto body =
        protocol::decode<protocol::OffsetForLeaderEpochRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    const std::uint64_t id = ++pending_made_;
    PendingEpochEnds& pending = epoch_ends_[id];
    pending.request = std::move(request);
    for (std::size_t t = 0; t < body->topics.size(); ++t) {
        const auto& topic = body->topics[t];
        protocol::OffsetForLeaderEpochResponseTopic row{.topic = topic.topic, .partitions = {}};
        for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
            const auto& partition = topic.partitions[p];
            protocol::OffsetForLeaderEpochResponsePartition part;
            part.partition = partition.partition;
            const auto found =
                find(topic.topic, Uuid{}, false, partition.partition, part.error_code);
            const ReplyTo reply{context_.env().shard(), id,
                                static_cast<std::uint32_t>(pending.parts.size())};
            pending.parts.push_back({t, p});
            if (found) {
                ++pending.outstanding;
                context_.post(context_.owner_of(*found),
                              EpochEndCommand{reply, *found, partition.current_leader_epoch,
                                              partition.leader_epoch});
            }
            row.partitions.push_back(part);
        }
        pending.response.topics.push_back(std::move(row));
    }
    if (pending.outstanding == 0) finish_epoch_ends(id);
}

void Requests::on(const EpochEndOutcome& outcome) {
    const auto at = epoch_ends_.find(outcome.reply.pending);
    KLAMM_ASSERT(at != epoch_ends_.end());
    PendingEpochEnds& pending = at->second;
    const Part part = pending.parts[outcome.reply.part];
    auto& row = pending.response.topics[part.topic].partitions[part.partition];
    row.error_code = outcome.error;
    row.leader_epoch = outcome.epoch;
    row.end_offset = outcome.end;
    if (--pending.outstanding == 0) finish_epoch_ends(at->first);
}

void Requests::finish_epoch_ends(std::uint64_t id) {
    const auto row = epoch_ends_.extract(id);
    answer(row.mapped().request, row.mapped().response);
}

}  // namespace klamm::server
