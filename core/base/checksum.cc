#include "core/base/checksum.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace klamm {

namespace {

constexpr std::uint32_t castagnoli_reflected = 0x82f63b78;

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? castagnoli_reflected : 0);
        tables[0][i] = crc;
    }
    for (std::size_t t = 1; t < 8; ++t)
        for (std::size_t i = 0; i < 256; ++i)
            tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xff];
    return tables;
}

constexpr auto tables = make_tables();

std::uint64_t load_little_endian(const std::uint8_t* from) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

std::uint32_t crc32c_by_tables(const std::uint8_t* at, std::size_t size, std::uint32_t crc) {
    while (size >= 8) {
        const std::uint64_t word = load_little_endian(at) ^ crc;
        crc = tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^
              tables[5][(word >> 16) & 0xff] ^ tables[4][(word >> 24) & 0xff] ^
              tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
              tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
        at += 8;
        size -= 8;
    }
    for (; size > 0; --size) crc = (crc >> 8) ^ tables[0][(crc ^ *at++) & 0xff];
    return crc;
}

#if defined(__x86_64__)
// The instruction has a latency of three cycles and one may start each cycle, so three thirds of a
// block go side by side. A crc is linear: what `third_bytes` zeros make of it is a table look-up a
// byte of it, and joins a third to the next.
constexpr std::size_t third_bytes = 1024;
using BitMatrix = std::array<std::uint32_t, 32>;  // the image of each bit

constexpr std::uint32_t times(const BitMatrix& matrix, std::uint32_t bits) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < 32; ++i)
        if ((bits >> i & 1) != 0) sum ^= matrix[i];
    return sum;
}

constexpr std::array<std::array<std::uint32_t, 256>, 4> make_zeros_tables() {
    BitMatrix zeros{};  // of one zero bit, then squared to those of third_bytes
    zeros[0] = castagnoli_reflected;
    for (std::size_t i = 1; i < 32; ++i) zeros[i] = 1U << (i - 1);
    for (std::size_t bits = 1; bits < third_bytes * 8; bits *= 2) {
        BitMatrix twice{};
        for (std::size_t i = 0; i < 32; ++i) twice[i] = times(zeros, zeros[i]);
        zeros = twice;
    }
    std::array<std::array<std::uint32_t, 256>, 4> made{};
    for (std::size_t byte = 0; byte < 4; ++byte)
        for (std::uint32_t i = 0; i < 256; ++i) made[byte][i] = times(zeros, i << (8 * byte));
    return made;
}

constexpr auto zeros_tables = make_zeros_tables();

std::uint32_t past_third(std::uint64_t crc) {
    return zeros_tables[0][crc & 0xff] ^ zeros_tables[1][crc >> 8 & 0xff] ^
           zeros_tables[2][crc >> 16 & 0xff] ^ zeros_tables[3][crc >> 24 & 0xff];
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(const std::uint8_t* at,
                                                                      std::size_t size,
                                                                      std::uint32_t crc) {
    std::uint64_t wide = crc;
    while (size >= 3 * third_bytes) {
        std::uint64_t second = 0;
        std::uint64_t third = 0;
        for (const std::uint8_t* end = at + third_bytes; at < end; at += 8) {
            wide = _mm_crc32_u64(wide, load_little_endian(at));
            second = _mm_crc32_u64(second, load_little_endian(at + third_bytes));
            third = _mm_crc32_u64(third, load_little_endian(at + 2 * third_bytes));
        }
        wide = past_third(past_third(wide) ^ second) ^ third;
        at += 2 * third_bytes;
        size -= 3 * third_bytes;
    }
    while (size >= 8) {
        wide = _mm_crc32_u64(wide, load_little_endian(at));
        at += 8;
        size -= 8;
    }
    crc = static_cast<std::uint32_t>(wide);
    for (; size > 0; --size) crc = _mm_crc32_u8(crc, *at++);
    return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(ByteView bytes, std::uint32_t crc) {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) return ~crc32c_by_instruction(bytes.data(), bytes.size(), ~crc);
#endif
    return ~crc32c_by_tables(bytes.data(), bytes.size(), ~crc);
}

std::uint64_t digest64(ByteView bytes, std::uint64_t seed) {
    std::uint64_t digest = mix64(seed ^ bytes.size());
    const std::uint8_t* at = bytes.data();
    std::size_t size = bytes.size();
    while (size >= 8) {
        digest = fold64(digest, load_little_endian(at));
        at += 8;
        size -= 8;
    }
    std::uint64_t tail = 0;
    if (size > 0) std::memcpy(&tail, at, size);
    return fold64(digest, tail ^ (static_cast<std::uint64_t>(size) << 56));
}

}  // namespace klamm
