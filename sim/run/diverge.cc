#include "sim/run/diverge.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "sim/run/forked.h"
#include "sim/run/run.h"
#include "sim/run/token.h"

extern char** environ;

namespace klamm::sim {

namespace {

constexpr int attempts_max = 3;

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + '\n';
    return text;
}

/// What a program prints; its exit status is its verdict on the run and says nothing here.
Result<std::string> output_of(const std::vector<std::string>& words) {
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) return Error{Failure::io, std::strerror(errno)};
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    pid_t pid = -1;
    const int error =
        ::posix_spawn(&pid, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    std::string text;
    char piece[65536];
    while (error == 0) {
        const auto count = ::read(pipe[0], piece, sizeof piece);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        text.append(piece, static_cast<std::size_t>(count));
    }
    ::close(pipe[0]);
    if (error != 0) {
        return Error{Failure::io, fmt::format("{}: {}", words[0], std::strerror(error))};
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        return Error{Failure::io, fmt::format("{}: died by signal {}", words[0], WTERMSIG(status))};
    }
    return text;
}

Result<std::string> forked_text(const std::function<std::string()>& job) {
    ForkedResult result = run_forked(job);
    if (result.end != JobEnd::finished) return Error{Failure::io, result.complaint};
    return std::move(result.bytes);
}

template <class Number>
bool take_number(std::string_view& text, int base, Number& out) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

/// The first place where the two lists differ; their length if one begins with the other and they
/// are as long.
template <class T>
std::size_t first_difference(const std::vector<T>& one, const std::vector<T>& other) {
    const auto length = std::min(one.size(), other.size());
    for (std::size_t i = 0; i < length; ++i) {
        if (one[i] != other[i]) return i;
    }
    return length;
}

}  // namespace

std::string checkpoints_text(const std::vector<Checkpoint>& checkpoints) {
    std::string text;
    for (std::size_t i = 0; i < checkpoints.size(); ++i) {
        text += fmt::format("{} {} {:016x}\n", i + 1 < checkpoints.size() ? "checkpoint" : "end",
                            checkpoints[i].event, checkpoints[i].hash);
    }
    return text;
}

Result<std::vector<Checkpoint>> checkpoints_from_text(std::string_view text) {
    std::vector<Checkpoint> checkpoints;
    for (const std::string& line : lines_of(text)) {
        std::string_view rest = line;
        const bool end = rest.starts_with("end ");
        if (!end && !rest.starts_with("checkpoint ")) continue;
        rest.remove_prefix(rest.find(' '));
        Checkpoint one{};
        if (!take_number(rest, 10, one.event) || !take_number(rest, 16, one.hash) ||
            !rest.empty()) {
            return Error{Failure::invalid, fmt::format("not a checkpoint: {}", line)};
        }
        checkpoints.push_back(one);
        if (end) return checkpoints;
    }
    return Error{Failure::invalid, "no line tells the end of the run"};
}

std::vector<Checkpoint> checkpoints_of(const RunPlan& plan) {
    RunResult result = run_plan(plan);
    result.checkpoints.push_back({result.events, result.hash});
    return std::move(result.checkpoints);
}

std::vector<std::string> events_of(const RunPlan& plan, std::uint64_t from, std::uint64_t to) {
    std::vector<std::string> lines;
    RunHooks hooks;
    hooks.event_sink = [&](const EventRecord& record) {
        if (record.number >= from && record.number <= to) lines.push_back(to_string(record));
    };
    (void)run_plan(plan, hooks);
    return lines;
}

DivergeSide side_of_plan(std::string name, const RunPlan& plan) {
    DivergeSide side;
    side.name = std::move(name);
    side.checkpoints = [plan]() -> Result<std::vector<Checkpoint>> {
        auto text = forked_text([&] { return checkpoints_text(checkpoints_of(plan)); });
        if (!text) return text.error();
        return checkpoints_from_text(*text);
    };
    side.events = [plan](std::uint64_t from, std::uint64_t to) -> Result<std::vector<std::string>> {
        auto text = forked_text([&] { return joined(events_of(plan, from, to)); });
        if (!text) return text.error();
        return lines_of(*text);
    };
    return side;
}

DivergeSide side_of_binary(const std::string& binary, const std::string& token) {
    DivergeSide side;
    side.name = binary;
    side.checkpoints = [=]() -> Result<std::vector<Checkpoint>> {
        auto text = output_of({binary, "replay", token, "--checkpoints"});
        if (!text) return text.error();
        auto checkpoints = checkpoints_from_text(*text);
        if (!checkpoints) {
            return Error{Failure::invalid, fmt::format("{}: {}", binary, checkpoints.error().text)};
        }
        return checkpoints;
    };
    side.events = [=](std::uint64_t from, std::uint64_t to) -> Result<std::vector<std::string>> {
        auto text =
            output_of({binary, "replay", token, "--events", fmt::format("{}-{}", from, to)});
        if (!text) return text.error();
        std::vector<std::string> lines = lines_of(*text);
        std::erase_if(lines, [](const std::string& line) { return !line.starts_with('#'); });
        return lines;
    };
    return side;
}

Result<Divergence> diverge(const DivergeSide& one, const DivergeSide& other) {
    Divergence answer;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        const auto first = one.checkpoints();
        if (!first) return first.error();
        const auto second = other.checkpoints();
        if (!second) return second.error();
        if (first->empty() || second->empty()) {
            return Error{Failure::invalid, "a side told no checkpoint"};
        }
        if (*first == *second) {
            answer.equal = true;
            answer.events = first->back().event;
            answer.hash = first->back().hash;
            return answer;
        }
        const std::size_t at = first_difference(*first, *second);
        const std::uint64_t from = at == 0 ? 1 : (*first)[at - 1].event;
        const std::uint64_t to = std::max(at < first->size() ? (*first)[at].event : from,
                                          at < second->size() ? (*second)[at].event : from);
        const auto here = one.events(from, to);
        if (!here) return here.error();
        const auto there = other.events(from, to);
        if (!there) return there.error();
        const std::size_t differs = first_difference(*here, *there);
        if (differs == here->size() && differs == there->size()) continue;
        const auto line = [&](const std::vector<std::string>& lines) {
            return differs < lines.size() ? lines[differs] : "(the run has ended)";
        };
        answer.event = from + differs;
        answer.one = line(*here);
        answer.other = line(*there);
        if (differs > 0) answer.before = (*here)[differs - 1];
        return answer;
    }
    return Error{Failure::invalid,
                 fmt::format("{} and {} differ, but never at the same event: at least one of them "
                             "differs from itself",
                             one.name, other.name)};
}

}  // namespace klamm::sim
