#pragma once
// Before a cut: reads what the cut will leave, from the best producer snapshot (or the segment that
// is cut, if that is earlier) up to the cut. Gives the exact place of the cut, which is the
// beginning of the batch that holds it, the producers there, and the last segment's figures.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/log/producer_state.h"
#include "core/storage/files.h"
#include "core/storage/log_config.h"
#include "core/storage/scanner.h"
#include "core/storage/segment.h"
#include "core/storage/token_book.h"

namespace klamm::storage {

class Rescan {
  public:
    /// `segments` are those of the log, `snapshots` its snapshots; both outlive the rescan and do
    /// not change below `target` meanwhile.
    Rescan(const std::vector<Segment>& segments, const std::set<Offset>& snapshots, Offset target,
           std::string path, const LogConfig& config, TokenBook& tokens);

    void begin(env::Env& env);
    void take(env::Env& env, const env::ReadDone& done);

    [[nodiscard]] bool done() const { return done_; }
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

    // --- when done
    std::size_t last = 0;  // index of the segment that is cut
    Segment segment;       // its figures up to the cut; the files are the log's
    log::ProducerStateTable producers;

  private:
    void next_snapshot(env::Env& env);
    void start(env::Env& env);
    void start_segment(env::Env& env);
    void scan(env::Env& env);
    void finish();

    const std::vector<Segment>& segments_;
    std::set<Offset> candidates_;
    Offset target_;
    std::string path_;
    LogConfig config_;
    TokenBook& tokens_;
    env::FileId snapshot_file_ = env::FileId::none;
    std::size_t at_ = 0;
    Scanner scanner_;
    bool done_ = false;
    std::optional<Error> failure_;
};

}  // namespace klamm::storage
