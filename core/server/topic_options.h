#pragma once
// A topic's options as this broker sees them: its own defaults, then what the image says of all
// brokers and of the topic. Values that the image holds were checked by the controller.

#include <map>
#include <memory>

#include "core/config/options.h"
#include "core/server/context.h"
#include "core/storage/log_config.h"

namespace klamm::server {

config::TopicOptions topic_options(const Context& context, const Uuid& topic);

/// The same for reading again and again: made once a topic and image.
class TopicOptionsCache {
  public:
    /// Valid until the next call.
    const config::TopicOptions& of(const Context& context, const Uuid& topic);

  private:
    std::shared_ptr<const metadata::ClusterImage> image_;  // what the rows were made from
    std::map<Uuid, config::TopicOptions> rows_;
};

/// The part of them that a log is told.
storage::LogConfig log_config(const Context& context, const config::TopicOptions& topic);

}  // namespace klamm::server
