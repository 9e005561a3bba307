#pragma once
// One cleaning of one log: walks what is dirty, learns the last offset of each key, then writes
// each group of segments anew into `.cleaned` files and syncs them. core/log/compaction.h decides;
// here is when to read what, a slice a turn.
//
//     mapping → (for each group: copying → syncing → ready → the log swaps it in) → done
//
// and at any step failed. It holds no reference into the log: appends and rolls go on meanwhile.
// Nothing that the log reads is changed here; given up, it leaves `.cleaned` files, which discard()
// or the next opening removes.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/log/compaction.h"
#include "core/storage/files.h"
#include "core/storage/log_config.h"
#include "core/storage/offline_reason.h"
#include "core/storage/scanner.h"
#include "core/storage/segment.h"
#include "core/storage/token_book.h"

namespace klamm::storage {

class Cleaning {
  public:
    enum class Phase : std::uint8_t { mapping, copying, syncing, ready, done, failed };

    /// `segments` without the active one.
    struct Input {
        std::vector<Segment> segments;
        log::CleanRange range;
        std::map<ProducerId, log::ProducerEntry> producers;
        Timestamp wall;
    };
    Cleaning(Input input, std::string path, const LogConfig& config, TokenBook& tokens);

    void begin(env::Env& env);
    void take(env::Env& env, const env::ReadDone& done);
    void take(env::Env& env, const env::Synced& done);
    /// The group that was ready is in the log.
    void swapped(env::Env& env);
    /// Closes and removes the files of a group that is not in the log yet.
    void discard(env::Disk& disk);

    [[nodiscard]] Phase phase() const { return phase_; }

    // --- when failed
    OfflineReason failure;

    // --- when ready: the group, and the segment that takes its place
    [[nodiscard]] const log::SegmentGroup& group() const { return groups_[at_]; }
    Segment cleaned;

    // --- when done
    [[nodiscard]] Offset cleaned_end() const { return cleaned_end_; }

  private:
    void map_from(env::Env& env, std::size_t segment);
    void map(env::Env& env);
    void finish_mapping(env::Env& env);
    void next_group(env::Env& env);
    void copy_from(env::Env& env, std::size_t segment);
    void copy(env::Env& env);
    void keep_aborted(const record::BatchView& marker);
    Status write_out(env::Env& env);
    Status write_txn_index(env::Disk& disk);
    void finish_group(env::Env& env);
    [[nodiscard]] bool sound(const record::BatchView& batch);
    void fail(const Error& error, bool disk_failed);
    [[nodiscard]] std::vector<log::SegmentFacts> facts() const;
    [[nodiscard]] Offset range_end() const {
        return std::min(input_.range.end, input_.segments.back().end);
    }

    Input input_;
    std::string path_;
    LogConfig config_;
    TokenBook& tokens_;
    Phase phase_ = Phase::mapping;
    Scanner scanner_;
    std::size_t reading_ = 0;  // which segment
    Offset expected_;          // where the next batch begins, at least

    log::LastOffsets keys_;
    log::AbortedBatches transactions_;  // as known when mapping began
    log::AbortedBatches walked_;        // as this walk finds them
    bool full_ = false;
    Offset cleaned_end_;
    std::unique_ptr<log::BatchCleaner> cleaner_;
    std::vector<log::SegmentGroup> groups_;
    std::size_t at_ = 0;
    bool changed_ = false;  // the group differs from what it was
    Bytes out_;             // not yet written
    std::uint64_t written_ = 0;
    std::uint32_t outstanding_ = 0;
};

/// What the planner is told of a segment.
log::SegmentFacts segment_facts(const Segment& segment);

}  // namespace klamm::storage
