// Work in processes of its own: what comes back of jobs that end well, die or take too long.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "sim/run/forked.h"

using namespace klamm;
using namespace klamm::sim;

TEST_CASE("forked: a job's string comes back whole, however long") {
    const std::string text(3'000'000, 'x');
    const ForkedResult result = run_forked([&] { return text; });
    REQUIRE(result.end == JobEnd::finished);
    REQUIRE(result.bytes == text);
    REQUIRE(result.complaint.empty());
}

TEST_CASE("forked: what a job changes is gone with it") {
    int value = 1;
    const ForkedResult result = run_forked([&] {
        value = 2;
        return std::to_string(value);
    });
    REQUIRE(result.bytes == "2");
    REQUIRE(value == 1);
}

TEST_CASE("forked: a job that dies by a signal says which, and its last words") {
    const ForkedResult result = run_forked([]() -> std::string {
        std::fputs("first\nlast words\n", stderr);
        ::raise(SIGKILL);
        return "never";
    });
    REQUIRE(result.end == JobEnd::died);
    REQUIRE(result.complaint.find("signal 9") != std::string::npos);
    REQUIRE(result.complaint.ends_with(": last words"));
}

TEST_CASE("forked: a job that exits by itself has not finished") {
    const ForkedResult result = run_forked([]() -> std::string { ::_exit(3); });
    REQUIRE(result.end == JobEnd::died);
    REQUIRE(result.complaint == "the run's process ended with 3");
}

TEST_CASE("forked: a job past its wall limit is stopped") {
    ForkLimits limits;
    limits.wall = milliseconds(50);
    const ForkedResult result = run_forked(
        []() -> std::string {
            ::pause();
            return {};
        },
        limits);
    REQUIRE(result.end == JobEnd::timed_out);
}

TEST_CASE("forked: a job past its CPU limit is stopped") {
    ForkLimits limits;
    limits.cpu = seconds(1);
    const ForkedResult result = run_forked(
        []() -> std::string {
            volatile bool forever = true;
            while (forever) {
            }
            return {};
        },
        limits);
    REQUIRE(result.end == JobEnd::timed_out);
    REQUIRE(result.cpu >= milliseconds(900));
}

TEST_CASE("forked: several jobs run at a time and each result has its index") {
    ForkedJobs jobs(3);
    std::map<std::uint64_t, std::string> results;
    std::uint64_t next = 0;
    while (next < 20 || !jobs.idle()) {
        if (next < 20 && !jobs.full()) {
            jobs.start(next, [next] { return std::to_string(next * next); });
            ++next;
            continue;
        }
        const auto result = jobs.wait(seconds(10));
        REQUIRE(result);
        results[result->index] = result->bytes;
    }
    REQUIRE(results.size() == 20);
    for (const auto& [index, bytes] : results) REQUIRE(bytes == std::to_string(index * index));
}

TEST_CASE("forked: a child made in the middle of work goes on from there") {
    ForkedJobs jobs(3);
    int value = 1;
    for (std::uint64_t i = 0; i < 3; ++i) {
        ++value;
        if (!jobs.fork_here(i)) continue;
        for (int k = 0; k < 10; ++k) value *= 2;
        jobs.finish_here(std::to_string(value));
    }
    std::map<std::uint64_t, std::string> results;
    while (!jobs.idle()) {
        if (const auto result = jobs.wait(seconds(1))) {
            REQUIRE(result->end == JobEnd::finished);
            results[result->index] = result->bytes;
        }
    }
    REQUIRE(value == 4);
    REQUIRE(results == std::map<std::uint64_t, std::string>{{0, "2048"}, {1, "3072"}, {2, "4096"}});
}
