// Any bytes as a response: the first two name the API and the version that was asked, the rest is
// the frame without its length. What decodes can be encoded, and decodes to the same.
#include <cstdlib>

#include "core/protocol/frame.h"
#include "core/protocol/messages/all.h"

using namespace klamm;
using namespace klamm::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 6) return 0;
    const auto key = static_cast<ApiKey>(data[0]);
    const int version = data[1];
    const ByteView frame(data + 2, size - 2);
    const auto correlation_id = load_big_endian<std::int32_t>(frame.data());
    for_each_message([&]<class Message>(std::type_identity<Message>) {
        if constexpr (!Api<Message>::is_request) {
            if (Api<Message>::key != key) return;
            const auto response = decode_response_frame<Message>(frame, version, correlation_id);
            if (!response.ok()) return;
            const Bytes bytes = encode_response_frame(*response, version, correlation_id).bytes;
            const auto again = decode_response_frame<Message>(
                ByteView(bytes).subspan(frame_length_bytes), version, correlation_id);
            if (!again.ok() || !(*again == *response)) std::abort();
        }
    });
    return 0;
}
