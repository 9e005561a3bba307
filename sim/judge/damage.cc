// Names of segment files.
#include "sim/judge/damage.h"

#include <charconv>

namespace klamm::sim {

namespace {

template <class T>
bool read_number(std::string_view text, T& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && text.front() != '-';
}

}  // namespace

std::optional<SegmentPath> segment_path(std::string_view path) {
    constexpr std::size_t digits = 20;
    constexpr std::string_view suffix = ".log";
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return std::nullopt;
    std::string_view file = path.substr(slash + 1);
    std::string_view folder = path.substr(0, slash);
    folder = folder.substr(folder.rfind('/') + 1);  // npos + 1 is 0
    if (file.size() != digits + suffix.size() || !file.ends_with(suffix)) return std::nullopt;
    const std::size_t dash = folder.rfind('-');
    if (dash == std::string_view::npos || dash == 0 || dash + 1 == folder.size()) {
        return std::nullopt;
    }
    SegmentPath result;
    result.topic = folder.substr(0, dash);
    if (!read_number(folder.substr(dash + 1), result.partition.value)) return std::nullopt;
    if (!read_number(file.substr(0, digits), result.base.value)) return std::nullopt;
    return result;
}

}  // namespace klamm::sim
