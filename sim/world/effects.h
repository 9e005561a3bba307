#pragma once
// What a turn leaves to the world: its E effects in order, with files already resolved, so that
// they stay valid after the node has closed its handles.

#include <memory>
#include <variant>
#include <vector>

#include "core/env/env.h"
#include "sim/world/disk_image.h"

namespace klamm::sim {

/// Bytes on their way out: a buffer, or a range of a file that is read when it leaves.
struct OutPiece {
    Buffer buffer;
    InodePointer file;  // nullptr: buffer
    std::uint64_t position = 0;
    std::uint64_t length = 0;
    env::Token token = 0;  // Drained when it has left; 0: none
    bool bad_handle = false;
};

struct ListenEffect {
    env::Endpoint at;
    env::ListenerId listener;
};
struct ConnectEffect {
    env::Endpoint to;
    env::ConnectionId connection;
};
struct ReceiveEffect {
    env::ConnectionId connection;
    MutableBuffer into;
};
struct SendEffect {
    env::ConnectionId connection;
    std::vector<OutPiece> pieces;
};
struct CloseEffect {
    env::ConnectionId connection;
};
struct ReadEffect {
    InodePointer file;  // nullptr: a bad handle
    std::uint64_t position;
    MutableBuffer out;
    env::Token token;
};
struct SyncEffect {
    InodePointer inode;  // nullptr: not there
    DiskImage::SyncMark mark;
    std::uint64_t dirty_bytes;
    env::Token token;
};
struct ListEffect {
    std::string path;
    env::Token token;
};
struct MailEffect {
    env::ShardIndex to;
    env::Mail mail;
};
struct ComputeEffect {
    std::unique_ptr<env::Job> job;
    env::Token token;
};
struct StopEffect {
    int status;
};

using Effect =
    std::variant<ListenEffect, ConnectEffect, ReceiveEffect, SendEffect, CloseEffect, ReadEffect,
                 SyncEffect, ListEffect, MailEffect, ComputeEffect, StopEffect>;

}  // namespace klamm::sim
