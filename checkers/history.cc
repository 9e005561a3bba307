// The names of kinds and outcomes, as FORMAT.md spells them.
#include "checkers/history.h"

#include "core/base/assert.h"

namespace klamm::checkers {

const char* to_string(Kind kind) {
    switch (kind) {
        case Kind::send_invoked: return "send_invoked";
        case Kind::send_returned: return "send_returned";
        case Kind::poll_invoked: return "poll_invoked";
        case Kind::poll_returned: return "poll_returned";
        case Kind::latest_invoked: return "latest_invoked";
        case Kind::latest_returned: return "latest_returned";
        case Kind::reset_told: return "reset_told";
        case Kind::final_reads: return "final_reads";
        case Kind::owner_told: return "owner_told";
        case Kind::commit_invoked: return "commit_invoked";
        case Kind::commit_returned: return "commit_returned";
        case Kind::committed_invoked: return "committed_invoked";
        case Kind::committed_returned: return "committed_returned";
        case Kind::leader_told: return "leader_told";
        case Kind::sends_promised: return "sends_promised";
        case Kind::resource_told: return "resource_told";
        case Kind::key_told: return "key_told";
    }
    KLAMM_UNREACHABLE();
}

const char* to_string(Outcome outcome) {
    switch (outcome) {
        case Outcome::ok: return "ok";
        case Outcome::failed: return "failed";
        case Outcome::unknown: return "unknown";
    }
    KLAMM_UNREACHABLE();
}

}  // namespace klamm::checkers
