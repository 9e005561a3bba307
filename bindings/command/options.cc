#include "bindings/command/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace klamm::command {

namespace {

template <class Number>
bool whole(std::string_view text, Number& number, int base = 10) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number, base);
    return !text.empty() && parsed.ec == std::errc() && parsed.ptr == end;
}

Error wrong(std::string sentence) { return {Failure::invalid, std::move(sentence)}; }

}  // namespace

Result<Options> Options::parse(std::span<const std::string_view> words,
                               std::span<const OptionRow> table,
                               std::span<const std::string_view> operands) {
    Options options;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (!word.starts_with("--")) {
            if (options.operands_.size() == operands.size()) {
                return wrong(fmt::format("{}: one word too many", word));
            }
            options.operands_.push_back(word);
            continue;
        }
        const auto equals = word.find('=');
        const std::string_view name = word.substr(0, equals);
        const auto row = std::find_if(table.begin(), table.end(),
                                      [&](const OptionRow& one) { return one.name == name; });
        if (row == table.end()) return wrong(fmt::format("{}: no such option", name));
        if (options.has(name)) return wrong(fmt::format("{}: given twice", name));
        if (row->value.empty()) {
            if (equals != std::string_view::npos) {
                return wrong(fmt::format("{}: takes no value", name));
            }
            options.values_.emplace_back(row->name, std::string_view());
        } else if (equals != std::string_view::npos) {
            options.values_.emplace_back(row->name, word.substr(equals + 1));
        } else if (i + 1 < words.size()) {
            options.values_.emplace_back(row->name, words[++i]);
        } else {
            return wrong(fmt::format("{}: {} is missing", name, row->value));
        }
    }
    if (options.operands_.size() < operands.size()) {
        return wrong(fmt::format("{} is missing", operands[options.operands_.size()]));
    }
    return options;
}

std::optional<std::string_view> Options::value(std::string_view name) const {
    for (const auto& [given, value] : values_) {
        if (given == name) return value;
    }
    return std::nullopt;
}

Result<Duration> parse_duration(std::string_view text) {
    constexpr std::pair<std::string_view, Duration> units[] = {
        {"ms", milliseconds(1)}, {"s", seconds(1)}, {"m", seconds(60)}, {"h", seconds(3600)}};
    for (const auto& [unit, length] : units) {
        if (!text.ends_with(unit)) continue;
        std::int64_t number = 0;
        if (whole(text.substr(0, text.size() - unit.size()), number) && number > 0 &&
            number <= std::numeric_limits<std::int64_t>::max() / length.nanoseconds) {
            return length * number;
        }
    }
    return wrong(fmt::format("{}: expected a duration such as 500ms, 60s or 10m", text));
}

Result<std::uint64_t> parse_seed(std::string_view text) {
    std::uint64_t seed = 0;
    if (!whole(text, seed, 16)) {
        return wrong(fmt::format("{}: expected a seed of 1 to 16 hexadecimal digits", text));
    }
    return seed;
}

Result<std::uint64_t> parse_count(std::string_view text) {
    std::uint64_t count = 0;
    if (!whole(text, count) || count == 0) {
        return wrong(fmt::format("{}: expected a whole number, at least 1", text));
    }
    return count;
}

Result<std::pair<std::uint64_t, std::uint64_t>> parse_range(std::string_view text) {
    const auto dash = text.find('-');
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    if (dash == std::string_view::npos || !whole(text.substr(0, dash), from) ||
        !whole(text.substr(dash + 1), to) || from == 0 || to < from) {
        return wrong(fmt::format("{}: expected a range such as 17-40", text));
    }
    return std::pair{from, to};
}

Result<Bug> parse_bug(std::string_view text) {
    std::string known;
    for (const BugEntry& entry : bug_catalogue()) {
        if (!entry.in_cluster) continue;
        if (bug_from_name(text) == entry.bug) return entry.bug;
        known += fmt::format(" {}", entry.code);
    }
    return wrong(fmt::format("{}: no such bug; there are{}", text, known));
}

Result<sim::Profile> parse_profile(std::string_view text) {
    if (const auto profile = sim::profile_from_name(text)) return *profile;
    std::string known;
    for (std::size_t i = 0; i < static_cast<std::size_t>(sim::Profile::count_); ++i) {
        known += fmt::format(" {}", to_string(static_cast<sim::Profile>(i)));
    }
    return wrong(fmt::format("{}: no such profile; there are{}", text, known));
}

Result<sim::ExploreOptions::How> parse_explorer(std::string_view text) {
    if (const auto how = sim::explorer_from_name(text)) return *how;
    return wrong(fmt::format("{}: no such order of events; there are timed random pos pct", text));
}

Result<std::set<sim::FaultKind>> parse_kinds(std::string_view text) {
    std::set<sim::FaultKind> kinds;
    while (true) {
        const auto comma = std::min(text.find(','), text.size());
        const std::string_view name = text.substr(0, comma);
        const auto kind = sim::fault_kind_from_name(name);
        if (!kind) {
            std::string known;
            for (std::size_t i = 0; i < sim::fault_kind_count; ++i) {
                known += fmt::format(" {}", to_string(static_cast<sim::FaultKind>(i)));
            }
            return wrong(fmt::format("{}: no such kind of fault; there are{}", name, known));
        }
        kinds.insert(*kind);
        if (comma == text.size()) return kinds;
        text.remove_prefix(comma + 1);
    }
}

}  // namespace klamm::command
