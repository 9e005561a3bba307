// ApiVersions: what this listener serves. A version from the future is answered in version 0 with
// UNSUPPORTED_VERSION and the versions of ApiVersions itself, so that any client can go on
// (KIP-511).
#include "core/protocol/api_versions.h"

#include "core/server/requests.h"

namespace klamm::server {

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
    response.api_keys = protocol::advertised_apis(protocol::Listener::broker);
    answer(answered, response);
}

}  // namespace klamm::server
