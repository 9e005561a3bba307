// The table as Markdown: what core/config/OPTIONS.md holds.

#include <fmt/format.h>

#include "core/config/table.h"

namespace klamm::config {
namespace {

/// The number as a person would write it: the largest of its type is "never" in Kafka's intervals.
std::string print_hostile(const Row& row, std::int64_t number) {
    if (number == never) return "never";
    return print_value(row, {number, {}});
}

std::string hostile_cell(const Row& row) {
    std::string cell;
    std::int64_t last = 0;
    for (const std::int64_t number : row.hostile.span()) {
        if (!cell.empty() && number == last) continue;  // a repeat is only a weight
        cell += fmt::format("{}{}", cell.empty() ? "" : ", ", print_hostile(row, number));
        last = number;
    }
    return cell.empty() ? "-" : cell;
}

std::string line(const Row& row) {
    const std::string_view second = row.broker_spelling.empty() ? "-" : row.broker_spelling;
    const std::string_view initial = row.default_text.empty() ? "(empty)" : row.default_text;
    return fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", row.name, second,
                       to_string(row.type), initial, expectation(row), hostile_cell(row),
                       row.sentence);
}

}  // namespace

std::string document() {
    std::string text =
        "# Options\n\n"
        "Printed from `core/config/table.cc`; a test holds this file against it. Names, defaults "
        "and ranges are\nKafka 4.1's, but for those under `klamm.`. *Hostile* is what the "
        "simulator "
        "draws from.\n";
    std::string_view heading;
    for (const Row& row : table()) {
        if (heading != to_string(row.scope)) {
            heading = to_string(row.scope);
            text += fmt::format("\n## {}\n\n", heading);
            text += "| name | in a broker's file | type | default | valid | hostile | meaning |\n";
            text += "|---|---|---|---|---|---|---|\n";
        }
        text += line(row);
    }
    return text;
}

}  // namespace klamm::config
