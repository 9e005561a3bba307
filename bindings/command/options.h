#pragma once
// Words of a command line as options and operands, held against a small table; and the texts of
// their values. What is wrong comes back as one sentence.

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/plants.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "sim/run/plan.h"

namespace klamm::command {

/// Of `--jobs`.
constexpr std::uint64_t jobs_max = 256;

struct OptionRow {
    std::string_view name;   // "--seed"
    std::string_view value;  // what to print for its value, "HEX"; empty: the option is a flag
};

class Options {
  public:
    /// Accepts each option of the table at most once, as `--name value` or `--name=value`, and
    /// exactly as many other words as `operands` names.
    static Result<Options> parse(std::span<const std::string_view> words,
                                 std::span<const OptionRow> table,
                                 std::span<const std::string_view> operands = {});

    [[nodiscard]] bool has(std::string_view name) const { return value(name).has_value(); }
    [[nodiscard]] std::optional<std::string_view> value(std::string_view name) const;
    [[nodiscard]] const std::vector<std::string_view>& operands() const { return operands_; }

  private:
    std::vector<std::pair<std::string_view, std::string_view>> values_;
    std::vector<std::string_view> operands_;
};

/// "500ms", "60s", "10m", "2h"; above zero.
Result<Duration> parse_duration(std::string_view text);
/// 1 to 16 hexadecimal digits.
Result<std::uint64_t> parse_seed(std::string_view text);
/// A whole number, at least 1.
Result<std::uint64_t> parse_count(std::string_view text);
/// "FROM-TO", both at least 1.
Result<std::pair<std::uint64_t, std::uint64_t>> parse_range(std::string_view text);
/// "R2" or "truncate-to-hw".
Result<Bug> parse_bug(std::string_view text);
Result<sim::Profile> parse_profile(std::string_view text);
/// "timed", "random", "pos", "pct"
Result<sim::ExploreOptions::How> parse_explorer(std::string_view text);
/// Names of fault kinds, separated by commas.
Result<std::set<sim::FaultKind>> parse_kinds(std::string_view text);

}  // namespace klamm::command
