#include "core/base/result.h"

namespace klamm {

const char* to_string(Failure failure) {
    switch (failure) {
        case Failure::not_found: return "not_found";
        case Failure::exists: return "exists";
        case Failure::io: return "io";
        case Failure::no_space: return "no_space";
        case Failure::locked: return "locked";
        case Failure::invalid: return "invalid";
        case Failure::truncated: return "truncated";
        case Failure::corrupt: return "corrupt";
        case Failure::unsupported: return "unsupported";
        case Failure::limit: return "limit";
        case Failure::offline: return "offline";
        case Failure::closed: return "closed";
    }
    KLAMM_UNREACHABLE();
}

}  // namespace klamm
