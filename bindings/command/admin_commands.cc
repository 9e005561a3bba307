#include "bindings/command/admin_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/client/admin_node.h"
#include "core/runtime/runtime.h"

namespace klamm::command {

namespace {

using client::AdminCall;
using client::AdminResults;
using protocol::ErrorCode;

constexpr int refused_status = 1;
constexpr int wrong_words_status = 2;
constexpr std::int8_t topic_type = 2;
constexpr std::int8_t broker_type = 4;

constexpr std::string_view topics_usage =
    "usage: klamm topics --bootstrap-server HOST:PORT ACTION\n"
    "\n"
    "  --create --topic NAME [--partitions N] [--replication-factor R]\n"
    "      [--replica-assignment 1:2,2:3] [--config KEY=VALUE]... [--if-not-exists]\n"
    "  --list [--exclude-internal]\n"
    "  --describe [--topic NAME] [--exclude-internal]\n"
    "  --alter --topic NAME --partitions N [--if-exists]\n"
    "  --delete --topic NAME [--if-exists]\n";

constexpr std::string_view configs_usage =
    "usage: klamm configs --bootstrap-server HOST:PORT --entity-type topics|brokers\n"
    "           (--entity-name NAME | --entity-default) ACTION\n"
    "\n"
    "  --describe [--all]\n"
    "  --alter [--add-config KEY=VALUE,...] [--delete-config KEY,...]\n";

/// Words as options: those with a value, which may come again, and flags.
struct AdminOptions {
    std::map<std::string, std::vector<std::string>> values;
    std::set<std::string> flags;

    [[nodiscard]] bool has(const std::string& flag) const { return flags.contains(flag); }
    [[nodiscard]] std::optional<std::string> value(const std::string& name) const {
        const auto found = values.find(name);
        if (found == values.end()) return std::nullopt;
        return found->second.back();
    }
};

Result<AdminOptions> read_options(Words words, const std::set<std::string>& with_value,
                                  const std::set<std::string>& flags) {
    AdminOptions options;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string word(words[i]);
        if (flags.contains(word)) {
            options.flags.insert(word);
        } else if (!with_value.contains(word)) {
            return Error{Failure::invalid, fmt::format("{}: no such option", word)};
        } else if (i + 1 >= words.size()) {
            return Error{Failure::invalid, fmt::format("{}: a value is missing", word)};
        } else {
            options.values[word].emplace_back(words[++i]);
        }
    }
    if (!options.value("--bootstrap-server"))
        return Error{Failure::invalid, "--bootstrap-server is missing"};
    return options;
}

std::vector<std::string> split_at(std::string_view text, char mark) {
    std::vector<std::string> parts;
    for (;;) {
        const std::size_t at = text.find(mark);
        parts.emplace_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

template <class Number>
bool to_number(std::string_view text, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

/// "a=1,b=[x,y],c=2": a value in brackets may have commas.
Result<std::vector<std::pair<std::string, std::string>>> parse_pairs(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> pairs;
    while (!text.empty()) {
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos || equals == 0)
            return Error{Failure::invalid, fmt::format("{}: expected KEY=VALUE", text)};
        const std::string key(text.substr(0, equals));
        text.remove_prefix(equals + 1);
        std::size_t end = text.find(',');
        std::string value;
        if (text.starts_with('[')) {
            end = text.find(']');
            if (end == std::string_view::npos)
                return Error{Failure::invalid, fmt::format("{}: a bracket is missing", key)};
            value = text.substr(1, end - 1);
            end = text.find(',', end);
        } else {
            value = text.substr(0, end);
        }
        pairs.emplace_back(key, value);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    return pairs;
}

/// The command of one run: where it asks, and where it complains.
struct Session {
    std::string name;
    std::vector<std::string> bootstrap;
    const Console& console;

    int wrong(std::string_view sentence) const {
        console.err(fmt::format("klamm {}: {}\n", name, sentence));
        return wrong_words_status;
    }
    int refused(std::string_view sentence) const {
        console.err(fmt::format("klamm {}: {}\n", name, sentence));
        return refused_status;
    }
    /// Asks one thing; nothing when there was no answer, which is told.
    template <class Request>
    std::optional<client::Reply> ask(const Request& request, BrokerId to = no_broker) const {
        config::ClientOptions options;
        options.client_id = "klamm-admin";
        options.bootstrap_servers = bootstrap;
        AdminResults results;
        runtime::Runtime runtime;
        runtime.add_node(
            {.name = "admin",
             .factory = [&](env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
                 return std::make_unique<client::AdminNode>(
                     options, std::vector<AdminCall>{{request, to}}, seconds(60), results);
             },
             .shards = 1,
             .root = "",
             .facts = nullptr,
             .log = {},
             .seed = std::nullopt,
             .attends = false});
        const Status started = runtime.start();
        const bool done = started.ok() && runtime.run() == 0 && results.replies.size() == 1;
        if (done) return std::move(results.replies.front());
        (void)refused(!started.ok() ? started.error().text : results.problem);
        return std::nullopt;
    }
};

std::string reason(ErrorCode error, const protocol::NullableString& text) {
    return text && !text->empty() ? std::string(*text) : std::string(protocol::to_string(error));
}

std::string ids_text(const std::vector<BrokerId>& ids) {
    std::string text;
    for (const BrokerId id : ids) text += fmt::format("{}{}", text.empty() ? "" : ",", id.value);
    return text;
}

bool is_internal(std::string_view name) {
    return name == "__consumer_offsets" || name == "__transaction_state";
}

int create_topic(const Session& session, const AdminOptions& options, const std::string& name) {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = 30'000;
    protocol::CreateTopicsRequestTopic topic;
    topic.name = name;
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    if (const auto text = options.value("--partitions");
        text && !to_number(*text, topic.num_partitions))
        return session.wrong(fmt::format("--partitions: '{}' is not a number", *text));
    if (const auto text = options.value("--replication-factor");
        text && !to_number(*text, topic.replication_factor))
        return session.wrong(fmt::format("--replication-factor: '{}' is not a number", *text));
    if (const auto text = options.value("--replica-assignment")) {
        std::int32_t index = 0;
        for (const std::string& replicas : split_at(*text, ',')) {
            auto& assignment = topic.assignments.emplace_back();
            assignment.partition_index = PartitionIndex(index++);
            for (const std::string& id : split_at(replicas, ':')) {
                std::int32_t number = 0;
                if (!to_number(id, number))
                    return session.wrong(
                        fmt::format("--replica-assignment: '{}' is not a number", id));
                assignment.broker_ids.push_back(BrokerId(number));
            }
        }
    }
    std::deque<std::pair<std::string, std::string>> kept;
    if (const auto found = options.values.find("--config"); found != options.values.end()) {
        for (const std::string& word : found->second) {
            const auto pairs = parse_pairs(word);
            if (!pairs.ok()) return session.wrong("--config " + pairs.error().text);
            for (const auto& pair : *pairs) {
                const auto& [key, value] = kept.emplace_back(pair);
                topic.configs.push_back({.name = key, .value = value});
            }
        }
    }
    request.topics.push_back(std::move(topic));
    const auto reply = session.ask(request);
    if (!reply) return refused_status;
    const auto response = client::decode_reply<protocol::CreateTopicsResponse>(*reply);
    if (!response.ok() || response->topics.empty()) return session.refused("an answer is broken");
    const auto& row = response->topics.front();
    const bool there = row.error_code == ErrorCode::topic_already_exists;
    if (row.error_code != ErrorCode::none && !(there && options.has("--if-not-exists")))
        return session.refused(reason(row.error_code, row.error_message));
    if (!there) session.console.out(fmt::format("Created topic {}.\n", name));
    return 0;
}

int list_topics(const Session& session, const AdminOptions& options) {
    protocol::MetadataRequest request;
    request.topics = std::nullopt;
    request.allow_auto_topic_creation = false;
    const auto reply = session.ask(request);
    if (!reply) return refused_status;
    const auto response = client::decode_reply<protocol::MetadataResponse>(*reply);
    if (!response.ok()) return session.refused("an answer is broken");
    std::set<std::string> names;
    for (const auto& topic : response->topics)
        if (!(topic.is_internal && options.has("--exclude-internal")))
            names.emplace(topic.name.value_or(""));
    for (const std::string& name : names) session.console.out(name + "\n");
    return 0;
}

/// What is set for the topic itself or for all, as kafka-topics.sh shows it.
std::optional<std::string> configs_of(const Session& session, const std::string& name) {
    protocol::DescribeConfigsRequest request;
    request.resources.push_back(
        {.resource_type = topic_type, .resource_name = name, .configuration_keys = std::nullopt});
    const auto reply = session.ask(request);
    if (!reply) return std::nullopt;
    const auto response = client::decode_reply<protocol::DescribeConfigsResponse>(*reply);
    if (!response.ok() || response->results.empty()) return std::string();
    constexpr std::int8_t by_default = 5;
    std::string text;
    for (const auto& config : response->results.front().configs)
        if (config.config_source != by_default)
            text += fmt::format("{}{}={}", text.empty() ? "" : ",", config.name,
                                config.value.value_or(""));
    return text;
}

int describe_topics(const Session& session, const AdminOptions& options) {
    const auto wanted = options.value("--topic");
    protocol::DescribeTopicPartitionsRequest request;
    std::vector<std::string> names;
    if (wanted) names = split_at(*wanted, ',');
    for (const std::string& name : names) request.topics.push_back({.name = name});
    std::string cursor;
    std::string before;
    for (;;) {
        const auto reply = session.ask(request);
        if (!reply) return refused_status;
        const auto response =
            client::decode_reply<protocol::DescribeTopicPartitionsResponse>(*reply);
        if (!response.ok()) return session.refused("an answer is broken");
        for (const auto& topic : response->topics) {
            const std::string name(topic.name.value_or(""));
            if (topic.error_code != ErrorCode::none)
                return session.refused(
                    fmt::format("{}: {}", name, protocol::to_string(topic.error_code)));
            if (is_internal(name) && options.has("--exclude-internal")) continue;
            if (name != std::exchange(before, name)) {
                // Of a topic that goes over pages only those partitions are counted that are here.
                const auto configs = configs_of(session, name);
                if (!configs) return refused_status;
                session.console.out(fmt::format(
                    "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: "
                    "{}\n",
                    name, to_string(topic.topic_id), topic.partitions.size(),
                    topic.partitions.empty() ? 0 : topic.partitions.front().replica_nodes.size(),
                    *configs));
            }
            for (const auto& partition : topic.partitions)
                session.console.out(fmt::format(
                    "\tTopic: {}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}\tElr: "
                    "{}\tLastKnownElr: {}\n",
                    name, partition.partition_index.value,
                    partition.leader_id == no_broker ? "none"
                                                     : std::to_string(partition.leader_id.value),
                    ids_text(partition.replica_nodes), ids_text(partition.isr_nodes),
                    ids_text(partition.eligible_leader_replicas.value_or(std::vector<BrokerId>())),
                    ids_text(partition.last_known_elr.value_or(std::vector<BrokerId>()))));
        }
        if (!response->next_cursor) return 0;
        cursor = response->next_cursor->topic_name;
        request.cursor.emplace();
        request.cursor->topic_name = cursor;
        request.cursor->partition_index = response->next_cursor->partition_index;
    }
}

int alter_topic(const Session& session, const AdminOptions& options, const std::string& name) {
    protocol::CreatePartitionsRequest request;
    request.timeout_ms = 30'000;
    std::int32_t count = 0;
    const auto text = options.value("--partitions");
    if (!text || !to_number(*text, count))
        return session.wrong("--alter needs --partitions with a number");
    request.topics.push_back({.name = name, .count = count, .assignments = std::nullopt});
    const auto reply = session.ask(request);
    if (!reply) return refused_status;
    const auto response = client::decode_reply<protocol::CreatePartitionsResponse>(*reply);
    if (!response.ok() || response->results.empty()) return session.refused("an answer is broken");
    const auto& row = response->results.front();
    const bool gone = row.error_code == ErrorCode::unknown_topic_or_partition;
    if (row.error_code != ErrorCode::none && !(gone && options.has("--if-exists")))
        return session.refused(reason(row.error_code, row.error_message));
    return 0;
}

int delete_topic(const Session& session, const AdminOptions& options, const std::string& name) {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = 30'000;
    request.topics.push_back({.name = name, .topic_id = {}});
    const auto reply = session.ask(request);
    if (!reply) return refused_status;
    const auto response = client::decode_reply<protocol::DeleteTopicsResponse>(*reply);
    if (!response.ok() || response->responses.empty())
        return session.refused("an answer is broken");
    const auto& row = response->responses.front();
    const bool gone = row.error_code == ErrorCode::unknown_topic_or_partition;
    if (row.error_code != ErrorCode::none && !(gone && options.has("--if-exists")))
        return session.refused(reason(row.error_code, row.error_message));
    return 0;
}

int describe_configs(const Session& session, const AdminOptions& options, std::int8_t type,
                     const std::string& name, BrokerId to) {
    protocol::DescribeConfigsRequest request;
    request.include_synonyms = true;
    request.resources.push_back(
        {.resource_type = type, .resource_name = name, .configuration_keys = std::nullopt});
    const auto reply = session.ask(request, to);
    if (!reply) return refused_status;
    const auto response = client::decode_reply<protocol::DescribeConfigsResponse>(*reply);
    if (!response.ok() || response->results.empty()) return session.refused("an answer is broken");
    const auto& result = response->results.front();
    if (result.error_code != ErrorCode::none)
        return session.refused(reason(result.error_code, result.error_message));
    constexpr const char* sources[] = {"UNKNOWN",
                                       "DYNAMIC_TOPIC_CONFIG",
                                       "DYNAMIC_BROKER_CONFIG",
                                       "DYNAMIC_DEFAULT_BROKER_CONFIG",
                                       "STATIC_BROKER_CONFIG",
                                       "DEFAULT_CONFIG"};
    const auto source = [&](std::int8_t number) {
        return number >= 0 && number <= 5 ? sources[number] : sources[0];
    };
    const bool all = options.has("--all");
    // What is set for this one itself: topics, all brokers, one broker.
    const std::int8_t own = type == topic_type ? 1 : name.empty() ? 3 : 2;
    session.console.out(fmt::format("{} configs for {} {} are:\n", all ? "All" : "Dynamic",
                                    type == topic_type ? "topic"
                                    : name.empty()     ? "brokers"
                                                       : "broker",
                                    name.empty() ? "in the cluster" : name));
    for (const auto& config : result.configs) {
        if (!all && config.config_source != own) continue;
        std::string synonyms;
        for (const auto& synonym : config.synonyms)
            synonyms +=
                fmt::format("{}{}:{}={}", synonyms.empty() ? "" : ", ", source(synonym.source),
                            synonym.name, synonym.value.value_or("null"));
        session.console.out(fmt::format("  {}={} sensitive={} synonyms={{{}}}\n", config.name,
                                        config.value.value_or("null"), config.is_sensitive,
                                        synonyms));
    }
    return 0;
}

int alter_configs(const Session& session, const AdminOptions& options, std::int8_t type,
                  const std::string& name, BrokerId to) {
    constexpr std::int8_t set = 0;
    constexpr std::int8_t remove = 1;
    protocol::IncrementalAlterConfigsRequest request;
    request.resources.push_back({.resource_type = type, .resource_name = name, .configs = {}});
    auto& configs = request.resources.front().configs;
    std::vector<std::pair<std::string, std::string>> added;
    std::vector<std::string> deleted;
    if (const auto text = options.value("--add-config")) {
        auto pairs = parse_pairs(*text);
        if (!pairs.ok()) return session.wrong("--add-config " + pairs.error().text);
        added = std::move(*pairs);
    }
    if (const auto text = options.value("--delete-config")) deleted = split_at(*text, ',');
    for (const auto& [key, value] : added)
        configs.push_back({.name = key, .config_operation = set, .value = value});
    for (const std::string& key : deleted)
        configs.push_back({.name = key, .config_operation = remove, .value = std::nullopt});
    if (configs.empty()) return session.wrong("--alter needs --add-config or --delete-config");
    const auto reply = session.ask(request, to);
    if (!reply) return refused_status;
    const auto response = client::decode_reply<protocol::IncrementalAlterConfigsResponse>(*reply);
    if (!response.ok() || response->responses.empty())
        return session.refused("an answer is broken");
    const auto& row = response->responses.front();
    if (row.error_code != ErrorCode::none)
        return session.refused(reason(row.error_code, row.error_message));
    session.console.out(fmt::format("Completed updating config for {} {}.\n",
                                    type == topic_type ? "topic" : "broker",
                                    name.empty() ? "in the cluster" : name));
    return 0;
}

bool wants_help(Words words) {
    return std::any_of(words.begin(), words.end(),
                       [](std::string_view word) { return word == "--help" || word == "-h"; });
}

}  // namespace

int topics_command(Words words, const Console& console) {
    if (wants_help(words)) {
        console.out(topics_usage);
        return 0;
    }
    const auto options = read_options(words,
                                      {"--bootstrap-server", "--topic", "--partitions",
                                       "--replication-factor", "--replica-assignment", "--config"},
                                      {"--create", "--list", "--describe", "--alter", "--delete",
                                       "--if-not-exists", "--if-exists", "--exclude-internal"});
    Session session{"topics", {}, console};
    if (!options.ok()) return session.wrong(options.error().text);
    session.bootstrap = split_at(*options->value("--bootstrap-server"), ',');
    const int actions = options->has("--create") + options->has("--list") +
                        options->has("--describe") + options->has("--alter") +
                        options->has("--delete");
    if (actions != 1)
        return session.wrong("one of --create, --list, --describe, --alter, --delete is needed");
    if (options->has("--list")) return list_topics(session, *options);
    if (options->has("--describe")) return describe_topics(session, *options);
    const auto topic = options->value("--topic");
    if (!topic) return session.wrong("--topic is missing");
    if (options->has("--create")) return create_topic(session, *options, *topic);
    if (options->has("--alter")) return alter_topic(session, *options, *topic);
    return delete_topic(session, *options, *topic);
}

int configs_command(Words words, const Console& console) {
    if (wants_help(words)) {
        console.out(configs_usage);
        return 0;
    }
    const auto options = read_options(
        words,
        {"--bootstrap-server", "--entity-type", "--entity-name", "--add-config", "--delete-config"},
        {"--describe", "--alter", "--entity-default", "--all"});
    Session session{"configs", {}, console};
    if (!options.ok()) return session.wrong(options.error().text);
    session.bootstrap = split_at(*options->value("--bootstrap-server"), ',');
    const auto kind = options->value("--entity-type");
    if (!kind || (*kind != "topics" && *kind != "brokers"))
        return session.wrong("--entity-type topics or brokers is needed");
    const std::int8_t type = *kind == "topics" ? topic_type : broker_type;
    const auto named = options->value("--entity-name");
    if (named.has_value() == options->has("--entity-default"))
        return session.wrong("--entity-name or --entity-default is needed");
    const std::string name = named.value_or("");
    BrokerId to = no_broker;  // a broker's own are asked of itself
    if (type == broker_type && named) {
        std::int32_t id = 0;
        if (!to_number(name, id)) return session.wrong("--entity-name of a broker is its id");
        to = BrokerId(id);
    }
    if (options->has("--describe") == options->has("--alter"))
        return session.wrong("--describe or --alter is needed");
    return options->has("--describe") ? describe_configs(session, *options, type, name, to)
                                      : alter_configs(session, *options, type, name, to);
}

}  // namespace klamm::command
