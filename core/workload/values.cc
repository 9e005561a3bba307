#include "core/workload/values.h"

#include <algorithm>
#include <cstring>

#include "core/base/checksum.h"

namespace klamm::workload {

Bytes value_bytes(std::uint64_t value, std::size_t size) {
    Bytes bytes(std::max(size, value_bytes_least));
    store_big_endian(bytes.data(), value);
    for (std::size_t i = value_bytes_least; i < bytes.size();) {
        const std::size_t run = i / 16;
        const std::size_t end = std::min(bytes.size(), 16 * (run + 1));
        std::memset(bytes.data() + i, static_cast<std::uint8_t>(mix64(value + run)), end - i);
        i = end;
    }
    return bytes;
}

std::uint64_t value_of(ByteView bytes) {
    if (bytes.size() < value_bytes_least) return digest64(bytes);
    return load_big_endian<std::uint64_t>(bytes.data());
}

std::uint64_t digest_of(const Counts& counts) {
    std::uint64_t digest = 0;
    for (const std::uint64_t count : {counts.invoked, counts.ok, counts.failed, counts.unknown,
                                      counts.dropped, counts.skipped}) {
        digest = fold64(digest, count);
    }
    return digest;
}

}  // namespace klamm::workload
