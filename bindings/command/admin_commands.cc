#include "bindings/command/admin_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bindings/live/admin.h"

namespace klamm::command {

namespace {

using protocol::ErrorCode;

constexpr int refused_status = 1;
constexpr int wrong_words_status = 2;

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

int wrong_words(const Console& console, std::string_view name, std::string_view sentence) {
    console.err(fmt::format("klamm {}: {}\n", name, sentence));
    return wrong_words_status;
}

/// The command of one run: whom it asks, and where it complains.
struct Session {
    std::string name;
    live::Admin admin;
    const Console& console;

    int wrong(std::string_view sentence) const { return wrong_words(console, name, sentence); }
    int refused(const live::Refusal& refusal) const {
        console.err(fmt::format("klamm {}: {}\n", name, refusal.sentence));
        return refused_status;
    }
    /// What was asked for is done, or `excused` by what there was before.
    int concluded(const live::Told<live::Void>& told, bool excused) const {
        return told || excused ? 0 : refused(told.refusal());
    }
};

std::string ids_text(const std::vector<BrokerId>& ids) {
    std::string text;
    for (const BrokerId id : ids) text += fmt::format("{}{}", text.empty() ? "" : ",", id.value);
    return text;
}

int create_topic(const Session& session, const AdminOptions& options, const std::string& name) {
    live::NewTopic topic;
    topic.name = name;
    if (const auto text = options.value("--partitions");
        text && !to_number(*text, topic.partitions))
        return session.wrong(fmt::format("--partitions: '{}' is not a number", *text));
    if (const auto text = options.value("--replication-factor");
        text && !to_number(*text, topic.replication))
        return session.wrong(fmt::format("--replication-factor: '{}' is not a number", *text));
    if (const auto text = options.value("--replica-assignment")) {
        for (const std::string& replicas : split_at(*text, ',')) {
            auto& row = topic.assignment.emplace_back();
            for (const std::string& id : split_at(replicas, ':')) {
                std::int32_t number = 0;
                if (!to_number(id, number))
                    return session.wrong(
                        fmt::format("--replica-assignment: '{}' is not a number", id));
                row.push_back(BrokerId(number));
            }
        }
    }
    if (const auto found = options.values.find("--config"); found != options.values.end()) {
        for (const std::string& word : found->second) {
            const auto pairs = parse_pairs(word);
            if (!pairs.ok()) return session.wrong("--config " + pairs.error().text);
            topic.configs.insert(topic.configs.end(), pairs->begin(), pairs->end());
        }
    }
    const auto told = session.admin.create(topic);
    const bool there = told.refusal().error == ErrorCode::topic_already_exists;
    if (told) session.console.out(fmt::format("Created topic {}.\n", name));
    return session.concluded(told, there && options.has("--if-not-exists"));
}

int list_topics(const Session& session, const AdminOptions& options) {
    const auto names = session.admin.topics();
    if (!names) return session.refused(names.refusal());
    for (const std::string& name : *names)
        if (!(live::is_internal_topic(name) && options.has("--exclude-internal")))
            session.console.out(name + "\n");
    return 0;
}

int describe_topics(const Session& session, const AdminOptions& options) {
    const auto wanted = options.value("--topic");
    const auto told =
        session.admin.describe(wanted ? split_at(*wanted, ',') : std::vector<std::string>());
    if (!told) return session.refused(told.refusal());
    std::string before;
    for (const live::TopicInfo& topic : *told) {
        if (topic.internal && options.has("--exclude-internal")) continue;
        if (topic.name != std::exchange(before, topic.name)) {
            // What is set for the topic itself or for all, as kafka-topics.sh shows it.
            const auto configs = session.admin.configs({live::ConfigOwner::topic, topic.name});
            if (!configs && configs.refusal().error == ErrorCode::none)
                return session.refused(configs.refusal());
            std::string set;
            if (configs)
                for (const live::ConfigInfo& one : *configs)
                    if (one.source != live::config_source_default)
                        set += fmt::format("{}{}={}", set.empty() ? "" : ",", one.name,
                                           one.value.value_or(""));
            // Of a topic that goes over pages only those partitions are counted that are here.
            session.console.out(fmt::format(
                "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}\n",
                topic.name, topic.id, topic.partitions.size(),
                topic.partitions.empty() ? 0 : topic.partitions.front().replicas.size(), set));
        }
        for (const live::PartitionInfo& one : topic.partitions)
            session.console.out(
                fmt::format("\tTopic: {}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}\tElr: "
                            "{}\tLastKnownElr: {}\n",
                            topic.name, one.partition,
                            one.leader == no_broker ? "none" : std::to_string(one.leader.value),
                            ids_text(one.replicas), ids_text(one.isr), ids_text(one.elr),
                            ids_text(one.last_known_elr)));
    }
    return 0;
}

int alter_topic(const Session& session, const AdminOptions& options, const std::string& name) {
    std::int32_t count = 0;
    const auto text = options.value("--partitions");
    if (!text || !to_number(*text, count))
        return session.wrong("--alter needs --partitions with a number");
    const auto told = session.admin.add_partitions(name, count);
    const bool gone = told.refusal().error == ErrorCode::unknown_topic_or_partition;
    return session.concluded(told, gone && options.has("--if-exists"));
}

int delete_topic(const Session& session, const AdminOptions& options, const std::string& name) {
    const auto told = session.admin.remove(name);
    const bool gone = told.refusal().error == ErrorCode::unknown_topic_or_partition;
    return session.concluded(told, gone && options.has("--if-exists"));
}

int describe_configs(const Session& session, const AdminOptions& options,
                     const live::ConfigOwner& owner) {
    const auto told = session.admin.configs(owner);
    if (!told) return session.refused(told.refusal());
    const bool all = options.has("--all");
    const bool of_topic = owner.type == live::ConfigOwner::topic;
    // What is set for this one itself: topics, all brokers, one broker.
    const std::int8_t own = of_topic ? live::config_source_topic : owner.name.empty() ? 3 : 2;
    session.console.out(fmt::format("{} configs for {} {} are:\n", all ? "All" : "Dynamic",
                                    of_topic             ? "topic"
                                    : owner.name.empty() ? "brokers"
                                                         : "broker",
                                    owner.name.empty() ? "in the cluster" : owner.name));
    for (const live::ConfigInfo& config : *told) {
        if (!all && config.source != own) continue;
        std::string synonyms;
        for (const auto& synonym : config.synonyms)
            synonyms += fmt::format("{}{}:{}={}", synonyms.empty() ? "" : ", ",
                                    live::config_source_name(synonym.source), synonym.name,
                                    synonym.value.value_or("null"));
        session.console.out(fmt::format("  {}={} sensitive={} synonyms={{{}}}\n", config.name,
                                        config.value.value_or("null"), config.sensitive, synonyms));
    }
    return 0;
}

int alter_configs(const Session& session, const AdminOptions& options,
                  const live::ConfigOwner& owner) {
    std::vector<std::pair<std::string, std::optional<std::string>>> changes;
    if (const auto text = options.value("--add-config")) {
        const auto pairs = parse_pairs(*text);
        if (!pairs.ok()) return session.wrong("--add-config " + pairs.error().text);
        changes.insert(changes.end(), pairs->begin(), pairs->end());
    }
    if (const auto text = options.value("--delete-config"))
        for (const std::string& key : split_at(*text, ',')) changes.emplace_back(key, std::nullopt);
    if (changes.empty()) return session.wrong("--alter needs --add-config or --delete-config");
    const auto told = session.admin.set_configs(owner, changes);
    if (told)
        session.console.out(fmt::format("Completed updating config for {} {}.\n",
                                        owner.type == live::ConfigOwner::topic ? "topic" : "broker",
                                        owner.name.empty() ? "in the cluster" : owner.name));
    return session.concluded(told, false);
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
    if (!options.ok()) return wrong_words(console, "topics", options.error().text);
    const Session session{
        "topics", live::Admin(split_at(*options->value("--bootstrap-server"), ',')), console};
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
    if (!options.ok()) return wrong_words(console, "configs", options.error().text);
    const Session session{
        "configs", live::Admin(split_at(*options->value("--bootstrap-server"), ',')), console};
    const auto kind = options->value("--entity-type");
    if (!kind || (*kind != "topics" && *kind != "brokers"))
        return session.wrong("--entity-type topics or brokers is needed");
    live::ConfigOwner owner;
    owner.type = *kind == "topics" ? live::ConfigOwner::topic : live::ConfigOwner::broker;
    const auto named = options->value("--entity-name");
    if (named.has_value() == options->has("--entity-default"))
        return session.wrong("--entity-name or --entity-default is needed");
    owner.name = named.value_or("");
    if (owner.type == live::ConfigOwner::broker && named) {
        std::int32_t id = 0;
        if (!to_number(owner.name, id)) return session.wrong("--entity-name of a broker is its id");
        owner.asked = BrokerId(id);
    }
    if (options->has("--describe") == options->has("--alter"))
        return session.wrong("--describe or --alter is needed");
    return options->has("--describe") ? describe_configs(session, *options, owner)
                                      : alter_configs(session, *options, owner);
}

}  // namespace klamm::command
