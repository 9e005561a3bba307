#pragma once
// Lets the faults of a plan fall, and brings nodes up again. A fault counts as fired when it hit
// something: a reset that found a connection, a kill that found a process. What falls depends on
// the plan and the state of the world alone.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sim/run/conditions.h"
#include "sim/run/disk_troubles.h"
#include "sim/run/listener.h"
#include "sim/run/request_rules.h"
#include "sim/run/run.h"

namespace klamm::sim {

class Storm final : public CrashWatch {
  public:
    Storm(Cluster& cluster, Judge& judge, Listener& listener, const RunPlan& plan,
          const RunHooks& hooks, RunResult& result);

    /// Puts all faults into the world's calendar.
    void begin();
    /// Lets this fault fall now; it must live as long as the storm. Whether it hit something.
    bool fall(const FaultEvent& fault);
    /// Keeps what the disk of the fault's target holds now, for its rollback.
    void remember(const FaultEvent& fault) { disks_.remember(fault); }
    /// Ends what this fault did, before its time.
    void end(const FaultEvent& fault);
    using Pairs = std::vector<std::pair<NodeId, NodeId>>;  // from, to
    /// Cuts these links, as the fault's doing; each is mended by itself.
    void cut(const FaultEvent& fault, const Pairs& pairs);
    void mend(const Pairs& pairs);
    /// Counts a fault that somebody else has brought about.
    void struck(const FaultEvent& fault) { fired(fault, true); }
    /// Rules about requests; they read along once they are told to watch.
    [[nodiscard]] RequestRules& requests() { return requests_; }
    /// Of what shows only later whether it hit something: it is counted now, or never.
    void settle();
    /// Starts a broker, or a controller, that is down, before its time.
    void start(std::size_t broker);
    /// Ends all conditions and starts every broker that is not in `left_down`; those die, for good.
    void heal(const std::vector<std::uint32_t>& left_down);
    /// After a healing: faults may fall again. Those that fell before it are over.
    void go_on();

    FaultId crashed(std::size_t broker, CrashKind kind, bool damaged) override;
    void stopped(std::size_t broker, int status) override;
    FaultId went_astray(std::size_t broker) override;
    void committed(const facts::PartitionCommitted& fact) override;
    [[nodiscard]] FaultId disk_fault(std::size_t broker) const override;

  private:
    struct Broker {
        const FaultEvent* armed = nullptr;  // kill_in_turn that waits for its turn
        const FaultEvent* asked = nullptr;  // clean_restart under way
        Instant down_until;
        FaultId disk_fault = fault_none;  // the latest
        bool held = false;                // stays down
    };

    /// Whether it hit something at once.
    bool strike(const FaultEvent& fault);
    bool strike_process(const FaultEvent& fault);
    bool strike_power(const FaultEvent& fault);
    bool strike_cut(const FaultEvent& fault);
    bool strike_connection(const FaultEvent& fault);
    bool strike_condition(const FaultEvent& fault);
    bool strike_disk(const FaultEvent& fault);
    void end_swap(const FaultEvent& fault);
    // storm_edge.cc
    bool strike_site(const FaultEvent& fault);
    void end_site(const FaultEvent& fault);
    bool strike_swizzled(const FaultEvent& fault);
    bool strike_client(const FaultEvent& fault);
    bool strike_request(const FaultEvent& fault);
    bool strike_address(const FaultEvent& fault);
    void change_options(const FaultEvent& fault);
    bool strike_copies(const FaultEvent& fault);
    void attack(const FaultEvent& cause, std::uint32_t nth, std::uint32_t survivor);
    [[nodiscard]] bool over(const FaultEvent& fault) const {
        return healed_ || fault.at < over_before_;
    }
    void fired(const FaultEvent& fault, bool tell_judge);
    /// Of a fault that an administrator brings about: who decides is asked.
    bool ask(const FaultEvent& fault);
    /// The pairs that a cut affects, each in both directions unless it is one-way.
    [[nodiscard]] std::vector<std::pair<NodeId, NodeId>> pairs_of(const FaultEvent& fault) const;
    void start_later(std::size_t broker, Duration after);
    [[nodiscard]] NodeId node(std::size_t target) const { return cluster_.node_of(target); }
    [[nodiscard]] World& world() { return cluster_.world(); }

    Cluster& cluster_;
    Judge& judge_;
    Listener& listener_;
    const RunPlan& plan_;
    const RunHooks& hooks_;
    RunResult& result_;
    Conditions conditions_;
    DiskTroubles disks_;
    RequestRules requests_;
    std::map<std::size_t, Broker> brokers_;     // and controllers of a quorum, by target
    const FaultEvent* current_ = nullptr;       // that kills or cuts power at this moment
    std::set<std::size_t> power_hit_;           // by the current one
    std::vector<const FaultEvent*> moves_due_;  // scripted ones that may be answered by a record
    struct SiteAtWork {
        const FaultEvent* fault;
        std::uint64_t taken_before;
    };
    std::vector<SiteAtWork> sites_;
    std::deque<FaultEvent>
        attacks_;  // that other faults have led to; they live as long as the storm
    bool healed_ = false;
    bool members_begun_ = false;
    Instant over_before_;  // faults older than that have ended
};

}  // namespace klamm::sim
