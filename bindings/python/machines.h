#pragma once
// A quorum of Raft replicas (bindings/rules/quorum_cluster.h) and a group coordinator
// (core/group/coordinator.h), from Python: the real values, and what may happen to them. States and
// answers are JSON. Throws Trouble (trouble.h).

#include <cstdint>
#include <memory>
#include <string>

namespace klamm::python {

struct QuorumSetup {
    std::int32_t replicas = 3;
    bool dynamic = false;      // voters can be added and removed (KIP-853)
    bool sync_logs = true;     // syncs return at once
    bool sync_states = true;   //
    bool find_leader = false;  // whoever knows no leader asks around
    std::uint64_t seed = 1;
    std::string plant;
};

class QuorumRules {
  public:
    explicit QuorumRules(const QuorumSetup& setup);
    ~QuorumRules();

    /// "deliver" and "lose" (a message by its place), "tick", "expire", "append", "sync_log",
    /// "sync_state", "kill", "restart", "snapshot", "resign", "shut_down", "add_voter",
    /// "remove_voter" (a replica), "power_off" (a replica, which keeps `keep` percent). False, and
    /// nothing, when it cannot happen.
    bool act(const std::string& verb, std::int32_t which, std::uint32_t keep);
    /// Delivers what there is and lets time go on, at most so many events.
    void settle(std::int32_t events);
    /// "violation", "leader", "committed", "network", "replicas".
    [[nodiscard]] std::string state() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

class GroupRules {
  public:
    /// `replicates`: what is appended is committed at once.
    GroupRules(std::int64_t initial_delay_ms, bool replicates);
    ~GroupRules();

    /// Hands in a command, {"join": {…}} and so on; gives the number under which it is answered.
    std::uint64_t ask(const std::string& command);
    /// What was answered since the last call: a list of {"ticket", "kind", "error", …}.
    std::string take_answers();
    void wait(std::int64_t nanoseconds);
    /// Commits all that is appended.
    void replicate();
    /// From now on appends fail with this error of Kafka's; none: they succeed.
    void fail_appends(std::int16_t error);
    /// Another coordinator takes over with what was committed, or with all that was appended.
    void fail_over(bool keeps_all);
    /// "groups" (in mind), "offsets" (committed), "log_end", "high_watermark".
    [[nodiscard]] std::string state() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace klamm::python
