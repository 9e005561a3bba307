#pragma once
// The trace of a world: a running hash into which every event folds (time, node, kind, input,
// effects), checkpoints of it, the last turns for reports, and an optional sink that sees every
// event. Two runs of the same (binary, scenario, seed) have equal hashes; the first differing
// checkpoint, then the first differing event, say where they parted.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/assert.h"
#include "core/base/time.h"
#include "sim/world/options.h"

namespace klamm::sim {

struct Checkpoint {
    std::uint64_t event;  // how many events the hash covers
    std::uint64_t hash;
    friend bool operator==(Checkpoint, Checkpoint) = default;
};

/// One event, as reports and `diverge` show it.
struct EventRecord {
    std::uint64_t number = 0;  // 1 for the first
    Instant time = {};
    NodeId node = no_node;
    env::ShardIndex shard = 0;
    const char* kind = "";  // "Received", "turn end", "packet", "harness", ...
    std::uint64_t id = 0;   // connection, token, tag: what the kind is about
    std::uint32_t disk_calls = 0;
    std::uint32_t effects = 0;
    std::uint64_t hash = 0;  // after this event
};
/// One line, e.g. "#17 0.001234567 node 2.0 Received 5 D2 E1 0123456789abcdef".
std::string to_string(const EventRecord& record);

/// Why a world ended before its time: an assertion failed.
struct EndReport {
    std::string condition;
    std::string file;
    int line = 0;
    NodeId node = no_node;  // in whose turn; no_node: in the harness
    Instant time;
    std::vector<EventRecord> last_turns;  // oldest first; the failing one is last
};

/// Thrown by the assertion handler that a world installs while it runs; never leaves World.
struct WorldEnded {
    AssertionPlace place;
};

using EventSink = std::function<void(const EventRecord&)>;

class Trace {
  public:
    Trace(std::uint64_t checkpoint_events, std::size_t turns_kept)
        : checkpoint_events_(checkpoint_events), turns_kept_(turns_kept) {}

    void fold(std::uint64_t word) { hash_ = fold64(hash_, word); }
    void finish(EventRecord& record);  // gives it number and hash

    [[nodiscard]] std::uint64_t hash() const { return hash_; }
    [[nodiscard]] std::uint64_t events() const { return events_; }
    [[nodiscard]] const std::vector<Checkpoint>& checkpoints() const { return checkpoints_; }
    [[nodiscard]] std::vector<EventRecord> last_turns() const;
    void set_sink(EventSink sink) { sink_ = std::move(sink); }

  private:
    std::uint64_t checkpoint_events_;
    std::size_t turns_kept_;
    std::uint64_t hash_ = 0;
    std::uint64_t events_ = 0;
    std::vector<Checkpoint> checkpoints_;
    std::vector<EventRecord> ring_;
    std::size_t ring_next_ = 0;
    EventSink sink_;
};

}  // namespace klamm::sim
