#include "bindings/command/terminal.h"

#include <algorithm>

namespace klamm::command {

namespace {

constexpr std::string_view red = "\x1b[31m";
constexpr std::string_view green = "\x1b[32m";
constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view plain = "\x1b[0m";

std::string_view colour_of(std::string_view line) {
    if (line.starts_with("verdict passed")) return green;
    for (const std::string_view start :
         {"verdict ", "violations: ", "liveness: ", "crash: ", "harness: ", "failed at "})
        if (line.starts_with(start)) return red;
    for (const std::string_view start : {"replay ", "it became likely "})
        if (line.starts_with(start)) return bold;
    return {};
}

}  // namespace

void ProgressLine::show(const std::string& text) {
    if (!console_.progress) return;
    console_.err("\r\x1b[K" + text);
    shown_ = true;
}

void ProgressLine::clear() {
    if (shown_) console_.err("\r\x1b[K");
    shown_ = false;
}

std::string painted(const Console& console, std::string_view report) {
    if (!console.colour) return std::string(report);
    std::string out;
    while (!report.empty()) {
        const auto end = std::min(report.find('\n'), report.size());
        const std::string_view line = report.substr(0, end);
        const std::string_view colour = colour_of(line);
        out += colour;
        out += line;
        if (!colour.empty()) out += plain;
        if (end < report.size()) out += '\n';
        report.remove_prefix(std::min(end + 1, report.size()));
    }
    return out;
}

}  // namespace klamm::command
