#pragma once
// The table of APIs: which versions are understood and which of them a broker or a controller
// advertises. It comes from the schema. A version may be understood and not advertised while it is
// unstable in Kafka.

#include <span>
#include <vector>

#include "core/protocol/messages/api_key.h"
#include "core/protocol/messages/api_versions.h"

namespace klamm::protocol {

struct ApiInfo {
    ApiKey key;
    const char* name;          // Kafka's, e.g. "OffsetForLeaderEpoch"
    std::int16_t version_min;  // understood
    std::int16_t version_max;
    std::int16_t served_min;  // advertised; none when the maximum lies below
    std::int16_t served_max;
    std::int16_t flexible_from;
    bool on_broker;  // listeners that serve it
    bool on_controller;

    [[nodiscard]] constexpr bool serves(int version) const {
        return version >= served_min && version <= served_max;
    }
};

/// All APIs, ordered by key.
std::span<const ApiInfo> api_table();

/// The row of a key, or nullptr when there is none.
const ApiInfo* find_api(ApiKey key);

/// Kafka's name of a key, "unknown" for one that is not in the table.
const char* to_string(ApiKey key);

enum class Listener : std::uint8_t { broker, controller, both };

/// The rows of an ApiVersions answer: what such a listener serves, ordered by key.
std::vector<ApiVersionsResponseApi> advertised_apis(Listener listener);

}  // namespace klamm::protocol
