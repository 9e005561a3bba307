// Any bytes as a request's frame without its length, of any API: what decodes, header and message,
// can be encoded, and decodes to the same; as another version it can be encoded or is refused.
#include <cstdlib>

#include "core/protocol/frame.h"
#include "core/protocol/shape.h"

using namespace klamm;
using namespace klamm::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Reader reader({data, size});
    const auto header = decode_request_header(reader);
    if (!header.ok()) return 0;
    const MessageInfo* request = find_message(MessageKind::request, header->api_key);
    if (request == nullptr) std::abort();
    const ByteView body = reader.bytes(reader.remaining());
    const int version = header->api_version;
    Writer writer;
    encode(*header, writer);
    const std::size_t header_size = writer.position();
    if (!request->recode(body, version, version, writer).ok()) return 0;
    const Bytes frame = writer.take().bytes;
    Reader again(frame);
    const auto header_again = decode_request_header(again);
    if (!header_again.ok() || !(*header_again == *header)) std::abort();
    const Bytes rest(frame.begin() + static_cast<std::ptrdiff_t>(header_size), frame.end());
    const auto twice = recode(*request, rest, version, version);
    if (!twice.ok() || *twice != rest) std::abort();
    for (const int other : {request->version_min, request->version_max}) {
        Writer elsewhere;
        (void)request->recode(rest, version, other, elsewhere);
    }
    return 0;
}
