#include "core/server/topic_options.h"

#include <algorithm>
#include <string>

namespace klamm::server {

namespace {

/// What topics have by default here: the node's file, then what was set for all brokers, then what
/// was for this one.
config::TopicOptions defaults_of(const Context& context) {
    const auto& configs = context.image->configs();
    const auto first = configs.lower_bound({metadata::ResourceType::broker, ""});
    if (first == configs.end()) return context.settings.options.topic_defaults();
    config::BrokerOptions options = context.settings.options;
    for (const std::string& name : {std::string(), std::to_string(context.self().value)}) {
        const auto found = configs.find({metadata::ResourceType::broker, name});
        if (found == configs.end()) continue;
        // What is not this broker's to know was taken for plugins'; it changes nothing.
        for (const auto& [key, value] : found->second) (void)config::set(options, key, value);
    }
    return options.topic_defaults();
}

}  // namespace

config::TopicOptions topic_options(const Context& context, const Uuid& topic) {
    config::TopicOptions options = defaults_of(context);
    const metadata::TopicImage* image = context.image->topic(topic);
    if (image == nullptr) return options;
    const metadata::ConfigResource resource{metadata::ResourceType::topic, image->name};
    const auto found = context.image->configs().find(resource);
    if (found == context.image->configs().end()) return options;
    for (const auto& [key, value] : found->second)
        if (const Status status = config::set(options, key, value); !status.ok())
            context.env().log("a topic's configuration is ignored: " + status.error().text);
    return options;
}

const config::TopicOptions& TopicOptionsCache::of(const Context& context, const Uuid& topic) {
    if (image_ != context.image) {
        image_ = context.image;
        rows_.clear();
    }
    const auto row = rows_.find(topic);
    if (row != rows_.end()) return row->second;
    return rows_.emplace(topic, topic_options(context, topic)).first->second;
}

storage::LogConfig log_config(const Context& context, const config::TopicOptions& topic) {
    storage::LogConfig config;
    config.segment_bytes = static_cast<std::uint64_t>(topic.effective_segment_bytes());
    config.index_interval_bytes = static_cast<std::uint64_t>(topic.index_interval_bytes);
    config.index_bytes_max = static_cast<std::uint64_t>(topic.segment_index_bytes);
    config.flush_messages = topic.flush_messages;
    config.max_message_bytes = static_cast<std::uint64_t>(topic.max_message_bytes);
    config.tail_cache_bytes = context.settings.tail_cache_bytes;
    config.segment_ms = topic.compacts() ? std::min(topic.segment_ms, topic.max_compaction_lag_ms)
                                         : topic.segment_ms;
    config.deletes = topic.deletes();
    config.compacts = topic.compacts();
    config.retention_ms = topic.retention_ms;
    config.retention_bytes = topic.retention_bytes;
    config.file_delete_delay_ms = topic.file_delete_delay_ms;
    config.delete_retention_ms = topic.delete_retention_ms;
    config.min_compaction_lag_ms = topic.min_compaction_lag_ms;
    config.max_compaction_lag_ms = topic.max_compaction_lag_ms;
    config.dirty_millionths_min = topic.min_cleanable_dirty_ratio.millionths;
    config.dedupe_bytes_max =
        static_cast<std::uint64_t>(context.settings.options.log_cleaner_dedupe_buffer_size);
    return config;
}

}  // namespace klamm::server
