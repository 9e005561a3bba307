#pragma once
// Configurations as clients are shown them, and what of them is lawful: the table of core/config
// in the words of Kafka's DescribeConfigs and in its sentences. A value comes from the topic, from
// this broker, from all brokers, from the node's file, or is the default; the nearest wins, and all
// of them are its synonyms (KIP-226).

#include <map>
#include <string>
#include <vector>

#include "core/config/table.h"
#include "core/controller/config_control.h"

namespace klamm::server {

/// ConfigSource of DescribeConfigs, as on the wire.
enum class ConfigSource : std::int8_t {
    topic = 1,
    dynamic_broker = 2,
    dynamic_default_broker = 3,
    static_broker = 4,
    by_default = 5,
};

/// What the table says of dynamic configurations. Without state: one for all.
class TableRules final : public controller::ConfigRules {
  public:
    [[nodiscard]] std::optional<std::string> problem(
        metadata::ResourceType type, bool per_broker,
        const controller::ConfigValues& values) const override;
    [[nodiscard]] bool is_list(metadata::ResourceType type, const std::string& key) const override;
    [[nodiscard]] std::string default_of(metadata::ResourceType type,
                                         const std::string& key) const override;
};

struct ShownConfig {
    std::string name;
    std::string value;
    ConfigSource source = ConfigSource::by_default;
    bool read_only = false;
    struct Synonym {
        std::string name;
        std::string value;
        ConfigSource source;
    };
    std::vector<Synonym> synonyms;     // the nearest first
    const config::Row* row = nullptr;  // nullptr: of a name that the table does not know
};

/// Where the values come from that are nobody's own.
struct ConfigSurroundings {
    const metadata::ClusterImage& image;
    BrokerId node;
    const std::map<std::string, std::string>& given;  // the node's file, in whichever spelling
};

/// A topic's, in order of names; `own` is what is set for itself.
std::vector<ShownConfig> show_topic(const ConfigSurroundings& at,
                                    const controller::ConfigValues& own);
/// The node's own.
std::vector<ShownConfig> show_broker(const ConfigSurroundings& at);
/// Those that are set for all brokers.
std::vector<ShownConfig> show_all_brokers(const ConfigSurroundings& at);

/// What is set for the resource; empty when nothing is.
controller::ConfigValues set_for(const metadata::ClusterImage& image, metadata::ResourceType type,
                                 const std::string& name);

/// Kafka's number of the row's type in DescribeConfigs.
std::int8_t shown_type(const config::Row* row);

}  // namespace klamm::server
