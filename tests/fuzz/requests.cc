// Any bytes as a request's frame without its length: what decodes, header and message, can be
// encoded, and decodes to the same.
#include <cstdlib>

#include "core/protocol/frame.h"
#include "core/protocol/messages/all.h"

using namespace klamm;
using namespace klamm::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Reader reader({data, size});
    const auto header = decode_request_header(reader);
    if (!header.ok()) return 0;
    const ByteView body = reader.bytes(reader.remaining());
    const int version = header->api_version;
    for_each_message([&]<class Message>(std::type_identity<Message>) {
        if constexpr (Api<Message>::is_request) {
            if (Api<Message>::key != header->api_key) return;
            const auto request = decode<Message>(body, version);
            if (!request.ok()) return;
            const Bytes frame =
                encode_request_frame(*request, version, header->correlation_id, header->client_id)
                    .bytes;
            Reader again(ByteView(frame).subspan(frame_length_bytes));
            const auto header_again = decode_request_header(again);
            if (!header_again.ok() || !(*header_again == *header)) std::abort();
            const auto request_again = decode<Message>(again.bytes(again.remaining()), version);
            if (!request_again.ok() || !(*request_again == *request)) std::abort();
        }
    });
    return 0;
}
