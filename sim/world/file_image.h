#pragma once
// The content of one simulated file: what the page cache holds, and what is needed to say what the
// disk holds. The cache is the truth while the machine has power; against it stand layers of undo,
// one for each sync in flight plus one for what came after it:
//   a layer keeps the length before it, the units it changed as they were, and its operations;
//   sync seals the newest layer when it is called, and when it succeeds drops the layers up to it;
//   a crash takes the durable content and replays each operation unit by unit: kept, torn or lost.
// An append costs its bytes and nothing else. This class decides nothing about names.

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/draws.h"
#include "sim/world/observer.h"
#include "sim/world/options.h"

namespace klamm::sim {

/// The order of metadata operations (names, truncates, sizes) of one disk.
struct Journal {
    CrashMode mode = CrashMode::posix;
    std::uint64_t sequence = 0;
    std::uint64_t committed = 0;  // ext4_ordered: everything up to here survives
};

/// How one crash decides. `entity` names disk, incarnation and file.
struct CrashRules {
    const DiskOptions* options;
    Draws draws;
    std::uint64_t entity;
    std::uint64_t cut;  // ext4_ordered: metadata operations above it are lost
};

class FileImage {
  public:
    explicit FileImage(std::uint32_t unit_bytes) : unit_(unit_bytes) {}

    [[nodiscard]] const Bytes& live() const { return live_; }
    [[nodiscard]] std::uint64_t length() const { return live_.size(); }
    [[nodiscard]] bool is_durable() const { return layers_.empty() && forsaken_.empty(); }
    /// Unsynced bytes, about: what a sync would have to write.
    [[nodiscard]] std::uint64_t dirty_bytes() const;

    void write(std::uint64_t position, std::span<const ByteView> parts, Journal& journal);
    void truncate(std::uint64_t length, Journal& journal);

    /// Ends the layer that takes changes; the value names it and all before it.
    std::uint64_t seal();
    /// Everything up to the sealed layer is on the disk.
    void synced(std::uint64_t layer);
    /// A sync answered so, and it was a lie.
    void lied(std::uint64_t layer) { lied_ = std::max(lied_, layer); }
    /// Of everything up to the sealed layer, each unit is on the disk or forsaken: not on the disk,
    /// and no sync will write it unless it is written again.
    void sync_failed(std::uint64_t layer, const Draws& draws, std::uint64_t entity);

    /// What the disk certainly holds.
    [[nodiscard]] Bytes durable() const;
    /// Everything below it was covered by a sync that succeeded.
    [[nodiscard]] std::uint64_t synced_length() const { return covered_length(0); }
    /// The same by the word of the syncs that answered ok, lies among them.
    [[nodiscard]] std::uint64_t answered_length() const { return covered_length(lied_); }
    /// The highest metadata operation that is not durable; 0 if none.
    [[nodiscard]] std::uint64_t pending_max() const;
    /// Appends the place in the journal of each operation that is not durable.
    void pending_sequences(std::vector<std::uint64_t>& into) const;

    /// Loses power: the content becomes what survived and is durable. Appends to `undone` the
    /// truncates that did not survive, with an empty path.
    void crash(const CrashRules& rules, std::vector<TruncateUndone>& undone);
    /// Replaces the content, durable at once.
    void put(ByteView bytes);

  private:
    struct Operation {
        bool is_truncate;
        std::uint64_t from;  // of a write; the length left by a truncate
        std::uint64_t to;    // end of a write; the length before a truncate
        std::uint64_t sequence;
        Bytes cut;  // what a truncate took away
    };
    struct Layer {
        std::uint64_t id;
        bool sealed = false;
        std::uint64_t length_before;
        std::vector<Operation> operations;
        std::map<std::uint64_t, Bytes> saved;  // unit → its bytes below length_before
    };
    enum class Fate : std::uint8_t { kept, torn, garbage, lost };

    Layer& open_layer();
    /// As if the layers up to this one were on the disk.
    [[nodiscard]] std::uint64_t covered_length(std::uint64_t layer) const;
    void save_units(Layer& layer, std::uint64_t from, std::uint64_t to);
    bool rescue_forsaken(Layer& layer, std::uint64_t unit);
    static void step_back(const Layer& layer, std::uint32_t unit, Bytes& content);
    [[nodiscard]] Fate fate(const CrashRules& rules, std::uint64_t n) const;
    void replay_write(const CrashRules& rules, const Layer& layer, std::size_t index,
                      std::uint64_t epoch, const Bytes& version, Bytes& result) const;
    void replay_unit(const CrashRules& rules, const Layer& layer, std::size_t index,
                     std::uint64_t epoch, ByteRange part, const Bytes& version,
                     Bytes& result) const;
    static void copy_as_written(const Layer& layer, std::size_t index, ByteRange part,
                                const Bytes& version, Bytes& result);

    std::uint32_t unit_;
    Bytes live_;
    std::vector<Layer> layers_;  // oldest first
    std::uint64_t next_layer_ = 1;
    std::uint64_t lied_ = 0;
    std::map<std::uint64_t, Bytes> forsaken_;  // unit → what the disk holds of it
};

/// Where `a` and `b` differ, ascending and apart; the longer one's tail differs.
std::vector<ByteRange> differences(ByteView a, ByteView b);

}  // namespace klamm::sim
