#pragma once
// What a broker of Kafka 4.1 may be told beyond what the table here knows, so that a file written
// for Kafka can be read: its other keys are known by name, and do nothing. A key that gets a row in
// the table may stay in the list: the row counts.

#include <string_view>

namespace klamm::config {

/// Whether a broker's file for Kafka 4.1 may have this key. Prefixes such as
/// `listener.name.<name>.` are known too.
[[nodiscard]] bool is_kafka_broker_key(std::string_view key);

}  // namespace klamm::config
