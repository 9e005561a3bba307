// What administrators ask of the active controller: topics, partitions, configurations, elections.
// It comes from brokers in envelopes, or from whoever knows where the controller is. All that one
// request decides is one batch of records, answered when they are committed.
#include <deque>
#include <set>

#include "core/protocol/frame.h"
#include "core/protocol/messages/alter_configs.h"
#include "core/protocol/messages/create_partitions.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/envelope.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "core/protocol/messages/unregister_broker.h"
#include "core/server/administration.h"
#include "core/server/config_view.h"
#include "core/server/controller_link.h"
#include "core/server/metadata_node.h"

namespace klamm::server {

using controller::Answer;
using controller::Decisions;
using protocol::ApiKey;
using protocol::ErrorCode;

namespace {

template <class Response>
Bytes answer_frame(const Response& response, std::int16_t version, std::int32_t correlation) {
    return protocol::encode_response_frame(response, version, correlation).bytes;
}

protocol::NullableString sentence_of(const Answer& answer) {
    if (!answer.text) return std::nullopt;
    return std::string_view(*answer.text);
}

void add_all(Decisions& to, Decisions more) {
    for (auto& decided : more) to.push_back(std::move(decided));
}

controller::NewTopic requested_topic(const protocol::CreateTopicsRequestTopic& asked) {
    controller::NewTopic topic{.name = std::string(asked.name),
                               .partitions = asked.num_partitions,
                               .replication_factor = asked.replication_factor,
                               .assignments = {}};
    for (const auto& assignment : asked.assignments)
        topic.assignments.emplace_back(assignment.partition_index.value, assignment.broker_ids);
    return topic;
}

/// A topic of CreateTopics that was looked at; views of the answer lie in it.
struct LookedAt {
    Answer answer;
    controller::NewTopicOutcome outcome;
    std::vector<ShownConfig> configs;
};

void describe_created(const LookedAt& looked, protocol::CreateTopicsResponseTopic& row) {
    row.error_code = looked.answer.error;
    row.error_message = sentence_of(looked.answer);
    if (!looked.answer.ok()) return;
    row.topic_id = looked.outcome.id;
    row.num_partitions = static_cast<std::int32_t>(looked.outcome.partitions);
    row.replication_factor = static_cast<std::int16_t>(looked.outcome.replication_factor);
    row.configs.emplace();
    for (const ShownConfig& config : looked.configs)
        row.configs->push_back({.name = config.name,
                                .value = config.value,
                                .read_only = false,
                                .config_source = static_cast<std::int8_t>(config.source),
                                .is_sensitive = false});
}

/// The changes that one resource of either request asks for.
controller::ConfigChanges requested_changes(const protocol::AlterConfigsRequestResource& asked) {
    controller::ConfigChanges changes{asked.resource_type, std::string(asked.resource_name), {}};
    for (const auto& config : asked.configs) {
        auto& change = changes.changes.emplace_back();
        change.key = config.name;
        if (config.value) change.value = std::string(*config.value);
    }
    return changes;
}

controller::ConfigChanges requested_changes(
    const protocol::IncrementalAlterConfigsRequestResource& asked) {
    controller::ConfigChanges changes{asked.resource_type, std::string(asked.resource_name), {}};
    for (const auto& config : asked.configs) {
        auto& change = changes.changes.emplace_back();
        change.key = config.name;
        change.operation = static_cast<controller::ConfigOperation>(config.config_operation);
        if (config.value) change.value = std::string(*config.value);
    }
    return changes;
}

}  // namespace

net::Pieces MetadataNode::wrapped(const Asked& asked, Bytes frame, ErrorCode error) {
    if (!asked.envelope) return {Buffer::from(std::move(frame))};
    protocol::EnvelopeResponse response;
    response.error_code = error;
    if (error == ErrorCode::none)
        response.response_data =
            protocol::Blob{ByteView(frame).subspan(protocol::frame_length_bytes)};
    return {
        Buffer::from(answer_frame(response, asked.envelope->version, asked.envelope->correlation))};
}

void MetadataNode::handle_envelope(const Asked& asked) {
    const auto body = protocol::decode<protocol::EnvelopeRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    Asked inner = asked;
    inner.envelope = Envelope{asked.version, asked.correlation};
    const auto answer = [&](ErrorCode error) {
        inbound_.respond(*env_, asked.key, wrapped(inner, {}, error));
    };
    protocol::Reader reader(body->request_data.bytes);
    const auto header = protocol::decode_request_header(reader);
    if (!header.ok()) return answer(ErrorCode::invalid_request);
    const protocol::ApiInfo* api = protocol::find_api(header->api_key);
    KLAMM_ASSERT(api != nullptr);
    if (!is_forwarded(api->key)) return answer(ErrorCode::invalid_request);
    if (!api->serves(header->api_version)) return answer(ErrorCode::unsupported_version);
    inner.body = reader.bytes(reader.remaining());
    inner.version = header->api_version;
    inner.correlation = header->correlation_id;
    inner.api = header->api_key;
    administer(inner);
}

bool MetadataNode::administer(const Asked& asked) {
    switch (asked.api) {
        case ApiKey::envelope: handle_envelope(asked); return true;
        case ApiKey::create_topics: handle_create_topics(asked); return true;
        case ApiKey::delete_topics: handle_delete_topics(asked); return true;
        case ApiKey::create_partitions: handle_create_partitions(asked); return true;
        case ApiKey::alter_configs:
            handle_alter_configs<protocol::AlterConfigsRequest>(asked);
            return true;
        case ApiKey::incremental_alter_configs:
            handle_alter_configs<protocol::IncrementalAlterConfigsRequest>(asked);
            return true;
        case ApiKey::elect_leaders: handle_elect_leaders(asked); return true;
        case ApiKey::unregister_broker: handle_unregister_broker(asked); return true;
        case ApiKey::alter_partition_reassignments: handle_alter_reassignments(asked); return true;
        case ApiKey::list_partition_reassignments: handle_list_reassignments(asked); return true;
        default: return false;
    }
}

void MetadataNode::refuse_all(const Asked& asked, ErrorCode error) {
    auto refusal =
        refuse_administration(asked.api, asked.body, asked.version, asked.correlation, error);
    KLAMM_ASSERT(refusal.has_value());
    reply_frame(asked, std::move(*refusal));
}

void MetadataNode::handle_create_topics(const Asked& asked) {
    const auto body = protocol::decode<protocol::CreateTopicsRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    const TableRules rules;
    std::map<std::string_view, int> named;
    for (const auto& topic : body->topics) ++named[topic.name];
    std::deque<LookedAt> looked;
    Decisions decisions;
    protocol::CreateTopicsResponse response;
    std::set<std::string_view> told;
    bool too_many = false;
    for (const auto& topic : body->topics) {
        if (!told.insert(topic.name).second) continue;  // one answer for all of a name
        LookedAt& one = looked.emplace_back();
        if (named[topic.name] > 1) {
            one.answer = {ErrorCode::invalid_request, "Duplicate topic name."};
        } else if (topic.name == metadata_topic_name) {
            one.answer = {ErrorCode::invalid_request,
                          "Creation of internal topic __cluster_metadata is prohibited."};
        } else {
            one.outcome = controller::new_topic(env_->turn(), image_, requested_topic(topic),
                                                settings_.topic_defaults, log_end().value);
            std::vector<std::pair<std::string, std::optional<std::string>>> wanted;
            controller::ConfigValues own;
            for (const auto& config : topic.configs) {
                auto& pair = wanted.emplace_back(config.name, std::nullopt);
                if (config.value) own[pair.first] = *(pair.second = std::string(*config.value));
            }
            auto configs = controller::new_topic_configs(rules, std::string(topic.name), wanted);
            // What is wrong with the name outranks what is wrong with its configurations.
            const ErrorCode error = one.outcome.answer.error;
            const bool name_counts = error == ErrorCode::invalid_topic_exception ||
                                     error == ErrorCode::topic_already_exists;
            one.answer = configs.answer.ok() || name_counts ? one.outcome.answer : configs.answer;
            if (one.answer.ok()) {
                one.configs = show_topic({image_, settings_.node, settings_.given}, own);
                decisions.push_back({one.outcome.topic, facts::PartitionChangeCause::created});
                add_all(decisions, std::move(configs.decisions));
                add_all(decisions, std::move(one.outcome.partition_decisions));
            }
        }
        too_many = too_many || one.answer == controller::too_many_records() ||
                   decisions.size() > controller::records_per_request_max;
        protocol::CreateTopicsResponseTopic row;
        row.name = topic.name;
        describe_created(one, row);
        response.topics.push_back(std::move(row));
    }
    if (too_many) {
        const Answer refusal = controller::too_many_records();
        for (auto& row : response.topics) {
            const std::string_view name = row.name;
            row = {};
            row.name = name;
            row.error_code = refusal.error;
            row.error_message = sentence_of(refusal);
        }
        return reply_frame(asked, answer_frame(response, asked.version, asked.correlation));
    }
    if (!body->validate_only) decide(decisions);
    reply_frame(asked, answer_frame(response, asked.version, asked.correlation));
}

void MetadataNode::handle_delete_topics(const Asked& asked) {
    const auto body = protocol::decode<protocol::DeleteTopicsRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    if (!settings_.deletes_topics)
        return refuse_all(asked, asked.version < 3 ? ErrorCode::invalid_request
                                                   : ErrorCode::topic_deletion_disabled);
    std::vector<controller::TopicToDelete> topics;
    for (const std::string_view name : body->topic_names)
        topics.push_back({std::string(name), Uuid{}});
    for (const auto& topic : body->topics) {
        auto& one = topics.emplace_back();
        if (topic.name) one.name = std::string(*topic.name);
        one.id = topic.topic_id;
    }
    const controller::DeleteOutcome outcome = controller::delete_topics(image_, topics);
    protocol::DeleteTopicsResponse response;
    for (const controller::DeletedTopic& topic : outcome.topics) {
        protocol::DeleteTopicsResponseTopic row;
        row.name = std::nullopt;
        if (topic.name) row.name = std::string_view(*topic.name);
        row.topic_id = topic.id;
        row.error_code = topic.answer.error;
        row.error_message = sentence_of(topic.answer);
        response.responses.push_back(row);
    }
    decide(outcome.decisions);
    reply_frame(asked, answer_frame(response, asked.version, asked.correlation));
}

void MetadataNode::handle_create_partitions(const Asked& asked) {
    const auto body =
        protocol::decode<protocol::CreatePartitionsRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    std::map<std::string_view, int> named;
    for (const auto& topic : body->topics) ++named[topic.name];
    std::deque<Answer> answers;
    Decisions decisions;
    protocol::CreatePartitionsResponse response;
    std::set<std::string_view> told;
    for (const auto& topic : body->topics) {
        if (!told.insert(topic.name).second) continue;
        controller::AdminOutcome outcome;
        if (named[topic.name] > 1) {
            outcome.answer = {ErrorCode::invalid_request, "Duplicate topic name."};
        } else {
            controller::MorePartitions request{std::string(topic.name), topic.count, std::nullopt};
            if (topic.assignments) {
                request.assignments.emplace();
                for (const auto& assignment : *topic.assignments)
                    request.assignments->push_back(assignment.broker_ids);
            }
            outcome = controller::more_partitions(env_->turn(), image_, request, log_end().value);
        }
        if (decisions.size() + outcome.decisions.size() > controller::records_per_request_max)
            outcome = {controller::too_many_records(), {}};
        add_all(decisions, std::move(outcome.decisions));
        answers.push_back(std::move(outcome.answer));
        response.results.push_back({.name = topic.name,
                                    .error_code = answers.back().error,
                                    .error_message = sentence_of(answers.back())});
    }
    if (!body->validate_only) decide(decisions);
    reply_frame(asked, answer_frame(response, asked.version, asked.correlation));
}

template <class Request>
void MetadataNode::handle_alter_configs(const Asked& asked) {
    constexpr bool replaces = std::is_same_v<Request, protocol::AlterConfigsRequest>;
    const auto body = protocol::decode<Request>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    std::vector<controller::ConfigChanges> resources;
    for (const auto& resource : body->resources) resources.push_back(requested_changes(resource));
    const controller::ConfigOutcome outcome =
        controller::alter_configs(TableRules(), image_, resources, replaces);
    typename protocol::Api<Request>::Response response;
    for (std::size_t i = 0; i < resources.size(); ++i) {
        auto& row = response.responses.emplace_back();
        row.error_code = outcome.answers[i].error;
        row.error_message = sentence_of(outcome.answers[i]);
        row.resource_type = resources[i].type;
        row.resource_name = resources[i].name;
    }
    if (!body->validate_only) {
        decide(outcome.decisions);
        if (outcome.elects) decide(controller::elect_leaderless(image_));
    }
    reply_frame(asked, answer_frame(response, asked.version, asked.correlation));
}

void MetadataNode::handle_elect_leaders(const Asked& asked) {
    const auto body = protocol::decode<protocol::ElectLeadersRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    if (body->election_type < 0 || body->election_type > 1)
        return refuse_all(asked, ErrorCode::invalid_request);
    const auto election =
        body->election_type == 0 ? controller::Election::preferred : controller::Election::unclean;
    protocol::ElectLeadersResponse response;
    std::deque<std::string> texts;
    Decisions decisions;
    const auto elect = [&](const TopicPartition& id) {
        controller::ElectionOutcome outcome = controller::elect_leader(image_, id, election);
        add_all(decisions, std::move(outcome.decisions));
        return outcome.error;
    };
    if (!body->topic_partitions) {
        // Of all partitions those are told that had need of an election.
        for (const auto& [id, topic] : image_.topics()) {
            protocol::ElectLeadersResponseTopic row;
            row.topic = topic.name;
            for (const auto& [index, partition] : topic.partitions) {
                const ErrorCode error = elect({id, index});
                if (error == ErrorCode::election_not_needed) continue;
                row.partition_result.push_back(
                    {.partition_id = index, .error_code = error, .error_message = std::nullopt});
            }
            if (!row.partition_result.empty())
                response.replica_election_results.push_back(std::move(row));
        }
    } else {
        for (const auto& topic : *body->topic_partitions) {
            protocol::ElectLeadersResponseTopic row;
            row.topic = topic.topic;
            const auto id = image_.topic_id(std::string(topic.topic));
            for (const PartitionIndex index : topic.partitions) {
                protocol::ElectLeadersResponsePartition result;
                result.partition_id = index;
                result.error_message = std::nullopt;
                result.error_code =
                    id ? elect({*id, index}) : ErrorCode::unknown_topic_or_partition;
                if (result.error_code == ErrorCode::unknown_topic_or_partition)
                    result.error_message =
                        texts.emplace_back(id ? "No such partition as " + std::string(topic.topic) +
                                                    "-" + std::to_string(index.value)
                                              : "No such topic as " + std::string(topic.topic));
                row.partition_result.push_back(result);
            }
            response.replica_election_results.push_back(std::move(row));
        }
    }
    decide(decisions);
    reply_frame(asked, answer_frame(response, asked.version, asked.correlation));
}

void MetadataNode::handle_unregister_broker(const Asked& asked) {
    const auto body =
        protocol::decode<protocol::UnregisterBrokerRequest>(asked.body, asked.version);
    if (!body.ok()) return refuse(asked, body.error().text);
    const controller::AdminOutcome outcome = controller::unregister_broker(image_, body->broker_id);
    protocol::UnregisterBrokerResponse response;
    response.error_code = outcome.answer.error;
    response.error_message = sentence_of(outcome.answer);
    decide(outcome.decisions);
    reply_frame(asked, answer_frame(response, asked.version, asked.correlation));
}

}  // namespace klamm::server
