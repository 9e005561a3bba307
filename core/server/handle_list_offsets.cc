// ListOffsets: where a time, or the log's beginning or end, lies. Each partition is asked of the
// shard that holds it.
#include <set>
#include <utility>

#include "core/server/requests.h"

namespace klamm::server {

namespace {

/// Each special time came with a version; others below zero mean nothing.
bool is_time_of_version(std::int64_t timestamp, std::int16_t version) {
    if (timestamp >= latest_time) return true;
    switch (timestamp) {
        case earliest_time: return version >= 1;
        case max_timestamp_time: return version >= 7;
        case earliest_local_time: return version >= 8;
        case latest_tiered_time: return version >= 9;
        default: return false;
    }
}

}  // namespace

void Requests::handle_list_offsets(Incoming request) {
    const auto body = protocol::decode<protocol::ListOffsetsRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    const std::uint64_t id = ++pending_made_;
    PendingOffsets& pending = offsets_[id];
    pending.request = std::move(request);
    std::set<std::pair<std::string_view, PartitionIndex>> named;
    for (std::size_t t = 0; t < body->topics.size(); ++t) {
        const auto& topic = body->topics[t];
        protocol::ListOffsetsResponseTopic row{.name = topic.name, .partitions = {}};
        for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
            const auto& partition = topic.partitions[p];
            protocol::ListOffsetsResponsePartition part;
            part.partition_index = partition.partition_index;
            const auto found =
                find(topic.name, Uuid{}, false, partition.partition_index, part.error_code);
            const ReplyTo reply{context_.env().shard(), id,
                                static_cast<std::uint32_t>(pending.parts.size())};
            pending.parts.push_back({t, p});
            if (!named.emplace(topic.name, partition.partition_index).second) {
                part.error_code = ErrorCode::invalid_request;
            } else if (!is_time_of_version(partition.timestamp.value, pending.request.version)) {
                part.error_code = ErrorCode::unsupported_version;
            } else if (found) {
                ++pending.outstanding;
                context_.post(context_.owner_of(*found),
                              OffsetCommand{.reply = reply,
                                            .partition = *found,
                                            .current_epoch = partition.current_leader_epoch,
                                            .timestamp = partition.timestamp.value,
                                            .isolation = body->isolation_level,
                                            .follower = body->replica_id.value >= 0});
            }
            row.partitions.push_back(part);
        }
        pending.response.topics.push_back(std::move(row));
    }
    if (pending.outstanding == 0) finish_offsets(id);
}

void Requests::on(const OffsetOutcome& outcome) {
    const auto at = offsets_.find(outcome.reply.pending);
    KLAMM_ASSERT(at != offsets_.end());
    PendingOffsets& pending = at->second;
    const Part part = pending.parts[outcome.reply.part];
    auto& row = pending.response.topics[part.topic].partitions[part.partition];
    row.error_code = outcome.error;
    // KIP-207 came with version 5; before, a client retries this one.
    if (outcome.error == ErrorCode::offset_not_available && pending.request.version < 5)
        row.error_code = ErrorCode::leader_not_available;
    row.timestamp = outcome.timestamp;
    row.offset = outcome.offset;
    if (pending.request.version >= 4) row.leader_epoch = outcome.leader_epoch;
    if (--pending.outstanding == 0) finish_offsets(at->first);
}

void Requests::finish_offsets(std::uint64_t id) {
    const auto row = offsets_.extract(id);
    answer(row.mapped().request, row.mapped().response);
}

}  // namespace klamm::server
