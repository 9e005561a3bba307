// DeleteRecords, DescribeLogDirs, AlterReplicaLogDirs: what administrators ask of logs. The first
// goes to the shards that hold the partitions and waits there as rows, the second to every shard,
// each of which has one log directory.
#include <algorithm>

#include "core/controller/topic_control.h"
#include "core/server/requests.h"

namespace klamm::server {

void Requests::handle_delete_records(Incoming request) {
    const auto body =
        protocol::decode<protocol::DeleteRecordsRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    const std::uint64_t id = ++pending_made_;
    PendingDeletions& pending = deletions_[id];
    pending.request = std::move(request);
    const Instant deadline = context_.now() + milliseconds(std::max(0, body->timeout_ms));
    for (std::size_t t = 0; t < body->topics.size(); ++t) {
        const auto& topic = body->topics[t];
        protocol::DeleteRecordsResponseTopic row{.name = topic.name, .partitions = {}};
        for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
            const auto& partition = topic.partitions[p];
            protocol::DeleteRecordsResponsePartition part;
            part.partition_index = partition.partition_index;
            part.low_watermark = no_offset;
            const auto found =
                find(topic.name, Uuid{}, false, partition.partition_index, part.error_code);
            const ReplyTo reply{context_.env().shard(), id,
                                static_cast<std::uint32_t>(pending.parts.size())};
            pending.parts.push_back({t, p});
            if (found && controller::is_internal_topic(topic.name)) {
                part.error_code = ErrorCode::invalid_topic_exception;
            } else if (found) {
                ++pending.outstanding;
                context_.post(context_.owner_of(*found),
                              DeleteRecordsCommand{reply, *found, partition.offset, deadline});
            }
            row.partitions.push_back(part);
        }
        pending.response.topics.push_back(std::move(row));
    }
    if (pending.outstanding == 0) finish_deletions(id);
}

void Requests::on(const DeleteRecordsOutcome& outcome) {
    const auto at = deletions_.find(outcome.reply.pending);
    KLAMM_ASSERT(at != deletions_.end());
    PendingDeletions& pending = at->second;
    const Part part = pending.parts[outcome.reply.part];
    auto& row = pending.response.topics[part.topic].partitions[part.partition];
    row.error_code = outcome.error;
    row.low_watermark = outcome.low_watermark;
    if (--pending.outstanding == 0) finish_deletions(at->first);
}

void Requests::finish_deletions(std::uint64_t id) {
    const auto row = deletions_.extract(id);
    answer(row.mapped().request, row.mapped().response);
}

void Requests::handle_describe_log_dirs(Incoming request) {
    const auto body =
        protocol::decode<protocol::DescribeLogDirsRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    std::optional<std::vector<TopicPartition>> wanted;
    if (body->topics) {
        wanted.emplace();
        ErrorCode unused = ErrorCode::none;
        for (const auto& topic : *body->topics)
            for (const PartitionIndex partition : topic.partitions)
                if (const auto found = find(topic.topic, Uuid{}, false, partition, unused))
                    wanted->push_back(*found);
    }
    const std::uint64_t id = ++pending_made_;
    PendingLogDirs& pending = log_dirs_[id];
    pending.request = std::move(request);
    pending.outcomes.resize(context_.env().shards());
    pending.outstanding = pending.outcomes.size();
    for (env::ShardIndex shard = 0; shard < context_.env().shards(); ++shard)
        context_.post(shard, LogDirCommand{{context_.env().shard(), id, shard}, wanted});
}

void Requests::on(LogDirOutcome outcome) {
    const auto at = log_dirs_.find(outcome.reply.pending);
    KLAMM_ASSERT(at != log_dirs_.end());
    const std::uint32_t shard = outcome.reply.part;
    at->second.outcomes[shard] = std::move(outcome);
    if (--at->second.outstanding > 0) return;
    const auto row = log_dirs_.extract(at);
    protocol::DescribeLogDirsResponse response;
    for (const LogDirOutcome& directory : row.mapped().outcomes) {
        protocol::DescribeLogDirsResponseResult result;
        result.error_code = directory.offline ? ErrorCode::kafka_storage_error : ErrorCode::none;
        result.log_dir = directory.path;
        result.usable_bytes = directory.usable_bytes;
        for (const LogDirOutcome::Row& one : directory.rows) {
            // They come by topic id: one topic's partitions are neighbours.
            if (result.topics.empty() || result.topics.back().name != one.topic)
                result.topics.push_back({.name = one.topic, .partitions = {}});
            protocol::DescribeLogDirsResponsePartition partition;
            partition.partition_index = one.partition.partition;
            partition.partition_size = static_cast<std::int64_t>(one.bytes);
            partition.offset_lag = one.lag;
            result.topics.back().partitions.push_back(partition);
        }
        response.results.push_back(std::move(result));
    }
    answer(row.mapped().request, response);
}

/// A partition's directory follows from its id and the number of shards, so no replica can be
/// moved; being asked to stay is no error.
void Requests::handle_alter_replica_log_dirs(const Incoming& request) {
    const auto body =
        protocol::decode<protocol::AlterReplicaLogDirsRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    protocol::AlterReplicaLogDirsResponse response;
    const auto& directories = context_.settings.log_dirs;
    for (const auto& directory : body->dirs) {
        const auto here = std::find(directories.begin(), directories.end(), directory.path);
        const auto shard = static_cast<env::ShardIndex>(here - directories.begin());
        for (const auto& topic : directory.topics) {
            protocol::AlterReplicaLogDirsResponseTopic row{.topic_name = topic.name,
                                                           .partitions = {}};
            for (const PartitionIndex partition : topic.partitions) {
                protocol::AlterReplicaLogDirsResponsePartition part;
                part.partition_index = partition;
                const auto found = find(topic.name, Uuid{}, false, partition, part.error_code);
                if (here == directories.end())
                    part.error_code = ErrorCode::log_dir_not_found;
                else if (found && !metadata::contains(context_.image->partition(*found)->replicas,
                                                      context_.self()))
                    part.error_code = ErrorCode::not_leader_or_follower;
                else if (found && context_.owner_of(*found) != shard)
                    part.error_code = ErrorCode::policy_violation;
                row.partitions.push_back(part);
            }
            response.results.push_back(std::move(row));
        }
    }
    answer(request, response);
}

}  // namespace klamm::server
