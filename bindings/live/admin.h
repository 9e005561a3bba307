#pragma once
// An administrator of a real cluster: each function asks one thing (core/client/admin_node.h) and
// gives values that own what they say. A refusal is Kafka's error with the sentence that a person
// is told, by the commands and from Python alike.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/protocol/error_code.h"

namespace klamm::live {

struct Refusal {
    protocol::ErrorCode error = protocol::ErrorCode::none;  // none: nobody answered
    std::string sentence;
};

/// A value, or why there is none.
template <class T>
class [[nodiscard]] Told {
  public:
    Told(T value) : value_(std::move(value)) {}              // NOLINT: implicit by design
    Told(Refusal refusal) : refusal_(std::move(refusal)) {}  // NOLINT
    explicit operator bool() const { return value_.has_value(); }
    T& operator*() { return *value_; }
    const T& operator*() const { return *value_; }
    const T* operator->() const { return &*value_; }
    [[nodiscard]] const Refusal& refusal() const { return refusal_; }

  private:
    std::optional<T> value_;
    Refusal refusal_;
};
struct Void {};

struct NewTopic {
    std::string name;
    std::int32_t partitions = -1;                     // -1: as the brokers have it
    std::int16_t replication = -1;                    // -1: as the brokers have it
    std::vector<std::vector<BrokerId>> assignment{};  // in place of both, by partition
    std::vector<std::pair<std::string, std::string>> configs{};
};

struct PartitionInfo {
    std::int32_t partition = 0;
    BrokerId leader = no_broker;
    std::vector<BrokerId> replicas, isr, elr, last_known_elr;
};
struct TopicInfo {
    std::string name;
    std::string id;
    bool internal = false;
    std::vector<PartitionInfo> partitions;
};
struct BrokerInfo {
    BrokerId id;
    std::string host;
    std::int32_t port = 0;
};
struct ConfigInfo {
    struct Synonym {
        std::string name;
        std::optional<std::string> value;
        std::int8_t source = 0;
    };
    std::string name;
    std::optional<std::string> value;
    std::int8_t source = 0;  // of config_source_name()
    bool sensitive = false;
    bool read_only = false;
    std::vector<Synonym> synonyms;
};

/// Whose configuration: a topic's, a broker's, or with an empty name all brokers'.
struct ConfigOwner {
    static constexpr std::int8_t topic = 2;
    static constexpr std::int8_t broker = 4;
    std::int8_t type = topic;
    std::string name;
    /// The broker to ask: a broker's own are asked of itself.
    BrokerId asked = no_broker;
};

/// "DYNAMIC_TOPIC_CONFIG"
const char* config_source_name(std::int8_t source);
constexpr std::int8_t config_source_default = 5;
constexpr std::int8_t config_source_topic = 1;

bool is_internal_topic(std::string_view name);

class Admin {
  public:
    /// `patience`: how long one answer may take. `pulse` is asked while it waits, and may throw.
    explicit Admin(std::vector<std::string> bootstrap, Duration patience = seconds(60),
                   std::function<void()> pulse = {});

    Told<std::vector<BrokerInfo>> brokers() const;
    /// Names in order.
    Told<std::vector<std::string>> topics() const;
    /// How many partitions a topic has; `create`: where the cluster makes topics for who asks.
    Told<std::int32_t> partitions(const std::string& topic, bool create) const;
    /// Those of these names, else all. Of a topic that goes over pages, the parts in order.
    Told<std::vector<TopicInfo>> describe(const std::vector<std::string>& names) const;
    Told<Void> create(const NewTopic& topic) const;
    Told<Void> add_partitions(const std::string& topic, std::int32_t count) const;
    Told<Void> remove(const std::string& topic) const;
    Told<std::vector<ConfigInfo>> configs(const ConfigOwner& owner) const;
    /// An option without a value goes back to its default.
    Told<Void> set_configs(
        const ConfigOwner& owner,
        const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) const;

  private:
    struct Asking;

    std::vector<std::string> bootstrap_;
    Duration patience_;
    std::function<void()> pulse_;
};

}  // namespace klamm::live
