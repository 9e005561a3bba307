#pragma once
// Dynamic configurations of topics and brokers (Kafka 4.1's ConfigurationControlManager with what a
// broker checks before it): what is refused and in which words, and the records of what is not.
// What may be configured is told by ConfigRules, for the table of it is not this folder's to see.
//
// What always holds: a resource is changed whole or not at all; with ELR on, a change of
// min.insync.replicas clears the ELRs that were made by the old value (KIP-966), for the whole
// cluster has one that cannot be removed and brokers have none of their own.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/controller/topic_control.h"

namespace klamm::controller {

/// Kafka's names of the operations of IncrementalAlterConfigs, as on the wire.
enum class ConfigOperation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

using ConfigValues = std::map<std::string, std::string>;

/// What may be configured.
class ConfigRules {
  public:
    virtual ~ConfigRules() = default;
    /// Kafka's sentence on why a resource of this type cannot have all of `values`, or nothing.
    /// `per_broker`: of one broker, not of all.
    [[nodiscard]] virtual std::optional<std::string> problem(metadata::ResourceType type,
                                                             bool per_broker,
                                                             const ConfigValues& values) const = 0;
    [[nodiscard]] virtual bool is_list(metadata::ResourceType type,
                                       const std::string& key) const = 0;
    /// As a list's value is while nobody has set it.
    [[nodiscard]] virtual std::string default_of(metadata::ResourceType type,
                                                 const std::string& key) const = 0;
};

struct ConfigChange {
    std::string key;
    ConfigOperation operation = ConfigOperation::set;
    std::optional<std::string> value;
};
/// One resource of AlterConfigs or IncrementalAlterConfigs, by the numbers of the wire.
struct ConfigChanges {
    std::int8_t type = 0;
    std::string name;
    std::vector<ConfigChange> changes;
};

/// A topic's configurations when it is created. Error: invalid_config.
[[nodiscard]] AdminOutcome new_topic_configs(
    const ConfigRules& rules, const std::string& topic,
    const std::vector<std::pair<std::string, std::optional<std::string>>>& configs);

/// With `replaces` what is not named is removed (AlterConfigs), else each operation is done on what
/// is there. An answer a resource, in their order, and the records of those that were accepted.
/// Errors: invalid_request, invalid_config, invalid_topic_exception, unknown_topic_or_partition,
/// broker_id_not_registered.
struct ConfigOutcome {
    std::vector<Answer> answers;
    Decisions decisions;
    bool elects = false;  // unclean.leader.election.enable has changed
};
[[nodiscard]] ConfigOutcome alter_configs(const ConfigRules& rules, const ClusterImage& image,
                                          const std::vector<ConfigChanges>& resources,
                                          bool replaces);

}  // namespace klamm::controller
