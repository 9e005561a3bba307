#pragma once
// The snapshots of the metadata log (KIP-630), files beside its segments in Kafka's form:
// `<end>-<epoch>.checkpoint`, and with `.part` after it while one is being made or fetched.
//
// Phases: starting → ready; any → failed, and then nothing here is trusted before a restart.
// What always holds: a snapshot counts, and is among infos(), when its file was synced, named, and
// the name synced; so whoever cuts the log below one that counts loses nothing. What is left of one
// that was not finished is removed at the start. Of those that count the newest is never removed.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/raft/effects.h"

namespace klamm::server {

class QuorumSnapshots {
  public:
    enum class Phase : std::uint8_t { fresh, starting, ready, failed };

    /// `directory` is the log's own. Tokens are `tokens` and what follows.
    QuorumSnapshots(std::string directory, env::Token tokens)
        : directory_(std::move(directory)), tokens_(tokens) {}

    void start(env::Env& env);
    // Events of the seam; false when they are another's.
    bool on_event(env::Env& env, const env::ReadDone& done);
    bool on_event(env::Env& env, const env::Synced& done);
    bool on_event(env::Env& env, const env::Listed& done);

    [[nodiscard]] Phase phase() const { return phase_; }
    /// One sentence, in phase failed.
    [[nodiscard]] const std::string& failure() const { return failure_; }
    /// Those that count, ascending.
    [[nodiscard]] const std::vector<raft::SnapshotInfo>& infos() const { return infos_; }
    [[nodiscard]] std::uint64_t bytes() const;

    // --- one of its own, in slices
    [[nodiscard]] bool making() const { return own_.has_value(); }
    void begin(env::Env& env, const raft::LogId& id);
    /// Whole batches, which go on where the last ones ended.
    void add(env::Env& env, ByteView batches);
    /// It counts some turns later.
    void finish(env::Env& env);
    void abandon(env::Env& env) { drop(env, own_); }

    // --- one that is fetched
    /// A piece that begins where the last one ended, or at 0, where another's pieces are dropped.
    void keep_piece(env::Env& env, const raft::LogId& id, std::uint64_t position, ByteView piece);
    void drop_pieces(env::Env& env);
    /// All pieces are there: it counts some turns later.
    void complete(env::Env& env);

    // --- reading
    struct Read {
        std::uint64_t tag = 0;
        Buffer bytes;  // empty: there is no such snapshot any more
    };
    void read(env::Env& env, std::uint64_t tag, const raft::LogId& id, std::uint64_t position,
              std::uint64_t bytes);
    std::vector<Read> take_reads() { return std::exchange(done_, {}); }

    /// Removes those before the last `kept`, of which there is at least one.
    void keep_last(env::Env& env, std::size_t kept);

  private:
    enum class Step : std::uint8_t { writing, syncing, naming };
    struct Part {
        raft::LogId id;
        env::FileId file = env::FileId::none;
        std::uint64_t size = 0;
        Step step = Step::writing;
    };
    struct Reading {
        std::uint64_t tag = 0;
        env::FileId file = env::FileId::none;
    };

    void fail(std::string why);
    [[nodiscard]] std::string path_of(const raft::LogId& id, bool part) const;
    void open(env::Env& env, std::optional<Part>& part, const raft::LogId& id);
    void write(env::Env& env, Part& part, ByteView bytes);
    void drop(env::Env& env, std::optional<Part>& part);
    void seal(env::Env& env, Part& part, env::Token token);
    void advance(env::Env& env, std::optional<Part>& part, const Status& status,
                 env::Token named_token);
    void count(env::Env& env, const Part& part);

    std::string directory_;
    env::Token tokens_;
    Phase phase_ = Phase::fresh;
    std::string failure_;
    std::vector<raft::SnapshotInfo> infos_;
    std::optional<Part> own_;
    std::optional<Part> fetched_;
    std::map<env::Token, Reading> readings_;
    env::Token reads_made_ = 0;
    std::vector<Read> done_;
};

/// "00000000000000000123-0000000007.checkpoint"
[[nodiscard]] std::string snapshot_file(const raft::LogId& id);
/// Nothing for any other name.
[[nodiscard]] std::optional<raft::LogId> snapshot_of_file(std::string_view name);

}  // namespace klamm::server
