#include "sim/run/forked.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "core/base/assert.h"

namespace klamm::sim {

namespace {

constexpr std::size_t errors_kept_bytes = 2000;

void write_all(int file, const std::string& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto count = ::write(file, bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) ::_exit(97);
        done += static_cast<std::size_t>(count);
    }
}

void become_child(const ForkLimits& limits, int error_pipe) {
    ::signal(SIGINT, SIG_IGN);
    for (const int signal : {SIGTERM, SIGABRT, SIGPIPE, SIGSEGV}) ::signal(signal, SIG_DFL);
    ::dup2(error_pipe, STDERR_FILENO);
    const auto whole = static_cast<rlim_t>((limits.cpu.nanoseconds + 999'999'999) / 1'000'000'000);
    const rlimit cpu{whole, whole + 5};
    ::setrlimit(RLIMIT_CPU, &cpu);
    const rlimit core{0, 0};
    ::setrlimit(RLIMIT_CORE, &core);
}

/// The rest of a child's life. An exception that leaves the job ends in std::terminate, hence
/// SIGABRT: it must never unwind into a copy of the parent's frames.
[[noreturn]] void live(const std::function<std::string()>& job, int result_pipe) noexcept {
    write_all(result_pipe, job());
    ::_exit(0);
}

/// Takes what is there; false at the end of the pipe.
bool drain(int file, std::string& into) {
    char piece[65536];
    while (true) {
        const auto count = ::read(file, piece, sizeof piece);
        if (count > 0) {
            into.append(piece, static_cast<std::size_t>(count));
            continue;
        }
        if (count < 0 && errno == EINTR) continue;
        return count < 0 && errno == EAGAIN;
    }
}

/// The last line that says something.
std::string last_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    const auto at = text.rfind('\n');
    return at == std::string::npos ? text : text.substr(at + 1);
}

void close_pipe(int& file) {
    if (file >= 0) ::close(file);
    file = -1;
}

}  // namespace

std::int64_t steady_now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

ForkedJobs::ForkedJobs(std::size_t jobs, ForkLimits limits)
    : jobs_(std::max<std::size_t>(jobs, 1)), limits_(limits) {}

ForkedJobs::~ForkedJobs() {
    for (Child& child : running_) {
        ::kill(child.pid, SIGKILL);
        (void)reap(child);
    }
}

int ForkedJobs::begin(std::uint64_t index) {
    KLAMM_ASSERT(!full());
    ForkedResult refused{
        .index = index, .end = JobEnd::died, .bytes = {}, .complaint = {}, .cpu = {}};
    int results[2];
    int errors[2];
    if (::pipe2(results, O_CLOEXEC) != 0) {
        refused.complaint = fmt::format("no pipe: {}", std::strerror(errno));
        ready_.push_back(std::move(refused));
        return -1;
    }
    if (::pipe2(errors, O_CLOEXEC) != 0) {
        refused.complaint = fmt::format("no pipe: {}", std::strerror(errno));
        ready_.push_back(std::move(refused));
        ::close(results[0]);
        ::close(results[1]);
        return -1;
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        become_child(limits_, errors[1]);
        result_here_ = results[1];
        return 0;
    }
    ::close(results[1]);
    ::close(errors[1]);
    if (pid < 0) {
        refused.complaint = fmt::format("no process: {}", std::strerror(errno));
        ready_.push_back(std::move(refused));
        ::close(results[0]);
        ::close(errors[0]);
        return pid;
    }
    ::fcntl(results[0], F_SETFL, O_NONBLOCK);
    ::fcntl(errors[0], F_SETFL, O_NONBLOCK);
    Child child;
    child.index = index;
    child.pid = pid;
    child.result_pipe = results[0];
    child.error_pipe = errors[0];
    child.started_ns = steady_now();
    running_.push_back(std::move(child));
    return pid;
}

void ForkedJobs::start(std::uint64_t index, const std::function<std::string()>& job) {
    if (begin(index) == 0) live(job, result_here_);
}

bool ForkedJobs::fork_here(std::uint64_t index) {
    if (begin(index) != 0) return false;
    running_.clear();  // they are the parent's
    return true;
}

void ForkedJobs::finish_here(const std::string& bytes) {
    KLAMM_ASSERT(result_here_ >= 0);
    write_all(result_here_, bytes);
    ::_exit(0);
}

void ForkedJobs::read_pipes(Duration patience) {
    std::vector<pollfd> waited;
    for (const Child& child : running_) {
        waited.push_back({child.result_pipe, POLLIN, 0});  // poll ignores a file of -1
        waited.push_back({child.error_pipe, POLLIN, 0});
    }
    if (::poll(waited.data(), waited.size(), static_cast<int>(patience.to_milliseconds())) < 0) {
        return;
    }
    for (std::size_t i = 0; i < running_.size(); ++i) {
        Child& child = running_[i];
        if (waited[2 * i].revents != 0 && !drain(child.result_pipe, child.result)) {
            close_pipe(child.result_pipe);
        }
        if (waited[2 * i + 1].revents != 0) {
            if (!drain(child.error_pipe, child.errors)) close_pipe(child.error_pipe);
            if (child.errors.size() > errors_kept_bytes) {
                child.errors.erase(0, child.errors.size() - errors_kept_bytes);
            }
        }
    }
}

std::optional<ForkedResult> ForkedJobs::wait(Duration patience) {
    if (!ready_.empty()) {
        ForkedResult result = std::move(ready_.back());
        ready_.pop_back();
        return result;
    }
    const std::int64_t until = steady_now() + patience.nanoseconds;
    while (!running_.empty()) {
        const std::int64_t left = until - steady_now();
        // Short naps, so that a wall limit is seen although nothing is written.
        read_pipes(std::clamp(nanoseconds(left), milliseconds(0), milliseconds(200)));
        for (std::size_t i = 0; i < running_.size(); ++i) {
            Child& child = running_[i];
            const bool late = steady_now() - child.started_ns > limits_.wall.nanoseconds;
            if (late || child.result.size() > limits_.result_bytes_max) {
                child.overdue = true;
                ::kill(child.pid, SIGKILL);
            }
            if (!child.overdue && child.result_pipe >= 0) continue;
            ForkedResult result = reap(child);
            running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
            return result;
        }
        if (left <= 0) return std::nullopt;
    }
    return std::nullopt;
}

ForkedResult ForkedJobs::reap(Child& child) {
    int status = 0;
    rusage usage{};
    while (::wait4(child.pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    if (child.error_pipe >= 0) drain(child.error_pipe, child.errors);
    close_pipe(child.result_pipe);
    close_pipe(child.error_pipe);
    ForkedResult result;
    result.index = child.index;
    for (const timeval& part : {usage.ru_utime, usage.ru_stime}) {
        result.cpu = result.cpu + seconds(part.tv_sec) + microseconds(part.tv_usec);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !child.overdue) {
        result.bytes = std::move(child.result);
        return result;
    }
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (child.overdue || signal == SIGXCPU) {
        result.end = JobEnd::timed_out;
        result.complaint = signal == SIGXCPU
                               ? fmt::format("the run took more than {} s of CPU time",
                                             limits_.cpu.nanoseconds / 1'000'000'000)
                               : "the run took too long, or said too much";
    } else {
        result.end = JobEnd::died;
        result.complaint =
            signal != 0 ? fmt::format("the run's process died by signal {} ({})", signal,
                                      ::strsignal(signal))
                        : fmt::format("the run's process ended with {}", WEXITSTATUS(status));
    }
    if (const std::string line = last_line(child.errors); !line.empty()) {
        result.complaint += ": " + line;
    }
    return result;
}

ForkedResult run_forked(const std::function<std::string()>& job, const ForkLimits& limits) {
    ForkedJobs jobs(1, limits);
    jobs.start(0, job);
    while (true) {
        if (auto result = jobs.wait(seconds(1))) return *std::move(result);
    }
}

}  // namespace klamm::sim
