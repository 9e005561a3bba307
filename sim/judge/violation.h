#pragma once
// What the judge found red: an invariant of CONTRACT.md or a rule of its ledger, by id. Findings
// collects them; beyond its bound it keeps the first of each rule and counts the rest.

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "sim/judge/contract.h"

namespace klamm::sim {

struct Violation {
    std::string rule;  // ContractRule::id
    std::string sentence;
    Instant time;
    BrokerId node = no_broker;  // where it showed; no_broker when it is nobody's
};

class Findings {
  public:
    explicit Findings(std::size_t kept_max) : kept_max_(kept_max) {}

    void report(std::string rule, std::string sentence, Instant time, BrokerId node) {
        KLAMM_ASSERT(contract_knows(rule));
        ++total_;
        if (kept_.size() >= kept_max_ && has(rule)) return;
        kept_.push_back({std::move(rule), std::move(sentence), time, node});
    }
    /// What was told contradicts itself: the harness is wrong, not the node.
    void malformed(std::string sentence, Instant time, BrokerId node) {
        ++malformed_;
        report("malformed", std::move(sentence), time, node);
    }
    [[nodiscard]] const std::vector<Violation>& kept() const { return kept_; }
    [[nodiscard]] std::uint64_t total() const { return total_; }
    [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

  private:
    [[nodiscard]] bool has(const std::string& rule) const {
        return std::any_of(kept_.begin(), kept_.end(),
                           [&](const Violation& one) { return one.rule == rule; });
    }

    std::size_t kept_max_;
    std::vector<Violation> kept_;
    std::uint64_t total_ = 0;
    std::uint64_t malformed_ = 0;
};

}  // namespace klamm::sim
