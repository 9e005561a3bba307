// Any bytes as a metadata record in its frame: what decodes can be encoded, and decodes to the
// same.
#include <cstdlib>

#include "core/metadata/records.h"

using namespace klamm;
using namespace klamm::metadata;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto decoded = decode_record({data, size});
    if (!decoded.ok()) return 0;
    const Bytes frame = encode_record(decoded->record, decoded->version);
    const auto again = decode_record(frame);
    if (!again.ok() || !(*again == *decoded)) std::abort();
    return 0;
}
