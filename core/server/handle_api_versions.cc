// ApiVersions: what this listener serves. A version from the future is answered in version 0 with
// UNSUPPORTED_VERSION and the versions of ApiVersions itself, so that any client can go on
// (KIP-511).
#include "core/protocol/api_versions.h"

#include <algorithm>

#include "core/server/requests.h"

namespace klamm::server {

namespace {

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\\-.]*[a-zA-Z0-9])?
bool is_software_name(std::string_view text) {
    return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

}  // namespace

void Requests::handle_api_versions(const Incoming& request) {
    protocol::ApiVersionsResponse response;
    const protocol::ApiInfo* api = protocol::find_api(protocol::ApiKey::api_versions);
    KLAMM_ASSERT(api != nullptr);
    Incoming answered = request;
    if (!api->serves(request.version)) {
        answered.version = 0;
        response.error_code = ErrorCode::unsupported_version;
        response.api_keys.push_back(
            {.api_key = api->key, .min_version = api->served_min, .max_version = api->served_max});
        return answer(answered, response);
    }
    const auto body = protocol::decode<protocol::ApiVersionsRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    if (request.version >= 3 && !(is_software_name(body->client_software_name) &&
                                  is_software_name(body->client_software_version))) {
        response.error_code = ErrorCode::invalid_request;
        return answer(answered, response);
    }
    response.api_keys = protocol::advertised_apis(protocol::Listener::broker);
    // What the whole cluster speaks tells producers which protocol of transactions to use
    // (KIP-890).
    if (const std::int16_t level = transaction_version(*context_.image); level > 0) {
        // Clients of before version 4 take a lowest level of 0 for a mistake (KAFKA-17011).
        if (request.version >= 4)
            response.supported_features.push_back(
                {.name = metadata::transaction_feature, .min_version = 0, .max_version = 2});
        response.finalized_features_epoch = context_.image->offset();
        response.finalized_features.push_back({.name = metadata::transaction_feature,
                                               .max_version_level = level,
                                               .min_version_level = level});
    }
    answer(answered, response);
}

}  // namespace klamm::server
