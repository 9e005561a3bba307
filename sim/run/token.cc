#include "sim/run/token.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace klamm::sim {

namespace {

constexpr std::string_view version = "1";

/// "3,7-9" of an ascending range of numbers.
template <class Numbers>
std::string print_list(const Numbers& numbers) {
    std::string text;
    for (auto at = numbers.begin(); at != numbers.end();) {
        const auto first = static_cast<std::int64_t>(*at);
        std::int64_t last = first;
        for (++at; at != numbers.end() && static_cast<std::int64_t>(*at) == last + 1; ++at) ++last;
        if (!text.empty()) text += ',';
        text += last == first ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
    }
    return text;
}

template <class Number>
bool read_number(std::string_view text, Number& out, int base = 10) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

constexpr std::int64_t list_numbers_max = 1'000'000;

/// Gives the numbers of a list to `take`; false when the text is no list.
template <class Take>
bool read_list(std::string_view text, Take take) {
    std::int64_t total = 0;
    for (const std::string_view part : split(text, ',')) {
        const std::size_t dash = part.find('-');
        std::int64_t first = 0;
        std::int64_t last = 0;
        if (!read_number(part.substr(0, dash), first) || first < 0) return false;
        last = first;
        if (dash != std::string_view::npos && !read_number(part.substr(dash + 1), last))
            return false;
        if (last < first || (total += last - first + 1) > list_numbers_max) return false;
        for (std::int64_t n = first; n <= last; ++n)
            if (!take(n)) return false;
    }
    return true;
}

bool read_field(std::string_view field, PlanOptions& options, PlanEdits& edits) {
    if (field.size() < 2) return false;
    const std::string_view rest = field.substr(1);
    std::int64_t number = 0;
    switch (field.front()) {
        case 'p': options.plant = bug_from_name(rest); return options.plant.has_value();
        case 'o':
            return read_list(rest, [&](std::int64_t n) {
                if (n >= static_cast<std::int64_t>(fault_kind_count)) return false;
                options.off.insert(static_cast<FaultKind>(n));
                return true;
            });
        case 'l':
            if (!read_number(rest, number) || number < 0 || number > 1'000'000'000) return false;
            options.length = milliseconds(number);
            return true;
        case 'e': {
            const auto how = explorer_from_name(rest);
            options.explore = how.value_or(ExploreOptions::How::timed);
            return how.has_value() && *how != ExploreOptions::How::timed;
        }
        default: return read_edit(field, edits);
    }
}

}  // namespace

bool read_edit(std::string_view field, PlanEdits& edits) {
    if (field.size() < 2) return false;
    const std::string_view rest = field.substr(1);
    std::int64_t number = 0;
    switch (field.front()) {
        case 'x':
            return read_list(rest, [&](std::int64_t n) {
                edits.removed.insert(n);
                return true;
            });
        case 's': {
            const std::size_t at = rest.find('_');
            std::uint32_t client = 0;
            if (at == std::string_view::npos || !read_number(rest.substr(0, at), client))
                return false;
            return read_list(rest.substr(at + 1), [&](std::int64_t n) {
                edits.skipped[client].insert(static_cast<std::uint32_t>(n));
                return n <= 0xffff'ffff;
            });
        }
        case 'c':
            if (!read_number(rest, number) || number < 0) return false;
            edits.cut = Instant{number};
            return true;
        case 'u': return read_number(rest, edits.luck) && edits.luck != 0;
        default: return false;
    }
}

std::vector<std::string> print_edits(const PlanEdits& edits) {
    std::vector<std::string> fields;
    if (!edits.removed.empty()) fields.push_back("x" + print_list(edits.removed));
    for (const auto& [client, operations] : edits.skipped)
        if (!operations.empty())
            fields.push_back(fmt::format("s{}_{}", client, print_list(operations)));
    if (edits.luck != 0) fields.push_back(fmt::format("u{}", edits.luck));
    if (edits.cut.has_value()) fields.push_back(fmt::format("c{}", edits.cut->nanoseconds));
    return fields;
}

std::string to_token(const RunPlan& plan) {
    if (!plan.token.empty()) return plan.token;
    const PlanOptions& options = plan.options;
    std::string text = fmt::format("{}.{:x}.{}", version, plan.seed, to_string(options.profile));
    if (options.plant.has_value())
        text += fmt::format(".p{}", bug_catalogue()[static_cast<std::size_t>(*options.plant)].code);
    if (!options.off.empty()) text += ".o" + print_list(options.off);
    if (options.length.has_value()) text += fmt::format(".l{}", options.length->to_milliseconds());
    if (options.explore != ExploreOptions::How::timed)
        text += fmt::format(".e{}", to_string(options.explore));
    for (const std::string& field : print_edits(plan.edits)) text += "." + field;
    return text;
}

Result<RunPlan> from_token(std::string_view token) {
    const auto invalid = [&](const std::string& why) {
        return Error{Failure::invalid, fmt::format("'{}' is no token: {}", token, why)};
    };
    const auto fields = split(token, '.');
    if (fields.size() < 3) return invalid("it needs a version, a seed and a profile");
    if (fields[0] != version) return invalid(fmt::format("its version is not {}", version));
    std::uint64_t seed = 0;
    if (!read_number(fields[1], seed, 16)) return invalid("its seed is not hexadecimal");
    PlanOptions options;
    const auto profile = profile_from_name(fields[2]);
    if (!profile.has_value()) return invalid(fmt::format("there is no profile '{}'", fields[2]));
    options.profile = *profile;
    PlanEdits edits;
    for (std::size_t i = 3; i < fields.size(); ++i)
        if (!read_field(fields[i], options, edits))
            return invalid(fmt::format("'{}' means nothing", fields[i]));
    return make_plan(seed, options, edits);
}

}  // namespace klamm::sim
