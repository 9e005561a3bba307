// Columns are given to events in order, wide enough for the longest bar that starts there.
#include "checkers/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

namespace klamm::checkers {

namespace {

constexpr std::size_t text_max = 48;  // longer operations are cut in the middle

std::string label(const OperationHistory& history, const Operation& operation) {
    std::string text = describe(history, operation);
    if (text.size() > text_max) {
        text = text.substr(0, text_max / 2 - 2) + " .. " +
               text.substr(text.size() - (text_max / 2 - 2));
    }
    return text;
}

struct Bar {
    std::size_t from = 0;
    std::size_t to = 0;
    std::string text;
    bool open = false;
};

}  // namespace

std::string draw(const OperationHistory& history, std::span<const Operation> operations) {
    // Ends of bars in order, and for each bar the column where it may end at the earliest.
    std::vector<std::pair<std::int64_t, std::size_t>> ends;  // number of event, 2 * bar + half
    std::vector<Bar> bars(operations.size());
    for (std::size_t i = 0; i < operations.size(); ++i) {
        bars[i].text = label(history, operations[i]);
        bars[i].open = operations[i].ret == never;
        ends.emplace_back(operations[i].call, 2 * i);
        if (!bars[i].open) ends.emplace_back(operations[i].ret, 2 * i + 1);
    }
    std::sort(ends.begin(), ends.end());
    std::size_t column = 0;
    for (const auto& [at, end] : ends) {
        Bar& bar = bars[end / 2];
        if (end % 2 == 0) {
            bar.from = column;
        } else {
            column = std::max(column, bar.from + bar.text.size() + 5);
            bar.to = column;
        }
        column += 2;
    }
    std::map<std::int32_t, std::string> lanes;
    std::size_t edge = column;
    for (const Bar& bar : bars) edge = std::max(edge, bar.from + bar.text.size() + 5);
    for (std::size_t i = 0; i < bars.size(); ++i) {
        Bar& bar = bars[i];
        if (bar.open) bar.to = edge;
        std::string& lane = lanes[operations[i].client];
        lane.resize(std::max(lane.size(), bar.to + 1), ' ');
        const std::size_t width = bar.to - bar.from - 3 - bar.text.size();
        const std::string left(width / 2, '-');
        const std::string right(width - width / 2, '-');
        lane.replace(bar.from, bar.to - bar.from + 1,
                     fmt::format("|{} {} {}{}", left, bar.text, right, bar.open ? '>' : '|'));
    }
    std::size_t name_width = 0;
    for (const auto& [client, lane] : lanes) {
        name_width = std::max(name_width, fmt::format("client {}", client).size());
    }
    std::string out;
    for (const auto& [client, lane] : lanes) {
        std::string line =
            fmt::format("{:<{}}  {}", fmt::format("client {}", client), name_width, lane);
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

}  // namespace klamm::checkers
