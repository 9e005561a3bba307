#pragma once
// Replicas of a quorum in a simulated world, above each a state machine that keeps numbers, and
// what must hold of them whatever happens:
//
//   one leader an epoch, over all incarnations, looked at after each event
//   what is handed out as committed is the same everywhere, at all times, and stays
//   a number that was acknowledged is among what is committed
//   logs match: two that have a batch of one offset and epoch agree on it and on all before it
//   a leader's votes, and what is committed, a majority would still have after a loss of all power
//   a snapshot says what the committed numbers below its end say

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/server/quorum.h"
#include "sim/world/world.h"

namespace klamm::server::test {

constexpr const char* quorum_log_directory = "metadata/__cluster_metadata-0/";
constexpr const char* quorum_state_path = "metadata/__cluster_metadata-0/quorum-state";

/// Asks the replica to append a number, if it leads.
class AppendNumber final : public env::Parcel {
  public:
    explicit AppendNumber(std::uint64_t wanted) : number(wanted) {}
    [[nodiscard]] std::uint64_t digest() const override { return number; }
    std::uint64_t number;
};

/// What was seen, by one who stands outside.
struct QuorumLedger {
    struct Batch {
        LeaderEpoch epoch;
        Bytes bytes;
        friend bool operator==(const Batch&, const Batch&) = default;
    };
    std::map<Offset, Batch> committed;  // by base offset
    std::vector<Offset> fresh;          // of them, those not yet looked for on the disks
    std::set<std::uint64_t> numbers;    // among them
    std::set<std::uint64_t> acknowledged;
    std::map<LeaderEpoch, std::pair<sim::NodeId, std::uint64_t>> leaders;  // with its incarnation
    std::uint64_t cuts = 0;  // logs that became shorter
    std::string violation;

    void fail(const std::string& what) {
        if (violation.empty()) violation = what;
    }
};

class NumbersNode final : public env::Node {
  public:
    /// Makes a snapshot of every `snapshot_every` numbers more; 0: never.
    NumbersNode(QuorumSettings settings, QuorumLedger& ledger, std::size_t snapshot_every);

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override { return quorum_.digest(); }

    [[nodiscard]] const raft::Raft* raft() const { return quorum_.raft(); }
    [[nodiscard]] bool leads() const { return leads_; }
    [[nodiscard]] Offset log_start() const { return quorum_.log().view().start; }
    /// That this incarnation was handed.
    [[nodiscard]] std::uint64_t snapshots_taken() const { return snapshots_taken_; }
    [[nodiscard]] const std::vector<std::uint64_t>& numbers() const { return numbers_; }

  private:
    void on(const Committed& news);
    void on(const SnapshotPart& news);
    void on(const Elected& news);
    void on(const Deposed& news);
    void save(env::Env& env);

    QuorumSettings settings_;
    QuorumLedger& ledger_;
    net::Inbound inbound_;
    Quorum quorum_;
    bool leads_ = false;
    std::vector<std::uint64_t> numbers_;  // committed
    Offset next_{0};
    std::deque<std::pair<Offset, std::uint64_t>> waiting_;  // for their commit
    Instant stop_at_ = instant_never;
    std::size_t snapshot_every_;
    std::uint64_t snapshots_taken_ = 0;
    bool abandons_ = false;  // the one under way: a newer one was fetched
    std::size_t saved_ = 0;  // numbers in the last snapshot
    std::optional<std::vector<std::uint64_t>> saving_;  // what is left to write of one
};

struct QuorumWorld {
    QuorumWorld(int replicas, std::uint64_t seed, const sim::DiskOptions& disk = {},
                std::size_t snapshot_every = 0);

    void start_all();
    /// Until `done`, at most for `limit`; false when it does not come, or a promise is broken.
    bool run_until(const std::function<bool()>& done, Duration limit);
    void run_for(Duration duration) {
        run_until([] { return false; }, duration);
    }
    NumbersNode* at(std::size_t replica) {
        return static_cast<NumbersNode*>(world.shard_object(nodes[replica]));
    }
    /// The replica that was told that it leads, in the greatest epoch; -1 when there is none.
    int leader();
    /// Asks the leader to append the next number; 0 when there is none.
    std::uint64_t append();
    bool acknowledged(std::uint64_t number) const { return ledger.acknowledged.contains(number); }
    /// Everything heals and is up: soon a number is acknowledged, and all replicas have all.
    bool settles(Duration limit);
    void check_logs();
    /// From all others, in both directions.
    void isolate(std::size_t replica);
    /// Names of its snapshots that count, ascending; what is being made too.
    std::vector<std::string> snapshots_of(std::size_t replica) const;
    /// The batches in a replica's log as its page cache has it.
    std::map<Offset, QuorumLedger::Batch> log_of(std::size_t replica) const;
    /// The same, of a copy of the file.
    static std::map<Offset, QuorumLedger::Batch> batches_in(ByteView file);

    QuorumLedger ledger;  // outlives the nodes
    sim::World world;
    std::vector<sim::NodeId> nodes;
    std::vector<Offset> ends;
    std::uint64_t numbers = 0;

  private:
    void look();
    void check_votes(LeaderEpoch epoch, BrokerId leader);
    void check_durable(Offset base);
    [[nodiscard]] bool majority(std::size_t count) const { return count > nodes.size() / 2; }
};

}  // namespace klamm::server::test
