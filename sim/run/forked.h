#pragma once
// Work in processes of its own: each job runs in a fork of this process and hands back a string.
// What a job does to memory, handlers or streams is gone with it; a job that dies or exceeds its
// limits is an answer like any other.
//
// Always: results come in the order in which jobs end, so who reports must order them by index;
// every child is reaped, also when the pool is destroyed early. SIGINT goes to the parent alone.
//
// Not here: what a job computes.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"

namespace klamm::sim {

struct ForkLimits {
    Duration cpu = seconds(120);  // rounded up to whole seconds
    Duration wall = seconds(900);
    std::size_t result_bytes_max = std::size_t{64} << 20;
};

enum class JobEnd : std::uint8_t {
    finished,   // `bytes` is what the job returned
    died,       // by a signal, an exit of its own, or it could not be started
    timed_out,  // it exceeded its CPU or wall limit
};

struct ForkedResult {
    std::uint64_t index = 0;
    JobEnd end = JobEnd::finished;
    std::string bytes;
    std::string complaint;  // how it ended, one sentence; empty when finished
    Duration cpu;           // user and system time of the child
};

/// Nanoseconds of a clock that only grows: of the world that runs us, never of a simulated one.
std::int64_t steady_now();

class ForkedJobs {
  public:
    /// At most `jobs` (at least 1) run at a time.
    explicit ForkedJobs(std::size_t jobs, ForkLimits limits = {});
    /// Kills and reaps what still runs.
    ~ForkedJobs();
    ForkedJobs(const ForkedJobs&) = delete;
    ForkedJobs& operator=(const ForkedJobs&) = delete;

    [[nodiscard]] bool full() const { return running_.size() + ready_.size() >= jobs_; }
    [[nodiscard]] bool idle() const { return running_.empty() && ready_.empty(); }
    /// Starts a job; not when full().
    void start(std::uint64_t index, const std::function<std::string()>& job);
    /// Forks here instead of calling a job: false in this process; true in the child, which goes on
    /// with whatever runs and ends by finish_here(). Not when full().
    bool fork_here(std::uint64_t index);
    /// Of a child made by fork_here: hands back its result and ends it.
    [[noreturn]] void finish_here(const std::string& bytes);
    /// Waits until a job has ended, at most about `patience`; nullopt then, and when idle().
    std::optional<ForkedResult> wait(Duration patience);

  private:
    struct Child {
        std::uint64_t index = 0;
        int pid = -1;
        int result_pipe = -1;  // -1 once it is at its end
        int error_pipe = -1;
        std::int64_t started_ns = 0;
        bool overdue = false;
        std::string result;
        std::string errors;  // the last bytes of its stderr
    };
    /// 0 in the child, else the parent's; a child that could not be made is in `ready_`.
    int begin(std::uint64_t index);
    void read_pipes(Duration patience);
    ForkedResult reap(Child& child);

    std::size_t jobs_;
    ForkLimits limits_;
    std::vector<Child> running_;
    std::vector<ForkedResult> ready_;  // of jobs that could not be started
    int result_here_ = -1;             // of a child made by fork_here
};

/// One job, waited for.
ForkedResult run_forked(const std::function<std::string()>& job, const ForkLimits& limits = {});

}  // namespace klamm::sim
