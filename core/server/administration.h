#pragma once
// What administrators ask of the cluster and only the active controller answers: brokers pass it on
// in an Envelope (KIP-590). Here is what both sides need to know of it: which requests these are,
// and how one of them is refused as a whole.

#include <string_view>

#include "core/base/bytes.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/error_code.h"
#include "core/protocol/writer.h"

namespace klamm::server {

/// Whether brokers pass requests of this API on to the controller.
[[nodiscard]] bool is_forwarded(protocol::ApiKey api);

/// The answer, in its frame, that refuses the whole request: as Kafka's getErrorResponse, with the
/// error wherever the message has room for it. `body` is the request behind its header. Nothing
/// when it cannot be understood.
[[nodiscard]] std::optional<Bytes> refuse_administration(protocol::ApiKey api, ByteView body,
                                                         std::int16_t version,
                                                         std::int32_t correlation,
                                                         protocol::ErrorCode error);

}  // namespace klamm::server
