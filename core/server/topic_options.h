#pragma once
// A topic's options as this broker sees them: its own defaults, then what the image says of all
// brokers and of the topic. Values that the image holds were checked by the controller.

#include "core/config/options.h"
#include "core/server/context.h"
#include "core/storage/log_config.h"

namespace klamm::server {

config::TopicOptions topic_options(const Context& context, const Uuid& topic);

/// The part of them that a log is told.
storage::LogConfig log_config(const Context& context, const config::TopicOptions& topic);

}  // namespace klamm::server
