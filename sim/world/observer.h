#pragma once
// What a world tells its judges: facts, starts, ends, and what a crash did to a disk. Observers run
// between the effects of an event and the next event; they may inspect the world but change it only
// through World::schedule.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/facts.h"
#include "core/base/time.h"
#include "core/env/env.h"
#include "sim/world/options.h"

namespace klamm::sim {

struct ByteRange {
    std::uint64_t from;
    std::uint64_t to;  // exclusive
    friend bool operator==(ByteRange, ByteRange) = default;
};

/// A file, by the path it had in the page cache, whose content is no longer what the cache held.
struct FileDamage {
    std::string path;
    std::uint64_t synced_length;  // everything below it was covered by a sync that succeeded
    std::uint64_t length_before;  // in the page cache
    std::uint64_t length_after;   // 0 if the file is gone
    /// Bytes that differ, ascending and apart; what was cut off or has come back counts as
    /// differing.
    std::vector<ByteRange> changed;
    /// Everything below it was covered by a sync that answered ok, be it true or a lie.
    std::uint64_t answered_length = 0;
};

enum class NameChange : std::uint8_t {
    lost,       // the path was there and is not
    came_back,  // the path was removed or renamed away and is there again
    replaced,   // the path names an older file again (a rename over it was undone)
};
struct NameDamage {
    std::string path;
    NameChange change;
};

struct TruncateUndone {
    std::string path;      // as it was in the page cache
    std::uint64_t cut_to;  // what the truncate had left
    std::uint64_t length_now;
};

/// What the disk holds after a crash against what the page cache held just before it.
struct DamageReport {
    std::vector<FileDamage> files;
    std::vector<NameDamage> names;
    std::vector<TruncateUndone> truncates_undone;
    /// Files that read otherwise than they should, crash or not: rot and misdirected writes, as
    /// they lay just before. Not part of any().
    std::vector<FileDamage> blemished;
    [[nodiscard]] bool any() const { return !files.empty() || !names.empty(); }
};

enum class CrashKind : std::uint8_t {
    kill,   // the process ended; the report holds what a cut turn did not get to write
    power,  // the machine lost its page cache
    wipe,   // the disk is empty; the report is empty too
};
const char* to_string(CrashKind kind);

class WorldObserver {
  public:
    virtual ~WorldObserver() = default;
    /// `time` is true virtual time. Facts of a turn that is cut by a kill come only as far as the
    /// turn got.
    virtual void on_fact(NodeId, env::ShardIndex, Instant /*time*/, const facts::Fact&) {}
    virtual void on_start(NodeId, std::uint64_t /*incarnation*/) {}
    /// The node ended its own process by Env::stop.
    virtual void on_stop(NodeId, int /*status*/) {}
    virtual void on_crash(NodeId, CrashKind, const DamageReport&) {}
    virtual void on_log(NodeId, env::ShardIndex, Instant, std::string_view) {}
    /// A write of the turn that ends now went elsewhere: `changed` reads otherwise than it should,
    /// where it belongs and where it landed. After the facts of the turn.
    virtual void on_misdirected(NodeId, const FileDamage&) {}
    /// The node cut a file although `changed` of it, in a file range, still waits to be sent on a
    /// connection that it has not closed: what leaves there is not what was meant (env::FileRange).
    virtual void on_range_cut(NodeId, const FileDamage&) {}
    /// The effects of a turn have left.
    virtual void on_turn_end(NodeId, env::ShardIndex) {}
    /// After each event that ran a turn of `node`, or no_node for a harness event.
    virtual void after_event(NodeId) {}
};

}  // namespace klamm::sim
