// Moves of replicas, as administrators ask the active controller for them.
#include <algorithm>
#include <deque>

#include "core/controller/reassignment.h"
#include "core/protocol/frame.h"
#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/list_partition_reassignments.h"
#include "core/server/metadata_node.h"

namespace klamm::server {

void MetadataNode::handle_alter_reassignments(const Asked& asked) {
    const auto body =
        protocol::decode<protocol::AlterPartitionReassignmentsRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    const bool may_change = asked.version < 1 || body->allow_replication_factor_change;
    protocol::AlterPartitionReassignmentsResponse response;
    response.error_message = std::nullopt;
    response.allow_replication_factor_change = may_change;
    std::deque<controller::Answer> answers;
    for (const auto& topic : body->topics) {
        protocol::AlterPartitionReassignmentsResponseTopic row;
        row.name = topic.name;
        for (const auto& partition : topic.partitions) {
            controller::Reassignment request{std::string(topic.name), partition.partition_index,
                                             std::nullopt};
            if (partition.replicas) request.replicas = *partition.replicas;
            controller::AdminOutcome outcome = controller::reassign(image_, request, may_change);
            // Each is decided upon what the ones before have made of the image.
            decide(outcome.decisions);
            answers.push_back(std::move(outcome.answer));
            protocol::AlterPartitionReassignmentsResponsePartition result;
            result.partition_index = partition.partition_index;
            result.error_code = answers.back().error;
            result.error_message = std::nullopt;
            if (answers.back().text) result.error_message = std::string_view(*answers.back().text);
            row.partitions.push_back(result);
        }
        response.responses.push_back(std::move(row));
    }
    reply_frame(asked,
                protocol::encode_response_frame(response, asked.version, asked.correlation).bytes);
}

void MetadataNode::handle_list_reassignments(const Asked& asked) {
    const auto body =
        protocol::decode<protocol::ListPartitionReassignmentsRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    protocol::ListPartitionReassignmentsResponse response;
    response.error_message = std::nullopt;
    const auto list = [&](const metadata::TopicImage& topic, const auto& wanted) {
        protocol::ListPartitionReassignmentsResponseTopic row;
        row.name = topic.name;
        for (const auto& [index, partition] : topic.partitions) {
            if (!partition.reassigning() || !wanted(index)) continue;
            row.partitions.push_back({.partition_index = index,
                                      .replicas = partition.replicas,
                                      .adding_replicas = partition.adding,
                                      .removing_replicas = partition.removing});
        }
        if (!row.partitions.empty()) response.topics.push_back(std::move(row));
    };
    if (!body->topics) {
        for (const auto& [id, topic] : image_.topics())
            list(topic, [](PartitionIndex) { return true; });
    } else {
        for (const auto& asked_topic : *body->topics) {
            const auto id = image_.topic_id(std::string(asked_topic.name));
            if (!id) continue;
            list(*image_.topic(*id), [&](PartitionIndex index) {
                const auto& all = asked_topic.partition_indexes;
                return std::find(all.begin(), all.end(), index) != all.end();
            });
        }
    }
    reply_frame(asked,
                protocol::encode_response_frame(response, asked.version, asked.correlation).bytes);
}

}  // namespace klamm::server
