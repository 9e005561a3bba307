// Names of what a plan holds, and the plan as JSON.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/config/table.h"
#include "sim/run/disk_aim.h"
#include "sim/run/plan.h"

namespace klamm::sim {

namespace {

constexpr std::array<const char*, fault_kind_count> fault_names = {
    "kill",
    "kill-in-turn",
    "power-loss-one",
    "power-loss-some",
    "power-loss-all",
    "pause",
    "partition-two-way",
    "partition-one-way",
    "isolate-from-controller",
    "isolate-clients",
    "connection-reset",
    "half-open",
    "link-stall",
    "connection-stall",
    "slow-link",
    "clock-step",
    "clock-drift",
    "disk-stall",
    "disk-slow",
    "disk-error-writes",
    "disk-error-syncs",
    "disk-full",
    "move-leader",
    "elect-unclean",
    "clean-restart",
    "wipe",
    "disk-rot",
    "disk-unreadable",
    "disk-misdirect",
    "disk-lies",
    "disk-full-late",
    "disk-write-back",
    "disk-rollback",
    "disk-swap",
    "disk-lost-directory",
    "link-narrow",
    "link-black-hole",
    "link-refused",
    "maybe-site",
    "power-loss-rack",
    "rack-cut",
    "partition-swizzled",
    "connections-apart",
    "address-reused",
    "restart-changed",
    "last-copy",
    "request-refused",
    "member-kill",
    "member-pause",
    "member-restart",
};

constexpr std::array<const char*, static_cast<std::size_t>(Profile::count_)> profile_names = {
    "calm", "weather", "storm", "power", "disk", "quorum", "edge", "groups"};

constexpr std::array<const char*, static_cast<std::size_t>(ExploreOptions::How::count_)>
    explorer_names = {"timed", "random", "pos", "pct"};

/// Rows of these scopes that are not at their default.
nlohmann::json options_json(const config::Owners& owners,
                            std::initializer_list<config::Scope> scopes) {
    nlohmann::json out = nlohmann::json::object();
    for (const config::Row& row : config::table()) {
        if (std::find(scopes.begin(), scopes.end(), row.scope) == scopes.end()) continue;
        const std::string text = config::print_value(row, row.load(owners));
        if (text != row.default_text) out[std::string(row.name)] = text;
    }
    return out;
}

nlohmann::json pacing_json(const workload::Pacing& pacing) {
    return {{"operations", pacing.operations},
            {"start_ns", pacing.start.nanoseconds},
            {"gap_base_ns", pacing.gap.base.nanoseconds},
            {"gap_mean_ns", pacing.gap.mean.nanoseconds},
            {"stop_after_ns", pacing.stop_after.nanoseconds},
            {"skip", pacing.skip}};
}

nlohmann::json cluster_json(const ClusterPlan& plan) {
    ClusterPlan copy = plan;
    nlohmann::json out = {
        {"shards", plan.shards},
        {"partitions", plan.partitions},
        {"broker", options_json({.broker = &copy.broker}, {config::Scope::broker})},
        {"topic", options_json({.topic = &copy.topic}, {config::Scope::topic})},
        {"eligible_leader_replicas", plan.eligible_leader_replicas},
        {"tail_cache_bytes", plan.tail_cache_bytes},
        {"crash_mode", plan.disk.crash_mode == CrashMode::posix ? "posix" : "ext4-ordered"},
        {"unit_bytes", plan.disk.unit_bytes},
        {"window_bytes_min", plan.network.window_bytes_min},
        {"window_bytes_max", plan.network.window_bytes_max},
        {"file_range_lag_rate", plan.network.file_range_lag_rate}};
    if (plan.explore.how != ExploreOptions::How::timed) {
        out["explore"] = to_string(plan.explore.how);
        out["explore_window_ns"] = plan.explore.window.nanoseconds;
    }
    if (plan.replication > 0) out["replication"] = plan.replication;
    if (!plan.racks.empty()) out["racks"] = plan.racks;
    if (plan.offsets_partitions > 0) out["offsets_partitions"] = plan.offsets_partitions;
    if (plan.controllers > 0) {
        out["controllers"] = plan.controllers;
        out["quorum_election_ns"] = plan.quorum_election_timeout.nanoseconds;
        out["quorum_fetch_ns"] = plan.quorum_fetch_timeout.nanoseconds;
        out["quorum_snapshot_bytes"] = plan.quorum_snapshot_bytes;
        out["quorum_retention_bytes"] = plan.quorum_retention_bytes;
        out["quorum_segment_bytes"] = plan.quorum_segment_bytes;
    }
    return out;
}

}  // namespace

const char* to_string(FaultKind kind) { return fault_names[static_cast<std::size_t>(kind)]; }

std::optional<FaultKind> fault_kind_from_name(std::string_view name) {
    for (std::size_t i = 0; i < fault_names.size(); ++i)
        if (name == fault_names[i]) return static_cast<FaultKind>(i);
    return std::nullopt;
}

const char* to_string(ExploreOptions::How how) {
    return explorer_names[static_cast<std::size_t>(how)];
}

std::optional<ExploreOptions::How> explorer_from_name(std::string_view name) {
    for (std::size_t i = 0; i < explorer_names.size(); ++i)
        if (name == explorer_names[i]) return static_cast<ExploreOptions::How>(i);
    return std::nullopt;
}

const char* to_string(Profile profile) { return profile_names[static_cast<std::size_t>(profile)]; }

std::optional<Profile> profile_from_name(std::string_view name) {
    for (std::size_t i = 0; i < profile_names.size(); ++i)
        if (name == profile_names[i]) return static_cast<Profile>(i);
    return std::nullopt;
}

std::string target_name(std::uint32_t target) {
    if (target >= first_member) return fmt::format("member-{}", target - first_member + 1);
    return target < first_controller ? fmt::format("broker-{}", target + 1)
                                     : fmt::format("controller-{}", target - first_controller + 1);
}

std::string to_string(const FaultEvent& fault) {
    const auto thousandths = [](std::int64_t n) {
        return fmt::format("{}.{:03}s", n / 1'000'000'000, n / 1'000'000 % 1000);
    };
    std::string text =
        fmt::format("{} {}", thousandths(fault.at.nanoseconds), to_string(fault.kind));
    if (fault.kind == FaultKind::maybe_site) text += fmt::format(" {}", to_string(site_of(fault)));
    for (const std::uint32_t target : fault.targets) text += " " + target_name(target);
    text += to_string(fault.aim);
    if (fault.duration.nanoseconds > 0)
        text += fmt::format(" for {}", thousandths(fault.duration.nanoseconds));
    if (fault.amount != 0) text += fmt::format(" ({})", fault.amount);
    return text;
}

Site site_of(const FaultEvent& fault) { return static_cast<Site>(fault.draw % site_count); }

nlohmann::json to_json(const FaultEvent& fault) {
    return {{"id", fault.id},
            {"kind", to_string(fault.kind)},
            {"at_ns", fault.at.nanoseconds},
            {"duration_ns", fault.duration.nanoseconds},
            {"targets", fault.targets},
            {"amount", fault.amount},
            {"aim", to_string(fault.aim)}};
}

nlohmann::json to_json(const RunPlan& plan) {
    nlohmann::json out = {{"seed", fmt::format("{:x}", plan.seed)},
                          {"profile", to_string(plan.options.profile)},
                          {"cluster", cluster_json(plan.cluster)},
                          {"faults_drawn", plan.faults_drawn},
                          {"warm_up_ns", plan.warm_up.nanoseconds},
                          {"safety_ns", plan.safety.nanoseconds},
                          {"liveness_bound_ns", plan.liveness_bound.nanoseconds},
                          {"left_down", plan.left_down}};
    if (plan.options.plant.has_value())
        out["plant"] = bug_catalogue()[static_cast<std::size_t>(*plan.options.plant)].code;
    if (plan.edits.cut.has_value()) out["cut_ns"] = plan.edits.cut->nanoseconds;
    auto& off = out["off"] = nlohmann::json::array();
    for (const FaultKind kind : plan.options.off) off.push_back(to_string(kind));
    auto& faults = out["faults"] = nlohmann::json::array();
    for (const FaultEvent& fault : plan.faults) faults.push_back(to_json(fault));
    auto& producers = out["producers"] = nlohmann::json::array();
    for (workload::ProducerWorkload producer : plan.workload.producers) {
        producers.push_back(
            {{"client", producer.client},
             {"pacing", pacing_json(producer.pacing)},
             {"records_max", producer.records_max},
             {"value_bytes_max", producer.value_bytes_max},
             {"options",
              options_json({.client = &producer.options.client, .producer = &producer.options},
                           {config::Scope::client, config::Scope::producer})}});
    }
    auto& consumers = out["consumers"] = nlohmann::json::array();
    for (workload::ConsumerWorkload consumer : plan.workload.consumers) {
        consumers.push_back(
            {{"client", consumer.client},
             {"pacing", pacing_json(consumer.pacing)},
             {"options",
              options_json({.client = &consumer.options.client, .consumer = &consumer.options},
                           {config::Scope::client, config::Scope::consumer})}});
    }
    return out;
}

}  // namespace klamm::sim
