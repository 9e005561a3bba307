#include "sim/picture/outputs.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "checkers/jsonl.h"
#include "sim/picture/disks.h"
#include "sim/picture/page.h"
#include "sim/run/trace_json.h"

namespace klamm::sim {

namespace {

Status close(std::ofstream& file, const std::string& path) {
    file.close();
    if (file.fail())
        return Error{Failure::io, fmt::format("{}: could not be written in full", path)};
    return {};
}

Status write(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::trunc | std::ios::binary);
    file << text;
    return close(file, path);
}

}  // namespace

Status prepare(const OutputPaths& paths) {
    for (const auto& path : {paths.history, paths.trace, paths.capture, paths.page}) {
        if (path && !std::ofstream(*path, std::ios::trunc))
            return Error{Failure::io, fmt::format("{}: cannot be written", *path)};
    }
    if (paths.disks) KLAMM_TRY(make_room_for_disks(*paths.disks));
    return {};
}

void Outputs::attach(RunHooks& hooks) {
    if (paths_.history) hooks.keep_history = true;
    if (paths_.trace) {
        trace_.open(*paths_.trace, std::ios::trunc | std::ios::binary);
        hooks.event_sink = [this](const EventRecord& record) { trace_ << trace_line(record); };
        hooks.fact_sink = [this](Instant time, const std::string& node, const facts::Fact& fact) {
            trace_ << trace_line(time, node, fact);
        };
        hooks.truth_sink = [this](const Truth& truth) { trace_ << trace_line(truth); };
    }
    if (paths_.capture) {
        capture_file_.open(*paths_.capture, std::ios::trunc | std::ios::binary);
        capture_.emplace(capture_file_);
        taps_.add(&*capture_);
    }
    if (paths_.page) {
        story_.emplace();
        taps_.add(&story_->tap());
        hooks.observer = &*story_;
    }
    if (!taps_.empty()) hooks.tap = &taps_;
    hooks.begin_sink = [this](const World& world) {
        if (capture_) capture_->begin(world);
        if (story_) story_->begin(world);
    };
    hooks.fault_sink = [this](Instant time, const FaultEvent& fault) {
        if (paths_.trace) trace_ << trace_line(time, fault);
        if (capture_) capture_->note(time, to_string(fault));
        if (story_) story_->fault(time, fault);
    };
    hooks.end_sink = [this](const World& world) {
        if (story_) story_->end(world);
        if (paths_.disks) disks_ = export_disks(world, *paths_.disks);
    };
}

Status Outputs::finish(const RunPlan& plan, const RunResult& result) {
    Status all = disks_;
    const auto also = [&](Status one) {
        if (all) all = std::move(one);
    };
    if (paths_.history) also(write(*paths_.history, checkers::write_history(result.history)));
    if (paths_.trace) {
        trace_ << trace_line(result.bill);
        also(close(trace_, *paths_.trace));
    }
    if (capture_) also(close(capture_file_, *paths_.capture));
    if (story_) also(write(*paths_.page, page_of(story_->to_json(plan, result, likelihood_))));
    return all;
}

}  // namespace klamm::sim
