#include "core/controller/config_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace klamm::controller {

namespace {

using metadata::ConfigResource;
using metadata::ConfigSet;
using metadata::ResourceType;

constexpr std::string_view min_isr_key = "min.insync.replicas";
constexpr std::string_view unclean_key = "unclean.leader.election.enable";

Answer refusal(ErrorCode error, std::string text) { return {error, std::move(text)}; }

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
    return text;
}

std::vector<std::string> parts_of(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        if (comma != 0) parts.emplace_back(text.substr(0, comma));
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return parts;
}

/// Names, duplicates and missing values: what needs no image.
Answer check_form(const ConfigChanges& resource) {
    std::set<std::string> keys;
    std::vector<std::string> empty;
    for (const ConfigChange& change : resource.changes) {
        if (!keys.insert(change.key).second)
            return refusal(ErrorCode::invalid_request, "Error due to duplicate config keys");
        if (change.operation != ConfigOperation::remove && !change.value)
            empty.push_back(change.key);
        if (change.operation < ConfigOperation::set || change.operation > ConfigOperation::subtract)
            return refusal(
                ErrorCode::invalid_request,
                fmt::format("Unknown operations type {}", static_cast<int>(change.operation)));
    }
    if (!empty.empty())
        return refusal(ErrorCode::invalid_request,
                       "Null value not supported for : " + joined(empty, ", "));
    if (resource.type == static_cast<std::int8_t>(ResourceType::topic)) {
        if (resource.name.empty())
            return refusal(ErrorCode::invalid_request, "Default topic resources are not allowed.");
        if (const auto problem = topic_name_problem(resource.name))
            return refusal(ErrorCode::invalid_topic_exception, *problem);
        return {};
    }
    if (resource.type == static_cast<std::int8_t>(ResourceType::broker)) {
        if (resource.name.empty()) return {};
        std::int32_t id = 0;
        const char* end = resource.name.data() + resource.name.size();
        const auto [at, error] = std::from_chars(resource.name.data(), end, id);
        if (error != std::errc{} || at != end)
            return refusal(ErrorCode::invalid_request,
                           "Unable to parse broker name as a base 10 number.");
        if (id < 0) return refusal(ErrorCode::invalid_request, "Invalid negative broker ID.");
        return {};
    }
    return refusal(ErrorCode::invalid_request,
                   fmt::format("Unknown resource type {}", static_cast<int>(resource.type)));
}

Answer check_existence(const ClusterImage& image, const ConfigResource& resource) {
    if (resource.type == ResourceType::topic) {
        if (image.topic_id(resource.name)) return {};
        return refusal(ErrorCode::unknown_topic_or_partition,
                       fmt::format("The topic '{}' does not exist.", resource.name));
    }
    if (resource.name.empty()) return {};
    std::int32_t id = 0;
    std::from_chars(resource.name.data(), resource.name.data() + resource.name.size(), id);
    if (image.broker(BrokerId(id)) != nullptr) return {};
    return refusal(ErrorCode::broker_id_not_registered,
                   fmt::format("No node with id {} found.", id));
}

/// What one operation makes of a key's value.
Answer apply(const ConfigRules& rules, ResourceType type, const ConfigChange& change,
             ConfigValues& values) {
    switch (change.operation) {
        case ConfigOperation::set: values[change.key] = *change.value; return {};
        case ConfigOperation::remove: values.erase(change.key); return {};
        case ConfigOperation::append:
        case ConfigOperation::subtract: break;
    }
    const bool appends = change.operation == ConfigOperation::append;
    if (!rules.is_list(type, change.key))
        return refusal(ErrorCode::invalid_config,
                       fmt::format("Can't {} to key {} because its type is not LIST.",
                                   appends ? "APPEND" : "SUBTRACT", change.key));
    const auto found = values.find(change.key);
    std::vector<std::string> parts =
        parts_of(found == values.end() ? rules.default_of(type, change.key) : found->second);
    for (const std::string& part : parts_of(*change.value)) {
        const auto at = std::find(parts.begin(), parts.end(), part);
        if (appends && at == parts.end()) parts.push_back(part);
        if (!appends && at != parts.end()) parts.erase(at);
    }
    values[change.key] = joined(parts, ",");
    return {};
}

/// With ELR on min.insync.replicas is the cluster's, and there (KIP-966).
Answer check_min_isr(const ClusterImage& image, const ConfigResource& resource,
                     const ConfigValues& before, const ConfigValues& after) {
    const std::string key(min_isr_key);
    if (!image.elr_enabled() || resource.type != ResourceType::broker) return {};
    const auto was = before.find(key);
    const auto is = after.find(key);
    if (!resource.name.empty() && is != after.end() &&
        (was == before.end() || was->second != is->second))
        return refusal(ErrorCode::invalid_config,
                       "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    if (resource.name.empty() && was != before.end() && is == after.end())
        return refusal(ErrorCode::invalid_config,
                       "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    return {};
}

Answer alter_one(const ConfigRules& rules, const ClusterImage& image, const ConfigChanges& asked,
                 bool replaces, ConfigOutcome& outcome) {
    if (Answer form = check_form(asked); !form.ok()) return form;
    const ConfigResource resource{static_cast<ResourceType>(asked.type), asked.name};
    ConfigValues before;
    if (const auto found = image.configs().find(resource); found != image.configs().end())
        before = found->second;
    ConfigValues after = replaces ? ConfigValues() : before;
    for (const ConfigChange& change : asked.changes)
        if (Answer applied = apply(rules, resource.type, change, after); !applied.ok())
            return applied;
    if (Answer min_isr = check_min_isr(image, resource, before, after); !min_isr.ok())
        return min_isr;
    const bool one_broker = resource.type == ResourceType::broker && !resource.name.empty();
    if (const auto problem = rules.problem(resource.type, one_broker, after))
        return refusal(ErrorCode::invalid_config, *problem);
    if (Answer exists = check_existence(image, resource); !exists.ok()) return exists;

    Decisions decisions;
    bool min_isr_changes = false;
    const auto put = [&](const std::string& key, std::optional<std::string> value) {
        const auto was = before.find(key);
        const bool changes =
            value ? was == before.end() || was->second != *value : was != before.end();
        if (changes && key == min_isr_key) min_isr_changes = true;
        if (changes && key == unclean_key) outcome.elects = true;
        // A broker takes its own configuration up anew even if it is as it was (KAFKA-14136).
        if (changes || (resource.type == ResourceType::broker && value))
            decisions.push_back({ConfigSet{resource, key, std::move(value)}});
    };
    for (const auto& [key, value] : after) {
        const bool named =
            std::any_of(asked.changes.begin(), asked.changes.end(),
                        [&](const ConfigChange& change) { return change.key == key; });
        if (named) put(key, value);
    }
    for (const auto& [key, value] : before)
        if (!after.contains(key)) put(key, std::nullopt);
    if (min_isr_changes && (resource.type == ResourceType::topic || resource.name.empty()))
        for (Decided& cleared : min_isr_changed(
                 image, resource.type == ResourceType::topic ? resource.name : std::string()))
            decisions.push_back(std::move(cleared));
    for (Decided& decided : decisions) outcome.decisions.push_back(std::move(decided));
    return {};
}

}  // namespace

AdminOutcome new_topic_configs(
    const ConfigRules& rules, const std::string& topic,
    const std::vector<std::pair<std::string, std::optional<std::string>>>& configs) {
    AdminOutcome outcome;
    ConfigValues values;
    std::vector<std::string> empty;
    for (const auto& [key, value] : configs) {
        if (value)
            values[key] = *value;
        else
            empty.push_back(key);
    }
    if (!empty.empty()) {
        outcome.answer =
            refusal(ErrorCode::invalid_config,
                    "Null value not supported for topic configs: " + joined(empty, ","));
        return outcome;
    }
    if (const auto problem = rules.problem(ResourceType::topic, false, values)) {
        outcome.answer = refusal(ErrorCode::invalid_config, *problem);
        return outcome;
    }
    for (auto& [key, value] : values)
        outcome.decisions.push_back({ConfigSet{{ResourceType::topic, topic}, key, value}});
    return outcome;
}

ConfigOutcome alter_configs(const ConfigRules& rules, const ClusterImage& image,
                            const std::vector<ConfigChanges>& resources, bool replaces) {
    ConfigOutcome outcome;
    std::map<std::pair<std::int8_t, std::string>, int> named;
    for (const ConfigChanges& resource : resources) ++named[{resource.type, resource.name}];
    for (const ConfigChanges& resource : resources) {
        if (named[{resource.type, resource.name}] > 1)
            outcome.answers.push_back(
                refusal(ErrorCode::invalid_request, "Each resource must appear at most once."));
        else
            outcome.answers.push_back(alter_one(rules, image, resource, replaces, outcome));
    }
    return outcome;
}

}  // namespace klamm::controller
