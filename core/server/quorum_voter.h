#pragma once
// A controller by its id and where it listens, as controller.quorum.voters has it.

#include "core/base/ids.h"
#include "core/env/network.h"

namespace klamm::server {

struct QuorumVoter {
    BrokerId id;
    env::Endpoint at;
};

}  // namespace klamm::server
