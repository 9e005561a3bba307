#include "sim/scenario/count_names.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "sim/scenario/spec.h"

namespace klamm::sim {

std::optional<std::int64_t> count_by_name(const RunCounts& counts, std::string_view name) {
    const nlohmann::json all = to_json(counts);
    const auto found = all.find(std::string(name));
    if (found == all.end() || !found->is_number_integer()) return std::nullopt;
    return found->get<std::int64_t>();
}

std::string unknown_count(std::string_view name) {
    const nlohmann::json all = to_json(RunCounts{});
    std::vector<std::string> names;
    for (const auto& [key, value] : all.items()) names.push_back(key);
    const std::vector<std::string_view> known(names.begin(), names.end());
    if (const auto near = near_miss(name, known); !near.empty())
        return fmt::format("\"{}\" is no count of a run; did you mean \"{}\"?", name, near);
    std::string list;
    for (const std::string_view one : known) list += fmt::format(" {}", one);
    return fmt::format("\"{}\" is no count of a run; expected one of{}", name, list);
}

}  // namespace klamm::sim
