#include "core/server/config_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace klamm::server {

namespace {

using config::Row;
using config::Scope;
using config::Type;
using metadata::ResourceType;

/// Kafka keeps its words for wrong values apart from those that tell a person what is lawful.
std::string config_complaint(const Row& row, std::string_view key, const std::string& value) {
    const std::string head = fmt::format("Invalid value {} for configuration {}: ", value, key);
    switch (row.type) {
        case Type::boolean: return head + "Expected value to be either true or false";
        case Type::choice: {
            std::string names;
            for (const config::Choice& choice : row.choices.span())
                names += fmt::format("{}{}", names.empty() ? "" : ", ", choice.name);
            return head + "String must be one of: " + names;
        }
        default: break;
    }
    const char* type = row.type == Type::int16   ? "SHORT"
                       : row.type == Type::int32 ? "INT"
                       : row.type == Type::int64 ? "LONG"
                                                 : "DOUBLE";
    std::int64_t number = 0;
    const char* end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data(), end, number);
    const bool ratio = row.type == Type::ratio && !value.empty() &&
                       value.find_first_not_of("-0123456789.") == std::string::npos;
    const bool below = ratio ? value.starts_with('-') : number < row.range.low;
    const std::int64_t type_max = row.type == Type::int16   ? INT16_MAX
                                  : row.type == Type::int32 ? INT32_MAX
                                                            : config::never;
    if (!ratio && (error != std::errc{} || at != end || number > type_max))
        return fmt::format("{}Not a number of type {}", head, type);
    return fmt::format("{}Value must be {} {}", head, below ? "at least" : "no more than",
                       print_value(row, {below ? row.range.low : row.range.high, {}}));
}

const Row* row_for_topics(std::string_view key) { return find_row(Scope::topic, key); }

/// The row that a broker's file means by `key`, under either spelling.
const Row* row_for_brokers(std::string_view key) { return find_row(Scope::broker, key); }

/// What a running broker takes up: the defaults of topics, and little else.
bool is_dynamic(const Row& row) {
    return row.scope == Scope::topic || row.name == "producer.id.expiration.ms";
}

std::optional<std::int64_t> number_of(const controller::ConfigValues& values,
                                      const std::string& key) {
    const auto found = values.find(key);
    if (found == values.end()) return std::nullopt;
    const auto parsed = parse_value(*row_for_topics(key), found->second);
    if (!parsed.ok()) return std::nullopt;
    return parsed->number;
}

/// As the node itself would print what it was told; words stay as they were said.
std::string shown_value(const Row& row, const std::string& text) {
    if (row.type == Type::choice) return text;
    const auto value = parse_value(row, text);
    return value.ok() ? print_value(row, *value) : text;
}

void add_synonym(ShownConfig& config, const Row& row, std::string name, const std::string& value,
                 ConfigSource source) {
    config.synonyms.push_back({std::move(name), shown_value(row, value), source});
}

/// Times that a broker's file may give in coarser units, under names of their own: they count where
/// the fine one is not set.
struct Coarser {
    std::string_view fine;
    std::string_view name;
    std::int64_t unit_ms;
};
constexpr Coarser coarser_names[] = {{"log.retention.ms", "log.retention.minutes", 60'000},
                                     {"log.retention.ms", "log.retention.hours", 3'600'000},
                                     {"log.roll.ms", "log.roll.hours", 3'600'000}};

/// The values that a broker has under one spelling, the nearest first.
void add_broker_synonyms(const ConfigSurroundings& at, const Row& row, const std::string& spelling,
                         ShownConfig& config) {
    std::vector<std::pair<std::string, const Row*>> names{{spelling, &row}};
    if (row.scope == Scope::broker && !row.broker_spelling.empty())
        names.emplace_back(spelling == row.name ? row.broker_spelling : row.name, &row);
    for (const Coarser& coarser : coarser_names)
        if (coarser.fine == spelling)
            names.emplace_back(coarser.name, row_for_brokers(coarser.name));
    const auto look = [&](const controller::ConfigValues& values, ConfigSource source) {
        for (const auto& [name, of] : names)
            if (const auto found = values.find(name); found != values.end())
                add_synonym(config, *of, name, found->second, source);
    };
    look(set_for(at.image, ResourceType::broker, std::to_string(at.node.value)),
         ConfigSource::dynamic_broker);
    look(set_for(at.image, ResourceType::broker, ""), ConfigSource::dynamic_default_broker);
    look(at.given, ConfigSource::static_broker);
    // By default a fine one is not set, and the last that is coarser counts.
    const auto& [name, of] = row.scope == Scope::topic ? names.back() : names.front();
    add_synonym(config, *of, name, std::string(of->default_text), ConfigSource::by_default);
}

void settle_config(ShownConfig& config, const Row& row) {
    config.row = &row;
    if (config.synonyms.empty()) {
        config.value = shown_value(row, std::string(row.default_text));
        return;
    }
    const ShownConfig::Synonym& nearest = config.synonyms.front();
    config.value = nearest.value;
    config.source = nearest.source;
    for (const Coarser& coarser : coarser_names) {
        if (coarser.name != nearest.name || coarser.name == config.name) continue;
        const auto number = parse_value(*row_for_brokers(coarser.name), nearest.value);
        if (number.ok() && number->number >= 0)
            config.value = std::to_string(number->number * coarser.unit_ms);
    }
}

void sort_by_name(std::vector<ShownConfig>& configs) {
    std::sort(configs.begin(), configs.end(),
              [](const ShownConfig& a, const ShownConfig& b) { return a.name < b.name; });
}

}  // namespace

std::optional<std::string> TableRules::problem(ResourceType type, bool per_broker,
                                               const controller::ConfigValues& values) const {
    if (type == ResourceType::broker) {
        std::string fixed;
        for (const auto& [key, value] : values) {
            const Row* row = row_for_brokers(key);
            if (row != nullptr && !is_dynamic(*row))
                fixed += fmt::format("{}{}", fixed.empty() ? "" : ", ", key);
        }
        if (!fixed.empty())
            return fmt::format("Cannot update these configs dynamically: Set({})", fixed);
    }
    for (const auto& [key, value] : values) {
        const Row* row = type == ResourceType::topic ? row_for_topics(key) : row_for_brokers(key);
        if (row == nullptr) {
            if (type == ResourceType::topic) return "Unknown topic config name: " + key;
            continue;  // Kafka keeps it for plugins that may know it
        }
        if (per_broker && row->name == "producer.id.expiration.ms")
            return fmt::format("Cannot update these configs at default cluster level: Set({})",
                               key);
        if (!parse_value(*row, value).ok()) return config_complaint(*row, key, value);
    }
    if (type != ResourceType::topic) return std::nullopt;
    const auto min_lag = number_of(values, "min.compaction.lag.ms").value_or(0);
    const auto max_lag = number_of(values, "max.compaction.lag.ms").value_or(config::never);
    if (min_lag > max_lag)
        return fmt::format(
            "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
            min_lag, max_lag);
    return std::nullopt;
}

bool TableRules::is_list(ResourceType type, const std::string& key) const {
    const Row* row = type == ResourceType::topic ? row_for_topics(key) : row_for_brokers(key);
    return row != nullptr && (row->type == Type::list || row->name == "cleanup.policy");
}

std::string TableRules::default_of(ResourceType type, const std::string& key) const {
    const Row* row = type == ResourceType::topic ? row_for_topics(key) : row_for_brokers(key);
    return row == nullptr ? std::string() : std::string(row->default_text);
}

controller::ConfigValues set_for(const metadata::ClusterImage& image, ResourceType type,
                                 const std::string& name) {
    const auto found = image.configs().find({type, name});
    return found == image.configs().end() ? controller::ConfigValues() : found->second;
}

std::vector<ShownConfig> show_topic(const ConfigSurroundings& at,
                                    const controller::ConfigValues& own) {
    std::vector<ShownConfig> configs;
    for (const Row& row : config::table()) {
        if (row.scope != Scope::topic) continue;
        ShownConfig config;
        config.name = row.name;
        const auto set = own.find(config.name);
        // What is for tests alone is shown where it is set.
        if (row.name.starts_with("internal.") && set == own.end()) continue;
        if (set != own.end())
            add_synonym(config, row, config.name, set->second, ConfigSource::topic);
        if (!row.broker_spelling.empty())
            add_broker_synonyms(at, row, std::string(row.broker_spelling), config);
        settle_config(config, row);
        configs.push_back(std::move(config));
    }
    sort_by_name(configs);
    return configs;
}

std::vector<ShownConfig> show_broker(const ConfigSurroundings& at) {
    std::vector<ShownConfig> configs;
    for (const Row& row : config::table()) {
        const bool own = row.scope == Scope::broker;
        if (!own && (row.scope != Scope::topic || row.broker_spelling.empty())) continue;
        ShownConfig config;
        config.name = own ? row.name : row.broker_spelling;
        config.read_only = !is_dynamic(row);
        add_broker_synonyms(at, row, config.name, config);
        settle_config(config, row);
        configs.push_back(std::move(config));
    }
    sort_by_name(configs);
    return configs;
}

std::vector<ShownConfig> show_all_brokers(const ConfigSurroundings& at) {
    std::vector<ShownConfig> configs;
    for (const auto& [key, value] : set_for(at.image, ResourceType::broker, "")) {
        ShownConfig config;
        config.name = key;
        config.value = value;
        config.source = ConfigSource::dynamic_default_broker;
        config.synonyms.push_back({key, value, ConfigSource::dynamic_default_broker});
        config.row = row_for_brokers(key);
        configs.push_back(std::move(config));
    }
    return configs;
}

std::int8_t shown_type(const Row* row) {
    if (row == nullptr) return 0;
    if (row->name == "cleanup.policy") return 7;
    switch (row->type) {
        case Type::boolean: return 1;
        case Type::choice:
        case Type::text: return 2;
        case Type::int32: return 3;
        case Type::int16: return 4;
        case Type::int64: return 5;
        case Type::ratio: return 6;
        case Type::list: return 7;
    }
    return 0;
}

}  // namespace klamm::server
