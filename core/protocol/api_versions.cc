// Look-ups in the generated table of APIs.
#include "core/protocol/api_versions.h"

#include "core/protocol/messages/api_table.h"

namespace klamm::protocol {

std::span<const ApiInfo> api_table() { return generated_api_table; }

const ApiInfo* find_api(ApiKey key) {
    for (const ApiInfo& api : generated_api_table)
        if (api.key == key) return &api;
    return nullptr;
}

const char* to_string(ApiKey key) {
    const ApiInfo* api = find_api(key);
    return api == nullptr ? "unknown" : api->name;
}

std::vector<ApiVersionsResponseApi> advertised_apis(Listener listener) {
    std::vector<ApiVersionsResponseApi> rows;
    for (const ApiInfo& api : generated_api_table) {
        const bool wanted = (listener != Listener::controller && api.on_broker) ||
                            (listener != Listener::broker && api.on_controller);
        if (wanted && api.served_min <= api.served_max)
            rows.push_back({api.key, api.served_min, api.served_max});
    }
    return rows;
}

}  // namespace klamm::protocol
