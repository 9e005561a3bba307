#include "bindings/live/admin.h"

#include <fmt/format.h>

#include <chrono>
#include <set>
#include <thread>

#include "core/client/admin_node.h"
#include "core/runtime/runtime.h"

namespace klamm::live {

namespace {

using protocol::ErrorCode;

/// The answer to one question, and what it is read from.
template <class Response>
struct Answered {
    client::Reply reply;
    Response response;
};

std::string reason(ErrorCode error, const protocol::NullableString& text) {
    return text && !text->empty() ? std::string(*text) : std::string(protocol::to_string(error));
}

const Refusal broken_answer{ErrorCode::none, "an answer is broken"};

/// Of the one row that was asked for.
template <class Rows>
Told<Void> outcome_of(const Rows& rows) {
    if (rows.empty()) return broken_answer;
    const auto& row = rows.front();
    if (row.error_code == ErrorCode::none) return Void{};
    return Refusal{row.error_code, reason(row.error_code, row.error_message)};
}

}  // namespace

const char* config_source_name(std::int8_t source) {
    constexpr const char* names[] = {"UNKNOWN",
                                     "DYNAMIC_TOPIC_CONFIG",
                                     "DYNAMIC_BROKER_CONFIG",
                                     "DYNAMIC_DEFAULT_BROKER_CONFIG",
                                     "STATIC_BROKER_CONFIG",
                                     "DEFAULT_CONFIG"};
    return source >= 0 && source <= 5 ? names[source] : names[0];
}

bool is_internal_topic(std::string_view name) {
    return name == "__consumer_offsets" || name == "__transaction_state";
}

/// The asking itself, whatever is asked.
struct Admin::Asking {
    const Admin& admin;

    template <class Request>
    Told<Answered<typename protocol::Api<Request>::Response>> ask(const Request& request,
                                                                  BrokerId to = no_broker) const {
        config::ClientOptions options;
        options.client_id = "klamm-admin";
        options.bootstrap_servers = admin.bootstrap_;
        client::AdminResults results;
        runtime::Runtime runtime;
        runtime::NodeSpec spec;
        spec.name = "admin";
        spec.log = {};
        spec.factory = [&](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
            return std::make_unique<client::AdminNode>(
                options, std::vector<client::AdminCall>{{request, to}}, admin.patience_, results);
        };
        const runtime::NodeHandle node = runtime.add_node(std::move(spec));
        if (const Status started = runtime.start(); !started)
            return Refusal{ErrorCode::none, started.error().text};
        if (admin.pulse_) {
            auto pause = std::chrono::microseconds(200);
            while (!runtime.status(node)) {
                std::this_thread::sleep_for(pause);
                pause = std::min(pause * 2, std::chrono::microseconds(20'000));
                admin.pulse_();
            }
        }
        if (runtime.run() != 0 || results.replies.size() != 1)
            return Refusal{ErrorCode::none, results.problem};
        client::Reply reply = std::move(results.replies.front());
        auto response = client::decode_reply<typename protocol::Api<Request>::Response>(reply);
        if (!response.ok()) return broken_answer;
        return Answered<typename protocol::Api<Request>::Response>{std::move(reply),
                                                                   *std::move(response)};
    }
};

Admin::Admin(std::vector<std::string> bootstrap, Duration patience, std::function<void()> pulse)
    : bootstrap_(std::move(bootstrap)), patience_(patience), pulse_(std::move(pulse)) {}

Told<std::vector<BrokerInfo>> Admin::brokers() const {
    const auto told = Asking{*this}.ask(protocol::DescribeClusterRequest());
    if (!told) return told.refusal();
    std::vector<BrokerInfo> all;
    for (const auto& one : told->response.brokers)
        all.push_back({one.broker_id, std::string(one.host), one.port});
    return all;
}

Told<std::vector<std::string>> Admin::topics() const {
    protocol::MetadataRequest request;
    request.topics = std::nullopt;
    request.allow_auto_topic_creation = false;
    const auto told = Asking{*this}.ask(request);
    if (!told) return told.refusal();
    std::set<std::string> names;
    for (const auto& topic : told->response.topics) names.emplace(topic.name.value_or(""));
    return std::vector<std::string>(names.begin(), names.end());
}

Told<std::int32_t> Admin::partitions(const std::string& topic, bool create) const {
    protocol::MetadataRequest request;
    request.topics.emplace();
    request.topics->push_back({{}, topic});
    request.allow_auto_topic_creation = create;
    const auto told = Asking{*this}.ask(request);
    if (!told) return told.refusal();
    if (told->response.topics.empty()) return broken_answer;
    const auto& row = told->response.topics.front();
    if (row.error_code != ErrorCode::none)
        return Refusal{row.error_code,
                       fmt::format("{}: {}", topic, protocol::to_string(row.error_code))};
    return static_cast<std::int32_t>(row.partitions.size());
}

Told<std::vector<TopicInfo>> Admin::describe(const std::vector<std::string>& names) const {
    protocol::DescribeTopicPartitionsRequest request;
    for (const std::string& name : names) request.topics.push_back({.name = name});
    std::vector<TopicInfo> all;
    std::string cursor;
    for (;;) {
        const auto told = Asking{*this}.ask(request);
        if (!told) return told.refusal();
        for (const auto& topic : told->response.topics) {
            TopicInfo info;
            info.name = topic.name.value_or("");
            if (topic.error_code != ErrorCode::none)
                return Refusal{
                    topic.error_code,
                    fmt::format("{}: {}", info.name, protocol::to_string(topic.error_code))};
            info.id = to_string(topic.topic_id);
            info.internal = is_internal_topic(info.name);
            for (const auto& one : topic.partitions)
                info.partitions.push_back(
                    {one.partition_index.value, one.leader_id, one.replica_nodes, one.isr_nodes,
                     one.eligible_leader_replicas.value_or(std::vector<BrokerId>()),
                     one.last_known_elr.value_or(std::vector<BrokerId>())});
            all.push_back(std::move(info));
        }
        if (!told->response.next_cursor) return all;
        cursor = told->response.next_cursor->topic_name;
        request.cursor.emplace();
        request.cursor->topic_name = cursor;
        request.cursor->partition_index = told->response.next_cursor->partition_index;
    }
}

Told<Void> Admin::create(const NewTopic& wanted) const {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = 30'000;
    protocol::CreateTopicsRequestTopic topic;
    topic.name = wanted.name;
    topic.num_partitions = wanted.partitions;
    topic.replication_factor = wanted.replication;
    for (std::size_t i = 0; i < wanted.assignment.size(); ++i) {
        auto& assignment = topic.assignments.emplace_back();
        assignment.partition_index = PartitionIndex(static_cast<std::int32_t>(i));
        assignment.broker_ids = wanted.assignment[i];
    }
    for (const auto& [key, value] : wanted.configs)
        topic.configs.push_back({.name = key, .value = value});
    request.topics.push_back(std::move(topic));
    const auto told = Asking{*this}.ask(request);
    if (!told) return told.refusal();
    return outcome_of(told->response.topics);
}

Told<Void> Admin::add_partitions(const std::string& topic, std::int32_t count) const {
    protocol::CreatePartitionsRequest request;
    request.timeout_ms = 30'000;
    request.topics.push_back({.name = topic, .count = count, .assignments = std::nullopt});
    const auto told = Asking{*this}.ask(request);
    if (!told) return told.refusal();
    return outcome_of(told->response.results);
}

Told<Void> Admin::remove(const std::string& topic) const {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = 30'000;
    request.topics.push_back({.name = topic, .topic_id = {}});
    const auto told = Asking{*this}.ask(request);
    if (!told) return told.refusal();
    return outcome_of(told->response.responses);
}

Told<std::vector<ConfigInfo>> Admin::configs(const ConfigOwner& owner) const {
    protocol::DescribeConfigsRequest request;
    request.include_synonyms = true;
    request.resources.push_back({.resource_type = owner.type,
                                 .resource_name = owner.name,
                                 .configuration_keys = std::nullopt});
    const auto told = Asking{*this}.ask(request, owner.asked);
    if (!told) return told.refusal();
    const auto outcome = outcome_of(told->response.results);
    if (!outcome) return outcome.refusal();
    const auto text = [](const protocol::NullableString& from) {
        return from ? std::optional<std::string>(*from) : std::nullopt;
    };
    std::vector<ConfigInfo> all;
    for (const auto& one : told->response.results.front().configs) {
        ConfigInfo& info = all.emplace_back();
        info.name = one.name;
        info.value = text(one.value);
        info.source = one.config_source;
        info.sensitive = one.is_sensitive;
        info.read_only = one.read_only;
        for (const auto& synonym : one.synonyms)
            info.synonyms.push_back(
                {std::string(synonym.name), text(synonym.value), synonym.source});
    }
    return all;
}

Told<Void> Admin::set_configs(
    const ConfigOwner& owner,
    const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) const {
    constexpr std::int8_t set = 0;
    constexpr std::int8_t unset = 1;
    protocol::IncrementalAlterConfigsRequest request;
    request.resources.push_back(
        {.resource_type = owner.type, .resource_name = owner.name, .configs = {}});
    for (const auto& [key, value] : changes) {
        auto& one = request.resources.front().configs.emplace_back();
        one.name = key;
        one.config_operation = value ? set : unset;
        if (value)
            one.value = *value;
        else
            one.value = std::nullopt;
    }
    const auto told = Asking{*this}.ask(request, owner.asked);
    if (!told) return told.refusal();
    return outcome_of(told->response.responses);
}

}  // namespace klamm::live
