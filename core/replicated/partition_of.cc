// String.hashCode and Utils.abs of Kafka, over UTF-8.
#include "core/replicated/partition_of.h"

#include <limits>

#include "core/base/assert.h"

namespace klamm::replicated {

namespace {

/// The next code point of UTF-8; a byte that begins none counts as U+FFFD, as Java's decoder has
/// it.
std::uint32_t next_code_point(std::string_view text, std::size_t& at) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t first = byte(at++);
    if (first < 0x80) return first;
    const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    if (more == 0 || text.size() - at < more) return 0xfffd;
    std::uint32_t point = first & (0x3fU >> more);
    for (std::size_t i = 0; i < more; ++i) {
        if ((byte(at) & 0xc0) != 0x80) return 0xfffd;
        point = (point << 6) | (byte(at++) & 0x3fU);
    }
    return point;
}

}  // namespace

std::int32_t partition_of(std::string_view key, std::int32_t partitions) {
    KLAMM_ASSERT(partitions > 0);
    std::uint32_t hash = 0;
    for (std::size_t at = 0; at < key.size();) {
        const std::uint32_t point = next_code_point(key, at);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            hash = 31 * hash + (0xdc00 + ((point - 0x10000) & 0x3ff));
        } else {
            hash = 31 * hash + point;
        }
    }
    // Utils.abs: the one number without a positive counterpart becomes 0.
    const auto number = static_cast<std::int32_t>(hash);
    if (number == std::numeric_limits<std::int32_t>::min()) return 0;
    return (number < 0 ? -number : number) % partitions;
}

}  // namespace klamm::replicated
