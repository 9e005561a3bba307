#include "sim/run/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <variant>

#include "checkers/violation.h"
#include "sim/run/availability.h"
#include "sim/run/token.h"

namespace klamm::sim {

namespace {

using cbor = nlohmann::json;

/// The counters that go through the pipe, in one order for both directions.
template <class Counts, class Visit>
void each_count(Counts& counts, const Visit& visit) {
    for (auto* count : {&counts.facts,
                        &counts.elections,
                        &counts.elections_unclean,
                        &counts.elections_last_known,
                        &counts.isr_changes,
                        &counts.kills,
                        &counts.power_losses,
                        &counts.starts,
                        &counts.wipes,
                        &counts.directories_offline,
                        &counts.faults,
                        &counts.batches_appended,
                        &counts.batches_acked,
                        &counts.batches_acked_all,
                        &counts.duplicates_answered,
                        &counts.truncations,
                        &counts.recoveries,
                        &counts.high_watermark_moves,
                        &counts.sends,
                        &counts.polls,
                        &counts.records_read,
                        &counts.quorum_elections,
                        &counts.group_assignments,
                        &counts.group_commits,
                        &counts.group_reads}) {
        visit(*count);
    }
}

void add_finding(Trial& trial, std::string rule, const std::string& sentence,
                 Instant at = instant_never) {
    if (!trial.shows(rule)) trial.findings.push_back({std::move(rule), sentence, at});
}

/// The client whose node this is: names of clients end in their number.
std::optional<std::uint32_t> client_of_node(const std::string& node) {
    std::uint32_t client = 0;
    const auto dash = node.rfind('-');
    if (dash == std::string::npos) return std::nullopt;
    const char* end = node.data() + node.size();
    const auto parsed = std::from_chars(node.data() + dash + 1, end, client);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
    return client;
}

/// Collects which operations began. Producers' facts count records, `records_max` numbers an
/// operation.
class OperationLog {
  public:
    explicit OperationLog(const RunPlan& plan) {
        for (const auto& producer : plan.workload.producers) {
            records_max_[producer.client] = std::max<std::uint32_t>(producer.records_max, 1);
        }
        for (const auto& consumer : plan.workload.consumers) consumers_.insert(consumer.client);
    }
    void take(Instant at, const std::string& node, const facts::Fact& fact) {
        if (const auto* send = std::get_if<facts::SendInvoked>(&fact)) {
            const auto client = static_cast<std::uint32_t>(send->value >> 32);
            const auto found = records_max_.find(client);
            if (found == records_max_.end()) return;  // a probe
            add(at, client, static_cast<std::uint32_t>(send->operation / found->second));
        } else if (const auto* poll = std::get_if<facts::PollInvoked>(&fact)) {
            add_read(at, node, poll->operation);
        } else if (const auto* latest = std::get_if<facts::LatestInvoked>(&fact)) {
            add_read(at, node, latest->operation);
        }
    }
    std::vector<TrialOperation> operations;

  private:
    void add(Instant at, std::uint32_t client, std::uint32_t operation) {
        if (begun_.insert({client, operation}).second)
            operations.push_back({at, client, operation});
    }
    void add_read(Instant at, const std::string& node, std::uint64_t operation) {
        const auto client = client_of_node(node);
        if (client && consumers_.contains(*client)) {
            add(at, *client, static_cast<std::uint32_t>(operation));
        }
    }

    std::map<std::uint32_t, std::uint32_t> records_max_;
    std::set<std::uint32_t> consumers_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> begun_;
};

}  // namespace

bool Trial::shows(const std::string& rule) const {
    return std::any_of(findings.begin(), findings.end(),
                       [&](const TrialFinding& finding) { return finding.rule == rule; });
}

std::string Trial::sentence() const {
    if (!findings.empty()) return findings.front().rule + ": " + findings.front().sentence;
    return complaint.empty() ? to_string(verdict) : complaint;
}

Trial run_trial(const RunPlan& plan, const TrialOptions& options) {
    OperationLog log(plan);
    RunHooks hooks;
    Availability availability(true);
    const Instant healing = Instant{} + plan.safety;
    if (options.operations || options.unavailable) {
        hooks.fact_sink = [&](Instant at, const std::string& node, const facts::Fact& fact) {
            if (options.operations) log.take(at, node, fact);
            if (options.unavailable && at < healing) availability.on_fact(at, fact);
        };
    }
    RunResult result = run_plan(plan, hooks);
    Trial trial;
    trial.seed = plan.seed;
    trial.token = to_token(plan);
    trial.verdict = result.verdict;
    if (result.ended) {
        add_finding(trial,
                    fmt::format("crash: {} at {}:{}", result.ended->condition, result.ended->file,
                                result.ended->line),
                    fmt::format("an assertion failed at {}",
                                checkers::seconds_text(result.ended->time.nanoseconds)));
    }
    for (const Violation& violation : result.violations) {
        add_finding(trial, violation.rule, violation.sentence, violation.time);
    }
    for (const std::string& failure : result.liveness_failures) {
        add_finding(trial, "liveness", failure);
    }
    trial.complaint = result.complaint;
    trial.first_violation = result.first_violation;
    trial.hash = result.hash;
    trial.events = result.events;
    trial.virtual_time = result.virtual_time;
    availability.end(std::min(healing, Instant{} + result.virtual_time));
    trial.unavailable = availability.longest();
    trial.counts = result.counts;
    trial.records_promised = result.bill.records_promised;
    trial.records_lost = result.bill.records_lost;
    trial.records_avoidable = result.bill.records_avoidable;
    trial.planned = result.planned;
    trial.fired = result.fired;
    trial.fired_ids = std::move(result.fired_ids);
    trial.plants_taken = result.plants_taken;
    trial.goals = std::move(result.goals);
    if (options.operations) trial.operations = std::move(log.operations);
    if (options.checkpoints) trial.checkpoints = std::move(result.checkpoints);
    return trial;
}

std::string to_bytes(const Trial& trial) {
    cbor counts = cbor::array();
    each_count(trial.counts, [&](std::uint64_t count) { counts.push_back(count); });
    cbor findings = cbor::array();
    for (const auto& one : trial.findings)
        findings.push_back({one.rule, one.sentence, one.at.nanoseconds});
    cbor operations = cbor::array();
    for (const auto& one : trial.operations) {
        operations.push_back({one.at.nanoseconds, one.client, one.operation});
    }
    cbor checkpoints = cbor::array();
    for (const auto& one : trial.checkpoints) checkpoints.push_back({one.event, one.hash});
    const cbor whole = {trial.seed,
                        trial.token,
                        static_cast<int>(trial.verdict),
                        findings,
                        trial.complaint,
                        trial.first_violation.nanoseconds,
                        trial.hash,
                        trial.events,
                        trial.virtual_time.nanoseconds,
                        counts,
                        trial.records_promised,
                        trial.records_lost,
                        trial.records_avoidable,
                        trial.planned,
                        trial.fired,
                        trial.fired_ids,
                        trial.plants_taken,
                        trial.goals,
                        operations,
                        checkpoints,
                        trial.unavailable.nanoseconds};
    const auto bytes = cbor::to_cbor(whole);
    return {bytes.begin(), bytes.end()};
}

Trial trial_from_bytes(const std::string& bytes) {
    const cbor whole = cbor::from_cbor(bytes);
    std::size_t next = 0;
    const auto take = [&](auto& field) { whole.at(next++).get_to(field); };
    Trial trial;
    int verdict = 0;
    take(trial.seed);
    take(trial.token);
    take(verdict);
    trial.verdict = static_cast<Verdict>(verdict);
    for (const cbor& one : whole.at(next++))
        trial.findings.push_back({one.at(0), one.at(1), Instant{one.at(2)}});
    take(trial.complaint);
    take(trial.first_violation.nanoseconds);
    take(trial.hash);
    take(trial.events);
    take(trial.virtual_time.nanoseconds);
    const cbor& counts = whole.at(next++);
    std::size_t at = 0;
    each_count(trial.counts, [&](std::uint64_t& count) { counts.at(at++).get_to(count); });
    take(trial.records_promised);
    take(trial.records_lost);
    take(trial.records_avoidable);
    take(trial.planned);
    take(trial.fired);
    take(trial.fired_ids);
    take(trial.plants_taken);
    take(trial.goals);
    for (const cbor& one : whole.at(next++)) {
        trial.operations.push_back({Instant{one.at(0)}, one.at(1), one.at(2)});
    }
    for (const cbor& one : whole.at(next++)) trial.checkpoints.push_back({one.at(0), one.at(1)});
    take(trial.unavailable.nanoseconds);
    return trial;
}

Trial trial_from_result(const ForkedResult& result, std::uint64_t seed, const std::string& token) {
    Trial trial;
    if (result.end == JobEnd::finished) {
        trial = trial_from_bytes(result.bytes);
    } else {
        trial.seed = seed;
        trial.token = token;
        trial.verdict = Verdict::crash;
        // Where an assertion failed or which signal it was, not what the run's own state looked
        // like.
        trial.findings.push_back({"crash: " + result.complaint, result.complaint, instant_never});
    }
    trial.cpu = result.cpu;
    return trial;
}

Trial run_forked_trial(const RunPlan& plan, const TrialOptions& options, const ForkLimits& limits) {
    const auto job = [&] { return to_bytes(run_trial(plan, options)); };
    return trial_from_result(run_forked(job, limits), plan.seed, to_token(plan));
}

}  // namespace klamm::sim
