#pragma once
// One run, phase by phase: a cluster under a judge and a storm, driven to any moment, healed, read
// back and judged. run.cc drives one by a plan; somebody outside (bindings/python) can drive one
// step by step.
//
// Always: what happens is a function of the plan and of the calls made here; once finish() was
// called, nothing more is.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/judge/judge.h"
#include "sim/run/cluster.h"
#include "sim/run/listener.h"
#include "sim/run/run.h"
#include "sim/run/storm.h"

namespace klamm::sim {

class Session {
  public:
    /// The plan, the hooks and the director outlive the session.
    Session(const RunPlan& plan, const RunHooks& hooks, Director* director = nullptr);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] Stage stage() { return {cluster_, storm_, judge_, listener_}; }
    [[nodiscard]] World& world() { return cluster_.world(); }

    /// Puts the plan's faults into the calendar and starts the cluster.
    void begin();
    /// False when the run must end: enough was seen, or the world has ended. Stops before `end`
    /// when `done`, asked after each event, holds.
    bool run_to(Instant end, const std::function<bool()>& done = {});
    /// Ends all trouble and starts every broker; faults may fall again afterwards.
    void mend();
    /// Every partition has a leader that runs, a full ISR, and its high watermark at its log end.
    [[nodiscard]] bool well();
    /// What is not well with a partition; empty when all is.
    [[nodiscard]] std::string ailment(const TopicPartition& which);
    /// The faults are over for good: waits until all is well, ends the clients and reads everything
    /// back. False where that came to nothing; finish() says why.
    bool heal_and_read();
    /// The verdict. `read_to_end`: what heal_and_read() said.
    RunResult finish(bool read_to_end);

  private:
    template <class Done>
    bool wait(Instant limit, Done done);
    std::vector<std::uint32_t> choose_left_down();
    [[nodiscard]] bool down(std::size_t broker) const;
    std::string still_ill();
    void complain(std::string sentence);
    bool give_up(const char* what);
    void check_harness(bool read_to_end);

    const RunPlan& plan_;
    const RunHooks& hooks_;
    Director* director_;
    RunResult result_;
    Cluster cluster_;
    Judge judge_;
    Listener listener_;
    Storm storm_;
    std::vector<std::uint32_t> left_down_;
    bool halted_ = false;
    bool healing_ = false;
    bool writing_on_ = false;
    /// The log ends that watermarks have to reach while producers write on, by leader epoch.
    std::map<std::pair<TopicPartition, LeaderEpoch>, Offset> goals_;
};

}  // namespace klamm::sim
