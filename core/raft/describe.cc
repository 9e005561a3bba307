#include "core/raft/describe.h"

#include "core/metadata/metadata_topic.h"

namespace klamm::raft {

namespace {

using metadata::metadata_topic_name;
constexpr int with_nodes = 2;

/// A moment of the monotonic clock by the wall's clock as it is now.
Timestamp wall_time(const Turn& turn, const std::optional<Instant>& moment) {
    constexpr std::int64_t per_ms = 1'000'000;
    if (!moment.has_value()) return Timestamp(-1);
    return turn.wall - (turn.now - *moment).nanoseconds / per_ms;
}

template <class Row>
Row row_of(const Raft& raft, const LogView& log, const Turn& turn, const ReplicaProgress& progress,
           int version) {
    Row row;
    row.replica_id = progress.key.id;
    if (version >= with_nodes) row.replica_directory_id = progress.key.directory;
    const bool leader = matches(progress.key, raft.self());
    row.log_end_offset = leader ? log.end : progress.end.value_or(no_offset);
    row.last_fetch_timestamp = leader ? turn.wall : wall_time(turn, progress.last_fetch);
    row.last_caught_up_timestamp = leader ? turn.wall : wall_time(turn, progress.last_caught_up);
    return row;
}

}  // namespace

protocol::DescribeQuorumResponse describe(const Raft& raft, const LogView& log, const Turn& turn,
                                          const protocol::DescribeQuorumRequest& request,
                                          int version) {
    protocol::DescribeQuorumResponse response;
    const auto refuse = [version](auto& row, ErrorCode error) {
        row.error_code = error;
        if (version >= with_nodes) row.error_message = to_string(error);
    };
    const bool ours = request.topics.size() == 1 &&
                      request.topics.front().topic_name == metadata_topic_name &&
                      request.topics.front().partitions.size() == 1 &&
                      request.topics.front().partitions.front().partition_index.value == 0;
    if (!ours) {
        for (const auto& topic : request.topics) {
            auto& rows = response.topics.emplace_back();
            rows.topic_name = topic.topic_name;
            for (const auto& partition : topic.partitions) {
                auto& row = rows.partitions.emplace_back();
                row.partition_index = partition.partition_index;
                refuse(row, ErrorCode::unknown_topic_or_partition);
            }
        }
        return response;
    }
    response.topics.push_back({metadata_topic_name, {{}}});
    auto& row = response.topics.front().partitions.front();
    const LeaderState* progress = raft.progress();
    if (progress == nullptr) {
        refuse(row, ErrorCode::not_leader_or_follower);
        return response;
    }
    row.leader_id = raft.leader();
    row.leader_epoch = raft.epoch();
    row.high_watermark = progress->high_watermark().value_or(no_offset);
    for (const auto& [id, voter] : progress->voters())
        row.current_voters.push_back(
            row_of<protocol::DescribeQuorumResponseVoterState>(raft, log, turn, voter, version));
    for (const auto& [key, observer] : progress->observers())
        row.observers.push_back(row_of<protocol::DescribeQuorumResponseObserverState>(
            raft, log, turn, observer, version));
    if (version < with_nodes) return response;
    for (const Voter& voter : raft.voters().last().voters()) {
        auto& node = response.nodes.emplace_back();
        node.node_id = voter.key.id;
        for (const Endpoint& one : voter.endpoints)
            node.listeners.push_back({one.name, one.host, one.port});
    }
    return response;
}

}  // namespace klamm::raft
