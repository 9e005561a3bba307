#pragma once
// Steps, deeds and moments of a file that has the right form already.

#include <set>
#include <string>

#include "sim/scenario/located_json.h"
#include "sim/scenario/scenario.h"

namespace klamm::sim {

/// What is wrong beyond the form; thrown and caught within this folder.
struct ParseError {
    std::size_t line = 0;
    std::string sentence;
};

/// The text of an option's value, as a properties file would have it.
std::string option_text(const Located& value);

/// Reads steps in the order of the story: a step may use the names that earlier ones gave.
class StepReader {
  public:
    explicit StepReader(const Scenario& scenario) : scenario_(scenario) {}

    Step step(const Located& from);
    ByChance chance(const Located& from);
    [[nodiscard]] Moment moment(const Located& from) const;
    [[nodiscard]] Whos whos(const Located& from) const;

  private:
    Deed deed(const Located& from, bool by_chance);
    void cut(const Located& from, Deed& deed) const;
    void disk(const Located& from, Deed& deed) const;
    void links(const Located& from, Deed& deed) const;
    void request(const Located& from, Deed& deed) const;
    void site(const Located& from, Deed& deed) const;
    void changed(const Located& from, Deed& deed) const;
    void clock(const Located& from, Deed& deed) const;
    void configure(const Located& from, Deed& deed) const;
    [[nodiscard]] Who who(const Located& from) const;
    [[nodiscard]] std::int32_t partition(const Located& from) const;

    const Scenario& scenario_;
    std::set<std::string> names_;
};

}  // namespace klamm::sim
