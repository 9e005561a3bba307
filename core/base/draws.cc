#include "core/base/draws.h"

#include <array>

namespace klamm {

namespace {
// -ln(i/32) in 1/1024ths for i = 1..32: the quantiles of the exponential distribution, as integers.
constexpr std::array<std::int64_t, 32> minus_log_table = {
    3549, 2839, 2424, 2129, 1901, 1714, 1556, 1420, 1299, 1191, 1093, 1004, 922, 847, 776, 710,
    648,  589,  534,  481,  431,  384,  338,  295,  253,  213,  174,  137,  101, 66,  33,  0};
}  // namespace

std::int64_t Draws::exponential(std::int64_t mean, DrawDomain domain, std::uint64_t entity,
                                std::uint64_t n) const {
    // The exponential distribution is memoryless: in the lowest of 32 cells, add ln 32 and draw
    // again in the cell.
    std::uint64_t bits = word(domain, entity, n);
    std::int64_t scaled = 0;
    for (int round = 0; round < 6; ++round) {
        const std::uint64_t cell = bits & 31;
        bits >>= 5;
        if (cell == 0 && round < 5) {
            scaled += 3549;
            continue;
        }
        const std::int64_t high = cell == 0 ? 3549 + 710 : minus_log_table[cell - 1];
        const std::int64_t low = minus_log_table[cell];
        const auto fraction = static_cast<std::int64_t>(bits & 1023);
        scaled += low + (high - low) * fraction / 1024;
        break;
    }
    return mean / 1024 * scaled + mean % 1024 * scaled / 1024;
}

}  // namespace klamm
