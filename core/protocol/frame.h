#pragma once
// Headers and frames. A frame is four bytes of length, a header, a message. The request header is
// version 2 where the message is flexible, else 1; the response header is version 1 where flexible,
// else 0 — but always 0 for ApiVersions, so that a client can read it before it knows the broker's
// versions (KIP-511). The client id is never compact.

#include "core/protocol/api.h"

namespace klamm::protocol {

constexpr std::size_t frame_length_bytes = 4;

struct RequestHeader {
    ApiKey api_key{};  // as sent: may be none that is known
    std::int16_t api_version = 0;
    std::int32_t correlation_id = 0;
    NullableString client_id;
    friend bool operator==(const RequestHeader&, const RequestHeader&) = default;
};

struct ResponseHeader {
    std::int32_t correlation_id = 0;
    friend bool operator==(const ResponseHeader&, const ResponseHeader&) = default;
};

constexpr int request_header_version(int api_version, int flexible_from) {
    return api_version >= flexible_from ? 2 : 1;
}
constexpr int response_header_version(ApiKey key, int api_version, int flexible_from) {
    return key != ApiKey::api_versions && api_version >= flexible_from ? 1 : 0;
}

/// Reads a request's header and leaves `reader` at the message. A key that is not in the table of
/// APIs is unsupported; a version that is not served is not an error here, so that ApiVersions can
/// be answered (then with its version 0 and UNSUPPORTED_VERSION).
Result<RequestHeader> decode_request_header(Reader& reader);
/// Reads a response's header; key and version are those of the request with this correlation id.
Result<ResponseHeader> decode_response_header(Reader& reader, ApiKey key, int api_version);

/// The header only; its version follows from key and version, which must be in the table of APIs.
void encode(const RequestHeader& header, Writer& writer);
void encode_response_header(const ResponseHeader& header, ApiKey key, int api_version,
                            Writer& writer);

/// Writes the length in front of a frame that began at position `begin` with four bytes of room.
void finish_frame(std::size_t begin, Writer& writer);

/// A request in its frame, length included.
template <class Request>
Encoded encode_request_frame(const Request& request, int version, std::int32_t correlation_id,
                             NullableString client_id) {
    static_assert(Api<Request>::is_request);
    Writer writer;
    writer.integer(std::int32_t{0});
    encode(RequestHeader{Api<Request>::key, static_cast<std::int16_t>(version), correlation_id,
                         client_id},
           writer);
    encode(request, version, writer);
    finish_frame(0, writer);
    return writer.take();
}

/// A response in its frame, length included.
template <class Response>
Encoded encode_response_frame(const Response& response, int version, std::int32_t correlation_id) {
    static_assert(!Api<Response>::is_request);
    Writer writer;
    writer.integer(std::int32_t{0});
    encode_response_header({correlation_id}, Api<Response>::key, version, writer);
    encode(response, version, writer);
    finish_frame(0, writer);
    return writer.take();
}

/// A response from a frame without its length, whose header must carry `correlation_id`.
template <class Response>
Result<Response> decode_response_frame(ByteView frame, int version, std::int32_t correlation_id) {
    static_assert(!Api<Response>::is_request);
    Reader reader(frame);
    const auto header = decode_response_header(reader, Api<Response>::key, version);
    KLAMM_TRY(header);
    if (header->correlation_id != correlation_id)
        return Error{Failure::invalid, "the response belongs to another request"};
    return decode<Response>(reader.bytes(reader.remaining()), version);
}

}  // namespace klamm::protocol
