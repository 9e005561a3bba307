// Any bytes as compressed data: the output keeps to its bound, and what is read survives another
// round. The first byte chooses codec and bound.
#include "core/record/compression.h"

using namespace klamm;
using namespace klamm::record;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto codec = static_cast<Compression>(data[0] % compression_count);
    const std::size_t bytes_max = (data[0] & 0x80) != 0 ? 100 : 1 << 20;
    const ByteView input(data + 1, size - 1);
    const auto plain = decompress(codec, input, bytes_max);
    if (!plain.ok()) {
        KLAMM_ASSERT(plain.failure() == Failure::limit || plain.failure() == Failure::invalid);
        return 0;
    }
    KLAMM_ASSERT(plain->size() <= bytes_max);
    const auto packed = compress(codec, *plain);
    KLAMM_ASSERT(packed.ok());
    const auto again = decompress(codec, *packed, plain->size());
    KLAMM_ASSERT(again.ok());
    KLAMM_ASSERT(*again == *plain);
    return 0;
}
