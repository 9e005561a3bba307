#pragma once
// Checksums and digests over bytes: CRC-32C (Castagnoli) of record batches, and a fast 64-bit mix
// for trace hashes and keyed draws. The mix is not cryptographic.

#include <cstdint>

#include "core/base/bytes.h"

namespace klamm {

/// CRC-32C of `bytes`, continuing from `crc` (0 to begin), as in RFC 3720.
std::uint32_t crc32c(ByteView bytes, std::uint32_t crc = 0);

/// A strong mix of one 64-bit word (the finaliser of splitmix64).
constexpr std::uint64_t mix64(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/// Folds `word` into a running digest; the order of folding matters.
constexpr std::uint64_t fold64(std::uint64_t digest, std::uint64_t word) {
    return mix64(digest ^ (word * 0xff51afd7ed558ccdULL));
}

/// 64-bit digest of `bytes`, equal on every machine and compiler.
std::uint64_t digest64(ByteView bytes, std::uint64_t seed = 0);

}  // namespace klamm
