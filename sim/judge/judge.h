#pragma once
// The judge: is told every fact and every physical truth of a run, in the order in which they
// happened, and answers with violations, the bill, the counts and the clients' history. It holds
// the ledger (what was promised, CONTRACT.md), the monitors (I1 to I3, I5 to I8, I10) and the log
// checker of the clients' history, and tells the latter which losses the ledger has permitted.
//
// Always: judging costs what the fact touched, never a walk over the log; nothing that is iterated
// is ordered by hash or address; the judge changes nothing in the world.
//
// The caller tells on_kill/on_power_loss at the moment of the crash and before any fact of the next
// incarnation. Facts of a turn that is cut short may be told; writes of that turn that were cut are
// told as damage. Facts of a node are told with that node's id; facts of clients (SendInvoked …
// LatestInvoked) with the client's.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "checkers/history.h"
#include "checkers/log_checker.h"
#include "core/base/facts.h"
#include "core/base/slips.h"
#include "core/base/time.h"
#include "sim/judge/bill.h"
#include "sim/judge/counts.h"
#include "sim/judge/damage.h"
#include "sim/judge/violation.h"

namespace klamm::sim {

/// A physical truth as the judge was told it. With the facts it is all that the bill rests on.
struct Truth {
    Instant time;
    const char* what = "";  // "kill", "power", "rot", "image", "rollback", "lost", "wipe", "stop",
                            // "start", "offline"
    BrokerId node = no_broker;
    FaultId fault = fault_none;
    std::span<const Damage> damages;
    std::span<const UndoneTruncate> undone;
    std::span<const TopicPartition> lost;
};

struct JudgeOptions {
    checkers::Options history;          // for the log checker
    bool keep_history = false;          // keep the clients' events for export
    std::string topic = "trial";        // the name that sentences print
    std::size_t violations_max = 1000;  // beyond it the first of each rule is kept
    TopicPartition metadata;            // the metadata log's
    std::vector<BrokerId> voters;       // of the quorum; none: there is no quorum
    /// The partition of offsets_topic (groups.h) that a group is kept in; none: no groups.
    std::function<TopicPartition(const std::string& group)> home;
    Slip slip = Slip::none;  // for tests of the harness; history.slip goes to the checker
    std::function<void(const Truth&)> truth_sink;  // for the trace
};

class Judge {
  public:
    explicit Judge(JudgeOptions options = {});
    ~Judge();
    Judge(const Judge&) = delete;
    Judge& operator=(const Judge&) = delete;

    /// A node or client stated a fact. Returns whether something red was found by it.
    bool on_fact(Instant now, BrokerId node, std::uint64_t incarnation, const facts::Fact& fact);

    /// The process died; its page cache lives on. `cut` says which writes of its last turn did not
    /// happen, in full or in part.
    void on_kill(Instant now, BrokerId node, FaultId fault, std::span<const Damage> cut = {});
    /// The machine lost power: process and page cache are gone.
    void on_power_loss(Instant now, BrokerId node, FaultId fault, std::span<const Damage> damage,
                       std::span<const UndoneTruncate> undone = {});
    /// Bytes at rest went bad under a running or stopped node.
    void on_rot(Instant now, BrokerId node, FaultId fault, std::span<const Damage> damage);
    /// The node cut a file to `length` bytes while those up to `end` waited to be sent from it.
    void on_range_cut(Instant now, BrokerId node, std::string_view path, std::uint64_t length,
                      std::uint64_t end);
    /// Somebody has taken an image of the node's disk.
    void on_image(BrokerId node, FaultId image);
    /// The node's disk is as it was at that image. Its process has been killed before.
    void on_rollback(Instant now, BrokerId node, FaultId image);
    /// All files of these partitions are gone from the node. Its process has been killed before.
    void on_lost(Instant now, BrokerId node, FaultId fault, std::span<const TopicPartition> lost);
    /// The process ended by itself: unproven until it registers with proof of a clean stop.
    void on_stop(Instant now, BrokerId node);
    void on_start(Instant now, BrokerId node, std::uint64_t incarnation);
    /// All files of the node are gone.
    void on_wipe(Instant now, BrokerId node, FaultId fault);
    /// The node's log directory is offline: its replicas may lawfully lose their places.
    void on_directory_offline(Instant now, BrokerId node, FaultId fault);
    /// A fault of any other kind (network, clock, pause, disk errors), for the counts.
    void on_fault(Instant now, FaultId fault);
    /// Decisions of controllers that have come to be committed, as the facts of the metadata that
    /// they are: in its order, to be told as any other, by whoever saw it first.
    [[nodiscard]] std::vector<facts::Fact> take_decided();

    /// Clients now make their final reads.
    void on_final_reads(Instant now);

    /// Checks the invariants in full: O(batches). For checkpoints.
    void check_all(Instant now);
    /// The run is over: what only the end can show, and the sums of the bill. Call once.
    /// `read_to_end`: clients have made their final reads in full. If not (nobody may lead, or the
    /// run was cut), records that were not read are not missed.
    void finish(Instant now, bool read_to_end = true);

    [[nodiscard]] const std::vector<Violation>& violations() const;
    /// Red findings in all, those past violations_max and those of the log checker included.
    [[nodiscard]] std::uint64_t violations_total() const;
    [[nodiscard]] const Bill& bill() const;
    [[nodiscard]] const RunCounts& counts() const;
    [[nodiscard]] const checkers::LogChecker& history_checker() const;
    [[nodiscard]] const checkers::History& history() const;
    /// Contradictions in what the judge was told: the harness is wrong, not the node.
    [[nodiscard]] std::uint64_t malformed() const;

    /// Whether some replica that may lead holds every promised record of the partition: false is
    /// excuse E1 of liveness, as long as unclean election is off.
    [[nodiscard]] bool good_candidate(const TopicPartition& partition) const;

    /// The replicas that may lead, hold every promised record, and have not stopped without proof
    /// since they were admitted.
    [[nodiscard]] std::vector<BrokerId> good_candidates(const TopicPartition& partition) const;

    /// A verdict_of() input with everything that this judge knows.
    [[nodiscard]] RunOutcome outcome(bool faults_asked, std::uint64_t liveness_failures,
                                     bool crashed) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace klamm::sim
