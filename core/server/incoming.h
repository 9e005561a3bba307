#pragma once
// A request as it came to a shard's connection: whose it is, and views into its frame, which is
// kept alive beside them.

#include <cstdint>
#include <string_view>

#include "core/net/inbound.h"

namespace klamm::server {

/// A decoded request's surroundings.
struct Incoming {
    net::RequestKey key;
    Buffer frame;
    ByteView body;
    std::int16_t version = 0;
    std::int32_t correlation = 0;
    std::string_view client_id{};  // in the frame; empty when it said none
};

}  // namespace klamm::server
