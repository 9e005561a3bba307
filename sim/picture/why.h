#pragma once
// When a failure became likely: the run is forked at moments before it failed, and from each moment
// several futures are lived through, with the same plan and other draws (World::perturb): other
// delays, other durations, other luck with disks. How many of them fail is how likely the failure
// was by then. Moments are set evenly first, then ever closer where the share rises most.
//
// Always: the past of each branch is the run's own, event by event; faults and operations of the
// plan still come at their times. A branch fails when it is red, in any way, by the moment at which
// the run was, and a little more (WhyOptions::slack); what it would have come to later is another
// failure's story. A run that failed by liveness alone is lived to its end.
//
// A share is an estimate: of 16 branches, 8 failing means between a quarter and three quarters.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/picture/story.h"
#include "sim/run/plan.h"
#include "sim/run/run.h"

namespace klamm::sim {

struct WhyOptions {
    std::uint32_t branches = 16;     // from each moment
    std::uint32_t moments_max = 32;  // in all
    std::size_t jobs = 1;            // processes at a time
    Duration slack = seconds(1);     // after the run's failure, of virtual time
    std::function<void(const std::string&)> progress;
    std::function<bool()> stopped;  // true: what is known so far is the answer
};

struct WhyMoment {
    Instant at;
    std::uint64_t event = 0;  // the last one of the past that the branches share
    std::uint32_t branches = 0;
    std::uint32_t failed = 0;
    std::uint32_t undecided = 0;  // branches that came to no verdict; not among the others

    /// In a million.
    [[nodiscard]] std::int64_t share() const {
        return branches == 0 ? 0 : std::int64_t{1'000'000} * failed / branches;
    }
};

struct WhyResult {
    bool reproduced = false;  // else the run is not red, and there is nothing to explain
    std::string token;
    std::string finding;             // what the run failed by, one sentence
    Instant failure;                 // when it showed
    bool safety = true;              // else only liveness failed
    std::vector<WhyMoment> moments;  // ascending
    /// moments[rise] and the next have the greatest rise between them; moments.size() if none
    /// rises.
    std::size_t rise = 0;
    std::vector<TimelineEntry> between;  // what happened between those two, oldest first

    [[nodiscard]] bool rises() const { return rise + 1 < moments.size(); }
    [[nodiscard]] std::vector<Likelihood> likelihood() const;
};

WhyResult why(const RunPlan& plan, const WhyOptions& options = {});

/// The table of moments, and what happened where the share rises most.
std::string to_text(const WhyResult& result);

/// The interval of `moments` with the greatest rise of the share, the later one of equals; the size
/// of `moments` if the share never rises.
std::size_t greatest_rise(const std::vector<WhyMoment>& moments);

}  // namespace klamm::sim
