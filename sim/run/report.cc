#include "sim/run/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "sim/run/token.h"

namespace klamm::sim {

namespace {

constexpr std::size_t violations_shown = 10;
constexpr std::size_t timeline_shown = 30;

std::string seconds_text(std::int64_t nanoseconds) {
    return fmt::format("{}.{:03}", nanoseconds / 1'000'000'000, nanoseconds / 1'000'000 % 1000);
}

std::string clock_text(Instant time) { return seconds_text(time.nanoseconds); }

std::string config_text(const RunPlan& plan) {
    const ClusterPlan& cluster = plan.cluster;
    const nlohmann::json all = to_json(plan);
    std::string text =
        fmt::format("seed {:x}, profile {}", plan.seed, to_string(plan.options.profile));
    if (plan.options.plant.has_value()) {
        const BugEntry& bug = bug_catalogue()[static_cast<std::size_t>(*plan.options.plant)];
        text += fmt::format(", planted {} {}", bug.code, bug.name);
    }
    text += fmt::format("\ncluster: {} brokers, shards", cluster.shards.size());
    for (const env::ShardIndex shards : cluster.shards) text += fmt::format(" {}", shards);
    if (cluster.controllers > 0) text += fmt::format(", {} controllers", cluster.controllers);
    text += fmt::format(", {} partition{}, ELR {}, disk {}\n", cluster.partitions,
                        cluster.partitions == 1 ? "" : "s",
                        cluster.eligible_leader_replicas ? "on" : "off",
                        cluster.disk.crash_mode == CrashMode::posix ? "posix" : "ext4-ordered");
    const auto options = [&](const char* name, const nlohmann::json& values) {
        text += fmt::format("{}:", name);
        for (const auto& [key, value] : values.items())
            text += fmt::format(" {}={}", key, value.get<std::string>());
        text += '\n';
    };
    options("topic", all["cluster"]["topic"]);
    options("broker", all["cluster"]["broker"]);
    for (std::size_t i = 0; i < all["producers"].size(); ++i)
        options("producer", all["producers"][i]["options"]);
    return text;
}

std::string faults_text(const RunPlan& plan, const RunResult& result) {
    std::string text = fmt::format("faults: {} of {} planned hit something\n",
                                   result.fired_ids.size(), plan.faults.size());
    for (std::size_t i = 0; i < fault_kind_count; ++i)
        if (result.planned[i] > 0)
            text += fmt::format("  {:<24}{:>4} of {}\n", to_string(static_cast<FaultKind>(i)),
                                result.fired[i], result.planned[i]);
    return text;
}

std::string red_text(const RunResult& result) {
    std::string text;
    if (result.ended.has_value()) {
        const EndReport& end = *result.ended;
        text += fmt::format("crash: assertion failed: {} ({}:{}) at {} s\n", end.condition,
                            end.file, end.line, clock_text(end.time));
        for (const EventRecord& turn : end.last_turns) text += "  " + to_string(turn) + '\n';
    }
    if (result.violations_total > 0) {
        text += fmt::format("violations: {}\n", result.violations_total);
        std::set<std::string> rules;
        for (std::size_t i = 0; i < result.violations.size(); ++i) {
            const Violation& one = result.violations[i];
            // The first ones, and after them the first of each rule.
            if (!rules.insert(one.rule).second && i >= violations_shown) continue;
            text += fmt::format("  {} s [{}] {}\n", clock_text(one.time), one.rule, one.sentence);
        }
        text += "before the first one:\n";
        const std::size_t size = result.timeline.size();
        for (std::size_t i = size > timeline_shown ? size - timeline_shown : 0; i < size; ++i) {
            const TimelineEntry& entry = result.timeline[i];
            text +=
                fmt::format("  {} s {:<12} {}\n", clock_text(entry.time), entry.node, entry.text);
        }
    }
    for (const std::string& failure : result.liveness_failures)
        text += "liveness: " + failure + '\n';
    return text;
}

}  // namespace

std::string summary_line(const RunPlan& plan, const RunResult& result) {
    return fmt::format(
        "{:x} {} {} s: {}, {} elections, {} batches acknowledged, {} faults, {} "
        "violations",
        plan.seed, to_string(plan.options.profile), seconds_text(result.virtual_time.nanoseconds),
        to_string(result.verdict), result.counts.elections, result.counts.batches_acked,
        result.fired_ids.size(), result.violations_total);
}

std::string to_text(const RunPlan& plan, const RunResult& result) {
    std::string text = config_text(plan);
    text += fmt::format("ran {} s of virtual time in {} events\n",
                        seconds_text(result.virtual_time.nanoseconds), result.events);
    text += faults_text(plan, result);
    text += to_text(result.counts);
    if (!text.ends_with('\n')) text += '\n';
    text += to_text(result.bill, plan.cluster.topic_name);
    if (!text.ends_with('\n')) text += '\n';
    if (plan.options.plant.has_value())
        text += fmt::format("the planted mistake was made {} times\n",
                            result.plants_taken[static_cast<std::size_t>(*plan.options.plant)]);
    for (const std::string& line : result.script) text += line + '\n';
    text += red_text(result);
    if (!result.excuse.empty()) text += "liveness is excused, " + result.excuse + '\n';
    if (!result.complaint.empty()) text += "harness: " + result.complaint + '\n';
    text += fmt::format("verdict {}\n", to_string(result.verdict));
    text += fmt::format("hash {:016x}\n", result.hash);
    text += fmt::format("replay klamm replay {}\n", to_token(plan));
    return text;
}

nlohmann::json to_json(const RunPlan& plan, const RunResult& result) {
    nlohmann::json out = {{"plan", to_json(plan)},
                          {"token", to_token(plan)},
                          {"verdict", to_string(result.verdict)},
                          {"bill", to_json(result.bill)},
                          {"counts", to_json(result.counts)},
                          {"hash", fmt::format("{:016x}", result.hash)},
                          {"events", result.events},
                          {"virtual_ns", result.virtual_time.nanoseconds},
                          {"violations_total", result.violations_total},
                          {"liveness_failures", result.liveness_failures},
                          {"excuse", result.excuse},
                          {"complaint", result.complaint},
                          {"fired_ids", result.fired_ids}};
    auto& violations = out["violations"] = nlohmann::json::array();
    for (const Violation& one : result.violations)
        violations.push_back({{"rule", one.rule},
                              {"sentence", one.sentence},
                              {"time_ns", one.time.nanoseconds},
                              {"node", one.node.value}});
    auto& fired = out["fired"] = nlohmann::json::object();
    for (std::size_t i = 0; i < fault_kind_count; ++i)
        if (result.fired[i] > 0) fired[to_string(static_cast<FaultKind>(i))] = result.fired[i];
    if (result.ended.has_value())
        out["crash"] = {{"condition", result.ended->condition},
                        {"file", result.ended->file},
                        {"line", result.ended->line}};
    return out;
}

int exit_status(const RunResult& result) { return static_cast<int>(result.verdict); }

}  // namespace klamm::sim
