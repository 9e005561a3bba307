#pragma once
// The contract as one table: every rule by which a run is judged, with the name under which a
// finding reports it, the sentence, a scenario that shows it holding, and what breaks it. The
// project's CONTRACT.md is written from it (`klamm contract`), a finding under any other name is
// refused (Findings::report), and tests run the scenarios with their plants.

#include <span>
#include <string>
#include <string_view>

namespace klamm::sim {

struct ContractRule {
    std::string_view clause;    // "I2", "Stranded", "O3", "Clients"
    std::string_view id;        // of a finding: "I2", "stranded", "LOST"; of a lawful loss: "O2"
    std::string_view sentence;  // what must hold; of O1 to O4: when a loss is lawful
    std::string_view scenario;  // under scenarios/, without .json: it shows the rule holding
    /// What shows it broken: the code of a plant, with which that scenario is red by this rule, or
    /// a ctest name: a test that hands the judge a history altered in the one thing.
    std::string_view broken_by;

    /// Whether `broken_by` is a plant.
    [[nodiscard]] bool by_plant() const { return broken_by.find(' ') == std::string_view::npos; }
};

/// In the order of CONTRACT.md.
std::span<const ContractRule> contract();

/// Whether a finding may have this name.
bool contract_knows(std::string_view id);

/// CONTRACT.md.
std::string contract_document();

}  // namespace klamm::sim
