#pragma once
// A machine of the world and the process that runs on it, as plain state. A machine keeps its disk,
// clocks and name; a process keeps what a kill takes away: handles, connections, listeners.

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sim/world/disk_image.h"
#include "sim/world/node_clock.h"
#include "sim/world/observer.h"

namespace klamm::sim {

class Shard;

/// One side of a connection, by its place in the world's list.
struct ConnectionSide {
    std::uint32_t connection;
    std::uint32_t side;  // 0 connected, 1 accepted
};
constexpr std::uint32_t no_connection = 0xffffffff;

struct BoundListener {
    env::ShardIndex shard;
    env::ListenerId listener;
};

/// An open file; without an inode once it is closed.
struct Handle {
    InodePointer inode;
    bool writable;
};

struct Process {
    Process();
    ~Process();
    Process(Process&&) = delete;

    std::uint64_t incarnation = 0;
    std::vector<std::unique_ptr<Shard>> shards;
    std::vector<Handle> files;                // FileId - 1
    std::vector<ConnectionSide> connections;  // ConnectionId - 1
    std::map<std::uint16_t, std::vector<BoundListener>> ports;
    std::uint16_t next_port = 49152;
    std::map<std::uint32_t, std::uint64_t> connected_to;  // how often, by node
    bool doomed = false;                                  // killed within a turn that has not ended
};

struct Machine {
    Machine(NodeId id_, NodeSpec spec_, NodeClock clock_, std::uint64_t key_)
        : id(id_), spec(std::move(spec_)), clock(clock_), disk(key_), key(key_) {
        disk.set_options(spec.disk);
    }

    NodeId id;
    NodeSpec spec;
    NodeClock clock;
    DiskImage disk;
    std::uint64_t key;  // of its draws: from its name alone
    std::unique_ptr<Process> process;
    std::uint64_t incarnation = 0;
    std::uint64_t power_epoch = 0;
    std::optional<int> stop_status;
    bool powered = true;
    bool paused = false;
    bool starting = false;
    std::uint64_t start_number = 0;  // of the start that is under way
    bool disk_stalled = false;
    struct CutFile {
        InodePointer inode;
        std::uint64_t length;
        std::size_t effects_before;  // of the turn; what it sends later is of the file as cut
    };
    std::vector<CutFile> cuts;                // of the turn that runs
    std::vector<std::uint32_t> stalled_work;  // disk work that is done but not answered

    // A kill within a turn to come.
    bool armed = false;
    std::uint32_t armed_skip = 0;
    bool armed_only_writes = false;
    std::int64_t armed_keep = -1;
    std::int64_t armed_keep_bytes = -1;
    Maybes maybes;             // what its code does rarely
    DamageReport doom_report;  // of the kill that waits for the end of its turn
};

}  // namespace klamm::sim
