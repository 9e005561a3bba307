#pragma once
// What a simulated world may be told to do to its nodes: plain values, drawn by a scenario or left
// at mild defaults. Rates are per million, durations are nanoseconds of true virtual time. Nothing
// here is a fault in itself; faults with a beginning and an end are calls on World.

#include <cstdint>
#include <string>

#include "core/base/draws.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/env/env.h"

namespace klamm::sim {

/// A machine of the world with its disk; it outlives the processes that run on it.
using NodeId = Id<struct WorldNodeTag, std::uint32_t>;
constexpr NodeId no_node{0xffffffff};

/// One direction between two nodes. A packet takes base + Exp(mean), in `tail_rate` of a million
/// cases Exp(tail_mean) more, and its bytes' time.
struct LinkOptions {
    Duration delay_base = microseconds(100);
    Duration delay_mean = microseconds(100);
    std::int64_t tail_rate = 0;
    Duration tail_mean = milliseconds(100);
    std::int64_t nanoseconds_per_kib = 1000;
    /// Larger packets never get through, nor does what the connection sends after them: a black
    /// hole of path MTU discovery. Acknowledgements come back, so nobody is told.
    std::uint64_t swallows_above = ~std::uint64_t{0};
    /// What all connections of the link get through together, one packet after another; 0: all.
    std::uint64_t bytes_per_second = 0;
};

struct NetworkOptions {
    LinkOptions link = {};  // of every pair that has none of its own
    /// Bytes in flight and unread at the receiver, drawn per connection; beyond it bytes wait in
    /// the sender.
    std::uint64_t window_bytes_min = 64 * 1024;
    std::uint64_t window_bytes_max = 256 * 1024;
    /// No packet is larger; 1 delivers every byte by itself.
    std::uint64_t packet_bytes_max = 64 * 1024;
    std::int64_t split_rate = 10'000;  // of packets that are cut at a drawn place
    /// Of Received events that hand over fewer bytes than have arrived.
    std::int64_t short_receive_rate = 10'000;
    Duration connect_timeout_min = seconds(2);
    Duration connect_timeout_max = seconds(30);
    /// How long a side with unanswered bytes waits before its connection breaks.
    Duration break_timeout_min = seconds(5);
    Duration break_timeout_max = seconds(120);
    /// What a healed link needs before held packets go on (retransmission).
    Duration retransmit_mean = milliseconds(200);
    /// Of connections of a killed process that are reset (unread bytes at the peer vanish) instead
    /// of ended.
    std::int64_t reset_on_kill_rate = 300'000;
    /// Of file ranges that leave only after Exp(mean), so that what happens to the file meanwhile
    /// is seen.
    std::int64_t file_range_lag_rate = 100'000;
    Duration file_range_lag_mean = milliseconds(2);
};

enum class CrashMode : std::uint8_t {
    posix,         // every unit, name and truncate on its own
    ext4_ordered,  // names, truncates and sizes keep journal order; data before the size over it
};

struct DiskOptions {
    std::uint64_t capacity_bytes = std::uint64_t{1} << 40;
    CrashMode crash_mode = CrashMode::posix;
    /// The unit of loss: 512, 4096, or 0 for drawn per file.
    std::uint32_t unit_bytes = 0;
    // What a power loss does to each unsynced unit: kept, torn, else lost.
    std::int64_t unit_keep_rate = 400'000;
    std::int64_t unit_tear_rate = 200'000;
    std::int64_t garbage_rate = 300'000;  // of torn units that hold garbage, not a prefix
    std::int64_t name_keep_rate = 500'000;
    std::int64_t truncate_keep_rate = 500'000;
    // Durations. A D call takes `call`, and bytes their time; E calls take theirs in the
    // background.
    Duration call = microseconds(5);
    std::int64_t write_nanoseconds_per_kib = 500;
    Duration read_base = microseconds(80);
    Duration read_mean = microseconds(80);
    Duration sync_base = microseconds(200);
    Duration sync_mean = microseconds(800);
    std::int64_t sync_nanoseconds_per_kib = 2000;
    /// Of read_if_cached calls that would block.
    std::int64_t would_block_rate = 50'000;
    // Of calls that fail with io. A failed write has written a drawn prefix. After a failed sync
    // each unit it covered is on the disk or not (drawn), and no later sync writes it, unless it is
    // written again.
    std::int64_t write_error_rate = 0;
    std::int64_t read_error_rate = 0;
    std::int64_t sync_error_rate = 0;
    /// Of syncs that answer ok and cover nothing; a later one that does not lie covers it all.
    std::int64_t sync_lie_rate = 0;
    /// Space is looked for when bytes are synced, not when they are written: on a disk that is
    /// overfull each sync fails with no_space, as one that failed with io.
    bool allocates_late = false;
    /// All durations times this.
    std::int64_t slow_factor = 1;
};

/// A turn costs base + Exp(mean); in `hiccup_rate` of a million turns Exp(hiccup_mean) more.
struct CpuOptions {
    Duration turn_base = microseconds(3);
    Duration turn_mean = microseconds(5);
    std::int64_t hiccup_rate = 0;
    Duration hiccup_mean = milliseconds(20);
    Duration mail_base = microseconds(1);
    Duration mail_mean = microseconds(5);
    Duration compute_mean = microseconds(300);
    /// From start() to the Started event.
    Duration start_base = milliseconds(1);
};

struct ClockOptions {
    Duration wall_offset = {};   // of this node's wall clock against true time
    std::int64_t drift_ppm = 0;  // of both its clocks; above -900'000
};

struct NodeSpec {
    std::string name;  // its host name; unique in the world
    env::NodeFactory factory;
    env::ShardIndex shards = 1;
    ClockOptions clock = {};
    DiskOptions disk = {};
    CpuOptions cpu = {};
};

/// In which order events happen that could also have happened in another (explore.h).
struct ExploreOptions {
    enum class How : std::uint8_t { timed, random, pos, pct, count_ };
    How how = How::timed;  // as their times say
    Duration window = milliseconds(1);
    std::uint32_t depth = 3;  // of pct
    friend bool operator==(const ExploreOptions&, const ExploreOptions&) = default;
};

struct WorldOptions {
    std::uint64_t seed = 1;
    Timestamp start_wall{1'735'689'600'000};  // true wall time at Instant 0 of the world
    NetworkOptions network = {};
    ExploreOptions explore = {};
    std::uint64_t checkpoint_events = 4096;
    std::size_t turns_kept = 64;  // for reports
};

}  // namespace klamm::sim
