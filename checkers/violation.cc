// Codes and times as they are printed.
#include "checkers/violation.h"

#include <fmt/format.h>

#include "core/base/assert.h"

namespace klamm::checkers {

const char* to_string(Code code) {
    switch (code) {
        case Code::lost: return "LOST";
        case Code::incons: return "INCONS";
        case Code::dup: return "DUP";
        case Code::order: return "ORDER";
        case Code::nonmono: return "NONMONO";
        case Code::skip: return "SKIP";
        case Code::stale: return "STALE";
        case Code::regress: return "REGRESS";
        case Code::dirty: return "DIRTY";
        case Code::ghost: return "GHOST";
        case Code::garbage: return "GARBAGE";
        case Code::untold: return "UNTOLD";
        case Code::malformed: return "MALFORMED";
    }
    KLAMM_UNREACHABLE();
}

std::string seconds_text(std::int64_t nanoseconds) {
    const char* sign = nanoseconds < 0 ? "-" : "";
    const auto size = nanoseconds < 0 ? 0 - static_cast<std::uint64_t>(nanoseconds)
                                      : static_cast<std::uint64_t>(nanoseconds);
    const std::uint64_t milliseconds = size / 1'000'000;
    return fmt::format("{}{}.{:03} s", sign, milliseconds / 1000, milliseconds % 1000);
}

}  // namespace klamm::checkers
