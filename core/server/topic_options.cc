#include "core/server/topic_options.h"

#include <string>

namespace klamm::server {

config::TopicOptions topic_options(const Context& context, const Uuid& topic) {
    config::TopicOptions options = context.settings.options.topic;
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
    return config;
}

}  // namespace klamm::server
