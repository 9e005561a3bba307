#pragma once
// What a turn has asked for after it: the E calls of the seam, as values, in the order made. Files
// are taken hold of when asked, so that a later close() in the same turn takes nothing away; the
// file is null when the node named one that is not open.

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/env/env.h"
#include "core/runtime/open_file.h"
#include "core/runtime/outbox.h"

namespace klamm::runtime {

struct ReadAsked {
    OpenFilePointer file;
    std::uint64_t position;
    MutableBuffer out;
    env::Token token;
};
struct SyncAsked {
    OpenFilePointer file;
    env::Token token;
};
struct DirectorySyncAsked {
    std::string path;
    env::Token token;
};
struct ListAsked {
    std::string path;
    env::Token token;
};
struct ListenAsked {
    env::Endpoint at;
    env::ListenerId listener;
};
struct ConnectAsked {
    env::ConnectionId connection;
    env::Endpoint to;
};
struct ReceiveAsked {
    env::ConnectionId connection;
    MutableBuffer into;
};
struct SendAsked {
    env::ConnectionId connection;
    std::vector<PinnedPiece> pieces;
    env::Token token;
};
struct CloseAsked {
    env::ConnectionId connection;
};
struct MailAsked {
    env::ShardIndex to;
    env::Mail mail;
};
struct ComputeAsked {
    std::unique_ptr<env::Job> job;
    env::Token token;
};

using Effect =
    std::variant<ReadAsked, SyncAsked, DirectorySyncAsked, ListAsked, ListenAsked, ConnectAsked,
                 ReceiveAsked, SendAsked, CloseAsked, MailAsked, ComputeAsked>;

/// The effects of one turn. Of alarms only the last counts, and stopping comes after all else.
struct Effects {
    std::vector<Effect> in_order;
    std::optional<Instant> wake_at;
    std::optional<int> stop;

    void clear() {
        in_order.clear();
        wake_at.reset();
        stop.reset();
    }
};

}  // namespace klamm::runtime
