#include "sim/scenario/token.h"

#include <fmt/format.h>

#include <charconv>

#include "sim/run/token.h"
#include "sim/scenario/driver.h"
#include "sim/scenario/parse.h"

namespace klamm::sim {

namespace {

bool read_hex(std::string_view text, std::uint64_t& out) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, out, 16);
    return !text.empty() && parsed.ec == std::errc() && parsed.ptr == end;
}

/// Takes the text up to the next point away from `rest`.
std::string_view next_field(std::string_view& rest) {
    const std::size_t at = std::min(rest.find('.'), rest.size());
    const std::string_view field = rest.substr(0, at);
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return field;
}

}  // namespace

bool is_scenario_token(std::string_view token) { return token.starts_with("2."); }

Result<RunPlan> plan_from_scenario_token(std::string_view token) {
    const auto invalid = [&](const std::string& why) {
        return Error{Failure::invalid, fmt::format("'{}' is no token: {}", token, why)};
    };
    std::string_view rest = token;
    ScenarioRun run;
    if (next_field(rest) != "2") return invalid("its version is not 2");
    if (!read_hex(next_field(rest), run.seed)) return invalid("its seed is not hexadecimal");
    const std::string_view profile = next_field(rest);
    const auto known = profile_from_name(profile);
    if (!known) return invalid(fmt::format("there is no profile '{}'", profile));
    run.profile = *known;
    if (!read_hex(next_field(rest), run.digest)) return invalid("its digest is not hexadecimal");
    if (rest.starts_with('p')) {
        const std::string_view bug = next_field(rest).substr(1);
        run.plant = bug_from_name(bug);
        if (!run.plant) return invalid(fmt::format("there is no bug '{}'", bug));
    }
    while (!rest.starts_with('f')) {
        const std::string_view field = next_field(rest);
        if (!read_edit(field, run.edits))
            return invalid(field.empty() ? "it names no file"
                                         : fmt::format("'{}' means nothing", field));
    }
    if (!rest.starts_with('f') || rest.size() < 2) return invalid("it names no file");
    run.path = std::string(rest.substr(1));
    const Result<std::string> text = read_scenario_file(run.path);
    if (!text) return text.error();
    const Result<Scenario> scenario = parse_scenario(*text, run.path);
    if (!scenario) return scenario.error();
    if (scenario_digest(*text) != run.digest)
        return Error{Failure::invalid,
                     fmt::format("{} has been changed since this token was made", run.path)};
    return plan_of(*scenario, run);
}

}  // namespace klamm::sim
