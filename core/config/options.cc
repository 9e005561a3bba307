// Setting options by name, the rules between them, and the text of .properties files.

#include "core/config/options.h"

#include <fmt/format.h>

#include "core/config/table.h"

namespace klamm::config {
namespace {

Status set_in(Scope scope, const Owners& owners, std::string_view key, std::string_view text) {
    const Row* row = find_row(scope, key);
    if (row == nullptr)
        return Error{Failure::not_found,
                     fmt::format("{} is not a {} option", key, to_string(scope))};
    auto value = parse_value(*row, text);
    if (!value.ok()) return value.error();
    row->store(owners, *value);
    return {};
}

Status require(bool holds, std::string_view sentence) {
    if (holds) return {};
    return Error{Failure::invalid, std::string(sentence)};
}

}  // namespace

TopicOptions BrokerOptions::topic_defaults() const {
    constexpr std::int64_t minute_ms = 60'000;
    constexpr std::int64_t hour_ms = 60 * minute_ms;
    TopicOptions options = topic;
    const TopicOptions untouched;
    if (topic.retention_ms == untouched.retention_ms) {
        if (log_retention_minutes != 0)
            options.retention_ms =
                log_retention_minutes < 0 ? -1 : log_retention_minutes * minute_ms;
        else
            options.retention_ms = log_retention_hours < 0 ? -1 : log_retention_hours * hour_ms;
    }
    if (topic.segment_ms == untouched.segment_ms) options.segment_ms = log_roll_hours * hour_ms;
    return options;
}

Status set(BrokerOptions& options, std::string_view key, std::string_view value) {
    return set_in(Scope::broker, {.broker = &options, .topic = &options.topic}, key, value);
}

Status set(TopicOptions& options, std::string_view key, std::string_view value) {
    return set_in(Scope::topic, {.topic = &options}, key, value);
}

Status set(FeatureOptions& options, std::string_view key, std::string_view value) {
    return set_in(Scope::feature, {.features = &options}, key, value);
}

Status set(ProducerOptions& options, std::string_view key, std::string_view value) {
    return set_in(Scope::producer, {.client = &options.client, .producer = &options}, key, value);
}

Status set(ConsumerOptions& options, std::string_view key, std::string_view value) {
    return set_in(Scope::consumer, {.client = &options.client, .consumer = &options}, key, value);
}

Status check(const BrokerOptions& options) {
    KLAMM_TRY(require(!options.listeners.empty(), "listeners must name at least one listener"));
    KLAMM_TRY(require(!options.log_dirs.empty(), "log.dirs must name at least one directory"));
    KLAMM_TRY(require(options.replica_fetch_wait_max_ms <= options.replica_lag_time_max_ms,
                      "replica.fetch.wait.max.ms must be at most replica.lag.time.max.ms, or "
                      "replicas of quiet partitions would leave the ISR"));
    KLAMM_TRY(require(options.queued_max_request_bytes <= 0 ||
                          options.queued_max_request_bytes >= options.socket_request_max_bytes,
                      "queued.max.request.bytes must be at least socket.request.max.bytes, or the "
                      "largest request could never be read"));
    return {};
}

Status check(const ProducerOptions& options) {
    const std::int64_t spare =
        std::int64_t{options.delivery_timeout_ms} - options.client.request_timeout_ms;
    KLAMM_TRY(require(options.linger_ms <= spare,
                      "delivery.timeout.ms must be at least linger.ms + request.timeout.ms"));
    if (!options.enable_idempotence) return {};
    KLAMM_TRY(require(options.acks == -1, "enable.idempotence needs acks=all"));
    KLAMM_TRY(require(options.retries > 0, "enable.idempotence needs retries above 0"));
    return require(options.max_in_flight_requests_per_connection <= 5,
                   "enable.idempotence needs max.in.flight.requests.per.connection of at most 5");
}

Result<KeyValue> parse_key_value(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos)
        return Error{Failure::invalid, fmt::format("\"{}\" is not key=value", text)};
    const std::string_view key = trimmed(text.substr(0, equals));
    if (key.empty()) return Error{Failure::invalid, fmt::format("\"{}\" has no key", text)};
    return KeyValue{std::string(key), std::string(trimmed(text.substr(equals + 1)))};
}

Result<std::vector<KeyValue>> parse_properties(std::string_view text) {
    std::vector<KeyValue> pairs;
    std::string joined;
    std::size_t line_number = 0;
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        std::string_view line = trimmed(text.substr(0, newline));
        text = newline == std::string_view::npos ? "" : text.substr(newline + 1);
        ++line_number;
        if (joined.empty() && (line.empty() || line.front() == '#' || line.front() == '!'))
            continue;
        if (line.ends_with('\\') && !text.empty()) {
            joined += line.substr(0, line.size() - 1);
            continue;
        }
        joined += line;
        auto pair = parse_key_value(joined);
        if (!pair.ok())
            return Error{Failure::invalid,
                         fmt::format("line {}: {}", line_number, pair.error().text)};
        pairs.push_back(std::move(*pair));
        joined.clear();
    }
    return pairs;
}

}  // namespace klamm::config
