#pragma once
// The ports that the shards of one node share: a listener that asks for any free port gets the one
// that the first shard was given.

#include <cstdint>
#include <map>
#include <mutex>

#include "core/env/network.h"

namespace klamm::runtime {

struct ListenerPorts {
    std::mutex mutex;  // held while binding
    std::map<env::ListenerId, std::uint16_t> bound;
};

}  // namespace klamm::runtime
