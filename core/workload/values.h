#pragma once
// The numbered records of a scenario: a value begins with the 64 bits client << 32 | number,
// big-endian, and goes on with padding that follows from them.

#include <cstdint>

#include "core/base/bytes.h"
#include "core/workload/options.h"

namespace klamm::workload {

constexpr std::size_t value_bytes_least = 8;

constexpr std::uint64_t record_value(std::uint32_t client, std::uint32_t number) {
    return (std::uint64_t{client} << 32) | number;
}

/// The bytes of a record's value, `size` of them but at least eight.
Bytes value_bytes(std::uint64_t value, std::size_t size);

/// The number that a record's value carries; a digest of it when it is shorter than eight bytes.
std::uint64_t value_of(ByteView bytes);

/// Folds counts into a digest for comparing runs.
std::uint64_t digest_of(const Counts& counts);

}  // namespace klamm::workload
