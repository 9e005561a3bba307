// Any bytes as a response: the first two name the API and the version that was asked, the rest is
// the frame without its length. What decodes can be encoded, and decodes to the same.
#include <cstdlib>

#include "core/protocol/frame.h"
#include "core/protocol/shape.h"

using namespace klamm;
using namespace klamm::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 6) return 0;
    const auto key = static_cast<ApiKey>(data[0]);
    const int version = data[1];
    const MessageInfo* response = find_message(MessageKind::response, key);
    if (response == nullptr) return 0;
    Reader reader({data + 2, size - 2});
    if (!decode_response_header(reader, key, version).ok()) return 0;
    const auto once = recode(*response, reader.bytes(reader.remaining()), version, version);
    if (!once.ok()) return 0;
    const auto twice = recode(*response, *once, version, version);
    if (!twice.ok() || *twice != *once) std::abort();
    return 0;
}
