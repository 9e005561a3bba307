// Counts in words and as JSON, and the verdict.
#include "sim/judge/counts.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/base/assert.h"

namespace klamm::sim {

namespace {

auto rows(const RunCounts& counts) {
    return std::array{
        std::pair{"facts", counts.facts},
        std::pair{"elections", counts.elections},
        std::pair{"elections_unclean", counts.elections_unclean},
        std::pair{"elections_last_known", counts.elections_last_known},
        std::pair{"isr_changes", counts.isr_changes},
        std::pair{"faults", counts.faults},
        std::pair{"kills", counts.kills},
        std::pair{"power_losses", counts.power_losses},
        std::pair{"starts", counts.starts},
        std::pair{"wipes", counts.wipes},
        std::pair{"directories_offline", counts.directories_offline},
        std::pair{"batches_appended", counts.batches_appended},
        std::pair{"batches_acked", counts.batches_acked},
        std::pair{"batches_acked_all", counts.batches_acked_all},
        std::pair{"duplicates_answered", counts.duplicates_answered},
        std::pair{"truncations", counts.truncations},
        std::pair{"recoveries", counts.recoveries},
        std::pair{"high_watermark_moves", counts.high_watermark_moves},
        std::pair{"sends", counts.sends},
        std::pair{"polls", counts.polls},
        std::pair{"records_read", counts.records_read},
        std::pair{"quorum_elections", counts.quorum_elections},
        std::pair{"group_assignments", counts.group_assignments},
        std::pair{"group_commits", counts.group_commits},
        std::pair{"group_reads", counts.group_reads},
    };
}

}  // namespace

const char* to_string(Verdict verdict) {
    switch (verdict) {
        case Verdict::passed: return "passed";
        case Verdict::safety: return "safety";
        case Verdict::liveness: return "liveness";
        case Verdict::crash: return "crash";
        case Verdict::harness_error: return "harness error";
        case Verdict::usage: return "usage";
    }
    KLAMM_UNREACHABLE();
}

std::string harness_complaint(const RunOutcome& outcome) {
    if (outcome.malformed > 0) return "the history or the facts contradict themselves";
    if (outcome.faults_asked && outcome.counts.faults == 0) {
        return "no fault was fired though asked for";
    }
    if (outcome.counts.batches_acked == 0) return "nothing was acknowledged";
    if (outcome.counts.elections == 0) return "nobody was elected";
    if (outcome.groups_asked && outcome.counts.group_commits == 0)
        return "no member of a group had a commit acknowledged";
    return {};
}

Verdict verdict_of(const RunOutcome& outcome) {
    if (outcome.crashed) return Verdict::crash;
    if (outcome.violations > outcome.malformed || outcome.forbidden > 0) return Verdict::safety;
    if (outcome.liveness_failures > 0) return Verdict::liveness;
    if (!harness_complaint(outcome).empty()) return Verdict::harness_error;
    return Verdict::passed;
}

nlohmann::json to_json(const RunCounts& counts) {
    nlohmann::json out = nlohmann::json::object();
    for (const auto& [name, count] : rows(counts)) out[name] = count;
    return out;
}

std::string to_text(const RunCounts& counts) {
    std::string out;
    for (const auto& [name, count] : rows(counts)) {
        const std::string_view word = name;
        const bool some_runs = word == "quorum_elections" || word.starts_with("group_");
        if (!some_runs || count > 0) out += fmt::format("{:<21} {}\n", name, count);
    }
    return out;
}

}  // namespace klamm::sim
