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
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(const std::uint8_t* at,
                                                                      std::size_t size,
                                                                      std::uint32_t crc) {
    std::uint64_t wide = crc;
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
