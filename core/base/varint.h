#pragma once
// Variable-length integers as Kafka's protocol and record formats have them: unsigned LEB128, and
// zigzag over it.

#include <cstdint>

#include "core/base/bytes.h"

namespace klamm {

constexpr std::size_t varint_bytes_max = 5;    // 32-bit
constexpr std::size_t varlong_bytes_max = 10;  // 64-bit

constexpr std::uint32_t zigzag_encode32(std::int32_t n) {
    return (static_cast<std::uint32_t>(n) << 1) ^ static_cast<std::uint32_t>(n >> 31);
}
constexpr std::int32_t zigzag_decode32(std::uint32_t n) {
    return static_cast<std::int32_t>((n >> 1) ^ (~(n & 1) + 1));
}
constexpr std::uint64_t zigzag_encode64(std::int64_t n) {
    return (static_cast<std::uint64_t>(n) << 1) ^ static_cast<std::uint64_t>(n >> 63);
}
constexpr std::int64_t zigzag_decode64(std::uint64_t n) {
    return static_cast<std::int64_t>((n >> 1) ^ (~(n & 1) + 1));
}

constexpr std::size_t unsigned_varint_size(std::uint64_t n) {
    std::size_t size = 1;
    for (; n >= 0x80; n >>= 7) ++size;
    return size;
}

/// Writes `n` at `to` (room for unsigned_varint_size(n) bytes) and returns how many bytes it took.
inline std::size_t store_unsigned_varint(std::uint8_t* to, std::uint64_t n) {
    std::size_t size = 0;
    for (; n >= 0x80; n >>= 7) to[size++] = static_cast<std::uint8_t>(n | 0x80);
    to[size++] = static_cast<std::uint8_t>(n);
    return size;
}

/// Reads an unsigned varint of at most `bits` (32 or 64) from the front of `bytes`. Returns the
/// bytes taken, or 0 when the input ends too early, is longer than its maximum, or does not fit.
inline std::size_t load_unsigned_varint(ByteView bytes, int bits, std::uint64_t& out) {
    std::uint64_t value = 0;
    const std::size_t size_max = bits == 32 ? varint_bytes_max : varlong_bytes_max;
    for (std::size_t i = 0; i < size_max && i < bytes.size(); ++i) {
        const std::uint64_t part = bytes[i] & 0x7f;
        const int shift = static_cast<int>(7 * i);
        if (shift + 7 > bits && (part >> (bits - shift)) != 0) return 0;
        value |= part << shift;
        if ((bytes[i] & 0x80) == 0) {
            out = value;
            return i + 1;
        }
    }
    return 0;
}

}  // namespace klamm
