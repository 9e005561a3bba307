#pragma once
// What is remembered of a run to hold it against what its scenario expects.

#include <optional>
#include <string>
#include <vector>

#include "sim/run/availability.h"
#include "sim/run/run.h"
#include "sim/scenario/matching.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

class Record {
  public:
    Record(const Scenario& scenario, Cast& cast);

    void on_fact(NodeId node, Instant time, const facts::Fact& fact, bool healed);
    void on_word(NodeId node, std::string_view word, Instant time);
    void on_healing(Instant time);

    /// Adds to `wrong` what is not as expected, one sentence each, and to the result's script what
    /// a reader of the report wants to know.
    void finish(RunResult& result, std::vector<std::string>& wrong) const;

  private:
    struct Watched {
        const Moment* moment;
        std::uint32_t seen = 0;
        std::optional<Instant> came;  // the nth
    };
    template <class Fits>
    void watch(Instant time, Fits fits);

    const Scenario& scenario_;
    Cast& cast_;
    Watched goal_;
    std::vector<Watched> reached_;
    std::vector<Watched> never_;
    Availability availability_;
};

}  // namespace klamm::sim
